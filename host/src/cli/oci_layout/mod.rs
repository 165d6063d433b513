//! A plugin in an OCI image layout, as `aiohost run oci-layout:DIR:TAG`: what registries hold, in a directory.

mod allowance;
mod archive;
mod blob;
mod choice;
mod content;
mod files;
mod image;
mod reference;

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use aiohost::{Host, Plugin};
use anyhow::Context as _;

use super::remedy::Remedied;
use allowance::Allowance;
use blob::Layout;
use reference::Reference;

/// A plugin that was read.
pub(super) struct Read {
    /// What it is called in messages.
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// Whether this stands for an OCI layout, and not for a file.
pub(super) fn is_meant_by(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().starts_with(reference::PREFIX.as_bytes())
}

/// What the plugin is called in messages.
pub(super) fn name(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.rsplit('/').next().unwrap_or(&text).trim_start_matches(reference::PREFIX).to_owned()
}

/// Loads a plugin out of one. All that is read was held against its digest.
pub(super) fn load(host: &Host, path: &Path, time: Duration) -> anyhow::Result<Plugin> {
    let plugin = read(path, Some(time))?;
    Ok(host.load_bytes(&plugin.name, &plugin.content)?)
}

/// Reads a plugin out of one, but not for longer than this.
pub(super) fn read(path: &Path, time: Option<Duration>) -> anyhow::Result<Read> {
    let Some(time) = time else { return read_all(path) };
    let (sender, outcome) = mpsc::channel();
    let own_path = path.to_owned();
    let read = move || {
        // Nobody listens any more if it took too long.
        let _ = sender.send(read_all(&own_path));
    };
    // Its file system may not answer. What is left of it ends with the process, which has nothing else to do.
    thread::Builder::new().name("aiohost-image".to_owned()).spawn(read).context("cannot start a thread to read the image")?;
    match outcome.recv_timeout(time) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Disconnected) => Err(anyhow::anyhow!("the image could not be read")),
        Err(RecvTimeoutError::Timeout) => {
            let what = format!("{} takes longer to read than it may", name(path));
            let help = "give it more time with --max-compile-time, as in --max-compile-time 10m, if you trust who made it";
            Err(anyhow::anyhow!("it was not read after {time:?}").context(Remedied { what, help: help.to_owned() }))
        }
    }
}

fn read_all(path: &Path) -> anyhow::Result<Read> {
    let (reference, name) = (Reference::parse(path)?, name(path));
    let layout = Layout::open(&reference.dir, Allowance::default())?;
    let content = choice::manifest(&layout, &reference.which).and_then(|manifest| content::plugin(&layout, &manifest));
    match content {
        Ok(content) => Ok(Read { name, content }),
        Err(error) => Err(layout.allowance().explain(&name, error)),
    }
}
