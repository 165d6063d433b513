//! Number of requests in each state: of a guest, of a group, and of an engine.

use super::work::Stop;

/// Number of requests in each state: `aiohost:aio/types.counters`. Exact at any time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that wait for a worker.
    pub queued: u64,
    /// Requests on a worker, and those that wait for a lock.
    pub running: u64,
    /// Requests that succeeded.
    pub done: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that were canceled.
    pub canceled: u64,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Station {
    Queued,
    Running,
    Done,
    Failed,
    Canceled,
}

impl Station {
    pub(super) fn is_end(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// Where a request ends.
    pub(super) fn end(stopped: Option<Stop>, failed: bool) -> Self {
        match (stopped, failed) {
            (Some(Stop::Canceled), _) => Self::Canceled,
            (None, false) => Self::Done,
            _ => Self::Failed,
        }
    }
}

impl Counters {
    /// Requests that are not at their end.
    pub(super) fn in_flight(&self) -> u64 {
        self.queued + self.running
    }

    pub(super) fn at(&mut self, station: Station) -> &mut u64 {
        match station {
            Station::Queued => &mut self.queued,
            Station::Running => &mut self.running,
            Station::Done => &mut self.done,
            Station::Failed => &mut self.failed,
            Station::Canceled => &mut self.canceled,
        }
    }

    /// A request goes on to another place, or comes in at it.
    pub(super) fn shift(&mut self, from: Option<Station>, to: Station) {
        if let Some(from) = from {
            *self.at(from) -= 1;
        }
        *self.at(to) += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        self.queued += other.queued;
        self.running += other.running;
        self.done += other.done;
        self.failed += other.failed;
        self.canceled += other.canceled;
    }
}
