//! The host with everything included: engines, workers, directories, limits and the code cache, shared by all plugins that it loads.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::Engine;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiCtxBuilder;

use super::cache::Cache;
use super::compile_how::Epochs;
use super::compile_process::CompileProcess;
use super::grant::{OpenGrants, Wanted};
use super::machine::{Additions, Machines};
use super::places;
use super::state::GuestState;
use super::trust::{self, CachePlace};
use crate::allowed::Gated;
use crate::engine::{AioEngine, AioEngineBuilder};
use crate::limits::Limits;
use crate::problem::{Problem, ProblemKind, Result};
use crate::sandbox::{Resolver, Rights};
use crate::sched::Counters;

/// Everything that plugins run on. Cheap to clone.
///
/// It has two WebAssembly engines: one with the component model's async, and one without, on which most plugins run and a call
/// costs less than half. Each plugin is inspected and gets the engine that it needs.
///
/// One host is enough for all tenants of an application: its settings are the defaults of every guest, and a
/// [`GuestBuilder`](super::GuestBuilder) gives one guest directories, limits and streams of its own.
///
/// All methods may be called from any thread. None waits for a guest, but for [`shutdown`](Self::shutdown) and
/// [`shutdown_async`](Self::shutdown_async); to load a plugin may take seconds, since it is compiled on the thread that calls.
///
/// ```
/// use aiohost::{Host, Limits, Rights, Stdout};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), aiohost::Problem> {
/// # let root = tempfile::tempdir().expect("a temporary directory");
/// # for tenant in ["anna", "otto"] { std::fs::create_dir(root.path().join(tenant)).expect("a new directory"); }
/// let host = Host::builder().limits(Limits { memory_bytes_max: 64 << 20, ..Limits::default() }).build()?;
/// let plugin = host.load_bytes("command.wat", b"(module (memory (export \"memory\") 1) (func (export \"_start\")))")?;
/// for tenant in ["anna", "otto"] {
///     let (stdout, output) = Stdout::captured(1 << 20);
///     let guest = plugin.guest().dir(root.path().join(tenant), ".", Rights::ReadWrite).arg(tenant).stdout(stdout);
///     assert_eq!(guest.build()?.run().await?, 0);
///     assert_eq!(output.text(), "");
/// }
/// # assert!(host.shutdown_async(std::time::Duration::from_secs(10)).await);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Host(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) machines: Machines,
    pub(super) workers: AioEngine,
    pub(super) limits: Limits,
    pub(super) weight: u32,
    pub(super) argv0: Option<String>,
    pub(super) cache: Option<Cache>,
    pub(super) cache_place: Option<CachePlace>,
    pub(super) cache_grant: bool,
    pub(super) compile_process: Option<CompileProcess>,
    pub(super) grants: OpenGrants,
    pub(super) allowed: Vec<Gated>,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) resolver: Resolver,
    pub(super) blocking_wasi: bool,
    pub(super) inherits_stdio: bool,
    pub(super) wasi: Option<WasiSettings>,
}

type WasiSettings = Box<dyn Fn(&mut WasiCtxBuilder) + Send + Sync>;

/// Settings for a [`Host`]. They may be made on one thread and built on another one.
///
/// ```
/// use aiohost::{AioEngine, Gated, Host, Limits, Resolver, Rights};
///
/// # fn main() -> Result<(), aiohost::Problem> {
/// # let root = tempfile::tempdir().expect("a temporary directory");
/// # let path = |name: &str| root.path().join(name);
/// # for name in ["shared", "state"] { std::fs::create_dir(path(name)).expect("a new directory"); }
/// let workers = AioEngine::builder().workers_max(16).build();
/// let host = Host::builder()
///     // What every guest gets.
///     .dir(path("shared"), "shared", Rights::Read)
///     .env("LANG", "C")
///     .argv0("plugin")
///     .args(["--verbose"])
///     .limits(Limits { memory_bytes_max: 64 << 20, ..Limits::default() })
///     // Twice as many requests in a turn as guests of other hosts have on the same workers.
///     .weight(2)
///     .allow(Gated::Mkfifo)
///     .resolver(Resolver::Auto)
///     .wasi(|wasi| {
///         wasi.insecure_random_seed(7);
///     })
///     // Workers of other hosts too, instead of `workers_max` of its own.
///     .workers(workers.clone())
///     // Compiled code, in places that no guest reaches: instead of `cache`, which knows where.
///     .cache_dir(path("code"))
///     .cache_key(path("state/cache.key"))
///     .build()?;
/// assert!(host.has_cache());
/// # assert_eq!(host.counters(), workers.counters());
/// # Ok(())
/// # }
/// ```
///
/// An application that has a process for each guest, as the command has, may also set these:
///
/// ```
/// # use aiohost::Host;
/// let builder = Host::builder().workers_max(4).inherit_stdio().blocking_wasi().epoch_interruption(false);
/// // A directory that reaches compiled code may be granted: the guest is trusted with what later runs execute.
/// let builder = builder.cache().allow_cache_grant();
/// # drop(builder);
/// ```
#[must_use]
pub struct HostBuilder {
    wanted: Vec<Wanted>,
    allowed: Vec<Gated>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    argv0: Option<String>,
    limits: Limits,
    weight: u32,
    workers: Workers,
    engine: Option<Engine>,
    additions: Vec<Additions>,
    resolver: Resolver,
    cache: CacheSetting,
    key_file: Option<PathBuf>,
    cache_grant: bool,
    pub(super) compile_process: Option<CompileProcess>,
    blocking_wasi: bool,
    inherits_stdio: bool,
    epochs: Epochs,
    wasi: Option<WasiSettings>,
}

/// Whose workers do the requests.
enum Workers {
    Own(AioEngineBuilder),
    Shared(AioEngine),
}

/// Where compiled code is kept.
enum CacheSetting {
    Nowhere,
    Default,
    At(PathBuf),
}

impl HostBuilder {
    /// Grants a directory of the host to every guest under a name, to `aiohost:aio` and to WASI alike. The first one is the
    /// guest's working directory. `/data`, `data` and `./data/` are the same name, and no two directories may have the same.
    ///
    /// A directory for reading only that lies within one for writing, by whatever path, link or mount, is refused by
    /// [`build`](Self::build), since that would protect nothing; the other way round is fine. [`HostBuilder`] has an example of most
    /// of its methods.
    pub fn dir(mut self, host: impl Into<PathBuf>, guest: impl Into<String>, rights: Rights) -> Self {
        self.wanted.push(Wanted { host: host.into(), guest: guest.into(), rights });
        self
    }

    /// Allows something that otherwise fails with `not-permitted`.
    pub fn allow(mut self, gated: Gated) -> Self {
        self.allowed.push(gated);
        self
    }

    /// Sets an environment variable of every guest. There are none otherwise.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Adds arguments of every guest, before those of its own.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets the first argument of every plugin, which is otherwise the name of its file.
    pub fn argv0(mut self, name: impl Into<String>) -> Self {
        self.argv0 = Some(name.into());
        self
    }

    /// Sets the limits of every guest for which its builder sets none.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how many requests of a guest are begun in its turn, when several guests wait for workers, for each guest that is not
    /// given another weight by [`GuestBuilder::weight`](super::GuestBuilder::weight); 1 unless set, and 1 at least. It is a share of
    /// the workers beside other guests, and no limit: a guest alone has all of them.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets how many worker threads there may be, see [`AioEngineBuilder::workers_max`]. It overrides [`workers`](Self::workers).
    pub fn workers_max(mut self, workers: usize) -> Self {
        self.workers = Workers::Own(AioEngine::builder().workers_max(workers));
        self
    }

    /// Uses these workers, which may serve other hosts and guests too; the engine's limits are for all of them together. Otherwise
    /// the host has workers of its own.
    pub fn workers(mut self, workers: AioEngine) -> Self {
        self.workers = Workers::Shared(workers);
        self
    }

    /// Runs plugins on this engine instead of the host's own two. It needs `Config::epoch_interruption`, since otherwise nothing
    /// can end a guest that computes, and `Config::concurrency_support` for plugins that are asynchronous. This is also how an
    /// application chooses an allocation strategy, such as `PoolingAllocationConfig` for many guests at a time.
    ///
    /// Its `Config::async_stack_size` has to hold `Config::max_wasm_stack` twice, and 1 MiB for the host, as wasmtime's own defaults
    /// do: a host function that returns a list calls the guest again, on the same stack. Otherwise a guest can end the process.
    ///
    /// Plugins are then compiled by the engine itself: [`compile_in`](Self::compile_in) cannot be combined with it.
    ///
    /// ```
    /// use wasmtime::{Config, Engine};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let engine = Engine::new(Config::new().epoch_interruption(true).concurrency_support(true))?;
    /// let host = aiohost::Host::builder().engine(engine).build()?;
    /// # drop(host);
    /// # Ok(())
    /// # }
    /// ```
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Offers functions of the application to plugins, besides `aiohost:aio` and WASI: those of a world of its own, as
    /// [`bindgen!`](wasmtime::component::bindgen) makes them. It may be called several times; the functions are added to the linkers
    /// of both engines. A function finds what the application keeps for the guest with
    /// [`GuestState::data`](super::GuestState::data).
    ///
    /// ```
    /// use aiohost::{GuestState, Host};
    ///
    /// # fn main() -> Result<(), aiohost::Problem> {
    /// let host = Host::builder().linker(|linker| {
    ///     let mut greetings = linker.instance("example:app/greetings")?;
    ///     greetings.func_wrap("greet", |mut store: wasmtime::StoreContextMut<'_, GuestState>, (name,): (String,)| {
    ///         let tenant = store.data_mut().data::<String>().cloned().unwrap_or_default();
    ///         Ok((format!("{tenant} greets {name}"),))
    ///     })
    /// });
    /// # host.build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn linker(mut self, add: impl Fn(&mut Linker<GuestState>) -> wasmtime::Result<()> + Send + Sync + 'static) -> Self {
        self.additions.push(Box::new(add));
        self
    }

    /// Sets how paths are resolved.
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// Keeps compiled code on disk, in `${AIOHOST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/aiohost}/code`: up to 1 GiB, and what was
    /// used longest ago is removed first. See [`cache_dir`](Self::cache_dir) for when it is not used.
    pub fn cache(mut self) -> Self {
        self.cache = CacheSetting::Default;
        self
    }

    /// Keeps compiled code in this directory, which is made if it is not there. One that is there has to be empty, or marked by
    /// aiohost with its `CACHEDIR.TAG`. It must belong to the user who runs the host, be writable by nobody else, and not be a
    /// symbolic link; otherwise it is not used, nothing in it is touched, and a warning is logged.
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache = CacheSetting::At(dir.into());
        self
    }

    /// Keeps the key that the code in the cache is sealed with in this file, which is made if it is not there. It must lie
    /// outside of the cache, in a directory that only the user who runs the host may write to and that plugins do not reach.
    /// It is `${AIOHOST_STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/aiohost}/cache.key` unless set.
    pub fn cache_key(mut self, file: impl Into<PathBuf>) -> Self {
        self.key_file = Some(file.into());
        self
    }

    /// Allows directories to be granted that reach a code cache or its key. Without this [`build`](Self::build) refuses them, since
    /// a plugin could put native code there that a later run executes. It looks at the cache of this host, and at the default places
    /// that [`cache`](Self::cache) and [`cache_key`](Self::cache_key) name, since other runs use them. With this, a cache that is
    /// reached is not used by this host, and all of its plugins are trusted with what later runs execute.
    pub fn allow_cache_grant(mut self) -> Self {
        self.cache_grant = true;
        self
    }

    /// Says that each guest has its thread to itself, so that calls of `aiohost:aio` and of WASI may wait for the file system on it:
    /// that is about five times faster than handing each to another thread. A timeout then has to wait for the call that is under
    /// way. See [`AioCtxBuilder::own_thread`](crate::AioCtxBuilder::own_thread).
    pub fn blocking_wasi(mut self) -> Self {
        self.blocking_wasi = true;
        self
    }

    /// Sets whether the code of plugins checks wasmtime's epoch, so that a guest that computes lets others run and can be ended; it
    /// does unless this is set to false. Without the checks, code that consists of short loops is up to 1.7 times as fast, but only
    /// the end of the process ends a guest that computes for ever: neither [`Limits::timeout`] nor dropping the future of its call
    /// does. So that is for a process with one guest and another thread, which ends both; see [`GuestHandle`](super::GuestHandle).
    ///
    /// Compiled code depends on this setting: a host loads only code that was compiled with the same one.
    pub fn epoch_interruption(mut self, is_on: bool) -> Self {
        self.epochs = if is_on { Epochs::Checked } else { Epochs::Unchecked };
        self
    }

    /// Gives guests the standard input, output and error of this process. Without it their input is empty, and what they write is
    /// dropped. A guest that waits for the reader of its output holds up no other guest, unless
    /// [`blocking_wasi`](Self::blocking_wasi) says that it has its thread to itself.
    pub fn inherit_stdio(mut self) -> Self {
        self.inherits_stdio = true;
        self
    }

    /// Changes what WASI gives to each guest: streams, clocks, random numbers. The function is called for every guest, after
    /// everything else was set, and replaces an earlier one. Guests do not see directories that it opens, only those of
    /// [`dir`](Self::dir).
    pub fn wasi(mut self, settings: impl Fn(&mut WasiCtxBuilder) + Send + Sync + 'static) -> Self {
        self.wasi = Some(Box::new(settings));
        self
    }

    /// Makes the host. Its directories and its cache are opened here, which may wait for their file systems; no thread is started
    /// before there is work.
    ///
    /// # Errors
    ///
    /// If a directory cannot be granted: it cannot be opened, it conflicts with another one (see [`dir`](Self::dir)), or it reaches
    /// a code cache. A code cache that cannot be used is only a warning in the log.
    pub fn build(self) -> Result<Host> {
        if self.engine.is_some() && self.compile_process.is_some() {
            return Err(Problem::new(ProblemKind::Host, "an engine of the application's own compiles in its own process")
                .help_with("leave out HostBuilder::compile_in, or HostBuilder::engine"));
        }
        let mut grants = OpenGrants::default();
        self.wanted.iter().try_for_each(|wanted| grants.open(wanted))?;
        let place = self.cache_place();
        let reached = trust::reached(&grants.granted, place.as_ref());
        if let Some(first) = reached.first()
            && !self.cache_grant
        {
            return Err(first.problem());
        }
        let place = place.filter(|place| match reached.iter().find(|reached| reached.is_used()) {
            Some(reached) => {
                let dir = place.dir.display();
                tracing::warn!(%dir, "the code cache is not used: plugins reach it through {}", reached.grant());
                false
            }
            None => true,
        });
        Ok(Host(Arc::new(Inner {
            machines: Machines::new(self.epochs, self.engine, self.additions),
            workers: match self.workers {
                Workers::Own(builder) => builder.build(),
                Workers::Shared(workers) => workers,
            },
            limits: self.limits,
            weight: self.weight,
            argv0: self.argv0,
            cache: place.as_ref().and_then(open_cache),
            cache_place: place,
            cache_grant: self.cache_grant,
            compile_process: self.compile_process,
            grants,
            allowed: self.allowed,
            arguments: self.arguments,
            environment: self.environment,
            resolver: self.resolver,
            blocking_wasi: self.blocking_wasi,
            inherits_stdio: self.inherits_stdio,
            wasi: self.wasi,
        })))
    }

    fn cache_place(&self) -> Option<CachePlace> {
        let dir = match &self.cache {
            CacheSetting::Nowhere => return None,
            CacheSetting::Default => places::cache_dirs(&places::variable).into_iter().next(),
            CacheSetting::At(dir) => Some(dir.clone()),
        };
        let Some(dir) = dir else {
            tracing::warn!("no place for a code cache: none of AIOHOST_CACHE, XDG_CACHE_HOME and HOME is an absolute path");
            return None;
        };
        let key_file = self.key_file.clone().or_else(|| places::key_files(&places::variable).into_iter().next());
        let Some(key_file) = key_file else {
            tracing::warn!(
                "the code cache is not used, since there is no place for its key: none of AIOHOST_STATE, XDG_STATE_HOME and \
                 HOME is an absolute path"
            );
            return None;
        };
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        Some(CachePlace { dir: absolute(dir), key_file: absolute(key_file) })
    }
}

fn open_cache(place: &CachePlace) -> Option<Cache> {
    let opened = Cache::open(&place.dir, &place.key_file);
    let warn = |error: &std::io::Error| {
        let dir = place.dir.display();
        tracing::warn!(%dir, %error, "the code cache is not used; mend it, or name other places with AIOHOST_CACHE and AIOHOST_STATE");
    };
    opened.inspect_err(warn).ok()
}

impl Host {
    /// Settings for a host: no directory, nothing in the environment, default limits, no code cache. See [`HostBuilder`].
    pub fn builder() -> HostBuilder {
        HostBuilder {
            wanted: Vec::new(),
            allowed: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            argv0: None,
            limits: Limits::default(),
            weight: 1,
            workers: Workers::Own(AioEngine::builder()),
            engine: None,
            additions: Vec::new(),
            resolver: Resolver::default(),
            cache: CacheSetting::Nowhere,
            key_file: None,
            cache_grant: false,
            compile_process: None,
            blocking_wasi: false,
            inherits_stdio: false,
            epochs: Epochs::Checked,
            wasi: None,
        }
    }

    /// Tells the workers to end, waits for them for at most `timeout`, and returns whether they have ended. Call it once no guest is
    /// left; requests that run are finished. It blocks its thread for up to `timeout`, and may be called again, for instance to wait
    /// longer.
    ///
    /// ```
    /// let host = aiohost::Host::builder().build()?;
    /// assert!(host.shutdown(std::time::Duration::from_secs(10)));
    /// # Ok::<(), aiohost::Problem>(())
    /// ```
    pub fn shutdown(&self, timeout: Duration) -> bool {
        self.0.workers.shutdown(timeout)
    }

    /// [`shutdown`](Self::shutdown) for an async program: it waits on a thread of its own. [`Host`] has an example.
    ///
    /// # Cancel safety
    ///
    /// As [`AioEngine::shutdown_async`].
    pub async fn shutdown_async(&self, timeout: Duration) -> bool {
        self.0.workers.shutdown_async(timeout).await
    }

    /// Whether it keeps compiled code. Even if it was told to, it does not if the cache cannot be used, see
    /// [`HostBuilder::cache_dir`].
    ///
    /// ```
    /// # fn main() -> Result<(), aiohost::Problem> {
    /// assert!(!aiohost::Host::builder().build()?.has_cache());
    /// # Ok(())
    /// # }
    /// ```
    pub fn has_cache(&self) -> bool {
        self.0.cache.is_some()
    }

    /// The workers that do the requests of its guests.
    pub fn workers(&self) -> &AioEngine {
        &self.0.workers
    }

    /// Number of requests of all its guests in each state, including guests that are gone.
    pub fn counters(&self) -> Counters {
        self.0.workers.counters()
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let granted = &self.0.grants.granted;
        f.debug_struct("Host").field("granted", granted).field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl fmt::Debug for HostBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}
