//! Requests that name an object by its path.

use crate::ctx::AioView;
use crate::faces::Registrar;
use crate::gated::{Mkfifo, Permitted};
use crate::sandbox::{NewTimes, Opening, Permissions, Place, Read, RenameHow, Target, Write};

pub(crate) fn add<T: AioView + 'static>(requests: &mut Registrar<'_, T>) -> wasmtime::Result<()> {
    requests.inline_first("open", |(opening,): &mut (Opening,), wait| opening.open(wait))?;
    requests.inline_first("open-dir", |(place,): &mut (Place<Read>,), wait| place.open_dir(wait))?;
    requests.inline_first("stat", |(place,): &mut (Place<Read>,), wait| place.stat(wait))?;
    requests.inline_first("lstat", |(place,): &mut (Place<Read>,), wait| place.lstat(wait))?;
    requests.on_worker("statvfs", |(place,): &mut (Place<Read>,), _| place.volume())?;
    requests.on_worker("utime", |(place, times): &mut (Place<Write>, NewTimes), _| place.utime(times))?;
    requests.on_worker("chmod", |(place, mode): &mut (Place<Write>, Permissions), _| place.chmod(*mode))?;
    requests.on_worker("truncate", |(place, length): &mut (Place<Write>, u64), _| place.truncate(*length))?;
    requests.on_worker("unlink", |(place,): &mut (Place<Write>,), _| place.unlink())?;
    requests.on_worker("rmdir", |(place,): &mut (Place<Write>,), _| place.rmdir())?;
    requests.on_worker("mkdir", |(place, mode): &mut (Place<Write>, u16), _| place.mkdir(*mode))?;
    requests.on_worker("rename", |(old, new): &mut (Place<Write>, Place<Write>), _| old.rename(new))?;
    requests.on_worker("rename2", |(old, new, how): &mut (Place<Write>, Place<Write>, RenameHow), _| old.rename2(new, *how))?;
    requests.on_worker("link", |(old, new): &mut (Place<Write>, Place<Write>), _| old.link(new))?;
    requests.on_worker("symlink", |(target, place): &mut (Target, Place<Write>), _| place.symlink(target))?;
    requests.on_worker("readlink", |(place,): &mut (Place<Read>,), _| place.readlink())?;
    requests.on_worker("realpath", |(place,): &mut (Place<Read>,), _| place.realpath())?;
    requests.on_worker("mkfifo", |made: &mut Permitted<Mkfifo, (Place<Write>, u16)>, _| {
        let (place, mode) = &made.arguments;
        place.mkfifo(*mode)
    })
}
