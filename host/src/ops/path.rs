//! Requests that name an object by its path.

use crate::ctx::AioView;
use crate::linker::Requests;
use crate::sandbox::{Opening, Place, Read, Write};

pub(crate) fn add<T: AioView + 'static>(requests: &mut Requests<'_, T>) -> wasmtime::Result<()> {
    requests.inline_first("open", |(opening,): &mut (Opening,), wait| opening.open(wait))?;
    requests.inline_first("open-dir", |(place,): &mut (Place<Read>,), wait| place.open_dir(wait))?;
    requests.inline_first("stat", |(place,): &mut (Place<Read>,), wait| place.stat(wait))?;
    requests.inline_first("lstat", |(place,): &mut (Place<Read>,), wait| place.lstat(wait))?;
    requests.on_worker("unlink", |(place,): &mut (Place<Write>,), _| place.unlink())?;
    requests.on_worker("rmdir", |(place,): &mut (Place<Write>,), _| place.rmdir())?;
    requests.on_worker("mkdir", |(place, mode): &mut (Place<Write>, u16), _| place.mkdir(*mode))?;
    requests.on_worker("rename", |(old, new): &mut (Place<Write>, Place<Write>), _| old.rename(new))
}
