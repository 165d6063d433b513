//! The blobs of an image in a registry: from the cache, or fetched and then kept there.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read as _, Write as _};

use aiohost::plugin::ImageCache;
use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::super::oci_layout::blob::{Blob, Descriptor, Digest, Found, Part};
use super::super::remedy::failure;
use super::client::{Client, RETRIES};
use super::reference::Reference;

/// Bytes that are fetched at a time.
const PIECE_BYTES: usize = 64 << 10;

/// The images of a repository.
pub(super) struct Registry {
    reference: Reference,
    client: Client,
    cache: Option<ImageCache>,
    /// The manifest that a tag has led to: it need not be fetched again by its digest.
    tagged: RefCell<Option<(Digest, Vec<u8>)>>,
}

impl Registry {
    pub(super) fn new(reference: Reference, cache: Option<ImageCache>) -> Self {
        Self { client: Client::new(reference.clone()), reference, cache, tagged: RefCell::new(None) }
    }

    /// The digest that a tag stands for now.
    pub(super) fn resolve(&self, tag: &str) -> anyhow::Result<Digest> {
        let manifest = self.client.manifest(tag)?;
        let digest = Digest::found(Sha256::new_with_prefix(&manifest));
        tracing::info!("{} is {}", self.reference.shown(), self.reference.by_digest(&digest));
        self.keep(&digest, &manifest);
        *self.tagged.borrow_mut() = Some((digest.clone(), manifest));
        Ok(digest)
    }

    /// A blob, which may be anything unless it is from the cache.
    pub(super) fn find(&self, descriptor: &Descriptor, part: Part) -> anyhow::Result<Found<'_>> {
        if let Some(found) = self.cached(&descriptor.digest) {
            return Ok(found);
        }
        match part {
            Part::Manifest => self.manifest(&descriptor.digest),
            Part::Content => self.content(descriptor),
        }
    }

    fn cached(&self, digest: &Digest) -> Option<Found<'_>> {
        let file = self.cache.as_ref()?.get(digest.hex())?;
        let length = file.metadata().ok()?.len();
        Some(Found { bytes: Box::new(file), length })
    }

    fn manifest(&self, digest: &Digest) -> anyhow::Result<Found<'_>> {
        let tagged = self.tagged.borrow().clone().filter(|(tagged, _)| tagged == digest);
        let manifest = match tagged {
            Some((_, manifest)) => manifest,
            None => {
                let manifest = self.client.manifest(&digest.to_string())?;
                // What is something else is told by whoever reads it.
                if Digest::found(Sha256::new_with_prefix(&manifest)) == *digest {
                    self.keep(digest, &manifest);
                }
                manifest
            }
        };
        let length = manifest.len() as u64;
        Ok(Found { bytes: Box::new(Cursor::new(manifest)), length })
    }

    fn content(&self, descriptor: &Descriptor) -> anyhow::Result<Found<'_>> {
        let digest = &descriptor.digest;
        let length = descriptor.size.ok_or_else(|| {
            failure(format!("the image does not say how large its blob {digest} is"), "have it made by a newer program")
        })?;
        if let Some(file) = self.fetch_and_keep(digest, length)? {
            return Ok(Found { bytes: Box::new(file), length });
        }
        Ok(Found { bytes: Box::new(self.client.blob(digest)?), length })
    }

    /// Fetches a blob into the cache, if it can be kept there.
    fn fetch_and_keep(&self, digest: &Digest, length: u64) -> anyhow::Result<Option<File>> {
        let Some(cache) = &self.cache else { return Ok(None) };
        let mut tries = 0;
        loop {
            match self.fetch_into(cache, digest, length) {
                Err(error) if tries < RETRIES && is_dropped(&error) => tries += 1,
                Err(error) => return Err(error),
                Ok(Kept::Yes) => return Ok(cache.get(digest.hex())),
                Ok(Kept::No(error)) if error.kind() == ErrorKind::FileTooLarge => return Ok(None),
                Ok(Kept::No(error)) => {
                    tracing::warn!(%error, "cannot keep an image; it will be fetched every time");
                    return Ok(None);
                }
            }
        }
    }

    fn fetch_into(&self, cache: &ImageCache, digest: &Digest, length: u64) -> anyhow::Result<Kept> {
        let mut new = match cache.add(digest.hex(), length) {
            Ok(new) => new,
            Err(error) => return Ok(Kept::No(error)),
        };
        let mut blob = Blob::new(Found { bytes: Box::new(self.client.blob(digest)?), length }, digest);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let bytes = blob.read(&mut piece).with_context(|| format!("cannot fetch the blob {digest}"))?;
            if bytes == 0 {
                break;
            }
            if let Err(error) = new.write_all(&piece[..bytes]) {
                return Ok(Kept::No(error));
            }
        }
        blob.check()?;
        Ok(new.finish().map_or_else(Kept::No, |()| Kept::Yes))
    }

    /// Keeps a manifest. Without it, it is fetched again.
    fn keep(&self, digest: &Digest, manifest: &[u8]) {
        let Some(cache) = &self.cache else { return };
        let keep = || {
            let mut new = cache.add(digest.hex(), manifest.len() as u64)?;
            new.write_all(manifest)?;
            new.finish()
        };
        if let Err(error) = keep() {
            tracing::warn!(%error, "cannot keep the manifest of an image; it will be fetched every time");
        }
    }
}

/// Whether a blob is in the cache now, or why it is not.
enum Kept {
    Yes,
    No(io::Error),
}

/// Whether a blob ended before its end, as when a connection is lost.
fn is_dropped(error: &anyhow::Error) -> bool {
    let kinds = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted];
    error.root_cause().downcast_ref::<io::Error>().is_some_and(|error| kinds.contains(&error.kind()))
}
