//! A plugin in a registry, as `aiohost run docker://HOST/REPOSITORY:TAG`. All of it is held against digests, and kept by them.

mod blobs;
mod challenge;
mod client;
mod credentials;
mod failures;
mod reference;

use aiohost::plugin::ImageCache;

use super::oci_layout::allowance::Allowance;
use super::oci_layout::blob::{Blobs, Descriptor};
use super::oci_layout::{self, Keep};
use blobs::Registry;
use reference::{Reference, Which};

/// Reads a plugin out of one: `text` is what stands behind `docker://`.
pub(super) fn read(text: &str, name: &str, keep: Keep) -> anyhow::Result<Vec<u8>> {
    let reference = Reference::parse(text)?;
    let registry = Registry::new(reference.clone(), cache(keep));
    let digest = match &reference.which {
        Which::Digest(digest) => digest.clone(),
        Which::Tag(tag) => registry.resolve(tag)?,
    };
    let blobs = Blobs::new(Allowance::default(), |descriptor, part| registry.find(descriptor, part));
    oci_layout::plugin(&blobs, Descriptor::by_digest(digest), name)
}

fn cache(keep: Keep) -> Option<ImageCache> {
    match keep {
        Keep::Nothing => None,
        Keep::Fetched => {
            let warn = |error: &std::io::Error| {
                tracing::warn!(%error, "the cache of images is not used; mend it, or name another place with AIOHOST_CACHE");
            };
            ImageCache::open().inspect_err(warn).ok()
        }
    }
}
