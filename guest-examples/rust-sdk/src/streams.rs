//! Long sequential transfers, for components of WASI 0.3.

use std::io;

use wit_bindgen::{FutureReader, StreamReader};

use crate::File;
use crate::bindings::aiohost::aio::streams;
use crate::types::Error;

impl File {
    /// The bytes of the file from an offset to its end, and the outcome, which is known after the last byte.
    pub fn read_stream(&self, offset: u64) -> (StreamReader<u8>, FutureReader<Result<(), Error>>) {
        streams::read_stream(self.handle(), offset)
    }

    /// Write the bytes of a stream, from an offset on, and return how many were written.
    pub async fn write_stream(&self, offset: u64, data: StreamReader<u8>) -> io::Result<u64> {
        Ok(streams::write_stream(self.handle(), offset, data).await?)
    }
}
