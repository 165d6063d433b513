//! The groups of one guest: which is in which, and what becomes of their members. Without threads and without a clock.
//!
//! Whatever happens to a member is counted for its group and for every group above that, so that the counts of a group are at
//! hand without looking at its members.

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Poll, Waker};
use std::time::Instant;

use slab::Slab;

use super::afterwards::Wakers;
use super::counters::{Counters, Station};
use super::ids::CallId;
use super::ids::GroupId;
use super::ids::RequestId;
use super::lanes::Priority;
use super::outcome::Refusal;
use super::work::{Progress, Stop, WhoWaits};
use crate::limits::GROUP_DEPTH_MAX;

/// A request that failed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed<F> {
    pub(crate) id: u64,
    pub(crate) failure: F,
}

/// What became of the members of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupOutcome<F> {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) canceled: u64,
    pub(crate) first_failure: Option<Failed<F>>,
}

/// What happens to a member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event<F> {
    pub(super) from: Option<Station>,
    pub(super) to: Station,
    pub(super) failure: Option<Failed<F>>,
    /// How far it has come, when it is at its end.
    pub(super) progress: Progress,
}

#[derive(Debug)]
struct Group<F> {
    generation: u64,
    parent: Option<GroupId>,
    limit: u64,
    priority: Option<Priority>,
    deadline: Option<Instant>,
    canceled: bool,
    expired: bool,
    /// The deadline has cut a member short.
    cut: bool,
    counters: Counters,
    progress: Progress,
    first_failure: Option<Failed<F>>,
    /// The guest has a handle of it.
    held: bool,
    /// Requests in the table that refer to it.
    members: BTreeSet<RequestId>,
    /// Groups that are in it.
    children: BTreeSet<GroupId>,
    /// Calls that wait to be admitted to it, whatever for.
    callers: usize,
    /// Those who wait until fewer members are in flight than this.
    waiters: Vec<(u64, Waker)>,
    /// Calls that wait for a place in it, in their order.
    calls: BTreeMap<CallId, Waker>,
    /// The one among them that its guest waits for: the others do not take what they are told of before that has gone on.
    alone: Option<CallId>,
}

/// The groups of one guest.
#[derive(Debug)]
pub(super) struct Groups<F> {
    groups: Slab<Group<F>>,
    generation: u64,
}

/// The timer of a group that is gone.
pub(super) type LostTimer = (Instant, GroupId);

impl<F> Default for Groups<F> {
    fn default() -> Self {
        Self { groups: Slab::new(), generation: 0 }
    }
}

impl<F: Copy> Groups<F> {
    pub(super) fn create(&mut self) -> GroupId {
        self.generation += 1;
        let generation = self.generation;
        let index = self.groups.insert(Group {
            generation,
            parent: None,
            limit: 0,
            priority: None,
            deadline: None,
            canceled: false,
            expired: false,
            cut: false,
            counters: Counters::default(),
            progress: Progress::default(),
            first_failure: None,
            held: true,
            members: BTreeSet::new(),
            children: BTreeSet::new(),
            callers: 0,
            waiters: Vec::new(),
            calls: BTreeMap::new(),
            alone: None,
        });
        GroupId { generation, index }
    }

    fn get(&self, id: GroupId) -> Option<&Group<F>> {
        self.groups.get(id.index).filter(|group| group.generation == id.generation)
    }

    fn get_mut(&mut self, id: GroupId) -> Option<&mut Group<F>> {
        self.groups.get_mut(id.index).filter(|group| group.generation == id.generation)
    }

    /// The group, the one it is in, and so on.
    fn chain(&self, id: Option<GroupId>) -> impl Iterator<Item = (GroupId, &Group<F>)> {
        std::iter::successors(id.and_then(|id| Some((id, self.get(id)?))), |(_, group)| {
            let parent = group.parent?;
            Some((parent, self.get(parent)?))
        })
    }

    fn for_chain(&mut self, id: Option<GroupId>, mut each: impl FnMut(&mut Group<F>)) {
        let mut next = id;
        while let Some(group) = next.and_then(|id| self.get_mut(id)) {
            next = group.parent;
            each(group);
        }
    }

    /// How many there are, held or not.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether a member of `id` is a member of `group`, directly or not.
    pub(super) fn is_in(&self, id: Option<GroupId>, group: GroupId) -> bool {
        self.chain(id).any(|(above, _)| above == group)
    }

    /// The group and every group in it, directly or not.
    pub(super) fn tree(&self, id: GroupId) -> Vec<GroupId> {
        let mut found = vec![id];
        let mut next = 0;
        while let Some(id) = found.get(next) {
            next += 1;
            if let Some(group) = self.get(*id) {
                found.extend(&group.children);
            }
        }
        found
    }

    /// The requests in the table that are in the group, directly or not.
    pub(super) fn members(&self, id: GroupId) -> impl Iterator<Item = RequestId> {
        self.tree(id).into_iter().filter_map(|id| self.get(id)).flat_map(|group| group.members.iter().copied())
    }

    pub(super) fn priority(&self, id: Option<GroupId>) -> Option<Priority> {
        self.chain(id).find_map(|(_, group)| group.priority)
    }

    /// The first deadline of the group and those it is in.
    pub(super) fn deadline(&self, id: Option<GroupId>) -> Option<Instant> {
        self.chain(id).filter_map(|(_, group)| group.deadline).min()
    }

    /// Why the group takes no more members, if it does not.
    pub(super) fn end(&self, id: Option<GroupId>) -> Option<Stop> {
        self.chain(id).find_map(|(_, group)| {
            if group.canceled {
                Some(Stop::Canceled)
            } else if group.expired {
                Some(Stop::TimedOut)
            } else {
                None
            }
        })
    }

    /// The group, of this one and those it is in, whose bound lets no other member in.
    pub(super) fn full(&self, id: Option<GroupId>) -> Option<GroupId> {
        self.chain(id).find(|(_, group)| group.room() == Some(0)).map(|(id, _)| id)
    }

    /// A call refers to the group from now on, so that it is told what becomes of that.
    pub(super) fn hold(&mut self, id: Option<GroupId>) {
        if let Some(group) = id.and_then(|id| self.get_mut(id)) {
            group.callers += 1;
        }
    }

    /// A call refers to the group no more.
    pub(super) fn let_go(&mut self, id: Option<GroupId>) -> Vec<LostTimer> {
        let Some(id) = id else { return Vec::new() };
        if let Some(group) = self.get_mut(id) {
            group.callers -= 1;
        }
        self.remove_if_done(id)
    }

    /// A call waits for a place in the group.
    pub(super) fn join(&mut self, id: GroupId, call: CallId, caller: WhoWaits, waker: &Waker) {
        if let Some(group) = self.get_mut(id) {
            group.calls.insert(call, waker.clone());
            if caller == WhoWaits::Guest {
                group.alone = Some(call);
            }
        }
    }

    /// A call does not wait any more, and its waker is returned. If it was told of a place that it may not have taken, the next one
    /// is told.
    pub(super) fn leave(&mut self, id: GroupId, call: CallId, wakers: &mut Wakers) -> Option<Waker> {
        let group = self.get_mut(id)?;
        let waker = group.calls.remove(&call);
        if waker.is_none() {
            group.call(wakers);
        }
        waker
    }

    fn wait(&mut self, id: GroupId, below: u64, waker: &Waker) {
        let Some(group) = self.get_mut(id) else { return };
        if !group.waiters.iter().any(|(limit, other)| *limit == below && other.will_wake(waker)) {
            group.waiters.push((below, waker.clone()));
        }
    }

    /// Something becomes of a member of the group. If that is its end, those who wait have to be told.
    pub(super) fn enter(&mut self, id: Option<GroupId>, event: Event<F>) {
        self.for_chain(id, |group| {
            group.counters.shift(event.from, event.to);
            group.progress.add(event.progress);
            group.first_failure = group.first_failure.or(event.failure);
        });
    }

    /// A member was in flight and is no more: tells those who wait for that.
    pub(super) fn tell(&mut self, id: Option<GroupId>, wakers: &mut Wakers) {
        self.for_chain(id, |group| {
            let in_flight = group.counters.in_flight();
            wakers.extend(group.waiters.extract_if(.., |(below, _)| in_flight < *below).map(|(_, waker)| waker));
            group.call(wakers);
        });
    }

    /// A member was cut short by the deadline of a group.
    pub(super) fn cut(&mut self, id: GroupId) {
        if let Some(group) = self.get_mut(id) {
            group.cut = true;
        }
    }

    /// A member came too late for the deadline of a group, which cuts it short as any other.
    pub(super) fn cut_late(&mut self, id: Option<GroupId>, now: Instant) {
        self.for_chain(id, |group| group.cut |= group.expired || group.deadline.is_some_and(|deadline| deadline <= now));
    }

    /// A request refers to the group from now on.
    pub(super) fn refer(&mut self, id: Option<GroupId>, member: RequestId) {
        if let Some(group) = id.and_then(|id| self.get_mut(id)) {
            group.members.insert(member);
        }
    }

    /// A request is gone that referred to the group.
    pub(super) fn release(&mut self, id: Option<GroupId>, member: RequestId) -> Vec<LostTimer> {
        let Some(id) = id else { return Vec::new() };
        if let Some(group) = self.get_mut(id) {
            group.members.remove(&member);
        }
        self.remove_if_done(id)
    }

    /// The guest has dropped its handle.
    pub(super) fn drop_handle(&mut self, id: GroupId) -> Vec<LostTimer> {
        if let Some(group) = self.get_mut(id) {
            group.held = false;
        }
        self.remove_if_done(id)
    }

    /// Removes a group that nothing refers to, and so on above it. What it was waiting for goes with it.
    fn remove_if_done(&mut self, id: GroupId) -> Vec<LostTimer> {
        let mut lost = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next.take() {
            if self.get(id).is_some_and(Group::is_done) {
                let group = self.groups.remove(id.index);
                lost.extend(group.deadline.map(|deadline| (deadline, id)));
                next = group.parent;
                if let Some(parent) = next.and_then(|id| self.get_mut(id)) {
                    parent.children.remove(&id);
                }
            }
        }
        lost
    }

    pub(super) fn set_limit(&mut self, id: GroupId, limit: u64, wakers: &mut Wakers) {
        let Some(group) = self.get_mut(id) else { return };
        group.limit = limit;
        // Whoever waits looks again under the new limit.
        group.call(wakers);
    }

    pub(super) fn set_priority(&mut self, id: GroupId, priority: Priority) {
        if let Some(group) = self.get_mut(id) {
            group.priority = Some(priority);
        }
    }

    /// Sets the deadline and returns the one before.
    pub(super) fn set_deadline(&mut self, id: GroupId, deadline: Option<Instant>) -> Option<Instant> {
        let group = self.get_mut(id)?;
        (group.expired, group.cut) = (false, false);
        std::mem::replace(&mut group.deadline, deadline)
    }

    pub(super) fn has_expired(&self, id: GroupId) -> bool {
        self.get(id).is_none_or(|group| group.expired)
    }

    /// The group's time is up.
    pub(super) fn expire(&mut self, id: GroupId, wakers: &mut Wakers) {
        let Some(group) = self.get_mut(id) else { return };
        group.expired = true;
        group.dismiss(wakers);
    }

    /// The group, and those in it, take no more members.
    pub(super) fn cancel(&mut self, id: GroupId, wakers: &mut Wakers) {
        for id in self.tree(id) {
            if let Some(group) = self.get_mut(id) {
                group.canceled = true;
                group.dismiss(wakers);
            }
        }
    }

    /// Makes a group a member of another.
    pub(super) fn add_group(&mut self, id: GroupId, child: GroupId) -> Result<(), Refusal> {
        let Some(group) = self.get(child) else { return Err(Refusal::NoGroup) };
        if group.parent.is_some() {
            return Err(Refusal::Member);
        }
        let (counters, progress, failure) = (group.counters, group.progress, group.first_failure);
        if self.is_in(Some(id), child) {
            return Err(Refusal::Cycle);
        }
        if let Some(end) = self.end(Some(id)) {
            return Err(end.refusal());
        }
        if self.chain(Some(id)).count() + self.height(child) > GROUP_DEPTH_MAX {
            return Err(Refusal::TooDeep);
        }
        self.for_chain(Some(id), |group| {
            group.counters.add(counters);
            group.progress.add(progress);
            group.first_failure = group.first_failure.or(failure);
        });
        if let Some(group) = self.get_mut(id) {
            group.children.insert(child);
        }
        if let Some(group) = self.get_mut(child) {
            group.parent = Some(id);
        }
        Ok(())
    }

    /// How deeply groups are nested, from this one down.
    fn height(&self, id: GroupId) -> usize {
        let depth = |other: &GroupId| self.chain(Some(*other)).position(|(above, _)| above == id).map(|steps| steps + 1);
        self.tree(id).iter().filter_map(depth).max().unwrap_or(0)
    }

    /// What became of the members, once none is in flight; `waker` is told when that is so.
    pub(super) fn poll_outcome(&mut self, id: GroupId, waker: &Waker) -> Poll<Result<GroupOutcome<F>, Refusal>> {
        let Some(group) = self.get(id) else { return Poll::Ready(Err(Refusal::NoGroup)) };
        if group.canceled {
            return Poll::Ready(Err(Refusal::Canceled));
        }
        if group.counters.in_flight() > 0 {
            self.wait(id, 1, waker);
            return Poll::Pending;
        }
        if group.cut {
            return Poll::Ready(Err(Refusal::TimedOut));
        }
        let Counters { done, failed, canceled, .. } = group.counters;
        Poll::Ready(Ok(GroupOutcome { done, failed, canceled, first_failure: group.first_failure }))
    }

    /// How many members are in flight, once these are fewer than `below`; `waker` is told when that is so.
    pub(super) fn poll_below(&mut self, id: GroupId, below: u64, waker: &Waker) -> Poll<u64> {
        let Some(group) = self.get(id) else { return Poll::Ready(0) };
        let in_flight = group.counters.in_flight();
        if in_flight < below || group.canceled {
            return Poll::Ready(in_flight);
        }
        self.wait(id, below, waker);
        Poll::Pending
    }

    pub(super) fn counters(&self, id: GroupId) -> Counters {
        self.get(id).map_or_else(Counters::default, |group| group.counters)
    }

    /// How far the members have come that are at their end.
    pub(super) fn progress(&self, id: GroupId) -> Progress {
        self.get(id).map_or_else(Progress::default, |group| group.progress)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

impl<F> Group<F> {
    /// How many members more it takes; none if it has no bound.
    fn room(&self) -> Option<u64> {
        (self.limit > 0).then(|| self.limit.saturating_sub(self.counters.in_flight()))
    }

    fn is_done(&self) -> bool {
        !self.held && self.callers == 0 && self.members.is_empty() && self.children.is_empty()
    }

    /// Tells as many calls as there is room for, and the one that holds up the others if there is any.
    fn call(&mut self, wakers: &mut Wakers) {
        let mut room = self.room().unwrap_or(u64::MAX);
        if room > 0 {
            wakers.extend(self.alone.take().and_then(|call| self.calls.remove(&call)));
        }
        while room > 0
            && let Some((_, waker)) = self.calls.pop_first()
        {
            wakers.push(waker);
            room -= 1;
        }
    }

    /// Tells all who wait: it takes no more members.
    fn dismiss(&mut self, wakers: &mut Wakers) {
        wakers.extend(self.waiters.drain(..).map(|(_, waker)| waker));
        wakers.extend(std::mem::take(&mut self.calls).into_values());
    }
}
