//! OCI image layouts: images of plugins and artifacts of components, made by hand.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The media types of plain images.
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A layout in a directory.
pub(crate) struct Layout {
    pub(crate) dir: PathBuf,
    manifests: Vec<Value>,
}

/// What is in an archive.
pub(crate) enum Entry<'a> {
    File(&'a [u8]),
    Link(&'a str),
}

impl Layout {
    pub(crate) fn new(dir: &Path) -> Self {
        fs::create_dir_all(dir.join("blobs/sha256")).expect("a folder");
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file");
        Self { dir: dir.to_owned(), manifests: Vec::new() }
    }

    /// Adds an image: the type of its configuration, that itself, and its layers by their types. Gives the digest of its manifest.
    pub(crate) fn add(&mut self, tag: &str, config: (&str, &Value), layers: &[(&str, Vec<u8>)], annotations: &Value) -> String {
        let layers: Vec<Value> = layers.iter().map(|(kind, content)| self.blob(kind, content)).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "annotations": annotations, "layers": layers,
            "config": self.blob(config.0, config.1.to_string().as_bytes()),
        });
        let mut descriptor = self.blob(MANIFEST, manifest.to_string().as_bytes());
        // By the second one containerd names what it imports.
        descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": tag, "io.containerd.image.name": tag });
        let digest = descriptor["digest"].as_str().expect("a digest").to_owned();
        self.manifests.push(descriptor);
        let index = json!({ "schemaVersion": 2, "manifests": self.manifests });
        fs::write(self.dir.join("index.json"), index.to_string()).expect("a file");
        digest
    }

    /// Stores a blob, and gives its descriptor.
    fn blob(&self, kind: &str, content: &[u8]) -> Value {
        let hex = sha256(content);
        fs::write(self.dir.join("blobs/sha256").join(&hex), content).expect("a file");
        json!({ "mediaType": kind, "digest": format!("sha256:{hex}"), "size": content.len() })
    }
}

/// The configuration of an image with this command, whose one layer is this.
pub(crate) fn config(command: &[&str], layer: &[u8]) -> Value {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    json!({
        "architecture": architecture, "os": "linux", "config": { "Entrypoint": command },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", sha256(layer))] },
    })
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A tar archive.
pub(crate) fn tar(entries: &[(&str, Entry<'_>)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, entry) in entries {
        let (kind, content, target) = match entry {
            Entry::File(content) => (b'0', *content, ""),
            Entry::Link(target) => (b'2', b"".as_slice(), *target),
        };
        let mut header = [0; 512];
        let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, name);
        put(100, "0000755");
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{:011o}", content.len()));
        put(136, "00000000000");
        put(148, "        ");
        put(157, target);
        put(257, "ustar\x0000");
        header[156] = kind;
        let sum: u32 = header.iter().copied().map(u32::from).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        archive.extend(header);
        archive.extend(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}
