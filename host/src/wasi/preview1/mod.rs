//! WASI preview 1 for core modules: each function takes the guest's memory as it is, and its way to a file is the door.

mod descriptors;
mod errno;
mod files;
mod listing;
mod memory;
mod paths;
mod polling;
mod process;
mod records;
mod requests;
mod streams;

use std::fmt;
use std::future::ready;

use wasmtime::{Caller, Linker, Memory};
use wasmtime_wasi::WasiView;

use self::descriptors::Descriptors;
use self::errno::{Result, answer};
use self::memory::GuestMemory;
use self::paths::LookupHow;
use self::streams::Streams;
use crate::arguments::{Held, holds_nothing};
use crate::ctx::{AioCtx, AioView};

/// The module whose functions these are.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

/// The state of one guest for preview 1, besides its [`AioCtx`]: its descriptors and the standard streams. Each guest gets a new one.
///
/// ```
/// use aiohost::wasi::{Preview1, Preview1View, add_preview1_to_linker};
/// use aiohost::{AioCtx, AioCtxView, AioEngine, AioView};
/// use wasmtime::component::ResourceTable;
/// use wasmtime::{Engine, Linker, Module, Store};
/// use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
///
/// struct State {
///     wasi: WasiCtx,
///     aio: AioCtx,
///     preview1: Preview1,
///     table: ResourceTable,
/// }
///
/// impl Preview1View for State {
///     fn preview1(&mut self) -> &mut Preview1 {
///         &mut self.preview1
///     }
///
///     fn preview1_and_aio(&mut self) -> (&mut Preview1, &mut AioCtx) {
///         (&mut self.preview1, &mut self.aio)
///     }
/// }
///
/// # impl WasiView for State {
/// #     fn ctx(&mut self) -> WasiCtxView<'_> { WasiCtxView { ctx: &mut self.wasi, table: &mut self.table } }
/// # }
/// # impl AioView for State {
/// #     fn aio(&mut self) -> AioCtxView<'_> { AioCtxView { ctx: &mut self.aio, table: &mut self.table } }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> wasmtime::Result<()> {
/// let engine = Engine::default();
/// let mut linker = Linker::<State>::new(&engine);
/// add_preview1_to_linker(&mut linker)?;
///
/// let text = r#"(module
///     (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
///     (memory (export "memory") 1)
///     (func (export "_start") (drop (call $yield))))"#;
/// let module = Module::new(&engine, wat::parse_str(text)?)?;
/// let state = State {
///     wasi: WasiCtx::builder().build(),
///     aio: AioCtx::builder().build(&AioEngine::new()),
///     preview1: Preview1::default(),
///     table: ResourceTable::new(),
/// };
/// let mut store = Store::new(&engine, state);
/// let instance = linker.instantiate_async(&mut store, &module).await?;
/// instance.get_typed_func::<(), ()>(&mut store, "_start")?.call_async(&mut store, ()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Preview1 {
    /// Made at the first call.
    descriptors: Option<Descriptors>,
    streams: Streams,
    /// The guest's memory, once it was looked up.
    memory: Option<Memory>,
}

impl fmt::Debug for Preview1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preview1").field("is_in_use", &self.descriptors.is_some()).finish_non_exhaustive()
    }
}

/// A store's data with all that preview 1 needs. The store is for one guest; if it has several modules, they all export the same
/// memory. [`Preview1`] has an example.
pub trait Preview1View: AioView + WasiView {
    /// The guest's state for preview 1.
    fn preview1(&mut self) -> &mut Preview1;

    /// The same, together with the directories and limits of the guest.
    fn preview1_and_aio(&mut self) -> (&mut Preview1, &mut AioCtx);
}

impl<T: Preview1View> GuestMemory<'_, T> {
    fn tables(&mut self) -> (&mut Descriptors, &mut AioCtx) {
        let (preview1, ctx) = self.caller.data_mut().preview1_and_aio();
        (preview1.descriptors.get_or_insert_with(|| Descriptors::new(ctx)), ctx)
    }

    fn descriptors(&mut self) -> &mut Descriptors {
        self.tables().0
    }
}

holds_nothing! { files::ClosingSlot }

/// Adds functions that may wait, each by its name, its parameters, and what it does.
macro_rules! functions {
    ($linker:ident, $($name:ident($($parameter:ident: $type:ty),*) => |$guest:ident| $call:expr;)*) => {$(
        $linker.func_wrap_async(MODULE, stringify!($name), |caller: Caller<'_, T>, ($($parameter,)*): ($($type,)*)| {
            Box::new(async move {
                let call = async move {
                    let mut guest = GuestMemory::new(caller, |data| &mut data.preview1().memory)?;
                    let $guest = &mut guest;
                    let result: Result<()> = $call;
                    result
                };
                answer(call.await)
            })
        })?;
    )*};
}

/// The same for functions that seldom have to wait: what each does if it need not, which gives none if it would have to, and what
/// it does then. The most calls need no future that can wait.
macro_rules! quick_functions {
    ($linker:ident, $($name:ident($($parameter:ident: $type:ty),*) => |$guest:ident| $now:expr, else $later:expr;)*) => {$(
        $linker.func_wrap_async(MODULE, stringify!($name), |caller: Caller<'_, T>, ($($parameter,)*): ($($type,)*)| {
            let mut guest = match GuestMemory::new(caller, |data| &mut data.preview1().memory) {
                Ok(guest) => guest,
                Err(failure) => return Box::new(ready(answer(Err(failure)))),
            };
            let $guest = &mut guest;
            let now: Result<Option<()>> = $now;
            if let Some(result) = now.transpose() {
                return Box::new(ready(answer(result)));
            }
            Box::new(async move {
                let $guest = &mut guest;
                let result: Result<()> = $later;
                answer(result)
            })
        })?;
    )*};
}

/// Adds every function of WASI preview 1, for core modules. Files are those of the guest's [`AioCtx`], and everything else comes
/// from its `WasiCtx`. [`Preview1`] has an example.
///
/// The functions may suspend their guest: instantiate and call modules with wasmtime's `async` functions, within a tokio runtime
/// whose time is enabled.
///
/// # Errors
///
/// If the linker has one of the names already.
pub fn add_to_linker<T: Preview1View + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    add_files(linker)?;
    add_paths(linker)?;
    add_others(linker)
}

fn add_files<T: Preview1View + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    quick_functions! { linker,
        fd_pread(fd: u32, list: u32, count: u32, offset: u64, at: u32) =>
            |guest| files::pread_now(guest, fd, list, count, offset, at),
            else files::pread(guest, fd, list, count, offset, at).await;
        fd_pwrite(fd: u32, list: u32, count: u32, offset: u64, at: u32) =>
            |guest| files::pwrite_now(guest, fd, list, count, offset, at),
            else files::pwrite(guest, fd, list, count, offset, at).await;
        fd_read(fd: u32, list: u32, count: u32, at: u32) =>
            |guest| files::read_now(guest, fd, list, count, at), else files::read(guest, fd, list, count, at).await;
        fd_seek(fd: u32, offset: i64, whence: u32, at: u32) =>
            |guest| files::seek_now(guest, fd, offset, whence, at), else files::seek(guest, fd, offset, whence, at).await;
        fd_tell(fd: u32, at: u32) => |guest| files::tell_now(guest, fd, at), else files::tell(guest, fd, at).await;
        fd_write(fd: u32, list: u32, count: u32, at: u32) =>
            |guest| files::write_now(guest, fd, list, count, at), else files::write(guest, fd, list, count, at).await;
    }
    functions! { linker,
        fd_advise(fd: u32, offset: u64, length: u64, advice: u32) =>
            |guest| files::advise(guest, fd, offset, length, advice).await;
        fd_allocate(fd: u32, offset: u64, length: u64) => |guest| files::allocate(guest, fd, offset, length).await;
        fd_close(fd: u32) => |guest| files::close(guest, fd).await;
        fd_datasync(fd: u32) => |guest| files::datasync(guest, fd).await;
        fd_fdstat_get(fd: u32, at: u32) => |guest| files::fdstat_get(guest, fd, at).await;
        fd_fdstat_set_flags(fd: u32, flags: u32) => |guest| files::fdstat_set_flags(guest, fd, flags).await;
        fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64) =>
            |guest| files::fdstat_set_rights(guest, fd, base, inheriting).await;
        fd_filestat_get(fd: u32, at: u32) => |guest| files::filestat_get(guest, fd, at).await;
        fd_filestat_set_size(fd: u32, size: u64) => |guest| files::filestat_set_size(guest, fd, size).await;
        fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, which: u32) =>
            |guest| files::filestat_set_times(guest, fd, accessed, modified, which).await;
        fd_prestat_dir_name(fd: u32, at: u32, length: u32) => |guest| files::prestat_dir_name(guest, fd, at, length).await;
        fd_prestat_get(fd: u32, at: u32) => |guest| files::prestat_get(guest, fd, at).await;
        fd_readdir(fd: u32, buffer: u32, room: u32, cookie: u64, at: u32) =>
            |guest| listing::readdir(guest, fd, (buffer, room), cookie, at).await;
        fd_renumber(from: u32, to: u32) => |guest| files::renumber(guest, from, to).await;
        fd_sync(fd: u32) => |guest| files::sync(guest, fd).await;
    }
    Ok(())
}

fn add_paths<T: Preview1View + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    functions! { linker,
        path_create_directory(fd: u32, path: u32, length: u32) =>
            |guest| paths::create_directory(guest, fd, path, length).await;
        path_filestat_get(fd: u32, lookup: u32, path: u32, length: u32, at: u32) =>
            |guest| paths::filestat_get(guest, fd, lookup, (path, length), at).await;
        path_filestat_set_times(fd: u32, lookup: u32, path: u32, length: u32, accessed: u64, modified: u64, which: u32) =>
            |guest| {
                let times = records::new_times(accessed, modified, which)?;
                paths::filestat_set_times(guest, fd, lookup, (path, length), times).await
            };
        path_link(fd: u32, lookup: u32, path: u32, length: u32, new_fd: u32, new_path: u32, new_length: u32) =>
            |guest| paths::link(guest, (fd, lookup), (path, length), new_fd, (new_path, new_length)).await;
        path_open(
            fd: u32, lookup: u32, path: u32, length: u32, oflags: u32, rights: u64, _inheriting: u64, fdflags: u32, at: u32
        ) => |guest| paths::open(guest, fd, (path, length), LookupHow { lookup, oflags, rights, fdflags }, at).await;
        path_readlink(fd: u32, path: u32, length: u32, buffer: u32, room: u32, at: u32) =>
            |guest| paths::readlink(guest, fd, (path, length), (buffer, room), at).await;
        path_remove_directory(fd: u32, path: u32, length: u32) =>
            |guest| paths::remove_directory(guest, fd, path, length).await;
        path_rename(fd: u32, path: u32, length: u32, new_fd: u32, new_path: u32, new_length: u32) =>
            |guest| paths::rename(guest, fd, (path, length), new_fd, (new_path, new_length)).await;
        path_symlink(target: u32, target_length: u32, fd: u32, path: u32, length: u32) =>
            |guest| paths::symlink(guest, (target, target_length), fd, (path, length)).await;
        path_unlink_file(fd: u32, path: u32, length: u32) => |guest| paths::unlink_file(guest, fd, path, length).await;
    }
    Ok(())
}

fn add_others<T: Preview1View + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    functions! { linker,
        args_get(list: u32, buffer: u32) => |guest| process::args_get(guest, list, buffer).await;
        args_sizes_get(count: u32, bytes: u32) => |guest| process::args_sizes_get(guest, count, bytes).await;
        clock_res_get(clock: u32, at: u32) => |guest| process::clock_res_get(guest, clock, at).await;
        clock_time_get(clock: u32, precision: u64, at: u32) => |guest| process::clock_time_get(guest, clock, precision, at).await;
        environ_get(list: u32, buffer: u32) => |guest| process::environ_get(guest, list, buffer).await;
        environ_sizes_get(count: u32, bytes: u32) => |guest| process::environ_sizes_get(guest, count, bytes).await;
        poll_oneoff(subscriptions: u32, events: u32, count: u32, at: u32) =>
            |guest| polling::poll_oneoff(guest, subscriptions, events, count, at).await;
        proc_raise(signal: u32) => |guest| process::proc_raise(guest, signal).await;
        random_get(at: u32, length: u32) => |guest| process::random_get(guest, at, length).await;
        sched_yield() => |guest| process::sched_yield(guest).await;
        sock_accept(fd: u32, _flags: u32, _at: u32) => |guest| process::no_socket(guest, fd);
        sock_recv(fd: u32, _list: u32, _count: u32, _flags: u32, _at: u32, _out: u32) => |guest| process::no_socket(guest, fd);
        sock_send(fd: u32, _list: u32, _count: u32, _flags: u32, _at: u32) => |guest| process::no_socket(guest, fd);
        sock_shutdown(fd: u32, _how: u32) => |guest| process::no_socket(guest, fd);
    }
    linker.func_wrap(MODULE, "proc_exit", |_: Caller<'_, T>, status: u32| -> wasmtime::Result<()> {
        Err(process::exit(status))
    })?;
    Ok(())
}
