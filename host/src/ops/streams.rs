//! Long sequential transfers as streams of bytes: `read-stream` and `write-stream`.

use wasmtime::component::{Accessor, FutureReader, Linker, Resource, StreamReader};
use wasmtime::{AsContextMut, StoreContextMut};

use crate::ctx::AioView;
use crate::error::{Error, Result};
use crate::sandbox::{OpenFile, WriteTo};
use crate::sched::Kind;
use crate::streams::{FileReader, FileWriter, Transfer};

const STREAMS: &str = "aiohost:aio/streams@0.1.0";

const READ: Kind = Kind { name: "read-stream", number: 0 };
const WRITE: Kind = Kind { name: "write-stream", number: 1 };

/// The kinds of work that are no requests: their numbers come before those of requests.
pub(crate) const KINDS: [Kind; 2] = [READ, WRITE];

pub(crate) fn add<T: AioView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut streams = linker.instance(STREAMS)?;
    streams.func_wrap("read-stream", |mut store: StoreContextMut<'_, T>, (file, offset): (Resource<OpenFile>, u64)| {
        let (reader, end) = FileReader::new(transfer(&mut store, &file, READ)?, offset);
        let stream = StreamReader::new(&mut store, reader)?;
        Ok(((stream, FutureReader::new(&mut store, end)?),))
    })?;
    streams.func_wrap_concurrent(
        "write-stream",
        |accessor: &Accessor<T>, (file, offset, data): (Resource<OpenFile>, u64, StreamReader<u8>)| {
            Box::pin(async move {
                let end = accessor.with(|mut access| {
                    let transfer = transfer(&mut access, &file, WRITE)?;
                    let (writer, end) = FileWriter::new(transfer, WriteTo::Offset(offset));
                    data.pipe(&mut access, writer)?;
                    wasmtime::error::Ok(end)
                })?;
                // The writer answers before it goes, unless the store goes with it.
                let written: Result<u64> = end.await.unwrap_or(Err(Error::CANCELED));
                Ok((written,))
            })
        },
    )
}

fn transfer<T: AioView + 'static>(
    mut store: impl AsContextMut<Data = T>,
    file: &Resource<OpenFile>,
    kind: Kind,
) -> wasmtime::Result<Transfer> {
    let mut store = store.as_context_mut();
    let view = store.data_mut().aio();
    Ok(Transfer::of_steps(view.table.get(file)?.clone(), view.ctx.caller(), kind))
}
