//! Images for the registry to have, and how it answers if nothing is wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::guests;
use crate::server::{Reply, Request};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The blobs and the tags of a repository `team/app`.
#[derive(Clone, Default)]
pub(crate) struct Images {
    blobs: BTreeMap<String, Vec<u8>>,
    tags: BTreeMap<String, String>,
}

pub(crate) fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// A plugin that says a word.
pub(crate) fn plugin(says: &str) -> Vec<u8> {
    wat::parse_str(guests::says_only(says)).expect("a valid guest")
}

impl Images {
    /// One with the image `1` of a plugin that says hello.
    pub(crate) fn hello() -> Self {
        let mut images = Self::default();
        images.add("1", "hello");
        images
    }

    /// Adds a blob, and gives its descriptor.
    pub(crate) fn blob(&mut self, kind: &str, content: &[u8]) -> Value {
        self.blobs.insert(digest(content), content.to_vec());
        json!({ "mediaType": kind, "digest": digest(content), "size": content.len() })
    }

    /// Adds a document that has a tag, and gives its digest.
    pub(crate) fn tag(&mut self, tag: &str, document: &Value) -> String {
        let digest = self.blob("", document.to_string().as_bytes())["digest"].as_str().expect("a digest").to_owned();
        self.tags.insert(tag.to_owned(), digest.clone());
        digest
    }

    /// The manifest of an artifact with such a plugin.
    pub(crate) fn manifest(&mut self, says: &str) -> Value {
        let config = self.blob("application/vnd.wasm.config.v0+json", b"{\"architecture\":\"wasm\"}");
        let layer = self.blob("application/wasm", &plugin(says));
        json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] })
    }

    /// Adds an artifact with such a plugin, and gives its digest.
    pub(crate) fn add(&mut self, tag: &str, says: &str) -> String {
        let manifest = self.manifest(says);
        self.tag(tag, &manifest)
    }

    /// Adds an index of such plugins by their architectures.
    pub(crate) fn add_index(&mut self, tag: &str, plugins: &[(&str, &str)]) -> String {
        let manifests = plugins.iter().map(|(architecture, says)| {
            let manifest = self.manifest(says).to_string();
            let mut descriptor = self.blob(MANIFEST, manifest.as_bytes());
            descriptor["platform"] = json!({ "architecture": architecture, "os": "wasip1" });
            descriptor
        });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests.collect::<Vec<_>>() });
        self.tag(tag, &index)
    }

    /// The answer to a request.
    pub(crate) fn reply(&self, request: &Request) -> Reply {
        let name = request.line.strip_prefix("GET /v2/team/app/").unwrap_or_default();
        let found = match name.split_once('/') {
            Some(("manifests", name)) => self.blobs.get(self.tags.get(name).map_or(name, String::as_str)),
            Some(("blobs", name)) => self.blobs.get(name),
            _ => None,
        };
        found.map_or_else(|| Reply::new(404, r#"{"errors":[]}"#), |content| Reply::new(200, content.clone()))
    }

    /// A function for a server that answers so, unless this says something else.
    pub(crate) fn unless(
        self,
        otherwise: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
        let images = Arc::new(self);
        move |request| otherwise(request).unwrap_or_else(|| images.reply(request))
    }
}
