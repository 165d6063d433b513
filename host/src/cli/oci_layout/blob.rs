//! The blobs of an image, wherever they come from. Each is known by its digest, and whoever has read one to its end knows whether it was
//! the one that was meant.

use std::fmt;
use std::io::{self, Read};

use anyhow::Context as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::super::remedy::Remedied;
use super::allowance::Allowance;

/// Bytes of an index, a manifest or a configuration. 4 MiB: registries take no more.
pub(in super::super) const DOCUMENT_BYTES_MAX: u64 = 4 << 20;

/// A digest by SHA-256, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Digest(String);

impl Digest {
    pub(in super::super) fn parse(text: &str) -> anyhow::Result<Self> {
        let hex = text
            .strip_prefix("sha256:")
            .with_context(|| format!("the digest {text:?} is not by sha256, which alone is known here"))?;
        let is_hex = hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        anyhow::ensure!(is_hex, "the digest {text:?} is not 64 digits of hexadecimal");
        Ok(Self(hex.to_owned()))
    }

    /// That of what was hashed.
    pub(in super::super) fn found(hasher: Sha256) -> Self {
        Self(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Its digits.
    pub(in super::super) fn hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

/// What a document says of a blob.
#[derive(Clone, Debug)]
pub(in super::super) struct Descriptor {
    pub(in super::super) digest: Digest,
    pub(super) media_type: String,
    /// Bytes. Some tools leave it out.
    pub(in super::super) size: Option<u64>,
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
    pub(in super::super) fn by_digest(digest: Digest) -> Self {
        Self { digest, media_type: String::new(), size: None }
    }
}

/// What a blob is: a registry has manifests in a place of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Part {
    Manifest,
    Content,
}

/// A blob that was found: its bytes, which nobody has looked at, and how many there are to be.
pub(in super::super) struct Found<'a> {
    pub(in super::super) bytes: Box<dyn Read + 'a>,
    pub(in super::super) length: u64,
}

type Find<'a> = dyn Fn(&Descriptor, Part) -> anyhow::Result<Found<'a>> + 'a;

/// Where blobs are found, and what may still be read of them.
pub(in super::super) struct Blobs<'a> {
    find: Box<Find<'a>>,
    allowance: Allowance,
}

impl<'a> Blobs<'a> {
    pub(in super::super) fn new(
        allowance: Allowance,
        find: impl Fn(&Descriptor, Part) -> anyhow::Result<Found<'a>> + 'a,
    ) -> Self {
        Self { find: Box::new(find), allowance }
    }

    /// What may still be read.
    pub(super) fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// A manifest, or an index of several.
    pub(super) fn manifest(&self, descriptor: &Descriptor) -> anyhow::Result<Value> {
        self.json(descriptor, Part::Manifest)
    }

    /// A blob that is a document.
    pub(super) fn document(&self, descriptor: &Descriptor) -> anyhow::Result<Value> {
        self.json(descriptor, Part::Content)
    }

    fn json(&self, descriptor: &Descriptor, part: Part) -> anyhow::Result<Value> {
        let digest = &descriptor.digest;
        let cannot = || format!("cannot read the blob {digest}");
        // Before it is fetched, and then for what was found.
        descriptor.size.map_or(Ok(()), check_document).with_context(cannot)?;
        let mut blob = self.find(descriptor, part)?;
        let length = blob.length();
        let text = document(&mut blob, length).with_context(cannot)?;
        blob.check()?;
        serde_json::from_slice(&text).with_context(|| format!("the blob {digest} is no JSON"))
    }

    /// A blob to be read. What comes of it counts once `check` has said so.
    pub(super) fn blob(&self, descriptor: &Descriptor) -> anyhow::Result<Blob<'_>> {
        self.find(descriptor, Part::Content)
    }

    fn find(&self, descriptor: &Descriptor, part: Part) -> anyhow::Result<Blob<'_>> {
        let digest = &descriptor.digest;
        let check_room = |bytes| self.allowance.check_room_for(bytes).with_context(|| format!("cannot read the blob {digest}"));
        // Before it is fetched, and then for what was found.
        descriptor.size.map_or(Ok(()), check_room)?;
        let found = (self.find)(descriptor, part)?;
        // What is of another size need not be read to know that it is something else.
        if let Some(size) = descriptor.size.filter(|size| *size != found.length) {
            return Err(other_than_meant(digest, format!("it has {} bytes, and is to have {size}", found.length)));
        }
        check_room(found.length)?;
        let bytes = Box::new(self.allowance.counted(found.bytes));
        Ok(Blob::new(Found { bytes, length: found.length }, digest))
    }
}

/// What a document lists.
pub(super) fn list(document: &Value, name: &str) -> Vec<Value> {
    document[name].as_array().cloned().unwrap_or_default()
}

/// The text of a document, all of it.
pub(super) fn document(source: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    check_document(length)?;
    let mut text = Vec::new();
    source.take(length).read_to_end(&mut text)?;
    Ok(text)
}

fn check_document(length: u64) -> io::Result<()> {
    if length <= DOCUMENT_BYTES_MAX {
        return Ok(());
    }
    let why = format!("it has {length} bytes, and {DOCUMENT_BYTES_MAX} is the limit");
    Err(io::Error::new(io::ErrorKind::FileTooLarge, why))
}

/// The error for a blob that is something else.
pub(in super::super) fn other_than_meant(digest: &Digest, why: String) -> anyhow::Error {
    let what = format!("the blob {digest} is damaged, or is not what it says");
    anyhow::Error::msg(why).context(Remedied { what, help: "fetch the image again".to_owned() })
}

/// A blob that is read.
pub(in super::super) struct Blob<'a> {
    found: Found<'a>,
    left: u64,
    hasher: Sha256,
    digest: Digest,
}

impl<'a> Blob<'a> {
    pub(in super::super) fn new(found: Found<'a>, digest: &Digest) -> Self {
        let left = found.length;
        Self { found, left, hasher: Sha256::new(), digest: digest.clone() }
    }

    /// Bytes that it has.
    pub(super) fn length(&self) -> u64 {
        self.found.length
    }

    /// Reads what is left, and holds all of it against the digest.
    pub(in super::super) fn check(mut self) -> anyhow::Result<()> {
        io::copy(&mut self, &mut io::sink()).with_context(|| format!("cannot read the blob {}", self.digest))?;
        let found = Digest::found(self.hasher);
        if found == self.digest { Ok(()) } else { Err(other_than_meant(&self.digest, format!("its digest is {found}"))) }
    }
}

impl Read for Blob<'_> {
    /// Neither more nor less than there is to be.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.found.bytes.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        let left = self.left.checked_sub(u64::try_from(length).unwrap_or(u64::MAX));
        let whole = self.found.length;
        self.left =
            left.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {whole} bytes")))?;
        if length == 0 && self.left > 0 && !buffer.is_empty() {
            let why = format!("it has ended after {} of {whole} bytes", whole - self.left);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_that_is_read_of_an_image_counts() {
        let content = [b' '; 1000];
        let digest = Digest::found(Sha256::new_with_prefix(content));
        let descriptor = Descriptor::of(&json!({ "digest": digest.to_string(), "size": 1000 })).expect("a descriptor");
        let blobs =
            Blobs::new(Allowance::of(2500), |_, _| Ok(Found { bytes: Box::new(io::Cursor::new([b' '; 1000])), length: 1000 }));
        for _ in 0..2 {
            blobs.blob(&descriptor).and_then(Blob::check).expect("there is room");
        }
        let error = blobs.blob(&descriptor).err().expect("there is no room");
        let told = blobs.allowance().explain("p", error).to_string();
        assert_eq!(told, "p is larger than the image of a plugin may be");
        // What is unpacked counts as well.
        let mut unpacked = blobs.allowance().counted(io::repeat(0).take(501));
        assert!(io::copy(&mut unpacked, &mut io::sink()).is_err());
    }

    #[test]
    fn a_blob_is_neither_cut_nor_endless() {
        let digest = Digest::found(Sha256::new_with_prefix([0; 1000]));
        let read = |source: Box<dyn Read>| {
            let mut blob = Blob::new(Found { bytes: source, length: 1000 }, &digest);
            io::copy(&mut blob, &mut io::sink()).map_err(|error| error.to_string())?;
            blob.check().map_err(|error| error.to_string())
        };
        assert_eq!(read(Box::new(io::repeat(0).take(1000))), Ok(()));
        assert_eq!(read(Box::new(io::repeat(0).take(999))), Err("it has ended after 999 of 1000 bytes".to_owned()));
        assert_eq!(read(Box::new(io::repeat(0))), Err("it has more than 1000 bytes".to_owned()));
        assert!(read(Box::new(io::repeat(1).take(1000))).is_err());
    }
}
