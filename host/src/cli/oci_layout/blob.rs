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
use super::allowance::{Allowance, Counted};

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
    /// Bytes. Some tools leave it out.
    size: Option<u64>,
}

impl Descriptor {
    pub(super) fn of(value: &Value) -> anyhow::Result<Self> {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let digest = Digest::parse(&text("digest"))?;
        let size = match &value["size"] {
            Value::Null => None,
            size => Some(size.as_u64().with_context(|| format!("the size of the blob {digest} is no number"))?),
        };
        Ok(Self { digest, media_type: text("mediaType"), size })
    }

    /// That of a blob of which nothing else is known.
    pub(super) fn by_digest(digest: Digest) -> Self {
        Self { digest, media_type: String::new(), size: None }
    }
}

/// An OCI image layout.
pub(super) struct Layout {
    dir: PathBuf,
    /// What `index.json` lists.
    pub(super) manifests: Vec<Value>,
    allowance: Allowance,
}

impl Layout {
    pub(super) fn open(dir: &Path, allowance: Allowance) -> anyhow::Result<Self> {
        let help = "a layout is a directory with index.json, oci-layout and blobs, as `skopeo copy .. oci:DIR` makes it";
        let is_layout = || dir.join("oci-layout").is_file() && dir.join("index.json").is_file();
        if !is_layout() {
            return Err(failure(format!("{} is no OCI image layout", dir.display()), help));
        }
        let index = dir.join("index.json");
        let read = open(&index).and_then(|(mut file, length)| document(&mut file, length));
        let text = read.with_context(|| format!("cannot read {}", index.display()))?;
        let index: Value = serde_json::from_slice(&text).with_context(|| format!("{} is no index", index.display()))?;
        Ok(Self { dir: dir.to_owned(), manifests: list(&index, "manifests"), allowance })
    }

    /// What may still be read of it.
    pub(super) fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// A blob that is a document.
    pub(super) fn document(&self, descriptor: &Descriptor) -> anyhow::Result<Value> {
        let digest = &descriptor.digest;
        let mut blob = self.blob(descriptor)?;
        let length = blob.length();
        let text = document(&mut blob, length).with_context(|| format!("cannot read the blob {digest}"))?;
        blob.check()?;
        serde_json::from_slice(&text).with_context(|| format!("the blob {digest} is no JSON"))
    }

    /// A blob to be read. What comes of it counts once `check` has said so.
    pub(super) fn blob(&self, descriptor: &Descriptor) -> anyhow::Result<Blob<'_>> {
        let digest = &descriptor.digest;
        let path = self.dir.join("blobs/sha256").join(&digest.0);
        let (file, length) = open(&path).with_context(|| format!("cannot read the blob {digest}"))?;
        // What is of another size need not be read to know that it is something else.
        if let Some(size) = descriptor.size.filter(|size| *size != length) {
            return Err(other_than_meant(digest, format!("it has {length} bytes, and is to have {size}")));
        }
        self.allowance.check_room_for(length).with_context(|| format!("cannot read the blob {digest}"))?;
        Ok(Blob { file: self.allowance.counted(file), length, hasher: Sha256::new(), digest: digest.clone() })
    }
}

/// What a document lists.
pub(super) fn list(document: &Value, name: &str) -> Vec<Value> {
    document[name].as_array().cloned().unwrap_or_default()
}

/// The text of a document, all of it.
fn document(source: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    if length > DOCUMENT_BYTES_MAX {
        let why = format!("it has {length} bytes, and {DOCUMENT_BYTES_MAX} is the limit");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    let mut text = Vec::new();
    source.take(length).read_to_end(&mut text)?;
    Ok(text)
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

fn other_than_meant(digest: &Digest, why: String) -> anyhow::Error {
    let what = format!("the blob {digest} is damaged, or is not what it says");
    anyhow::Error::msg(why).context(Remedied { what, help: "fetch the image again".to_owned() })
}

/// A blob that is read.
pub(super) struct Blob<'a> {
    file: Counted<'a, File>,
    length: u64,
    hasher: Sha256,
    digest: Digest,
}

impl Blob<'_> {
    /// Bytes that it has.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Reads what is left, and holds all of it against the digest.
    pub(super) fn check(mut self) -> anyhow::Result<()> {
        io::copy(&mut self, &mut io::sink()).with_context(|| format!("cannot read the blob {}", self.digest))?;
        let found = self.hasher.finalize().iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        if found == self.digest.to_string() {
            return Ok(());
        }
        Err(other_than_meant(&self.digest, format!("its digest is {found}")))
    }
}

impl Read for Blob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn all_that_is_read_of_an_image_counts() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(dir.path().join("blobs/sha256")).expect("a folder");
        fs::write(dir.path().join("oci-layout"), "{}").expect("a file");
        fs::write(dir.path().join("index.json"), "{}").expect("a file");
        let content = [b' '; 1000];
        let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(dir.path().join("blobs/sha256").join(&hex), content).expect("a file");
        let descriptor = Descriptor::of(&json!({ "digest": format!("sha256:{hex}"), "size": 1000 })).expect("a descriptor");
        let layout = Layout::open(dir.path(), Allowance::of(2500)).expect("a layout");
        for _ in 0..2 {
            layout.blob(&descriptor).and_then(Blob::check).expect("there is room");
        }
        let error = layout.blob(&descriptor).err().expect("there is no room");
        let told = layout.allowance().explain("p", error).to_string();
        assert_eq!(told, "p is larger than the image of a plugin may be");
        // What is unpacked counts as well.
        let mut unpacked = layout.allowance().counted(io::repeat(0).take(501));
        assert!(io::copy(&mut unpacked, &mut io::sink()).is_err());
    }
}
