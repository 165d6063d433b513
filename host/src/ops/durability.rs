//! Requests that bring what was written to the device, and those that do nothing.

use std::time::{Duration, Instant};

use crate::ctx::AioView;
use crate::error::Result;
use crate::faces::Registrar;
use crate::gated::{Busy, Permitted, Syncfs};
use crate::sandbox::{OpenFile, Place, Read, SyncRangeFlags, Ticket};

pub(crate) fn add<T: AioView + 'static>(requests: &mut Registrar<'_, T>) -> wasmtime::Result<()> {
    requests.on_worker("fsync", |(file,): &mut (OpenFile,), _| file.fsync())?;
    requests.on_worker("fdatasync", |(file,): &mut (OpenFile,), _| file.fdatasync())?;
    requests.on_worker("sync-file-range", |(file, offset, length, flags): &mut SyncRange, _| {
        file.sync_range(*offset, *length, *flags)
    })?;
    requests.on_worker("syncfs", |synced: &mut Permitted<Syncfs, (OpenFile,)>, _| synced.arguments.0.syncfs())?;
    requests.on_worker("pathsync", |(place,): &mut (Place<Read>,), _| place.sync())?;
    requests.queued("nop", |(): &mut (), _| Ok(()))?;
    requests
        .queued("busy", |busy: &mut Permitted<Busy, (u64,)>, ticket| be_busy(Duration::from_millis(busy.arguments.0), ticket))
}

type SyncRange = (OpenFile, u64, u64, SyncRangeFlags);

/// Keeps the worker, and looks every 10 ms whether it still has to. It sleeps on purpose: that a worker is held, and not the
/// processor, is all that this request does, as `aio_busy` waits in `select(2)`.
fn be_busy(time: Duration, ticket: &dyn Ticket) -> Result<()> {
    const SLICE: Duration = Duration::from_millis(10);
    let start = Instant::now();
    while let Some(left) = time.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        ticket.check()?;
        // The wait is the request.
        std::thread::sleep(left.min(SLICE));
    }
    Ok(())
}
