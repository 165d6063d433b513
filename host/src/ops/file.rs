//! Requests on an open file.

use crate::arguments::Closing;
use crate::ctx::AioView;
use crate::error::Error;
use crate::faces::Registrar;
use crate::output::Number;
use crate::sandbox::{ChangeableFile, InSteps, NewTimes, OpenFile, Permissions, Reading, Seeking, Sendfile, Wait, Writing};

pub(crate) fn add<T: AioView + 'static>(requests: &mut Registrar<'_, T>) -> wasmtime::Result<()> {
    requests.let_in("close", |(closing,): &mut (Closing,), wait| match wait {
        Wait::Never if closing.may_wait() => Err(Error::WOULD_BLOCK),
        // Nobody is told of how that goes, so the reaper closes it.
        Wait::Never => closing.take().map(drop),
        Wait::May => closing.take()?.close(),
    })?;
    requests.now_or_again(
        "seek",
        |(seeking,): &mut (Seeking,)| seeking.seek_now().map(Number),
        |(seeking,), ticket| seeking.go_on(ticket).map(|sought| sought.map(Number)),
    )?;
    requests.now_or_again(
        "read",
        |(reading,): &mut (Reading,)| reading.read_now(),
        |(reading,), ticket| reading.go_on(ticket),
    )?;
    requests.again_and_again("write", |(writing,): &mut (Writing,), ticket| writing.go_on(ticket))?;
    requests.again_and_again("sendfile", |(sendfile,): &mut (Sendfile,), ticket| sendfile.go_on(ticket))?;
    requests.on_worker("readahead", |(file, offset, length): &mut (OpenFile, u64, u64), _| file.readahead(*offset, *length))?;
    requests.inline_first("fstat", |(file,): &mut (OpenFile,), wait| file.stat(wait))?;
    requests.on_worker("futime", |(file, times): &mut (ChangeableFile, NewTimes), _| file.utime(times))?;
    requests.on_worker("fchmod", |(file, mode): &mut (ChangeableFile, Permissions), _| file.chmod(*mode))?;
    requests.on_worker("ftruncate", |(file, length): &mut (OpenFile, u64), _| file.truncate(*length))
}
