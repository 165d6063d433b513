//! Requests that a guest may only make where the host allows them: as types, so that no operation tests a permission.

use std::marker::PhantomData;

use crate::allowed::Gated;
use crate::arguments::{Arguments, Held, Lookup};
use crate::error::{Error, Result};

/// A [`Gated`] request as a type.
pub(crate) trait Gate: Send + 'static {
    const GATED: Gated;
}

/// See [`Gated::Mkfifo`].
pub(crate) enum Mkfifo {}

/// See [`Gated::Syncfs`].
pub(crate) enum Syncfs {}

/// See [`Gated::Busy`].
pub(crate) enum Busy {}

impl Gate for Mkfifo {
    const GATED: Gated = Gated::Mkfifo;
}

impl Gate for Syncfs {
    const GATED: Gated = Gated::Syncfs;
}

impl Gate for Busy {
    const GATED: Gated = Gated::Busy;
}

/// Arguments of a request that the host allows. Where it does not, no such value can be made.
pub(crate) struct Permitted<G, A> {
    pub(crate) arguments: A,
    gate: PhantomData<G>,
}

impl<G: Gate, A: Arguments> Arguments for Permitted<G, A> {
    type Wire = A::Wire;

    fn parse(wire: Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        if !lookup.allowed.allows(G::GATED) {
            return Err(Error::NOT_PERMITTED);
        }
        Ok(Self { arguments: A::parse(wire, lookup)?, gate: PhantomData })
    }
}

impl<G, A: Held> Held for Permitted<G, A> {
    fn bytes(&self) -> usize {
        self.arguments.bytes()
    }
}
