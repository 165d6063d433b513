//! Requests that bring what was written to the device, and `nop`.

use crate::ctx::AioView;
use crate::linker::Requests;
use crate::sandbox::OpenFile;

pub(crate) fn add<T: AioView + 'static>(requests: &mut Requests<'_, T>) -> wasmtime::Result<()> {
    requests.on_worker("fsync", |(file,): &mut (OpenFile,), _| file.fsync())?;
    requests.on_worker("fdatasync", |(file,): &mut (OpenFile,), _| file.fdatasync())?;
    requests.on_worker("nop", |(): &mut (), _| Ok(()))
}
