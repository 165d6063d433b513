//! What streams and listings have in common: they make requests by themselves, and keep what they need for that.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;

use crate::arguments::Held;
use crate::budget::Reservation;
use crate::ctx::Caller;
use crate::door::{Passed, Request, Terms, enter_parsed};
use crate::error::Result;
use crate::output::{Answer, Member};
use crate::sched::Manner;

/// The guest whose stream it is, and on which terms it makes requests.
#[derive(Clone)]
pub(crate) struct Asker {
    member: Arc<Member>,
    own_thread: bool,
    terms: Terms,
}

/// A request that a worker is at.
pub(crate) struct Step<O>(Pin<Box<dyn Future<Output = Result<O>> + Send>>);

/// A request that was begun.
pub(crate) enum Begun<O> {
    /// What it came to, and the memory for that.
    Done(Result<O>, Reservation),
    Step(Step<O>),
}

impl Asker {
    pub(crate) fn new(caller: Caller<'_>, terms: Terms) -> Self {
        Self { member: Arc::clone(caller.member), own_thread: caller.own_thread, terms }
    }

    /// Takes a request through the door.
    pub(crate) fn begin<A: Held + Send + 'static, O: Answer>(&self, request: Request<A, O>, arguments: A) -> Begun<O> {
        self.begin_on(self.terms, request, arguments)
    }

    /// The same on other terms.
    pub(crate) fn begin_on<A: Held + Send + 'static, O: Answer>(
        &self,
        terms: Terms,
        request: Request<A, O>,
        arguments: A,
    ) -> Begun<O> {
        let caller = Caller { member: &self.member, own_thread: self.own_thread };
        match enter_parsed(caller, request, Ok(arguments), Manner::default(), terms) {
            Passed::Done(result, memory) => Begun::Done(result, memory),
            Passed::ToQueue(queued) => Begun::Step(Step(Box::pin(queued.run()))),
        }
    }

    /// What came of a step goes back on the books, where it was until just now: also where others were faster.
    pub(crate) fn memory(&self, bytes: usize) -> Reservation {
        let mut memory = self.member.memory().nothing();
        memory.count(bytes);
        memory
    }
}

impl<O> Begun<O> {
    pub(crate) async fn done(self) -> Result<O> {
        match self {
            Self::Done(result, _) => result,
            Self::Step(mut step) => step.done().await,
        }
    }
}

impl<O> Step<O> {
    /// What it came to, if it is done. A step that was never asked is begun by this.
    pub(crate) fn look(&mut self) -> Option<Result<O>> {
        self.0.as_mut().now_or_never()
    }

    pub(crate) async fn done(&mut self) -> Result<O> {
        self.0.as_mut().await
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<O>> {
        self.0.as_mut().poll(cx)
    }
}
