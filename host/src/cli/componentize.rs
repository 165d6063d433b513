//! `aiohost componentize`: a core module as a component.

use std::fs;
use std::path::{Path, PathBuf};

use aiohost::plugin::{self, BuiltFor};
use anyhow::Context as _;
use clap::Args;

use super::compile::write_whole;
use super::exit::Remedied;

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
    /// The file to write [default: MODULE with .component.wasm at its end]
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
    let module = fs::read(&options.module).map_err(|error| {
        let help = "name the file that your compiler made".to_owned();
        anyhow::Error::new(error).context(Remedied { what: format!("cannot read the module {name}"), help })
    })?;
    refuse_to_replace(&options.module, &output)?;
    let world = BuiltFor { wit: options.wit.as_deref(), world: options.world.as_deref() };
    let world = (world.wit.is_some() || world.world.is_some()).then_some(world);
    let component = plugin::componentize(&name, &module, world)?;
    write_whole(&output, &component).with_context(|| format!("cannot write {}", output.display()))
}

/// The module would be gone, and a second run would find a component in its place.
fn refuse_to_replace(module: &Path, output: &Path) -> anyhow::Result<()> {
    let same = match (module.canonicalize(), output.canonicalize()) {
        (Ok(module), Ok(output)) => module == output,
        _ => false,
    };
    if !same {
        return Ok(());
    }
    let what = format!("{} is the module itself", output.display());
    Err(Remedied { what, help: "name another file with --output".to_owned() }.into())
}
