//! The state of one guest: its directories, its limits and its requests.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::component::{Resource, ResourceTable};

use crate::allowed::{Allowed, Gated};
use crate::engine::AioEngine;
use crate::error::Error;
use crate::granted::{GrantName, Granted};
use crate::limits::RequestLimits;
use crate::output::{Member, push};
use crate::problem::{Problem, ProblemKind, Result};
use crate::sandbox::{Grant, Grants, Location, OpenDir, OpenFile, Resolver, Rights, refusal};
use crate::sched::{Counters, Manner, Stats};

/// The state of one guest. It lives in the store's data, beside that of `wasmtime_wasi`, and is found there through [`AioView`].
///
/// Dropping it ends the guest's requests: those that are queued never run; those that run are finished and their results are
/// dropped, and files in them are closed. The drop does not wait for that.
///
/// It may be moved to another thread with its store. No method waits.
///
/// ```
/// use aiohost::{AioCtx, AioEngine, RequestLimits, Rights};
///
/// # fn main() -> Result<(), aiohost::Problem> {
/// # let data = tempfile::tempdir().expect("a temporary directory");
/// let workers = AioEngine::new();
/// let limits = RequestLimits { open_files_max: 16, ..RequestLimits::default() };
/// let guest = AioCtx::builder().dir(data.path(), ".", Rights::ReadWrite)?.limits(limits).build(&workers);
/// // Whenever one likes to know.
/// assert_eq!(guest.counters(), Default::default());
/// assert!(guest.stats().is_empty(), "it has made no requests yet");
/// # Ok(())
/// # }
/// ```
pub struct AioCtx {
    pub(crate) member: Arc<Member>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: RequestLimits,
    pub(crate) allowed: Allowed,
    own_thread: bool,
    pub(crate) host_calls: Option<HostCalls>,
    /// In what manner the next request is carried out.
    pub(crate) next: Manner,
    pub(crate) request_handles: usize,
    pub(crate) group_handles: usize,
    /// Whether it was told of that the guest was denied a socket.
    socket_told: bool,
    // Last, so that the workers outlive the membership.
    #[cfg_attr(not(feature = "host"), expect(dead_code, reason = "it is held, and asked for by nobody"))]
    engine: AioEngine,
}

/// Counts how often a guest has called its host. Cheap to clone.
///
/// Programs of WASI 0.2 ask for the identity of a file and then for its status. If every call of the guest is counted, aiohost knows
/// that there was no other call in between, and answers both with one `statx`. [`Host`](crate::Host) counts them; with a store of your
/// own, use wasmtime's `Store::call_hook` (its feature `call-hook`):
///
/// ```
/// use aiohost::{AioCtx, AioEngine, HostCalls};
/// use wasmtime::{Engine, Store};
///
/// # fn main() -> wasmtime::Result<()> {
/// let calls = HostCalls::default();
/// let aio = AioCtx::builder().host_calls(&calls).build(&AioEngine::new());
/// let mut store = Store::new(&Engine::default(), aio);
/// store.call_hook(move |_, hook| {
///     if hook.entering_host() {
///         calls.count();
///     }
///     Ok(())
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct HostCalls(Arc<AtomicU64>);

impl HostCalls {
    /// Counts a call: the guest has called its host, or has returned to it.
    pub fn count(&self) {
        // A guest makes one call after the other.
        self.0.store(self.number() + 1, Ordering::Relaxed);
    }

    /// The number of the last call.
    fn number(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Settings for an [`AioCtx`]. They may be made on one thread and built on another one.
///
/// ```
/// use aiohost::{AioCtx, AioEngine, Gated, RequestLimits, Resolver, Rights};
/// use cap_std::fs::Dir;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let root = tempfile::tempdir()?;
/// # let (data, songs) = (root.path().join("data"), root.path().join("songs"));
/// # std::fs::create_dir(&data)?;
/// # std::fs::create_dir(&songs)?;
/// let songs = Dir::open_ambient_dir(songs, cap_std::ambient_authority())?;
/// let builder = AioCtx::builder().dir(&data, ".", Rights::ReadWrite)?.open_dir(songs, "/songs", Rights::Read)?;
/// let builder = builder.limits(RequestLimits { in_flight_max: 64, ..RequestLimits::default() }).allow(Gated::Mkfifo);
/// // Twice as many turns as others on the same workers, and calls that wait do so on the guest's thread.
/// let guest = builder.resolver(Resolver::Auto).weight(2).own_thread().build(&AioEngine::new());
/// # drop(guest);
/// // No two directories have one name.
/// assert!(AioCtx::builder().dir(&data, ".", Rights::Read)?.dir(&data, "./", Rights::Read).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
#[must_use]
pub struct AioCtxBuilder {
    grants: Vec<Grant>,
    granted: Vec<Granted>,
    limits: RequestLimits,
    allowed: Allowed,
    resolver: Resolver,
    weight: u32,
    own_thread: bool,
    host_calls: Option<HostCalls>,
}

impl AioCtxBuilder {
    /// Grants a directory of the host, under a name for the guest. The first one is the guest's working directory. It is opened
    /// here, which may wait for its file system. [`AioCtxBuilder`] has an example of all its methods.
    ///
    /// # Errors
    ///
    /// If the directory cannot be opened, and those of [`AioCtxBuilder::open_dir`].
    pub fn dir(self, host: impl AsRef<Path>, guest: &str, rights: Rights) -> Result<Self> {
        let host = host.as_ref();
        let dir = cap_std::fs::Dir::open_ambient_dir(host, cap_std::ambient_authority()).map_err(|error| {
            Problem::new(ProblemKind::Directory, format!("cannot open the directory {}", host.display())).because(error)
        })?;
        self.add(dir, guest, rights, host.display().to_string())
    }

    /// Grants a directory that is open already.
    ///
    /// # Errors
    ///
    /// If another directory has the same name, in whatever form: `/x`, `x` and `./x/` are the same. If the name contains `..`. If
    /// the directory is one that is never granted: one of a process in procfs, or one that controls the machine. And if it is
    /// granted for reading only, but can be reached through one that is granted for writing, by whatever path or mount: that would
    /// protect nothing.
    pub fn open_dir(self, dir: cap_std::fs::Dir, guest: &str, rights: Rights) -> Result<Self> {
        self.add(dir, guest, rights, format!("the directory for {guest:?}"))
    }

    fn add(self, dir: cap_std::fs::Dir, guest: &str, rights: Rights, shown: String) -> Result<Self> {
        let problem = |what: String| Problem::new(ProblemKind::Directory, what);
        if let Some(reason) = refusal(&dir) {
            return Err(problem(format!("cannot grant {shown}")).because_text(reason));
        }
        let location = Location::of_dir(&dir).map_err(|error| problem(format!("cannot look at {shown}")).because(error))?;
        let granted = Granted { name: GrantName::parse(guest)?, rights, location, shown };
        granted.check_beside(&self.granted)?;
        let mut granting = self.grant(dir, &granted.name, rights);
        granting.granted.push(granted);
        Ok(granting)
    }

    /// Grants a directory that is known to fit beside the others.
    pub(crate) fn grant(mut self, dir: cap_std::fs::Dir, guest: &GrantName, rights: Rights) -> Self {
        self.grants.push(Grant::new(guest.as_str(), dir, rights));
        self
    }

    /// Sets the limits of requests, files and paths. What only a store can hold is set by
    /// [`Limits::apply`](crate::Limits::apply).
    pub fn limits(mut self, limits: RequestLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Allows something that otherwise fails with `not-permitted`.
    pub fn allow(mut self, gated: Gated) -> Self {
        self.allowed.add(gated);
        self
    }

    /// Sets how paths are resolved.
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// Sets how many requests of this guest are begun in its turn, when several guests wait for workers; 1 unless set, and at
    /// least 1.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Says that the guest has its thread to itself: the thread that polls it serves nobody else.
    ///
    /// Calls that suspend the guest are then carried out on that thread instead of on a worker, and it waits for the file system
    /// where it must. These are the calls of `aiohost:aio/blocking`, of the files of preview 1 and of WASI 0.2, and what a stream
    /// of 0.3 writes. A worker still does them while other requests of the guest are under way, if the request has a deadline, or
    /// if it takes long. To end the guest while it waits takes another thread.
    pub fn own_thread(mut self) -> Self {
        self.own_thread = true;
        self
    }

    /// Says that every call of the guest to its host, of whatever function, is counted in `calls`.
    pub fn host_calls(mut self, calls: &HostCalls) -> Self {
        self.host_calls = Some(calls.clone());
        self
    }

    /// Makes the state of a guest whose requests the workers of `engine` do. It goes into the data of one store.
    pub fn build(self, engine: &AioEngine) -> AioCtx {
        let member = Arc::new(Member::new(engine.pool(), engine.budgets(&self.limits), self.weight));
        AioCtx {
            grants: Arc::new(Grants::new(
                self.grants,
                self.resolver,
                self.allowed.kernel_files(),
                &self.limits,
                engine.quota(&self.limits, member.leaving()),
            )),
            member,
            limits: self.limits,
            allowed: self.allowed,
            own_thread: self.own_thread,
            host_calls: self.host_calls,
            next: Manner::default(),
            request_handles: 0,
            group_handles: 0,
            socket_told: false,
            engine: engine.clone(),
        }
    }
}

impl fmt::Debug for AioCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AioCtx").field("limits", &self.limits).field("counters", &self.counters()).finish_non_exhaustive()
    }
}

impl fmt::Debug for AioCtxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AioCtxBuilder").field("granted", &self.granted).field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl AioCtx {
    /// Settings for the state of a guest; see [`AioCtxBuilder`].
    pub fn builder() -> AioCtxBuilder {
        AioCtxBuilder::default()
    }

    /// Number of requests in each state, now.
    pub fn counters(&self) -> Counters {
        self.member.counters()
    }

    /// What the guest has set for this request, and for no other.
    pub(crate) fn take_manner(&mut self) -> Manner {
        std::mem::take(&mut self.next)
    }

    /// Tells whoever runs the guest that it was denied a socket: once, however often it tries.
    pub(crate) fn tell_of_denied_socket(&mut self) {
        if !std::mem::replace(&mut self.socket_told, true) {
            tracing::warn!("the plugin tries to use a socket, and is denied it: there is no network here");
        }
    }

    /// Whose workers do the guest's requests.
    #[cfg(feature = "host")]
    pub(crate) fn engine(&self) -> &AioEngine {
        &self.engine
    }

    /// The number of the call that the guest is in; none if its calls are not counted.
    pub(crate) fn call(&self) -> Option<u64> {
        self.host_calls.as_ref().map(HostCalls::number)
    }

    /// The guest as the door sees it.
    pub(crate) fn caller(&self) -> Caller<'_> {
        Caller { member: &self.member, own_thread: self.own_thread }
    }

    /// Statistics of the guest's requests so far, by name.
    pub fn stats(&self) -> Stats {
        self.member.account().stats()
    }
}

/// Who makes a request.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) member: &'a Arc<Member>,
    /// Whether its thread is its own.
    pub(crate) own_thread: bool,
}

impl Caller<'_> {
    /// Whether a request in this manner may wait on the guest's own thread: that is the guest's alone, and nothing of the guest's
    /// is under way that could want to be told of meanwhile.
    pub(crate) fn may_wait_here(&self, manner: &Manner) -> bool {
        self.own_thread && manner.deadline.is_none() && self.member.is_idle()
    }
}

/// Access to a guest's [`AioCtx`] and to the table of its handles, from a store's data. An application hands files over with it:
///
/// ```
/// use aiohost::{AioCtx, AioCtxView, AioEngine, Rights, bindings::types};
/// use wasmtime::component::ResourceTable;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (mut ctx, mut table) = (AioCtx::builder().build(&AioEngine::new()), ResourceTable::new());
/// // In an application: `store.data_mut().aio()`.
/// let mut view = AioCtxView { ctx: &mut ctx, table: &mut table };
/// // To a call of the guest's that takes a `file`, and from one that gives one.
/// let file = view.give_file(tempfile::tempfile()?)?;
/// // One that was only lent is the guest's still: the same file, with one position.
/// let open_file: &types::File = view.table.get(&file)?;
/// let lent: std::fs::File = open_file.try_clone_to_std()?;
/// let taken: std::fs::File = view.take_file(file)?;
/// // The same of a `dir`.
/// # let folder = tempfile::tempdir()?;
/// let dir = cap_std::fs::Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority())?;
/// let dir = view.give_dir(dir, "work", Rights::Read)?;
/// let open_dir: &types::Dir = view.table.get(&dir)?;
/// let lent_dir: cap_std::fs::Dir = open_dir.try_clone_to_std()?;
/// let taken_dir: cap_std::fs::Dir = view.take_dir(dir)?;
/// # assert!(lent.metadata()?.is_file() && taken.metadata()?.is_file() && taken_dir.dir_metadata()?.is_dir());
/// # assert!(lent_dir.dir_metadata()?.is_dir());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AioCtxView<'a> {
    /// The state of the guest.
    pub ctx: &'a mut AioCtx,
    /// The guest's handles. It may be the table that `wasmtime_wasi` uses.
    pub table: &'a mut ResourceTable,
}

impl AioCtxView<'_> {
    /// Gives the guest a regular file that the application has opened, for a call that takes one. The guest may read or write it as
    /// it was opened. It counts against [`RequestLimits::open_files_max`] until the guest has dropped it. The types for such calls are in
    /// the module `bindings`.
    ///
    /// # Errors
    ///
    /// If it is not a regular file, or the guest has as many files open as it may.
    pub fn give_file(&mut self, file: std::fs::File) -> Result<Resource<OpenFile>> {
        let file = self.ctx.grants.adopt_file(file).map_err(|error| cannot("give the guest a file", error))?;
        push(self.table, file).map_err(|error| cannot("give the guest a file", error))
    }

    /// The same for a directory, through which the guest reaches all that is below it. `name` is the name it has in paths that the
    /// guest is told, as by `realpath`.
    ///
    /// # Errors
    ///
    /// If it is a directory that is never granted, such as one of a process in procfs, or the guest has as many open as it may.
    pub fn give_dir(&mut self, dir: cap_std::fs::Dir, name: &str, rights: Rights) -> Result<Resource<OpenDir>> {
        if let Some(reason) = refusal(&dir) {
            return Err(Problem::new(ProblemKind::Directory, "cannot give the guest a directory").because_text(reason));
        }
        let dir = self.ctx.grants.adopt_dir(dir.into_std_file(), name, rights);
        let dir = dir.map_err(|error| cannot("give the guest a directory", error))?;
        push(self.table, dir).map_err(|error| cannot("give the guest a directory", error))
    }

    /// Takes over a file that the guest has given away in a call.
    ///
    /// # Errors
    ///
    /// If it was taken already, or there are no descriptors left.
    pub fn take_file(&mut self, file: Resource<OpenFile>) -> Result<std::fs::File> {
        let problem = || Problem::new(ProblemKind::File, "cannot take a file of the guest's");
        let file = self.table.delete(file).map_err(|error| problem().because(error))?;
        file.try_clone_to_std().map_err(|error| problem().because(error))
    }

    /// The same for a directory.
    ///
    /// # Errors
    ///
    /// If it was taken already, or there are no descriptors left.
    pub fn take_dir(&mut self, dir: Resource<OpenDir>) -> Result<cap_std::fs::Dir> {
        let problem = || Problem::new(ProblemKind::Directory, "cannot take a directory of the guest's");
        let dir = self.table.delete(dir).map_err(|error| problem().because(error))?;
        dir.try_clone_to_std().map_err(|error| problem().because(error))
    }
}

fn cannot(what: &str, error: Error) -> Problem {
    Problem::new(ProblemKind::File, format!("cannot {what}")).because(error)
}

/// A store's data implements this, so that the host functions find their state there.
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
