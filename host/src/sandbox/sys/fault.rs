//! Faults for tests: a system call of this thread that fails, or does less than it was asked for, or comes after something that
//! another program does.
//!
//! A plan belongs to the thread that made it, so tests beside each other do not meet. What a plan does not hit goes to the kernel.

use std::cell::RefCell;
use std::fmt;

use rustix::io::{Errno, Result};

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Fault {
    /// The call fails, and does nothing.
    Error(Errno),
    /// A call that moves bytes moves one, where it was asked for more.
    Short,
    /// The call and all that come after it fail: nobody is there any more who could make them.
    Death,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(Errno::NOSPC) => f.write_str("ENOSPC"),
            Self::Error(Errno::IO) => f.write_str("EIO"),
            Self::Error(Errno::MFILE) => f.write_str("EMFILE"),
            Self::Error(Errno::INTR) => f.write_str("EINTR"),
            Self::Error(errno) => write!(f, "{errno}"),
            Self::Short => f.write_str("short count"),
            Self::Death => f.write_str("end of the host"),
        }
    }
}

/// What another program does before a call, and before each one after it until it says that it is done.
type Action = Box<dyn FnMut() -> bool>;

/// Which call it happens to.
#[derive(Default)]
struct Plan {
    fault: Option<Fault>,
    action: Option<Action>,
    /// How many calls are left alone before.
    skip: usize,
    /// The call that it happened to, once it has.
    hit: Option<&'static str>,
    /// Calls that this system does not have.
    missing: &'static [&'static str],
    /// The calls that were made, where somebody wants to know.
    made: Option<Vec<&'static str>>,
}

thread_local! {
    static PLAN: RefCell<Plan> = RefCell::default();
}

/// Runs `test` with a fault at the call after `skip` others, and tells which call was hit; none if there were not so many.
pub(in crate::sandbox) fn inject<T>(fault: Fault, skip: usize, test: impl FnOnce() -> T) -> (T, Option<&'static str>) {
    PLAN.with_borrow_mut(|plan| (plan.fault, plan.skip) = (Some(fault), skip));
    let result = test();
    let hit = PLAN.with_borrow_mut(|plan| {
        plan.fault = None;
        plan.hit.take()
    });
    (result, hit)
}

/// Runs `test` with something that happens before the call after `skip` others, and tells which call that was.
pub(in crate::sandbox) fn meanwhile<T>(
    skip: usize,
    action: impl FnMut() -> bool + 'static,
    test: impl FnOnce() -> T,
) -> (T, Option<&'static str>) {
    let action: Action = Box::new(action);
    PLAN.with_borrow_mut(|plan| (plan.action, plan.skip) = (Some(action), skip));
    let result = test();
    let hit = PLAN.with_borrow_mut(|plan| {
        plan.action = None;
        plan.hit.take()
    });
    (result, hit)
}

/// Runs `test` on a system that does not have these calls: they fail with `ENOTSUP`.
pub(in crate::sandbox) fn without<T>(calls: &'static [&'static str], test: impl FnOnce() -> T) -> T {
    PLAN.with_borrow_mut(|plan| plan.missing = calls);
    let result = test();
    PLAN.with_borrow_mut(|plan| plan.missing = &[]);
    result
}

/// Runs `test`, and tells which calls it made.
pub(in crate::sandbox) fn trace<T>(test: impl FnOnce() -> T) -> (T, Vec<&'static str>) {
    PLAN.with_borrow_mut(|plan| plan.made = Some(Vec::new()));
    let result = test();
    (result, PLAN.with_borrow_mut(|plan| plan.made.take()).unwrap_or_default())
}

pub(super) fn before(call: &'static str) -> Result<()> {
    act(call);
    PLAN.with_borrow_mut(|plan| {
        if let Some(made) = &mut plan.made {
            made.push(call);
        }
        if plan.missing.contains(&call) {
            return Err(Errno::OPNOTSUPP);
        }
        let errno = match plan.fault {
            None | Some(Fault::Short) => return Ok(()),
            Some(Fault::Error(errno)) => errno,
            Some(Fault::Death) => Errno::IO,
        };
        if !plan.comes() {
            return Ok(());
        }
        plan.hit.get_or_insert(call);
        if plan.fault != Some(Fault::Death) {
            plan.fault = None;
        }
        Err(errno)
    })
}

/// How many bytes a call that was asked to move so many moves.
pub(super) fn shortened(call: &'static str, length: usize) -> usize {
    PLAN.with_borrow_mut(|plan| {
        if plan.fault != Some(Fault::Short) || length <= 1 || !plan.comes() {
            return length;
        }
        (plan.fault, plan.hit) = (None, Some(call));
        1
    })
}

/// Lets the other program do what it does, outside of the plan: it may make calls of its own.
fn act(call: &'static str) {
    let action = PLAN.with_borrow_mut(|plan| {
        if plan.action.is_none() || !plan.comes() {
            return None;
        }
        plan.hit.get_or_insert(call);
        plan.action.take()
    });
    let Some(mut action) = action else { return };
    if !action() {
        PLAN.with_borrow_mut(|plan| plan.action = Some(action));
    }
}

impl Plan {
    /// Whether it is this call's turn.
    fn comes(&mut self) -> bool {
        let comes = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        comes
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

    #[test]
    fn after_a_death_nothing_is_done() {
        let calls = || [before("a"), before("b"), before("c")];
        let failed = Err(Errno::IO);
        assert_eq!(inject(Fault::Death, 1, calls), ([Ok(()), failed, failed], Some("b")));
        assert_eq!(calls(), [Ok(()); 3]);
    }

    #[test]
    fn another_program_tries_until_it_is_done() {
        let calls = || [before("a"), before("b"), before("c"), before("d")];
        let mut tries = 0;
        let ((_, made), hit) = meanwhile(
            1,
            move || {
                tries += 1;
                assert!(tries <= 2);
                tries == 2
            },
            || trace(calls),
        );
        assert_eq!((made, hit), (vec!["a", "b", "c", "d"], Some("b")));
    }

    #[test]
    fn calls_that_are_missing_fail_each_time() {
        let calls = || [before("a"), before("b"), before("b")];
        let failed = Err(Errno::OPNOTSUPP);
        assert_eq!(without(&["b"], calls), [Ok(()), failed, failed]);
        assert_eq!(calls(), [Ok(()); 3]);
    }
}
