//! The settings of one guest: those of its host, and directories, environment, limits and streams of its own.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wasmtime_wasi::WasiCtx;

use super::grant::{OpenGrants, Wanted};
use super::guest::Guest;
use super::host::Inner;
use super::load::Plugin;
use super::standard_output::Standard;
use super::state::{Data, new_store};
use super::stdio::{Stdin, Stdout};
use super::trust;
use super::whereabouts::Whereabouts;
use crate::allowed::Gated;
use crate::ctx::AioCtx;
use crate::limits::Limits;
use crate::problem::Result;
use crate::sandbox::Rights;

/// Random bytes of one call of WASI 0.2 or 0.3. 4 MiB: they take some 10 ms, in which nothing ends the guest, and are not counted.
const RANDOM_BYTES_MAX: u64 = 4 << 20;

/// Settings for a [`Guest`], made by [`Plugin::guest`]. What is not set is as in the [`Host`](super::Host). They may be made on one
/// thread and built on another one.
///
/// ```
/// use std::time::Duration;
///
/// use aiohost::{Gated, Host, Limits, Rights, Stdin, Stdout};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), aiohost::Problem> {
/// # let data = tempfile::tempdir().expect("a temporary directory");
/// # let text = br#"(module (memory (export "memory") 1) (func (export "_start")))"#;
/// let plugin = Host::builder().env("LANG", "C").build()?.load_bytes("command.wat", text)?;
/// let (stderr, messages) = Stdout::captured(4 << 10);
/// let guest = plugin.guest().argv0("command").arg("--verbose").args(["in", "out"]).env("LANG", "C.UTF-8");
/// let guest = guest.dir(data.path(), ".", Rights::ReadWrite).allow(Gated::Mkfifo);
/// // The time alone comes after the limits, which have one too.
/// let guest = guest.limits(Limits { memory_bytes_max: 64 << 20, ..Limits::default() }).timeout(Duration::from_secs(10));
/// let guest = guest.weight(2).stdin(Stdin::null()).stdout(Stdout::null()).stderr(stderr);
/// // For functions of the application's own, which find it by its type.
/// let mut guest = guest.data("anna".to_owned()).build()?;
/// assert_eq!(guest.state().data::<String>().map(|tenant| tenant.as_str()), Some("anna"));
/// assert_eq!((guest.run().await?, messages.text().as_str()), (0, ""));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct GuestBuilder {
    plugin: Plugin,
    argv0: Option<String>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    wanted: Vec<Wanted>,
    allowed: Vec<Gated>,
    limits: Limits,
    weight: u32,
    stdin: Stdin,
    stdout: Stdout,
    stderr: Stdout,
    data: Option<Data>,
}

impl Plugin {
    /// Begins a guest: a run of the plugin with memory, directories and requests of its own.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use aiohost::{Host, Stdin, Stdout};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), aiohost::Problem> {
    /// # let text = br#"(module (memory (export "memory") 1) (func (export "_start")))"#;
    /// let plugin = Host::builder().build()?.load_bytes("command.wat", text)?;
    /// let (stdout, output) = Stdout::captured(64 << 10);
    /// let guest = plugin.guest().args(["--verbose", "x"]).env("LANG", "C").timeout(Duration::from_secs(10));
    /// let status = guest.stdin(Stdin::bytes("one\ntwo\n")).stdout(stdout).build()?.run().await?;
    /// assert_eq!((status, output.text().as_str()), (0, ""));
    /// # Ok(())
    /// # }
    /// ```
    pub fn guest(&self) -> GuestBuilder {
        let host = &self.host.0;
        let (stdin, [stdout, stderr]) = if host.inherits_stdio {
            (Stdin::inherit(), [(); 2].map(|()| Stdout::inherit()))
        } else {
            (Stdin::null(), [(); 2].map(|()| Stdout::null()))
        };
        GuestBuilder {
            plugin: self.clone(),
            argv0: host.argv0.clone(),
            arguments: host.arguments.clone(),
            environment: host.environment.clone(),
            wanted: Vec::new(),
            allowed: host.allowed.clone(),
            limits: host.limits.clone(),
            weight: host.weight,
            stdin,
            stdout,
            stderr,
            data: None,
        }
    }
}

impl GuestBuilder {
    /// Adds an argument of the command, after those of the host. [`GuestBuilder`] has an example of all its methods.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments of the command, after those of the host.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets the argument before all others, which is otherwise the name of the plugin's file.
    pub fn argv0(mut self, name: impl Into<String>) -> Self {
        self.argv0 = Some(name.into());
        self
    }

    /// Sets an environment variable. It replaces one of the host with the same name.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.environment.retain(|(other, _)| *other != name);
        self.environment.push((name, value));
        self
    }

    /// Grants this guest a directory of the host under a name, in addition to those that the host grants to all guests, see
    /// [`HostBuilder::dir`](super::HostBuilder::dir). The first of them all is the guest's working directory.
    pub fn dir(mut self, host: impl Into<PathBuf>, guest: impl Into<String>, rights: Rights) -> Self {
        self.wanted.push(Wanted { host: host.into(), guest: guest.into(), rights });
        self
    }

    /// Allows something that otherwise fails with `not-permitted`, in addition to what the host allows to all guests.
    pub fn allow(mut self, gated: Gated) -> Self {
        self.allowed.push(gated);
        self
    }

    /// Sets all limits, in place of the host's.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how long a run or a call may take: [`Limits::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = Some(timeout);
        self
    }

    /// Sets how many requests of this guest are begun in its turn, when several guests wait for workers; what
    /// [`HostBuilder::weight`](super::HostBuilder::weight) says unless set, and at least 1.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets its standard input, which is otherwise empty, or that of this process with
    /// [`HostBuilder::inherit_stdio`](super::HostBuilder::inherit_stdio).
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Sets where its standard output goes. Otherwise it is dropped, or goes to that of this process with
    /// [`HostBuilder::inherit_stdio`](super::HostBuilder::inherit_stdio).
    pub fn stdout(mut self, stdout: Stdout) -> Self {
        self.stdout = stdout;
        self
    }

    /// Sets where its standard error goes. Otherwise it is dropped, or goes to that of this process with
    /// [`HostBuilder::inherit_stdio`](super::HostBuilder::inherit_stdio).
    pub fn stderr(mut self, stderr: Stdout) -> Self {
        self.stderr = stderr;
        self
    }

    /// Stores a value for this guest, which functions of the application find with
    /// [`GuestState::data`](super::GuestState::data); see [`HostBuilder::linker`](super::HostBuilder::linker).
    pub fn data(mut self, data: impl Send + 'static) -> Self {
        self.data = Some(Box::new(data));
        self
    }

    /// Makes the guest, without running any of it. Its directories are opened here, which may wait for their file systems.
    ///
    /// # Errors
    ///
    /// If a directory cannot be granted: it cannot be opened, it conflicts with another one (see
    /// [`HostBuilder::dir`](super::HostBuilder::dir)), it reaches a code cache or its key, or the plugin is compiled code that it
    /// reaches.
    pub fn build(self) -> Result<Guest> {
        let host = self.plugin.host.clone();
        let aio = self.aio(&host.0, self.grants()?);
        let machine = host.0.machines.get(self.plugin.description().engine)?;
        let own_thread = host.0.blocking_wasi;
        let mut wasi = WasiCtx::builder();
        wasi.allow_blocking_current_thread(own_thread).max_random_size(RANDOM_BYTES_MAX);
        wasi.arg(self.argv0.as_deref().unwrap_or_else(|| self.plugin.name())).args(&self.arguments).envs(&self.environment);
        // It denies every address anyway; this leaves less to be tried.
        wasi.allow_tcp(false).allow_udp(false);
        self.stdin.give_to(&mut wasi);
        let whereabouts = Arc::new(if own_thread { Whereabouts::of_waiting() } else { Whereabouts::default() });
        let waiting = || own_thread.then(|| Arc::clone(&whereabouts));
        self.stdout.give_to(&mut wasi, Standard::Output, waiting());
        self.stderr.give_to(&mut wasi, Standard::Error, waiting());
        if let Some(settings) = &host.0.wasi {
            settings(&mut wasi);
        }
        let store = new_store(&machine.engine, wasi.build(), aio, whereabouts, &self.limits, self.data);
        Ok(Guest::new(store, self.plugin, self.limits.timeout))
    }

    /// Its directories: those of the host, and its own.
    fn grants(&self) -> Result<OpenGrants> {
        let host = &self.plugin.host.0;
        let mut grants = host.grants.try_clone()?;
        if self.wanted.is_empty() {
            return Ok(grants);
        }
        self.wanted.iter().try_for_each(|wanted| grants.open(wanted))?;
        let own = &grants.granted[host.grants.granted.len()..];
        trust::check_guest(own, host.cache_place.as_ref(), host.cache_grant)?;
        if let Some(origin) = &self.plugin.origin {
            trust::check_compiled(self.plugin.name(), &origin.path, &origin.file, own)?;
        }
        Ok(grants)
    }

    fn aio(&self, host: &Inner, grants: OpenGrants) -> AioCtx {
        let aio = AioCtx::builder().limits(self.limits.requests.clone()).resolver(host.resolver).weight(self.weight);
        let aio = self.allowed.iter().fold(aio, |aio, gated| aio.allow(*gated));
        let aio = if host.blocking_wasi { aio.own_thread() } else { aio };
        grants.give_to(aio).build(&host.workers)
    }
}

impl fmt::Debug for GuestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("GuestBuilder");
        shown.field("plugin", &self.plugin).field("arguments", &self.arguments).field("limits", &self.limits);
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::path::Path;

    use wasmtime::StoreContextMut;

    use super::*;
    use crate::ProblemKind;
    use crate::plugin::{GuestState, Host, HostBuilder};

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("an event loop").block_on(future)
    }

    fn plugin(host: HostBuilder, text: &str) -> Plugin {
        host.build().expect("a host").load_bytes("test.wat", text.as_bytes()).expect("a valid test plugin")
    }

    #[test]
    fn random_bytes_of_one_call_took_as_long_and_as_much_as_the_guest_liked() {
        let text = r#"(component
            (import "wasi:random/random@0.2.0" (instance $random
                (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
            (core module $code
                (import "" "bytes" (func $bytes (param i64 i32)))
                (import "" "memory" (memory 0))
                (func (export "f") (param i64) (result i32) (call $bytes (local.get 0) (i32.const 0)) (i32.load (i32.const 4))))
            (core module $place
                (memory (export "memory") 200)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
            (core instance $place (instantiate $place))
            (core func $bytes (canon lower (func $random "get-random-bytes")
                (memory (core memory $place "memory")) (realloc (core func $place "realloc"))))
            (core instance $code (instantiate $code
                (with "" (instance (export "bytes" (func $bytes)) (export "memory" (memory $place "memory"))))))
            (func (export "f") (param "len" u64) (result u32) (canon lift (core func $code "f"))))"#;
        let plugin = plugin(Host::builder(), text);
        let most = RANDOM_BYTES_MAX;
        assert_eq!(block_on(plugin.invoke(&format!("f({most})"))).expect("it may").as_deref(), Some("4194304"));
        let error = block_on(plugin.invoke(&format!("f({})", most + 1))).expect_err("it is more than a call gives");
        assert_eq!(error.kind(), ProblemKind::Trap, "{error}");
    }

    #[test]
    fn a_guest_has_the_weight_that_its_host_gives_unless_it_is_given_another() {
        assert_eq!(plugin(Host::builder(), "(component)").guest().weight, 1);
        let plugin = plugin(Host::builder().weight(3), "(component)");
        assert_eq!((plugin.guest().weight, plugin.guest().weight(2).weight), (3, 2));
    }

    /// Writes what it reads to its output, and ends with 1 once it cannot.
    const CAT: &str = r#"(module
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (loop $again
                (i32.store (i32.const 0) (i32.const 100))
                (i32.store (i32.const 4) (i32.const 1000))
                (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (call $exit (i32.const 2))))
                (if (i32.eqz (i32.load (i32.const 8))) (then return))
                (i32.store (i32.const 4) (i32.load (i32.const 8)))
                (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then (call $exit (i32.const 1))))
                (br $again))))"#;

    #[test]
    fn each_guest_has_streams_of_its_own() {
        let plugin = plugin(Host::builder(), CAT);
        block_on(async {
            for input in ["one", "two\n"] {
                let (stdout, output) = Stdout::captured(100);
                let guest = plugin.guest().stdin(Stdin::bytes(input)).stdout(stdout);
                assert_eq!(guest.build().expect("a guest").run().await.expect("it runs"), 0);
                assert_eq!(output.text(), input);
            }
            // More than there is room for: it is told, and what fits is there.
            let (stdout, output) = Stdout::captured(3);
            let guest = plugin.guest().stdin(Stdin::bytes("four")).stdout(stdout);
            assert_eq!(guest.build().expect("a guest").run().await.expect("it runs"), 1);
            assert_eq!(output.bytes(), b"fou");
            // An application's own.
            let (mut here, there) = tokio::io::duplex(64);
            let (reader, writer) = tokio::io::split(there);
            let mut guest =
                plugin.guest().stdin(Stdin::reader(reader)).stdout(Stdout::writer(writer)).build().expect("a guest");
            let talk = async {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                here.write_all(b"ping").await.expect("it is read");
                let mut back = [0; 4];
                here.read_exact(&mut back).await.expect("it is written");
                here.shutdown().await.expect("it can be closed");
                back
            };
            let (status, back) = futures::future::join(guest.run(), talk).await;
            assert_eq!((status.expect("it runs"), &back), (0, b"ping"));
            // And none at all.
            assert_eq!(plugin.run([]).await.expect("it runs"), 0);
        });
    }

    /// Makes the directory of its first argument's length in its last directory: `a`, `aa` and so on.
    fn makes_directory(preopen: u32) -> String {
        format!(
            r#"(module
            (import "wasi_snapshot_preview1" "path_create_directory" (func $make (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 8) "new")
            (func (export "_start") (call $exit (call $make (i32.const {preopen}) (i32.const 8) (i32.const 3)))))"#
        )
    }

    #[test]
    fn one_host_serves_tenants_with_directories_and_rights_of_their_own() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| dir.path().join(name);
        for name in ["shared", "anna", "otto"] {
            std::fs::create_dir(path(name)).expect("a new directory");
        }
        // The first directory is the host's, and the second one the tenant's.
        let plugin = plugin(Host::builder().dir(path("shared"), "shared", Rights::Read), &makes_directory(4));
        let run = |tenant: &str, rights| {
            let guest = plugin.guest().dir(path(tenant), "own", rights).build().expect("a guest");
            block_on(async move { { guest }.run().await }).expect("it runs")
        };
        assert_eq!(run("anna", Rights::ReadWrite), 0);
        assert_ne!(run("otto", Rights::Read), 0);
        assert!(path("anna/new").is_dir() && !path("otto/new").exists() && !path("shared/new").exists());
        // One that was not given a directory has none of another's: what it finds there is the host's once more.
        std::fs::remove_dir(path("anna/new")).expect("it was made");
        assert_ne!(block_on(plugin.run([])).expect("it runs"), 0);
        assert!(!path("anna/new").exists() && !path("shared/new").exists());
        let refusal = |name: &str, rights| {
            plugin.guest().dir(path("shared"), name, rights).build().expect_err("it does not fit beside the host's")
        };
        assert_eq!(refusal("/shared", Rights::Read).kind(), ProblemKind::Directory);
        assert!(refusal("rw", Rights::ReadWrite).to_string().contains("for reading only"));
    }

    #[test]
    fn limits_environment_arguments_and_time_are_the_guests() {
        let grows = r#"(module (memory (export "memory") 1)
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
            (func (export "spin") (loop $again (br $again))))"#;
        let plugin = plugin(Host::builder().env("A", "1").env("B", "2").args(["every"]), grows);
        block_on(async {
            for (pages, grown) in [(2, "-1"), (5, "1")] {
                let limits = Limits { memory_bytes_max: pages << 16, ..Limits::default() };
                let mut guest = plugin.guest().limits(limits).build().expect("a guest");
                assert_eq!(guest.invoke("grow(3)").await.expect("a call").as_deref(), Some(grown));
            }
            let mut guest = plugin.guest().timeout(Duration::from_millis(20)).build().expect("a guest");
            let problem = guest.invoke("spin()").await.expect_err("it takes for ever");
            assert_eq!(problem.kind(), ProblemKind::Timeout);
            assert!(problem.help().is_some_and(|help| help.contains("Limits::timeout")), "{problem:?}");
            assert!(problem.help_for_command().is_some_and(|help| help.contains("--timeout")), "{problem:?}");
        });
        let guest = plugin.guest().env("B", "3").env("C", "4");
        let expected = [("A", "1"), ("B", "3"), ("C", "4")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(guest.environment, expected);
        assert_eq!(guest.arg("own").arguments, ["every", "own"]);
    }

    fn refused(guest: GuestBuilder, words: &str) {
        let problem = guest.build().expect_err("it reaches what it must not");
        assert!(problem.to_string().contains(words), "{problem:?}");
    }

    #[test]
    fn a_directory_of_one_guest_reached_what_is_run_as_native_code() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| dir.path().join(name);
        for name in ["code", "key", "plugins", "data"] {
            std::fs::create_dir(path(name)).expect("a new directory");
        }
        let host = || Host::builder().cache_dir(path("code/cache")).cache_key(path("key/file"));
        for host in [host(), host().allow_cache_grant()] {
            let plugin = plugin(host, CAT);
            refused(plugin.guest().dir(path("code"), "d", Rights::ReadWrite), "it reaches the code cache");
            refused(plugin.guest().dir(path("key"), "d", Rights::Read), "it reaches the key of the code cache");
            plugin.guest().dir(path("data"), "d", Rights::ReadWrite).build().expect("it reaches nothing");
        }
        let compiled = plugin(Host::builder(), CAT).compiled().expect("there is memory");
        std::fs::write(path("plugins/cat.cwasm"), compiled).expect("a new file");
        let host = Host::builder().build().expect("a host");
        // SAFETY: it was made just now, in a directory of our own.
        let plugin = unsafe { host.load_trusted(path("plugins/cat.cwasm")) }.expect("it is of this kind");
        refused(plugin.guest().dir(path("plugins"), "d", Rights::ReadWrite), "is compiled code that a plugin may write");
        plugin.guest().dir(path("plugins"), "d", Rights::Read).build().expect("it cannot be changed");
    }

    /// Imports a function of the application and hands on what it gives.
    const ASKS: &str = r#"(component
        (import "example:app/numbers" (instance $numbers (export "next" (func (result u32)))))
        (core func $next (canon lower (func $numbers "next")))
        (core module $code (import "app" "next" (func $next (result i32)))
            (func (export "ask") (result i32) (call $next)))
        (core instance $code (instantiate $code (with "app" (instance (export "next" (func $next))))))
        (func (export "ask") (result u32) (canon lift (core func $code "ask"))))"#;

    fn numbers() -> HostBuilder {
        Host::builder().linker(|linker| {
            linker.instance("example:app/numbers")?.func_wrap("next", |mut store: StoreContextMut<'_, GuestState>, (): ()| {
                let number = store.data_mut().data::<u32>().ok_or_else(|| wasmtime::format_err!("no number"))?;
                *number += 1;
                Ok((*number,))
            })
        })
    }

    #[test]
    fn an_application_offers_functions_of_its_own_that_know_their_guest() {
        let plugin = plugin(numbers(), ASKS);
        block_on(async {
            let mut guests = [10_u32, 20].map(|start| plugin.guest().data(start).build().expect("a guest"));
            for expected in [11, 12] {
                let (number,) = guests[0].call::<(), (u32,)>("ask", ()).await.expect("a call");
                assert_eq!(number, expected);
            }
            assert_eq!(guests[1].call::<(), (u32,)>("ask", ()).await.expect("a call"), (21,));
            assert_eq!(guests[1].state().data::<u32>().copied(), Some(21));
            assert_eq!(guests[1].state().data::<u64>(), None);
        });
        // On a host that does not offer it, it is missing, and so is another function on one that does.
        let host = Host::builder().build().expect("a host");
        let problem = host.load_bytes("test.wat", ASKS.as_bytes()).expect_err("it is not offered");
        assert!(problem.to_string().contains("`example:app/numbers`"), "{problem:?}");
        let host = numbers().build().expect("a host");
        let other = ASKS.replace("\"next\"", "\"last\"");
        let problem = host.load_bytes("test.wat", other.as_bytes()).expect_err("it is not offered");
        assert!(format!("{:#}", anyhow::Error::from(problem)).contains("last"));
        let twice = numbers().linker(|linker| {
            linker.instance("example:app/numbers")?.func_wrap("next", |_: StoreContextMut<'_, GuestState>, (): ()| Ok((0_u32,)))
        });
        let twice = twice.build().expect("a host");
        let problem = twice.load_bytes("test.wat", ASKS.as_bytes()).expect_err("a name is taken");
        assert!(problem.help().is_some_and(|help| help.contains("HostBuilder::linker")), "{problem:?}");
    }

    #[test]
    fn a_call_of_another_type_or_name_is_refused_and_the_guest_lives_on() {
        let plugin = plugin(numbers(), ASKS);
        block_on(async {
            let mut guest = plugin.guest().data(0_u32).build().expect("a guest");
            let problem = guest.call::<(u32,), (u32,)>("ask", (1,)).await.expect_err("it takes nothing");
            assert_eq!(problem.kind(), ProblemKind::Call);
            let problem = guest.call::<(), (u32,)>("asks", ()).await.expect_err("there is none");
            assert_eq!(problem.help(), Some("the closest is `ask`"));
            assert_eq!(guest.call::<(), (u32,)>("ask", ()).await.expect("a call"), (1,));
        });
        let core = self::plugin(Host::builder(), CAT);
        let problem = block_on(core.guest().build().expect("a guest").call::<(), ()>("_start", ())).expect_err("a module");
        assert_eq!(problem.kind(), ProblemKind::Call);
    }

    #[test]
    fn an_engine_and_workers_of_the_applications_own_are_used() {
        let workers = crate::AioEngine::new();
        for concurrent in [true, false] {
            let mut config = wasmtime::Config::new();
            config.epoch_interruption(true).concurrency_support(concurrent);
            let engine = wasmtime::Engine::new(&config).expect("an engine");
            let cache = tempfile::tempdir().expect("a temporary directory");
            let builder = || {
                let places = |name: &str| Path::new(cache.path()).join(name);
                std::fs::create_dir_all(places("key")).expect("a directory of our own");
                numbers().engine(engine.clone()).workers(workers.clone()).cache_dir(places("code")).cache_key(places("key/k"))
            };
            // Compiled, and from the cache.
            for _ in 0..2 {
                let plugin = plugin(builder(), ASKS);
                let mut guest = plugin.guest().data(1_u32).build().expect("a guest");
                assert_eq!(block_on(guest.call::<(), (u32,)>("ask", ())).expect("a call"), (2,));
                let module = self::plugin(builder(), CAT);
                assert_eq!(block_on(module.run([])).expect("it runs"), 0);
            }
            let asynchronous = builder().build().expect("a host").load_bytes(
                "test.wat",
                br#"(component (import "f" (func $f async)) (core func (canon lower (func $f) async)))"#,
            );
            let problem = asynchronous.expect_err("there is no such function");
            let lacks = problem.help().is_some_and(|help| help.contains("concurrency_support"));
            assert_eq!(lacks, !concurrent, "{problem:?}");
        }
        let process = crate::plugin::CompileProcess::new(["compile"]);
        let both = Host::builder().engine(wasmtime::Engine::default()).compile_in(process).build();
        assert_eq!(both.expect_err("they do not go together").kind(), ProblemKind::Host);
        assert!(block_on(workers.shutdown_async(Duration::from_secs(10))), "no guest is left");
    }
}
