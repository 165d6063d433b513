//! The door: the only way from a guest's call to the disk.
//!
//! Arguments are parsed, what cannot block is done on the spot, and the rest is queued with its priority; what comes back is
//! counted, and given to the guest in the way of the face that was called.

use std::future::poll_fn;
use std::sync::Arc;

use wasmtime::component::Resource;

use crate::arguments::{Arguments, Guest};
use crate::ctx::AioCtxView;
use crate::error::{Error, Result};
use crate::output::{Answer, Output, RequestHandle};
use crate::sandbox::{Ticket, Wait};
use crate::sched::{Flow, Manner, Membership, Origin, RequestId, Submission, Work, moved_bytes};

/// A request: its name, its number, and what it does.
pub(crate) struct Request<A, O> {
    pub(crate) name: &'static str,
    pub(crate) number: usize,
    pub(crate) run: Run<A, O>,
}

/// How a request is carried out.
pub(crate) enum Run<A, O> {
    /// On the guest's own thread if it need not wait, else on a worker. It gives `WOULD_BLOCK` if it may not wait but would have
    /// to.
    Inline(fn(&mut A, Wait) -> Result<O>),
    /// On a worker.
    Worker(fn(&mut A, &dyn Ticket) -> Result<O>),
    /// On a worker, and again some time later, until it is done. It holds no worker in between.
    Again(fn(&mut A, &dyn Ticket) -> Flow<O>),
}

impl<A, O> Clone for Run<A, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, O> Copy for Run<A, O> {}

impl<A, O> Clone for Request<A, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, O> Copy for Request<A, O> {}

/// A request that has passed the door.
pub(crate) enum Passed<O> {
    /// It is done, or its arguments are wrong.
    Done(Result<O>),
    /// It is to be queued.
    ToQueue(Queued),
}

/// A request on its way to the queue.
pub(crate) struct Queued {
    membership: Arc<Membership>,
    submission: Submission,
    work: Work,
}

/// Takes a call up to where it would have to wait. `inline_bytes_max` is how much may be moved on the guest's own thread.
pub(crate) fn enter<A: Arguments, O: Answer>(
    view: &mut AioCtxView<'_>,
    request: Request<A, O>,
    wire: A::Wire,
    manner: Manner,
    inline_bytes_max: usize,
) -> Passed<O> {
    let ctx = &mut *view.ctx;
    let mut guest = Guest { grants: &ctx.grants, limits: &ctx.limits, allowed: &ctx.allowed, table: view.table };
    let mut arguments = match A::parse(wire, &mut guest) {
        Ok(arguments) => arguments,
        Err(error) => {
            ctx.count_inline(request.number, request.name, true, 0);
            return Passed::Done(Err(error));
        }
    };
    let bytes = arguments.bytes();
    let submission = Submission { name: request.name, origin: Origin::Call, bytes, manner };
    if let Some(error) = ctx.membership.refusal(&manner) {
        ctx.membership.refuse(&submission, error);
        return Passed::Done(Err(error));
    }
    if let Run::Inline(run) = request.run
        && bytes <= inline_bytes_max
    {
        let result = run(&mut arguments, Wait::Never);
        if !matches!(result, Err(Error::WOULD_BLOCK)) {
            let moved = result.as_ref().map_or(0, O::moved_bytes);
            ctx.count_inline(request.number, request.name, result.is_err(), moved);
            return Passed::Done(result);
        }
    }
    let work: Work = Box::new(move |ticket| match request.run {
        Run::Inline(run) => run(&mut arguments, Wait::May).map(O::into_output).into(),
        Run::Worker(run) => run(&mut arguments, ticket).map(O::into_output).into(),
        Run::Again(run) => run(&mut arguments, ticket).map(O::into_output),
    });
    Passed::ToQueue(Queued { membership: Arc::clone(&ctx.membership), submission, work })
}

impl Queued {
    /// Work that is no request by itself: a step of a stream.
    pub(crate) fn step(membership: &Arc<Membership>, name: &'static str, bytes: usize, work: Work) -> Self {
        Self { membership: Arc::clone(membership), submission: Submission::host(name, bytes), work }
    }

    /// Queues the request, once there is a place for it.
    async fn submit(self) -> (Arc<Membership>, Result<RequestId>) {
        let Self { membership, submission, work } = self;
        let id = match poll_fn(|cx| membership.poll_place(&submission.manner, cx)).await {
            Ok(()) => membership.submit(submission, work),
            Err(error) => {
                membership.refuse(&submission, error);
                Err(error)
            }
        };
        (membership, id)
    }

    /// Carries the request out on a worker. Dropping the future takes the request back.
    pub(crate) async fn run<O: Answer>(self) -> Result<O> {
        let group = self.submission.manner.group;
        let (membership, id) = self.submit().await;
        if let (Err(_), Some(group)) = (&id, group) {
            membership.settle(group, &id);
        }
        let owned = Owned { membership, id: id? };
        let output = poll_fn(|cx| owned.membership.poll_take(owned.id, cx)).await?;
        // The output was made by this request's own `into_output`.
        O::from_output(output).ok_or(Error::IO)
    }
}

/// A request that is taken back when the one who waits for it is gone.
struct Owned {
    membership: Arc<Membership>,
    id: RequestId,
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.membership.cancel(self.id);
        self.membership.disown(self.id);
    }
}

/// A call on the face `blocking` or `requests`, up to where it would have to wait.
pub(crate) fn enter_call<A: Arguments, O: Answer>(
    view: &mut AioCtxView<'_>,
    request: Request<A, O>,
    wire: A::Wire,
    inline_bytes_max: usize,
) -> Passed<O> {
    let manner = view.ctx.take_manner();
    let passed = enter(view, request, wire, manner, inline_bytes_max);
    if let (Passed::Done(result), Some(group)) = (&passed, manner.group) {
        view.ctx.membership.settle(group, result);
    }
    passed
}

/// A call on the face `submit`.
pub(crate) enum Submitted {
    /// The guest gets a handle at once.
    Now(Resource<RequestHandle>),
    /// It gets one as soon as it has less in flight than it may have.
    Later(Queued),
}

/// Takes a call on the face `submit` as far as it comes without a place in the queue.
///
/// # Errors
///
/// A trap, if the guest holds more requests than it may.
pub(crate) fn submit<A: Arguments, O: Answer>(
    view: &mut AioCtxView<'_>,
    request: Request<A, O>,
    wire: A::Wire,
    inline_bytes_max: usize,
) -> wasmtime::Result<Submitted> {
    let max = view.ctx.limits.requests_max;
    if view.ctx.request_handles >= max {
        let remedy = "drop the handles of requests whose results were taken";
        return Err(wasmtime::format_err!("the guest holds {max} request handles, as many as it may; {remedy}"));
    }
    let manner = view.ctx.take_manner();
    match enter(view, request, wire, manner, inline_bytes_max) {
        Passed::Done(result) => {
            let id = submit_done(view, request.name, manner, result.map(O::into_output));
            Ok(Submitted::Now(give_handle(view, id)?))
        }
        Passed::ToQueue(mut queued) => {
            queued.submission.origin = Origin::Handle;
            Ok(Submitted::Later(queued))
        }
    }
}

/// The rest of it: queues the request.
pub(crate) async fn submit_later(mut view: AioCtxView<'_>, queued: Queued) -> wasmtime::Result<Resource<RequestHandle>> {
    let (name, manner) = (queued.submission.name, queued.submission.manner);
    let id = match queued.submit().await {
        (_, Ok(id)) => id,
        (_, Err(error)) => submit_done(&view, name, manner, Err(error)),
    };
    give_handle(&mut view, id)
}

fn give_handle(view: &mut AioCtxView<'_>, id: RequestId) -> wasmtime::Result<Resource<RequestHandle>> {
    view.ctx.request_handles += 1;
    Ok(view.table.push(RequestHandle { id })?)
}

fn submit_done(view: &AioCtxView<'_>, name: &'static str, manner: Manner, result: Result<Output>) -> RequestId {
    let bytes = usize::try_from(moved_bytes(&result)).unwrap_or(0);
    view.ctx.membership.submit_done(Submission { name, origin: Origin::Handle, bytes, manner }, result)
}
