//! The three faces of a request: how it is called on `blocking`, `submit` and `requests`.

use std::future::ready;

use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, Linker};

use crate::arguments::Arguments;
use crate::ctx::AioView;
use crate::door::{self, Entry, Passed, Request, Run, Submitted, Terms};
use crate::error::Result;
use crate::limits::INLINE_BYTES_MAX;
use crate::output::Answer;
use crate::sandbox::{Ticket, Wait};
use crate::sched::{Flow, Kind};

const BLOCKING: &str = "aiohost:aio/blocking@0.1.0";
const SUBMIT: &str = "aiohost:aio/submit@0.1.0";
const REQUESTS: &str = "aiohost:aio/requests@0.1.0";

/// A call that suspends its guest waits alone.
const BLOCKING_TERMS: Terms = Terms::SUSPENDING;
const SUBMIT_TERMS: Terms =
    Terms { inline_bytes_max: INLINE_BYTES_MAX, unbooked_bytes_max: 0, waits_in_numbers: false, waits_on_own_thread: false };
const REQUESTS_TERMS: Terms = Terms { waits_in_numbers: true, ..SUBMIT_TERMS };

/// Which faces a linker gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Faces {
    Plain,
    All,
}

/// Where the families of requests register themselves.
pub(crate) struct Registrar<'a, T: 'static> {
    linker: &'a mut Linker<T>,
    faces: Faces,
    /// The number of the next request.
    number: usize,
}

impl<'a, T: AioView + 'static> Registrar<'a, T> {
    /// `number` is that of the first request.
    pub(crate) fn new(linker: &'a mut Linker<T>, faces: Faces, number: usize) -> Self {
        Self { linker, faces, number }
    }

    /// A request that may block, and so goes to a worker; unless its guest has a thread to itself, which may wait as well.
    pub(crate) fn on_worker<A: Arguments, O: Answer>(
        &mut self,
        name: &'static str,
        run: fn(&mut A, &dyn Ticket) -> Result<O>,
    ) -> wasmtime::Result<()> {
        self.add(name, Run::Worker(run), Entry::InTurn)
    }

    /// A request that takes its turn among others on a worker, whoever has a thread to itself: that is what it is for.
    pub(crate) fn queued<A: Arguments, O: Answer>(
        &mut self,
        name: &'static str,
        run: fn(&mut A, &dyn Ticket) -> Result<O>,
    ) -> wasmtime::Result<()> {
        self.add(name, Run::Queued(run), Entry::InTurn)
    }

    /// A request that is tried on the guest's own thread first, and gives back what others wait for: it never waits to be
    /// admitted.
    pub(crate) fn let_in<A: Arguments, O: Answer>(
        &mut self,
        name: &'static str,
        run: fn(&mut A, Wait) -> Result<O>,
    ) -> wasmtime::Result<()> {
        self.add(name, Run::Inline(run), Entry::LetIn)
    }

    /// A request that is tried on the guest's own thread first. `run` gives `WOULD_BLOCK` if it may not wait but would have to.
    pub(crate) fn inline_first<A: Arguments, O: Answer>(
        &mut self,
        name: &'static str,
        run: fn(&mut A, Wait) -> Result<O>,
    ) -> wasmtime::Result<()> {
        self.add(name, Run::Inline(run), Entry::InTurn)
    }

    /// A request that is tried on the guest's own thread first, by `now`, and then on workers by `again`.
    pub(crate) fn now_or_again<A: Arguments, O: Answer>(
        &mut self,
        name: &'static str,
        now: fn(&mut A) -> Result<O>,
        again: fn(&mut A, &dyn Ticket) -> Flow<Result<O>>,
    ) -> wasmtime::Result<()> {
        self.add(name, Run::InlineOrAgain(now, again), Entry::InTurn)
    }

    /// A request that takes several turns on workers, because it is long or waits for something.
    pub(crate) fn again_and_again<A: Arguments, O: Answer>(
        &mut self,
        name: &'static str,
        run: fn(&mut A, &dyn Ticket) -> Flow<Result<O>>,
    ) -> wasmtime::Result<()> {
        self.add(name, Run::Again(run), Entry::InTurn)
    }

    fn add<A: Arguments, O: Answer>(&mut self, name: &'static str, run: Run<A, O>, entry: Entry) -> wasmtime::Result<()> {
        let request = Request { kind: Kind { name, number: self.number }, run, entry };
        self.number += 1;
        add_blocking(self.linker, request)?;
        add_submit(self.linker, request)?;
        match self.faces {
            Faces::All => add_concurrent(self.linker, request),
            Faces::Plain => Ok(()),
        }
    }
}

fn add_blocking<T: AioView, A: Arguments, O: Answer>(linker: &mut Linker<T>, request: Request<A, O>) -> wasmtime::Result<()> {
    linker.instance(BLOCKING)?.func_wrap_async(request.kind.name, move |mut store: StoreContextMut<'_, T>, wire: A::Wire| {
        match door::enter_call(&mut store.data_mut().aio(), request, wire, BLOCKING_TERMS) {
            // Most calls end here, and need no future that can wait.
            Passed::Done(answer, _) => Box::new(ready(Ok((give(&mut store, answer),)))),
            Passed::ToQueue(queued) => Box::new(async move {
                let answer: Result<O> = queued.run().await;
                Ok((give(&mut store, answer),))
            }),
        }
    })
}

/// The answer as the guest gets it.
fn give<T: AioView, O: Answer>(store: &mut StoreContextMut<'_, T>, answer: Result<O>) -> Result<O::Wire> {
    answer?.into_wire(store.data_mut().aio().table)
}

fn add_submit<T: AioView, A: Arguments, O: Answer>(linker: &mut Linker<T>, request: Request<A, O>) -> wasmtime::Result<()> {
    linker.instance(SUBMIT)?.func_wrap_async(request.kind.name, move |mut store: StoreContextMut<'_, T>, wire: A::Wire| {
        match door::submit(&mut store.data_mut().aio(), request, wire, SUBMIT_TERMS) {
            Ok(Submitted::Now(handle)) => Box::new(ready(Ok((handle,)))),
            Ok(Submitted::Later(queued)) => {
                Box::new(async move { Ok((door::submit_later(store.data_mut().aio(), queued).await?,)) })
            }
            Err(error) => Box::new(ready(Err(error))),
        }
    })
}

fn add_concurrent<T: AioView + 'static, A: Arguments, O: Answer>(
    linker: &mut Linker<T>,
    request: Request<A, O>,
) -> wasmtime::Result<()> {
    linker.instance(REQUESTS)?.func_wrap_concurrent(request.kind.name, move |accessor: &Accessor<T>, wire: A::Wire| {
        let give = move |answer: Result<O>| accessor.with(|mut access| answer?.into_wire(access.data_mut().aio().table));
        match accessor.with(|mut access| door::enter_call(&mut access.data_mut().aio(), request, wire, REQUESTS_TERMS)) {
            // Most calls end here, and need no future that can wait.
            Passed::Done(answer, _) => Box::pin(ready(Ok((give(answer),)))),
            Passed::ToQueue(queued) => Box::pin(async move { Ok((give(queued.run().await),)) }),
        }
    })
}
