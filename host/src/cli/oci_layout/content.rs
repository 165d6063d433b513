//! The plugin in an image: the layer of a component that was published as an artifact, or a file in the layers of a plain image.

use std::io::Read;

use anyhow::Context as _;
use serde_json::Value;

use super::super::remedy::failure;
use super::blob::{Descriptor, Layout, list};
use super::image;

/// Layers that are WebAssembly: of the CNCF's artifacts, and what came before.
const WASM: [&str; 3] =
    ["application/wasm", "application/vnd.wasm.content.layer.v1+wasm", "application/vnd.module.wasm.content.layer.v1+wasm"];

/// Bytes of a plugin, as the library has it.
pub(super) const BYTES_MAX: u64 = 256 << 20;

/// The plugin in an image, by its manifest.
pub(super) fn plugin(layout: &Layout, manifest: &Value) -> anyhow::Result<Vec<u8>> {
    let layers = list(manifest, "layers").iter().map(Descriptor::of).collect::<anyhow::Result<Vec<_>>>()?;
    let of_wasm: Vec<&Descriptor> = layers.iter().filter(|layer| WASM.contains(&layer.media_type.as_str())).collect();
    match of_wasm.as_slice() {
        [] => image::plugin(layout, manifest, &layers),
        [layer] => read(layout, layer),
        several => {
            let what = format!("there are {} layers of WebAssembly in this image", several.len());
            Err(failure(what, "an artifact of a component has one"))
        }
    }
}

fn read(layout: &Layout, layer: &Descriptor) -> anyhow::Result<Vec<u8>> {
    let mut blob = layout.blob(&layer.digest)?;
    let mut content = Vec::new();
    // One byte more: the library tells of a plugin that is too large.
    let read = (&mut blob).take(BYTES_MAX + 1).read_to_end(&mut content);
    read.with_context(|| format!("cannot read the blob {}", layer.digest))?;
    blob.check()?;
    Ok(content)
}
