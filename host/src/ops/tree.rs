//! Requests on whole directories.

use crate::ctx::AioView;
use crate::faces::Registrar;
use crate::output::Number;
use crate::sandbox::{CopyTree, ListDir, ListEntries, Place, Read, RemoveTree, ScanDir, WalkNext};

pub(crate) fn add<T: AioView + 'static>(requests: &mut Registrar<'_, T>) -> wasmtime::Result<()> {
    requests.again_and_again("readdir", |(list,): &mut (ListDir,), ticket| list.go_on(ticket))?;
    requests.again_and_again("scandir", |(scan,): &mut (ScanDir,), ticket| scan.go_on(ticket))?;
    requests.again_and_again("readdirx", |(list,): &mut (ListEntries,), ticket| list.go_on(ticket))?;
    requests.on_worker("walk", |(place, max_depth, maxreq): &mut (Place<Read>, u32, u32), ticket| {
        place.walk(*max_depth, *maxreq, ticket)
    })?;
    requests.again_and_again("walk-next", |(next,): &mut (WalkNext,), ticket| next.go_on(ticket))?;
    requests.again_and_again("rmtree", |(removal,): &mut (RemoveTree,), ticket| {
        removal.go_on(ticket).map(|names| names.map(Number))
    })?;
    requests.again_and_again("copy-tree", |(copy,): &mut (CopyTree,), ticket| copy.go_on(ticket).map(|names| names.map(Number)))
}
