//! A guest: a plugin that runs, with a store of its own.

use std::future::Future;
use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, Instance};
use wasmtime_wasi::I32Exit;

use super::ending::{self, Ending};
use super::invoke;
use super::load::Plugin;
use super::problem::{Problem, ProblemKind, Result};
use super::state::{State, new_store};
use super::ticker::Running;
use crate::sched::{Counters, Stats};

/// A running plugin, with memory, directories and requests of its own.
///
/// It has ended for good once it has been run, has trapped, or a call of it was given up; what it did can still be asked.
/// Dropping it ends its requests: those that are queued never run, those that run are finished and their results dropped.
pub struct Guest {
    // First, so that it is dropped first.
    store: Store<State>,
    instance: Option<Instance>,
    ended: bool,
    plugin: Plugin,
}

impl Plugin {
    /// A guest: the plugin with memory, directories and requests of its own. Nothing of it has run yet.
    ///
    /// # Errors
    ///
    /// If a directory can no longer be granted.
    pub fn guest(&self, arguments: &[impl AsRef<str>]) -> Result<Guest> {
        let host = &self.host.0;
        let argv0 = host.argv0.as_deref().unwrap_or(&self.name);
        let arguments = std::iter::once(argv0).chain(arguments.iter().map(AsRef::as_ref));
        let arguments: Vec<String> = arguments.map(str::to_owned).collect();
        let machine = host.machines.get(self.description().engine)?;
        let store = new_store(&machine.engine, host.wasi(&arguments)?, host.aio()?, &host.limits);
        Ok(Guest { store, instance: None, ended: false, plugin: self.clone() })
    }

    /// Runs the plugin as a command with these arguments and gives its exit status. Needs to be within a tokio runtime whose
    /// time is enabled.
    ///
    /// Dropping the future ends the guest: requests that are queued never run, those that run are finished.
    ///
    /// # Errors
    ///
    /// If it has no `wasi:cli/run` export, traps, reaches a limit that ends it, or takes too long. To see what it did up to
    /// then, use [`Plugin::guest`].
    pub async fn run(&self, arguments: &[impl AsRef<str>]) -> Result<i32> {
        let mut guest = self.guest(arguments)?;
        guest.run().await
    }

    /// Calls an exported function, with arguments in WAVE, the text form of component values, and gives its result in WAVE,
    /// if it has one: `"add(1, 2)"`, or `"example:calculator/sums.add(1, 2)"`.
    ///
    /// # Errors
    ///
    /// If there is no such function, or the arguments do not fit; and as [`Plugin::run`].
    pub async fn invoke(&self, call: &str) -> Result<Option<String>> {
        let mut guest = self.guest(&[""; 0])?;
        guest.invoke(call).await
    }
}

impl Guest {
    /// Runs it as a command and gives its exit status: what it said to `exit`, else 0 or 1 for success and failure.
    ///
    /// Needs to be within a tokio runtime whose time is enabled. Dropping the future ends the guest.
    ///
    /// # Errors
    ///
    /// If it has no `wasi:cli/run` export, traps, reaches a limit that ends it, or takes too long.
    pub async fn run(&mut self) -> Result<i32> {
        let Some(command) = self.plugin.description().world.command() else { return Err(self.no_command()) };
        let component = self.plugin.pre.component();
        let interface = component.get_export_index(None, command.interface);
        let function = interface.and_then(|interface| component.get_export_index(Some(&interface), "run"));
        let Some(function) = function else { return Err(self.no_command()) };
        let _ticks = self.enter()?;
        let ending = within(self.timeout(), self.call_run(function)).await;
        // A command is run once.
        self.close(ending)
    }

    /// Calls an exported function, with arguments in WAVE, and gives its result in WAVE, if it has one; see
    /// [`Plugin::invoke`]. May be called again, on the same memory.
    ///
    /// # Errors
    ///
    /// If there is no such function, or the arguments do not fit; if it traps, ends itself with `exit`, reaches a limit that
    /// ends it, or takes too long.
    pub async fn invoke(&mut self, call: &str) -> Result<Option<String>> {
        let call = invoke::Call::parse(&self.plugin, call)?;
        let _ticks = self.enter()?;
        let ending = within(self.timeout(), self.call_export(&call)).await;
        let is_alive = matches!(ending, Ending::Returned(_));
        let results = self.close(ending)?;
        self.ended = !is_alive;
        match results.first() {
            Some(result) => call.show(result).map(Some),
            None => Ok(None),
        }
    }

    /// How its requests went, by name.
    pub fn stats(&self) -> Stats {
        self.store.data().aio.stats()
    }

    /// How many of its requests are where.
    pub fn counters(&self) -> Counters {
        self.store.data().aio.counters()
    }

    fn timeout(&self) -> Option<Duration> {
        self.plugin.host.0.limits.timeout
    }

    /// Ticks go on while the result lives. Whatever happens next, the store is not used again unless it is said to be good.
    fn enter(&mut self) -> Result<Running> {
        if std::mem::replace(&mut self.ended, true) {
            return Err(Problem::new(ProblemKind::Call, format!("this guest of {} has ended", self.plugin.name))
                .help_with("make a new one with Plugin::guest"));
        }
        let ticker = &self.plugin.host.0.machines.ticker;
        ticker
            .run()
            .map_err(|error| Problem::new(ProblemKind::Host, "cannot start the thread that interrupts guests").because(error))
    }

    async fn instance(&mut self) -> wasmtime::Result<Instance> {
        if let Some(instance) = self.instance {
            return Ok(instance);
        }
        let instance = self.plugin.pre.instantiate_async(&mut self.store).await?;
        self.instance = Some(instance);
        Ok(instance)
    }

    async fn call_run(&mut self, function: ComponentExportIndex) -> wasmtime::Result<i32> {
        let instance = self.instance().await?;
        let run = instance.get_typed_func::<(), (std::result::Result<(), ()>,)>(&mut self.store, function)?;
        // For an `async func` this drives everything asynchronous in the store, too.
        match run.call_async(&mut self.store, ()).await {
            Ok((outcome,)) => Ok(i32::from(outcome.is_err())),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(status)) => Ok(*status),
                None => Err(error),
            },
        }
    }

    async fn call_export(&mut self, call: &invoke::Call) -> wasmtime::Result<Vec<wasmtime::component::Val>> {
        let instance = self.instance().await?;
        call.make(&mut self.store, instance).await
    }

    fn close<T>(&self, ending: Ending<T>) -> Result<T> {
        ending::report(&self.plugin.name, ending)
    }

    fn no_command(&self) -> Problem {
        let world = &self.plugin.description().world;
        let problem =
            Problem::new(ProblemKind::Export, format!("{} cannot be run: it has no `wasi:cli/run` export", self.plugin.name));
        if world.exports.is_empty() {
            return problem.because_text("it exports nothing").help_with("build it as a command, with a main function");
        }
        let exports: Vec<String> = world.exports.iter().map(|export| format!("`{}`", export.name)).collect();
        let problem = problem.because_text(format!("it exports {}", exports.join(", ")));
        let exports = |interface: &str| world.exports.iter().any(|export| export.name.starts_with(interface));
        problem.help_with(if exports("wasi:cli/run") {
            "this host runs wasi:cli/run of WASI 0.2 and 0.3: build the plugin with a toolchain for one of these"
        } else if exports("run") {
            "a world that is to be run has `export wasi:cli/run@0.2.6;`, not a function of its own: see `aiohost new`"
        } else if exports("wasi:http/") {
            "it is built for an HTTP server, and this host has none: build it for a world with `export wasi:cli/run@0.2.6;`"
        } else {
            "call one of its functions with --invoke 'NAME(ARGUMENTS)', or build it as a command, with a main function"
        })
    }
}

/// Waits for a guest, but not longer than it may take. It yields at every tick, so that it can be given up at any time.
async fn within<T>(timeout: Option<Duration>, guest: impl Future<Output = wasmtime::Result<T>>) -> Ending<T> {
    let outcome = match timeout {
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
    use crate::plugin::Host;

    fn plugin(text: &str) -> Plugin {
        let host = Host::builder().build().expect("a host without directories");
        host.load_bytes("test.wat", text.as_bytes()).expect("a valid test plugin")
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("an event loop").block_on(future)
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
            let mut guest = plugin.guest(&[""; 0]).expect("a guest");
            assert_eq!(guest.invoke("next()").await.expect("a call").as_deref(), Some("1"));
            assert_eq!(guest.invoke("next()").await.expect("a call").as_deref(), Some("2"));
            assert_eq!(plugin.invoke("next()").await.expect("a call").as_deref(), Some("1"));
        });
    }

    #[test]
    fn a_guest_that_trapped_is_not_called_again() {
        let plugin = plugin(COUNTER);
        block_on(async {
            let mut guest = plugin.guest(&[""; 0]).expect("a guest");
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
            let mut guest = plugin.guest(&[""; 0]).expect("a guest");
            let spin = tokio::time::timeout(Duration::from_millis(30), guest.invoke("spin()"));
            assert!(spin.await.is_err(), "it can only be given up");
            assert_eq!(guest.invoke("spin()").await.expect_err("it has ended").kind(), ProblemKind::Call);
        });
    }

    #[test]
    fn a_run_may_be_handed_to_another_thread() {
        fn assert_send<T: Send>(value: T) -> T {
            value
        }
        let plugin = plugin(COUNTER);
        let run = block_on(assert_send(plugin.run(&["argument"])));
        assert_eq!(run.expect_err("it is no command").kind(), ProblemKind::Export);
    }
}
