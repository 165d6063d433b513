//! A plugin as a file in a plain image: the first word of its command if that is a `.wasm`, or the only such file.

use std::io::{self, BufReader, ErrorKind, Read};

use anyhow::Context as _;
use flate2::bufread::MultiGzDecoder;
use serde_json::Value;

use super::super::remedy::failure;
use super::blob::{Descriptor, Layout};
use super::content::BYTES_MAX;

/// Bytes that a layer may unpack to. 8 GiB: beyond that it is no image of a plugin, but something that is to keep the host busy.
const LAYER_BYTES_MAX: u64 = 8 << 30;

/// Bytes of a name in a layer. 64 KiB, more than any system takes.
const NAME_BYTES_MAX: u64 = 64 << 10;

const BLOCK: usize = 512;

/// The plugin in an image that has no layer of WebAssembly.
pub(super) fn plugin(layout: &Layout, manifest: &Value, layers: &[Descriptor]) -> anyhow::Result<Vec<u8>> {
    let config = layout.document(&Descriptor::of(&manifest["config"])?.digest)?;
    let mut found = Found { wanted: wanted(&config), names: Vec::new(), content: None };
    for layer in layers {
        look(layout, layer, &mut found)?;
    }
    match (found.content, found.names.as_slice()) {
        (Some(content), [_]) => Ok(content),
        (_, []) => {
            let help = "an image of a plugin has a layer `application/wasm`, or a .wasm in its files";
            Err(failure("there is no WebAssembly in this image", help))
        }
        (_, several) => {
            let what = format!("there are several plugins in this image: {}", several.join(", "));
            Err(failure(what, "give it an entrypoint that is one of them"))
        }
    }
}

/// The plugin that is the first word of the image's command.
fn wanted(config: &Value) -> Option<String> {
    let first = |name: &str| config["config"][name][0].as_str();
    let word = first("Entrypoint").or_else(|| first("Cmd"))?;
    let path = word.trim_start_matches("./").trim_start_matches('/');
    path.ends_with(".wasm").then(|| path.to_owned())
}

/// What was found in the layers so far.
struct Found {
    wanted: Option<String>,
    names: Vec<String>,
    /// That of the file that was found last: a later layer replaces what an earlier one has.
    content: Option<Vec<u8>>,
}

impl Found {
    fn wants(&self, name: &str) -> bool {
        self.wanted.as_ref().map_or_else(|| name.ends_with(".wasm"), |wanted| wanted == name)
    }
}

fn look(layout: &Layout, layer: &Descriptor, found: &mut Found) -> anyhow::Result<()> {
    let kind = layer.media_type.as_str();
    let mut blob = layout.blob(&layer.digest)?;
    let broken = || format!("the layer {} cannot be unpacked", layer.digest);
    if kind.ends_with("gzip") {
        let unpacked = MultiGzDecoder::new(BufReader::new(&mut blob));
        unpack_within(unpacked, found).with_context(broken)?;
    } else if kind.ends_with("tar") {
        unpack_within(&mut blob, found).with_context(broken)?;
    } else {
        let help = "layers are read if they are application/wasm, or tar, plain or with gzip";
        return Err(failure(format!("there is a layer {kind} in this image, which is not known here"), help));
    }
    blob.check()
}

fn unpack_within(tar: impl Read, found: &mut Found) -> io::Result<()> {
    let mut limited = tar.take(LAYER_BYTES_MAX);
    unpack(&mut limited, found)?;
    if limited.limit() == 0 {
        return Err(io::Error::new(ErrorKind::InvalidData, format!("it has more than {LAYER_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Goes through a tar archive as POSIX has it, with the names of `pax` and of GNU.
fn unpack(tar: &mut impl Read, found: &mut Found) -> io::Result<()> {
    let mut long_name = None;
    while let Some(header) = header(tar)? {
        let length = number(&header[124..136])?;
        let padding = length.next_multiple_of(BLOCK as u64) - length;
        match header[156] {
            b'L' => long_name = Some(until_zero(&content(tar, length, NAME_BYTES_MAX)?)),
            b'x' => long_name = path_of_pax(&content(tar, length, NAME_BYTES_MAX)?).or(long_name),
            kind => {
                let name = long_name.take().unwrap_or_else(|| name(&header));
                let name = name.trim_start_matches("./").trim_start_matches('/');
                if matches!(kind, b'0' | 0) && found.wants(name) {
                    found.content = Some(content(tar, length, BYTES_MAX)?);
                    if !found.names.iter().any(|known| known == name) {
                        found.names.push(name.to_owned());
                    }
                } else {
                    skip(tar, length)?;
                }
            }
        }
        skip(tar, padding)?;
    }
    Ok(())
}

/// The header of the next file, if there is one. Some writers leave out the block of zeros at the end.
fn header(tar: &mut impl Read) -> io::Result<Option<[u8; BLOCK]>> {
    let mut header = Vec::with_capacity(BLOCK);
    tar.take(BLOCK as u64).read_to_end(&mut header)?;
    if header.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    header.try_into().map(Some).map_err(|_| ErrorKind::UnexpectedEof.into())
}

fn content(tar: &mut impl Read, length: u64, max: u64) -> io::Result<Vec<u8>> {
    if length > max {
        return Err(io::Error::new(
            ErrorKind::InvalidData,
            format!("there is a file of {length} bytes, and {max} is the limit"),
        ));
    }
    let mut content = Vec::new();
    tar.take(length).read_to_end(&mut content)?;
    if content.len() as u64 == length { Ok(content) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

fn skip(tar: &mut impl Read, length: u64) -> io::Result<()> {
    if io::copy(&mut tar.take(length), &mut io::sink())? == length { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

/// A number of a header, in octal.
fn number(field: &[u8]) -> io::Result<u64> {
    let text = until_zero(field);
    u64::from_str_radix(text.trim(), 8).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is no tar archive"))
}

fn until_zero(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

fn name(header: &[u8; BLOCK]) -> String {
    let (name, prefix) = (until_zero(&header[..100]), until_zero(&header[345..500]));
    let is_posix = header[257..].starts_with(b"ustar\0");
    if is_posix && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
}

/// The path among the records of `pax`, each with its length before it.
fn path_of_pax(records: &[u8]) -> Option<String> {
    let mut rest = records;
    while !rest.is_empty() {
        let space = rest.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let record = rest.get(space + 1..length)?;
        if let Some(path) = record.strip_prefix(b"path=") {
            return Some(String::from_utf8_lossy(path.strip_suffix(b"\n")?).into_owned());
        }
        rest = &rest[length..];
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An entry of a tar archive.
    fn entry(kind: u8, name: &str, prefix: &str, content: &[u8]) -> Vec<u8> {
        let mut header = [0; BLOCK];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[156] = kind;
        header[257..263].copy_from_slice(b"ustar\0");
        header[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
        let mut entry = header.to_vec();
        entry.extend(content);
        entry.resize(entry.len().next_multiple_of(BLOCK), 0);
        entry
    }

    fn find(wanted: Option<&str>, entries: &[Vec<u8>]) -> io::Result<(Vec<String>, Option<Vec<u8>>)> {
        let mut found = Found { wanted: wanted.map(str::to_owned), names: Vec::new(), content: None };
        unpack(&mut entries.concat().as_slice(), &mut found)?;
        Ok((found.names, found.content))
    }

    #[test]
    fn a_file_is_found_by_any_form_of_its_name() {
        let end = vec![0; 2 * BLOCK];
        let forms = [
            vec![entry(b'0', "app/p.wasm", "", b"x")],
            vec![entry(0, "./app/p.wasm", "", b"x")],
            vec![entry(b'0', "p.wasm", "app", b"x")],
            vec![entry(b'L', "././@LongLink", "", b"app/p.wasm\0"), entry(b'0', "app/p", "", b"x")],
            vec![entry(b'x', "pax", "", b"13 mtime=1.5\n19 path=app/p.wasm\n"), entry(b'0', "cut", "", b"x")],
            vec![entry(b'5', "app", "", b""), entry(b'0', "big", "", &[1; 5000]), entry(b'0', "app/p.wasm", "", b"x")],
            vec![entry(b'2', "link.wasm", "", b""), entry(b'0', "app/p.wasm", "", b"old"), entry(b'0', "app/p.wasm", "", b"x")],
        ];
        for mut entries in forms {
            entries.push(end.clone());
            let expected = (vec!["app/p.wasm".to_owned()], Some(b"x".to_vec()));
            assert_eq!(find(None, &entries).expect("a tar archive"), expected);
            assert_eq!(find(Some("app/p.wasm"), &entries).expect("a tar archive"), expected);
            assert_eq!(find(Some("p.wasm"), &entries).expect("a tar archive"), (vec![], None));
        }
    }

    #[test]
    fn what_is_cut_or_lies_about_its_length_is_an_error() {
        let mut cut = entry(b'0', "p.wasm", "", &[1; 1000]);
        cut.truncate(BLOCK + 100);
        let mut huge = entry(b'0', "p.wasm", "", b"");
        huge[124..135].copy_from_slice(b"77777777777");
        for broken in [cut, huge, vec![b'x'; BLOCK], b"no".repeat(BLOCK)] {
            assert!(find(None, &[broken]).is_err());
        }
        assert_eq!(path_of_pax(b"99999 path=x\n"), None);
        assert_eq!(path_of_pax(b"3 \n0 path=x\n"), None);
    }

    #[test]
    fn the_entrypoint_says_which_file_is_meant() {
        assert_eq!(wanted(&json!({ "config": { "Entrypoint": ["/app/p.wasm", "x"] } })), Some("app/p.wasm".to_owned()));
        assert_eq!(wanted(&json!({ "config": { "Cmd": ["./p.wasm"] } })), Some("p.wasm".to_owned()));
        assert_eq!(wanted(&json!({ "config": { "Entrypoint": ["/bin/sh"], "Cmd": ["p.wasm"] } })), None);
        assert_eq!(wanted(&json!({})), None);
    }
}
