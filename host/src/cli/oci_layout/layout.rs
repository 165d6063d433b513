//! An OCI image layout: a directory with an index, and blobs by their digests.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use super::super::remedy::failure;
use super::blob::{Descriptor, Found, document, list};

/// A layout in a directory.
pub(super) struct Layout {
    dir: PathBuf,
    /// What `index.json` lists.
    pub(super) manifests: Vec<Value>,
}

impl Layout {
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let help = "a layout is a directory with index.json, oci-layout and blobs, as `skopeo copy .. oci:DIR` makes it";
        let is_layout = || dir.join("oci-layout").is_file() && dir.join("index.json").is_file();
        if !is_layout() {
            return Err(failure(format!("{} is no OCI image layout", dir.display()), help));
        }
        let index = dir.join("index.json");
        let read = open(&index).and_then(|(mut file, length)| document(&mut file, length));
        let text = read.with_context(|| format!("cannot read {}", index.display()))?;
        let index: Value = serde_json::from_slice(&text).with_context(|| format!("{} is no index", index.display()))?;
        Ok(Self { dir: dir.to_owned(), manifests: list(&index, "manifests") })
    }

    /// A blob, which may be anything.
    pub(super) fn find(&self, descriptor: &Descriptor) -> anyhow::Result<Found<'static>> {
        let digest = &descriptor.digest;
        let path = self.dir.join("blobs/sha256").join(digest.hex());
        let (file, length) = open(&path).with_context(|| format!("cannot read the blob {digest}"))?;
        Ok(Found { bytes: Box::new(file), length })
    }
}

/// Opens a file without waiting for anybody, and tells how many bytes it has.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok((file, metadata.len()))
}
