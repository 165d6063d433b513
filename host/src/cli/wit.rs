//! `aiohost wit`: the WIT package for the authors of plugins.

use std::fs;
use std::io::{ErrorKind, Write, stdout};
use std::path::{Path, PathBuf};

use aiohost::plugin::WIT;
use anyhow::Context as _;
use clap::Args;

use super::exit::Remedied;

/// Print or write the WIT package that plugins are built with
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// Write the package's files into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Overwrite files that differ
    #[arg(long, requires = "out")]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  aiohost wit --out wit/deps/aiohost-aio     put it where wit-bindgen, componentize-py and others look for it
  aiohost wit > aiohost-aio.wit              the whole package as one file";

pub(super) fn wit(options: &Options) -> anyhow::Result<()> {
    let Some(dir) = &options.out else {
        // A reader that goes away, as `head` does, has seen enough.
        let _ = stdout().write_all(as_one_file().as_bytes());
        return Ok(());
    };
    if !options.force {
        refuse_to_overwrite(dir)?;
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot make the directory {}", dir.display()))?;
    for (name, text) in WIT {
        let path = dir.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Only files that are the same already may be there.
fn refuse_to_overwrite(dir: &Path) -> anyhow::Result<()> {
    for (name, text) in WIT {
        let path = dir.join(name);
        match fs::read(&path) {
            Ok(existing) if existing == text.as_bytes() => {}
            Ok(_) => {
                let what = format!("{} exists and differs from this version's", path.display());
                return Err(Remedied { what, help: "overwrite it with --force".to_owned() }.into());
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
    Ok(())
}

/// The package in one file, where its name may stand only once.
fn as_one_file() -> String {
    let mut text = String::new();
    for (index, (_, file)) in WIT.iter().enumerate() {
        let lines = file.lines().filter(|line| index == 0 || !line.starts_with("package "));
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_as_one_file_is_valid() {
        let mut resolve = wit_parser::Resolve::new();
        resolve.push_str("aio.wit", &as_one_file()).expect("valid WIT");
    }
}
