//! Requests on whole files, each opened, used and closed in one.

use crate::ctx::AioView;
use crate::linker::Requests;
use crate::sandbox::{Place, Read, Write};

pub(crate) fn add<T: AioView + 'static>(requests: &mut Requests<'_, T>) -> wasmtime::Result<()> {
    requests.on_worker("load", |(place,): &mut (Place<Read>,), ticket| place.load(ticket))?;
    requests.on_worker("slurp", |(place, offset, length): &mut (Place<Read>, i64, Option<u32>), ticket| {
        place.slurp(*offset, *length, ticket)
    })?;
    requests.on_worker("store", |(place, data, mode): &mut (Place<Write>, Vec<u8>, u16), ticket| {
        place.store(data, *mode, ticket)
    })?;
    requests.on_worker("copy", |(from, to): &mut (Place<Read>, Place<Write>), ticket| from.copy(to, ticket))?;
    requests.on_worker("move", |(from, to): &mut (Place<Write>, Place<Write>), ticket| from.move_to(to, ticket))
}
