//! Coro::AIO, if Perl and it are there: coroutines in one thread, whose requests are carried out by others.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use crate::measure::{Batch, Run};
use crate::setup::Setup;
use crate::workload::{DATA, DATA_BYTES};

/// Reads a line `WHAT COROUTINES BLOCK COUNT`, does it, and prints the seconds and how often it came to what it should.
const PROGRAM: &str = r#"
use strict;
use warnings;
use EV;
use Coro;
use Coro::EV;
use Coro::AIO;
use Fcntl;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my ($path, $bytes, $workers, $dir) = @ARGV;
IO::AIO::max_parallel $workers if $workers;
open my $file, '<', $path or die "$path: $!";
$| = 1;
print "ready\n";
while (my $line = <STDIN>) {
    my ($what, $coroutines, $block, $count) = split ' ', $line;
    my ($left, $state, $blocks, $right) = ($count, 0, $block ? $bytes / $block : 0, 0);
    my ($number, $data) = (0, 'x' x $block);
    my $start = clock_gettime(CLOCK_MONOTONIC);
    my @coroutines = map {
        async {
            my $buffer = '';
            while ($left-- > 0) {
                if ($what eq 'read') {
                    $state = ($state * 1664525 + 1013904223) % $blocks;
                    ++$right if $block == aio_read $file, $state * $block, $block, $buffer, 0;
                } elsif ($what eq 'durable') {
                    my $made = aio_open $dir . '/durable-' . $number++, O_WRONLY | O_CREAT | O_EXCL, 0666 or die $!;
                    my $written = aio_write $made, 0, $block, $data, 0;
                    my $failed = aio_fsync $made;
                    aio_close $made;
                    ++$right if $written == $block && !$failed;
                } else {
                    aio_nop;
                    ++$right;
                }
            }
        };
    } 1 .. $coroutines;
    $_->join for @coroutines;
    printf "%.9f %d\n", clock_gettime(CLOCK_MONOTONIC) - $start, $right;
}
"#;

/// What the coroutines do.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    Nop,
    /// Read blocks of this many bytes.
    Read(u32),
    /// Make files of this many bytes and bring them to the device.
    Durable(u32),
}

/// A Perl that waits for work.
struct Perl {
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Perl {
    /// None if Perl, or one of the modules, is not there. `workers` is how many threads there may be: 8 unless told otherwise.
    fn start(setup: &Setup, workers: Option<u32>) -> anyhow::Result<Option<Self>> {
        let mut command = Command::new("perl");
        command.args(["-e", PROGRAM]).arg(setup.data().join(DATA)).arg(DATA_BYTES.to_string());
        command.arg(workers.unwrap_or(0).to_string()).arg(setup.data());
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut process) = spawned else { return Ok(None) };
        let from = BufReader::new(process.stdout.take().context("the output is a pipe")?);
        let to = process.stdin.take();
        let mut perl = Self { process, to, from };
        Ok((perl.line()? == "ready\n").then_some(perl))
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        Ok(line)
    }

    fn run(&mut self, work: Work, coroutines: u32, count: u64) -> anyhow::Result<Batch> {
        let to = self.to.as_mut().context("the input is a pipe")?;
        match work {
            Work::Nop => writeln!(to, "nop {coroutines} 0 {count}")?,
            Work::Durable(block) => writeln!(to, "durable {coroutines} {block} {count}")?,
            Work::Read(block) => writeln!(to, "read {coroutines} {block} {count}")?,
        }
        let line = self.line()?;
        let (seconds, right) = line.trim_end().split_once(' ').context("Perl ended")?;
        let right: u64 = right.parse()?;
        anyhow::ensure!(right == count, "{right} of {count} requests came to what they should");
        // To look at the data would take Perl longer than it takes compiled code, so only the lengths are checked.
        Ok(Batch { time: Duration::try_from_secs_f64(seconds.parse()?)?, busy: None, sum: None })
    }
}

impl Drop for Perl {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.to = None;
        // If it cannot be waited for it is gone already.
        let _ = self.process.wait();
    }
}

/// Work by coroutines. None, with a word to the user, if Coro::AIO is not there.
pub(crate) fn coroutines(setup: &Setup, work: Work, coroutines: u32, workers: Option<u32>) -> anyhow::Result<Option<Run>> {
    let Some(mut perl) = Perl::start(setup, workers)? else {
        println!("peer Coro::AIO: not installed (apt install libcoro-perl libio-aio-perl libanyevent-aio-perl libev-perl)");
        return Ok(None);
    };
    Ok(Some(Box::new(move |steps| perl.run(work, coroutines, steps))))
}
