//! What is left to be done once a lock is released: nothing is woken and nothing is dropped under it.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use smallvec::SmallVec;

use super::headcount::{ACTIVE, COMING, Counted, Headcount, LEAVING};
use super::ids::RequestId;
use super::outcome::{Outcome, Work};
use super::statistics::Report;
use super::work::ToQueue;
use crate::budget::{Freed, Reservation, Waiter};

/// Bytes that are freed on the spot. 64 KiB: some microseconds.
const LIGHT_BYTES: usize = 64 << 10;

/// Those who are to be woken. One or two are usual, and take no allocation.
pub(super) type Wakers = SmallVec<[Waker; 2]>;

/// What is left to be done.
#[derive(Default)]
#[must_use]
pub(crate) struct Afterwards {
    pub(super) wakers: Wakers,
    /// Requests to be queued again.
    pub(super) resumed: Vec<ToQueue>,
    /// Requests that are to leave the queue.
    pub(super) withdrawn: BTreeSet<RequestId>,
    /// What is given back already, and of which nobody was told.
    pub(super) freed: SmallVec<[Freed; 2]>,
    pub(super) waiters: Vec<Waiter>,
    /// Wakers of those who wait no more.
    pub(super) stale: Wakers,
    /// Requests that ended before they began.
    pub(super) reports: Vec<Report>,
    pub(super) rest: Rest,
}

/// What may take time to drop, and with it what counts as being on its way until then.
#[derive(Default)]
#[must_use]
pub(super) struct Rest {
    pub(super) waste: Vec<Waste>,
    pub(super) hope: Hope,
}

/// What those who wait for memory wait for. Given up when everything else is: until then memory may come back, so that they wait
/// with reason.
#[derive(Default)]
#[must_use]
pub(super) struct Hope {
    pub(super) active: SmallVec<[Counted<ACTIVE>; 1]>,
    pub(super) coming: SmallVec<[Counted<COMING>; 1]>,
}

impl Afterwards {
    pub(super) fn append(&mut self, mut other: Self) {
        self.wakers.append(&mut other.wakers);
        self.resumed.append(&mut other.resumed);
        self.withdrawn.append(&mut other.withdrawn);
        self.freed.append(&mut other.freed);
        self.waiters.append(&mut other.waiters);
        self.stale.append(&mut other.stale);
        self.reports.append(&mut other.reports);
        self.rest.waste.append(&mut other.rest.waste);
        self.rest.hope.active.append(&mut other.rest.hope.active);
        self.rest.hope.coming.append(&mut other.rest.hope.coming);
    }

    /// Reports, and undoes what takes no time, so that nobody comes before that; queues and wakes, and then tells what is free. Returns
    /// what may take time to drop.
    pub(super) fn begin(
        self,
        report: impl Fn(&Report),
        queue: impl FnOnce(Vec<ToQueue>),
        withdraw: impl FnOnce(BTreeSet<RequestId>),
    ) -> Rest {
        let Self { wakers, resumed, withdrawn, freed, waiters, stale, reports, mut rest } = self;
        reports.iter().for_each(report);
        rest.waste.iter_mut().filter_map(|waste| waste.content.as_mut()).for_each(|content| content.undo_now());
        if !resumed.is_empty() {
            queue(resumed);
        }
        if !withdrawn.is_empty() {
            withdraw(withdrawn);
        }
        wakers.into_iter().for_each(Waker::wake);
        drop((freed, waiters, stale));
        rest
    }
}

impl From<Counted<ACTIVE>> for Hope {
    fn from(active: Counted<ACTIVE>) -> Self {
        Self { active: [active].into(), ..Self::default() }
    }
}

impl Hope {
    pub(super) fn is_none(&self) -> bool {
        self.active.is_empty() && self.coming.is_empty()
    }
}

impl Rest {
    /// Drops what takes no time to be dropped.
    pub(super) fn drop_light(&mut self) {
        self.waste.retain(|waste| !waste.is_light);
    }
}

/// What nobody wants: the work of a request that never began, or a result. The memory that is counted for it is given back with it.
/// Until then it is on its way out, which it is from the moment on at which its request is over.
pub(super) struct Waste {
    content: Option<Box<dyn Undoable>>,
    is_light: bool,
    _memory: Option<Reservation>,
    _leaving: Counted<LEAVING>,
}

impl Waste {
    pub(super) fn work<R: Outcome>(work: Work<R>, memory: Option<Reservation>, headcount: &Headcount) -> Self {
        let is_light = memory.as_ref().is_none_or(|memory| memory.amount() <= LIGHT_BYTES);
        Self { content: Some(Box::new(Plain(work))), is_light, _memory: memory, _leaving: headcount.count() }
    }

    /// A result: what it took from elsewhere is given back when it is dropped.
    pub(super) fn result<R: Outcome>(result: R, memory: Option<Reservation>, headcount: &Headcount) -> Self {
        let is_light = result.is_light();
        Self { content: Some(Box::new(Unwanted::new(result))), is_light, _memory: memory, _leaving: headcount.count() }
    }

    pub(super) fn other(content: impl Send + 'static, memory: Option<Reservation>, headcount: &Headcount) -> Self {
        Self { content: Some(Box::new(Plain(content))), is_light: false, _memory: memory, _leaving: headcount.count() }
    }
}

impl Drop for Waste {
    fn drop(&mut self) {
        drop_whole(self.content.take());
    }
}

/// Drops something. A panic of it is reported, and goes no further.
pub(super) fn drop_whole(content: impl Send) {
    if catch_unwind(AssertUnwindSafe(|| drop(content))).is_err() {
        tracing::error!("a request panicked as it was cleared away; please report this");
    }
}

/// What is dropped.
trait Undoable: Send {
    /// Undoes what takes no time to be undone.
    fn undo_now(&mut self) {}
}

/// What there is nothing to undo of.
struct Plain<T>(T);

impl<T: Send> Undoable for Plain<T> {}

impl<R: Outcome> Undoable for Unwanted<R> {
    fn undo_now(&mut self) {
        self.0.iter_mut().for_each(R::undo_now);
    }
}

/// A result that nobody takes. It is undone when it is dropped.
pub(super) struct Unwanted<R: Outcome>(Option<R>);

impl<R: Outcome> Unwanted<R> {
    pub(super) fn new(result: R) -> Self {
        Self(Some(result))
    }
}

impl<R: Outcome> Drop for Unwanted<R> {
    fn drop(&mut self) {
        self.undo_now();
        self.0.take().into_iter().for_each(R::undo);
    }
}
