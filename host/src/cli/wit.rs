//! `aiohost wit`: the WIT package for the authors of plugins.

use std::fs;
use std::path::{Path, PathBuf};

use aiohost::plugin::WIT;
use anyhow::Context as _;
use clap::Args;

use super::output_file::{OutputFile, Staged};
use super::output_folder::NewFolder;
use super::remedy::Remedied;
use super::replacement::Arrived;
use super::streams;

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
    let Some(dir) = &options.out else { return streams::print(&as_one_file()) };
    if !dir.is_dir() {
        let folder = NewFolder::begin(dir)?;
        for (name, text) in WIT {
            folder.write(name, text.as_bytes())?;
        }
        return folder.arrive();
    }
    let mut staged = Vec::new();
    for (name, text) in WIT {
        let path = dir.join(name);
        let file = OutputFile::at(&path)?;
        let differs = file.replaces() && differs(&path, text)?;
        if differs && !options.force {
            let what = format!("{} exists and differs from this version's", path.display());
            return Err(Remedied { what, help: "overwrite it with --force".to_owned() }.into());
        }
        if differs || !file.replaces() {
            staged.push((path, file.stage(text.as_bytes())?));
        }
    }
    arrive(staged)
}

fn differs(path: &Path, text: &str) -> anyhow::Result<bool> {
    let there = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(there != text.as_bytes())
}

/// Gives all of them their names, or takes the new ones away again.
fn arrive(staged: Vec<(PathBuf, Staged<'_>)>) -> anyhow::Result<()> {
    let mut new = Vec::new();
    for (path, file) in staged {
        match file.arrive() {
            Ok(Arrived::New) => new.push(path),
            Ok(Arrived::Replaced) => {}
            Err(error) => {
                for path in new {
                    // The first error is the one to tell of.
                    let _ = fs::remove_file(path);
                }
                return Err(error);
            }
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
