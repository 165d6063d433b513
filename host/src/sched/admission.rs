//! The one step by which a request gets in: it takes its place and its memory before anything is queued, and waits for them if it
//! is to.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::account::Account;
use super::ids::CallId;
use super::ids::GroupId;
use super::membership::Membership;
use super::outcome::{Outcome, Refusal};
use super::work::{Admission, Manner, Submission, WhenFull, WhoWaits};
use crate::budget::{Budget, Reservation, Waiter};

/// A call on its way in. Dropping it gives its place among those that wait to the next.
pub(crate) struct Entrance<R: Outcome> {
    membership: Arc<Membership<R>>,
    manner: Manner,
    /// Whether it takes a place of its own kind: it gives back what others wait for.
    is_exit: bool,
    /// Whether it is a request of the guest's own, which has a deadline and a group.
    is_counted: bool,
    caller: WhoWaits,
    /// Bytes that it has taken already.
    held: Option<Reservation>,
    /// Bytes that it still needs.
    bytes: usize,
    call: Option<Call>,
}

/// A call that waits.
struct Call {
    id: CallId,
    /// Where it stands: in the queues of what it was found to lack since it was asked last.
    queues: Queues,
    _seat: Reservation,
}

#[derive(Default)]
struct Queues {
    group: Option<GroupId>,
    place: Option<Waiter>,
    memory: Option<Waiter>,
}

/// What keeps a call out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lack {
    /// A place in its group.
    Group,
    /// A place in the queue.
    Place,
    Memory,
}

/// Why a call is not in.
enum Out {
    Lacks(Lack),
    Refused(Refusal),
}

impl<R: Outcome> Entrance<R> {
    /// `held` is what its arguments hold, if any number of calls can wait beside each other; `bytes` is what it needs beside that.
    pub(crate) fn new(
        membership: &Arc<Membership<R>>,
        submission: &Submission,
        held: Option<Reservation>,
        bytes: usize,
    ) -> Self {
        Self {
            membership: Arc::clone(membership),
            manner: submission.manner,
            is_exit: false,
            is_counted: submission.is_counted(),
            caller: if held.is_some() { WhoWaits::Task } else { WhoWaits::Guest },
            held,
            bytes,
            call: None,
        }
    }

    /// It is to wait again: what it was admitted with goes back, but for what its arguments hold.
    pub(crate) fn take_back(&mut self, admission: Admission) {
        let Admission { place, mut memory, .. } = admission;
        drop(place);
        if self.caller == WhoWaits::Task {
            memory.shrink_to(memory.amount().saturating_sub(self.bytes));
            self.held = Some(memory);
        }
    }

    /// It will not be admitted. Returns the memory of its arguments; none if they are not on the books and there is no room.
    pub(crate) fn give_up(&mut self) -> Option<Reservation> {
        self.held.take().or_else(|| self.account().budgets.memory.try_take(self.bytes))
    }

    /// Lets it in while others wait for a place: it gives back what these wait for. It waits only for others of its kind.
    pub(crate) fn let_in(mut self) -> Self {
        self.is_exit = true;
        self
    }

    /// Ready when it is admitted, or refused.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<Result<Admission, Refusal>> {
        let lack = match self.enter() {
            Ok(admission) => return Poll::Ready(Ok(admission)),
            Err(Out::Refused(refusal)) => return Poll::Ready(Err(refusal)),
            Err(Out::Lacks(lack)) => lack,
        };
        if self.manner.when_full == WhenFull::Fail || self.is_too_large() {
            return Poll::Ready(Err(Refusal::Full));
        }
        self.wait(lack, cx.waker())
    }

    fn account(&self) -> &Account<R> {
        self.membership.account()
    }

    /// Where it takes its place.
    fn places(&self) -> &Budget {
        if self.is_exit { &self.account().exits } else { &self.account().budgets.places }
    }

    fn is_too_large(&self) -> bool {
        let held = self.held.as_ref().map_or(0, Reservation::amount);
        held.saturating_add(self.bytes) > self.account().budgets.memory.max()
    }

    /// Takes all that it needs, or nothing.
    fn enter(&mut self) -> Result<Admission, Out> {
        if self.is_counted
            && let Some(refusal) = self.membership.refusal(&self.manner)
        {
            return Err(Out::Refused(refusal));
        }
        let group = self.manner.group;
        if group.is_some() && self.account().requests().groups.full(group).is_some() {
            return Err(Out::Lacks(Lack::Group));
        }
        let place = self.places().try_take(1).ok_or(Out::Lacks(Lack::Place))?;
        let memory = match self.held.take() {
            Some(mut held) => {
                if !held.grow(self.bytes) {
                    self.held = Some(held);
                    return Err(Out::Lacks(Lack::Memory));
                }
                held
            }
            None => self.account().budgets.memory.try_take(self.bytes).ok_or(Out::Lacks(Lack::Memory))?,
        };
        Ok(Admission { place, memory, caller: self.caller })
    }

    /// Stands in the queue of each thing that it is found to lack.
    fn wait(&mut self, mut lack: Lack, waker: &Waker) -> Poll<Result<Admission, Refusal>> {
        let Some((id, before)) = self.open_call(waker) else { return Poll::Ready(Err(Refusal::Full)) };
        let mut queues = Queues::default();
        let entered = loop {
            if queues.has(lack) {
                break Err(Out::Lacks(lack));
            }
            self.stand(id, lack, &mut queues, waker);
            // What was given back before it stood there woke nobody.
            match self.enter() {
                Err(Out::Lacks(next)) => lack = next,
                entered => break entered,
            }
        };
        if let Some(call) = &mut self.call {
            call.queues = queues;
        }
        drop(before);
        let entered = match entered {
            Err(Out::Lacks(Lack::Memory)) if !self.membership.with(|requests| requests.may_wait_for_memory(id)) => {
                // The last one that might give some back may have done so just now.
                match self.enter() {
                    Err(Out::Lacks(_)) => Err(Out::Refused(Refusal::Full)),
                    entered => entered,
                }
            }
            entered => entered,
        };
        match entered {
            Ok(admission) => Poll::Ready(Ok(admission)),
            Err(Out::Refused(refusal)) => Poll::Ready(Err(refusal)),
            Err(Out::Lacks(_)) => Poll::Pending,
        }
    }

    fn stand(&self, id: CallId, lack: Lack, queues: &mut Queues, waker: &Waker) {
        match lack {
            Lack::Group => queues.group = self.membership.with(|requests| requests.waits_for_group(id, waker)),
            Lack::Place => queues.place = Some(self.wait_for(self.places(), 1, waker)),
            Lack::Memory => queues.memory = Some(self.wait_for(&self.account().budgets.memory, self.bytes, waker)),
        }
    }

    /// What tasks of the guest are told of they take only while the guest goes on, which it does not if it waits itself.
    fn wait_for(&self, budget: &Budget, amount: usize, waker: &Waker) -> Waiter {
        match self.caller {
            WhoWaits::Guest => budget.wait_alone(amount, waker),
            WhoWaits::Task => budget.wait(amount, waker),
        }
    }

    /// It waits no more for the time being, and is behind the others when it is asked again.
    pub(crate) fn step_back(&mut self) {
        if let Some(Call { id, queues, _seat }) = self.call.take() {
            self.membership.carry_out(|requests| requests.close_call(id, queues.group));
        }
    }

    /// Its place among those that wait, and the queues that it stood in; none if too many wait.
    fn open_call(&mut self, waker: &Waker) -> Option<(CallId, Queues)> {
        if let Some(call) = &mut self.call {
            let (id, before) = (call.id, std::mem::take(&mut call.queues));
            self.membership.carry_out(|requests| requests.keep_call(id, before.group, waker));
            return Some((id, before));
        }
        let seat = self.account().budgets.calls.try_take(1)?;
        let id = self.membership.with(|requests| requests.open_call(&self.manner, self.caller, waker));
        self.call = Some(Call { id, queues: Queues::default(), _seat: seat });
        Some((id, Queues::default()))
    }
}

impl Queues {
    fn has(&self, lack: Lack) -> bool {
        match lack {
            Lack::Group => self.group.is_some(),
            Lack::Place => self.place.is_some(),
            Lack::Memory => self.memory.is_some(),
        }
    }
}

impl<R: Outcome> Drop for Entrance<R> {
    fn drop(&mut self) {
        self.step_back();
    }
}
