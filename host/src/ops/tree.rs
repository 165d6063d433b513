//! Requests on whole directories.

use crate::ctx::AioView;
use crate::linker::Requests;
use crate::sandbox::{Place, Read};

pub(crate) fn add<T: AioView + 'static>(requests: &mut Requests<'_, T>) -> wasmtime::Result<()> {
    requests.on_worker("readdir", |(place,): &mut (Place<Read>,), _| place.readdir())?;
    requests.on_worker("scandir", |(place, _maxreq): &mut (Place<Read>, u32), _| place.scandir())
}
