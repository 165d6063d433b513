//! The same work by plugins, as `aiohost run` runs them.

use std::time::Duration;

use aiohost::plugin::{BuiltFor, componentize};
use aiohost::{Guest, Host, HostBuilder, Plugin, Rights};
use anyhow::{Context as _, anyhow, ensure};
use tokio::runtime::{Builder, Runtime};
use tokio::task::unconstrained;

use super::jobs::Job;
use super::over::Over;
use super::scene::{BLOCKS, Offsets, Scene};

/// How long requests that run may take to finish. A minute: a disk that takes longer is broken.
const REST: Duration = Duration::from_secs(60);

/// A plugin of WASI preview 1 that does one thing after the other.
pub(super) struct Alone {
    runtime: Runtime,
    guest: Guest,
    over: Over,
    /// Below the guest, which ends first.
    _rest: Rest,
}

impl Alone {
    pub(super) fn new(scene: &Scene, over: &Over) -> anyhow::Result<Self> {
        let host = host(scene).build()?;
        let plugin = host.load_bytes("alone.wat", include_bytes!("alone.wat"))?;
        Ok(Self { guest: plugin.guest().build()?, runtime: runtime()?, over: over.clone(), _rest: Rest(host) })
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
        let invoke = async { Ok(self.guest.invoke(&call).await?) };
        match self.runtime.block_on(unconstrained(self.over.or(invoke)))?.as_deref() {
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
    over: Over,
    _rest: Rest,
}

impl Many {
    pub(super) fn new(scene: &Scene, in_flight: u32, workers: Option<usize>, over: &Over) -> anyhow::Result<Self> {
        let world = BuiltFor { wit: None, world: Some("submit-guest") };
        let component = componentize("many.wat", include_bytes!("many.wat"), Some(world))?;
        let host = match workers {
            Some(workers) => host(scene).workers_max(workers),
            None => host(scene),
        };
        let host = host.build()?;
        let plugin = host.load_bytes("many.wat", &component)?;
        Ok(Self { runtime: runtime()?, plugin, in_flight, over: over.clone(), _rest: Rest(host) })
    }

    pub(super) fn run(&self, job: Job, count: u64) -> anyhow::Result<()> {
        let what = if job == Job::Store { "store" } else { "read" };
        let arguments = [what.to_owned(), count.to_string(), self.in_flight.to_string(), Offsets::default().0.to_string()];
        let run = async { Ok(self.plugin.run(arguments.iter().map(String::as_str)).await?) };
        let errno = self.runtime.block_on(unconstrained(self.over.or(run)))?;
        ensure!(errno == 0, "the plugin's `{what}` failed with errno {errno}");
        Ok(())
    }
}

/// What a plugin that was given up has under way is waited for: it makes files, which are about to be removed.
struct Rest(Host);

impl Drop for Rest {
    fn drop(&mut self) {
        // What takes longer is seen when the files are removed.
        self.0.shutdown(REST);
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start an event loop")
}

fn host(scene: &Scene) -> HostBuilder {
    Host::builder().dir(&scene.dir, "/", Rights::ReadWrite).blocking_wasi()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::native::Threads;
    use super::*;

    /// Does it so often that it takes minutes, and is over in the midst of that.
    fn is_ended(over: &Over, work: impl FnOnce(u64) -> anyhow::Result<()>) -> bool {
        over.set_after(3);
        work(1 << 26).is_err_and(|error| error.root_cause().to_string() == "it was ended")
    }

    #[test]
    fn whoever_is_timed_ends_within_a_round() {
        let above = tempfile::tempdir().expect("a temporary directory");
        let scene = |over: &Over| {
            let dir = Scene::make_dir(above.path()).expect("a folder");
            Scene::new(Path::new(&dir), over).expect("files")
        };
        for job in [Job::Read, Job::Write, Job::Stat, Job::OpenReadClose, Job::Make, Job::Store] {
            for threads in [1, 8] {
                let over = Over::default();
                let files = scene(&over);
                let native = Threads::new(&files, threads, &over).expect("threads");
                assert!(is_ended(&over, |count| native.run(job, count)), "{job:?} on {threads} threads");
            }
        }
        let over = Over::default();
        let for_one = scene(&over);
        let mut alone = Alone::new(&for_one, &over).expect("a plugin");
        assert!(is_ended(&over, |count| alone.run(Job::Read, count)));
        let over = Over::default();
        let for_many = scene(&over);
        let many = Many::new(&for_many, 8, None, &over).expect("a plugin");
        assert!(is_ended(&over, |count| many.run(Job::Store, count)));
        // Nothing makes a file any more.
        drop((alone, many));
        drop((for_one, for_many));
        assert_eq!(std::fs::read_dir(above.path()).expect("it is there").count(), 0);
    }
}
