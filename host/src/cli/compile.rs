//! `aiohost compile`: a plugin's compiled code as a file.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use aiohost::Host;
use anyhow::Context as _;
use clap::Args;
use wasmtime::Engine;

use super::Verbosity;
use super::exit::Remedied;
use super::load::{self, Note};

/// Compile a plugin ahead of time
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The plugin
    #[arg(value_name = "PLUGIN")]
    plugin: PathBuf,
    /// The file to write [default: PLUGIN with .cwasm at its end]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite the file, whatever it is
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
The file starts in milliseconds, with this version of aiohost on this kind of machine only. `aiohost run` keeps such code \
by itself, so this is for machines that must not compile.

Compiled code is native code: no sandbox holds it. Never run a .cwasm file from someone you would not let run a program, \
nor one in a directory that a plugin may write to.

Examples:
  aiohost compile plugin.wasm                writes plugin.cwasm
  aiohost run plugin.cwasm --dir data";

pub(super) fn compile(options: &Options, verbosity: &Verbosity) -> anyhow::Result<()> {
    let output = options.output.clone().unwrap_or_else(|| options.plugin.with_extension("cwasm"));
    if !options.force {
        refuse_to_overwrite(&output)?;
    }
    let host = Host::builder().build()?;
    let note = if verbosity.quiet { Note::Silent } else { Note::Plain };
    let compiled = load::load(&host, &options.plugin, note)?.compiled()?;
    write_whole(&output, &compiled).with_context(|| format!("cannot write {}", output.display()))
}

/// What is there may be replaced if it is compiled code; a plugin's source may not.
fn refuse_to_overwrite(output: &Path) -> anyhow::Result<()> {
    let is_compiled = match Engine::detect_precompiled_file(output) {
        Ok(precompiled) => precompiled.is_some(),
        Err(_) => !output.exists(),
    };
    if is_compiled {
        return Ok(());
    }
    let what = format!("{} exists and is not compiled code", output.display());
    Err(Remedied { what, help: "name another file with --output, or overwrite it with --force".to_owned() }.into())
}

/// Writes a file so that nobody ever sees a part of it.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to tell of.
        let _ = fs::remove_file(&temporary);
    }
    written
}
