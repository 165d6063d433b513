//! Which requests are done: told to those who wait for any of them, or for all.

use std::task::{Poll, Waker};

use super::Requests;
use crate::sched::afterwards::Afterwards;
use crate::sched::headcount::{UNANNOUNCED, UNFINISHED};
use crate::sched::ids::RequestId;
use crate::sched::outcome::Outcome;

impl<R: Outcome> Requests<R> {
    /// The request has an answer: those who wait for any, or for all, are told. One whose handle is gone is in no list any more.
    pub(super) fn tell(&mut self, id: RequestId, after: &mut Afterwards) {
        let Some(entry) = self.entry(id).filter(|entry| entry.has_handle()) else { return };
        // One that was stopped on its way has its answer before it is done.
        if entry.begun.is_none() {
            entry.unfinished = None;
        }
        if !entry.unwanted {
            self.finish_announced_later(id);
        }
        after.wakers.extend(self.waiters.drain(..));
    }

    pub(super) fn finish_announced_later(&mut self, id: RequestId) {
        let number = self.next_finished;
        let Some(entry) = self.entry(id).filter(|entry| entry.unannounced.is_some()) else { return };
        entry.finished = Some(number);
        self.finished.insert(number, id);
        self.next_finished += 1;
    }

    /// From here on `wait-any` does not give the id.
    pub(super) fn forget_announcement(&mut self, id: RequestId) {
        let Some(entry) = self.entry(id) else { return };
        entry.unannounced = None;
        if let Some(number) = entry.finished.take() {
            self.finished.remove(&number);
        }
    }

    /// The ids of all requests that are done and that were not given before.
    pub(crate) fn announce(&mut self) -> Vec<u64> {
        let ids: Vec<RequestId> = std::mem::take(&mut self.finished).into_values().collect();
        for id in &ids {
            if let Some(entry) = self.entry(*id) {
                (entry.finished, entry.unannounced) = (None, None);
            }
        }
        ids.into_iter().map(RequestId::value).collect()
    }

    /// The same, once there is one, or nothing if there is none to wait for.
    pub(crate) fn poll_announce(&mut self, waker: &Waker) -> Poll<Vec<u64>> {
        let ids = self.announce();
        if !ids.is_empty() || self.headcount.number::<UNANNOUNCED>() == 0 {
            return Poll::Ready(ids);
        }
        self.wait(waker)
    }

    /// Whoever is woken by this waits no more.
    pub(crate) fn wait_no_more(&mut self, waker: &Waker) -> Afterwards {
        let mut after = Afterwards::default();
        after.stale.extend(self.waiters.extract_if(.., |other| other.will_wake(waker)));
        after
    }

    /// Whether every request that was given a handle is done, also of those whose handle is gone.
    pub(crate) fn poll_flush(&mut self, waker: &Waker) -> Poll<()> {
        if self.headcount.number::<UNFINISHED>() == 0 {
            return Poll::Ready(());
        }
        self.wait(waker)
    }

    /// A guest waits here with one call at a time.
    fn wait<T>(&mut self, waker: &Waker) -> Poll<T> {
        if !self.waiters.iter().any(|other| other.will_wake(waker)) {
            self.waiters.push(waker.clone());
        }
        Poll::Pending
    }
}
