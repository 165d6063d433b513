//! The limits that only a wasmtime store can hold - memory, tables, handles, what a call may carry, and time - set by one function.

use std::sync::LazyLock;
use std::time::Instant;

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline, format_err};

use crate::budget::{Budget, Reservation};
use crate::limits::Limits;

/// Handles of WASI that a guest may hold beside its requests and files: streams, pollables and descriptors. 10,000, for the
/// same reason as for requests.
const WASI_HANDLES_MAX: usize = 10_000;

/// Memories of a guest. 64: a component seldom has ten, and each takes addresses for 4 GiB, of which a process has some 30,000 times
/// as much.
const MEMORIES_MAX: usize = 64;

/// Memories of all guests of a process. 16,384: half of the addresses that it has, and at three mappings each less than the 65,530 that
/// Linux lets it have.
const PROCESS_MEMORIES_MAX: usize = 16_384;

/// Those of all guests, whichever engine they are on: addresses are the process's.
static MEMORIES: LazyLock<Budget> = LazyLock::new(|| Budget::new(PROCESS_MEMORIES_MAX));

/// How much memory and how many table elements a guest may still have. It lives in the store's data; see [`Limits::apply`].
///
/// wasmtime's own `StoreLimits` limits each memory, of which a guest may have many; this limits all of them together. It goes with
/// its store to any thread.
#[derive(Debug)]
pub struct StoreCeiling {
    memory_bytes: Allowance,
    memories: Reservation,
    table_elements: Allowance,
}

impl StoreCeiling {
    fn new(limits: &Limits, memories: &Budget) -> Self {
        Self {
            memory_bytes: Allowance(limits.memory_bytes_max),
            // One that is made without pages is counted a second time when it gets some: nothing tells the two apart.
            memories: memories.below(2 * MEMORIES_MAX).nothing(),
            table_elements: Allowance(limits.table_elements_max),
        }
    }
}

/// How much is left of something.
#[derive(Debug)]
struct Allowance(usize);

impl Allowance {
    /// What a memory or a table is to have more. What it may not have by its own type is not taken: so what is taken it gets, unless
    /// the system has no more. That it then counts all the same is as it must be: wasmtime tells of failures also where it did not ask.
    fn take(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return false;
        }
        let left = self.0.checked_sub(desired.saturating_sub(current));
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

impl ResourceLimiter for StoreCeiling {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let before = self.memory_bytes.0;
        let mut has_room = self.memory_bytes.take(current, desired, maximum);
        if has_room && current == 0 && !self.memories.grow(1) {
            self.memory_bytes.0 = before;
            has_room = false;
        }
        Ok(has_room)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.table_elements.take(current, desired, maximum))
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

/// What a guest waits for at each tick, so that others run and what wraps its call can end it.
///
/// wasmtime's own way wakes the guest at once. An event loop of tokio with one thread then goes on with it some thirty times before
/// it looks at what came from other threads, as the answers of workers to other guests do. This lets it look at everything first.
async fn let_others_run() {
    tokio::task::yield_now().await;
}

impl Limits {
    /// The ceiling that a store's data holds for [`Limits::apply`].
    pub fn ceiling(&self) -> StoreCeiling {
        StoreCeiling::new(self, &MEMORIES)
    }

    /// A table for the handles of a guest, with room for as many as these limits allow.
    pub fn table(&self) -> ResourceTable {
        let mut table = ResourceTable::new();
        table.set_max_capacity(self.handles_max());
        table
    }

    /// Sets the limits that the store enforces, and not the [`AioCtx`](crate::AioCtx) in it: memory, tables, number of memories,
    /// handles, bytes that a call passes from guest to host, and time. [`Host`](crate::Host) does this for its guests.
    ///
    /// The time starts now: after [`Limits::timeout`], a guest that computes traps at the next tick of its engine's epoch, see
    /// [`EpochTicker`](crate::EpochTicker); at each tick before that, it lets others run on its thread. The engine needs
    /// `Config::epoch_interruption` for both. A guest that waits for the host does not check the epoch: drop the future of its
    /// call, as `tokio::time::timeout` does.
    ///
    /// ```
    /// use aiohost::{AioCtx, AioEngine, Limits, StoreCeiling};
    /// use wasmtime::component::ResourceTable;
    /// use wasmtime::{Config, Engine, Store};
    ///
    /// struct State {
    ///     aio: AioCtx,
    ///     table: ResourceTable,
    ///     ceiling: StoreCeiling,
    /// }
    ///
    /// # fn main() -> wasmtime::Result<()> {
    /// let engine = Engine::new(Config::new().epoch_interruption(true))?;
    /// let limits = Limits { memory_bytes_max: 64 << 20, ..Limits::default() };
    /// let aio = AioCtx::builder().limits(limits.requests.clone()).build(&AioEngine::new());
    /// let mut store = Store::new(&engine, State { aio, table: limits.table(), ceiling: limits.ceiling() });
    /// limits.apply(&mut store, |state| &mut state.ceiling);
    /// # Ok(())
    /// # }
    /// ```
    pub fn apply<T: Send + 'static>(
        &self,
        store: &mut Store<T>,
        ceiling: impl Fn(&mut T) -> &mut StoreCeiling + Send + Sync + 'static,
    ) {
        store.limiter(move |state| ceiling(state));
        store.set_hostcall_fuel(self.hostcall_bytes_max);
        store.set_max_component_handles(self.handles_max());
        if let Some(table) = store.concurrent_resource_table() {
            table.set_max_capacity(self.handles_max());
        }
        let end = self.timeout.and_then(|timeout| Some((timeout, Instant::now().checked_add(timeout)?)));
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| match end {
            Some((timeout, end)) if Instant::now() >= end => Err(format_err!("it took longer than {timeout:?}")),
            _ => Ok(UpdateDeadline::YieldCustom(1, Box::pin(let_others_run()))),
        });
    }

    fn handles_max(&self) -> usize {
        WASI_HANDLES_MAX.saturating_add(self.requests.requests_max).saturating_add(self.requests.open_files_max)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wasmtime::{Config, Engine, Linker, Module};

    use super::*;
    use crate::ticker::EpochTicker;

    /// Calls the function `f` of a module in a store with these limits.
    fn call(limits: &Limits, text: &str) -> wasmtime::Result<()> {
        let engine = Engine::new(Config::new().epoch_interruption(true))?;
        let module = Module::new(&engine, wat::parse_str(text).expect("a valid test module"))?;
        let mut store = Store::new(&engine, limits.ceiling());
        limits.apply(&mut store, |ceiling| ceiling);
        let ticker = EpochTicker::new();
        ticker.add(&engine);
        let _ticks = ticker.run()?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("an event loop");
        runtime.block_on(async {
            let instance = Linker::new(&engine).instantiate_async(&mut store, &module).await?;
            instance.get_typed_func::<(), ()>(&mut store, "f")?.call_async(&mut store, ()).await
        })
    }

    #[test]
    fn a_store_of_an_embedders_own_held_none_of_these_limits() {
        let limits = Limits {
            memory_bytes_max: 2 << 16,
            table_elements_max: 10,
            timeout: Some(Duration::from_millis(20)),
            ..Limits::default()
        };
        let failing = [
            ("(memory 3)", "exceeds memory limits"),
            ("(memory 1) (memory 2)", "exceeds memory limits"),
            ("(table 11 funcref)", "exceeds table limits"),
        ];
        for (what, words) in failing {
            let error = call(&limits, &format!("(module {what} (func (export \"f\")))")).expect_err("it is over a limit");
            assert!(format!("{error:#}").contains(words), "{what}: {error:#}");
        }
        let error = call(&limits, "(module (func (export \"f\") (loop $again (br $again))))").expect_err("it takes for ever");
        assert!(format!("{error:#}").contains("it took longer than 20ms"), "{error:#}");
        call(&limits, "(module (memory 1) (memory 1) (table 10 funcref) (func (export \"f\")))").expect("it is within all");
    }

    #[test]
    fn a_growth_that_fails_before_it_is_asked_for_gave_back_the_one_before() {
        let limits = Limits { table_elements_max: 10, ..Limits::default() };
        let grow = "(drop (table.grow $t (ref.null func) (i64.const 8))) (drop (table.grow $t (ref.null func) (i64.const -1)))";
        let text = format!(
            r#"(module (table $t i64 0 funcref)
                (func (export "f") {grow} {grow} (if (i64.ne (table.size $t) (i64.const 8)) (then unreachable))))"#
        );
        call(&limits, &text).expect("the table has what it may have, and no more");
    }

    #[test]
    fn memories_of_many_guests_were_counted_for_each_alone() {
        let (limits, all) = (Limits::default(), Budget::new(16 * MEMORIES_MAX));
        let made = |ceiling: &mut StoreCeiling| {
            (0..MEMORIES_MAX).take_while(|_| ceiling.memory_growing(0, 1 << 16, None).expect("it is asked alone")).count()
        };
        let mut guests: Vec<_> = (0..32).map(|_| StoreCeiling::new(&limits, &all)).collect();
        let held: usize = guests.iter_mut().map(made).sum();
        assert!(held > 8 * MEMORIES_MAX && held <= 16 * MEMORIES_MAX, "{held}");
        assert!(made(&mut StoreCeiling::new(&limits, &all)) > 0, "who comes late has one all the same");
        drop(guests);
        assert_eq!(made(&mut StoreCeiling::new(&limits, &all)), MEMORIES_MAX);
    }
}
