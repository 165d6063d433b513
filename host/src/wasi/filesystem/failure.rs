//! What calls on descriptors fail with.

use wasmtime::component::ResourceTableError;

use crate::error::Error;

/// What a call comes to.
pub(crate) type CallOutcome<T> = Result<T, Failure>;

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The guest is told.
    Code(Error),
    /// The host is broken, and the guest ends.
    Trap(wasmtime::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Code(error)
    }
}

/// A handle that the guest has stands for something.
impl From<ResourceTableError> for Failure {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}
