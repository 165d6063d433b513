//! `read-via-stream`: a file as an input stream.

use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

use super::error::failed;
use crate::budget::Reservation;
use crate::door::Request;
use crate::error::{Error, Result};
use crate::sandbox::{Content, OpenFile, Reading};
use crate::wasi::filesystem::{Asker, Begun, CallStep, request};
use crate::wasi::runs;

const READ: Request<(Reading,), Content> = request("read-via-stream", runs::READ);

/// Bytes that are read for a guest that waits for the stream and has not said how many it wants. 64 KiB: what a pipe holds.
const AHEAD_BYTES: usize = 64 << 10;

/// A file from some offset on. What comes at the end of the file is no end for good: where the file grows, there is more.
pub(super) struct FileInput {
    asker: Asker,
    file: OpenFile,
    at: u64,
    /// Bytes of one read at most.
    length_max: usize,
    step: Option<CallStep<Content>>,
    found: Option<Found>,
}

/// What a read came to that the guest has not got yet.
enum Found {
    Data(Bytes, Reservation),
    End,
    Failed(Error),
    /// It has failed, and the guest was told: nothing comes any more.
    Closed,
}

impl FileInput {
    pub(super) fn new(asker: Asker, file: OpenFile, at: u64, length_max: usize) -> Self {
        Self { asker, file, at, length_max, step: None, found: None }
    }

    /// Begins to read, unless that was done.
    fn begin(&mut self, size: usize) {
        if self.step.is_some() || self.found.is_some() {
            return;
        }
        let reading = Reading::new(self.file.clone(), Some(self.at), size.min(self.length_max));
        match self.asker.begin(READ, (reading,)) {
            Begun::Done(result, memory) => self.settle(result, memory),
            Begun::Step(step) => self.step = Some(step),
        }
    }

    fn settle(&mut self, result: Result<Content>, memory: Reservation) {
        self.step = None;
        self.found = Some(match result {
            Ok(content) if content.is_empty() => Found::End,
            Ok(content) => Found::Data(content.into_bytes().into(), memory),
            Err(error) => Found::Failed(error),
        });
    }

    fn settle_step(&mut self, result: Result<Content>) {
        let memory = self.asker.memory(result.as_ref().map_or(0, Content::bytes_held));
        self.settle(result, memory);
    }

    fn look(&mut self) {
        if let Some(result) = self.step.as_mut().and_then(CallStep::look) {
            self.settle_step(result);
        }
    }

    async fn wait(&mut self) {
        if let Some(step) = &mut self.step {
            let result = step.done().await;
            self.settle_step(result);
        }
    }

    /// A read of nothing asks only whether the stream is closed.
    fn nothing(&self) -> StreamResult<Bytes> {
        if matches!(self.found, Some(Found::Closed)) { Err(StreamError::Closed) } else { Ok(Bytes::new()) }
    }

    /// Gives the guest what there is.
    fn take(&mut self, size: usize) -> StreamResult<Bytes> {
        match self.found.take() {
            None => Ok(Bytes::new()),
            Some(Found::End) => Err(StreamError::Closed),
            Some(Found::Failed(error)) => {
                self.found = Some(Found::Closed);
                Err(failed(error))
            }
            Some(Found::Closed) => {
                self.found = Some(Found::Closed);
                Err(StreamError::Closed)
            }
            Some(Found::Data(mut data, memory)) => {
                let given = if size < data.len() {
                    let given = data.split_to(size);
                    self.found = Some(Found::Data(data, memory));
                    given
                } else {
                    data
                };
                self.at = self.at.saturating_add(u64::try_from(given.len()).expect("a length fits"));
                Ok(given)
            }
        }
    }
}

#[async_trait]
impl InputStream for FileInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return self.nothing();
        }
        self.begin(size);
        self.look();
        self.take(size)
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return self.nothing();
        }
        self.begin(size);
        self.wait().await;
        self.take(size)
    }
}

#[async_trait]
impl Pollable for FileInput {
    /// What is ready is there: a read after this gives some of it.
    async fn ready(&mut self) {
        self.begin(AHEAD_BYTES);
        self.wait().await;
    }
}
