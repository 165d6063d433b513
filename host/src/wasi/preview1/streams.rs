//! The standard streams of a guest of preview 1: those of `wasmtime-wasi`, whatever the embedder has made of them.

use wasmtime::component::Resource;
use wasmtime_wasi::cli::WasiCliView as _;
use wasmtime_wasi::p2::bindings::cli::{stderr, stdin, stdout, terminal_stderr, terminal_stdin, terminal_stdout};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, StreamError};

use super::Preview1View;
use super::descriptors::StandardFd;
use super::errno::{CallFailure, Errno, Result, trap};
use super::memory::{GuestMemory, Pieces};
use super::records::standard_index;

/// Bytes of a stream that are moved at a time. 64 KiB: what a pipe holds.
const STREAM_BYTES: usize = 64 << 10;

/// The streams of one guest, each once it was used.
#[derive(Default)]
pub(super) struct Streams {
    input: Option<Resource<DynInputStream>>,
    output: Option<Resource<DynOutputStream>>,
    error: Option<Resource<DynOutputStream>>,
    terminals: [Option<bool>; 3],
}

/// What a broken stream is for the guest.
fn broken(error: StreamError) -> CallFailure {
    match error {
        StreamError::Closed => Errno::PIPE.into(),
        StreamError::LastOperationFailed(error) => {
            let errno = error.downcast_ref::<std::io::Error>().and_then(rustix::io::Errno::from_io_error);
            errno.map_or(CallFailure::Errno(Errno::IO), |errno| crate::error::Error::from(errno).into())
        }
        StreamError::Trap(error) => trap(error),
    }
}

impl<T: Preview1View> GuestMemory<'_, T> {
    pub(super) fn input(&mut self) -> Result<Resource<DynInputStream>> {
        let stream = match self.caller.data_mut().preview1().streams.input.take() {
            Some(stream) => stream,
            None => stdin::Host::get_stdin(&mut self.caller.data_mut().cli()).map_err(trap)?,
        };
        let shown = Resource::new_borrow(stream.rep());
        self.caller.data_mut().preview1().streams.input = Some(stream);
        Ok(shown)
    }

    pub(super) fn output(&mut self, standard: StandardFd) -> Result<Resource<DynOutputStream>> {
        let kept = |streams: &mut Streams| match standard {
            StandardFd::Error => streams.error.take(),
            _ => streams.output.take(),
        };
        let stream = match (kept(&mut self.caller.data_mut().preview1().streams), standard) {
            (Some(stream), _) => stream,
            (None, StandardFd::Error) => stderr::Host::get_stderr(&mut self.caller.data_mut().cli()).map_err(trap)?,
            (None, _) => stdout::Host::get_stdout(&mut self.caller.data_mut().cli()).map_err(trap)?,
        };
        let shown = Resource::new_borrow(stream.rep());
        let streams = &mut self.caller.data_mut().preview1().streams;
        match standard {
            StandardFd::Error => streams.error = Some(stream),
            _ => streams.output = Some(stream),
        }
        Ok(shown)
    }

    pub(super) fn is_terminal(&mut self, standard: StandardFd) -> Result<bool> {
        if let Some(known) = self.caller.data_mut().preview1().streams.terminals[standard_index(standard)] {
            return Ok(known);
        }
        let mut cli = self.caller.data_mut().cli();
        let is_terminal = match standard {
            StandardFd::Input => {
                let terminal = terminal_stdin::Host::get_terminal_stdin(&mut cli).map_err(trap)?;
                terminal.map(|terminal| cli.table.delete(terminal)).transpose().map_err(trap)?.is_some()
            }
            StandardFd::Output => {
                let terminal = terminal_stdout::Host::get_terminal_stdout(&mut cli).map_err(trap)?;
                terminal.map(|terminal| cli.table.delete(terminal)).transpose().map_err(trap)?.is_some()
            }
            StandardFd::Error => {
                let terminal = terminal_stderr::Host::get_terminal_stderr(&mut cli).map_err(trap)?;
                terminal.map(|terminal| cli.table.delete(terminal)).transpose().map_err(trap)?.is_some()
            }
        };
        self.caller.data_mut().preview1().streams.terminals[standard_index(standard)] = Some(is_terminal);
        Ok(is_terminal)
    }

    /// Reads what there is of standard input, once there is something.
    pub(super) async fn read_input(&mut self, pieces: &Pieces) -> Result<usize> {
        if pieces.length == 0 {
            return Ok(0);
        }
        let stream = self.input()?;
        let stream = self.caller.data_mut().aio().table.get_mut(&stream).map_err(trap)?;
        let bytes = match stream.blocking_read(pieces.length.min(STREAM_BYTES)).await {
            Ok(bytes) => bytes,
            Err(StreamError::Closed) => return Ok(0),
            Err(error) => return Err(broken(error)),
        };
        self.scatter(pieces, &bytes);
        Ok(bytes.len())
    }

    /// Writes all of it to standard output or standard error, or as much as comes before an error.
    pub(super) async fn write_output(&mut self, standard: StandardFd, pieces: &Pieces) -> Result<usize> {
        let output = self.output(standard)?;
        let mut written = 0;
        for piece in pieces.iter() {
            for start in piece.clone().step_by(STREAM_BYTES) {
                let end = piece.end.min(start.saturating_add(STREAM_BYTES));
                let (memory, data) = self.parts();
                let bytes = memory[start..end].to_vec();
                let stream = data.aio().table.get_mut(&output).map_err(trap)?;
                match stream.blocking_write_and_flush(bytes.into()).await {
                    Ok(()) => written += end - start,
                    Err(_) if written > 0 => return Ok(written),
                    Err(error) => return Err(broken(error)),
                }
            }
        }
        Ok(written)
    }
}
