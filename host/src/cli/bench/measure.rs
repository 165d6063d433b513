//! Timing: contenders in turn, in rounds.

use std::time::{Duration, Instant};

use super::jobs::Job;
use super::over::Over;
use super::scene::Scene;

/// How much is timed.
pub(super) struct Pace {
    pub(super) rounds: usize,
    /// Of a contender in one round.
    pub(super) time: Duration,
    pub(super) over: Over,
}

/// Somebody who does a job so often.
pub(super) struct Contender {
    name: String,
    run: Box<dyn FnMut(u64) -> anyhow::Result<()>>,
}

impl Contender {
    pub(super) fn new(name: impl Into<String>, run: impl FnMut(u64) -> anyhow::Result<()> + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// What a contender took for each, in seconds, round by round.
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) rounds: Vec<f64>,
}

impl Measured {
    pub(super) fn median(&self) -> f64 {
        median(&self.rounds)
    }

    /// The median of the ratios of the rounds: both were timed one after the other.
    pub(super) fn ratio_to(&self, other: &Self) -> f64 {
        median(&std::iter::zip(&self.rounds, &other.rounds).map(|(own, other)| own / other).collect::<Vec<_>>())
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Times a job. How often it is done in a round is found out first, which also warms up.
pub(super) fn measure(pace: &Pace, scene: &Scene, job: Job, contenders: Vec<Contender>) -> anyhow::Result<Vec<Measured>> {
    let mut all = Vec::new();
    for mut contender in contenders {
        let count = count_for(pace, scene, job, &mut contender)?;
        all.push((contender, count, Vec::new()));
    }
    for _ in 0..pace.rounds {
        for (contender, count, rounds) in &mut all {
            rounds.push(timed(pace, scene, job, contender, *count)?.as_secs_f64() / to_f64(*count));
        }
    }
    Ok(all.into_iter().map(|(contender, _, rounds)| Measured { name: contender.name, rounds }).collect())
}

/// How often a contender does it in the time of a round.
fn count_for(pace: &Pace, scene: &Scene, job: Job, contender: &mut Contender) -> anyhow::Result<u64> {
    // All plugins, or all threads, do it at least once.
    let mut count = 64;
    loop {
        let took = timed(pace, scene, job, contender, count)?;
        if count >= job.count_max() {
            return Ok(job.count_max());
        }
        if took >= pace.time / 8 {
            let each = took.as_secs_f64() / to_f64(count);
            // Of a number that is finite and not negative: what is too large becomes the largest.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
            let wanted = (pace.time.as_secs_f64() / each) as u64;
            return Ok(wanted.clamp(64, job.count_max()) / 64 * 64);
        }
        count *= 4;
    }
}

fn timed(pace: &Pace, scene: &Scene, job: Job, contender: &mut Contender, count: u64) -> anyhow::Result<Duration> {
    pace.over.check()?;
    match job {
        Job::ReadFromDisk => scene.forget()?,
        Job::Read => scene.remember()?,
        _ => {}
    }
    let start = Instant::now();
    (contender.run)(count)?;
    Ok(start.elapsed())
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]).total_cmp(&2.0), std::cmp::Ordering::Equal);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]).total_cmp(&2.5), std::cmp::Ordering::Equal);
    }

    #[test]
    fn ratios_are_of_rounds_and_not_of_medians() {
        let measured = |rounds: [f64; 3]| Measured { name: String::new(), rounds: rounds.to_vec() };
        // Each round the same ratio, while the machine changed its speed.
        let ratio = measured([2.0, 20.0, 200.0]).ratio_to(&measured([1.0, 10.0, 100.0]));
        assert!((ratio - 2.0).abs() < 1e-9, "{ratio}");
    }
}
