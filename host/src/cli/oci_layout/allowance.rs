//! What reading an image may take, over all of its parts: a layer may be named any number of times, and unpack to a thousand times
//! its size.

use std::cell::Cell;
use std::io::{self, Read};

use super::super::remedy::Remedied;

/// Bytes of an image, as they are and unpacked. 8 GiB: beyond that it is no image of a plugin, but something that is to keep the host
/// busy.
const BYTES_MAX: u64 = 8 << 30;

/// What may still be read.
pub(in super::super) struct Allowance {
    bytes: Cell<u64>,
    is_exceeded: Cell<bool>,
}

/// A source whose bytes count, whoever reads them.
pub(super) struct Counted<'a, R> {
    source: R,
    allowance: &'a Allowance,
}

impl Default for Allowance {
    fn default() -> Self {
        Self::of(BYTES_MAX)
    }
}

impl Allowance {
    pub(super) fn of(bytes: u64) -> Self {
        Self { bytes: Cell::new(bytes), is_exceeded: Cell::new(false) }
    }

    pub(super) fn counted<R>(&self, source: R) -> Counted<'_, R> {
        Counted { source, allowance: self }
    }

    /// Fails if there is no room for so many bytes, which are not read yet.
    pub(super) fn check_room_for(&self, bytes: u64) -> io::Result<()> {
        if bytes <= self.bytes.get() {
            return Ok(());
        }
        self.is_exceeded.set(true);
        Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is beyond what an image may have"))
    }

    fn take(&self, bytes: usize) -> io::Result<()> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.check_room_for(bytes)?;
        self.bytes.set(self.bytes.get() - bytes);
        Ok(())
    }

    /// The error with which reading an image has failed, in other words if it was for this.
    pub(super) fn explain(&self, name: &str, error: anyhow::Error) -> anyhow::Error {
        if !self.is_exceeded.get() {
            return error;
        }
        let what = format!("{name} is larger than the image of a plugin may be");
        let cause = format!("its parts have more than {} GiB, as they are and unpacked", BYTES_MAX >> 30);
        anyhow::Error::msg(cause).context(Remedied { what, help: "put the plugin into an image of its own".to_owned() })
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        self.allowance.take(length)?;
        Ok(length)
    }
}
