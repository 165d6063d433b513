//! A plugin as a file in a plain image: the first word of its command if that is a `.wasm`, or the only such file.

use std::io::{BufReader, Read};

use aiohost::shown;
use anyhow::Context as _;
use flate2::bufread::MultiGzDecoder;
use serde_json::Value;

use super::super::remedy::failure;
use super::archive::{Archive, Kind, normal};
use super::blob::{Blobs, Descriptor};
use super::content::BYTES_MAX;
use super::files::{Files, Spot};

/// The plugin in an image that has no layer of WebAssembly.
pub(super) fn plugin(blobs: &Blobs<'_>, manifest: &Value, layers: &[Descriptor]) -> anyhow::Result<Vec<u8>> {
    let config = blobs.document(&Descriptor::of(&manifest["config"])?)?;
    let mut files = Files::new(wanted(&config));
    let mut last = None;
    for (number, layer) in layers.iter().enumerate() {
        // What the plugin is may be known only once the last layer has been seen.
        unpack(blobs, layer, |archive| look(archive, number, &mut files, &mut last))?;
    }
    let spot = only(&files)?;
    if let Some((found, content)) = last
        && found == spot
    {
        return Ok(content);
    }
    let layer = layers.get(spot.layer).context("there is no such layer")?;
    unpack(blobs, layer, |archive| take(archive, spot.entry))
}

/// The plugin that is the first word of the image's command.
fn wanted(config: &Value) -> Option<Vec<u8>> {
    let first = |name: &str| config["config"][name][0].as_str();
    let word = first("Entrypoint").or_else(|| first("Cmd"))?;
    word.ends_with(".wasm").then(|| normal(word.as_bytes()))
}

/// Where the plugin is, if there is one and no other.
fn only(files: &Files) -> anyhow::Result<Spot> {
    let mut plugins = files.plugins();
    match (plugins.next(), plugins.len(), files.wanted()) {
        (Some((_, spot)), 0, _) => Ok(spot),
        (None, _, Some(wanted)) => {
            let what = format!("{} is no file of this image", shown::name(&String::from_utf8_lossy(wanted)));
            Err(failure(what, "its entrypoint is to be the path of a file in its layers, which is no link"))
        }
        (None, ..) => {
            let help = "an image of a plugin has a layer `application/wasm`, or a .wasm in its files";
            Err(failure("there is no WebAssembly in this image", help))
        }
        (Some(_), ..) => {
            let names = shown::names(files.plugins().map(|(name, _)| String::from_utf8_lossy(name).into_owned()));
            let what = format!("there are several plugins in this image: {names}");
            Err(failure(what, "give it an entrypoint that is one of them"))
        }
    }
}

/// Does something with what is in a layer, which is then held against its digest.
fn unpack<T>(
    blobs: &Blobs<'_>,
    layer: &Descriptor,
    read: impl FnOnce(&mut Archive<&mut dyn Read>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let kind = layer.media_type.as_str();
    let mut blob = blobs.blob(layer)?;
    let broken = || format!("the layer {} cannot be unpacked", layer.digest);
    let result = if kind.ends_with("gzip") {
        let mut unpacked = blobs.allowance().counted(MultiGzDecoder::new(BufReader::new(&mut blob)));
        read(&mut Archive::new(&mut unpacked as &mut dyn Read)).with_context(broken)?
    } else if kind.ends_with("tar") {
        read(&mut Archive::new(&mut blob as &mut dyn Read)).with_context(broken)?
    } else {
        let help = "layers are read if they are application/wasm, or tar, plain or with gzip";
        return Err(failure(format!("there is a layer {} in this image, which is not known here", shown::name(kind)), help));
    };
    blob.check()?;
    Ok(result)
}

/// Enters what a layer does to the files, and keeps what was found last: as a rule that is the plugin.
fn look(
    archive: &mut Archive<&mut dyn Read>,
    layer: usize,
    files: &mut Files,
    last: &mut Option<(Spot, Vec<u8>)>,
) -> anyhow::Result<()> {
    let mut number = 0;
    while let Some(entry) = archive.next()? {
        let spot = Spot { layer, entry: number };
        if files.enter(&entry, spot)? && entry.length <= BYTES_MAX {
            *last = Some((spot, archive.content(entry.length, BYTES_MAX)?));
        }
        number += 1;
    }
    Ok(())
}

/// The content of an entry.
fn take(archive: &mut Archive<&mut dyn Read>, number: u64) -> anyhow::Result<Vec<u8>> {
    let mut rest = number;
    while let Some(entry) = archive.next()? {
        if rest == 0 && entry.kind == Kind::File {
            return Ok(archive.content(entry.length, BYTES_MAX)?);
        }
        rest = rest.checked_sub(1).context("it is another one than it was")?;
    }
    anyhow::bail!("it is another one than it was")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_entrypoint_says_which_file_is_meant() {
        let name = |name: &str| Some(name.as_bytes().to_vec());
        assert_eq!(wanted(&json!({ "config": { "Entrypoint": ["/app/p.wasm", "x"] } })), name("app/p.wasm"));
        assert_eq!(wanted(&json!({ "config": { "Cmd": ["./p.wasm"] } })), name("p.wasm"));
        assert_eq!(wanted(&json!({ "config": { "Entrypoint": ["/bin/sh"], "Cmd": ["p.wasm"] } })), None);
        assert_eq!(wanted(&json!({})), None);
    }
}
