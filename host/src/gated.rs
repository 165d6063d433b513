//! Requests that a guest may only make where the host allows them, since they reach beyond the guest itself.

use std::marker::PhantomData;

use crate::arguments::{Arguments, Guest};
use crate::error::{Error, Result};

/// A request that is refused with `not-permitted` unless the host allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gated {
    /// `mkfifo`: other programs that find the pipe may come to wait for it.
    Mkfifo,
    /// `syncfs`: whoever uses the same file system waits.
    Syncfs,
    /// `busy`: it takes a worker and gives nothing, for tests.
    Busy,
}

/// What a host allows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed(Vec<Gated>);

impl Allowed {
    pub(crate) fn add(&mut self, gated: Gated) {
        if !self.allows(gated) {
            self.0.push(gated);
        }
    }

    fn allows(&self, gated: Gated) -> bool {
        self.0.contains(&gated)
    }
}

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

/// Arguments of a request that the host allows. There are none where it does not.
pub(crate) struct Permitted<G, A> {
    pub(crate) arguments: A,
    gate: PhantomData<G>,
}

impl<G: Gate, A: Arguments> Arguments for Permitted<G, A> {
    type Wire = A::Wire;

    fn parse(wire: Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        if !guest.allowed.allows(G::GATED) {
            return Err(Error::NOT_PERMITTED);
        }
        Ok(Self { arguments: A::parse(wire, guest)?, gate: PhantomData })
    }

    fn bytes(&self) -> usize {
        self.arguments.bytes()
    }
}
