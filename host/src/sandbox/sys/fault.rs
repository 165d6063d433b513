//! Faults for tests: a system call of this thread that fails, or does less than it was asked for.
//!
//! A plan belongs to the thread that made it, so tests beside each other do not meet. What a plan does not hit goes to the kernel.

use std::cell::RefCell;

use rustix::io::{Errno, Result};

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Fault {
    /// The call fails, and does nothing.
    Error(Errno),
    /// A call that moves bytes moves one, where it was asked for more.
    Short,
}

/// Which call it happens to.
#[derive(Debug, Default)]
struct Plan {
    fault: Option<Fault>,
    /// How many calls are left alone before.
    skip: usize,
    /// The call that it happened to, once it has.
    hit: Option<&'static str>,
}

thread_local! {
    static PLAN: RefCell<Plan> = RefCell::default();
}

/// Runs `test` with a fault at the call after `skip` others, and tells which call was hit; none if there were not so many.
pub(in crate::sandbox) fn inject<T>(fault: Fault, skip: usize, test: impl FnOnce() -> T) -> (T, Option<&'static str>) {
    PLAN.with_borrow_mut(|plan| *plan = Plan { fault: Some(fault), skip, hit: None });
    let result = test();
    let hit = PLAN.with_borrow_mut(std::mem::take).hit;
    (result, hit)
}

pub(super) fn before(call: &'static str) -> Result<()> {
    PLAN.with_borrow_mut(|plan| match plan.fault {
        Some(Fault::Error(errno)) if plan.comes(call) => Err(errno),
        _ => Ok(()),
    })
}

/// How many bytes a call that was asked to move so many moves.
pub(super) fn shortened(call: &'static str, length: usize) -> usize {
    PLAN.with_borrow_mut(|plan| match plan.fault {
        Some(Fault::Short) if length > 1 && plan.comes(call) => 1,
        _ => length,
    })
}

impl Plan {
    /// Whether it is this call's turn.
    fn comes(&mut self, call: &'static str) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        (self.fault, self.hit) = (None, Some(call));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_is_hit_and_the_others_are_not() {
        let calls = || [before("a"), before("b"), before("c")];
        let (results, hit) = inject(Fault::Error(Errno::IO), 1, calls);
        assert_eq!((results, hit), ([Ok(()), Err(Errno::IO), Ok(())], Some("b")));
        assert_eq!(inject(Fault::Error(Errno::IO), 3, calls), ([Ok(()); 3], None));
        assert_eq!(calls(), [Ok(()); 3]);
        assert_eq!(
            inject(Fault::Short, 0, || (shortened("d", 1), shortened("e", 9), shortened("f", 9))),
            ((1, 1, 9), Some("e"))
        );
    }
}
