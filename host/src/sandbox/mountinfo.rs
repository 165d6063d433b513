//! What the kernel tells of a mount: what of its file system it shows, where, and with which options. See
//! `proc_pid_mountinfo(5)`.

use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};

use super::sys;

/// Bytes that are read at a time: some hundred mounts.
const PIECE_BYTES: usize = 16 << 10;

/// A mount.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) id: u64,
    /// The mount that it is mounted on.
    pub(super) parent: u64,
    /// The file system, by the number of its device.
    pub(super) device: Vec<u8>,
    /// What of the file system can be seen: a path in it.
    pub(super) root: Vec<u8>,
    /// Where it can be seen: a path of this process.
    pub(super) point: Vec<u8>,
    /// The name of the kind of file system, as `mount` takes it.
    pub(super) kind: Vec<u8>,
    options: Vec<u8>,
}

impl Mount {
    /// The options of the file system that have a value, by name.
    pub(super) fn options(&self) -> impl Iterator<Item = (&[u8], Vec<u8>)> {
        // A comma in a value is escaped.
        self.options.split(|byte| *byte == b',').filter_map(|option| {
            let end = option.iter().position(|byte| *byte == b'=')?;
            Some((&option[..end], unescaped(&option[end + 1..])))
        })
    }

    /// The directories that an overlay lies over, as its options name them; none for another kind of file system.
    pub(super) fn layers(&self) -> Layers {
        let mut layers = Layers { paths: Vec::new(), are_searched_at_once: true };
        if self.kind != b"overlay" {
            return layers;
        }
        for (name, value) in self.options() {
            match name {
                b"lowerdir" => {
                    for path in split_at_colons(&value) {
                        // Behind an empty name come layers of data alone.
                        layers.are_searched_at_once &= !path.is_empty();
                        layers.paths.extend(Some(path).filter(|path| !path.is_empty()));
                    }
                }
                b"lowerdir+" | b"upperdir" => layers.paths.push(value),
                b"datadir+" => {
                    layers.are_searched_at_once = false;
                    layers.paths.push(value);
                }
                _ => {}
            }
        }
        layers
    }
}

/// What an overlay lies over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layers {
    /// Paths as whoever mounted the overlay saw them.
    pub(super) paths: Vec<Vec<u8>>,
    /// Whether a name is looked up in all of them when it is looked up in the overlay, and not when a file is first read.
    pub(super) are_searched_at_once: bool,
}

/// The names of a list in which `\:` is a colon of a name.
fn split_at_colons(list: &[u8]) -> Vec<Vec<u8>> {
    let mut names = vec![Vec::new()];
    let mut rest = list.iter();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b':' => {
                names.push(Vec::new());
                continue;
            }
            b'\\' => rest.next().unwrap_or(byte),
            _ => byte,
        };
        names.last_mut().expect("there is one at the start").push(*byte);
    }
    names
}

/// The mount that an object is on. There is none if nobody tells: without procfs, on an old kernel, or if the mount is out of
/// reach for this process.
pub(super) fn of(object: impl AsFd) -> Option<Mount> {
    let id = id(object)?;
    all()?.into_iter().find(|mount| mount.id == id)
}

/// The number of the mount that an object is on. Before Linux 5.8 only `fdinfo` tells.
pub(super) fn id(object: impl AsFd) -> Option<u64> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    match sys::statx(&object, c"", flags, StatxFlags::MNT_ID) {
        Ok(statx) if statx.stx_mask & StatxFlags::MNT_ID.bits() != 0 => Some(statx.stx_mnt_id),
        _ => {
            let text = read(format!("/proc/thread-self/fdinfo/{}", object.as_fd().as_raw_fd()).as_str()).ok()?;
            let mut lines = text.split(|byte| *byte == b'\n');
            let number = lines.find_map(|line| line.strip_prefix(b"mnt_id:"))?;
            std::str::from_utf8(number).ok()?.trim().parse().ok()
        }
    }
}

/// Every mount that this process can reach.
pub(super) fn all() -> Option<Vec<Mount>> {
    let text = read(c"/proc/thread-self/mountinfo").ok()?;
    Some(text.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

fn read(path: impl sys::PathName) -> rustix::io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = sys::openat(CWD, path, flags, Mode::empty())?;
    let mut text = Vec::new();
    loop {
        text.reserve(PIECE_BYTES);
        let at = u64::try_from(text.len()).expect("a length fits");
        if sys::retry_on_intr(|| sys::pread(&file, rustix::buffer::spare_capacity(&mut text), at))? == 0 {
            return Ok(text);
        }
    }
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
pub(super) fn parse(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|byte| *byte == b' ');
    let mut number = || std::str::from_utf8(words.next()?).ok()?.parse().ok();
    let (id, parent) = (number()?, number()?);
    let device = words.next()?.to_vec();
    let (root, point) = (unescaped(words.next()?), unescaped(words.next()?));
    let mut words = words.skip_while(|word| *word != b"-").skip(1);
    let kind = unescaped(words.next()?);
    let options = words.nth(1)?.to_vec();
    Some(Mount { id, parent, device, root, point, kind, options })
}

/// Undoes how the kernel writes spaces and the like: as `\040`, by three octal digits.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let [first, others @ ..] = rest {
        rest = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', others @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                others
            }
            _ => {
                bytes.push(*first);
                others
            }
        };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        let line = br"36 35 98:0 /a\040b /mnt\134c rw,noatime master:1 shared:2 - overlay over rw,lowerdir=/x\054y,index=off";
        let mount = Mount {
            id: 36,
            parent: 35,
            device: b"98:0".to_vec(),
            root: b"/a b".to_vec(),
            point: br"/mnt\c".to_vec(),
            kind: b"overlay".to_vec(),
            options: br"rw,lowerdir=/x\054y,index=off".to_vec(),
        };
        let options: Vec<_> = mount.options().collect();
        assert_eq!(options, [(&b"lowerdir"[..], b"/x,y".to_vec()), (&b"index"[..], b"off".to_vec())]);
        assert_eq!(parse(line), Some(mount));
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"36 35 98:0 /mnt1"), None);
        assert_eq!(parse(b"x 35 98:0 / / rw - ext3 /dev/root rw"), None);
    }

    #[test]
    fn the_layers_of_an_overlay_are_told_apart() {
        let layers_of = |kind: &str, options: &str| {
            let line = format!("36 35 0:40 / /merged rw,relatime - {kind} overlay {options}");
            let layers = parse(line.as_bytes()).expect("a line as the kernel writes it").layers();
            let paths = layers.paths.into_iter().map(|path| String::from_utf8(path).expect("it is text"));
            (paths.collect::<Vec<_>>(), layers.are_searched_at_once)
        };
        let found = |paths: &[&str], at_once: bool| (paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>(), at_once);
        let lines = [
            ("rw,lowerdir=/a:/b,upperdir=/c,workdir=/d", found(&["/a", "/b", "/c"], true)),
            ("ro,lowerdir+=/a,lowerdir+=/b\\040c", found(&["/a", "/b c"], true)),
            ("ro,lowerdir=/a\\134:b:c", found(&["/a:b", "c"], true)),
            ("ro,lowerdir=/a::/data", found(&["/a", "/data"], false)),
            ("ro,lowerdir+=/a,datadir+=/b", found(&["/a", "/b"], false)),
            ("rw", found(&[], true)),
        ];
        for (options, expected) in lines {
            assert_eq!(layers_of("overlay", options), expected, "{options}");
            assert_eq!(layers_of("ext4", options), found(&[], true), "{options}");
        }
    }

    #[test]
    fn the_mount_of_procfs_is_found() {
        let file = std::fs::File::open("/proc/version").expect("procfs is mounted");
        let mount = of(&file).expect("the kernel tells");
        assert_eq!((&mount.root[..], &mount.point[..], &mount.kind[..]), (&b"/"[..], &b"/proc"[..], &b"proc"[..]));
    }
}
