//! Streams of bytes between a guest and an open file, on every face.
//!
//! A stream makes steps, each of which passes the door. Bytes go straight between the file and the guest's buffer where nothing has to
//! wait; what a worker reads or writes is counted, and never more than the guest has asked for or brought.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::channel::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, DirectSource, Source, StreamConsumer, StreamProducer, StreamResult, VecBuffer};

use crate::budget::Reservation;
use crate::ctx::Caller;
use crate::door::{Queued, Terms, transfer_here};
use crate::error::{Error, Result};
use crate::limits::{INLINE_BYTES_MAX, INLINE_CALL_BYTES_MAX};
use crate::output::{Answer, Member, Output};
use crate::sandbox::{Content, OpenFile, Wait, WriteTo};
use crate::sched::{Entrance, Flow, Kind, Running, Submission};

/// Bytes of one step on a worker. 256 KiB: enough that a hop weighs nothing, and little to hold for each stream.
const STEP_BYTES: usize = 256 << 10;

/// What a step may do on the guest's own thread.
const TERMS: Terms =
    Terms { inline_bytes_max: INLINE_CALL_BYTES_MAX, unbooked_bytes_max: 0, waits_in_numbers: true, waits_on_own_thread: true };

/// A step that a worker does.
type Step<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A file, and on whose behalf it is read or written.
pub(crate) struct Transfer {
    file: OpenFile,
    member: Arc<Member>,
    submission: Submission,
    /// Whether what is written may wait for the file system on the guest's own thread.
    own_thread: bool,
}

impl Transfer {
    /// Steps that are no requests: they stand in the statistics alone.
    pub(crate) fn of_steps(file: OpenFile, caller: Caller<'_>, kind: Kind) -> Self {
        Self { file, member: Arc::clone(caller.member), submission: Submission::host(kind), own_thread: false }
    }

    /// Steps that are requests, like any call.
    pub(crate) fn of_requests(file: OpenFile, caller: Caller<'_>, kind: Kind) -> Self {
        let (member, submission) = (Arc::clone(caller.member), Submission::call(kind));
        Self { file, member, submission, own_thread: caller.own_thread }
    }

    /// Bytes of one step on a worker.
    fn step_bytes(&self) -> usize {
        STEP_BYTES.min(self.member.memory().max())
    }

    /// Moves bytes on the guest's own thread; none if that would have to wait where it may not.
    fn here(&self, bytes: usize, own_thread: bool, transfer: impl FnOnce(Wait) -> Result<u64>) -> Option<Result<u64>> {
        let caller = Caller { member: &self.member, own_thread };
        transfer_here(caller, &self.submission, bytes, TERMS, transfer)
    }

    /// Has a worker do a step. `held` is memory for what it brings, and `bytes` is what its result will hold.
    fn begin<O: Answer + 'static>(
        &self,
        held: Reservation,
        bytes: usize,
        run: impl Fn(&OpenFile) -> Result<O> + Send + 'static,
    ) -> Step<O> {
        let file = self.file.clone();
        let work = Box::new(move |_: &dyn Running| Flow::Done(run(&file).map(O::into_output)));
        Box::pin(Queued::step(&self.member, self.submission, held, bytes, work).run())
    }
}

/// The way in for memory alone, while that is waited for.
#[derive(Default)]
struct Entering(Option<Entrance<Result<Output>>>);

impl Entering {
    /// Memory, once there is some: for `bytes`, or for as many as were first asked for.
    fn poll(&mut self, transfer: &Transfer, bytes: usize, cx: &Context<'_>) -> Poll<Result<Reservation>> {
        let Transfer { member, submission, .. } = transfer;
        let entrance = || Entrance::new(member, submission, Some(member.memory().nothing()), bytes);
        let admitted = ready!(self.0.get_or_insert_with(entrance).poll(cx));
        self.0 = None;
        Poll::Ready(Ok(admitted?.into_memory()))
    }

    fn is_waiting(&self) -> bool {
        self.0.is_some()
    }

    fn give_up(&mut self) {
        self.0 = None;
    }
}

/// The host's end of a stream that a guest reads, or that it has given back to be read by the host.
pub(crate) struct FileReader {
    transfer: Transfer,
    offset: u64,
    sender: Option<oneshot::Sender<Result<()>>>,
    step: Option<Step<Content>>,
    entering: Entering,
    /// Memory of the buffer between two ends that are both the host's, which wasmtime keeps as long as the stream.
    between: Option<Reservation>,
}

impl FileReader {
    /// What becomes of the stream is sent to the receiver.
    pub(crate) fn new(transfer: Transfer, offset: u64) -> (Self, oneshot::Receiver<Result<()>>) {
        let (sender, receiver) = oneshot::channel();
        (Self { transfer, offset, sender: Some(sender), step: None, entering: Entering::default(), between: None }, receiver)
    }

    fn close(&mut self, result: Result<()>) {
        if let Some(sender) = self.sender.take() {
            // Fails if the guest has dropped the future: then nobody wants to know.
            let _ = sender.send(result);
        }
    }

    /// Reads what the page cache has, straight into the guest's own buffer.
    fn read_here(&self, buffer: &mut [u8]) -> Option<Result<u64>> {
        let length = buffer.len().min(INLINE_CALL_BYTES_MAX);
        self.transfer.here(length, false, |_| {
            let count = self.transfer.file.read_cached(&mut buffer[..length], self.offset)?;
            Ok(u64::try_from(count).expect("a length fits"))
        })
    }

    /// Memory for what is between two ends of the host's, once there is some.
    fn poll_between(&mut self, cx: &Context<'_>) -> Poll<Result<()>> {
        if self.between.is_none() {
            self.between = Some(ready!(self.entering.poll(&self.transfer, self.transfer.step_bytes(), cx))?);
        }
        Poll::Ready(Ok(()))
    }

    fn start_step(&self, length: usize) -> Step<Content> {
        let (offset, length) = (self.offset, length.min(self.transfer.step_bytes()));
        let read = move |file: &OpenFile| Ok(Content::from(file.read(offset, length, Wait::May)?).fit());
        self.transfer.begin(self.transfer.member.memory().nothing(), length, read)
    }
}

/// A guest that drops the stream has read what it wanted.
impl Drop for FileReader {
    fn drop(&mut self) {
        self.close(Ok(()));
    }
}

impl<D: 'static> StreamProducer<D> for FileReader {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, VecBuffer<u8>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(&mut store).is_none() {
            match self.poll_between(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    self.close(Err(error));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
                Poll::Pending if finish => {
                    self.entering.give_up();
                    return Poll::Ready(Ok(StreamResult::Cancelled));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        let mut direct = destination.as_direct(store, self.transfer.step_bytes());
        let buffer = direct.remaining();
        if buffer.is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let here = if self.step.is_none() { self.read_here(buffer) } else { None };
        let result = match here {
            Some(result) => result,
            None => {
                let length = buffer.len();
                let mut step = self.step.take().unwrap_or_else(|| self.start_step(length));
                match step.as_mut().poll(cx) {
                    // Nothing was given yet, so the step is taken back.
                    Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                    Poll::Pending => {
                        self.step = Some(step);
                        return Poll::Pending;
                    }
                    Poll::Ready(content) => content.map(|content| content.copy_to(buffer)),
                }
            }
        };
        match result {
            Ok(0) => self.close(Ok(())),
            Err(error) => self.close(Err(error)),
            Ok(count) => {
                direct.mark_written(usize::try_from(count).expect("no more is read than there is room"));
                self.offset = self.offset.saturating_add(count);
                return Poll::Ready(Ok(StreamResult::Completed));
            }
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

/// The host's end of a stream that a guest writes.
pub(crate) struct FileWriter {
    transfer: Transfer,
    to: WriteTo,
    sender: Option<oneshot::Sender<Result<u64>>>,
    step: Option<Step<u64>>,
    /// The way in for what it takes from the guest.
    entering: Entering,
    written: u64,
}

impl FileWriter {
    /// How many bytes were written is sent to the receiver once the stream has ended.
    pub(crate) fn new(transfer: Transfer, to: WriteTo) -> (Self, oneshot::Receiver<Result<u64>>) {
        let (sender, receiver) = oneshot::channel();
        (Self { transfer, to, sender: Some(sender), step: None, entering: Entering::default(), written: 0 }, receiver)
    }

    fn close(&mut self, result: Result<u64>) {
        if let Some(sender) = self.sender.take() {
            // Fails if nobody waits for it any more.
            let _ = sender.send(result);
        }
    }

    /// Writes straight from the guest's own memory, where the guest may wait on its own thread.
    fn write_here(&self, data: &[u8]) -> Option<Result<u64>> {
        let data = &data[..data.len().min(INLINE_BYTES_MAX)];
        self.transfer.here(data.len(), self.transfer.own_thread, |wait| match wait {
            Wait::Never => Err(Error::WOULD_BLOCK),
            Wait::May => self.transfer.file.write_from(self.to, data),
        })
    }

    fn start_step(&self, data: &[u8], held: Reservation) -> Step<u64> {
        let (data, to) = (data.to_vec(), self.to);
        self.transfer.begin(held, 0, move |file| file.write_from(to, &data))
    }

    /// Enters what was written, or why nothing was.
    fn settle<D>(&mut self, source: &mut DirectSource<'_, D>, result: Result<u64>) -> Poll<wasmtime::Result<StreamResult>> {
        match result {
            Ok(count) if count > 0 => {
                source.mark_read(usize::try_from(count).expect("no more is written than there is"));
                self.to = self.to.after(count);
                self.written += count;
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            // It would be tried for ever.
            Ok(_) => self.close(Err(Error::IO)),
            Err(error) => self.close(Err(error)),
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

/// The stream is at its end: what was written is the answer.
impl Drop for FileWriter {
    fn drop(&mut self) {
        let written = self.written;
        self.close(Ok(written));
    }
}

impl<D: 'static> StreamConsumer<D> for FileWriter {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut source = source.as_direct(store);
        if self.step.is_none() {
            if source.remaining().is_empty() {
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            let here = if self.entering.is_waiting() { None } else { self.write_here(source.remaining()) };
            if let Some(result) = here {
                return self.settle(&mut source, result);
            }
            let bytes = source.remaining().len().min(self.transfer.step_bytes());
            let Self { entering, transfer, .. } = &mut *self;
            match entering.poll(transfer, bytes, cx) {
                Poll::Ready(Ok(held)) => {
                    let bytes = bytes.min(held.amount());
                    self.step = Some(self.start_step(&source.remaining()[..bytes], held));
                }
                Poll::Ready(Err(error)) => return self.settle(&mut source, Err(error)),
                // Nothing was taken yet.
                Poll::Pending if finish => {
                    self.entering.give_up();
                    return Poll::Ready(Ok(StreamResult::Cancelled));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        let Some(step) = &mut self.step else { return Poll::Ready(Ok(StreamResult::Completed)) };
        // A write that has begun is waited for also when the guest would rather finish: it must know how much went out.
        let result = ready!(step.as_mut().poll(cx));
        self.step = None;
        self.settle(&mut source, result)
    }
}
