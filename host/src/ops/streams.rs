//! Long sequential transfers as streams of bytes: `read-stream` and `write-stream`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::channel::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, Destination, FutureReader, Linker, Resource, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult,
    VecBuffer,
};

use crate::budget::Reservation;
use crate::ctx::AioView;
use crate::door::Queued;
use crate::error::{Error, Result};
use crate::output::{Member, Output};
use crate::sandbox::{Content, OpenFile, Wait};
use crate::sched::{Entrance, Flow, Kind, Report, Running, Submission};

const STREAMS: &str = "aiohost:aio/streams@0.1.0";

const READ: Kind = Kind { name: "read-stream", number: 0 };
const WRITE: Kind = Kind { name: "write-stream", number: 1 };

/// The kinds of work that are no requests: their numbers come before those of requests.
pub(crate) const KINDS: [Kind; 2] = [READ, WRITE];

/// Bytes of one step on a worker. 256 KiB: enough that a hop weighs nothing, and little to hold for each stream.
const STEP_BYTES: usize = 256 << 10;

/// A step that a worker is at.
type Step<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

pub(crate) fn add<T: AioView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut streams = linker.instance(STREAMS)?;
    streams.func_wrap("read-stream", |mut store: StoreContextMut<'_, T>, (file, offset): (Resource<OpenFile>, u64)| {
        let transfer = transfer(&mut store, &file, offset)?;
        let (sender, receiver) = oneshot::channel();
        let reader = FileReader { transfer, sender: Some(sender), step: None };
        let stream = StreamReader::new(&mut store, reader)?;
        Ok(((stream, FutureReader::new(&mut store, receiver)?),))
    })?;
    streams.func_wrap_concurrent(
        "write-stream",
        |accessor: &Accessor<T>, (file, offset, data): (Resource<OpenFile>, u64, StreamReader<u8>)| {
            Box::pin(async move {
                let (sender, receiver) = oneshot::channel();
                accessor.with(|mut access| {
                    let transfer = transfer(&mut access, &file, offset)?;
                    data.pipe(
                        &mut access,
                        FileWriter { transfer, sender: Some(sender), step: None, entrance: None, written: 0 },
                    )
                })?;
                // The writer answers before it goes, unless the store goes with it.
                Ok((receiver.await.unwrap_or(Err(Error::CANCELED)),))
            })
        },
    )
}

/// A file, the place in it, and who does the work.
struct Transfer {
    file: OpenFile,
    offset: u64,
    member: Arc<Member>,
}

fn transfer<T: AioView + 'static>(
    mut store: impl wasmtime::AsContextMut<Data = T>,
    file: &Resource<OpenFile>,
    offset: u64,
) -> wasmtime::Result<Transfer> {
    let mut store = store.as_context_mut();
    let view = store.data_mut().aio();
    Ok(Transfer { file: view.table.get(file)?.clone(), offset, member: Arc::clone(&view.ctx.member) })
}

impl Transfer {
    /// Enters what was done without a worker.
    fn report(&self, kind: Kind, count: usize) {
        let bytes = u64::try_from(count).unwrap_or(u64::MAX);
        self.member.account().report_step(&Report { kind, id: 0, failed: false, bytes, times: None });
    }

    fn advance(&mut self, count: usize) {
        self.offset = self.offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

/// The host's end of `read-stream`.
struct FileReader {
    transfer: Transfer,
    sender: Option<oneshot::Sender<Result<()>>>,
    step: Option<Step<Content>>,
}

impl FileReader {
    fn close(&mut self, result: Result<()>) -> Poll<wasmtime::Result<StreamResult>> {
        if let Some(sender) = self.sender.take() {
            // Fails if the guest has dropped the future: then nobody wants to know.
            let _ = sender.send(result);
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }

    /// `length` is what the guest's buffer has room for: more would be left here, and on no books, until the guest reads on.
    fn start_step(&self, length: usize) -> Step<Content> {
        let (file, offset) = (self.transfer.file.clone(), self.transfer.offset);
        let read = move || file.read(offset, length, Wait::May).map(|bytes| Output::Data(Content::from(bytes).fit()));
        let work = Box::new(move |_: &dyn Running| Flow::Done(read()));
        Box::pin(Queued::step(&self.transfer.member, READ, self.transfer.member.memory().nothing(), length, work).run())
    }
}

/// A guest that drops the stream has read what it wanted.
impl Drop for FileReader {
    fn drop(&mut self) {
        let _: Poll<_> = self.close(Ok(()));
    }
}

impl<D: 'static> StreamProducer<D> for FileReader {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, u8, VecBuffer<u8>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if self.step.is_none() {
            let mut direct = destination.as_direct(store, STEP_BYTES);
            let buffer = direct.remaining();
            if buffer.is_empty() {
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            // Straight into the guest's own buffer, if the page cache has it.
            match self.transfer.file.read_cached(buffer, self.transfer.offset) {
                Ok(0) => return self.close(Ok(())),
                Ok(count) => {
                    direct.mark_written(count);
                    self.transfer.advance(count);
                    self.transfer.report(READ, count);
                    return Poll::Ready(Ok(StreamResult::Completed));
                }
                Err(Error::WOULD_BLOCK) => {
                    let length = buffer.len().min(STEP_BYTES);
                    self.step = Some(self.start_step(length));
                }
                Err(error) => return self.close(Err(error)),
            }
            return self.poll_step(cx, None, finish);
        }
        self.poll_step(cx, Some(&mut destination), finish)
    }
}

impl FileReader {
    /// Waits for a worker. `destination` is none right after the step was started, when it cannot be done yet.
    fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
        destination: Option<&mut Destination<'_, u8, VecBuffer<u8>>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if finish {
            // Nothing was given yet, so the step can be taken back.
            self.step = None;
            return Poll::Ready(Ok(StreamResult::Cancelled));
        }
        let Some(step) = &mut self.step else { return Poll::Ready(Ok(StreamResult::Completed)) };
        let Some(destination) = destination else {
            // Asked again at once: from now on with a place for the result.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        let result = ready!(step.as_mut().poll(cx));
        self.step = None;
        match result {
            Ok(data) if data.is_empty() => self.close(Ok(())),
            Ok(data) => {
                self.transfer.advance(data.len());
                destination.set_buffer(data.into_bytes().into());
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Err(error) => self.close(Err(error)),
        }
    }
}

/// The host's end of `write-stream`.
struct FileWriter {
    transfer: Transfer,
    sender: Option<oneshot::Sender<Result<u64>>>,
    step: Option<Step<u64>>,
    /// The way in for what it takes from the guest, while it waits for memory.
    entrance: Option<Entrance<Result<Output>>>,
    written: u64,
}

impl FileWriter {
    fn close(&mut self, result: Result<u64>) {
        if let Some(sender) = self.sender.take() {
            // Fails if the call is gone: then nobody wants to know.
            let _ = sender.send(result);
        }
    }

    /// Memory for what the next step takes from the guest, once there is some: for `bytes`, or for as many as it was first asked
    /// for.
    fn poll_memory(&mut self, bytes: usize, cx: &Context<'_>) -> Poll<Result<Reservation>> {
        let member = &self.transfer.member;
        let entrance = || Entrance::new(member, &Submission::host(WRITE), Some(member.memory().nothing()), bytes);
        let admitted = ready!(self.entrance.get_or_insert_with(entrance).poll(cx));
        self.entrance = None;
        Poll::Ready(Ok(admitted?.into_memory()))
    }

    fn start_step(&self, data: &[u8], held: Reservation) -> Step<u64> {
        let (file, offset) = (self.transfer.file.clone(), self.transfer.offset);
        let data = data.to_vec();
        let work = Box::new(move |_: &dyn Running| Flow::Done(file.write(offset, &data).map(Output::Count)));
        Box::pin(Queued::step(&self.transfer.member, WRITE, held, 0, work).run())
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
        _finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        // A write that has begun is waited for also when the guest would rather finish: it must know how much went out.
        let mut source = source.as_direct(store);
        if self.step.is_none() {
            if source.remaining().is_empty() {
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            let left = source.remaining().len();
            match ready!(self.poll_memory(left.min(STEP_BYTES), cx)) {
                Ok(held) => {
                    let bytes = left.min(held.amount());
                    self.step = Some(self.start_step(&source.remaining()[..bytes], held));
                }
                Err(error) => {
                    self.close(Err(error));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
            }
        }
        let Some(step) = &mut self.step else { return Poll::Ready(Ok(StreamResult::Completed)) };
        let result = ready!(step.as_mut().poll(cx));
        self.step = None;
        match result {
            Ok(count) => {
                let taken = usize::try_from(count).unwrap_or(usize::MAX);
                source.mark_read(taken);
                self.transfer.advance(taken);
                self.written += count;
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Err(error) => {
                self.close(Err(error));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
        }
    }
}
