//! What was done: counts, times and bytes for each kind of request. Readable at any time, also while the guest runs.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::counters::Counters;
use super::work::Kind;

/// Kinds of request that there may be. 128: twice what there are.
const KINDS_MAX: usize = 128;

/// Statistics of all requests with one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestStats {
    /// Requests that ended, including canceled ones if they ran.
    pub count: u64,
    /// How many of them failed.
    pub errors: u64,
    /// How many were done on the guest's own thread, because they could not block.
    pub inline: u64,
    /// How long they waited for a worker, in total.
    pub queued: Duration,
    /// How long they ran on workers, in total. What was done inline is not timed.
    pub ran: Duration,
    /// Bytes read, written or copied.
    pub bytes: u64,
}

impl AddAssign<&Self> for RequestStats {
    fn add_assign(&mut self, more: &Self) {
        self.count += more.count;
        self.errors += more.errors;
        self.inline += more.inline;
        self.queued += more.queued;
        self.ran += more.ran;
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}

/// Statistics of one guest's requests by name: the names of the WIT package, and of functions of WASI.
pub type Stats = BTreeMap<&'static str, RequestStats>;

/// How a request went.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) kind: Kind,
    /// 0 for one that nobody has looked at: it was done before it needed a number.
    pub(crate) id: u64,
    pub(crate) failed: bool,
    pub(crate) bytes: u64,
    /// How long it waited for a worker and how long it ran there; none if it was done on the guest's own thread.
    pub(crate) times: Option<(Duration, Duration)>,
}

/// The statistics of one guest.
#[derive(Debug)]
pub(crate) struct Statistics {
    kinds: Box<[Totals]>,
    /// Requests that were done on the guest's own thread.
    inline_done: AtomicU64,
    inline_failed: AtomicU64,
}

#[derive(Debug, Default)]
struct Totals {
    name: OnceLock<&'static str>,
    /// Only the guest's own thread adds here, so it takes no locked instruction.
    inline: [AtomicU64; 3],
    /// Count, errors, bytes, and nanoseconds in the queue and on a worker.
    queued: [AtomicU64; 5],
}

impl Default for Statistics {
    fn default() -> Self {
        let kinds = std::iter::repeat_with(Totals::default).take(KINDS_MAX).collect();
        Self { kinds, inline_done: AtomicU64::new(0), inline_failed: AtomicU64::new(0) }
    }
}

impl Statistics {
    /// Every request passes here when it is at its end, wherever it was done.
    pub(super) fn add(&self, report: &Report) {
        let Report { kind, id, failed, bytes, times } = report;
        tracing::trace!(target: "aiohost::request", name = kind.name, id, failed, bytes, ?times, "done");
        let Some(totals) = self.kinds.get(report.kind.number) else { return };
        totals.name.get_or_init(|| report.kind.name);
        let added = [1, u64::from(report.failed), report.bytes];
        match report.times {
            None => std::iter::zip(&totals.inline, added).for_each(|(total, more)| add_alone(total, more)),
            Some((queued, ran)) => {
                let [count, failed, bytes] = added;
                let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                let added = [count, failed, bytes, nanoseconds(queued), nanoseconds(ran)];
                std::iter::zip(&totals.queued, added).for_each(|(total, more)| {
                    total.fetch_add(more, Ordering::Relaxed);
                });
            }
        }
    }

    /// Counts a request of the guest's own that was done on its thread.
    pub(super) fn count_inline(&self, failed: bool) {
        add_alone(if failed { &self.inline_failed } else { &self.inline_done }, 1);
    }

    pub(super) fn inline_counters(&self) -> Counters {
        let (done, failed) = (self.inline_done.load(Ordering::Relaxed), self.inline_failed.load(Ordering::Relaxed));
        Counters { done, failed, ..Counters::default() }
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = Stats::new();
        for totals in &self.kinds {
            let Some(name) = totals.name.get() else { continue };
            // A request of `aiohost:aio` and a function of WASI may have one name.
            *stats.entry(name).or_default() += &totals.stats();
        }
        stats
    }
}

impl Totals {
    fn stats(&self) -> RequestStats {
        let load = |total: &AtomicU64| total.load(Ordering::Relaxed);
        let [inline, inline_errors, inline_bytes] = self.inline.each_ref().map(load);
        let [count, errors, bytes, queued, ran] = self.queued.each_ref().map(load);
        RequestStats {
            count: inline + count,
            errors: inline_errors + errors,
            inline,
            queued: Duration::from_nanos(queued),
            ran: Duration::from_nanos(ran),
            bytes: inline_bytes.saturating_add(bytes),
        }
    }
}

/// Adds to a number that no other thread changes.
fn add_alone(total: &AtomicU64, more: u64) {
    total.store(total.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}
