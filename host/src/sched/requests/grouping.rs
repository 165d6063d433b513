//! Requests in groups: getting in, being canceled together, and how far they have come.

use super::{Phase, Requests};
use crate::sched::afterwards::Afterwards;
use crate::sched::counters::Station;
use crate::sched::groups::{Event, Failed};
use crate::sched::ids::GroupId;
use crate::sched::ids::RequestId;
use crate::sched::outcome::{Outcome, Refusal};
use crate::sched::work::{Progress, Stop};

impl<R: Outcome> Requests<R> {
    /// Makes a request a member of a group. One whose result was taken counts as done.
    pub(crate) fn add_to_group(&mut self, group: GroupId, id: RequestId) -> Result<(), Refusal> {
        if self.entry(id).is_some_and(|entry| entry.group().is_some()) {
            return Err(Refusal::Member);
        }
        if let Some(end) = self.groups.end(Some(group)) {
            return Err(end.refusal());
        }
        let Some(entry) = self.entry(id) else {
            self.settle(Some(group), id.value(), None);
            return Ok(());
        };
        entry.submission.manner.group = Some(group);
        let failure = if let Phase::Done(result) = &entry.phase { result.failure() } else { None };
        let (to, progress) = (entry.station, entry.steps.progress());
        let failure = failure.filter(|_| to == Station::Failed).map(|failure| Failed { id: id.value(), failure });
        self.groups.refer(Some(group), id);
        let progress = if to.is_end() { progress } else { Progress::default() };
        self.groups.enter(Some(group), Event { from: None, to, failure, progress });
        Ok(())
    }

    /// Cancels every member, those of groups in it too. With `End::Closed` the group takes no more members.
    pub(crate) fn cancel_group(&mut self, group: GroupId, end: End) -> Afterwards {
        let mut after = Afterwards::default();
        let ids: Vec<RequestId> = self.groups.members(group).collect();
        for id in ids {
            self.stop(id, Stop::Canceled, &mut after);
        }
        if end == End::Closed {
            self.groups.cancel(group, &mut after.wakers);
            self.tell_calls(&mut after);
            after.wakers.extend(self.waiters.drain(..));
        }
        after
    }

    /// How far the members have come together.
    pub(crate) fn group_progress(&self, group: GroupId) -> Progress {
        let mut progress = self.groups.progress(group);
        for id in self.groups.members(group) {
            if let Some(entry) = self.entries.get(id.index())
                && !entry.station.is_end()
            {
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
