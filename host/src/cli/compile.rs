//! `aiohost compile`: a plugin's compiled code as a file.

use std::path::{Path, PathBuf};

use aiohost::Host;
use aiohost::plugin::compiled_code;
use clap::Args;

use super::Verbosity;
use super::compile_limits::CompileLimits;
use super::images::{self, Keep};
use super::load::{self, Note};
use super::output_file::OutputFile;
use super::remedy::{Remedied, Usage};
use super::standard_input;

/// Compile a plugin ahead of time
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The plugin; - for standard input; or one in an image, oci-layout:DIR or docker://HOST/REPOSITORY, as for run
    #[arg(value_name = "PLUGIN")]
    plugin: PathBuf,
    /// The file to write, or - for standard output [default: PLUGIN with .cwasm at its end; of standard input, -; of an image, none]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file even if it is no compiled code
    #[arg(long)]
    force: bool,
    /// Compile it for an application that interrupts plugins, as those that embed aiohost do; `aiohost run` needs no such code
    #[arg(long)]
    epoch_interruption: bool,
    #[command(flatten)]
    limits: CompileLimits,
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
    let is_input = standard_input::is_meant_by(&options.plugin);
    let is_image = images::is_meant_by(&options.plugin);
    if !is_input && !is_image {
        refuse_compiled_code(&options.plugin)?;
    }
    let output = match &options.output {
        Some(output) => output.clone(),
        None if is_input => options.plugin.clone(),
        None if is_image => {
            return Err(Usage("name the file to write with --output: an image gives it no name".to_owned()).into());
        }
        None => options.plugin.with_extension("cwasm"),
    };
    let file = OutputFile::at(&output)?;
    if file.replaces() && !options.force {
        refuse_to_overwrite(&output)?;
    }
    let host = Host::builder().compile_in(options.limits.process()).epoch_interruption(options.epoch_interruption).build()?;
    let note = if verbosity.quiet { Note::Silent } else { Note::Plain };
    let plugin = if is_input {
        standard_input::load(&host, &options.plugin, note)?
    } else if is_image {
        images::load(&host, &options.plugin, options.limits.reading_time(), Keep::Fetched)?
    } else {
        load::load_source(&host, &options.plugin, note)?
    };
    file.write(&plugin.compiled()?)
}

/// It would have to be loaded, and there is nothing to be compiled in it.
fn refuse_compiled_code(plugin: &Path) -> anyhow::Result<()> {
    let Some(code) = compiled_code(plugin)? else { return Ok(()) };
    let what = format!("{} is compiled already", plugin.display());
    let by = code.wasmtime.map_or_else(|| "wasmtime".to_owned(), |version| format!("wasmtime {version}"));
    let help = "compile the .wasm that it was made from; `aiohost run` runs compiled code of this version as it is".to_owned();
    Err(anyhow::anyhow!("it is native code that {by} made").context(Remedied { what, help }))
}

/// What is there may be replaced if it is compiled code; a plugin's source may not.
fn refuse_to_overwrite(output: &Path) -> anyhow::Result<()> {
    // What cannot be read, or is too large, is no code of ours.
    if compiled_code(output).is_ok_and(|code| code.is_some()) {
        return Ok(());
    }
    let what = format!("{} exists and is not compiled code", output.display());
    Err(Remedied { what, help: "name another file with --output, or overwrite it with --force".to_owned() }.into())
}
