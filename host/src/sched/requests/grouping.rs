//! Requests in groups: getting in, being canceled together, and how far they have come.

use super::{Phase, Requests};
use crate::error::{Error, Result};
use crate::sched::counters::Station;
use crate::sched::groups::{Event, Failure, GroupId};
use crate::sched::work::{Afterwards, Progress, RequestId, Stop};

impl Requests {
    /// Makes a request a member of a group. One whose result was taken counts as done.
    pub(crate) fn add_to_group(&mut self, group: GroupId, id: RequestId) -> Result<()> {
        if self.entry(id).is_some_and(|entry| entry.group().is_some()) {
            return Err(Error::EXIST);
        }
        if let Some(end) = self.groups.end(Some(group)) {
            return Err(end.error());
        }
        let Some(entry) = self.entry(id) else {
            self.settle(Some(group), id.value(), None);
            return Ok(());
        };
        entry.submission.manner.group = Some(group);
        let error = if let Phase::Done(Err(error)) = &entry.phase { Some(*error) } else { None };
        let (from, to, progress) = (None, entry.station, entry.steps.progress());
        let at_end = !matches!(to, Station::Queued | Station::Running);
        let failure = error.filter(|_| to == Station::Failed).map(|error| Failure { id: id.value(), error });
        self.groups.refer(Some(group));
        let progress = if at_end { progress } else { Progress::default() };
        self.groups.enter(Some(group), Event { from, to, failure, progress }, &mut Vec::new());
        Ok(())
    }

    /// Cancels every member, those of groups in it too. With `End::Closed` the group takes no more members.
    pub(crate) fn cancel_group(&mut self, group: GroupId, end: End) -> Afterwards {
        let mut after = Afterwards::default();
        self.stop_all(Stop::Canceled, |entry, groups| groups.is_in(entry.group(), group), &mut after);
        if end == End::Closed {
            self.groups.cancel(group, &mut after.wakers);
            after.wakers.append(&mut self.waiters);
        }
        after
    }

    /// How far the members have come together.
    pub(crate) fn group_progress(&self, group: GroupId) -> Progress {
        let mut progress = self.groups.progress(group);
        for (_, entry) in &self.entries {
            let in_flight = matches!(entry.station, Station::Queued | Station::Running);
            if in_flight && self.groups.is_in(entry.group(), group) {
                progress.add(entry.steps.progress());
            }
        }
        progress
    }
}

/// What is left of a group that is canceled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It takes no more members.
    Closed,
    /// It goes on without these members.
    Open,
}
