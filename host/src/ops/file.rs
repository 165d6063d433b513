//! Requests on an open file.

use crate::arguments::{Closing, Reading};
use crate::ctx::{AioCtxView, AioView};
use crate::error::Error;
use crate::linker::Requests;
use crate::output::Output;
use crate::sandbox::{ChangeableFile, NewTimes, OpenFile, Permissions, Wait, Whence};
use crate::sched::{Flow, Submission};

pub(crate) fn add<T: AioView + 'static>(requests: &mut Requests<'_, T>) -> wasmtime::Result<()> {
    requests.inline_first("close", |(closing,): &mut (Closing,), wait| {
        if wait == Wait::Never && closing.may_wait() { Err(Error::WOULD_BLOCK) } else { closing.take()?.close() }
    })?;
    requests
        .inline_first("seek", |(file, offset, from): &mut (OpenFile, i64, Whence), wait| file.seek(*offset, *from, wait))?;
    requests
        .inline_first("read", |(reading,): &mut (Reading,), wait| reading.file.read(reading.offset, reading.length, wait))?;
    requests.on_worker("write", |(file, offset, data): &mut (OpenFile, Option<u64>, Vec<u8>), _| file.write(*offset, data))?;
    requests.on_worker("sendfile", |(output, at, input, from, length): &mut Sendfile, ticket| {
        output.sendfile(*at, input, *from, *length, ticket)
    })?;
    requests.on_worker("readahead", |(file, offset, length): &mut (OpenFile, u64, u64), _| file.readahead(*offset, *length))?;
    requests.inline_first("fstat", |(file,): &mut (OpenFile,), _| file.stat())?;
    requests.on_worker("futime", |(file, times): &mut (ChangeableFile, NewTimes), _| file.utime(times))?;
    requests.on_worker("fchmod", |(file, mode): &mut (ChangeableFile, Permissions), _| file.chmod(*mode))?;
    requests.on_worker("ftruncate", |(file, length): &mut (OpenFile, u64), _| file.truncate(*length))
}

type Sendfile = (OpenFile, Option<u64>, OpenFile, u64, u64);

/// The guest dropped its handle. A file that was written is closed by a worker, since that may have to wait.
pub(crate) fn drop_handle(view: AioCtxView<'_>, file: OpenFile) {
    if !file.close_may_wait() {
        return;
    }
    let mut file = Some(file);
    let work = Box::new(move |_: &_| Flow::Done(file.take().map_or(Ok(()), OpenFile::close).map(|()| Output::Done)));
    // Over a limit it is closed here after all.
    if let Ok(id) = view.ctx.membership.submit(Submission::host("close", 0), work) {
        view.ctx.membership.disown(id);
    }
}
