//! `aiohost componentize`: a core module as a component.

use std::path::{Path, PathBuf};

use aiohost::plugin::{self, BuiltFor};
use clap::Args;

use super::output_file::OutputFile;
use super::remedy::Remedied;

/// Make a component of a core module and the world it was built for
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The core module, as the compiler of Go, Zig or AssemblyScript makes it
    #[arg(value_name = "MODULE")]
    module: PathBuf,
    /// A folder with WIT files, or one file [default: the package aiohost:aio of this host]
    #[arg(long, value_name = "DIR")]
    wit: Option<PathBuf>,
    /// The world in it that the module was built for
    #[arg(long, value_name = "WORLD")]
    world: Option<String>,
    /// The file to write, or - for standard output [default: MODULE with .component.wasm at its end]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "\
A core module imports functions by name and knows nothing but numbers. A component also tells their types: strings, records, \
handles. This command puts the two together. A module that uses WASI preview 1 gets the adapter to WASI 0.2 as well: for a \
program if it has a `_start`, or else for a library.

Modules with bindings of `wit-bindgen c` have the types in them: `aiohost run` takes them as they are.

Your own world may include the host's without a copy of it, in a file wit/world.wit:

    package example:songs;
    world plugin {
      include aiohost:aio/submit-guest@0.1.0;
    }

Examples:
  aiohost componentize songs.wasm --world submit-guest -o plugin.wasm
  aiohost componentize songs.wasm --wit wit --world plugin -o plugin.wasm
  aiohost run plugin.wasm --dir data";

pub(super) fn componentize(options: &Options) -> anyhow::Result<()> {
    let name = options.module.display().to_string();
    let output = options.output.clone().unwrap_or_else(|| options.module.with_extension("component.wasm"));
    let module = plugin::read_module(&options.module)?;
    let file = OutputFile::at(&output)?;
    refuse_to_replace(&options.module, &output, &file)?;
    let world = BuiltFor { wit: options.wit.as_deref(), world: options.world.as_deref() };
    let world = (world.wit.is_some() || world.world.is_some()).then_some(world);
    let component = plugin::componentize(&name, &module, world)?;
    file.write(&component)
}

/// The module would be gone, and a second run would find a component in its place.
fn refuse_to_replace(module: &Path, output: &Path, file: &OutputFile) -> anyhow::Result<()> {
    if !module.metadata().is_ok_and(|module| file.is(&module)) {
        return Ok(());
    }
    let what = format!("{} is the module itself", output.display());
    Err(Remedied { what, help: "name another file with --output".to_owned() }.into())
}
