//! Requests on whole directories.

use crate::ctx::AioView;
use crate::linker::Requests;
use crate::sandbox::{Place, Read, Walker, Write};
use crate::types::ReaddirxFlags;

pub(crate) fn add<T: AioView + 'static>(requests: &mut Requests<'_, T>) -> wasmtime::Result<()> {
    requests.on_worker("readdir", |(place,): &mut (Place<Read>,), ticket| place.readdir(ticket))?;
    requests.on_worker("scandir", |(place, maxreq): &mut (Place<Read>, u32), ticket| place.scandir(*maxreq, ticket))?;
    requests
        .on_worker("readdirx", |(place, flags): &mut (Place<Read>, ReaddirxFlags), ticket| place.readdirx(*flags, ticket))?;
    requests
        .on_worker("walk", |(place, max_depth, maxreq): &mut (Place<Read>, u32, u32), _| place.walk(*max_depth, *maxreq))?;
    requests.again_and_again("walk-next", |(walker, max): &mut (Walker, u32), ticket| walker.next(*max, ticket))?;
    requests.on_worker("rmtree", |(place, maxreq): &mut (Place<Write>, u32), ticket| place.rmtree(*maxreq, ticket))?;
    requests.on_worker("copy-tree", |(from, to, maxreq): &mut (Place<Read>, Place<Write>, u32), ticket| {
        from.copy_tree(to, *maxreq, ticket)
    })
}
