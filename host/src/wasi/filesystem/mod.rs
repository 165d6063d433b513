//! `wasi:filesystem`: what its versions have in common, from a guest's descriptors to the door and back.

mod calls;
mod descriptor;
mod failure;
mod listing;
mod looked;
mod opening;
mod requests;
mod steps;

pub(crate) use calls::Files;
pub(crate) use descriptor::{Descriptor, Fd, cast};
pub(crate) use failure::{CallOutcome, Failure};
pub(crate) use listing::{DirListing, Found};
pub(crate) use requests::{kind, request};
pub(crate) use steps::{Asker, Begun, CallStep};

use wasmtime::component::HasData;

use crate::ctx::AioCtxView;

/// The file system of a guest, which is found by its [`AioView`](crate::ctx::AioView).
pub(crate) struct Filesystem;

impl HasData for Filesystem {
    type Data<'a> = AioCtxView<'a>;
}
