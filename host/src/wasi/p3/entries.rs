//! `read-directory`: the entries of a directory as a stream, which holds what one look at the directory gives and no more.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::channel::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult, VecBuffer};
use wasmtime_wasi::p3::bindings::filesystem::types::DirectoryEntry;

use super::records;
use crate::error::Result;
use crate::wasi::filesystem::{Asker, Begun, CallOutcome, CallStep, DirListing, Failure, Found};

/// Entries that a reader gets at a time that is no guest, and says no number: 64.
const ENTRIES: usize = 64;

/// The host's end of the stream.
pub(super) struct Entries {
    asker: Asker,
    state: State,
    sender: Option<oneshot::Sender<Result<()>>>,
}

enum State {
    /// The directory is opened once more, for this stream alone.
    Opening(Pin<Box<dyn Future<Output = CallOutcome<DirListing>> + Send>>),
    Open(DirListing),
    Reading(DirListing, CallStep<()>),
    Closed,
}

impl Entries {
    /// What becomes of the stream is sent to the receiver.
    pub(super) fn new(
        asker: Asker,
        opening: impl Future<Output = CallOutcome<DirListing>> + Send + 'static,
    ) -> (Self, oneshot::Receiver<Result<()>>) {
        let (sender, receiver) = oneshot::channel();
        (Self { asker, state: State::Opening(Box::pin(opening)), sender: Some(sender) }, receiver)
    }

    fn close(&mut self, result: Result<()>) {
        if let Some(sender) = self.sender.take() {
            // Fails if the guest has dropped the future: then nobody wants to know.
            let _ = sender.send(result);
        }
    }

    /// Entries, `count` of them at most, once there are some; none at the end.
    fn poll_entries(&mut self, count: usize, cx: &mut Context<'_>) -> Poll<CallOutcome<Vec<DirectoryEntry>>> {
        loop {
            let listing = match mem::replace(&mut self.state, State::Closed) {
                State::Closed => return Poll::Ready(Ok(Vec::new())),
                State::Opening(mut opening) => match opening.as_mut().poll(cx) {
                    Poll::Ready(listing) => listing?,
                    Poll::Pending => {
                        self.state = State::Opening(opening);
                        return Poll::Pending;
                    }
                },
                State::Reading(listing, mut step) => match step.poll(cx) {
                    Poll::Ready(result) => {
                        result?;
                        listing
                    }
                    Poll::Pending => {
                        self.state = State::Reading(listing, step);
                        return Poll::Pending;
                    }
                },
                State::Open(listing) => listing,
            };
            if let Some(entries) = self.take(listing, count)? {
                return Poll::Ready(Ok(entries));
            }
        }
    }

    /// Takes entries that were read, none at the end; or begins to read some.
    fn take(&mut self, mut listing: DirListing, count: usize) -> Result<Option<Vec<DirectoryEntry>>> {
        let mut entries = Vec::new();
        let found = listing.give(count, |kind, name| {
            entries.push(DirectoryEntry { type_: records::descriptor_type(kind), name: name.to_owned() });
        });
        if found != Found::Unread {
            self.state = State::Open(listing);
            return Ok(Some(entries));
        }
        self.state = match listing.read_on(&self.asker) {
            Begun::Done(result, _) => {
                result?;
                State::Open(listing)
            }
            Begun::Step(step) => State::Reading(listing, step),
        };
        Ok(None)
    }
}

/// A guest that drops the stream has seen what it wanted.
impl Drop for Entries {
    fn drop(&mut self) {
        self.close(Ok(()));
    }
}

impl<D: 'static> StreamProducer<D> for Entries {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, DirectoryEntry, VecBuffer<DirectoryEntry>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let count = destination.remaining(&mut store).unwrap_or(ENTRIES);
        if count == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let end = match self.poll_entries(count, cx) {
            Poll::Ready(Ok(entries)) if !entries.is_empty() => {
                destination.set_buffer(entries.into());
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            // What was begun is gone on with when the guest reads again: none of its entries was given.
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(_)) => Ok(()),
            Poll::Ready(Err(Failure::Code(error))) => Err(error),
            Poll::Ready(Err(Failure::Trap(trap))) => return Poll::Ready(Err(trap)),
        };
        self.close(end);
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}
