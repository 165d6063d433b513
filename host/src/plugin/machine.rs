//! The two engines that plugins run on, each with everything that plugins may import.

use std::sync::OnceLock;

use wasmtime::component::Linker;
use wasmtime::{Config, Engine};

use super::compile_how::{CompileHow, Epochs, Offer};
use super::state::GuestState;
use crate::linker::{add_plain_to_linker, add_to_linker};
use crate::problem::{Problem, ProblemKind, Result};
use crate::ticker::EpochTicker;
use crate::wasi::{self, preview1};

/// Stack of WebAssembly code. 1 MiB, twice what wasmtime gives: interpreters compiled to WebAssembly recurse deeply.
const WASM_STACK_BYTES: usize = 1 << 20;

/// Stack of a guest's fiber, on which host functions run too. A host function that gives the guest a list calls its `realloc`,
/// and wasmtime lets that have all of [`WASM_STACK_BYTES`] once more, wherever it begins. `realloc` can call no host function, so
/// that there are two of them; 2 MiB are left for the host. Pages that are never touched take no memory.
const FIBER_STACK_BYTES: usize = 2 * WASM_STACK_BYTES + (2 << 20);

/// Which engine a plugin needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineKind {
    /// Nothing in the plugin is asynchronous. A call costs less than half of what it costs on the other engine.
    Plain,
    /// The plugin uses the component model's async.
    Concurrent,
}

/// Adds functions of the application to a linker.
pub(super) type Additions = Box<dyn Fn(&mut Linker<GuestState>) -> wasmtime::Result<()> + Send + Sync>;

/// An engine and what it offers to plugins.
pub(super) struct Machine {
    pub(super) kind: EngineKind,
    pub(super) engine: Engine,
    /// Made when the first component comes, unless the application has a part in it.
    linker: OnceLock<Linker<GuestState>>,
    /// The same for core modules, which run on the plain engine.
    modules: OnceLock<wasmtime::Linker<GuestState>>,
}

/// Both engines, each made when it is first needed.
pub(super) struct Machines {
    epochs: Epochs,
    /// The application's own, in place of both.
    given: Option<Engine>,
    additions: Vec<Additions>,
    plain: OnceLock<Machine>,
    concurrent: OnceLock<Machine>,
    pub(super) ticker: EpochTicker,
}

impl EngineKind {
    /// Both, the cheaper one first.
    pub(super) const ALL: [Self; 2] = [Self::Plain, Self::Concurrent];
}

impl Machine {
    pub(super) fn new(kind: EngineKind, epochs: Epochs, additions: &[Additions]) -> wasmtime::Result<Self> {
        let engine = Engine::new(&config(kind, epochs))?;
        if additions.is_empty() {
            return Ok(Self { kind, engine, linker: OnceLock::new(), modules: OnceLock::new() });
        }
        Self::on(engine, kind, additions)
    }

    /// On an engine of the application, if that fits the kind, or with functions of it, if no name of theirs is taken.
    fn on(engine: Engine, kind: EngineKind, additions: &[Additions]) -> wasmtime::Result<Self> {
        let linker = component_linker(&engine, kind, additions)?;
        Ok(Self { kind, engine, linker: linker.into(), modules: OnceLock::new() })
    }

    /// What components may import.
    pub(super) fn linker(&self) -> wasmtime::Result<&Linker<GuestState>> {
        made(&self.linker, || component_linker(&self.engine, self.kind, &[]))
    }

    /// What core modules may import.
    pub(super) fn modules(&self) -> wasmtime::Result<&wasmtime::Linker<GuestState>> {
        made(&self.modules, || {
            let mut modules = wasmtime::Linker::new(&self.engine);
            preview1::add_to_linker(&mut modules)?;
            Ok(modules)
        })
    }
}

fn component_linker(engine: &Engine, kind: EngineKind, additions: &[Additions]) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    wasi::add_to_linker(&mut linker)?;
    match kind {
        EngineKind::Plain => add_plain_to_linker(&mut linker)?,
        EngineKind::Concurrent => add_to_linker(&mut linker)?,
    }
    additions.iter().try_for_each(|add| add(&mut linker))?;
    Ok(linker)
}

/// What is in a cell. Another thread may be faster; then what that has made is used.
fn made<T>(cell: &OnceLock<T>, make: impl FnOnce() -> wasmtime::Result<T>) -> wasmtime::Result<&T> {
    match cell.get() {
        Some(there) => Ok(there),
        None => make().map(|new| cell.get_or_init(|| new)),
    }
}

fn config(kind: EngineKind, epochs: Epochs) -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(kind == EngineKind::Concurrent)
        .epoch_interruption(epochs == Epochs::Checked)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES);
    config
}

impl Machines {
    pub(super) fn new(epochs: Epochs, given: Option<Engine>, additions: Vec<Additions>) -> Self {
        let (plain, concurrent) = (OnceLock::new(), OnceLock::new());
        Self { epochs, given, additions, plain, concurrent, ticker: EpochTicker::new() }
    }

    /// How plugins are compiled for these.
    pub(super) fn how(&self) -> CompileHow {
        let offer = if self.additions.is_empty() { Offer::Own } else { Offer::More };
        CompileHow { epochs: self.epochs, offer }
    }

    pub(super) fn get(&self, kind: EngineKind) -> Result<&Machine> {
        let cell = match kind {
            EngineKind::Plain => &self.plain,
            EngineKind::Concurrent => &self.concurrent,
        };
        if let Some(machine) = cell.get() {
            return Ok(machine);
        }
        let machine = match &self.given {
            Some(engine) => Machine::on(engine.clone(), kind, &self.additions),
            None => Machine::new(kind, self.epochs, &self.additions),
        };
        let machine = machine.map_err(|error| self.cannot_set_up(kind, error))?;
        // Another thread may have been faster; then its engine is used.
        Ok(cell.get_or_init(|| {
            if self.epochs == Epochs::Checked {
                self.ticker.add(&machine.engine);
            }
            machine
        }))
    }

    /// The kinds that there are: those that the application's engine can do, or both.
    pub(super) fn kinds(&self) -> impl Iterator<Item = EngineKind> {
        EngineKind::ALL.into_iter().filter(|kind| self.given.is_none() || self.get(*kind).is_ok())
    }

    fn cannot_set_up(&self, kind: EngineKind, error: wasmtime::Error) -> Problem {
        let problem = Problem::new(ProblemKind::Host, "cannot set up the WebAssembly engine").because(error);
        match (&self.given, kind) {
            (Some(_), EngineKind::Concurrent) => {
                problem.help_with("the plugin is asynchronous: give the host an engine with Config::concurrency_support")
            }
            _ if self.additions.is_empty() => problem,
            _ => problem.help_with("look at what HostBuilder::linker adds: no name may be taken"),
        }
    }
}
