//! The queue of one guest: a first-in-first-out lane for each priority, and ageing so that none starves.

use std::collections::VecDeque;

use crate::limits::PASSED_OVER_MAX;

/// How urgent a request is: -4, after all others, to 4, before all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Priority(i8);

const LANES: usize = 9;

impl Priority {
    /// The nearest priority there is.
    pub(crate) fn clamped(value: i8) -> Self {
        Self(value.clamp(-4, 4))
    }

    pub(crate) fn value(self) -> i8 {
        self.0
    }

    /// Lane 0 is the most urgent.
    fn lane(self) -> usize {
        usize::from((4 - self.0).unsigned_abs())
    }
}

#[derive(Debug)]
struct Lane<T> {
    queue: VecDeque<T>,
    /// How often another lane was served while something waited here.
    passed_over: u32,
}

/// The lanes of one guest.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    lanes: [Lane<T>; LANES],
    len: usize,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { lanes: std::array::from_fn(|_| Lane { queue: VecDeque::new(), passed_over: 0 }), len: 0 }
    }
}

impl<T> Lanes<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push(&mut self, priority: Priority, item: T) {
        self.lanes[priority.lane()].queue.push_back(item);
        self.len += 1;
    }

    /// The most urgent item, unless a lane has been passed over too often: then that of the lane that was most often, and of the
    /// last one of these.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let waiting = || self.lanes.iter().enumerate().filter(|(_, lane)| !lane.queue.is_empty());
        let passed_over = |(_, lane): &(usize, &Lane<T>)| lane.passed_over;
        let aged = waiting().max_by_key(passed_over).filter(|lane| passed_over(lane) >= PASSED_OVER_MAX);
        let (next, _) = aged.or_else(|| waiting().next())?;
        for lane in self.lanes.iter_mut().filter(|lane| !lane.queue.is_empty()) {
            lane.passed_over = lane.passed_over.saturating_add(1);
        }
        self.lanes[next].passed_over = 0;
        self.len -= 1;
        self.lanes[next].queue.pop_front()
    }

    /// Takes out what `wanted` says, whatever its priority.
    pub(crate) fn extract_if(&mut self, wanted: impl Fn(&T) -> bool) -> Vec<T> {
        let mut found = Vec::new();
        for lane in &mut self.lanes {
            let (taken, left) = std::mem::take(&mut lane.queue).into_iter().partition(&wanted);
            lane.queue = left;
            let taken: VecDeque<T> = taken;
            found.extend(taken);
        }
        self.len -= found.len();
        found
    }

    /// The item that has waited longest in its lane, of every lane.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &T> {
        self.lanes.iter().filter_map(|lane| lane.queue.front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(lanes: &mut Lanes<u32>) -> Vec<u32> {
        std::iter::from_fn(|| lanes.pop()).collect()
    }

    #[test]
    fn higher_priorities_come_first_and_equal_ones_in_order() {
        let mut lanes = Lanes::default();
        for (priority, item) in [(0, 1), (-4, 2), (4, 3), (0, 4), (9, 5), (-9, 6)] {
            lanes.push(Priority::clamped(priority), item);
        }
        assert_eq!(drain(&mut lanes), [3, 5, 1, 4, 2, 6]);
    }

    #[test]
    fn a_stream_of_high_priority_does_not_starve_the_lowest() {
        let mut lanes = Lanes::default();
        lanes.push(Priority::clamped(-4), 0);
        for served in 0..=PASSED_OVER_MAX {
            lanes.push(Priority::clamped(4), 1);
            lanes.push(Priority::clamped(3), 2);
            match lanes.pop() {
                // What is more urgent was there all the time.
                Some(0) => return assert!(served >= PASSED_OVER_MAX, "it was served before its turn, after {served}"),
                Some(_) => {}
                None => panic!("two were pushed"),
            }
        }
        panic!("the lowest lane was passed over {PASSED_OVER_MAX} times and more");
    }
}
