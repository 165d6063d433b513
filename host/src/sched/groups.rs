//! The groups of one guest: which is in which, and what becomes of their members. Without threads and without a clock.
//!
//! Whatever happens to a member is entered for its group and for every group above that, so that the counts of a group are at
//! hand without looking at its members.

use std::task::{Poll, Waker};
use std::time::Instant;

use slab::Slab;
use wasmtime::component::{ComponentType, Lift, Lower};

use super::counters::{Counters, Station};
use super::lanes::Priority;
use super::work::{Progress, Stop};
use crate::error::{Error, Result};
use crate::limits::GROUP_DEPTH_MAX;

/// The number of a group. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupId {
    generation: u64,
    index: usize,
}

/// A request that failed: `aiohost:aio/types.failure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Failure {
    pub(crate) id: u64,
    pub(crate) error: Error,
}

/// What became of the members of a group: `aiohost:aio/types.group-outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct GroupOutcome {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) canceled: u64,
    #[component(name = "first-failure")]
    pub(crate) first_failure: Option<Failure>,
}

/// What happens to a member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) from: Option<Station>,
    pub(super) to: Station,
    pub(super) failure: Option<Failure>,
    /// How far it has come, when it is at its end.
    pub(super) progress: Progress,
}

#[derive(Debug)]
struct Group {
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
    first_failure: Option<Failure>,
    /// The guest has a handle of it.
    held: bool,
    /// Requests in the table and groups that refer to it.
    members: usize,
    /// Those who wait until fewer members are in flight than this.
    waiters: Vec<(u64, Waker)>,
}

/// The groups of one guest.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Slab<Group>,
    generation: u64,
}

impl Groups {
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
            members: 0,
            waiters: Vec::new(),
        });
        GroupId { generation, index }
    }

    fn get(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(id.index).filter(|group| group.generation == id.generation)
    }

    fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.groups.get_mut(id.index).filter(|group| group.generation == id.generation)
    }

    /// The group, the one it is in, and so on.
    fn chain(&self, id: Option<GroupId>) -> impl Iterator<Item = (GroupId, &Group)> {
        std::iter::successors(id.and_then(|id| Some((id, self.get(id)?))), |(_, group)| {
            let parent = group.parent?;
            Some((parent, self.get(parent)?))
        })
    }

    fn for_chain(&mut self, id: Option<GroupId>, mut each: impl FnMut(&mut Group)) {
        let mut next = id;
        while let Some(group) = next.and_then(|id| self.get_mut(id)) {
            next = group.parent;
            each(group);
        }
    }

    /// Whether a member of `id` is a member of `group`, directly or not.
    pub(super) fn is_in(&self, id: Option<GroupId>, group: GroupId) -> bool {
        self.chain(id).any(|(above, _)| above == group)
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

    /// Whether the bounds of the group and of those it is in let another member in; if not, `waker` is told when they may.
    pub(super) fn poll_place(&mut self, id: Option<GroupId>, waker: &Waker) -> Poll<()> {
        let full = |group: &Group| group.limit > 0 && group.counters.in_flight() >= group.limit;
        let Some((full, limit)) = self.chain(id).find(|(_, group)| full(group)).map(|(id, group)| (id, group.limit)) else {
            return Poll::Ready(());
        };
        self.wait(full, limit, waker);
        Poll::Pending
    }

    fn wait(&mut self, id: GroupId, below: u64, waker: &Waker) {
        let Some(group) = self.get_mut(id) else { return };
        if !group.waiters.iter().any(|(limit, other)| *limit == below && other.will_wake(waker)) {
            group.waiters.push((below, waker.clone()));
        }
    }

    /// Something becomes of a member of the group.
    pub(super) fn enter(&mut self, id: Option<GroupId>, event: Event, wakers: &mut Vec<Waker>) {
        self.for_chain(id, |group| {
            group.counters.shift(event.from, event.to);
            group.progress.add(event.progress);
            group.first_failure = group.first_failure.or(event.failure);
            let in_flight = group.counters.in_flight();
            wakers.extend(group.waiters.extract_if(.., |(below, _)| in_flight < *below).map(|(_, waker)| waker));
        });
    }

    /// A member was cut short by the deadline of a group.
    pub(super) fn cut(&mut self, id: GroupId) {
        if let Some(group) = self.get_mut(id) {
            group.cut = true;
        }
    }

    /// A request refers to the group from now on.
    pub(super) fn refer(&mut self, id: Option<GroupId>) {
        if let Some(group) = id.and_then(|id| self.get_mut(id)) {
            group.members += 1;
        }
    }

    /// A request is gone that referred to the group.
    pub(super) fn release(&mut self, id: Option<GroupId>) {
        let Some(id) = id else { return };
        if let Some(group) = self.get_mut(id) {
            group.members -= 1;
        }
        self.remove_if_done(id);
    }

    /// The guest has dropped its handle.
    pub(super) fn drop_handle(&mut self, id: GroupId) {
        if let Some(group) = self.get_mut(id) {
            group.held = false;
        }
        self.remove_if_done(id);
    }

    fn remove_if_done(&mut self, id: GroupId) {
        let mut next = Some(id);
        while let Some(id) = next.take() {
            if self.get(id).is_some_and(|group| !group.held && group.members == 0) {
                next = self.groups.remove(id.index).parent;
                if let Some(parent) = next.and_then(|id| self.get_mut(id)) {
                    parent.members -= 1;
                }
            }
        }
    }

    pub(super) fn set_limit(&mut self, id: GroupId, limit: u64, wakers: &mut Vec<Waker>) {
        let Some(group) = self.get_mut(id) else { return };
        group.limit = limit;
        // Whoever waits looks again under the new limit.
        wakers.extend(group.waiters.drain(..).map(|(_, waker)| waker));
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

    /// The group's time is up.
    pub(super) fn expire(&mut self, id: GroupId, wakers: &mut Vec<Waker>) {
        let Some(group) = self.get_mut(id) else { return };
        group.expired = true;
        wakers.extend(group.waiters.drain(..).map(|(_, waker)| waker));
    }

    /// The group, and those in it, take no more members.
    pub(super) fn cancel(&mut self, id: GroupId, wakers: &mut Vec<Waker>) {
        let below = self.groups.iter().map(|(index, group)| GroupId { generation: group.generation, index });
        let below: Vec<GroupId> = below.filter(|other| self.is_in(Some(*other), id)).collect();
        for id in below {
            if let Some(group) = self.get_mut(id) {
                group.canceled = true;
                wakers.extend(group.waiters.drain(..).map(|(_, waker)| waker));
            }
        }
    }

    /// Makes a group a member of another.
    pub(super) fn add_group(&mut self, id: GroupId, child: GroupId) -> Result<()> {
        let Some(group) = self.get(child) else { return Err(Error::INVALID) };
        if group.parent.is_some() {
            return Err(Error::EXIST);
        }
        let (counters, progress, failure) = (group.counters, group.progress, group.first_failure);
        if self.is_in(Some(id), child) {
            return Err(Error::DEADLOCK);
        }
        if let Some(end) = self.end(Some(id)) {
            return Err(end.error());
        }
        if self.chain(Some(id)).count() + self.height(child) > GROUP_DEPTH_MAX {
            return Err(Error::OVERFLOW);
        }
        self.for_chain(Some(id), |group| {
            group.counters.add(counters);
            group.progress.add(progress);
            group.first_failure = group.first_failure.or(failure);
        });
        self.refer(Some(id));
        if let Some(group) = self.get_mut(child) {
            group.parent = Some(id);
        }
        Ok(())
    }

    /// How many groups stand one in the other, from this one down.
    fn height(&self, id: GroupId) -> usize {
        let ids = self.groups.iter().map(|(index, group)| GroupId { generation: group.generation, index });
        let depth = |other| self.chain(Some(other)).position(|(above, _)| above == id).map(|steps| steps + 1);
        ids.filter_map(depth).max().unwrap_or(0)
    }

    /// What became of the members, once none is in flight; `waker` is told when that is so.
    pub(super) fn poll_outcome(&mut self, id: GroupId, waker: &Waker) -> Poll<Result<GroupOutcome>> {
        let Some(group) = self.get(id) else { return Poll::Ready(Err(Error::INVALID)) };
        if group.canceled {
            return Poll::Ready(Err(Error::CANCELED));
        }
        if group.counters.in_flight() > 0 {
            self.wait(id, 1, waker);
            return Poll::Pending;
        }
        if group.cut {
            return Poll::Ready(Err(Error::TIMED_OUT));
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
