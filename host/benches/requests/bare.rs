//! What wasmtime itself costs: `open` and `read` as host functions that do nothing but `pread(2)`. No limits, no counters, no
//! directories, and a read that has to wait holds the whole host.

use std::fs::File;
use std::future::ready;
use std::path::Path;
use std::sync::Arc;

use aiohost::Error;
use anyhow::Context as _;
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

struct BareFile;
struct BareDir;

type OpenParams = (Option<Resource<BareDir>>, String, OpenFlags, u16);
type ReadParams = (Resource<BareFile>, Option<u64>, u32);

/// Adds them to a linker. Whatever is opened, it is `data`.
pub(crate) fn add<T: Send + 'static>(linker: &mut Linker<T>, component: &Component, data: &Path) -> anyhow::Result<()> {
    let file = Arc::new(File::open(data).with_context(|| format!("cannot open {}", data.display()))?);
    // In each interface that names them, since what is not defined there becomes a resource of its own below.
    for interface in ["types", "blocking", "submit"] {
        let mut interface = linker.instance(&format!("aiohost:aio/{interface}@0.1.0"))?;
        interface.resource("file", ResourceType::host::<BareFile>(), |_, _| Ok(()))?;
        interface.resource("dir", ResourceType::host::<BareDir>(), |_, _| Ok(()))?;
    }
    let mut blocking = linker.instance("aiohost:aio/blocking@0.1.0")?;
    blocking.func_wrap_async("open", |_: StoreContextMut<'_, T>, _: OpenParams| {
        Box::new(ready(Ok((Ok::<Resource<BareFile>, Error>(Resource::new_own(0)),))))
    })?;
    blocking.func_wrap_async("read", move |_: StoreContextMut<'_, T>, (_, offset, length): ReadParams| {
        let length = usize::try_from(length).expect("32 bits fit");
        let mut data = Vec::with_capacity(length);
        let read = rustix::io::pread(&*file, rustix::buffer::spare_capacity(&mut data), offset.unwrap_or(0));
        read.expect("the data can be read");
        data.truncate(length);
        Box::new(ready(Ok((Ok::<Vec<u8>, Error>(data),))))
    })?;
    Ok(linker.define_unknown_imports_as_traps(component)?)
}
