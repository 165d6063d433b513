//! An application with a world of its own: its plugins export typed functions and take and give handles of files and directories, and it
//! offers them a function beside those of aiohost. The world is `wit/processor.wit`, beside this file.
//!
//! ```sh
//! guest-examples/build.sh processor
//! cargo run --release --example processor -- target/guests/processor.wasm DIRECTORY
//! ```

use std::env;
use std::time::Duration;

use aiohost::{AioView as _, GuestState, Host, Limits, Rights};
use anyhow::Context as _;
use wasmtime::component::HasSelf;

/// What `bindgen!` makes of the world. In a module of its own, since it makes one that is called as the crate is.
mod bindings {
    wasmtime::component::bindgen!({
        path: ["../wit", "examples/processor/wit"],
        world: "example:processor/processor",
        // The types of `aiohost:aio` are those of the crate, so that a handle of one is a handle of the other.
        with: { "aiohost:aio": ::aiohost::bindings },
        exports: { default: async },
    });
}

/// What the application keeps for each guest.
struct Tenant {
    name: &'static str,
    reports: usize,
}

/// What the application offers.
impl bindings::ProcessorImports for GuestState {
    fn report(&mut self, message: String) {
        let tenant = self.data::<Tenant>().expect("each guest is given one");
        tenant.reports += 1;
        println!("{}: {message}", tenant.name);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args_os().skip(1);
    let (Some(plugin), Some(directory)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("give a plugin, as guest-examples/build.sh processor makes it, and a directory");
    };
    let limits = Limits { memory_bytes_max: 64 << 20, timeout: Some(Duration::from_secs(10)), ..Limits::default() };
    let host = Host::builder()
        .limits(limits)
        .linker(|linker| bindings::Processor::add_to_linker::<_, HasSelf<_>>(linker, |state| state))
        .build()?;
    let plugin = host.load(plugin)?;
    let tenant = Tenant { name: "anna", reports: 0 };
    let mut guest = plugin.guest().dir(directory, ".", Rights::Read).data(tenant).build()?;

    let summary = guest.with(async |store, instance| {
        let processor = bindings::Processor::new(&mut *store, instance)?;
        // The plugin opens a file and gives it away; it is handed back for each call that is to use it.
        let file = match processor.call_choose(&mut *store).await? {
            Ok(file) => file,
            Err(error) => return Ok(Err(error)),
        };
        let borrowed = wasmtime::component::Resource::new_borrow(file.rep());
        let summary = processor.call_count(&mut *store, borrowed).await?;
        // What was given away is the application's.
        let file = store.data_mut().aio().take_file(file)?;
        println!("the file has {} bytes", file.metadata()?.len());
        // And the other way round.
        let given = store.data_mut().aio().give_file(file)?;
        let again = processor.call_count(&mut *store, wasmtime::component::Resource::new_borrow(given.rep())).await?;
        store.data_mut().aio().take_file(given)?;

        // Directories alike: this one is taken from the plugin, and given to it once more by a name that the application chooses.
        let dir = match processor.call_enter(&mut *store, "more").await? {
            Ok(dir) => store.data_mut().aio().take_dir(dir)?,
            Err(error) => return Ok(Err(error)),
        };
        let given = store.data_mut().aio().give_dir(dir, "elsewhere", Rights::Read)?;
        let names = processor.call_names(&mut *store, wasmtime::component::Resource::new_borrow(given.rep())).await?;
        store.data_mut().aio().take_dir(given)?;
        if let Ok(names) = names {
            println!("in the directory: {}", names.join(", "));
        }
        Ok(summary.and(again))
    });
    let summary = summary.await?.map_err(|error| anyhow::anyhow!("the plugin failed: {:?}", error.code))?;
    let reports = guest.state().data::<Tenant>().context("it is still there")?.reports;
    println!("{} lines, {} bytes, {reports} reports", summary.lines, summary.bytes);
    drop(guest);
    anyhow::ensure!(host.shutdown_async(Duration::from_secs(10)).await, "the workers did not end in time");
    Ok(())
}
