//! The plugin in an image: the layer of a component that was published as an artifact, or a file in the layers of a plain image.

use std::io::Read;

use anyhow::Context as _;
use serde_json::Value;

use super::super::remedy::failure;
use super::blob::{Blobs, Descriptor, list};
use super::image;

/// Layers that are WebAssembly: of the CNCF's artifacts, and what came before.
const WASM: [&str; 3] =
    ["application/wasm", "application/vnd.wasm.content.layer.v1+wasm", "application/vnd.module.wasm.content.layer.v1+wasm"];

/// Layers of an image. 500: no file system stacks more.
const LAYERS_MAX: usize = 500;

/// Bytes of a plugin, as the library has it.
pub(super) const BYTES_MAX: u64 = 256 << 20;

/// The plugin in an image, by its manifest.
pub(super) fn plugin(blobs: &Blobs<'_>, manifest: &Value) -> anyhow::Result<Vec<u8>> {
    let layers = list(manifest, "layers");
    if layers.len() > LAYERS_MAX {
        let what = format!("there are {} layers in this image, and {LAYERS_MAX} is the limit", layers.len());
        return Err(failure(what, "put the plugin into an image of its own"));
    }
    let layers = layers.iter().map(Descriptor::of).collect::<anyhow::Result<Vec<_>>>()?;
    let of_wasm: Vec<&Descriptor> = layers.iter().filter(|layer| WASM.contains(&layer.media_type.as_str())).collect();
    match of_wasm.as_slice() {
        [] => image::plugin(blobs, manifest, &layers),
        [layer] => read(blobs, layer),
        several => {
            let what = format!("there are {} layers of WebAssembly in this image", several.len());
            Err(failure(what, "an artifact of a component has one"))
        }
    }
}

fn read(blobs: &Blobs<'_>, layer: &Descriptor) -> anyhow::Result<Vec<u8>> {
    // Before it is fetched, and then for what was found.
    layer.size.map_or(Ok(()), check_length)?;
    let mut blob = blobs.blob(layer)?;
    check_length(blob.length())?;
    let mut content = Vec::new();
    blob.read_to_end(&mut content).with_context(|| format!("cannot read the blob {}", layer.digest))?;
    blob.check()?;
    Ok(content)
}

fn check_length(bytes: u64) -> anyhow::Result<()> {
    if bytes <= BYTES_MAX {
        return Ok(());
    }
    let what = format!("the plugin in this image has {} MiB, and may have {}", bytes >> 20, BYTES_MAX >> 20);
    Err(failure(what, "build it without debug information: `wasm-tools strip` removes it"))
}
