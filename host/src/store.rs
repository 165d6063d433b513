//! The limits that only a wasmtime store can hold - memory, tables, handles, what a call may carry, and time - set by one function.

use std::time::Instant;

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline, format_err};

use crate::limits::Limits;

/// Handles of WASI that a guest may hold beside its requests and files: streams, pollables and descriptors. 10,000, for the
/// same reason as for requests.
const WASI_HANDLES_MAX: usize = 10_000;

/// Memories of a guest. 64: a component seldom has ten, and each takes addresses for 4 GiB, of which a process has some 30,000 times
/// as much.
const MEMORIES_MAX: usize = 64;

/// What a guest may still take of memory and tables. It lives in the store's data; see [`Limits::apply`].
///
/// wasmtime's own `StoreLimits` bounds each memory, of which a guest may have many; this bounds all of them together.
#[derive(Debug)]
pub struct StoreCeiling {
    memory_bytes: Allowance,
    table_elements: Allowance,
}

/// How much is left of something, and what was taken of it last.
#[derive(Debug)]
struct Allowance {
    left: usize,
    last: usize,
}

impl Allowance {
    fn new(max: usize) -> Self {
        Self { left: max, last: 0 }
    }

    fn take(&mut self, current: usize, desired: usize) -> bool {
        let wanted = desired.saturating_sub(current);
        let left = self.left.checked_sub(wanted);
        self.last = left.map_or(0, |_| wanted);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    /// What was taken last was not had after all.
    fn give_back(&mut self) {
        self.left += std::mem::take(&mut self.last);
    }
}

impl ResourceLimiter for StoreCeiling {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.memory_bytes.take(current, desired))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_bytes.give_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.table_elements.take(current, desired))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_elements.give_back();
        Ok(())
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
    /// What the data of a store holds for [`Limits::apply`].
    pub fn ceiling(&self) -> StoreCeiling {
        StoreCeiling {
            memory_bytes: Allowance::new(self.memory_bytes_max),
            table_elements: Allowance::new(self.table_elements_max),
        }
    }

    /// A table for the handles of a guest, which holds as many as it may have.
    pub fn table(&self) -> ResourceTable {
        let mut table = ResourceTable::new();
        table.set_max_capacity(self.handles_max());
        table
    }

    /// Sets the limits that a store holds, and not the [`AioCtx`](crate::AioCtx) in it: memory, tables, memories, handles, bytes
    /// that a call carries from guest to host, and time. [`Host`](crate::Host) does this for its guests.
    ///
    /// Time runs from now on: once [`Limits::timeout`] is over, a guest that computes traps at the next tick of its engine's
    /// epoch, see [`EpochTicker`](crate::EpochTicker). One that waits for the host looks at no epoch: drop the future of its call,
    /// as `tokio::time::timeout` does. At each tick between a guest lets others run on its thread. The engine needs
    /// `Config::epoch_interruption` for both.
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
    /// let aio = AioCtx::builder().limits(limits.clone()).build(&AioEngine::new());
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
        WASI_HANDLES_MAX.saturating_add(self.requests_max).saturating_add(self.open_files_max)
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
}
