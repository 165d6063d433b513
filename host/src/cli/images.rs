//! Plugins in images, which may be in a directory or in a registry: what means one on the command line, and how long it may take to read.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use aiohost::{Host, Plugin};
use anyhow::Context as _;

use super::remedy::Remedied;
use super::{oci_layout, registry};

pub(super) use super::oci_layout::Keep;

/// How a reference to a registry begins: as skopeo, podman and crane have it, and as wkg and helm have it.
const REGISTRY_PREFIXES: [&str; 2] = ["docker://", "oci://"];

/// How long it may take to read an image where there is no option for it: as long as compiling may.
pub(super) const TIME_MAX: Duration = Duration::from_secs(300);

/// A plugin that was read.
pub(super) struct Read {
    /// What it is called in messages.
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// Whether this stands for an image, and not for a file.
pub(super) fn is_meant_by(path: &Path) -> bool {
    behind_prefix(&path.to_string_lossy()).is_some()
}

/// What the plugin is called in messages: the last part of the reference.
pub(super) fn name(path: &Path) -> String {
    let text = path.to_string_lossy();
    let reference = behind_prefix(&text).unwrap_or(&text);
    reference.rsplit('/').next().unwrap_or(reference).to_owned()
}

fn behind_prefix(text: &str) -> Option<&str> {
    text.strip_prefix(oci_layout::PREFIX).or_else(|| reference(text))
}

/// What stands behind the prefix of a reference to a registry.
fn reference(text: &str) -> Option<&str> {
    REGISTRY_PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix))
}

/// Loads a plugin out of an image. All that is read was held against its digest.
pub(super) fn load(host: &Host, path: &Path, time: Duration, keep: Keep) -> anyhow::Result<Plugin> {
    let plugin = read(path, Some(time), keep)?;
    Ok(host.load_bytes(&plugin.name, &plugin.content)?)
}

/// Reads a plugin out of an image, but not for longer than this.
pub(super) fn read(path: &Path, time: Option<Duration>, keep: Keep) -> anyhow::Result<Read> {
    let (sender, outcome) = mpsc::channel();
    let own_path = path.to_owned();
    let read = move || {
        // Nobody listens any more if it took too long.
        let _ = sender.send(read_all(&own_path, keep));
    };
    // Its file system, or the registry, may not answer. What is left of it ends with the process, which has nothing else to do.
    thread::Builder::new().name("aiohost-image".to_owned()).spawn(read).context("cannot start a thread to read the image")?;
    let most = time.unwrap_or(TIME_MAX);
    match outcome.recv_timeout(most) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Disconnected) => Err(anyhow::anyhow!("the image could not be read")),
        Err(RecvTimeoutError::Timeout) => {
            let what = format!("{} takes longer to read than it may", name(path));
            let help = match time {
                Some(_) => "give it more time with --max-compile-time, as in --max-compile-time 10m, if you trust who made it",
                None => "copy it into a directory of this machine first, with `skopeo copy`",
            };
            Err(anyhow::anyhow!("it was not read after {most:?}").context(Remedied { what, help: help.to_owned() }))
        }
    }
}

fn read_all(path: &Path, keep: Keep) -> anyhow::Result<Read> {
    let name = name(path);
    let content = match path.to_str().and_then(reference) {
        Some(reference) => registry::read(reference, &name, keep)?,
        None => oci_layout::read(path, &name)?,
    };
    Ok(Read { name, content })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_how_they_begin() {
        for (text, expected) in [
            ("oci-layout:a/b:1", Some("b:1")),
            ("oci-layout:images", Some("images")),
            ("docker://localhost:5000/a/b:1", Some("b:1")),
            ("oci://ghcr.io/a/b@sha256:0", Some("b@sha256:0")),
            ("docker:a", None),
            ("./docker://a/b", None),
            ("p.wasm", None),
        ] {
            let path = Path::new(text);
            assert_eq!(is_meant_by(path).then(|| name(path)).as_deref(), expected, "{text}");
        }
    }
}
