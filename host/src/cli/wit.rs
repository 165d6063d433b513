//! `aiohost wit`: the WIT package for the authors of plugins.

use std::path::PathBuf;

use aiohost::plugin::WIT;
use clap::{Args, ValueHint};

use super::{output_files, streams};

/// Print or write the WIT package that plugins are built with
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// Write the package's files into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
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
    match &options.out {
        Some(dir) => output_files::write(dir, WIT, options.force),
        None => streams::print(&as_one_file()),
    }
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
