//! What must add up in the requests of a guest whenever their lock is free. Tests look at it each time that the lock is taken, and so
//! do the models and builds with debug assertions.

use super::{Entry, Phase, Requests, Timer};
use crate::sched::counters::Station;
use crate::sched::headcount::{ACTIVE, BEGUN, UNANNOUNCED, UNFINISHED};
use crate::sched::ids::RequestId;
use crate::sched::outcome::Outcome;

/// Requests up to which everything is looked at. 256: with a hundred thousand of them each look would take milliseconds.
const CHECKED_MAX: usize = 256;

impl<R: Outcome> Requests<R> {
    /// Panics if something does not add up: the counters, what is given up with an entry, and what refers to one.
    pub(in crate::sched) fn check(&self) {
        if self.entries.len() > CHECKED_MAX || std::thread::panicking() {
            return;
        }
        self.check_counters();
        self.check_budgets();
        self.check_references();
    }

    fn number(&self, is_meant: impl Fn(&Entry<R>) -> bool) -> usize {
        self.entries.iter().filter(|(_, entry)| is_meant(entry)).count()
    }

    fn check_counters(&self) {
        for (station, counted) in [(Station::Queued, self.counters.queued), (Station::Running, self.counters.running)] {
            let there = self.number(|entry| entry.submission.is_counted() && entry.station == station);
            assert_eq!(u64::try_from(there), Ok(counted), "requests that are {station:?}, and the counter");
        }
        let done = self.number(|entry| matches!(entry.phase, Phase::Done(_)) && !entry.station.is_end());
        assert_eq!(done, 0, "requests with a result that count as under way");
    }

    /// What is given up later, once the lock is free, may be more than what the entries have.
    fn check_budgets(&self) {
        assert_eq!(self.headcount.number::<UNFINISHED>(), self.number(|entry| entry.unfinished.is_some()), "unfinished");
        assert_eq!(self.headcount.number::<UNANNOUNCED>(), self.number(|entry| entry.unannounced.is_some()), "unannounced");
        let has_place = |entry: &Entry<R>| matches!(entry.phase, Phase::Done(_)) && entry.place.is_some();
        assert_eq!(self.number(has_place), 0, "requests that are done and have a place");
        assert!(self.headcount.number::<ACTIVE>() >= self.number(|entry| entry.active.is_some()), "active");
        assert!(self.headcount.number::<BEGUN>() >= self.number(|entry| entry.begun.is_some()), "begun");
    }

    fn check_references(&self) {
        let entry =
            |id: RequestId| self.entries.get(id.index()).filter(|entry| RequestId::new(entry.generation, id.index()) == id);
        for (order, id) in &self.finished {
            let finished = entry(*id).and_then(|entry| entry.finished);
            assert_eq!(finished, Some(*order), "a request that is to be announced");
        }
        assert_eq!(self.finished.len(), self.number(|entry| entry.finished.is_some()), "requests to be announced");
        for (order, id) in &self.hungry {
            let waiting = entry(*id).and_then(|entry| entry.hunger.as_ref()).map(|hunger| hunger.order);
            assert_eq!(waiting, Some(*order), "a request that waits for memory");
        }
        assert!(self.hungry_calls.iter().all(|call| self.calls.contains_key(call)), "a call that waits for memory");
        for (_, timer) in &self.timers {
            let is_there = match timer {
                Timer::Resume(id) | Timer::Request(id) => entry(*id).is_some(),
                Timer::Call(id) => self.calls.contains_key(id),
                Timer::Group(_) => true,
                Timer::Guest => self.deadline.is_some(),
            };
            assert!(is_there, "what {timer:?} is for");
        }
    }
}
