//! A plugin in an OCI image layout, as `aiohost run oci-layout:DIR:TAG`: what registries hold, in a directory.

mod blob;
mod choice;
mod content;
mod image;
mod reference;

use std::path::Path;

use aiohost::{Host, Plugin};

use blob::Layout;
use reference::Reference;

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
pub(super) fn load(host: &Host, path: &Path) -> anyhow::Result<Plugin> {
    let reference = Reference::parse(path)?;
    let layout = Layout::open(&reference.dir)?;
    let manifest = choice::manifest(&layout, &reference.which)?;
    Ok(host.load_bytes(&name(path), &content::plugin(&layout, &manifest)?)?)
}
