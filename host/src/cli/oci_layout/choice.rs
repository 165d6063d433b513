//! Which image of a layout is meant, and which manifest of an image.

use std::env::consts::ARCH;

use aiohost::shown;
use serde_json::Value;

use super::super::remedy::failure;
use super::blob::{Blobs, Descriptor, list};
use super::reference::Which;

/// The annotation with the tag of an image.
const TAG: &str = "org.opencontainers.image.ref.name";

/// Documents that list manifests, one for each platform.
const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

/// An index in an index in an index is nobody's.
const DEPTH_MAX: usize = 3;

/// The image of a layout that is meant, by what its index lists.
pub(super) fn image(manifests: &[Value], which: &Which) -> anyhow::Result<Descriptor> {
    match which {
        Which::Digest(digest) => Ok(Descriptor::by_digest(digest.clone())),
        Which::Tag(tag) => Descriptor::of(&tagged(manifests, tag)?),
        Which::Only => Descriptor::of(&only(manifests)?),
    }
}

/// The manifest of an image, or that for this host if it has several.
pub(super) fn manifest(blobs: &Blobs<'_>, image: Descriptor) -> anyhow::Result<Value> {
    let mut descriptor = image;
    for _ in 0..DEPTH_MAX {
        let document = blobs.manifest(&descriptor)?;
        let own_type = document["mediaType"].as_str().unwrap_or(&descriptor.media_type);
        let is_index = INDEXES.contains(&own_type) || document["manifests"].is_array();
        if !is_index {
            return Ok(document);
        }
        descriptor = Descriptor::of(&for_this_host(&list(&document, "manifests"))?)?;
    }
    Err(failure("an index of this image lists another one, and so on", "name the manifest itself by its digest"))
}

fn tagged(manifests: &[Value], tag: &str) -> anyhow::Result<Value> {
    let found = manifests.iter().find(|manifest| manifest["annotations"][TAG] == tag);
    found.cloned().ok_or_else(|| failure(format!("there is no tag {tag} in this layout"), names(manifests)))
}

fn only(manifests: &[Value]) -> anyhow::Result<Value> {
    match manifests {
        [] => Err(failure("there is no image in this layout", "copy one into it")),
        [one] => Ok(one.clone()),
        several => Err(failure(format!("there are {} images in this layout", several.len()), names(several))),
    }
}

/// What there is to choose from.
fn names(manifests: &[Value]) -> String {
    let name = |manifest: &Value| match manifest["annotations"][TAG].as_str() {
        Some(tag) => format!(":{tag}"),
        None => format!("@{}", manifest["digest"].as_str().unwrap_or_default()),
    };
    format!("put one of these behind the directory: {}", shown::names(manifests.iter().map(name)))
}

/// Of several manifests that for WebAssembly, or else that for this machine: what is looked for in it is the same in all of them.
fn for_this_host(manifests: &[Value]) -> anyhow::Result<Value> {
    let machine = match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let of = |architecture: &str| manifests.iter().find(|manifest| manifest["platform"]["architecture"] == architecture);
    let found = of("wasm").or_else(|| of(machine)).or(match manifests {
        [one] => Some(one),
        _ => None,
    });
    found.cloned().ok_or_else(|| {
        let platform = |manifest: &Value| manifest["platform"]["architecture"].as_str().unwrap_or("unknown").to_owned();
        let platforms = shown::names(manifests.iter().map(platform));
        let what = format!("this image is for {platforms}, and neither for wasm nor for {machine}");
        failure(what, "name the manifest itself by its digest")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(number: u8, tag: Option<&str>, architecture: &str) -> Value {
        let digest = format!("sha256:{}", number.to_string().repeat(64));
        let annotations = tag.map_or_else(|| json!({}), |tag| json!({ TAG: tag }));
        json!({ "digest": digest, "annotations": annotations, "platform": { "architecture": architecture } })
    }

    #[test]
    fn several_images_are_named() {
        let (one, two) = (manifest(1, Some("a"), ""), manifest(2, Some("b"), ""));
        assert_eq!(only(std::slice::from_ref(&one)).expect("the only one"), one);
        assert_eq!(tagged(&[one.clone(), two.clone()], "b").expect("a tag"), two);
        let without = manifest(3, None, "");
        let error = only(&[one.clone(), without]).map_err(|error| crate::cli::exit::report(&error));
        let digest = format!("sha256:{}", "3".repeat(64));
        let told =
            format!("error: there are 2 images in this layout\n  help: put one of these behind the directory: :a, @{digest}\n");
        assert_eq!(error, Err(told));
        assert!(only(&[]).is_err() && tagged(&[one], "c").is_err());
    }

    #[test]
    fn the_manifest_for_webassembly_comes_first() {
        let machine = if ARCH == "x86_64" { "amd64" } else { "arm64" };
        let (own, wasm, other) = (manifest(1, None, machine), manifest(2, None, "wasm"), manifest(3, None, "s390x"));
        assert_eq!(for_this_host(&[own.clone(), wasm.clone()]).expect("one"), wasm);
        assert_eq!(for_this_host(&[other.clone(), own.clone()]).expect("one"), own);
        assert_eq!(for_this_host(std::slice::from_ref(&other)).expect("one"), other);
        assert!(for_this_host(&[other.clone(), other]).is_err());
    }
}
