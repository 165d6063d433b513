//! The blobs of a layout. Each is known by its digest, and whoever has read one to its end knows whether it was the one that was meant.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::super::remedy::{Remedied, failure};

/// Bytes of an index, a manifest or a configuration. 4 MiB: registries take no more.
const DOCUMENT_BYTES_MAX: u64 = 4 << 20;

/// A digest by SHA-256, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digest(String);

impl Digest {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let hex = text
            .strip_prefix("sha256:")
            .with_context(|| format!("the digest {text:?} is not by sha256, which alone is known here"))?;
        let is_hex = hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        anyhow::ensure!(is_hex, "the digest {text:?} is not 64 digits of hexadecimal");
        Ok(Self(hex.to_owned()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

/// What a document says of a blob.
#[derive(Clone, Debug)]
pub(super) struct Descriptor {
    pub(super) digest: Digest,
    pub(super) media_type: String,
}

impl Descriptor {
    pub(super) fn of(value: &Value) -> anyhow::Result<Self> {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Ok(Self { digest: Digest::parse(&text("digest"))?, media_type: text("mediaType") })
    }
}

/// An OCI image layout.
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
        let mut text = String::new();
        let read = open(&index).and_then(|file| file.take(DOCUMENT_BYTES_MAX).read_to_string(&mut text));
        read.with_context(|| format!("cannot read {}", index.display()))?;
        let index: Value = serde_json::from_str(&text).with_context(|| format!("{} is no index", index.display()))?;
        Ok(Self { dir: dir.to_owned(), manifests: list(&index, "manifests") })
    }

    /// A blob that is a document.
    pub(super) fn document(&self, digest: &Digest) -> anyhow::Result<Value> {
        let mut blob = self.blob(digest)?;
        let mut text = Vec::new();
        (&mut blob)
            .take(DOCUMENT_BYTES_MAX)
            .read_to_end(&mut text)
            .with_context(|| format!("cannot read the blob {digest}"))?;
        blob.check()?;
        serde_json::from_slice(&text).with_context(|| format!("the blob {digest} is no JSON"))
    }

    /// A blob to be read. What comes of it counts once `check` has said so.
    pub(super) fn blob(&self, digest: &Digest) -> anyhow::Result<Blob> {
        let path = self.dir.join("blobs/sha256").join(&digest.0);
        let file = open(&path).with_context(|| format!("cannot read the blob {digest}"))?;
        Ok(Blob { file, hasher: Sha256::new(), digest: digest.clone() })
    }
}

/// What a document lists.
pub(super) fn list(document: &Value, name: &str) -> Vec<Value> {
    document[name].as_array().cloned().unwrap_or_default()
}

/// Opens a file without waiting for anybody.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok(file)
}

/// A blob that is read.
pub(super) struct Blob {
    file: File,
    hasher: Sha256,
    digest: Digest,
}

impl Blob {
    /// Reads what is left, and holds all of it against the digest.
    pub(super) fn check(mut self) -> anyhow::Result<()> {
        io::copy(&mut self, &mut io::sink()).with_context(|| format!("cannot read the blob {}", self.digest))?;
        let found = self.hasher.finalize().iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        if found == self.digest.to_string() {
            return Ok(());
        }
        let what = format!("the blob {} is damaged, or is not what it says", self.digest);
        Err(anyhow::anyhow!("its digest is {found}").context(Remedied { what, help: "fetch the image again".to_owned() }))
    }
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}
