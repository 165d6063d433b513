//! Calls that wait to be admitted: for a place in the queue, for one in their group, or for memory.

use std::task::Waker;

use super::{Call, CallId, Requests, Timer};
use crate::sched::afterwards::Afterwards;
use crate::sched::headcount::{ACTIVE, COMING};
use crate::sched::ids::GroupId;
use crate::sched::outcome::Outcome;
use crate::sched::work::{Manner, WhoWaits};

impl<R: Outcome> Requests<R> {
    /// A call waits from now on. It is told when its time is up, or that of its group or of the guest, or when its group takes no
    /// more members.
    pub(crate) fn open_call(&mut self, manner: &Manner, caller: WhoWaits, waker: &Waker) -> CallId {
        let id = CallId(self.next_call);
        self.next_call += 1;
        // The timers of the group and of the guest tell all calls.
        self.timers.extend(manner.deadline.map(|deadline| (deadline, Timer::Call(id))));
        self.groups.hold(manner.group);
        self.calls.insert(id, Call { waker: waker.clone(), manner: *manner, caller });
        id
    }

    /// The call waits on, as this waker. `group` is the one that it waited for.
    pub(crate) fn keep_call(&mut self, id: CallId, group: Option<GroupId>, waker: &Waker) -> Afterwards {
        let mut after = Afterwards::default();
        if let Some(call) = self.calls.get_mut(&id) {
            after.stale.push(std::mem::replace(&mut call.waker, waker.clone()));
        }
        self.leave_group(id, group, &mut after);
        after
    }

    /// Whether the bound of its group, or of one that this is in, keeps a call out; then it is told when there is a place.
    pub(crate) fn waits_for_group(&mut self, id: CallId, waker: &Waker) -> Option<GroupId> {
        let call = self.calls.get(&id)?;
        let (caller, group) = (call.caller, self.groups.full(call.manner.group)?);
        self.groups.join(group, id, caller, waker);
        Some(group)
    }

    fn leave_group(&mut self, id: CallId, group: Option<GroupId>, after: &mut Afterwards) {
        if let Some(group) = group {
            after.stale.extend(self.groups.leave(group, id, &mut after.wakers));
        }
    }

    /// Whether a call that waits for memory waits for something of its own guest that is on its way. If not, nothing may ever come
    /// of it.
    pub(crate) fn may_wait_for_memory(&mut self, id: CallId) -> bool {
        let is_task = self.calls.get(&id).is_some_and(|call| call.caller == WhoWaits::Task);
        let may_wait = self.headcount.number::<ACTIVE>() > 0 || (is_task && self.headcount.number::<COMING>() > 0);
        if may_wait {
            self.hungry_calls.insert(id);
        }
        may_wait
    }

    /// A call waits no more. `group` is the one that it waited for last.
    pub(crate) fn close_call(&mut self, id: CallId, group: Option<GroupId>) -> Afterwards {
        let mut after = Afterwards::default();
        self.hungry_calls.remove(&id);
        self.leave_group(id, group, &mut after);
        if let Some(Call { waker, manner, .. }) = self.calls.remove(&id) {
            after.stale.push(waker);
            if let Some(deadline) = manner.deadline {
                self.timers.remove(&(deadline, Timer::Call(id)));
            }
            let lost = self.groups.let_go(manner.group);
            self.remove_lost(lost);
        }
        after
    }

    /// Tells all of them to look again.
    pub(super) fn tell_calls(&self, after: &mut Afterwards) {
        after.wakers.extend(self.calls.values().map(|call| call.waker.clone()));
    }
}
