//! The standard input, output and error of a guest.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{AsyncStdinStream, AsyncStdoutStream, IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::standard_output::{BEHIND_BYTES, Elsewhere, OnOwnThread, Standard};
use super::whereabouts::Whereabouts;

/// The standard input of one guest: [`GuestBuilder::stdin`](super::GuestBuilder::stdin) takes it. It may be made on any
/// thread.
///
/// ```
/// use aiohost::Stdin;
///
/// let nothing = Stdin::null();
/// let of_this_process = Stdin::inherit();
/// let text = Stdin::bytes("one\ntwo\n");
/// // Anything that tokio can read: a file, a socket, or the other end of a pipe in this process.
/// let (mut here, there) = tokio::io::duplex(8 << 10);
/// let piped = Stdin::reader(there);
/// # drop((nothing, of_this_process, text, piped, &mut here));
/// ```
#[derive(Default)]
pub struct Stdin(Source);

#[derive(Default)]
enum Source {
    #[default]
    Null,
    Inherit,
    Stream(Box<dyn StdinStream + Sync>),
}

impl Stdin {
    /// Empty input.
    pub fn null() -> Self {
        Self(Source::Null)
    }

    /// The standard input of this process. What one guest reads is gone for every other guest that has it.
    pub fn inherit() -> Self {
        Self(Source::Inherit)
    }

    /// These bytes, and then the end.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Source::Stream(Box::new(MemoryInputPipe::new(bytes))))
    }

    /// The bytes of a reader. A task of the tokio runtime that the guest runs in reads them ahead of the guest: what it has read and
    /// the guest has not used is lost when the guest ends.
    pub fn reader(reader: impl AsyncRead + Send + Sync + 'static) -> Self {
        Self(Source::Stream(Box::new(AsyncStdinStream::new(reader))))
    }

    pub(super) fn give_to(self, wasi: &mut WasiCtxBuilder) {
        match self.0 {
            Source::Null => {}
            Source::Inherit => drop(wasi.inherit_stdin()),
            Source::Stream(stream) => drop(wasi.stdin(stream)),
        }
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Null => "Stdin::null",
            Source::Inherit => "Stdin::inherit",
            Source::Stream(_) => "Stdin",
        })
    }
}

/// Where the standard output or the standard error of one guest goes: [`GuestBuilder::stdout`] and [`GuestBuilder::stderr`] take it.
/// It may be made on any thread.
///
/// ```
/// use aiohost::{Host, Stdout};
/// use tokio::io::AsyncReadExt as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), aiohost::Problem> {
/// // Writes "hello" to standard output.
/// let text = br#"(module
///     (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
///     (memory (export "memory") 1)
///     (data (i32.const 0) "\10\00\00\00\05\00\00\00")
///     (data (i32.const 16) "hello")
///     (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
/// let plugin = Host::builder().build()?.load_bytes("hello.wat", text)?;
///
/// // What is written is kept, as much of it as there is room for, and may be looked at while the guest runs.
/// let (stdout, output) = Stdout::captured(64 << 10);
/// plugin.guest().stdout(stdout).stderr(Stdout::null()).build()?.run().await?;
/// assert_eq!((output.text().as_str(), output.bytes().len()), ("hello", 5));
///
/// // Or it goes where the application's own does.
/// plugin.guest().stdout(Stdout::inherit()).build()?.run().await?;
///
/// // Or to a writer.
/// let (mut here, there) = tokio::io::duplex(64);
/// plugin.guest().stdout(Stdout::writer(there)).build()?.run().await?;
/// let mut said = [0; 5];
/// here.read_exact(&mut said).await.expect("it is written");
/// assert_eq!(&said, b"hello");
/// # Ok(())
/// # }
/// ```
///
/// [`GuestBuilder::stdout`]: super::GuestBuilder::stdout
/// [`GuestBuilder::stderr`]: super::GuestBuilder::stderr
#[derive(Default)]
pub struct Stdout(Sink);

#[derive(Default)]
enum Sink {
    #[default]
    Null,
    Inherit,
    Stream(Box<dyn StdoutStream + Sync>),
}

impl Stdout {
    /// Nowhere: what is written is dropped.
    pub fn null() -> Self {
        Self(Sink::Null)
    }

    /// To the standard output, or error, of this process. A guest that waits for the reader of it holds up no other guest, unless it
    /// has its thread to itself.
    pub fn inherit() -> Self {
        Self(Sink::Inherit)
    }

    /// Into memory, at most `bytes_max` bytes. After that the guest finds its output closed, like a pipe that nobody reads any more.
    pub fn captured(bytes_max: usize) -> (Self, Captured) {
        let captured = Captured { bytes_max, content: Arc::default() };
        (Self(Sink::Stream(Box::new(captured.clone()))), captured)
    }

    /// To a writer, to which a task of the tokio runtime writes that the guest runs in. At most 8 KiB are on their way to it; then
    /// the guest waits.
    pub fn writer(writer: impl AsyncWrite + Send + Sync + 'static) -> Self {
        Self(Sink::Stream(Box::new(AsyncStdoutStream::new(BEHIND_BYTES, writer))))
    }

    /// `own_thread` is there if the guest may wait on the thread that polls it.
    fn stream(self, standard: Standard, own_thread: Option<Arc<Whereabouts>>) -> Option<Box<dyn StdoutStream + Sync>> {
        match self.0 {
            Sink::Null => None,
            Sink::Inherit => Some(match own_thread {
                Some(whereabouts) => Box::new(OnOwnThread { standard, whereabouts }),
                None => Box::new(Elsewhere::new(standard)),
            }),
            Sink::Stream(stream) => Some(stream),
        }
    }

    pub(super) fn give_to(self, wasi: &mut WasiCtxBuilder, standard: Standard, own_thread: Option<Arc<Whereabouts>>) {
        let Some(stream) = self.stream(standard, own_thread) else { return };
        match standard {
            Standard::Output => wasi.stdout(stream),
            Standard::Error => wasi.stderr(stream),
        };
    }
}

impl fmt::Debug for Stdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Sink::Null => "Stdout::null",
            Sink::Inherit => "Stdout::inherit",
            Sink::Stream(_) => "Stdout",
        })
    }
}

/// What a guest has written; see [`Stdout::captured`]. Cheap to clone, and may be read from any thread, while the guest runs and when
/// it is gone.
///
/// ```
/// use aiohost::{Captured, Host, Stdout};
///
/// # fn main() -> Result<(), aiohost::Problem> {
/// # let text = br#"(module (memory (export "memory") 1) (func (export "_start")))"#;
/// let plugin = Host::builder().build()?.load_bytes("silent.wat", text)?;
/// let (stdout, output): (Stdout, Captured) = Stdout::captured(64 << 10);
/// let _guest = plugin.guest().stdout(stdout).build()?;
/// assert!(output.bytes().is_empty() && output.text().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Captured {
    bytes_max: usize,
    content: Arc<Mutex<Vec<u8>>>,
}

impl Captured {
    fn content(&self) -> MutexGuard<'_, Vec<u8>> {
        // Nothing under the lock can panic half way.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of what has been written so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.content().clone()
    }

    /// The same as text, with U+FFFD for bytes that are not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content()).into_owned()
    }

    /// Keeps what there is room for, and gives its length; nothing if there is no room.
    fn keep(&self, bytes: &[u8]) -> Option<usize> {
        let mut content = self.content();
        let count = bytes.len().min(self.bytes_max - content.len());
        content.extend_from_slice(&bytes[..count]);
        (count > 0 || bytes.is_empty()).then_some(count)
    }
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl OutputStream for Captured {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        match self.keep(&bytes) {
            Some(count) if count == bytes.len() => Ok(()),
            _ => Err(StreamError::Closed),
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        match self.bytes_max - self.content().len() {
            0 => Err(StreamError::Closed),
            room => Ok(room),
        }
    }
}

#[async_trait]
impl Pollable for Captured {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Captured {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.keep(bytes).ok_or_else(|| io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
