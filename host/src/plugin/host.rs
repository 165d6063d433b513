//! The host with batteries: engines, workers, directories, limits and the code cache, shared by all plugins that it loads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, io};

use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use super::cache::{self, Cache};
use super::machine::Machines;
use super::problem::{Problem, ProblemKind, Result};
use crate::ctx::AioCtx;
use crate::engine::{AioEngine, AioEngineBuilder};
use crate::gated::Gated;
use crate::limits::Limits;
use crate::sandbox::{Resolver, Rights};

/// Everything that plugins run on. Cheap to clone.
///
/// It has two WebAssembly engines: one without the component model's async, on which most plugins run and a call costs less
/// than half, and one with it. A plugin is looked at first and gets the one it needs.
///
/// What a plugin may do is set once, for all plugins of a host: directories, environment, limits. For plugins with different
/// rights, make a host for each.
#[derive(Clone)]
pub struct Host(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) machines: Machines,
    pub(super) workers: AioEngine,
    pub(super) limits: Limits,
    pub(super) argv0: Option<String>,
    pub(super) cache: Option<Cache>,
    grants: Vec<Grant>,
    allowed: Vec<Gated>,
    environment: Vec<(String, String)>,
    resolver: Resolver,
    blocking_wasi: bool,
    wasi: Option<WasiSettings>,
}

type WasiSettings = Box<dyn Fn(&mut WasiCtxBuilder) + Send + Sync>;

/// A directory that plugins get.
struct Grant {
    dir: cap_std::fs::Dir,
    host: PathBuf,
    /// The same path without symbolic links.
    canonical: PathBuf,
    guest: String,
    rights: Rights,
}

/// Settings for a [`Host`].
#[must_use]
pub struct HostBuilder {
    grants: Vec<(PathBuf, String, Rights)>,
    allowed: Vec<Gated>,
    environment: Vec<(String, String)>,
    argv0: Option<String>,
    limits: Limits,
    workers: AioEngineBuilder,
    resolver: Resolver,
    cache: Option<PathBuf>,
    blocking_wasi: bool,
    wasi: Option<WasiSettings>,
}

impl HostBuilder {
    /// Grants a directory of the host under a name for the guest, to `aiohost:aio` and to WASI alike. The first one is the
    /// guest's working directory.
    pub fn dir(mut self, host: impl Into<PathBuf>, guest: impl Into<String>, rights: Rights) -> Self {
        self.grants.push((host.into(), guest.into(), rights));
        self
    }

    /// Allows a request that is refused otherwise.
    pub fn allow(mut self, gated: Gated) -> Self {
        self.allowed.push(gated);
        self
    }

    /// Sets a variable of the guest's environment, which is empty otherwise.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets the first argument of every plugin; the name of its file otherwise.
    pub fn argv0(mut self, name: impl Into<String>) -> Self {
        self.argv0 = Some(name.into());
        self
    }

    /// Sets the limits of each guest.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how many worker threads there may be; 32 unless set.
    pub fn workers_max(mut self, workers: usize) -> Self {
        self.workers.workers_max(workers);
        self
    }

    /// Sets how paths are resolved.
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// Keeps compiled code on disk, in `${AIOHOST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/aiohost}/code`. It is up to 1 GiB,
    /// and what was used longest ago goes first.
    pub fn cache(mut self) -> Self {
        self.cache = cache::default_dir(|name| env::var_os(name).map(PathBuf::from));
        if self.cache.is_none() {
            tracing::warn!("no place for a code cache: none of AIOHOST_CACHE, XDG_CACHE_HOME and HOME is an absolute path");
        }
        self
    }

    /// Keeps compiled code in this directory. It must belong to the user who runs the host, and be writable by nobody else,
    /// plugins included; otherwise it is not used.
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache = Some(dir.into());
        self
    }

    /// Lets WASI's own file calls block the thread, which is about five times faster than handing each to another thread. A
    /// timeout then has to wait for the call that is under way. The calls of `aiohost:aio` are not affected.
    pub fn blocking_wasi(mut self) -> Self {
        self.blocking_wasi = true;
        self
    }

    /// Gives guests the standard input and output of this process. Without it they read nothing, and what they write is
    /// dropped.
    pub fn inherit_stdio(self) -> Self {
        self.wasi(|wasi| {
            wasi.inherit_stdio();
        })
    }

    /// Changes what WASI gives to each guest: streams, clocks, random numbers. It is called for every guest, after everything
    /// else was set, and replaces an earlier function.
    pub fn wasi(mut self, settings: impl Fn(&mut WasiCtxBuilder) + Send + Sync + 'static) -> Self {
        self.wasi = Some(Box::new(settings));
        self
    }

    /// The host.
    ///
    /// # Errors
    ///
    /// If a directory cannot be granted. A code cache that cannot be used is a warning.
    pub fn build(self) -> Result<Host> {
        let grants = self.grants.into_iter().map(|(host, guest, rights)| Grant::open(host, guest, rights));
        let grants = grants.collect::<Result<Vec<_>>>()?;
        if let Some(name) = twice(&grants) {
            return Err(Problem::new(ProblemKind::Directory, format!("two directories are granted as `{name}`"))
                .help_with("give one of them another name for the guest, as HOST::GUEST"));
        }
        Ok(Host(Arc::new(Inner {
            machines: Machines::new(),
            workers: self.workers.build(),
            limits: self.limits,
            argv0: self.argv0,
            cache: self.cache.and_then(|dir| open_cache(&dir, &grants)),
            grants,
            allowed: self.allowed,
            environment: self.environment,
            resolver: self.resolver,
            blocking_wasi: self.blocking_wasi,
            wasi: self.wasi,
        })))
    }
}

/// The name that two grants have.
fn twice(grants: &[Grant]) -> Option<&str> {
    let repeated = |(index, grant): (usize, &Grant)| grants[..index].iter().any(|earlier| earlier.guest == grant.guest);
    let (_, grant) = grants.iter().enumerate().find(|(index, grant)| repeated((*index, grant)))?;
    Some(&grant.guest)
}

/// What is in the cache is run as native code, so plugins must not be able to write there.
fn open_cache(dir: &Path, grants: &[Grant]) -> Option<Cache> {
    let opened = Cache::open(dir).and_then(|cache| {
        let place = fs::canonicalize(dir)?;
        match grants.iter().find(|grant| grant.rights == Rights::ReadWrite && place.starts_with(&grant.canonical)) {
            Some(grant) => Err(io::Error::other(format!("plugins may write to it, since it is in {}", grant.host.display()))),
            None => Ok(cache),
        }
    });
    opened.inspect_err(|error| tracing::warn!(dir = %dir.display(), %error, "the code cache is not used")).ok()
}

impl Grant {
    fn open(host: PathBuf, guest: String, rights: Rights) -> Result<Self> {
        let opened = cap_std::fs::Dir::open_ambient_dir(&host, cap_std::ambient_authority());
        // To open a directory may take no right to read it; to list it does.
        let dir = opened.and_then(|dir| dir.entries().map(|_| dir)).map_err(|error| {
            Problem::new(ProblemKind::Directory, format!("cannot grant the directory {}", host.display()))
                .help_with(remedy_for_directory(&host, &error))
                .because(error)
        })?;
        // WASI opens it again for each guest, wherever the process may have gone meanwhile.
        let host = std::path::absolute(&host).unwrap_or(host);
        let canonical = fs::canonicalize(&host).unwrap_or_else(|_| host.clone());
        Ok(Self { dir, host, canonical, guest, rights })
    }
}

fn remedy_for_directory(host: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("make it first: mkdir -p '{}'", host.display()),
        io::ErrorKind::NotADirectory => "it is a file: grant the directory it is in".to_owned(),
        io::ErrorKind::PermissionDenied => "the user who runs the host needs the right to read it".to_owned(),
        _ => "check the path".to_owned(),
    }
}

impl Host {
    /// Settings for a host: no directory, nothing in the environment, default limits, no code cache.
    pub fn builder() -> HostBuilder {
        HostBuilder {
            grants: Vec::new(),
            allowed: Vec::new(),
            environment: Vec::new(),
            argv0: None,
            limits: Limits::default(),
            workers: AioEngine::builder(),
            resolver: Resolver::default(),
            cache: None,
            blocking_wasi: false,
            wasi: None,
        }
    }

    /// Tells the workers to end and waits until they have, for `timeout` at most; tells whether they have. Call it once no
    /// guest is left: requests that run are then finished.
    pub fn shutdown(&self, timeout: Duration) -> bool {
        self.0.workers.shutdown(timeout)
    }
}

impl Inner {
    /// What a guest gets of `aiohost:aio`.
    pub(super) fn aio(&self) -> Result<AioCtx> {
        let mut aio = AioCtx::builder();
        aio.limits(self.limits.clone()).resolver(self.resolver);
        for gated in &self.allowed {
            aio.allow(*gated);
        }
        for grant in &self.grants {
            let dir = grant.dir.try_clone().map_err(|error| grant.problem(error))?;
            aio.open_dir(dir, &grant.guest, grant.rights);
        }
        Ok(aio.build(&self.workers))
    }

    /// What a guest gets of WASI: the same directories with the same rights, and no network.
    pub(super) fn wasi(&self, arguments: &[String]) -> Result<WasiCtx> {
        let mut wasi = WasiCtx::builder();
        wasi.allow_blocking_current_thread(self.blocking_wasi).args(arguments).envs(&self.environment);
        // It denies every address anyway; this leaves less to be tried.
        wasi.allow_tcp(false).allow_udp(false);
        for grant in &self.grants {
            grant.preopen(&mut wasi, &grant.guest)?;
        }
        // WASI has no working directory; programs look a relative path up in the directory named `.`. It comes last since
        // some programs know the others by their place.
        if let Some(first) = self.grants.first()
            && self.grants.iter().all(|grant| grant.guest != ".")
        {
            first.preopen(&mut wasi, ".")?;
        }
        if let Some(settings) = &self.wasi {
            settings(&mut wasi);
        }
        Ok(wasi.build())
    }
}

impl Grant {
    fn preopen(&self, wasi: &mut WasiCtxBuilder, name: &str) -> Result<()> {
        let permissions = match self.rights {
            Rights::Read => FsPerms::ReadOnly,
            Rights::ReadWrite => FsPerms::ReadWrite,
        };
        wasi.preopened_dir(&self.host, name, permissions).map_err(|error| self.problem(error))?;
        Ok(())
    }

    fn problem(&self, cause: impl Into<anyhow::Error>) -> Problem {
        Problem::new(ProblemKind::Directory, format!("cannot grant the directory {}", self.host.display())).because(cause)
    }
}

/// Reads a plugin's file.
pub(super) fn read_plugin(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| {
        let help = match error.kind() {
            io::ErrorKind::NotFound => "check the path of the plugin",
            io::ErrorKind::IsADirectory => "name the plugin's file; directories for it are granted with --dir",
            io::ErrorKind::PermissionDenied => "the user who runs the host needs the right to read it",
            _ => "check the file",
        };
        Problem::new(ProblemKind::File, format!("cannot read the plugin {}", path.display())).because(error).help_with(help)
    })
}
