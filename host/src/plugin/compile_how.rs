//! How plugins are compiled: whether their code can be interrupted, and what they find on their host.

/// Whether a plugin's code looks now and then whether it is to let others run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Epochs {
    Checked,
    /// Nothing ends it while it computes but the end of the process.
    Unchecked,
}

/// What plugins find on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// `aiohost:aio` and WASI.
    Own,
    /// Functions of the application as well, of which nothing is known before a plugin is linked.
    More,
}

/// How a plugin is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CompileHow {
    pub(super) epochs: Epochs,
    pub(super) offer: Offer,
}
