//! The files of a file system in user space, in memory, and what they answer to the kernel's requests.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::{OPS, Op};

/// Bytes that the kernel writes at a time.
pub(super) const WRITE_BYTES_MAX: u32 = 128 << 10;

/// How long names are known, unless the test says otherwise: so long that the kernel resolves paths without asking.
const LONG: Duration = Duration::from_secs(3600);

pub(super) const ROOT: u64 = 1;
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;

/// A request from the kernel.
pub(super) struct Request {
    opcode: u32,
    pub(super) unique: u64,
    node: u64,
    body: Vec<u8>,
}

pub(super) type Reply = Result<Vec<u8>, i32>;

/// All files and directories, by number.
pub(super) struct Files {
    nodes: HashMap<u64, Node>,
    /// How long the kernel believes what it was told of names, and of attributes.
    pub(super) validity: [Duration; 2],
    /// The flags that files were opened with, one after the other.
    pub(super) flags: Vec<u32>,
}

pub(super) struct Node {
    name: String,
    mode: u32,
    pub(super) data: Vec<u8>,
    pub(super) entries: BTreeMap<String, u64>,
}

impl Request {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let body = bytes[40..].to_vec();
        Self { opcode: u32_at(bytes, 4), unique: u64_at(bytes, 8), node: u64_at(bytes, 16), body }
    }

    pub(super) fn op(&self) -> Option<Op> {
        OPS.iter().find(|(opcode, _)| *opcode == self.opcode).map(|(_, op)| *op)
    }

    /// A name in it, behind what has a fixed length.
    fn name(&self, start: usize) -> &str {
        let rest = &self.body[start..];
        let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
        std::str::from_utf8(&rest[..end]).expect("tests use names in UTF-8")
    }

    /// The name that it is about, if it is one in the directory `node`.
    fn new_name(&self) -> Option<&str> {
        match self.op()? {
            Op::Lookup | Op::Unlink | Op::RmDir => Some(self.name(0)),
            Op::MkDir | Op::Rename => Some(self.name(8)),
            Op::Create | Op::Rename2 => Some(self.name(16)),
            _ => None,
        }
    }
}

impl Files {
    pub(super) fn new() -> Self {
        let root = Node { name: "/".to_owned(), mode: DIRECTORY | 0o755, data: Vec::new(), entries: BTreeMap::new() };
        Self { nodes: HashMap::from([(ROOT, root)]), validity: [LONG, Duration::ZERO], flags: Vec::new() }
    }

    /// A file that is there without a request.
    pub(super) fn put(&mut self, name: &str, data: &[u8]) {
        let number = self.add(ROOT, name, REGULAR | 0o644).expect("it is new");
        self.node(number).expect("it was added just now").data = data.to_vec();
    }

    pub(super) fn node(&mut self, number: u64) -> Result<&mut Node, i32> {
        self.nodes.get_mut(&number).ok_or(libc::ENOENT)
    }

    /// The name that a request is about: that of the file, or the one that is looked up or made.
    pub(super) fn subject<'a>(&'a self, request: &'a Request) -> Option<&'a str> {
        request.new_name().or_else(|| Some(self.nodes.get(&request.node)?.name.as_str()))
    }

    fn entry(&mut self, dir: u64, name: &str) -> Result<u64, i32> {
        self.node(dir)?.entries.get(name).copied().ok_or(libc::ENOENT)
    }

    fn add(&mut self, dir: u64, name: &str, mode: u32) -> Result<u64, i32> {
        let number = ROOT + u64::try_from(self.nodes.len()).expect("it is small");
        if self.node(dir)?.entries.contains_key(name) {
            return Err(libc::EEXIST);
        }
        self.node(dir)?.entries.insert(name.to_owned(), number);
        self.nodes.insert(number, Node { name: name.to_owned(), mode, data: Vec::new(), entries: BTreeMap::new() });
        Ok(number)
    }

    /// Does what is asked for; none if there is no answer to that.
    pub(super) fn perform(&mut self, request: &Request) -> Option<Reply> {
        const INIT: u32 = 26;
        // FORGET, INTERRUPT and BATCH_FORGET.
        const WITHOUT_ANSWER: [u32; 3] = [2, 36, 42];
        if WITHOUT_ANSWER.contains(&request.opcode) {
            return None;
        }
        if request.opcode == INIT {
            return Some(Ok(init()));
        }
        let Some(op) = request.op() else { return Some(Err(libc::ENOSYS)) };
        Some(self.perform_op(op, request))
    }

    fn perform_op(&mut self, op: Op, request: &Request) -> Reply {
        let (node, body) = (request.node, request.body.as_slice());
        match op {
            Op::Lookup => self.entry(node, request.name(0)).and_then(|found| self.entry_out(found)),
            Op::GetAttr => self.attributes_out(node),
            Op::SetAttr => self.set_attributes(node, body),
            Op::MkDir => {
                self.add(node, request.name(8), DIRECTORY | (u32_at(body, 0) & 0o777)).and_then(|made| self.entry_out(made))
            }
            Op::Create => {
                let made = self.add(node, request.name(16), REGULAR | (u32_at(body, 4) & 0o777))?;
                self.flags.push(u32_at(body, 0));
                Ok([self.entry_out(made)?, opened(made)].concat())
            }
            Op::Unlink | Op::RmDir => {
                let found = self.entry(node, request.name(0))?;
                if !self.node(found)?.entries.is_empty() {
                    return Err(libc::ENOTEMPTY);
                }
                self.node(node)?.entries.remove(request.name(0));
                Ok(Vec::new())
            }
            Op::Rename => self.rename(request, 8, 0),
            Op::Rename2 => self.rename(request, 16, u32_at(body, 8)),
            Op::Open => {
                self.flags.push(u32_at(body, 0));
                self.node(node).map(|_| opened(node))
            }
            Op::OpenDir => self.node(node).map(|_| opened(node)),
            Op::Read => {
                let data = &self.node(node)?.data;
                let start = usize_at(body, 8).min(data.len());
                let end = start.saturating_add(usize::try_from(u32_at(body, 16)).expect("64 bits")).min(data.len());
                Ok(data[start..end].to_vec())
            }
            Op::Write => self.write(node, usize_at(body, 8), &body[40..]),
            Op::StatFs => Ok(file_system()),
            Op::ReadDir => self.list(node, usize_at(body, 8), usize::try_from(u32_at(body, 16)).expect("64 bits")),
            Op::Release | Op::Fsync | Op::Flush | Op::ReleaseDir | Op::FsyncDir => Ok(Vec::new()),
        }
    }

    fn write(&mut self, node: u64, start: usize, bytes: &[u8]) -> Reply {
        let data = &mut self.node(node)?.data;
        let end = start + bytes.len();
        if data.len() < end {
            data.resize(end, 0);
        }
        data[start..end].copy_from_slice(bytes);
        let mut reply = Vec::from(u32::try_from(bytes.len()).expect("it is small").to_ne_bytes());
        reply.extend([0; 4]);
        Ok(reply)
    }

    fn set_attributes(&mut self, node: u64, body: &[u8]) -> Reply {
        const MODE: u32 = 1;
        const SIZE: u32 = 8;
        let what = u32_at(body, 0);
        let found = self.node(node)?;
        if what & MODE != 0 {
            found.mode = (found.mode & !0o7777) | (u32_at(body, 68) & 0o7777);
        }
        if what & SIZE != 0 {
            found.data.resize(usize_at(body, 16), 0);
        }
        self.attributes_out(node)
    }

    fn rename(&mut self, request: &Request, start: usize, flags: u32) -> Reply {
        const NO_REPLACE: u32 = 1;
        let (from, to) = (request.name(start), request.name(start + request.name(start).len() + 1));
        let target = u64_at(&request.body, 0);
        let moved = self.entry(request.node, from)?;
        match flags {
            0 => {}
            NO_REPLACE if self.entry(target, to).is_err() => {}
            NO_REPLACE => return Err(libc::EEXIST),
            _ => return Err(libc::EINVAL),
        }
        self.node(request.node)?.entries.remove(from);
        self.node(target)?.entries.insert(to.to_owned(), moved);
        self.node(moved)?.name = to.to_owned();
        Ok(Vec::new())
    }

    /// Entries from a place on, as many as fit.
    fn list(&mut self, node: u64, start: usize, length: usize) -> Reply {
        let entries = self.node(node)?.entries.clone();
        let mut reply = Vec::new();
        for (place, (name, number)) in entries.iter().enumerate().skip(start) {
            let mut entry = Vec::from(number.to_ne_bytes());
            entry.extend(u64::try_from(place + 1).expect("it is small").to_ne_bytes());
            entry.extend(u32::try_from(name.len()).expect("it is small").to_ne_bytes());
            entry.extend((self.node(*number)?.mode >> 12).to_ne_bytes());
            entry.extend(name.as_bytes());
            entry.resize(entry.len().next_multiple_of(8), 0);
            if reply.len() + entry.len() > length {
                break;
            }
            reply.extend(entry);
        }
        Ok(reply)
    }

    fn attributes(&mut self, number: u64) -> Reply {
        let node = self.node(number)?;
        let size = u64::try_from(node.data.len()).expect("64 bits");
        let mut bytes: Vec<u8> = [number, size, size.div_ceil(512), 0, 0, 0].into_iter().flat_map(u64::to_ne_bytes).collect();
        // Nanoseconds of three times, mode, links, user, group, device, block size, padding.
        bytes.extend([0, 0, 0, node.mode, 1, 0, 0, 0, 4096, 0].into_iter().flat_map(u32::to_ne_bytes));
        Ok(bytes)
    }

    fn attributes_out(&mut self, number: u64) -> Reply {
        let mut bytes = Vec::from(self.validity[1].as_secs().to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(self.attributes(number)?);
        Ok(bytes)
    }

    fn entry_out(&mut self, number: u64) -> Reply {
        let valid = self.validity.map(|time| time.as_secs());
        let mut bytes: Vec<u8> = [number, 0, valid[0], valid[1], 0].into_iter().flat_map(u64::to_ne_bytes).collect();
        bytes.extend(self.attributes(number)?);
        Ok(bytes)
    }
}

fn init() -> Vec<u8> {
    let mut bytes: Vec<u8> = [7_u32, 31, 65536, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
    // Requests at a time in the background, and when that counts as congested: so many that those that wait delay no other.
    bytes.extend([1024_u16, 1024].into_iter().flat_map(u16::to_ne_bytes));
    bytes.extend(WRITE_BYTES_MAX.to_ne_bytes());
    bytes.extend(1_u32.to_ne_bytes());
    bytes.resize(64, 0);
    bytes
}

/// The node is its own handle.
fn opened(node: u64) -> Vec<u8> {
    [node, 0].into_iter().flat_map(u64::to_ne_bytes).collect()
}

fn file_system() -> Vec<u8> {
    let mut bytes: Vec<u8> = [1_u64 << 20, 1 << 19, 1 << 19, 1 << 20, 1 << 19].into_iter().flat_map(u64::to_ne_bytes).collect();
    bytes.extend([4096_u32, 255, 4096].into_iter().flat_map(u32::to_ne_bytes));
    bytes.resize(80, 0);
    bytes
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn usize_at(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u64_at(bytes, at)).expect("64 bits")
}
