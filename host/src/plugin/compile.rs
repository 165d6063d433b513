//! Compiling a plugin: in this process, or in one of its own where the embedder wants it held to a time and an amount of memory.

use std::borrow::Cow;

use super::code::Code;
use super::compile_process::CompileProcess;
use super::compile_wire::Job;
use super::format::Format;
use super::host::{Host, HostBuilder};
use super::machine::Machine;
use super::prepare::{invalid, ready};
use crate::problem::{Problem, ProblemKind, Result};

impl HostBuilder {
    /// Compiles each plugin in a process of its own, which is ended when it takes too long or too much memory, since nothing can stop
    /// a compilation within this process. Without it there is no limit, and a malicious plugin may take hours and gigabytes to
    /// compile. What is in the code cache needs no process.
    pub fn compile_in(mut self, process: CompileProcess) -> Self {
        self.compile_process = Some(process);
        self
    }
}

/// What a plugin was compiled to.
pub(super) enum Compilation {
    /// In this process.
    Here(Code),
    /// By another process, which gave it as bytes.
    Elsewhere(Vec<u8>),
}

impl Compilation {
    pub(super) fn serialized(&self) -> wasmtime::Result<Cow<'_, [u8]>> {
        match self {
            Self::Here(code) => code.serialize().map(Cow::Owned),
            Self::Elsewhere(bytes) => Ok(Cow::Borrowed(bytes)),
        }
    }

    pub(super) fn code(self, name: &str, machine: &Machine) -> Result<Code> {
        match self {
            Self::Here(code) => Ok(code),
            Self::Elsewhere(bytes) => {
                // SAFETY: the code is the work of this very program, which was started for it and said so: `precompile` of `prepare`.
                // It came through a pipe into memory that nobody else has.
                unsafe { Code::deserialize(&machine.engine, &bytes) }.map_err(|error| unusable(name, error))
            }
        }
    }
}

impl Host {
    /// What a plugin is compiled to, for the engine that it needs.
    pub(super) fn compile(&self, name: &str, format: Format, bytes: &[u8]) -> Result<(&Machine, Compilation)> {
        if let Some(process) = &self.0.compile_process {
            let (engine, code) = process.compile(Job { how: self.0.machines.how(), name, plugin: bytes })?;
            return Ok((self.0.machines.get(engine)?, Compilation::Elsewhere(code)));
        }
        let ready = ready(name, format, bytes, self.0.machines.how().offer)?;
        let machine = self.0.machines.get(ready.engine)?;
        let code = ready.shape.compile(&machine.engine, &ready.binary);
        Ok((machine, Compilation::Here(code.map_err(|error| invalid(name, ready.shape.noun(), error))?)))
    }
}

fn unusable(name: &str, error: wasmtime::Error) -> Problem {
    Problem::new(ProblemKind::Host, format!("the code that {name} was compiled to cannot be used")).because(error)
}
