//! Rounds: every contender of a row once, each time another one first.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::time::ClockId;

use crate::options::Options;

/// Some work that was done.
pub(crate) struct Batch {
    /// The time it took.
    pub(crate) time: Duration,
    /// What processors were busy with it, on all threads. None for the work of another process.
    pub(crate) busy: Option<Duration>,
    /// The sum over its results, if there is one.
    pub(crate) sum: Option<u64>,
}

/// Does some work that comes to a sum, and times it.
pub(crate) fn timed(work: impl FnOnce() -> anyhow::Result<u64>) -> anyhow::Result<Batch> {
    let (start, busy) = (Instant::now(), process_time());
    let sum = work()?;
    Ok(Batch { time: start.elapsed(), busy: Some(process_time().saturating_sub(busy)), sum: Some(sum) })
}

/// The time that processors were busy with this process.
pub(crate) fn process_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// Does a number of steps and times them.
pub(crate) type Run = Box<dyn FnMut(u64) -> anyhow::Result<Batch>>;

/// One way to do the work of a row.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) run: Run,
}

impl Contender {
    pub(crate) fn new(name: impl Into<String>, run: Run) -> Self {
        Self { name: name.into(), run }
    }
}

/// Some work, and the ways to do it. The first one is what the others are compared with, in speed and in results.
pub(crate) struct Row {
    pub(crate) title: String,
    /// What a step is made of, each of which counts: the files of a pass over the tree for instance.
    pub(crate) operations_per_step: u64,
    /// A batch has this many steps at most.
    pub(crate) steps_max: u64,
    /// Done before each batch, and not timed.
    pub(crate) before: Box<dyn Fn() -> anyhow::Result<()>>,
    pub(crate) contenders: Vec<Contender>,
}

/// A row that was measured.
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) contenders: Vec<Samples>,
}

/// What one contender took.
pub(crate) struct Samples {
    pub(crate) name: String,
    /// Operations of a batch.
    pub(crate) operations: u64,
    /// Nanoseconds for each operation, a value for each round.
    pub(crate) nanoseconds: Vec<f64>,
    /// The same of what processors were busy. Empty for the work of another process.
    pub(crate) busy: Vec<f64>,
}

impl Samples {
    fn new(contender: &Contender, operations: u64) -> Self {
        Self { name: contender.name.clone(), operations, nanoseconds: Vec::new(), busy: Vec::new() }
    }

    fn add(&mut self, batch: &Batch) {
        let each = |time: Duration| time.as_secs_f64() * 1e9 / float(self.operations);
        self.nanoseconds.push(each(batch.time));
        self.busy.extend(batch.busy.map(each));
    }

    pub(crate) fn busy(&self) -> Option<f64> {
        (!self.busy.is_empty()).then(|| median(self.busy.clone()))
    }

    pub(crate) fn median(&self) -> f64 {
        median(self.nanoseconds.clone())
    }

    pub(crate) fn min(&self) -> f64 {
        self.nanoseconds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn max(&self) -> f64 {
        self.nanoseconds.iter().copied().fold(0.0, f64::max)
    }

    /// How many times the other's time this one takes: the median over the rounds.
    pub(crate) fn ratio_to(&self, other: &Self) -> f64 {
        median(self.nanoseconds.iter().zip(&other.nanoseconds).map(|(this, other)| this / other).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// Measures a row.
pub(crate) fn row(name: &'static str, row: Row, options: &Options) -> anyhow::Result<Measured> {
    let Row { title, operations_per_step, steps_max, before, mut contenders } = row;
    let run = |contender: &mut Contender, steps| {
        before()?;
        (contender.run)(steps).with_context(|| contender.name.clone())
    };
    let mut steps = Vec::new();
    for contender in &mut contenders {
        steps.push(steps_for(options.batch(), steps_max, |steps| run(contender, steps).map(|batch| batch.time))?);
    }
    let mut sums = HashMap::new();
    for &steps in &steps {
        if let (false, Some(first)) = (sums.contains_key(&steps), contenders.first_mut()) {
            sums.insert(steps, run(first, steps)?.sum);
        }
    }
    let samples = |(contender, steps): (&Contender, &u64)| Samples::new(contender, steps * operations_per_step);
    let mut samples: Vec<Samples> = contenders.iter().zip(&steps).map(samples).collect();
    // The first round warms up and does not count.
    for round in 0..=usize::try_from(options.rounds())? {
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            let (contender, steps) = (&mut contenders[index], steps[index]);
            let batch = run(contender, steps)?;
            if let (Some(sum), Some(expected)) = (batch.sum, sums[&steps]) {
                anyhow::ensure!(sum == expected, "{} came to the sum {sum:x} instead of {expected:x}", contender.name);
            }
            if round > 0 {
                samples[index].add(&batch);
            }
        }
    }
    Ok(Measured { name, title, contenders: samples })
}

/// How many steps fill a batch.
fn steps_for(batch: Duration, steps_max: u64, mut run: impl FnMut(u64) -> anyhow::Result<Duration>) -> anyhow::Result<u64> {
    let mut steps = 1;
    // The first call of a guest makes what the later ones use.
    run(steps)?;
    loop {
        let time = run(steps)?;
        if time * 4 >= batch || steps >= steps_max {
            let fitting = (batch.as_nanos() * u128::from(steps)).div_ceil(time.as_nanos().max(1));
            return Ok(u64::try_from(fitting)?.clamp(1, steps_max));
        }
        steps = (steps * 4).min(steps_max);
    }
}

/// Counts of batches are far below what a float holds exactly.
fn float(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
