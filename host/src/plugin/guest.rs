//! A guest: a plugin that runs, with a store of its own.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use wasmtime::component::{self, ComponentExportIndex, ComponentNamedList, Lift, Lower};
use wasmtime::{InstancePre, Store};
use wasmtime_wasi::I32Exit;

use super::code::Linked;
use super::compile_how::Epochs;
use super::ending::{self, Ending};
use super::handle::GuestHandle;
use super::invoke;
use super::invoke_core::{CoreCall, IsFirst};
use super::load::Plugin;
use super::state::{GuestState, KeptStore};
use crate::problem::{Problem, ProblemKind, Remedy, Result};
use crate::sched::{Counters, Stats};
use crate::spin::on_own_thread;
use crate::ticker::Ticks;

/// A running plugin, with memory, directories and requests of its own.
///
/// It ends for good when it has been run, has trapped, or the future of a call was dropped; its statistics can still be read.
/// Dropping it ends its requests: those that are queued never run; those that run are finished and their results are dropped. The
/// drop does not wait for that, and its memory is freed on another thread.
///
/// A guest may be moved to another thread, and so may the futures of its calls. They need a tokio runtime whose time is enabled. To
/// look at its requests while it runs, or to end it from outside, use its [`handle`](Self::handle).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), aiohost::Problem> {
/// let text = br#"(module
///     (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
///     (memory (export "memory") 1)
///     (func (export "_start") (call $exit (i32.const 7))))"#;
/// let plugin = aiohost::Host::builder().build()?.load_bytes("seven.wat", text)?;
/// let mut guest = plugin.guest().build()?;
/// assert_eq!(guest.run().await?, 7);
/// assert!(guest.stats().is_empty() && guest.counters().failed == 0);
/// // A command is run once.
/// assert_eq!(guest.run().await.unwrap_err().kind(), aiohost::ProblemKind::Call);
/// # Ok(())
/// # }
/// ```
pub struct Guest {
    // First, so that it is dropped first.
    store: KeptStore,
    instance: Option<Instance>,
    ended: bool,
    plugin: Plugin,
    timeout: Option<Duration>,
}

#[derive(Clone, Copy)]
enum Instance {
    Component(component::Instance),
    Module(wasmtime::Instance),
}

/// The function that runs a command.
enum Entry {
    Component(component::InstancePre<GuestState>, ComponentExportIndex),
    Module(InstancePre<GuestState>),
}

/// A call of an exported function.
enum Call {
    Component(component::InstancePre<GuestState>, invoke::Call),
    Module(InstancePre<GuestState>, CoreCall),
}

impl Plugin {
    /// Runs the plugin as a command with these arguments and returns its exit status. It needs a tokio runtime whose time is
    /// enabled.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), aiohost::Problem> {
    /// let text = br#"(module (memory (export "memory") 1) (func (export "_start")))"#;
    /// let plugin = aiohost::Host::builder().build()?.load_bytes("command.wat", text)?;
    /// assert_eq!(plugin.run(["--verbose"]).await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If it has neither a `wasi:cli/run` export nor, as a core module, a `_start`; if it traps, reaches a limit that ends it, or
    /// takes too long. To see what it did up to then, use [`Plugin::guest`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the guest of this run: requests that are queued never run, and those that run are finished. The
    /// plugin may be run again.
    pub async fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<i32> {
        let mut guest = self.guest().args(arguments).build()?;
        guest.run().await
    }

    /// Calls an exported function, with arguments in WAVE, the text form of component values, and returns its result in WAVE,
    /// if it has one: `"add(1, 2)"`, or `"example:calculator/sums.add(1, 2)"`. A function of a core module takes numbers, and its
    /// results have a line each; a library's `_initialize` is called before it. The [module](super) has an example.
    ///
    /// The text of a result is 16 MiB at most. While a function runs that returns lists of flags, one call may pass less to the
    /// host than [`Limits::hostcall_bytes_max`](crate::Limits::hostcall_bytes_max) says, since such a list takes many times the
    /// memory that is counted for it.
    ///
    /// # Errors
    ///
    /// If there is no such function, or the arguments do not fit; and as [`Plugin::run`].
    ///
    /// # Cancel safety
    ///
    /// As [`Plugin::run`].
    pub async fn invoke(&self, call: &str) -> Result<Option<String>> {
        let mut guest = self.guest().build()?;
        guest.invoke(call).await
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("plugin", &self.plugin.name).field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Guest {
    pub(super) fn new(store: KeptStore, plugin: Plugin, timeout: Option<Duration>) -> Self {
        Self { store, instance: None, ended: false, plugin, timeout }
    }

    /// Runs it as a command and returns its exit status: the number that it passed to `exit`, whatever that is, or else 0 for
    /// success and 1 for failure.
    ///
    /// # Errors
    ///
    /// If it has neither a `wasi:cli/run` export nor, as a core module, a `_start`; if it traps, reaches a limit that ends it, or
    /// takes too long.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the guest, once it was polled: the guest can do nothing more, and [`stats`](Self::stats) has what
    /// it did.
    pub async fn run(&mut self) -> Result<i32> {
        let Some(entry) = self.entry() else { return Err(self.no_command()) };
        let _ticks = self.enter()?;
        let ending = within(self.supervision(), self.call_run(entry)).await;
        // A command is run once.
        self.close(ending)
    }

    /// Calls an exported function, with arguments in WAVE, and returns its result in WAVE, if it has one; see
    /// [`Plugin::invoke`]. It may be called again, and the guest keeps its memory.
    ///
    /// # Errors
    ///
    /// If there is no such function, or the arguments do not fit; if it traps, ends itself with `exit`, reaches a limit that
    /// ends it, or takes too long.
    ///
    /// # Cancel safety
    ///
    /// As [`Guest::run`].
    pub async fn invoke(&mut self, call: &str) -> Result<Option<String>> {
        let name = &self.plugin.name;
        let call = match &self.plugin.linked {
            Linked::Component(pre) => Call::Component(pre.clone(), invoke::Call::parse(name, pre.component(), call)?),
            Linked::Module(pre) => Call::Module(pre.clone(), CoreCall::parse(name, pre.module(), call)?),
        };
        let _ticks = self.enter()?;
        let ending = within(self.supervision(), self.call_export(&call)).await;
        let is_alive = matches!(ending, Ending::Returned(_));
        let results = self.close(ending)?;
        self.ended = !is_alive;
        results
    }

    /// Calls an exported function of a component by its type: `"add"`, or `"example:calculator/sums.add"`. Parameters and results
    /// are tuples, as wasmtime's `TypedFunc` takes them. It may be called again, and the guest keeps its memory.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), aiohost::Problem> {
    /// # let text = br#"(component
    /// #     (core module $code (func (export "double") (param i32) (result i32)
    /// #         (i32.mul (local.get 0) (i32.const 2))))
    /// #     (core instance $code (instantiate $code))
    /// #     (func (export "double") (param "number" u32) (result u32) (canon lift (core func $code "double"))))"#;
    /// let plugin = aiohost::Host::builder().build()?.load_bytes("double.wat", text)?;
    /// let (doubled,) = plugin.guest().build()?.call::<(u32,), (u32,)>("double", (21,)).await?;
    /// assert_eq!(doubled, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If it is a core module, or has no such function of this type; and those of [`Guest::invoke`].
    ///
    /// # Cancel safety
    ///
    /// As [`Guest::run`].
    pub async fn call<P, R>(&mut self, name: &str, parameters: P) -> Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let function = invoke::locate(&self.plugin.name, self.pre()?.component(), name)?;
        let called = self.with(async |store, instance| {
            let typed = instance.get_typed_func::<P, R>(&mut *store, function);
            match typed {
                Ok(typed) => Ok(Ok(typed.call_async(&mut *store, parameters).await?)),
                Err(error) => Ok(Err(error)),
            }
        });
        called.await?.map_err(|error| {
            let what = format!("`{name}` of {} has another type than it is called with", self.plugin.name);
            Problem::new(ProblemKind::Call, what).because(error)
        })
    }

    /// Runs a closure with a component's store and instance, within the limits of the guest: for calls by the types that
    /// [`bindgen!`](wasmtime::component::bindgen) makes for a world, for several calls, or for calls that take handles.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), aiohost::Problem> {
    /// # let text = br#"(component
    /// #     (core module $code (func (export "double") (param i32) (result i32)
    /// #         (i32.mul (local.get 0) (i32.const 2))))
    /// #     (core instance $code (instantiate $code))
    /// #     (func (export "double") (param "number" u32) (result u32) (canon lift (core func $code "double"))))"#;
    /// # let plugin = aiohost::Host::builder().build()?.load_bytes("double.wat", text)?;
    /// let mut guest = plugin.guest().build()?;
    /// let result = guest.with(async |store, instance| {
    ///     // With a world of one's own: `Processor::new(&mut *store, instance)?.call_process(&mut *store, ..).await`.
    ///     let double = instance.get_typed_func::<(u32,), (u32,)>(&mut *store, "double")?;
    ///     let (once,) = double.call_async(&mut *store, (1,)).await?;
    ///     double.call_async(&mut *store, (once,)).await
    /// });
    /// assert_eq!(result.await?, (4,));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If it is a core module; if it traps or `run` fails, both of which end the guest; and those of [`Guest::invoke`].
    ///
    /// # Cancel safety
    ///
    /// As [`Guest::run`].
    pub async fn with<R>(
        &mut self,
        run: impl AsyncFnOnce(&mut Store<GuestState>, &component::Instance) -> wasmtime::Result<R>,
    ) -> Result<R> {
        let pre = self.pre()?.clone();
        let _ticks = self.enter()?;
        let supervision = self.supervision();
        let called = async {
            let instance = self.component(&pre).await?;
            run(&mut self.store, &instance).await
        };
        let ending = within(supervision, called).await;
        let is_alive = matches!(ending, Ending::Returned(_));
        let result = self.close(ending)?;
        self.ended = !is_alive;
        Ok(result)
    }

    fn supervision(&self) -> Supervision {
        Supervision { timeout: self.timeout, own_thread: self.plugin.host.0.blocking_wasi }
    }

    fn pre(&self) -> Result<&component::InstancePre<GuestState>> {
        match &self.plugin.linked {
            Linked::Component(pre) => Ok(pre),
            Linked::Module(_) => {
                let what = format!("{} is a core module, whose functions have no types of components", self.plugin.name);
                Err(Problem::new(ProblemKind::Call, what).help_with("call it with Guest::invoke, or make a component of it"))
            }
        }
    }

    /// The data of its store: its requests, and what the application keeps for it.
    pub fn state(&mut self) -> &mut GuestState {
        self.store.data_mut()
    }

    /// Statistics of its requests so far, by name; also after it has ended.
    pub fn stats(&self) -> Stats {
        self.store.data().aio.stats()
    }

    /// Number of its requests in each state, now.
    pub fn counters(&self) -> Counters {
        self.store.data().aio.counters()
    }

    /// A handle for other threads, to look at it or to end it while it runs; see [`GuestHandle`].
    pub fn handle(&self) -> GuestHandle {
        let state = self.store.data();
        GuestHandle::new(&state.aio.member, state.whereabouts())
    }

    /// Ticks go on while the result lives, if its code looks for them. Whatever happens next, the store is not used again unless it
    /// is said to be good.
    fn enter(&mut self) -> Result<Option<Ticks>> {
        if std::mem::replace(&mut self.ended, true) {
            return Err(Problem::new(ProblemKind::Call, format!("this guest of {} has ended", self.plugin.name))
                .help_with("make a new one with Plugin::guest"));
        }
        let machines = &self.plugin.host.0.machines;
        if machines.how().epochs == Epochs::Unchecked {
            return Ok(None);
        }
        machines.ticker.run().map(Some)
    }

    /// The function that runs it, if it is a command.
    fn entry(&self) -> Option<Entry> {
        let command = self.plugin.description().world.command()?;
        match &self.plugin.linked {
            Linked::Component(pre) => {
                let component = pre.component();
                let interface = component.get_export_index(None, command.interface)?;
                Some(Entry::Component(pre.clone(), component.get_export_index(Some(&interface), "run")?))
            }
            Linked::Module(pre) => Some(Entry::Module(pre.clone())),
        }
    }

    async fn component(&mut self, pre: &component::InstancePre<GuestState>) -> wasmtime::Result<component::Instance> {
        if let Some(Instance::Component(instance)) = self.instance {
            return Ok(instance);
        }
        let instance = pre.instantiate_async(&mut *self.store).await?;
        self.instance = Some(Instance::Component(instance));
        Ok(instance)
    }

    async fn module(&mut self, pre: &InstancePre<GuestState>) -> wasmtime::Result<(wasmtime::Instance, IsFirst)> {
        if let Some(Instance::Module(instance)) = self.instance {
            return Ok((instance, IsFirst::No));
        }
        let instance = pre.instantiate_async(&mut *self.store).await?;
        self.instance = Some(Instance::Module(instance));
        Ok((instance, IsFirst::Yes))
    }

    async fn call_run(&mut self, entry: Entry) -> wasmtime::Result<i32> {
        let outcome = match entry {
            Entry::Component(pre, function) => self.run_component(&pre, function).await,
            Entry::Module(pre) => self.run_module(&pre).await,
        };
        outcome.or_else(|error| match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(status)) => Ok(*status),
            None => Err(error),
        })
    }

    async fn run_component(
        &mut self,
        pre: &component::InstancePre<GuestState>,
        function: ComponentExportIndex,
    ) -> wasmtime::Result<i32> {
        let instance = self.component(pre).await?;
        let run = instance.get_typed_func::<(), (std::result::Result<(), ()>,)>(&mut *self.store, function)?;
        // For an `async func` this drives everything asynchronous in the store, too.
        let (outcome,) = run.call_async(&mut *self.store, ()).await?;
        Ok(i32::from(outcome.is_err()))
    }

    async fn run_module(&mut self, pre: &InstancePre<GuestState>) -> wasmtime::Result<i32> {
        let (instance, _) = self.module(pre).await?;
        let start = instance.get_typed_func::<(), ()>(&mut *self.store, "_start")?;
        start.call_async(&mut *self.store, ()).await?;
        Ok(0)
    }

    async fn call_export(&mut self, call: &Call) -> wasmtime::Result<Result<Option<String>>> {
        match call {
            Call::Component(pre, call) => {
                let instance = self.component(pre).await?;
                Ok(call.show(&call.make(&mut self.store, instance).await?))
            }
            Call::Module(pre, call) => {
                let (instance, is_first) = self.module(pre).await?;
                Ok(call.show(&call.make(&mut self.store, instance, is_first).await?))
            }
        }
    }

    fn close<T>(&self, ending: Ending<T>) -> Result<T> {
        ending::report(&self.plugin.name, ending)
    }

    fn no_command(&self) -> Problem {
        let world = &self.plugin.description().world;
        let lacking = match self.plugin.linked {
            Linked::Component(_) => "`wasi:cli/run` export",
            Linked::Module(_) => "`_start` function without parameters",
        };
        let problem = Problem::new(ProblemKind::Export, format!("{} cannot be run: it has no {lacking}", self.plugin.name));
        if world.exports.is_empty() {
            return problem.because_text("it exports nothing").help_with("build it as a command, with a main function");
        }
        let exports: Vec<String> = world.exports.iter().map(|export| format!("`{}`", export.name)).collect();
        let problem = problem.because_text(format!("it exports {}", exports.join(", ")));
        problem.help_with(self.remedy_for_export())
    }

    /// What can be done with a plugin that is no command.
    fn remedy_for_export(&self) -> Remedy {
        let exports = |interface: &str| {
            let exports = &self.plugin.description().world.exports;
            exports.iter().any(|export| export.name.starts_with(interface))
        };
        let is_component = matches!(self.plugin.linked, Linked::Component(_));
        if exports("wasi:cli/run") {
            "this host runs wasi:cli/run of WASI 0.2 and 0.3: build the plugin with a toolchain for one of these".into()
        } else if exports("run") && is_component {
            Remedy::of(NOT_OF_ITS_OWN, format!("{NOT_OF_ITS_OWN}: see `aiohost new`"))
        } else if exports("wasi:http/") {
            "it is built for an HTTP server, and this host has none: build it for a world with `export wasi:cli/run@0.2.6;`"
                .into()
        } else if is_component {
            Remedy::of(
                "call one of its functions with Guest::call or Guest::invoke, or build it as a command, with a main function",
                "call one of its functions with --invoke 'NAME(ARGUMENTS)', or build it as a command, with a main function",
            )
        } else {
            Remedy::of(
                "call one of its functions with Guest::invoke, or build it as a command, with a main function",
                "call one of its functions with --invoke NAME and arguments behind the plugin, or build it as a command, with a \
                 main function",
            )
        }
    }
}

const NOT_OF_ITS_OWN: &str = "a world that is to be run has `export wasi:cli/run@0.2.6;`, not a function of its own";

/// How a guest is waited for.
struct Supervision {
    timeout: Option<Duration>,
    /// Whether it has the thread to itself.
    own_thread: bool,
}

/// Waits for a guest, but not longer than it may take. It yields at every tick, so that it can be given up at any time.
async fn within<T>(supervision: Supervision, guest: impl Future<Output = wasmtime::Result<T>>) -> Ending<T> {
    let guest = async { if supervision.own_thread { on_own_thread(guest).await } else { guest.await } };
    let outcome = match supervision.timeout {
        None => guest.await,
        Some(timeout) => match tokio::time::timeout(timeout, guest).await {
            Ok(outcome) => outcome,
            Err(_) => return Ending::TimedOut(timeout),
        },
    };
    match outcome {
        Ok(value) => Ending::Returned(value),
        Err(error) => Ending::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{BuiltFor, Host, componentize};

    fn plugin(text: &str) -> Plugin {
        let host = Host::builder().build().expect("a host without directories");
        host.load_bytes("test.wat", text.as_bytes()).expect("a valid test plugin")
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("an event loop").block_on(future)
    }

    /// Asks for something that takes no time, for ever.
    const NOPS: &str = r#"(module
        (import "aiohost:aio/blocking@0.1.0" "nop" (func $nop (param i32)))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
        (func (export "_start") (loop $again (call $nop (i32.const 0)) (br $again))))"#;

    #[test]
    fn the_time_of_a_guest_with_its_thread_to_itself_comes_whatever_it_does() {
        let host = Host::builder().blocking_wasi().build().expect("a host without directories");
        let world = BuiltFor { wit: None, world: Some("blocking-guest") };
        let nops = componentize("nops.wat", NOPS.as_bytes(), Some(world)).expect("a valid test plugin");
        let spins = br#"(module (func (export "_start") (loop $again (br $again))))"#;
        for code in [nops.as_slice(), spins] {
            let plugin = host.load_bytes("test.wasm", code).expect("a valid test plugin");
            let mut guest = plugin.guest().timeout(Duration::from_millis(200)).build().expect("a guest");
            let problem = block_on(guest.run()).expect_err("it never ends");
            assert_eq!(problem.kind(), ProblemKind::Timeout, "{problem}");
        }
    }

    const COUNTER: &str = r#"(component
        (core module $code (global $count (mut i32) (i32.const 0))
            (func (export "next") (result i32)
                (global.set $count (i32.add (global.get $count) (i32.const 1))) (global.get $count))
            (func (export "trap") unreachable))
        (core instance $code (instantiate $code))
        (func (export "next") (result u32) (canon lift (core func $code "next")))
        (func (export "trap") (canon lift (core func $code "trap"))))"#;

    #[test]
    fn a_guest_keeps_its_memory_from_call_to_call_and_shares_it_with_no_other() {
        let plugin = plugin(COUNTER);
        block_on(async {
            let mut guest = plugin.guest().build().expect("a guest");
            assert_eq!(guest.invoke("next()").await.expect("a call").as_deref(), Some("1"));
            assert_eq!(guest.invoke("next()").await.expect("a call").as_deref(), Some("2"));
            assert_eq!(plugin.invoke("next()").await.expect("a call").as_deref(), Some("1"));
        });
    }

    #[test]
    fn a_library_is_initialized_once_however_often_it_is_called() {
        let plugin = plugin(
            r#"(module (global $ready (mut i32) (i32.const 0)) (global $count (mut i32) (i32.const 0))
                (func (export "_initialize") (global.set $ready (i32.add (global.get $ready) (i32.const 1))))
                (func (export "next") (result i32 i32)
                    (global.set $count (i32.add (global.get $count) (i32.const 1))) (global.get $ready) (global.get $count))
                (func (export "trap") unreachable))"#,
        );
        block_on(async {
            let mut guest = plugin.guest().build().expect("a guest");
            assert_eq!(guest.invoke("next()").await.expect("a call").as_deref(), Some("1\n1"));
            assert_eq!(guest.invoke("next()").await.expect("a call").as_deref(), Some("1\n2"));
            assert_eq!(plugin.invoke("next()").await.expect("a call").as_deref(), Some("1\n1"));
            assert_eq!(guest.invoke("trap()").await.expect_err("a trap").kind(), ProblemKind::Trap);
            assert_eq!(guest.invoke("next()").await.expect_err("it has ended").kind(), ProblemKind::Call);
        });
    }

    #[test]
    fn a_guest_that_trapped_is_not_called_again() {
        let plugin = plugin(COUNTER);
        block_on(async {
            let mut guest = plugin.guest().build().expect("a guest");
            assert_eq!(guest.invoke("trap()").await.expect_err("a trap").kind(), ProblemKind::Trap);
            assert_eq!(guest.invoke("next()").await.expect_err("it has ended").kind(), ProblemKind::Call);
        });
    }

    #[test]
    fn a_call_that_was_given_up_ends_the_guest() {
        let plugin = plugin(
            r#"(component
            (core module $code (func (export "spin") (loop $again (br $again))))
            (core instance $code (instantiate $code))
            (func (export "spin") (canon lift (core func $code "spin"))))"#,
        );
        block_on(async {
            let mut guest = plugin.guest().build().expect("a guest");
            let spin = tokio::time::timeout(Duration::from_millis(30), guest.invoke("spin()"));
            assert!(spin.await.is_err(), "it can only be given up");
            assert_eq!(guest.invoke("spin()").await.expect_err("it has ended").kind(), ProblemKind::Call);
        });
    }

    #[test]
    fn what_a_guest_held_is_given_back_on_another_thread() {
        /// An output that tells which thread drops it.
        struct Tells(std::sync::mpsc::Sender<std::thread::ThreadId>);

        impl Drop for Tells {
            fn drop(&mut self) {
                let _ = self.0.send(std::thread::current().id());
            }
        }

        impl wasmtime_wasi::cli::IsTerminal for Tells {
            fn is_terminal(&self) -> bool {
                false
            }
        }

        impl wasmtime_wasi::cli::StdoutStream for Tells {
            fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
                unreachable!("nothing is written")
            }
        }

        let (sender, dropped) = std::sync::mpsc::channel();
        let host = Host::builder().wasi(move |wasi| {
            wasi.stdout(Tells(sender.clone()));
        });
        let host = host.build().expect("a host");
        let plugin = host.load_bytes("test.wat", COUNTER.as_bytes()).expect("a valid test plugin");
        drop(plugin.guest().build().expect("a guest"));
        assert_ne!(dropped.recv().expect("it is dropped"), std::thread::current().id());
    }

    #[test]
    fn memory_that_could_not_grow_was_counted_for_ever() {
        let limits = crate::Limits { memory_bytes_max: 8 << 16, table_elements_max: 8, ..crate::Limits::default() };
        let host = Host::builder().limits(limits).build().expect("a host without directories");
        let text = r#"(module (memory 1 4) (table $t 1 4 funcref)
            (func (export "memory") (param i32) (result i32) (memory.grow (local.get 0)))
            (func (export "table") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0))))"#;
        let plugin = host.load_bytes("test.wat", text.as_bytes()).expect("a valid test plugin");
        block_on(async {
            let mut guest = plugin.guest().build().expect("a guest");
            for what in ["memory", "table"] {
                for (pages, expected) in [(5, "-1"), (5, "-1"), (3, "1"), (1, "-1")] {
                    let grown = guest.invoke(&format!("{what}({pages})")).await.expect("a call");
                    assert_eq!(grown.as_deref(), Some(expected), "{what}");
                }
            }
        });
    }

    #[test]
    fn memories_are_counted_whatever_their_size() {
        let module = |memories: usize| format!("(module {} (func (export \"f\")))", "(memory 0)".repeat(memories));
        block_on(async {
            plugin(&module(64)).invoke("f()").await.expect("as many as there may be");
            let problem = plugin(&module(65)).invoke("f()").await.expect_err("one too many");
            assert_eq!(problem.kind(), ProblemKind::Limit, "{problem:?}");
        });
    }

    #[test]
    fn a_run_may_be_handed_to_another_thread() {
        fn assert_send<T: Send>(value: T) -> T {
            value
        }
        let plugin = plugin(COUNTER);
        let run = block_on(assert_send(plugin.run(["argument"])));
        assert_eq!(run.expect_err("it is no command").kind(), ProblemKind::Export);
        let mut guest = plugin.guest().build().expect("a guest");
        assert_eq!(block_on(assert_send(guest.call::<(), (u32,)>("next", ()))).expect("a call"), (1,));
        let twice = guest.with(async |store, instance| {
            let next = instance.get_typed_func::<(), (u32,)>(&mut *store, "next")?;
            next.call_async(&mut *store, ()).await?;
            next.call_async(&mut *store, ()).await
        });
        assert_eq!(block_on(assert_send(twice)).expect("two calls"), (3,));
    }
}
