//! A tar archive, as POSIX has it, with the names of `pax` and of GNU: one entry after the other.

use std::io::{self, ErrorKind, Read};

/// Bytes of what stands before an entry, as its name. 1 MiB, as in other readers.
const NOTE_BYTES_MAX: u64 = 1 << 20;

const BLOCK: usize = 512;

/// An archive that is read.
pub(super) struct Archive<R> {
    tar: R,
    /// Bytes up to the next header.
    rest: u64,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// Another name of the file with this one.
    HardLink(Vec<u8>),
    Other,
}

/// An entry: its path from the root, without `.` and `..`, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) length: u64,
}

/// What the notes before an entry say of it.
#[derive(Default)]
struct Notes {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    length: Option<u64>,
}

impl<R: Read> Archive<R> {
    pub(super) fn new(tar: R) -> Self {
        Self { tar, rest: 0 }
    }

    /// The next entry, if there is one.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut notes = Notes::default();
        loop {
            let rest = std::mem::take(&mut self.rest);
            if io::copy(&mut (&mut self.tar).take(rest), &mut io::sink())? < rest {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let Some(header) = self.header()? else { return Ok(None) };
            let mut length = number(&header[124..136])?;
            let kind = header[156];
            let is_note = matches!(kind, b'L' | b'K' | b'x');
            if !is_note {
                length = notes.length.unwrap_or(length);
            }
            let blocks = length.checked_next_multiple_of(BLOCK as u64);
            self.rest = blocks.ok_or_else(|| broken("there is an entry without end"))?;
            match kind {
                b'L' => notes.path = Some(until_zero(&self.content(length, NOTE_BYTES_MAX)?).to_vec()),
                b'K' => notes.link = Some(until_zero(&self.content(length, NOTE_BYTES_MAX)?).to_vec()),
                b'x' => notes.take(&self.content(length, NOTE_BYTES_MAX)?)?,
                // What it says holds for all entries, and no name or length does.
                b'g' => {}
                _ => return Ok(Some(entry(&header, notes, length))),
            }
        }
    }

    /// What is in the entry that came last.
    pub(super) fn content(&mut self, length: u64, max: u64) -> io::Result<Vec<u8>> {
        if length > max {
            return Err(broken(&format!("there is a file of {length} bytes, and {max} is the limit")));
        }
        let mut content = Vec::new();
        (&mut self.tar).take(length).read_to_end(&mut content)?;
        self.rest = self.rest.saturating_sub(length);
        if content.len() as u64 == length { Ok(content) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    /// The next header, if there is one. Some writers leave out the block of zeros at the end.
    fn header(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut header = Vec::with_capacity(BLOCK);
        (&mut self.tar).take(BLOCK as u64).read_to_end(&mut header)?;
        if header.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        header.try_into().map(Some).map_err(|_| ErrorKind::UnexpectedEof.into())
    }
}

impl Notes {
    /// Takes the records of `pax`, each with its length before it. Of two that say the same the later one counts.
    fn take(&mut self, records: &[u8]) -> io::Result<()> {
        let mut rest = records;
        while !rest.is_empty() {
            let (record, behind) = record(rest).ok_or_else(|| broken("its records of pax are damaged"))?;
            if let Some(path) = record.strip_prefix(b"path=") {
                self.path = Some(path.to_vec());
            } else if let Some(link) = record.strip_prefix(b"linkpath=") {
                self.link = Some(link.to_vec());
            } else if let Some(length) = record.strip_prefix(b"size=") {
                let length = std::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
                self.length = Some(length.ok_or_else(|| broken("its records of pax are damaged"))?);
            }
            rest = behind;
        }
        Ok(())
    }
}

/// The first of several records, and the others.
fn record(records: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = records.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
    let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
    Some((record, &records[length..]))
}

fn entry(header: &[u8; BLOCK], notes: Notes, length: u64) -> Entry {
    let path = notes.path.unwrap_or_else(|| name(header));
    let kind = match header[156] {
        // Before there were types of entries, a name ended like this.
        0 | b'0' if path.ends_with(b"/") => Kind::Directory,
        0 | b'0' | b'7' => Kind::File,
        b'1' => Kind::HardLink(normal(&notes.link.unwrap_or_else(|| until_zero(&header[157..257]).to_vec()))),
        b'5' => Kind::Directory,
        _ => Kind::Other,
    };
    Entry { path: normal(&path), kind, length }
}

/// A path from the root, by its names alone. What would lead out stays at the root.
pub(super) fn normal(path: &[u8]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join(&b'/')
}

/// A number of a header, in octal.
fn number(field: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(until_zero(field)).unwrap_or("-");
    u64::from_str_radix(text.trim(), 8).map_err(|_| broken("it is no tar archive"))
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn name(header: &[u8; BLOCK]) -> Vec<u8> {
    let (name, prefix) = (until_zero(&header[..100]), until_zero(&header[345..500]));
    let is_posix = header[257..].starts_with(b"ustar\0");
    if is_posix && !prefix.is_empty() { [prefix, b"/", name].concat() } else { name.to_vec() }
}

fn broken(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An entry of a tar archive.
    pub(in super::super) fn packed(kind: u8, name: &str, prefix: &str, content: &[u8]) -> Vec<u8> {
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

    /// The entries of an archive with what is in its files.
    fn unpacked(entries: &[Vec<u8>]) -> io::Result<Vec<(String, Kind, Vec<u8>)>> {
        let tar = entries.concat();
        let mut archive = Archive::new(tar.as_slice());
        let mut found = Vec::new();
        while let Some(entry) = archive.next()? {
            let content = if entry.kind == Kind::File { archive.content(entry.length, 1 << 20)? } else { Vec::new() };
            found.push((String::from_utf8_lossy(&entry.path).into_owned(), entry.kind, content));
        }
        Ok(found)
    }

    #[test]
    fn a_file_is_found_by_any_form_of_its_name() {
        let forms = [
            vec![packed(b'0', "app/p.wasm", "", b"x")],
            vec![packed(0, "./app//p.wasm", "", b"x")],
            vec![packed(b'0', "p.wasm", "app", b"x")],
            vec![packed(b'0', "/../app/b/../p.wasm", "", b"x")],
            vec![packed(b'L', "././@LongLink", "", b"app/p.wasm\0"), packed(b'0', "app/p", "", b"x")],
            vec![packed(b'x', "pax", "", b"13 mtime=1.5\n19 path=app/p.wasm\n"), packed(b'0', "cut", "", b"x")],
            vec![packed(b'x', "pax", "", b"9 path=a\n19 path=app/p.wasm\n9 size=1\n"), packed(b'0', "cut", "", b"x")],
            vec![packed(b'g', "all", "", &[1; 600]), packed(b'7', "app/p.wasm", "", b"x")],
        ];
        for mut entries in forms {
            entries.push(vec![0; 2 * BLOCK]);
            let found = unpacked(&entries).expect("a tar archive");
            assert_eq!(found, [("app/p.wasm".to_owned(), Kind::File, b"x".to_vec())]);
        }
    }

    #[test]
    fn other_things_are_known_by_their_kinds() {
        let mut link = packed(b'1', "b", "", b"");
        link[157..160].copy_from_slice(b"/a/");
        let notes = packed(b'K', "././@LongLink", "", b"./c/d\0");
        let entries =
            [link.clone(), notes, link, packed(b'5', "dir", "", b""), packed(0, "old/", "", b""), packed(b'2', "s", "", b"")];
        let found = unpacked(&entries).expect("a tar archive");
        let kinds: Vec<(&str, &Kind)> = found.iter().map(|(name, kind, _)| (name.as_str(), kind)).collect();
        let to = |name: &[u8]| Kind::HardLink(name.to_vec());
        let (one, other) = (to(b"a"), to(b"c/d"));
        let expected = [("b", &one), ("b", &other), ("dir", &Kind::Directory), ("old", &Kind::Directory), ("s", &Kind::Other)];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn what_is_cut_or_lies_about_its_length_is_an_error() {
        let mut cut = packed(b'0', "p.wasm", "", &[1; 1000]);
        cut.truncate(BLOCK + 100);
        let mut huge = packed(b'0', "p.wasm", "", b"");
        huge[124..135].copy_from_slice(b"77777777777");
        let endless = packed(b'x', "pax", "", b"29 size=18446744073709551615\n");
        let note = packed(b'L', "././@LongLink", "", &vec![b'a'; 1 << 21]);
        let records = [&b"99999 path=x\n"[..], b"3 \n0 path=x\n", b"9 size=x\n", b"path=x"];
        let mut all = vec![vec![cut], vec![huge], vec![vec![b'x'; BLOCK]], vec![b"no".repeat(BLOCK)]];
        all.push(vec![endless, packed(b'0', "p.wasm", "", b"")]);
        all.push(vec![note]);
        all.extend(records.map(|records| vec![packed(b'x', "pax", "", records)]));
        for broken in all {
            assert!(unpacked(&broken).is_err(), "{:?}", String::from_utf8_lossy(&broken[0][..40]));
        }
    }
}
