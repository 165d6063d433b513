//! What was done: counts, times and bytes for each request by name.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sched::Report;

/// How the requests of one name went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestStats {
    /// Requests that came to an end, canceled ones too if they ran.
    pub count: u64,
    /// How many of them failed.
    pub errors: u64,
    /// How many were done on the guest's own thread, because they could not block.
    pub inline: u64,
    /// How long they waited for a worker, together.
    pub queued: Duration,
    /// How long they ran on workers, together. What was done inline is not timed.
    pub ran: Duration,
    /// Bytes read, written or copied.
    pub bytes: u64,
}

/// How the requests of one guest went, by their names in the WIT package.
pub type Stats = BTreeMap<&'static str, RequestStats>;

/// The books of what workers did for one guest.
#[derive(Debug, Default)]
pub(crate) struct Observations {
    stats: Stats,
}

impl Observations {
    pub(crate) fn add(&mut self, report: &Report) {
        let stats = self.stats.entry(report.name).or_default();
        stats.count += 1;
        stats.errors += u64::from(report.failed);
        stats.queued += report.queued;
        stats.ran += report.ran;
        stats.bytes = stats.bytes.saturating_add(report.bytes);
    }

    pub(crate) fn stats(&self) -> Stats {
        self.stats.clone()
    }
}

/// The books of what was done inline. They need no lock, and a request finds its own by number: a name would take longer to
/// find than a cached read takes.
#[derive(Debug, Default)]
pub(crate) struct InlineCounts(Vec<InlineCount>);

#[derive(Clone, Copy, Debug, Default)]
struct InlineCount {
    name: &'static str,
    count: u64,
    errors: u64,
    bytes: u64,
}

impl InlineCounts {
    /// Enters a request that was done. `number` is the same for all requests of this name.
    pub(crate) fn add(&mut self, number: usize, name: &'static str, failed: bool, bytes: u64) {
        if self.0.len() <= number {
            self.0.resize(number + 1, InlineCount::default());
        }
        let entry = &mut self.0[number];
        entry.name = name;
        entry.count += 1;
        entry.errors += u64::from(failed);
        entry.bytes = entry.bytes.saturating_add(bytes);
    }

    pub(crate) fn add_to(&self, stats: &mut Stats) {
        for entry in self.0.iter().filter(|entry| entry.count > 0) {
            let stats = stats.entry(entry.name).or_default();
            stats.count += entry.count;
            stats.errors += entry.errors;
            stats.inline += entry.count;
            stats.bytes = stats.bytes.saturating_add(entry.bytes);
        }
    }
}
