//! `aiohost bench`: how fast files are in a directory, by themselves and for plugins.

mod jobs;
mod measure;
mod native;
mod over;
mod plugins;
mod report;
mod scene;

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, ValueHint};

use self::jobs::{ALONE, BY_WORKERS, IN_FLIGHT, Job, MANY, WORKERS};
use self::measure::{Contender, Pace};
use self::over::Over;
use self::plugins::{Alone, Many};
use self::report::{ByWorkers, Report, Row};
use self::scene::Scene;
use super::keeper::{self, Keeper, Left};
use super::output_file::OutputFile;
use super::watch::CLEANING;
use super::{Verbosity, exit, signals, streams, values};

/// Measure how fast files are in a directory, by themselves and for plugins
///
/// Each row is timed natively and for a plugin, in turn: read the ratios, since times change with what else a
/// machine does. The last rows say how many workers pay on this disk: give that number to `run --workers`.
///
/// Files of 64 MiB and some are made in a new directory in DIR, which is removed at the end, and after the signals INT, TERM, HUP
/// and QUIT. A second signal waits for nothing.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// Where files are made: on the disk that plugins will use
    #[arg(value_name = "DIR", default_value = ".", hide_default_value = true, value_hint = ValueHint::DirPath)]
    dir: PathBuf,
    /// How often each is timed; the median counts [default: 5]
    #[arg(long, value_name = "NUMBER", value_parser = rounds, default_value = "5", hide_default_value = true)]
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

/// More rounds tell nothing more. A million: they fit in memory many times.
const ROUNDS_MAX: usize = 1_000_000;

/// How long it may take to say the last words: whoever reads standard error may have stopped to.
const WORDS: Duration = Duration::from_millis(50);

/// What the thread that does nothing but look is told.
enum Event {
    /// The directory was made.
    Made(PathBuf),
    /// All is done, and nothing is left.
    Done(u8),
    /// A signal has come.
    Signal(u8),
}

/// Measures, and ends the process.
pub(super) fn bench(options: Options, verbosity: &Verbosity) -> anyhow::Result<Infallible> {
    let keeper = keeper::split()?;
    let (watcher, events) = mpsc::channel();
    keeper.listen(watcher.clone(), Event::Signal).context("cannot listen for signals")?;
    let over = Over::default();
    let is_quiet = verbosity.quiet;
    let work = {
        let over = over.clone();
        move || {
            // The panic itself was told when it happened.
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&options, is_quiet, &over, &watcher)));
            let status = match outcome {
                Ok(Ok(())) => 0,
                // That it was ended needs no words.
                Ok(Err(_)) if over.is_set() => exit::FAILED,
                Ok(Err(error)) => exit::tell(&error),
                Err(_) => exit::FAILED,
            };
            // Somebody looks as long as the process is there.
            let _ = watcher.send(Event::Done(status));
        }
    };
    thread::Builder::new().name("aiohost-bench".to_owned()).spawn(work).context("cannot start a thread")?;
    watch(&keeper, &events, &over)
}

/// Looks after the measurement until its end, and ends the process. A signal ends the measurement, which then removes its files; what
/// does not end in a short time, and a second signal, end the process without that.
fn watch(keeper: &Keeper, events: &Receiver<Event>, over: &Over) -> ! {
    let mut dir = None;
    let mut end: Option<(u8, Instant)> = None;
    loop {
        let event = match end {
            None => events.recv().map_err(RecvTimeoutError::from),
            Some((_, until)) => events.recv_timeout(until.saturating_duration_since(Instant::now())),
        };
        match (event, end) {
            (Ok(Event::Made(made)), _) => dir = Some(made),
            (Ok(Event::Done(status)), None) => keeper.leave(status, Left::Nothing),
            (Ok(Event::Done(_)), Some((signal, _))) => keeper.leave(signals::status(signal), Left::Nothing),
            (Ok(Event::Signal(signal)), None) => {
                over.set();
                end = Some((signal, Instant::now() + CLEANING));
            }
            (Ok(Event::Signal(_)), Some((signal, _))) => leave_files(keeper, dir.as_deref(), signal, "it was not waited for"),
            (Err(_), Some((signal, _))) => {
                leave_files(keeper, dir.as_deref(), signal, "its file system takes too long to let it be removed")
            }
            // While it runs somebody can tell something.
            (Err(_), None) => keeper.leave(exit::FAILED, Left::Something),
        }
    }
}

/// Ends the process, with files that were made and not removed.
fn leave_files(keeper: &Keeper, dir: Option<&Path>, signal: u8, why: &str) -> ! {
    if let Some(dir) = dir {
        streams::say_within(WORDS, format!("warning: {} is left: {why}; remove it\n", dir.display()));
    }
    keeper.leave(signals::status(signal), Left::Something)
}

/// All that it does, on a thread of its own: whatever may wait for a file system.
fn work(options: &Options, is_quiet: bool, over: &Over, watcher: &Sender<Event>) -> anyhow::Result<()> {
    let json = options.json.as_deref().map(OutputFile::at).transpose()?;
    let is_alone = options.json.as_deref() == Some(Path::new("-"));
    let says = Says { table: !is_alone, progress: is_alone && !is_quiet };
    let pace = Pace { rounds: options.rounds, time: options.time, over: over.clone() };
    let dir = Scene::make_dir(&options.dir)?;
    // Somebody looks as long as the process is there.
    let _ = watcher.send(Event::Made(dir.clone()));
    let scene = Scene::new(&dir, over)?;
    let report = measure_all(&scene, &pace, says)?;
    drop(scene);
    match json {
        Some(json) => json.write(format!("{:#}\n", report.as_json()).as_bytes()),
        None => Ok(()),
    }
}

fn rounds(text: &str) -> Result<usize, String> {
    match values::positive(text)? {
        rounds if rounds > ROUNDS_MAX => Err(format!("it must be {ROUNDS_MAX} at most")),
        rounds => Ok(rounds),
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
        let mut plugin = Alone::new(scene, &pace.over)?;
        let row = row(scene, pace, says, job, 1, move |count| plugin.run(job, count))?;
        says.line(&row.line())?;
        report.rows.push(row);
    }
    says.line(&report::titles("many in flight, for each", "threads"))?;
    for (job, in_flight) in MANY {
        let plugin = Many::new(scene, in_flight, None, &pace.over)?;
        let row = row(scene, pace, says, job, in_flight, move |count| plugin.run(job, count))?;
        says.line(&row.line())?;
        report.rows.push(row);
    }
    says.line(&report::workers_titles())?;
    for job in BY_WORKERS {
        says.about_to(job.title());
        let mut contenders = Vec::new();
        for workers in WORKERS {
            let plugin = Many::new(scene, IN_FLIGHT, Some(workers), &pace.over)?;
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
    let native = native::Threads::new(scene, in_flight, &pace.over)?;
    let contenders = vec![Contender::new("native", move |count| native.run(job, count)), Contender::new("aiohost", plugin)];
    Ok(Row { job, in_flight, measured: measure::measure(pace, scene, job, contenders)? })
}
