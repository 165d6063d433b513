//! What streams and listings have in common: they make requests by themselves, and keep what they need for that.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::FutureExt;

use crate::arguments::Held;
use crate::budget::Reservation;
use crate::ctx::Caller;
use crate::door::{Passed, Queued, Request, Terms, enter_parsed};
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

/// A request that was not done at once.
pub(crate) enum CallStep<O> {
    /// It is not let in yet.
    Waits(Box<Queued>),
    /// A worker has it, or will.
    Runs(Pin<Box<dyn Future<Output = Result<O>> + Send>>),
}

/// A request that was begun.
pub(crate) enum Begun<O> {
    /// What it came to, and the memory for that.
    Done(Result<O>, Reservation),
    Step(CallStep<O>),
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
            Passed::ToQueue(queued) => Begun::Step(CallStep::Waits(Box::new(queued))),
        }
    }

    /// Counts the result of a step again, as it was until just now, even if others have taken the room meanwhile.
    pub(crate) fn memory(&self, bytes: usize) -> Reservation {
        let mut memory = self.member.memory().nothing();
        memory.count(bytes);
        memory
    }
}

impl<O: Answer> Begun<O> {
    pub(crate) async fn done(self) -> Result<O> {
        match self {
            Self::Done(result, _) => result,
            Self::Step(mut step) => step.done().await,
        }
    }
}

impl<O: Answer> CallStep<O> {
    /// What it came to, if it is done. A step that was never asked is begun by this, if it is let in.
    pub(crate) fn look(&mut self) -> Option<Result<O>> {
        self.done().now_or_never()
    }

    /// Waits for it. A guest that waits no longer, and a stream that it never asks again, stand in nobody's way.
    pub(crate) async fn done(&mut self) -> Result<O> {
        let waiting = Waiting(self);
        poll_fn(|cx| waiting.0.poll(cx)).await
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<O>> {
        loop {
            match self {
                Self::Waits(queued) => {
                    let id = ready!(queued.poll_submit(cx))?;
                    *self = Self::Runs(Box::pin(queued.result(id)));
                }
                Self::Runs(result) => return result.as_mut().poll(cx),
            }
        }
    }
}

/// A step that is waited for.
struct Waiting<'a, O>(&'a mut CallStep<O>);

impl<O> Drop for Waiting<'_, O> {
    fn drop(&mut self) {
        if let CallStep::Waits(queued) = self.0 {
            queued.step_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::task::Wake;
    use std::time::Duration;

    use super::*;
    use crate::arguments::holds_nothing;
    use crate::ctx::AioCtx;
    use crate::door::{Entry, Run};
    use crate::engine::AioEngine;
    use crate::limits::RequestLimits;
    use crate::sched::Kind;
    use crate::wasi::requests::CONCURRENT_TERMS;

    /// It is done once it is let go on.
    struct Gate(Receiver<()>);

    holds_nothing! { Gate }

    const KIND: Kind = Kind { name: "test", number: 100 };
    const WAITS: Request<(Gate,), ()> = Request {
        kind: KIND,
        run: Run::Worker(|(gate,), _| {
            let _ = gate.0.recv();
            Ok(())
        }),
        entry: Entry::InTurn,
    };

    struct Told(Sender<()>);

    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            // Nobody listens any more once the test has seen it.
            let _ = self.0.send(());
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("an event loop").block_on(future)
    }

    fn step(asker: &Asker, held: Receiver<()>) -> CallStep<()> {
        match asker.begin(WAITS, (Gate(held),)) {
            Begun::Step(step) => step,
            Begun::Done(..) => panic!("it is for a worker"),
        }
    }

    #[test]
    fn a_stream_that_is_never_asked_again_held_up_what_came_behind_it() {
        let limits = RequestLimits { in_flight_max: 1, ..RequestLimits::default() };
        let engine = AioEngine::new();
        let ctx = AioCtx::builder().limits(limits).build(&engine);
        let asker = Asker::new(ctx.caller(), CONCURRENT_TERMS);
        let (go_on, held) = channel();
        let (first_goes_on, first_held) = channel();
        drop(go_on);
        let mut first = step(&asker, first_held);
        assert!(first.look().is_none(), "a worker has it");
        let mut second = step(&asker, held);
        assert!(second.look().is_none(), "it waits for a place");
        let (go_on, held) = channel();
        drop(go_on);
        let mut third = step(&asker, held);
        let (sender, told) = channel();
        let waker = Arc::new(Told(sender)).into();
        assert!(third.poll(&mut Context::from_waker(&waker)).is_pending(), "it waits behind that");
        first_goes_on.send(()).expect("it is waited for");
        assert_eq!(block_on(first.done()), Ok(()));
        told.recv_timeout(Duration::from_secs(60)).expect("it has its turn");
        assert_eq!(block_on(third.done()), Ok(()));
        assert_eq!(block_on(second.done()), Ok(()));
    }
}
