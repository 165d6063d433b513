//! `write-via-stream` and `append-via-stream`: a file as an output stream.

use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::error::failed;
use crate::arguments::{Held, holds};
use crate::door::{Request, Run, Terms};
use crate::error::{Error, Result};
use crate::sandbox::{OpenFile, WriteTo};
use crate::wasi::filesystem::{Asker, Begun, CallStep, request};
use crate::wasi::requests::TERMS;

const WRITE: Request<(Whole,), u64> = request("write-via-stream", WRITING);
const APPEND: Request<(Whole,), u64> = request("append-via-stream", WRITING);
const WRITING: Run<(Whole,), u64> = Run::Worker(|(whole,), _| whole.write());

/// Bytes that a guest may write at once. 64 KiB: as much as `wasmtime_wasi` takes.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// A write during which its guest goes on. There may be any number of streams, so the bytes of each are counted before it waits, or
/// the write is refused.
const IN_NUMBERS: Terms = Terms { waits_in_numbers: true, ..TERMS };

holds! { Whole }

/// Bytes that are written to the last one.
struct Whole {
    file: OpenFile,
    to: WriteTo,
    data: Vec<u8>,
}

impl Whole {
    fn bytes(&self) -> usize {
        self.data.capacity()
    }

    fn write(&self) -> Result<u64> {
        let mut to = self.to;
        let mut rest = self.data.as_slice();
        while !rest.is_empty() {
            let count = self.file.write_from(to, rest)?;
            if count == 0 {
                return Err(Error::IO);
            }
            rest = &rest[usize::try_from(count).expect("no more is written than there is")..];
            to = to.after(count);
        }
        Ok(u64::try_from(self.data.len()).expect("a length fits"))
    }
}

/// A file from some offset on, or its end, wherever that is.
pub(super) struct FileOutput {
    asker: Asker,
    file: OpenFile,
    to: WriteTo,
    request: Request<(Whole,), u64>,
    step: Option<CallStep<u64>>,
    state: State,
}

enum State {
    Open,
    /// The guest has not been told yet.
    Failed(Error),
    Closed,
}

impl FileOutput {
    pub(super) fn at(asker: Asker, file: OpenFile, offset: u64) -> Self {
        Self { asker, file, to: WriteTo::Offset(offset), request: WRITE, step: None, state: State::Open }
    }

    pub(super) fn at_end(asker: Asker, file: OpenFile) -> Self {
        Self { asker, file, to: WriteTo::EndAlone, request: APPEND, step: None, state: State::Open }
    }

    fn begin(&mut self, data: Vec<u8>, terms: Terms) {
        let whole = Whole { file: self.file.clone(), to: self.to, data };
        match self.asker.begin_on(terms, self.request, (whole,)) {
            Begun::Done(result, _) => self.settle(result),
            Begun::Step(step) => self.step = Some(step),
        }
    }

    fn settle(&mut self, result: Result<u64>) {
        self.step = None;
        match result {
            Ok(count) => self.to = self.to.after(count),
            Err(error) => self.state = State::Failed(error),
        }
    }

    /// What is known without waiting. A failure is told once; then the stream is closed.
    fn look(&mut self) -> StreamResult<()> {
        if let Some(result) = self.step.as_mut().and_then(CallStep::look) {
            self.settle(result);
        }
        match self.state {
            State::Open => Ok(()),
            State::Closed => Err(StreamError::Closed),
            State::Failed(error) => {
                self.state = State::Closed;
                Err(failed(error))
            }
        }
    }

    async fn wait(&mut self) {
        if let Some(step) = &mut self.step {
            let result = step.done().await;
            self.settle(result);
        }
    }

    fn give(&mut self, bytes: Bytes, terms: Terms) -> StreamResult<()> {
        self.look()?;
        if self.step.is_some() || bytes.len() > WRITE_BYTES_MAX {
            return Err(StreamError::trap("a write is larger than `check-write` has said that it may be"));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.begin(bytes.into(), terms);
        self.look()
    }
}

#[async_trait]
impl OutputStream for FileOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.give(bytes, IN_NUMBERS)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.look()
    }

    /// Nothing more may be written while something is: so it is known what was flushed.
    fn check_write(&mut self) -> StreamResult<usize> {
        self.look()?;
        Ok(if self.step.is_some() { 0 } else { WRITE_BYTES_MAX })
    }

    /// It holds up its guest, so there is one at a time, which may wait with what it brings.
    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.wait().await;
        self.give(bytes, TERMS)?;
        self.wait().await;
        self.look()
    }

    /// A guest that drops the stream has written what it wanted.
    async fn cancel(&mut self) {
        self.wait().await;
    }
}

#[async_trait]
impl Pollable for FileOutput {
    async fn ready(&mut self) {
        self.wait().await;
    }
}
