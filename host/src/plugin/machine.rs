//! The two engines that plugins run on, each with everything that plugins may import.

use std::sync::OnceLock;

use wasmtime::component::Linker;
use wasmtime::{Config, Engine};

use super::problem::{Problem, ProblemKind, Result};
use super::state::State;
use super::ticker::Ticker;
use crate::linker::{add_plain_to_linker, add_to_linker};
use crate::wasi::{self, preview1};

/// Stack of WebAssembly code. 1 MiB, twice what wasmtime gives: interpreters compiled to WebAssembly recurse deeply.
const WASM_STACK_BYTES: usize = 1 << 20;

/// Stack of a guest's fiber, on which host functions run too. 2 MiB leaves them 1 MiB.
const FIBER_STACK_BYTES: usize = 2 << 20;

/// Which engine a plugin needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineKind {
    /// Nothing in the plugin is asynchronous. A call costs less than half of what it costs on the other engine.
    Plain,
    /// The plugin uses the component model's async.
    Concurrent,
}

/// Whether a plugin's code looks now and then whether it is to let others run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Epochs {
    Checked,
    /// Nothing ends it while it computes but the end of the process.
    Unchecked,
}

/// An engine and what it offers to plugins.
pub(super) struct Machine {
    pub(super) kind: EngineKind,
    pub(super) engine: Engine,
    pub(super) linker: Linker<State>,
    /// The same for core modules, which run on the plain engine.
    pub(super) modules: wasmtime::Linker<State>,
}

/// Both engines, each made when it is first needed.
pub(super) struct Machines {
    epochs: Epochs,
    plain: OnceLock<Machine>,
    concurrent: OnceLock<Machine>,
    pub(super) ticker: Ticker,
}

impl EngineKind {
    /// Both, the cheaper one first.
    pub(super) const ALL: [Self; 2] = [Self::Plain, Self::Concurrent];
}

impl Machine {
    pub(super) fn new(kind: EngineKind, epochs: Epochs) -> wasmtime::Result<Self> {
        let engine = Engine::new(&config(kind, epochs))?;
        let mut linker = Linker::new(&engine);
        let mut modules = wasmtime::Linker::new(&engine);
        wasi::add_to_linker(&mut linker)?;
        match kind {
            EngineKind::Plain => {
                add_plain_to_linker(&mut linker)?;
                preview1::add_to_linker(&mut modules)?;
            }
            EngineKind::Concurrent => add_to_linker(&mut linker)?,
        }
        Ok(Self { kind, engine, linker, modules })
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
    pub(super) fn new(epochs: Epochs) -> Self {
        Self { epochs, plain: OnceLock::new(), concurrent: OnceLock::new(), ticker: Ticker::new() }
    }

    pub(super) fn epochs(&self) -> Epochs {
        self.epochs
    }

    pub(super) fn get(&self, kind: EngineKind) -> Result<&Machine> {
        let cell = match kind {
            EngineKind::Plain => &self.plain,
            EngineKind::Concurrent => &self.concurrent,
        };
        if let Some(machine) = cell.get() {
            return Ok(machine);
        }
        let machine = Machine::new(kind, self.epochs)
            .map_err(|error| Problem::new(ProblemKind::Host, "cannot set up the WebAssembly engine").because(error))?;
        // Another thread may have been faster; then its engine is used.
        Ok(cell.get_or_init(|| {
            if self.epochs == Epochs::Checked {
                self.ticker.add(&machine.engine);
            }
            machine
        }))
    }
}
