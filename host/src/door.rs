//! The door: the only way from a guest's call to the disk.
//!
//! Every call takes the same way: its arguments are parsed, it is admitted, carried out and counted in the statistics, and its
//! result is given to the guest as the face that was called gives it. What cannot block is carried out on the spot; the rest is
//! queued. The two differ in the thread alone.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use wasmtime::component::Resource;

use crate::arguments::{Arguments, Held, Lookup};
use crate::budget::Reservation;
use crate::ctx::{AioCtxView, Caller};
use crate::error::{Error, Result};
use crate::limits::{INLINE_CALL_BYTES_MAX, UNBOOKED_BYTES_MAX};
use crate::output::{Answer, Member, OnWorker, Output, OwnThread, RequestHandle};
use crate::sandbox::{Ticket, Wait};
use crate::sched::{Entrance, Flow, Kind, Manner, Origin, Outcome, Progress, Refusal, Report, RequestId, Submission, Work};

/// When a request is tried again that could not be carried out yet, though it may wait: because of a lease that another program
/// is giving up, or descriptors that are still being closed. 1 ms: some hundred times what an attempt costs.
const RETRY: Duration = Duration::from_millis(1);

/// A request: what it is, and what it does.
pub(crate) struct Request<A, O> {
    pub(crate) kind: Kind,
    pub(crate) run: Run<A, O>,
    pub(crate) entry: Entry,
}

/// How a request gets in while as much is in flight as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// It waits, or fails.
    InTurn,
    /// Always: it gives back what others wait for.
    LetIn,
}

/// How a request is carried out.
pub(crate) enum Run<A, O> {
    /// On the guest's own thread if it need not wait, else on a worker. It gives `WOULD_BLOCK` if it may not wait but would have
    /// to; on a worker it is then tried again.
    Inline(fn(&mut A, Wait) -> Result<O>),
    /// The same, by a function for each: on a worker it may take several turns.
    InlineOrAgain(fn(&mut A) -> Result<O>, fn(&mut A, &dyn Ticket) -> Flow<Result<O>>),
    /// By one call that may wait: on a worker.
    Worker(fn(&mut A, &dyn Ticket) -> Result<O>),
    /// On a worker, also where the guest's thread may wait: what it is for is to take its turn among the others.
    Queued(fn(&mut A, &dyn Ticket) -> Result<O>),
    /// On a worker, and again some time later, until it is done. It holds no worker in between.
    Again(fn(&mut A, &dyn Ticket) -> Flow<Result<O>>),
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

impl<A, O: Answer> Run<A, O> {
    /// Carries it out without waiting; none if it cannot be.
    fn try_inline(self, arguments: &mut A) -> Option<Result<O>> {
        let result = match self {
            Self::Inline(run) => run(arguments, Wait::Never),
            Self::InlineOrAgain(run, _) => run(arguments),
            Self::Worker(_) | Self::Queued(_) | Self::Again(_) => return None,
        };
        if matches!(result, Err(Error::WOULD_BLOCK | Error::NOT_YET)) { None } else { Some(result) }
    }

    /// Carries it out on a thread that the guest has to itself, which may wait. None if it is long, or has to be tried again: then
    /// a worker goes on with it.
    fn on_own_thread(self, arguments: &mut A, ticket: &dyn Ticket) -> Option<Result<O>> {
        let flow = match self {
            Self::Inline(run) => Flow::Done(run(arguments, Wait::May)),
            Self::InlineOrAgain(_, run) | Self::Again(run) => run(arguments, ticket),
            Self::Worker(run) => Flow::Done(run(arguments, ticket)),
            Self::Queued(_) => return None,
        };
        match flow {
            Flow::Done(Err(Error::NOT_YET | Error::WOULD_BLOCK)) | Flow::Again(_) | Flow::Parked => None,
            Flow::Done(result) => Some(result),
        }
    }

    fn on_worker(self, arguments: &mut A, ticket: &dyn Ticket) -> Flow<Result<Output>> {
        let flow = match self {
            Self::Inline(run) => match ticket.check().and_then(|()| run(arguments, Wait::May)) {
                Err(Error::WOULD_BLOCK) => Flow::Done(Err(Error::NOT_YET)),
                result => Flow::Done(result),
            },
            Self::InlineOrAgain(_, run) | Self::Again(run) => run(arguments, ticket),
            Self::Worker(run) | Self::Queued(run) => Flow::Done(run(arguments, ticket)),
        };
        match flow.map(|result| result.map(O::into_output)) {
            Flow::Done(Err(Error::NOT_YET)) => Flow::Again(RETRY),
            flow => flow,
        }
    }
}

/// What a face lets a call do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How much may be moved on the guest's own thread at once.
    pub(crate) inline_bytes_max: usize,
    /// How many bytes the result of a call that is done inline may hold without being counted. Only where the guest gets it before
    /// it can make another call, so that there is one such result for each guest.
    pub(crate) unbooked_bytes_max: usize,
    /// Whether any number of calls can wait to be admitted. Then the arguments of each are counted before it waits; a call that
    /// suspends its guest waits alone, and its arguments are counted when it is admitted.
    pub(crate) waits_in_numbers: bool,
    /// Whether the call may wait on its guest's own thread, where that belongs to the guest alone.
    pub(crate) waits_on_own_thread: bool,
}

impl Terms {
    /// Those of a call that suspends its guest until it has its answer.
    pub(crate) const SUSPENDING: Self = Self {
        inline_bytes_max: INLINE_CALL_BYTES_MAX,
        unbooked_bytes_max: UNBOOKED_BYTES_MAX,
        waits_in_numbers: false,
        waits_on_own_thread: true,
    };
}

/// A request that has passed the door.
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it was made, and a box costs more than a move")]
pub(crate) enum Passed<O> {
    /// It is done, or was refused. What its result holds is counted until this is dropped.
    Done(Result<O>, Reservation),
    /// It is to be queued.
    ToQueue(Queued),
}

/// A request on its way to the queue.
pub(crate) struct Queued {
    member: Arc<Member>,
    submission: Submission,
    entrance: Entrance<Result<Output>>,
    work: Option<Work<Result<Output>>>,
}

/// Takes a call up to where it would have to wait.
pub(crate) fn enter<A: Arguments, O: Answer>(
    view: &mut AioCtxView<'_>,
    request: Request<A, O>,
    wire: A::Wire,
    manner: Manner,
    terms: Terms,
) -> Passed<O> {
    let ctx = &mut *view.ctx;
    let mut lookup = Lookup { grants: &ctx.grants, limits: &ctx.limits, allowed: &ctx.allowed, table: view.table };
    let parsed = A::parse(wire, &mut lookup);
    enter_parsed(ctx.caller(), request, parsed, manner, terms)
}

/// The same with arguments that the face has parsed.
pub(crate) fn enter_parsed<A: Held + Send + 'static, O: Answer>(
    caller: Caller<'_>,
    request: Request<A, O>,
    parsed: Result<A>,
    manner: Manner,
    terms: Terms,
) -> Passed<O> {
    let member = caller.member;
    let mut arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => return Passed::done(member, request.kind, Err(error), Progress::default(), member.memory().nothing()),
    };
    let submission = Submission { kind: request.kind, origin: Origin::Call, manner };
    if let Some(refusal) = member.refusal(&manner) {
        return Passed::refused(member, &submission, refusal, arguments);
    }
    let (held, needed) = (arguments.bytes(), arguments.result_bytes());
    let here = OwnThread::new(member);
    if terms.waits_on_own_thread
        && caller.may_wait_here(&manner)
        && let Some(memory) = member.memory().try_take(needed)
        && let Some(result) = member.account().wait_here(|| request.run.on_own_thread(&mut arguments, &here))
    {
        return Passed::done(member, request.kind, result, here.progress(), memory);
    }
    let mut so_far = here.progress();
    if held.max(needed) <= terms.inline_bytes_max
        && let Some(memory) = member.memory().try_take(if needed <= terms.unbooked_bytes_max { 0 } else { needed })
        && let Some(result) = request.run.try_inline(&mut arguments)
    {
        return Passed::done(member, request.kind, result, so_far, memory);
    }
    let held = if terms.waits_in_numbers {
        match member.memory().try_take(held) {
            Some(held) => Books::Entered(held),
            None => return Passed::refused(member, &submission, Refusal::Full, arguments),
        }
    } else {
        Books::Missing(held)
    };
    let entrance = match held {
        Books::Entered(held) => Entrance::new(member, &submission, Some(held), needed),
        Books::Missing(held) => Entrance::new(member, &submission, None, held.saturating_add(needed)),
    };
    let entrance = if request.entry == Entry::LetIn { entrance.let_in() } else { entrance };
    let work: Work<_> = Box::new(move |running| {
        let Progress { bytes, names } = std::mem::take(&mut so_far);
        running.advance(bytes, names);
        request.run.on_worker(&mut arguments, &OnWorker(running))
    });
    Passed::ToQueue(Queued { member: Arc::clone(member), submission, entrance, work: Some(work) })
}

/// Moves bytes between a file and the guest's own memory, on the guest's own thread and without any memory of the host's. None if
/// that would have to wait where it may not: then nothing was moved.
pub(crate) fn transfer_here(
    caller: Caller<'_>,
    submission: &Submission,
    bytes: usize,
    terms: Terms,
    transfer: impl FnOnce(Wait) -> Result<u64>,
) -> Option<Result<u64>> {
    let Submission { kind, manner, .. } = submission;
    let member = caller.member;
    if submission.is_counted() && member.refusal(manner).is_some() {
        return None;
    }
    let wait = if terms.waits_on_own_thread && caller.may_wait_here(manner) { Wait::May } else { Wait::Never };
    if wait == Wait::Never && bytes > terms.inline_bytes_max {
        return None;
    }
    let outcome = match wait {
        Wait::May => member.account().wait_here(|| transfer(wait)),
        Wait::Never => transfer(wait),
    };
    match outcome {
        Err(Error::WOULD_BLOCK | Error::NOT_YET) => None,
        result => {
            let report = Report { kind: *kind, id: 0, failed: result.is_err(), bytes: result.unwrap_or(0), times: None };
            if submission.is_counted() {
                member.account().report_inline(&report);
            } else {
                member.account().report_step(&report);
            }
            Some(result)
        }
    }
}

/// The memory of arguments: counted already, or still to be counted.
enum Books {
    Entered(Reservation),
    Missing(usize),
}

impl<O: Answer> Passed<O> {
    /// A request that was done on the guest's own thread.
    fn done(member: &Arc<Member>, kind: Kind, result: Result<O>, progress: Progress, memory: Reservation) -> Self {
        let bytes = result.as_ref().map_or(0, O::bytes_moved).max(progress.bytes);
        member.account().report_inline(&Report { kind, id: 0, failed: result.is_err(), bytes, times: None });
        Self::Done(result, memory)
    }

    fn refused(member: &Arc<Member>, submission: &Submission, refusal: Refusal, arguments: impl Held + Send + 'static) -> Self {
        member.refuse(submission, refusal);
        let memory = member.memory().try_take(arguments.bytes());
        member.discard(arguments, memory);
        Self::Done(Err(refusal.into()), member.memory().nothing())
    }
}

impl Queued {
    /// A step of a stream. `held` is what it holds already, and `bytes` what its result will.
    pub(crate) fn step(
        member: &Arc<Member>,
        submission: Submission,
        held: Reservation,
        bytes: usize,
        work: Work<Result<Output>>,
    ) -> Self {
        let entrance = Entrance::new(member, &submission, Some(held), bytes);
        Self { member: Arc::clone(member), submission, entrance, work: Some(work) }
    }

    /// Queues the request, once it is admitted.
    pub(crate) fn poll_submit(&mut self, cx: &Context<'_>) -> Poll<Result<RequestId>> {
        loop {
            let admission = match ready!(self.entrance.poll(cx)) {
                Ok(admission) => admission,
                Err(refusal) => {
                    self.member.refuse(&self.submission, refusal);
                    return Poll::Ready(Err(refusal.into()));
                }
            };
            let Some(work) = self.work.take() else { return Poll::Ready(Err(Error::ALREADY)) };
            match self.member.submit(self.submission, admission, work) {
                Ok(id) => return Poll::Ready(Ok(id)),
                // Another call was faster: it waits again.
                Err((Refusal::Full, admission, work)) => {
                    self.work = Some(work);
                    self.entrance.take_back(admission);
                }
                Err((refusal, _, work)) => {
                    self.work = Some(work);
                    self.member.refuse(&self.submission, refusal);
                    return Poll::Ready(Err(refusal.into()));
                }
            }
        }
    }

    /// Gives up its place among those that wait to be admitted, until it is asked again: nobody would take what it is told of.
    pub(crate) fn step_back(&mut self) {
        self.entrance.step_back();
    }

    /// What comes of it, once it is queued under this number. Dropping the future takes the request back.
    pub(crate) fn result<O: Answer>(&self, id: RequestId) -> impl Future<Output = Result<O>> + Send + use<O> {
        let owned = Owned { member: Arc::clone(&self.member), id };
        async move {
            let output = poll_fn(|cx| owned.member.poll_take(owned.id, cx)).await?;
            // The output was made by this request's own `into_output`.
            O::from_output(output).ok_or(Error::IO)
        }
    }

    /// Carries the request out on a worker. Dropping the future takes the request back.
    pub(crate) async fn run<O: Answer>(mut self) -> Result<O> {
        let group = self.submission.manner.group;
        let submitted = poll_fn(|cx| self.poll_submit(cx)).await;
        if let (Err(error), Some(group)) = (&submitted, group) {
            self.member.settle(group, Some(*error));
        }
        let result = self.result(submitted?);
        drop(self);
        result.await
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.member.discard(work, self.entrance.give_up());
        }
    }
}

/// A request that is taken back when the one who waits for it is gone.
struct Owned {
    member: Arc<Member>,
    id: RequestId,
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.member.cancel(self.id);
        self.member.disown(self.id);
    }
}

/// A call on the face `blocking` or `requests`, up to where it would have to wait.
pub(crate) fn enter_call<A: Arguments, O: Answer>(
    view: &mut AioCtxView<'_>,
    request: Request<A, O>,
    wire: A::Wire,
    terms: Terms,
) -> Passed<O> {
    let manner = view.ctx.take_manner();
    let passed = enter(view, request, wire, manner, terms);
    if let (Passed::Done(result, _), Some(group)) = (&passed, manner.group) {
        view.ctx.member.settle(group, result.as_ref().err().copied());
    }
    passed
}

/// A call on the face `submit`.
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it was made, and a box costs more than a move")]
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
    terms: Terms,
) -> wasmtime::Result<Submitted> {
    let max = view.ctx.limits.requests_max;
    if view.ctx.request_handles >= max {
        let remedy = "drop the handles of requests whose results were taken";
        return Err(wasmtime::format_err!("the guest holds {max} request handles, as many as it may; {remedy}"));
    }
    let manner = view.ctx.take_manner();
    match enter(view, request, wire, manner, terms) {
        Passed::Done(result, memory) => {
            let id = submit_done(view, request.kind, manner, result.map(O::into_output), memory);
            Ok(Submitted::Now(give_handle(view, id)?))
        }
        Passed::ToQueue(mut queued) => {
            queued.submission.origin = Origin::Handle;
            Ok(Submitted::Later(queued))
        }
    }
}

/// The rest of it: queues the request.
pub(crate) async fn submit_later(mut view: AioCtxView<'_>, mut queued: Queued) -> wasmtime::Result<Resource<RequestHandle>> {
    let (kind, manner) = (queued.submission.kind, queued.submission.manner);
    let id = match poll_fn(|cx| queued.poll_submit(cx)).await {
        Ok(id) => id,
        Err(error) => submit_done(&view, kind, manner, Err(error), view.ctx.member.memory().nothing()),
    };
    give_handle(&mut view, id)
}

fn give_handle(view: &mut AioCtxView<'_>, id: RequestId) -> wasmtime::Result<Resource<RequestHandle>> {
    view.ctx.request_handles += 1;
    Ok(view.table.push(RequestHandle { id, is_taken: false })?)
}

/// A request with a handle that is done already. What its result does not hold is given back.
fn submit_done(
    view: &AioCtxView<'_>,
    kind: Kind,
    manner: Manner,
    result: Result<Output>,
    mut memory: Reservation,
) -> RequestId {
    let held = result.bytes_held();
    memory.count(held.saturating_sub(memory.amount()));
    memory.shrink_to(held);
    view.ctx.member.submit_done(Submission { kind, origin: Origin::Handle, manner }, memory, result)
}
