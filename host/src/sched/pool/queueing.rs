//! What comes to the queue, and what is done once the lock of a guest's requests is free.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::running::InHand;
use super::{Item, Pool, Task};
use crate::sched::account::Account;
use crate::sched::afterwards::{Afterwards, Hope, Rest};
use crate::sched::ids::RequestId;
use crate::sched::lanes::Priority;
use crate::sched::outcome::{Help, Outcome};
use crate::sched::turns::Seat;
use crate::sched::work::ToQueue;

impl<R: Outcome> Pool<R> {
    /// Does what a lock was not to be held for. What may take time to drop is left to a worker of the guest.
    pub(in crate::sched) fn carry_out(self: &Arc<Self>, seat: Seat, account: &Account<R>, after: Afterwards) {
        let mut rest = self.begin(seat, account, after);
        rest.drop_light();
        if !rest.waste.is_empty()
            && let Some(left) = account.waste.try_take(1)
        {
            return self.push_all(seat, [(Priority::default(), Task::Clear(rest, left))], Instant::now());
        }
        self.clear(seat, account, rest);
    }

    /// The same on a worker, which may take its time.
    pub(super) fn carry_out_here(self: &Arc<Self>, seat: Seat, account: &Account<R>, after: Afterwards) {
        let rest = self.begin(seat, account, after);
        self.clear(seat, account, rest);
    }

    fn begin(self: &Arc<Self>, seat: Seat, account: &Account<R>, after: Afterwards) -> Rest {
        let queue = |resumed| self.push(seat, resumed, Instant::now());
        after.begin(|report| account.report(report), queue, |withdrawn| self.withdraw(seat, &withdrawn))
    }

    pub(super) fn clear(self: &Arc<Self>, seat: Seat, account: &Account<R>, rest: Rest) {
        let Rest { waste, hope } = rest;
        drop(waste);
        self.give_up(seat, account, hope);
    }

    /// Something is on its way no more. If nothing is, those who wait for memory are looked after.
    pub(super) fn give_up(self: &Arc<Self>, seat: Seat, account: &Account<R>, hope: Hope) {
        if hope.is_none() {
            return;
        }
        drop(hope);
        let after = account.look_after_the_hungry();
        drop(self.begin(seat, account, after));
    }

    pub(in crate::sched) fn push(self: &Arc<Self>, seat: Seat, requests: impl IntoIterator<Item = ToQueue>, now: Instant) {
        let task = |ToQueue { id, priority, begun }| (priority, Task::Request { id, begun });
        self.push_all(seat, requests.into_iter().map(task), now);
    }

    /// Takes requests out of a guest's queue that ended there.
    fn withdraw(&self, seat: Seat, ids: &BTreeSet<RequestId>) {
        let mut staff = self.staff();
        let ended = staff.turns.remove(seat, |(task, _)| matches!(task, Task::Request { id, .. } if ids.contains(id)));
        self.queued.store(staff.turns.queued(), Ordering::Relaxed);
        drop(staff);
        drop(ended);
    }

    /// Calls a worker to help with a request.
    pub(super) fn call_help(self: &Arc<Self>, request: InHand<R>, help: Help) {
        let (seat, priority, active) = (request.seat, request.priority, request.account.headcount.count());
        self.push_all(seat, [(priority, Task::Help(Box::new(request), help, active))], Instant::now());
    }

    fn push_all(self: &Arc<Self>, seat: Seat, tasks: impl IntoIterator<Item = (Priority, Task<R>)>, now: Instant) {
        let mut staff = self.staff();
        let refused: Vec<Item<R>> =
            tasks.into_iter().filter_map(|(priority, task)| staff.turns.push(seat, priority, (task, now))).collect();
        self.queued.store(staff.turns.queued(), Ordering::Relaxed);
        if staff.turns.has_work() {
            self.call_workers(&mut staff);
        }
        let is_substitute = staff.workers == 0 && !std::mem::replace(&mut staff.has_substitute, true);
        drop(staff);
        // What is dropped here is of a guest that is gone; its requests have been answered.
        drop(refused);
        if is_substitute {
            self.substitute();
        }
    }

    /// No thread can be had: what is queued is done here, so that it is answered.
    fn substitute(self: &Arc<Self>) {
        let mut staff = self.staff();
        while staff.workers == 0
            && let Some(next) = staff.turns.pop()
        {
            staff = self.serve_one(staff, next);
        }
        staff.has_substitute = false;
    }
}
