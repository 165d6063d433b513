//! `aiohost bench`: how fast files are in a directory, by themselves and for plugins.

mod jobs;
mod measure;
mod native;
mod plugins;
mod report;
mod scene;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueHint};
use futures::channel::oneshot;
use tokio::signal::unix::{SignalKind, signal};

use self::jobs::{ALONE, BY_WORKERS, IN_FLIGHT, Job, MANY, WORKERS};
use self::measure::{Contender, Pace};
use self::plugins::{Alone, Many};
use self::report::{ByWorkers, Report, Row};
use self::scene::Scene;
use super::output_file::OutputFile;
use super::{Verbosity, exit, signals, streams, values};

/// Measure how fast files are in a directory, by themselves and for plugins
///
/// Each row is timed natively and for a plugin, in turn: read the ratios, since times change with what else a
/// machine does. The last rows say how many workers pay on this disk: give that number to `run --workers`.
///
/// Files of 64 MiB and some are made in a new directory in DIR, which is removed at the end.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// Where files are made: on the disk that plugins will use
    #[arg(value_name = "DIR", default_value = ".", hide_default_value = true, value_hint = ValueHint::DirPath)]
    dir: PathBuf,
    /// How often each is timed; the median counts [default: 5]
    #[arg(long, value_name = "NUMBER", value_parser = values::positive, default_value = "5", hide_default_value = true)]
    rounds: usize,
    /// How long each is timed in a round, about [default: 200ms]
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "200ms", hide_default_value = true)]
    time: Duration,
    /// Also write the medians and every round, as JSON; `-` is standard output, which then gets nothing else
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    json: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  aiohost bench                                 the current directory, in about a minute
  aiohost bench /srv/data --json bench.json     another disk, and the numbers for a program
  aiohost bench --rounds 1 --time 20ms          whether it runs at all: such numbers mean little";

/// How long the timing may take to end once a signal has come: what is in a call to the file system cannot be ended.
const PATIENCE: Duration = Duration::from_secs(2);

/// Measures, and gives the exit status.
pub(super) fn bench(options: &Options, verbosity: &Verbosity) -> anyhow::Result<u8> {
    let json = options.json.as_deref().map(OutputFile::at).transpose()?;
    let is_quiet = options.json.as_deref() == Some(Path::new("-"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start an event loop")?;
    // From here on a signal does not end the process before the files are removed.
    let stopped = runtime.block_on(async { Stopped::new() }).context("cannot wait for signals")?;
    let scene = Arc::new(OnceLock::new());
    let is_over = Arc::new(AtomicBool::new(false));
    let pace = Pace { rounds: options.rounds, time: options.time, is_over: Arc::clone(&is_over) };
    let (done, ended) = oneshot::channel();
    let says = Says { table: !is_quiet, progress: is_quiet && !verbosity.quiet };
    let timing = {
        let (scene, dir) = (Arc::clone(&scene), options.dir.clone());
        move || {
            let made = Scene::new(&dir, &pace.is_over).map(|new| scene.get_or_init(|| new));
            // Nobody listens any more if it took too long.
            let _ = done.send(made.and_then(|scene| measure_all(scene, &pace, says)));
        }
    };
    thread::Builder::new().name("aiohost-bench".to_owned()).spawn(timing).context("cannot start a thread")?;
    let outcome = runtime.block_on(async {
        let mut ended = ended;
        tokio::select! {
            report = &mut ended => Ok(report),
            signal = stopped.wait() => {
                is_over.store(true, Ordering::Relaxed);
                Err((signal, tokio::time::timeout(PATIENCE, ended).await.is_ok()))
            }
        }
    });
    if let Err((signal, false)) = outcome {
        // To remove them would have to wait for the same file system.
        streams::say(&format!(
            "warning: files in {} are left: a call to its file system has not returned\n",
            options.dir.display()
        ));
        exit::at_once(signals::status(signal));
    }
    // The other thread may be about to, and this one ends the process.
    if let Some(scene) = scene.get() {
        scene.remove();
    }
    match outcome {
        Ok(report) => {
            let report = report.context("the measurement ended without a result")??;
            if let Some(json) = json {
                json.write(format!("{:#}\n", report.as_json()).as_bytes())?;
            }
            Ok(0)
        }
        Err((signal, _)) => Ok(signals::status(signal)),
    }
}

/// What is told while it is measured.
#[derive(Clone, Copy)]
struct Says {
    table: bool,
    progress: bool,
}

impl Says {
    fn line(self, line: &str) -> anyhow::Result<()> {
        if self.table { streams::print(&format!("{line}\n")) } else { Ok(()) }
    }

    fn about_to(self, what: &str) {
        if self.progress {
            streams::say(&format!("measuring: {what}…\n"));
        }
    }
}

fn measure_all(scene: &Scene, pace: &Pace, says: Says) -> anyhow::Result<Report> {
    let mut report = Report::new(scene, pace);
    says.line(&report.head())?;
    says.line(&report::titles("one after the other", "native"))?;
    for job in ALONE {
        let mut plugin = Alone::new(scene)?;
        let row = row(scene, pace, says, job, 1, move |count| plugin.run(job, count))?;
        says.line(&row.line())?;
        report.rows.push(row);
    }
    says.line(&report::titles("many in flight, for each", "threads"))?;
    for (job, in_flight) in MANY {
        let plugin = Many::new(scene, in_flight, None)?;
        let row = row(scene, pace, says, job, in_flight, move |count| plugin.run(job, count))?;
        says.line(&row.line())?;
        report.rows.push(row);
    }
    says.line(&report::workers_titles())?;
    for job in BY_WORKERS {
        says.about_to(job.title());
        let mut contenders = Vec::new();
        for workers in WORKERS {
            let plugin = Many::new(scene, IN_FLIGHT, Some(workers))?;
            contenders.push(Contender::new(workers.to_string(), move |count| plugin.run(job, count)));
        }
        let row = ByWorkers { job, measured: measure::measure(pace, scene, job, contenders)? };
        says.line(&row.line())?;
        report.by_workers.push(row);
    }
    says.line(&report.advice())?;
    Ok(report)
}

/// Times a job natively, on as many threads as there are requests in flight, and by a plugin.
fn row(
    scene: &Scene,
    pace: &Pace,
    says: Says,
    job: Job,
    in_flight: u32,
    plugin: impl FnMut(u64) -> anyhow::Result<()> + 'static,
) -> anyhow::Result<Row> {
    says.about_to(job.title());
    let native = native::Threads::new(scene, in_flight)?;
    let contenders = vec![Contender::new("native", move |count| native.run(job, count)), Contender::new("aiohost", plugin)];
    Ok(Row { job, in_flight, measured: measure::measure(pace, scene, job, contenders)? })
}

/// The signals that end a run.
struct Stopped([(u8, tokio::signal::unix::Signal); 3]);

impl Stopped {
    fn new() -> std::io::Result<Self> {
        let listen =
            |kind: SignalKind| Ok::<_, std::io::Error>((u8::try_from(kind.as_raw_value()).unwrap_or(0), signal(kind)?));
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]))
    }

    /// The number of the first one that comes.
    async fn wait(mut self) -> u8 {
        let [(first, interrupt), (second, terminate), (third, hangup)] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => *first,
            _ = terminate.recv() => *second,
            _ = hangup.recv() => *third,
        }
    }
}
