//! A plugin in an OCI image layout, as `aiohost run oci-layout:DIR:TAG`: what registries hold, in a directory. What an image is and
//! which of its files is the plugin stands here for images from anywhere.

pub(super) mod allowance;
mod archive;
pub(super) mod blob;
mod choice;
mod content;
mod files;
mod image;
mod layout;
mod reference;

use std::path::Path;

use allowance::Allowance;
use blob::{Blobs, Descriptor};
use layout::Layout;
use reference::Reference;

pub(super) use reference::PREFIX;

/// Whether what is fetched from elsewhere is kept for the next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Fetched,
    Nothing,
}

/// Reads a plugin out of a layout. All that is read was held against its digest.
pub(super) fn read(path: &Path, name: &str) -> anyhow::Result<Vec<u8>> {
    let reference = Reference::parse(path)?;
    let layout = Layout::open(&reference.dir)?;
    let image = choice::image(&layout.manifests, &reference.which)?;
    plugin(&Blobs::new(Allowance::default(), |descriptor, _| layout.find(descriptor)), image, name)
}

/// The plugin in an image.
pub(super) fn plugin(blobs: &Blobs<'_>, image: Descriptor, name: &str) -> anyhow::Result<Vec<u8>> {
    let content = choice::manifest(blobs, image).and_then(|manifest| content::plugin(blobs, &manifest));
    content.map_err(|error| blobs.allowance().explain(name, error))
}
