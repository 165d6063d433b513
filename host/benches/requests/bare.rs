//! What wasmtime itself costs: requests as host functions that do nothing but their system call. No limits, no counters, no sandbox,
//! and a call that has to wait holds the whole host.

use std::fs::File;
use std::future::{Ready, ready};
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use aiohost::Error;
use aiohost::bindings::types::{FileType, Identity, Status, Timestamp};
use anyhow::Context as _;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, StatxTimestamp};
use wasmtime::StoreContextMut;
use wasmtime::component::{Component, Linker, Resource, ResourceType, flags};

flags! {
    OpenFlags {
        #[component(name = "read")]
        const READ;
        #[component(name = "write")]
        const WRITE;
        #[component(name = "append")]
        const APPEND;
        #[component(name = "create")]
        const CREATE;
        #[component(name = "exclusive")]
        const EXCLUSIVE;
        #[component(name = "truncate")]
        const TRUNCATE;
        #[component(name = "no-follow")]
        const NO_FOLLOW;
        #[component(name = "data-sync")]
        const DATA_SYNC;
        #[component(name = "sync")]
        const SYNC;
    }
}

/// An open file, known by the number of its descriptor.
struct BareFile;
struct BareDir;

type Place = (Option<Resource<BareDir>>, String);
type OpenParams = (Option<Resource<BareDir>>, String, OpenFlags, u16);
type ReadParams = (Resource<BareFile>, Option<u64>, u32);
type Returned<R> = wasmtime::Result<(Result<R, Error>,)>;
type WriteParams = (Resource<BareFile>, Option<u64>, Vec<u8>);

/// Adds them to a linker. Paths start from the directory.
pub(crate) fn add<T: Send + 'static>(linker: &mut Linker<T>, component: &Component, dir: &Path) -> anyhow::Result<()> {
    let dir = Arc::new(File::open(dir).with_context(|| format!("cannot open {}", dir.display()))?);
    // In each interface that names them, since what is not defined there becomes a resource of its own below.
    for interface in ["types", "blocking", "submit"] {
        let mut interface = linker.instance(&format!("aiohost:aio/{interface}@0.1.0"))?;
        interface.resource("file", ResourceType::host::<BareFile>(), |_, number| {
            close(number);
            Ok(())
        })?;
        interface.resource("dir", ResourceType::host::<BareDir>(), |_, _| Ok(()))?;
    }
    let mut blocking = linker.instance("aiohost:aio/blocking@0.1.0")?;
    let start = Arc::clone(&dir);
    blocking.func_wrap_async("open", move |_: StoreContextMut<'_, T>, (_, path, flags, mode): OpenParams| {
        let file = rustix::fs::openat(&start, path, how(flags), Mode::from_bits_truncate(mode.into()));
        let number = file.expect("it can be opened").into_raw_fd();
        done(Resource::<BareFile>::new_own(number.try_into().expect("a descriptor is no negative number")))
    })?;
    blocking.func_wrap_async("close", |_: StoreContextMut<'_, T>, (file,): (Resource<BareFile>,)| {
        close(file.rep());
        done(())
    })?;
    blocking.func_wrap_async("read", |_: StoreContextMut<'_, T>, (file, offset, length): ReadParams| {
        let mut data = Vec::with_capacity(length.try_into().expect("32 bits fit"));
        let read = rustix::io::pread(borrow(&file), rustix::buffer::spare_capacity(&mut data), offset.unwrap_or(0));
        read.expect("the data can be read");
        done(data)
    })?;
    blocking.func_wrap_async("write", |_: StoreContextMut<'_, T>, (file, offset, data): WriteParams| {
        let written = rustix::io::pwrite(borrow(&file), &data, offset.unwrap_or(0)).expect("there is room on the disk");
        done(u64::try_from(written).expect("64 bits hold a length"))
    })?;
    let start = Arc::clone(&dir);
    blocking.func_wrap_async("stat", move |_: StoreContextMut<'_, T>, (_, path): Place| done(status(&start, &path)))?;
    blocking.func_wrap_async("unlink", move |_: StoreContextMut<'_, T>, (_, path): Place| {
        rustix::fs::unlinkat(&dir, path, AtFlags::empty()).expect("it is there");
        done(())
    })?;
    Ok(linker.define_unknown_imports_as_traps(component)?)
}

fn done<R>(result: R) -> Box<Ready<Returned<R>>> {
    Box::new(ready(Ok((Ok(result),))))
}

fn how(flags: OpenFlags) -> OFlags {
    let mut how = OFlags::CLOEXEC;
    for (flag, meaning) in [(OpenFlags::CREATE, OFlags::CREATE), (OpenFlags::EXCLUSIVE, OFlags::EXCL)] {
        how.set(meaning, flags & flag == flag);
    }
    how | if flags & OpenFlags::WRITE == OpenFlags::WRITE { OFlags::WRONLY } else { OFlags::RDONLY }
}

fn borrow(file: &Resource<BareFile>) -> BorrowedFd<'_> {
    // SAFETY: `open` made it, and the guest has it, so it is not closed.
    unsafe { BorrowedFd::borrow_raw(file.rep().try_into().expect("it was a descriptor")) }
}

fn close(number: u32) {
    // SAFETY: `open` made it, and the guest has given it up.
    drop(unsafe { OwnedFd::from_raw_fd(number.try_into().expect("it was a descriptor")) });
}

fn status(dir: &File, path: &str) -> Status {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let found = rustix::fs::statx(dir, path, AtFlags::empty(), wanted).expect("the file is there");
    let time = |time: StatxTimestamp| Timestamp { seconds: time.tv_sec, nanoseconds: time.tv_nsec };
    Status {
        type_: FileType::RegularFile,
        mode: found.stx_mode & 0o7777,
        size: found.stx_size,
        blocks: found.stx_blocks,
        block_size: found.stx_blksize,
        links: found.stx_nlink.into(),
        accessed: time(found.stx_atime),
        modified: time(found.stx_mtime),
        changed: time(found.stx_ctime),
        created: Some(time(found.stx_btime)),
        identity: Identity { device: found.stx_dev_minor.into(), inode: found.stx_ino },
    }
}
