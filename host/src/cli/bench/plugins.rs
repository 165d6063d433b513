//! The same work by plugins, as `aiohost run` runs them.

use aiohost::plugin::{BuiltFor, componentize};
use aiohost::{Guest, Host, HostBuilder, Plugin, Rights};
use anyhow::{Context as _, anyhow, ensure};
use tokio::runtime::{Builder, Runtime};
use tokio::task::unconstrained;

use super::jobs::Job;
use super::scene::{BLOCKS, Offsets, Scene};

/// A plugin of WASI preview 1 that does one thing after the other.
pub(super) struct Alone {
    runtime: Runtime,
    guest: Guest,
}

impl Alone {
    pub(super) fn new(scene: &Scene) -> anyhow::Result<Self> {
        let plugin = host(scene).build()?.load_bytes("alone.wat", include_bytes!("alone.wat"))?;
        Ok(Self { guest: plugin.guest().build()?, runtime: runtime()? })
    }

    pub(super) fn run(&mut self, job: Job, count: u64) -> anyhow::Result<()> {
        let call = match job {
            Job::Read | Job::ReadFromDisk => format!("read({count}, {BLOCKS})"),
            Job::Write => format!("write({count}, {BLOCKS})"),
            Job::Stat => format!("stat({count})"),
            Job::OpenReadClose => format!("open-read-close({count})"),
            Job::Make => format!("make({count}, 0)"),
            Job::MakeDurably | Job::Store => format!("make({count}, 1)"),
        };
        match self.runtime.block_on(unconstrained(self.guest.invoke(&call)))?.as_deref() {
            Some("0") => Ok(()),
            errno => Err(anyhow!("the plugin's `{call}` failed with errno {} of WASI", errno.unwrap_or("?"))),
        }
    }
}

/// A plugin with many requests in flight.
pub(super) struct Many {
    runtime: Runtime,
    plugin: Plugin,
    in_flight: u32,
}

impl Many {
    pub(super) fn new(scene: &Scene, in_flight: u32, workers: Option<usize>) -> anyhow::Result<Self> {
        let world = BuiltFor { wit: None, world: Some("submit-guest") };
        let component = componentize("many.wat", include_bytes!("many.wat"), Some(world))?;
        let host = match workers {
            Some(workers) => host(scene).workers_max(workers),
            None => host(scene),
        };
        let plugin = host.build()?.load_bytes("many.wat", &component)?;
        Ok(Self { runtime: runtime()?, plugin, in_flight })
    }

    pub(super) fn run(&self, job: Job, count: u64) -> anyhow::Result<()> {
        let what = if job == Job::Store { "store" } else { "read" };
        let arguments = [what.to_owned(), count.to_string(), self.in_flight.to_string(), Offsets::default().0.to_string()];
        let errno = self.runtime.block_on(unconstrained(self.plugin.run(arguments.iter().map(String::as_str))))?;
        ensure!(errno == 0, "the plugin's `{what}` failed with errno {errno}");
        Ok(())
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start an event loop")
}

fn host(scene: &Scene) -> HostBuilder {
    Host::builder().dir(&scene.dir, "/", Rights::ReadWrite).blocking_wasi()
}
