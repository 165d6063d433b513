//! Several files in one directory: all of them are written, or none is.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::output_file::{OutputFile, Staged};
use super::output_folder::NewFolder;
use super::remedy::Remedied;
use super::replacement::Arrived;

/// Writes files, each a name and a text, into a directory, which is made if it is not there. One that is there and differs is
/// replaced by force only.
pub(super) fn write<'a>(dir: &Path, files: impl IntoIterator<Item = (&'a str, &'a str)>, force: bool) -> anyhow::Result<()> {
    if !dir.is_dir() {
        let folder = NewFolder::begin(dir)?;
        for (name, text) in files {
            folder.write(name, text.as_bytes())?;
        }
        return folder.arrive();
    }
    let mut staged = Vec::new();
    for (name, text) in files {
        let path = dir.join(name);
        let file = OutputFile::at(&path)?;
        let differs = file.replaces() && differs(&path, text)?;
        if differs && !force {
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
