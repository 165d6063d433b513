//! The hosts of guests: wasmtime with WASI as its command line has it, and aiohost.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hint;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use aiohost::{AioCtx, AioCtxView, AioEngine, AioView, EpochTicker, HostCalls, RequestLimits, Rights, Ticks};
use anyhow::Context as _;
use tokio::runtime::Runtime;
use wasmtime::component::{Component, ComponentNamedList, Instance, InstancePre, Linker, Lower, ResourceTable, TypedFunc};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::filesystem::FsPerms;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bare;
use crate::measure::{Batch, Run, timed};
use crate::setup::{Program, Setup};

/// Handles of a guest, and requests that it may have in flight: more than it may otherwise.
const HANDLES_MAX: usize = 200_000;

/// Who serves the guest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// `wasmtime-wasi` as it is by default: each call hops to a thread of tokio's and back.
    WasiDefault,
    /// `wasmtime-wasi` with leave to block the guest's thread.
    WasiBlocking,
    /// wasmtime with host functions that do nothing but their system call: what is below aiohost.
    Bare,
    /// aiohost for a guest without an `async func`.
    Aiohost,
    /// The same for a guest that has its thread to itself.
    AiohostAlone,
    /// aiohost for a guest of WASI 0.3.
    AiohostAsync,
    /// aiohost for a guest that knows only WASI 0.2, and has its thread to itself.
    AiohostWasi,
    /// `wasmtime-wasi` as it is by default, for a guest of WASI 0.3.
    Wasi3Default,
    /// The same with leave to block the guest's thread.
    Wasi3Blocking,
    /// aiohost for a guest that knows only WASI 0.3, and has its thread to itself.
    AiohostWasi3,
}

/// Where instances come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Allocation {
    OnDemand,
    Pooling,
}

impl Host {
    fn is_aiohost(self) -> bool {
        matches!(self, Self::Aiohost | Self::AiohostAlone | Self::AiohostAsync | Self::AiohostWasi | Self::AiohostWasi3)
    }

    /// Whether its guest has its thread to itself.
    fn is_alone(self) -> bool {
        matches!(self, Self::AiohostAlone | Self::AiohostWasi | Self::AiohostWasi3)
    }

    /// Whether files of WASI may hold up the guest's thread.
    fn may_block(self) -> bool {
        matches!(self, Self::WasiBlocking | Self::Wasi3Blocking)
    }

    /// Whether guests yield now and then.
    fn has_epochs(self) -> bool {
        self.is_aiohost() || self == Self::Bare
    }

    fn program(self) -> Program {
        match self {
            Self::WasiDefault | Self::WasiBlocking | Self::AiohostWasi => Program::Wasi,
            Self::Aiohost | Self::AiohostAlone | Self::Bare => Program::Plain,
            Self::AiohostAsync => Program::Async,
            Self::Wasi3Default | Self::Wasi3Blocking | Self::AiohostWasi3 => Program::Streams,
        }
    }

    /// The interface with what is timed.
    fn interface(self) -> &'static str {
        match self.program() {
            Program::Wasi | Program::Plain => "aiohost:benches/work",
            Program::Async => "aiohost:benches/async-work",
            Program::Streams => "aiohost:benches/stream-work",
        }
    }

    /// The settings of the two command lines.
    fn config(self, allocation: Allocation) -> Config {
        let mut config = Config::new();
        if self.has_epochs() {
            config.epoch_interruption(true);
        }
        if self != Self::WasiDefault && self != Self::WasiBlocking {
            config.concurrency_support(matches!(self.program(), Program::Async | Program::Streams));
        }
        if allocation == Allocation::Pooling {
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(PoolingAllocationConfig::default()));
            // The pool has no place for a heap of garbage-collected objects, which none of the guests has.
            config.gc_support(false);
        }
        config
    }
}

/// What a store keeps for its guest.
struct State {
    wasi: WasiCtx,
    aio: Option<AioCtx>,
    calls: HostCalls,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl AioView for State {
    fn aio(&mut self) -> AioCtxView<'_> {
        let ctx = self.aio.as_mut().expect("only aiohost links these functions");
        AioCtxView { ctx, table: &mut self.table }
    }
}

/// A host that is ready for instances of its guest.
struct Machine {
    host: Host,
    engine: Engine,
    workers: AioEngine,
    guest: InstancePre<State>,
    _ticks: Option<Ticks>,
}

impl Machine {
    fn new(setup: &Setup, host: Host, allocation: Allocation) -> anyhow::Result<Self> {
        let engine = Engine::new(&host.config(allocation))?;
        let mut linker: Linker<State> = Linker::new(&engine);
        match host {
            Host::AiohostWasi | Host::AiohostWasi3 => aiohost::wasi::add_to_linker(&mut linker)?,
            _ => wasmtime_wasi::p2::add_to_linker_async(&mut linker)?,
        }
        let component = Component::from_file(&engine, setup.program(host.program()))?;
        match host {
            Host::WasiDefault | Host::WasiBlocking | Host::AiohostWasi | Host::AiohostWasi3 => {}
            Host::Wasi3Default | Host::Wasi3Blocking => wasmtime_wasi::p3::add_to_linker(&mut linker)?,
            Host::Aiohost | Host::AiohostAlone => aiohost::add_plain_to_linker(&mut linker)?,
            Host::AiohostAsync => aiohost::add_to_linker(&mut linker)?,
            Host::Bare => bare::add(&mut linker, &component, &setup.data())?,
        }
        let ticker = EpochTicker::new();
        ticker.add(&engine);
        // Guests yield every 10 ms, as by the command line of aiohost.
        let ticks = host.has_epochs().then(|| ticker.run()).transpose()?;
        let guest = linker.instantiate_pre(&component)?;
        Ok(Self { host, engine, workers: AioEngine::new(), guest, _ticks: ticks })
    }

    fn state(&self, data: &Path) -> anyhow::Result<State> {
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stderr().allow_blocking_current_thread(self.host.may_block());
        let (mut aio, calls) = (None, HostCalls::default());
        if self.host.is_aiohost() {
            let limits = RequestLimits { in_flight_max: HANDLES_MAX, requests_max: HANDLES_MAX, ..RequestLimits::default() };
            let builder = AioCtx::builder().limits(limits).dir(data, ".", Rights::ReadWrite)?.host_calls(&calls);
            aio = Some(if self.host.is_alone() { builder.own_thread() } else { builder }.build(&self.workers));
        } else {
            wasi.preopened_dir(data, ".", FsPerms::ReadWrite)?;
        }
        Ok(State { wasi: wasi.build(), aio, calls, table: ResourceTable::new() })
    }

    async fn instantiate(&self, state: State) -> anyhow::Result<(Store<State>, Instance)> {
        let calls = state.calls.clone();
        let mut store = Store::new(&self.engine, state);
        store.set_max_component_handles(HANDLES_MAX);
        if self.host == Host::AiohostWasi {
            store.call_hook(move |_, hook| {
                if hook.entering_host() {
                    calls.count();
                }
                Ok(())
            });
        }
        if self.host.has_epochs() {
            store.epoch_deadline_async_yield_and_update(1);
        }
        let instance = self.guest.instantiate_async(&mut store).await?;
        Ok((store, instance))
    }
}

/// The hosts, each made when it is first asked for.
#[derive(Default)]
pub(crate) struct Hosts(RefCell<HashMap<(Host, Allocation), Rc<Machine>>>);

impl Hosts {
    fn get(&self, setup: &Setup, host: Host, allocation: Allocation) -> anyhow::Result<Rc<Machine>> {
        if let Some(machine) = self.0.borrow().get(&(host, allocation)) {
            return Ok(Rc::clone(machine));
        }
        let machine = Rc::new(Machine::new(setup, host, allocation)?);
        self.0.borrow_mut().insert((host, allocation), Rc::clone(&machine));
        Ok(machine)
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_time().build()?)
}

/// Calls a function of a guest, which gets its parameters from the number of steps. The guest is instantiated here.
pub(crate) fn call<P>(setup: &Setup, host: Host, function: &str, parameters: impl Fn(u64) -> P + 'static) -> anyhow::Result<Run>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
{
    let machine = setup.hosts.get(setup, host, Allocation::OnDemand)?;
    let runtime = runtime()?;
    let (mut store, instance) = runtime.block_on(machine.instantiate(machine.state(&setup.data())?))?;
    let interface = instance.get_export_index(&mut store, None, host.interface()).context("the guest has the interface")?;
    let index = instance.get_export_index(&mut store, Some(&interface), function).context("the guest has the function")?;
    let function: TypedFunc<P, (u64,)> = instance.get_typed_func(&mut store, index)?;
    Ok(Box::new(move |steps| {
        let parameters = parameters(steps);
        timed(|| Ok(runtime.block_on(function.call_async(&mut store, parameters))?.0))
    }))
}

/// The same by `aiohost::Host`, as `aiohost run` has it: the guest has its thread to itself, and looks for what it waits for.
pub(crate) fn run(setup: &Setup, function: &str, in_flight: Option<u32>) -> anyhow::Result<Run> {
    let host = aiohost::Host::builder().dir(setup.data(), ".", Rights::ReadWrite).blocking_wasi().build()?;
    let mut guest = host.load(setup.program(Program::Plain))?.guest().build()?;
    let name = format!("{}.{function}", Host::Aiohost.interface());
    let runtime = runtime()?;
    Ok(Box::new(move |steps| {
        let call = guest.call::<(Option<u32>, u64), (u64,)>(&name, (in_flight, steps));
        timed(|| Ok(runtime.block_on(call)?.0))
    }))
}

/// Makes stores with an instance in them and drops them. Their states, with the directories that guests are given, are made
/// before and not timed.
pub(crate) fn instantiate(setup: &Setup, host: Host, allocation: Allocation) -> anyhow::Result<Run> {
    /// States that are made at a time: each has a file descriptor.
    const STATES: u64 = 100;

    let machine = setup.hosts.get(setup, host, allocation)?;
    let runtime = runtime()?;
    let data = setup.data();
    Ok(Box::new(move |steps| {
        let (mut time, mut busy, mut left) = (Duration::ZERO, Duration::ZERO, steps);
        while left > 0 {
            let count = left.min(STATES);
            let states = (0..count).map(|_| machine.state(&data)).collect::<anyhow::Result<Vec<_>>>()?;
            let batch = timed(|| {
                runtime.block_on(async {
                    for state in states {
                        drop(hint::black_box(machine.instantiate(state).await?));
                    }
                    Ok(count)
                })
            })?;
            time += batch.time;
            busy += batch.busy.unwrap_or_default();
            left -= count;
        }
        Ok(Batch { time, busy: Some(busy), sum: Some(steps) })
    }))
}
