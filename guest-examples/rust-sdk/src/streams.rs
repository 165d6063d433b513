//! Long sequential transfers, for components of WASI 0.3.

use std::io;

use wit_bindgen::{FutureReader, StreamReader};

use crate::File;
use crate::bindings::aiohost::aio::streams;
use crate::types::Error;

/// # Streams
///
/// ```no_run
#[doc = include_str!("../examples/streams.rs")]
/// # fn main() {}
/// ```
impl File {
    /// The bytes of the file from an offset to its end, and the outcome, which is known after the last byte. The offset is in
    /// bytes. Dropping the stream ends the reading.
    ///
    /// # Errors
    ///
    /// Through the future, those of [`submit::read`](crate::submit::read).
    pub fn read_stream(&self, offset: u64) -> (StreamReader<u8>, FutureReader<Result<(), Error>>) {
        streams::read_stream(self.handle(), offset)
    }

    /// Write the bytes of a stream, from an offset on, and return how many were written, once the stream is closed. The offset
    /// is in bytes.
    ///
    /// # Errors
    ///
    /// Those of [`submit::write`](crate::submit::write). The stream is closed then, and what was written before stays written.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the count, and does not stop the writing: once the call has begun, what is sent into the
    /// stream is still written until the stream is closed. What was written stays written.
    pub async fn write_stream(&self, offset: u64, data: StreamReader<u8>) -> io::Result<u64> {
        Ok(streams::write_stream(self.handle(), offset, data).await?)
    }
}
