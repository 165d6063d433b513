//! What streams of files have in common: they make requests by themselves, and keep what they need for that.

use std::pin::Pin;
use std::sync::Arc;

use futures::FutureExt;

use crate::arguments::Held;
use crate::budget::Reservation;
use crate::ctx::Caller;
use crate::door::{Passed, Request, Terms, enter_parsed};
use crate::error::Result;
use crate::output::{Answer, Member};
use crate::sched::Manner;

/// The guest whose stream it is.
pub(super) struct Asker {
    member: Arc<Member>,
    own_thread: bool,
}

/// A request that a worker is at.
pub(super) struct Step<O>(Pin<Box<dyn Future<Output = Result<O>> + Send>>);

/// A request that was begun.
pub(super) enum Begun<O> {
    /// What it came to, and the memory for that.
    Done(Result<O>, Reservation),
    Step(Step<O>),
}

impl Asker {
    pub(super) fn new(caller: Caller<'_>) -> Self {
        Self { member: Arc::clone(caller.member), own_thread: caller.own_thread }
    }

    /// Takes a request through the door.
    pub(super) fn begin<A: Held + Send + 'static, O: Answer>(
        &self,
        request: Request<A, O>,
        arguments: A,
        terms: Terms,
    ) -> Begun<O> {
        let caller = Caller { member: &self.member, own_thread: self.own_thread };
        match enter_parsed(caller, request, Ok(arguments), Manner::default(), terms) {
            Passed::Done(result, memory) => Begun::Done(result, memory),
            Passed::ToQueue(queued) => Begun::Step(Step(Box::pin(queued.run()))),
        }
    }

    /// What came of a step goes back on the books, where it was until just now: also where others were faster.
    pub(super) fn memory(&self, bytes: usize) -> Reservation {
        let mut memory = self.member.memory().nothing();
        memory.count(bytes);
        memory
    }
}

impl<O> Step<O> {
    /// What it came to, if it is done. A step that was never asked is begun by this.
    pub(super) fn look(&mut self) -> Option<Result<O>> {
        self.0.as_mut().now_or_never()
    }

    pub(super) async fn done(&mut self) -> Result<O> {
        self.0.as_mut().await
    }
}
