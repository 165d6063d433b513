//! Requests on whole files, each opened, used and closed in one.

use crate::ctx::AioView;
use crate::faces::Registrar;
use crate::sandbox::{CopyFile, InSteps, LoadFile, MoveFile, SlurpFile, StoreFile};

pub(crate) fn add<T: AioView + 'static>(requests: &mut Registrar<'_, T>) -> wasmtime::Result<()> {
    requests.again_and_again("load", |(load,): &mut (LoadFile,), ticket| load.go_on(ticket))?;
    requests.again_and_again("slurp", |(slurp,): &mut (SlurpFile,), ticket| slurp.go_on(ticket))?;
    requests.again_and_again("store", |(store,): &mut (StoreFile,), ticket| store.go_on(ticket))?;
    requests.again_and_again("copy", |(copy,): &mut (CopyFile,), ticket| copy.go_on(ticket))?;
    requests.again_and_again("move", |(moving,): &mut (MoveFile,), ticket| moving.go_on(ticket))
}
