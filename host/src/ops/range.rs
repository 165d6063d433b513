//! Requests on a range of an open file that move no data: space, holes, advice, and locks.

use std::time::Duration;

use crate::arguments::Locking;
use crate::ctx::AioView;
use crate::error::{Error, Result};
use crate::faces::Registrar;
use crate::sandbox::{Advice, Allocation, ExtentSearch, Lock, Locked, OpenFile, Ticket, Wait};
use crate::sched::Flow;

/// How long a request for a lock that another has waits before it tries again, the first time: 1 ms, some hundred times what an
/// attempt costs. No system call waits for a lock without a thread of its own.
const PAUSE_FIRST: Duration = Duration::from_millis(1);

/// The same, after many attempts: 50 ms, so that a thousand waiting requests cost no more than a few percent of a processor.
const PAUSE_MAX: Duration = Duration::from_millis(50);

pub(crate) fn add<T: AioView + 'static>(requests: &mut Registrar<'_, T>) -> wasmtime::Result<()> {
    requests.on_worker("allocate", |(file, allocation, offset, length): &mut Allocate, _| {
        file.allocate(*allocation, *offset, *length)
    })?;
    requests.on_worker("advise", |(file, offset, length, advice): &mut (OpenFile, u64, u64, Advice), _| {
        file.advise(*offset, *length, *advice)
    })?;
    requests.on_worker("clone-range", |(output, at, input, from, length): &mut CloneRange, _| {
        output.clone_range(*at, input, *from, *length)
    })?;
    requests.again_and_again("lock", |(locking,): &mut (Locking,), ticket| lock(locking, ticket))?;
    requests.let_in("unlock", |(file, range): &mut (OpenFile, Lock), wait| match wait {
        // On a file system that is not local a lock is a matter for others.
        Wait::Never => Err(Error::WOULD_BLOCK),
        Wait::May => file.unlock(*range),
    })?;
    requests.again_and_again("extents", |(search,): &mut (ExtentSearch,), ticket| search.go_on(ticket))
}

type Allocate = (OpenFile, Allocation, u64, u64);
type CloneRange = (OpenFile, u64, OpenFile, u64, u64);

fn lock(locking: &mut Locking, ticket: &dyn Ticket) -> Flow<Result<Locked>> {
    let locked = ticket.check().and_then(|()| locking.file.try_lock(locking.kind, locking.range));
    match locked {
        Err(Error::WOULD_BLOCK | Error::NOT_YET) if locking.waits => {
            let pause = locking.pause.map_or(PAUSE_FIRST, |pause| pause.saturating_mul(2).min(PAUSE_MAX));
            locking.pause = Some(pause);
            Flow::Again(pause)
        }
        result => Flow::Done(result),
    }
}
