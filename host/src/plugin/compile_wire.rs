//! What is said between a host and the process that compiles for it: a job there, and an answer back.
//!
//! Both sides are the same program, so there is one version of this. Numbers have eight bytes, the lowest first, and text and
//! code come after their length.

use std::error::Error as _;
use std::io::{self, Read, Write};

use super::compile_how::{CompileHow, Epochs, Offer};
use super::machine::EngineKind;
use crate::problem::{Problem, ProblemKind, Result};
use crate::shown;

/// Whoever does not begin like this is not talking to us.
const MAGIC: &[u8; 16] = b"aiohost compile\n";

const KINDS: [ProblemKind; 11] = [
    ProblemKind::File,
    ProblemKind::Directory,
    ProblemKind::Format,
    ProblemKind::World,
    ProblemKind::Wit,
    ProblemKind::Export,
    ProblemKind::Call,
    ProblemKind::Limit,
    ProblemKind::Trap,
    ProblemKind::Timeout,
    ProblemKind::Host,
];

const PLAIN: u64 = 0;
const CONCURRENT: u64 = 1;
const PROBLEM: u64 = 2;

/// What comes first, so that the process holds to it when it reads the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The process that waits for the answer.
    pub(super) parent: u64,
    pub(super) memory_bytes_max: u64,
    pub(super) cpu_seconds_max: u64,
}

/// What is to be compiled, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job<'a> {
    pub(super) how: CompileHow,
    pub(super) name: &'a str,
    pub(super) plugin: &'a [u8],
}

/// What it is, and what is to be compiled.
pub(super) fn write_job(mut out: impl Write, bounds: Bounds, job: Job<'_>) -> io::Result<()> {
    out.write_all(MAGIC)?;
    for number in [bounds.parent, bounds.memory_bytes_max, bounds.cpu_seconds_max] {
        write_number(&mut out, number)?;
    }
    write_number(&mut out, u64::from(job.how.epochs == Epochs::Checked))?;
    write_number(&mut out, u64::from(job.how.offer == Offer::More))?;
    write_field(&mut out, job.name.as_bytes())?;
    write_field(&mut out, job.plugin)
}

/// The first part of a job.
pub(super) fn read_bounds(mut input: impl Read) -> io::Result<Bounds> {
    read_magic(&mut input)?;
    let mut number = || read_number(&mut input);
    Ok(Bounds { parent: number()?, memory_bytes_max: number()?, cpu_seconds_max: number()? })
}

/// The rest of it: how it is to be compiled, the name of the plugin, and its bytes.
pub(super) fn read_plugin(mut input: impl Read) -> io::Result<(CompileHow, String, Vec<u8>)> {
    let epochs = if read_flag(&mut input)? { Epochs::Checked } else { Epochs::Unchecked };
    let offer = if read_flag(&mut input)? { Offer::More } else { Offer::Own };
    let name = read_text(&mut input)?;
    Ok((CompileHow { epochs, offer }, name, read_field(&mut input, u64::MAX)?))
}

fn read_flag(input: impl Read) -> io::Result<bool> {
    match read_number(input)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(malformed()),
    }
}

/// The code and the engine that it is for, or what is wrong.
pub(super) fn write_answer(mut out: impl Write, answer: &Result<(EngineKind, Vec<u8>)>) -> io::Result<()> {
    out.write_all(MAGIC)?;
    let problem = match answer {
        Ok((engine, code)) => {
            let tag = match engine {
                EngineKind::Plain => PLAIN,
                EngineKind::Concurrent => CONCURRENT,
            };
            write_number(&mut out, tag)?;
            return write_field(&mut out, code);
        }
        Err(problem) => problem,
    };
    write_number(&mut out, PROBLEM)?;
    let kind = KINDS.iter().position(|kind| *kind == problem.kind()).unwrap_or(KINDS.len() - 1);
    write_number(&mut out, u64::try_from(kind).unwrap_or(0))?;
    write_field(&mut out, problem.to_string().as_bytes())?;
    for help in [problem.help(), problem.help_for_command()] {
        write_field(&mut out, help.unwrap_or_default().as_bytes())?;
    }
    let mut cause = problem.source();
    while let Some(one) = cause {
        // The parser of text repeats a line of the plugin, which may be all of it.
        write_field(&mut out, shown::text(&one.to_string()).as_bytes())?;
        cause = one.source();
    }
    // An empty text is the end of the causes.
    write_field(&mut out, b"")
}

/// The answer; an error if there is none, or not all of it.
pub(super) fn read_answer(mut input: impl Read, code_bytes_max: u64) -> io::Result<Result<(EngineKind, Vec<u8>)>> {
    read_magic(&mut input)?;
    let engine = match read_number(&mut input)? {
        PLAIN => EngineKind::Plain,
        CONCURRENT => EngineKind::Concurrent,
        PROBLEM => return read_problem(input).map(Err),
        _ => return Err(malformed()),
    };
    Ok(Ok((engine, read_field(&mut input, code_bytes_max)?)))
}

fn read_problem(mut input: impl Read) -> io::Result<Problem> {
    let kind = usize::try_from(read_number(&mut input)?).ok().and_then(|kind| KINDS.get(kind));
    let problem = Problem::new(*kind.ok_or_else(malformed)?, read_text(&mut input)?);
    let (program, command) = (read_text(&mut input)?, read_text(&mut input)?);
    let problem = if program.is_empty() { problem } else { problem.help_for(program, command) };
    let mut causes = Vec::new();
    loop {
        let cause = read_text(&mut input)?;
        if cause.is_empty() {
            break;
        }
        causes.push(cause);
    }
    // The last one is the root of the others.
    let cause = causes.into_iter().rev().fold(None::<anyhow::Error>, |root, cause| match root {
        Some(root) => Some(root.context(cause)),
        None => Some(anyhow::Error::msg(cause)),
    });
    Ok(match cause {
        Some(cause) => problem.because(cause),
        None => problem,
    })
}

fn write_number(mut out: impl Write, number: u64) -> io::Result<()> {
    out.write_all(&number.to_le_bytes())
}

fn write_field(mut out: impl Write, field: &[u8]) -> io::Result<()> {
    write_number(&mut out, u64::try_from(field.len()).map_err(|_| malformed())?)?;
    out.write_all(field)
}

fn read_magic(mut input: impl Read) -> io::Result<()> {
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic)?;
    if &magic == MAGIC { Ok(()) } else { Err(malformed()) }
}

fn read_number(mut input: impl Read) -> io::Result<u64> {
    let mut number = [0; 8];
    input.read_exact(&mut number)?;
    Ok(u64::from_le_bytes(number))
}

fn read_text(input: impl Read) -> io::Result<String> {
    /// Far more than any message has: each was cut before.
    const TEXT_BYTES_MAX: u64 = 1 << 20;
    String::from_utf8(read_field(input, TEXT_BYTES_MAX)?).map_err(|_| malformed())
}

/// What comes after its length, which is believed only as far as there is something.
fn read_field(mut input: impl Read, bytes_max: u64) -> io::Result<Vec<u8>> {
    let bytes = read_number(&mut input)?;
    if bytes > bytes_max {
        return Err(malformed());
    }
    let mut field = Vec::new();
    input.take(bytes).read_to_end(&mut field)?;
    match u64::try_from(field.len()) {
        Ok(read) if read == bytes => Ok(field),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is not what aiohost says to itself when it compiles")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_comes_back() {
        let bounds = Bounds { parent: 7, memory_bytes_max: u64::MAX, cpu_seconds_max: 0 };
        let mut wire = Vec::new();
        let how = CompileHow { epochs: Epochs::Unchecked, offer: Offer::More };
        let job = Job { how, name: "näme\n", plugin: &[0, 255, 10] };
        write_job(&mut wire, bounds, job).expect("memory to write to");
        let mut input = wire.as_slice();
        assert_eq!(read_bounds(&mut input).expect("bounds"), bounds);
        assert_eq!(read_plugin(&mut input).expect("a plugin"), (how, "näme\n".to_owned(), vec![0, 255, 10]));
        assert!(input.is_empty());
    }

    #[test]
    fn code_comes_back_for_the_engine_it_is_for() {
        for engine in EngineKind::ALL {
            let mut wire = Vec::new();
            write_answer(&mut wire, &Ok((engine, b"code".to_vec()))).expect("memory to write to");
            let answer = read_answer(wire.as_slice(), 4).expect("an answer");
            assert_eq!(answer.expect("code"), (engine, b"code".to_vec()));
            assert!(read_answer(wire.as_slice(), 3).is_err(), "more code than there may be");
            for cut in 0..wire.len() {
                assert!(read_answer(&wire[..cut], 4).is_err(), "cut to {cut}");
            }
        }
    }

    #[test]
    fn a_problem_comes_back_with_its_causes_and_its_help() {
        let cause = anyhow::anyhow!("the root").context("above it");
        let with_all = Problem::new(ProblemKind::Limit, "it failed").because(cause).help_for("do this", "say that");
        for (problem, causes, help) in
            [(with_all, &["above it", "the root"][..], true), (Problem::new(ProblemKind::File, "no"), &[], false)]
        {
            let (kind, what) = (problem.kind(), problem.to_string());
            let mut wire = Vec::new();
            write_answer(&mut wire, &Err(problem)).expect("memory to write to");
            let back = read_answer(wire.as_slice(), 0).expect("an answer").expect_err("a problem");
            assert_eq!((back.kind(), back.to_string()), (kind, what));
            let said = help.then_some(("do this", "say that"));
            assert_eq!(back.help().zip(back.help_for_command()), said);
            let mut chain = Vec::new();
            let mut next = back.source();
            while let Some(cause) = next {
                chain.push(cause.to_string());
                next = cause.source();
            }
            assert_eq!(chain, causes);
        }
    }

    #[test]
    fn an_error_that_repeats_all_of_the_plugin_is_an_answer() {
        let text = format!("(module (func $f (i32.wrong)) (; {} ;))", "x".repeat(2 << 20));
        let error = wat::parse_str(&text).expect_err("there is no such instruction");
        assert!(error.to_string().len() > text.len());
        let mut wire = Vec::new();
        write_answer(&mut wire, &Err(Problem::new(ProblemKind::Format, "no").because(error))).expect("memory to write to");
        let problem = read_answer(wire.as_slice(), 0).expect("an answer").expect_err("a problem");
        let cause = problem.source().expect("a cause").to_string();
        assert!(cause.contains("i32.wrong") && cause.len() < 2000, "{} bytes", cause.len());
    }

    #[test]
    fn something_else_is_no_answer() {
        for other in [&b""[..], b"aiohost compile", b"usage: my-program [OPTIONS]\n"] {
            assert!(read_answer(other, u64::MAX).is_err());
            assert!(read_bounds(other).is_err());
        }
    }
}
