//! The standard output and error of this process as those of a guest: what it writes goes out as it is, and nothing is kept back. The
//! standard library would keep the bytes of a write that failed, and bring them out once more.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags};
use tokio::io::AsyncWrite;
use tokio::task::{JoinHandle, spawn_blocking};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{AsyncStdoutStream, IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::whereabouts::Whereabouts;

/// Bytes that a guest may write at once: as many as it may by `wasmtime_wasi`.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// Bytes that are under way where a guest does not wait for them. 8 KiB: as `wasmtime_wasi` has it.
pub(super) const BEHIND_BYTES: usize = 8 << 10;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standard {
    Output,
    Error,
}

/// Bytes that are written at once where it cannot be told how much room there is. 4,096: a pipe takes as many if it takes any.
const ROOM_BYTES: usize = 4096;

/// It is written on the thread that runs the guest, which may wait for whoever reads.
#[derive(Clone)]
pub(super) struct OnOwnThread {
    pub(super) standard: Standard,
    pub(super) whereabouts: Arc<Whereabouts>,
}

impl OnOwnThread {
    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.standard.write_all(bytes, &self.whereabouts)
    }
}

/// It is written on another thread, for others are served by that of the guest.
pub(super) struct Elsewhere {
    standard: Standard,
    stream: AsyncStdoutStream,
}

impl Standard {
    fn is_terminal(self) -> bool {
        match self {
            Self::Output => io::IsTerminal::is_terminal(&io::stdout()),
            Self::Error => io::IsTerminal::is_terminal(&io::stderr()),
        }
    }

    /// Writes all of it, and waits for whoever reads as long as that takes, or until the guest is told to stop.
    fn write_all(self, bytes: &[u8], whereabouts: &Whereabouts) -> io::Result<()> {
        match self {
            Self::Output => write_all(io::stdout().as_fd(), bytes, whereabouts),
            Self::Error => write_all(io::stderr().as_fd(), bytes, whereabouts),
        }
        .map_err(io::Error::from)
    }
}

fn write_all(stream: BorrowedFd<'_>, mut bytes: &[u8], whereabouts: &Whereabouts) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match write_some(stream, bytes, whereabouts) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            // Another program may have set it to be non-blocking.
            Err(Errno::AGAIN) if whereabouts.wait_until_writable(stream) => {}
            Err(Errno::AGAIN) => return Err(Errno::CANCELED),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Writes as much as there is room for, where that can be told: pipes can.
fn write_some(stream: BorrowedFd<'_>, bytes: &[u8], whereabouts: &Whereabouts) -> rustix::io::Result<usize> {
    match rustix::io::pwritev2(stream, &[IoSlice::new(bytes)], u64::MAX, ReadWriteFlags::NOWAIT) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) if is_file(stream) => rustix::io::write(stream, bytes),
        // There is room for something at least, once it can be written at all.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => match whereabouts.wait_until_writable(stream) {
            true => match without_waiting(stream) {
                Some(own) => rustix::io::write(own, bytes),
                None => rustix::io::write(stream, &bytes[..bytes.len().min(ROOM_BYTES)]),
            },
            false => Err(Errno::CANCELED),
        },
        result => result,
    }
}

/// A terminal of which a write takes what there is room for. It may be less than any number that could be told beforehand; and to say so
/// on the stream itself would say it to all programs that have it.
fn without_waiting(stream: BorrowedFd<'_>) -> Option<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let own = || rustix::fs::open(format!("/proc/self/fd/{}", stream.as_raw_fd()), flags, Mode::empty()).ok();
    rustix::termios::isatty(stream).then(own).flatten()
}

fn is_file(stream: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(stream).is_ok_and(|status| FileType::from_raw_mode(status.st_mode).is_file())
}

impl IsTerminal for OnOwnThread {
    fn is_terminal(&self) -> bool {
        self.standard.is_terminal()
    }
}

impl StdoutStream for OnOwnThread {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl OutputStream for OnOwnThread {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_all(&bytes).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => StreamError::Closed,
            _ => StreamError::LastOperationFailed(error.into()),
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[async_trait]
impl Pollable for OnOwnThread {
    async fn ready(&mut self) {}
}

impl AsyncWrite for OnOwnThread {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write_all(bytes).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Elsewhere {
    pub(super) fn new(standard: Standard) -> Self {
        let stream = AsyncStdoutStream::new(BEHIND_BYTES, Writer { standard, write: None });
        Self { standard, stream }
    }
}

impl IsTerminal for Elsewhere {
    fn is_terminal(&self) -> bool {
        self.standard.is_terminal()
    }
}

impl StdoutStream for Elsewhere {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        self.stream.async_stream()
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        self.stream.p2_stream()
    }
}

/// One write after the other, each on a thread for what blocks.
struct Writer {
    standard: Standard,
    /// The write that is under way, of the bytes that are asked for again until it is done.
    write: Option<JoinHandle<io::Result<usize>>>,
}

impl AsyncWrite for Writer {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let standard = self.standard;
        let write = self.write.get_or_insert_with(|| {
            let bytes = bytes.to_vec();
            spawn_blocking(move || standard.write_all(&bytes, &Whereabouts::default()).map(|()| bytes.len()))
        });
        let written = ready!(Pin::new(write).poll(cx));
        self.write = None;
        Poll::Ready(written.unwrap_or_else(|error| Err(io::Error::other(error))))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
