//! What one guest was given: its directories, its limits and its requests.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use wasmtime::component::ResourceTable;

use crate::engine::AioEngine;
use crate::gated::{Allowed, Gated};
use crate::limits::Limits;
use crate::observe::{InlineCounts, Stats};
use crate::sandbox::{Grant, Grants, Resolver, Rights};
use crate::sched::{Counters, Manner, Membership};

/// The state of one guest. Lives in the store's data, beside that of `wasmtime_wasi`, and is found there through [`AioView`].
///
/// Dropping it ends the guest's requests: those that are queued never run, those that run are finished and their results
/// dropped, with the files in them closed.
pub struct AioCtx {
    pub(crate) membership: Arc<Membership>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Limits,
    pub(crate) allowed: Allowed,
    /// In what manner the next request is carried out.
    pub(crate) next: Manner,
    pub(crate) request_handles: usize,
    pub(crate) group_handles: usize,
    inline: InlineCounts,
    // Last, so that the workers outlive the membership.
    _engine: AioEngine,
}

/// Settings for an [`AioCtx`].
#[derive(Default)]
pub struct AioCtxBuilder {
    grants: Vec<Grant>,
    limits: Limits,
    allowed: Allowed,
    resolver: Resolver,
    weight: u32,
}

impl AioCtxBuilder {
    /// No directory, and the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Grants a directory of the host, under a name for the guest. The first one is the guest's working directory.
    ///
    /// # Errors
    ///
    /// If the directory cannot be opened.
    pub fn dir(&mut self, host: impl AsRef<Path>, guest: &str, rights: Rights) -> anyhow::Result<&mut Self> {
        let host = host.as_ref();
        let dir = cap_std::fs::Dir::open_ambient_dir(host, cap_std::ambient_authority())
            .with_context(|| format!("cannot open the directory {}", host.display()))?;
        Ok(self.open_dir(dir, guest, rights))
    }

    /// Grants a directory that is open already.
    pub fn open_dir(&mut self, dir: cap_std::fs::Dir, guest: &str, rights: Rights) -> &mut Self {
        self.grants.push(Grant::new(guest, dir, rights));
        self
    }

    /// Sets the limits.
    pub fn limits(&mut self, limits: Limits) -> &mut Self {
        self.limits = limits;
        self
    }

    /// Allows a request that is refused otherwise.
    pub fn allow(&mut self, gated: Gated) -> &mut Self {
        self.allowed.add(gated);
        self
    }

    /// Sets how paths are resolved.
    pub fn resolver(&mut self, resolver: Resolver) -> &mut Self {
        self.resolver = resolver;
        self
    }

    /// Sets how many requests of this guest are begun in its turn, when several guests wait for workers; 1 unless set, and 1 at
    /// least.
    pub fn weight(&mut self, weight: u32) -> &mut Self {
        self.weight = weight;
        self
    }

    /// The state of a guest whose requests are done by the workers of `engine`.
    pub fn build(self, engine: &AioEngine) -> AioCtx {
        AioCtx {
            membership: Arc::new(Membership::new(engine.pool(), &self.limits, self.weight)),
            grants: Arc::new(Grants::new(self.grants, self.resolver, &self.limits)),
            limits: self.limits,
            allowed: self.allowed,
            next: Manner::default(),
            request_handles: 0,
            group_handles: 0,
            inline: InlineCounts::default(),
            _engine: engine.clone(),
        }
    }
}

impl AioCtx {
    /// Settings for the state of a guest.
    pub fn builder() -> AioCtxBuilder {
        AioCtxBuilder::new()
    }

    /// How many requests are where.
    pub fn counters(&self) -> Counters {
        self.membership.counters()
    }

    /// What the guest has set for this request, and for no other.
    pub(crate) fn take_manner(&mut self) -> Manner {
        std::mem::take(&mut self.next)
    }

    /// Enters a request that was done on the guest's own thread.
    pub(crate) fn count_inline(&mut self, number: usize, name: &'static str, failed: bool, bytes: u64) {
        self.inline.add(number, name, failed, bytes);
        self.membership.guest().inline().add(failed);
    }

    /// How the requests went, by name.
    pub fn stats(&self) -> Stats {
        let mut stats = self.membership.guest().observations().stats();
        self.inline.add_to(&mut stats);
        stats
    }
}

/// Access to a guest's [`AioCtx`] and to the table of its handles, from a store's data.
pub struct AioCtxView<'a> {
    /// The state of the guest.
    pub ctx: &'a mut AioCtx,
    /// The guest's handles. It may be the table that `wasmtime_wasi` uses.
    pub table: &'a mut ResourceTable,
}

/// Implemented by a store's data, so that the host functions find their state there.
///
/// ```
/// use aiohost::{AioCtx, AioCtxView, AioView};
/// use wasmtime::component::ResourceTable;
///
/// struct MyState {
///     aio: AioCtx,
///     table: ResourceTable,
/// }
///
/// impl AioView for MyState {
///     fn aio(&mut self) -> AioCtxView<'_> {
///         AioCtxView { ctx: &mut self.aio, table: &mut self.table }
///     }
/// }
/// ```
pub trait AioView: Send {
    /// The state and the handles of the guest.
    fn aio(&mut self) -> AioCtxView<'_>;
}
