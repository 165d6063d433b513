//! The plugins among the files of an image, as its layers leave them: a later one adds, replaces and takes away.

use std::collections::BTreeMap;

use super::super::remedy::failure;
use super::archive::{Entry, Kind};

/// Plugins that are kept in mind. 1,000: an image without a command that names one of them has one.
const NAMES_MAX: usize = 1000;

/// Bytes of their names. 1 MiB, a kilobyte each.
const NAME_BYTES_MAX: usize = 1 << 20;

/// Where a file's content is: in which layer, and in which entry of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) layer: usize,
    pub(super) entry: u64,
}

/// The plugins that are there after some layers.
pub(super) struct Files {
    /// The only one that counts, if the image names one.
    wanted: Option<Vec<u8>>,
    /// What is there: since which layer, and where its content is.
    plugins: BTreeMap<Vec<u8>, (usize, Spot)>,
    name_bytes: usize,
}

impl Files {
    pub(super) fn new(wanted: Option<Vec<u8>>) -> Self {
        Self { wanted, plugins: BTreeMap::new(), name_bytes: 0 }
    }

    /// What is there, by name.
    pub(super) fn plugins(&self) -> impl ExactSizeIterator<Item = (&[u8], Spot)> {
        self.plugins.iter().map(|(name, (_, spot))| (name.as_slice(), *spot))
    }

    pub(super) fn wanted(&self) -> Option<&[u8]> {
        self.wanted.as_deref()
    }

    /// Enters what stands at this place of the layers, which come in their order. Tells whether it is the content of a plugin.
    pub(super) fn enter(&mut self, entry: &Entry, spot: Spot) -> anyhow::Result<bool> {
        /// What a name begins with that takes another one away, and the name that takes away all that is in its directory.
        const WHITEOUT: &[u8] = b".wh.";
        const OPAQUE: &[u8] = b".wh..wh..opq";
        let path = entry.path.as_slice();
        let (dir, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b""[..], path),
        };
        if name == OPAQUE {
            self.remove_below(dir, Some(spot.layer));
            return Ok(false);
        }
        if let Some(name) = name.strip_prefix(WHITEOUT) {
            // What begins like this twice are notes of the file system that the layer was made on.
            if !name.is_empty() && !name.starts_with(WHITEOUT) {
                let gone = if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() };
                self.remove_older(&gone, Some(spot.layer));
                self.remove_below(&gone, Some(spot.layer));
            }
            return Ok(false);
        }
        self.make_directories_above(path);
        if entry.kind == Kind::Directory {
            self.remove_older(path, None);
            return Ok(false);
        }
        self.remove_below(path, None);
        let content = match &entry.kind {
            Kind::File => Some(spot),
            Kind::HardLink(target) => self.plugins.get(target).map(|(_, spot)| *spot),
            Kind::Directory | Kind::Other => None,
        };
        self.remove_older(path, None);
        if let Some(content) = content.filter(|_| self.counts(path)) {
            self.add(path, (spot.layer, content))?;
            return Ok(content == spot);
        }
        Ok(false)
    }

    fn counts(&self, path: &[u8]) -> bool {
        self.wanted.as_ref().map_or_else(|| path.ends_with(b".wasm"), |wanted| wanted == path)
    }

    fn add(&mut self, path: &[u8], file: (usize, Spot)) -> anyhow::Result<()> {
        self.name_bytes += path.len();
        self.plugins.insert(path.to_vec(), file);
        if self.plugins.len() > NAMES_MAX || self.name_bytes > NAME_BYTES_MAX {
            let what = format!("there are more than {NAMES_MAX} plugins in this image, or their names are too long");
            return Err(failure(what, "give it an entrypoint that is one of them"));
        }
        Ok(())
    }

    /// What lies above an entry is a directory, and no plugin any more.
    fn make_directories_above(&mut self, path: &[u8]) {
        for (slash, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if self.counts(&path[..slash]) {
                self.remove_older(&path[..slash], None);
            }
        }
    }

    /// Removes what is called so, if it is older than this layer.
    fn remove_older(&mut self, path: &[u8], than: Option<usize>) {
        let is_older = |since: usize| than.is_none_or(|layer| since < layer);
        if self.plugins.get(path).is_some_and(|(since, _)| is_older(*since)) {
            self.name_bytes -= path.len();
            self.plugins.remove(path);
        }
    }

    /// Removes what lies below a directory, if it is older than this layer.
    fn remove_below(&mut self, dir: &[u8], than: Option<usize>) {
        let prefix = if dir.is_empty() { Vec::new() } else { [dir, b"/"].concat() };
        let below = self.plugins.range(prefix.clone()..).map(|(name, _)| name).take_while(|name| name.starts_with(&prefix));
        for name in below.cloned().collect::<Vec<_>>() {
            self.remove_older(&name, than);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, kind: Kind) -> Entry {
        Entry { path: path.as_bytes().to_vec(), kind, length: 0 }
    }

    /// The plugins that layers leave, each with the layer and the entry of its content. An entry is a file; or a directory with `/`
    /// behind it, a symbolic link with `@`, or a hard link with `=` and its target.
    fn left(wanted: Option<&str>, layers: &[&[&str]]) -> String {
        let mut files = Files::new(wanted.map(|wanted| wanted.as_bytes().to_vec()));
        for (layer, entries) in layers.iter().enumerate() {
            for (number, text) in (0..).zip(*entries) {
                let entry = match (text.strip_suffix('/'), text.strip_suffix('@'), text.split_once('=')) {
                    (Some(dir), ..) => entry(dir, Kind::Directory),
                    (_, Some(link), _) => entry(link, Kind::Other),
                    (.., Some((link, target))) => entry(link, Kind::HardLink(target.as_bytes().to_vec())),
                    _ => entry(text, Kind::File),
                };
                files.enter(&entry, Spot { layer, entry: number }).expect("few names");
            }
        }
        let names = |(name, spot): (&[u8], Spot)| format!("{} {}.{}", String::from_utf8_lossy(name), spot.layer, spot.entry);
        files.plugins().map(names).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_later_layer_adds_replaces_and_takes_away() {
        let cases: [(&[&[&str]], &str); 22] = [
            (&[&["a.wasm", "b.txt"]], "a.wasm 0.0"),
            (&[&["a.wasm"], &["b.wasm"]], "a.wasm 0.0, b.wasm 1.0"),
            (&[&["a.wasm"], &["x", "a.wasm"]], "a.wasm 1.1"),
            (&[&["a.wasm", "a.wasm"]], "a.wasm 0.1"),
            // Whiteouts, of a file and of what is above it; not of what its own layer has.
            (&[&["d/a.wasm", "d/b.wasm"], &["d/.wh.a.wasm"]], "d/b.wasm 0.1"),
            (&[&["d/a.wasm", "b.wasm"], &[".wh.d"]], "b.wasm 0.1"),
            (&[&["a.wasm"], &[".wh.a.wasm", "a.wasm"]], "a.wasm 1.1"),
            (&[&["a.wasm"], &["a.wasm", ".wh.a.wasm"]], "a.wasm 1.0"),
            (&[&["a.wasm", ".wh.a.wasm"]], "a.wasm 0.0"),
            (&[&["a.wasm"], &[".wh.a.wasm"], &["a.wasm"]], "a.wasm 2.0"),
            (&[&["da.wasm", "d/a.wasm"], &[".wh.d"]], "da.wasm 0.0"),
            // Opaque directories.
            (&[&["d/a.wasm", "d/e/b.wasm", "c.wasm"], &["d/new.wasm", "d/.wh..wh..opq"]], "c.wasm 0.2, d/new.wasm 1.0"),
            (&[&["a.wasm"], &[".wh..wh..opq"]], ""),
            // Notes of other file systems, and a whiteout of nothing.
            (&[&["a.wasm"], &[".wh..wh.plnk", ".wh..wh.aufs", ".wh."]], "a.wasm 0.0"),
            // Something else of the same name.
            (&[&["a.wasm"], &["a.wasm/"]], ""),
            (&[&["a.wasm"], &["a.wasm@"]], ""),
            (&[&["a.wasm"], &["a.wasm/b"]], ""),
            (&[&["d/a.wasm"], &["d@"]], ""),
            (&[&["d/a.wasm"], &["d/"]], "d/a.wasm 0.0"),
            // Hard links.
            (&[&["a.wasm", "b.wasm=a.wasm"], &[".wh.a.wasm"]], "b.wasm 0.0"),
            (&[&["a.wasm"], &["b.wasm=a.wasm", ".wh.a.wasm", ".wh.b.wasm"]], "b.wasm 0.0"),
            (&[&["a.wasm"], &["a.wasm=other"]], ""),
        ];
        for (layers, expected) in cases {
            assert_eq!(left(None, layers), expected, "{layers:?}");
        }
        assert_eq!(left(Some("b"), &[&["a.wasm", "b", "c.wasm"]]), "b 0.1");
        assert_eq!(left(Some("b"), &[&["a.wasm", "b"], &[".wh.b"]]), "");
    }

    #[test]
    fn names_are_kept_up_to_a_limit_and_no_further() {
        let enter = |files: &mut Files, path: &str, layer: usize| {
            files.enter(&entry(path, Kind::File), Spot { layer, entry: 0 }).map(drop)
        };
        let mut files = Files::new(None);
        for number in 0..NAMES_MAX {
            enter(&mut files, &format!("{number}.wasm"), 0).expect("it is within the limit");
            enter(&mut files, &format!("{number}.wasm"), 0).expect("it is the same");
        }
        assert!(enter(&mut files, "more.wasm", 0).is_err());
        // What is taken away makes room.
        let mut files = Files::new(None);
        let long = |number: usize| format!("d/{}{number:02}.wasm", "n".repeat(NAME_BYTES_MAX / 16 - 9));
        for number in 0..16 {
            enter(&mut files, &long(number), 0).expect("it is within the limit");
        }
        enter(&mut files, ".wh.d", 1).expect("it adds nothing");
        for number in 0..16 {
            enter(&mut files, &long(number), 1).expect("it is within the limit");
        }
        assert!(enter(&mut files, "a.wasm", 1).is_err());
    }
}
