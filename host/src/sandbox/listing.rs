//! The entries of a directory with what it knows of them, in the order in which they are read fastest.

use std::os::fd::OwnedFd;

use rustix::fs::FileType;

use super::claim::{Claim, Claiming, take_turn};
use super::descriptor::Quota;
use super::entries::{Pass, footprint};
use super::place::Place;
use super::status::{IdentityKey, file_type};
use super::ticket::Ticket;
use super::{Read, names, sys};
use crate::error::Result;
use crate::sched::Flow;
use crate::types::{self, Dirent, Listing, ReaddirxFlags};

/// An entry as the directory has it, and how likely it is a directory.
#[derive(Debug)]
struct Raw {
    name: String,
    kind: FileType,
    inode: u64,
    class: u8,
}

/// The class of what is certainly no directory, or as likely as anything else.
const OTHERS: u8 = 7;

/// A directory whose entries are listed with what it knows of them.
#[derive(Debug)]
pub(crate) struct ListEntries {
    place: Place<Read>,
    wanted: ReaddirxFlags,
    reading: Option<(Pass, Vec<Raw>)>,
    claim: Claim,
}

impl Claiming for ListEntries {
    fn claim(&mut self) -> Option<(&mut Claim, &Quota)> {
        Some((&mut self.claim, &self.place.shared.quota))
    }
}

impl ListEntries {
    pub(crate) fn new(place: Place<Read>, wanted: ReaddirxFlags) -> Self {
        Self { place, wanted, reading: None, claim: Claim::new(1) }
    }

    /// Bytes of memory that its path holds.
    pub(crate) fn bytes(&self) -> usize {
        self.place.bytes()
    }

    pub(crate) fn go_on(&mut self, ticket: &dyn Ticket) -> Flow<Result<Listing>> {
        take_turn(self, ticket, |list, _| list.read(ticket))
    }

    fn read(&mut self, ticket: &dyn Ticket) -> Flow<Result<Listing>> {
        let begun = self.reading.take().map_or_else(|| Ok((Pass::new(self.place.open_to_list()?), Vec::new())), Ok);
        let (mut pass, mut raw) = match begun {
            Ok(begun) => begun,
            Err(error) => return Flow::Done(Err(error)),
        };
        let flow = pass.go_on(self.place.shared.entries_max, ticket, |entry, meter| {
            let bytes = entry.file_name().to_bytes();
            let (kind, class) = (entry.file_type(), class(entry.file_type(), bytes));
            let name = names::decode(bytes);
            meter.add(footprint(&name) + 2 * size_of::<Raw>() + size_of::<Dirent>(), ticket)?;
            raw.push(Raw { name, kind, inode: entry.ino(), class });
            Ok(())
        });
        match flow {
            Flow::Done(result) => {
                Flow::Done(result.and_then(|()| listing(&pass.dir, raw, self.wanted, &self.place.shared.key)))
            }
            Flow::Again(time) => {
                self.reading = Some((pass, raw));
                Flow::Again(time)
            }
            Flow::Parked => Flow::Parked,
        }
    }
}

fn listing(dir: &OwnedFd, mut raw: Vec<Raw>, wanted: ReaddirxFlags, key: &IdentityKey) -> Result<Listing> {
    let has = |flag| wanted & flag == flag;
    sort(&mut raw, has(ReaddirxFlags::DIRS_FIRST), has(ReaddirxFlags::STAT_ORDER));
    let device = sys::fstat(dir)?.st_dev;
    let mut flags = ReaddirxFlags::empty();
    for flag in [ReaddirxFlags::DENTS, ReaddirxFlags::DIRS_FIRST, ReaddirxFlags::STAT_ORDER] {
        if has(flag) {
            flags |= flag;
        }
    }
    if raw.iter().any(|entry| entry.kind == FileType::Unknown) {
        flags |= ReaddirxFlags::FOUND_UNKNOWN;
    }
    let dirent = |entry: Raw| match has(ReaddirxFlags::DENTS) {
        true => Dirent { name: entry.name, kind: file_type(entry.kind), inode: key.inode(device, entry.inode) },
        false => Dirent { name: entry.name, kind: types::FileType::Unknown, inode: 0 },
    };
    Ok(Listing { entries: raw.into_iter().map(dirent).collect(), flags })
}

/// How likely an entry is a directory, 0 for one that is. Where the kind is not known, names tell: those with a leading dot, then
/// those without any dot, the shorter the likelier. As libeio has it.
fn class(kind: FileType, name: &[u8]) -> u8 {
    match kind {
        FileType::Directory => 0,
        FileType::Unknown if name.first() == Some(&b'.') => 1,
        FileType::Unknown if !name.contains(&b'.') => match name.len() {
            0..=1 => 2,
            2 => 3,
            3..=4 => 4,
            5..=7 => 5,
            _ => 6,
        },
        _ => OTHERS,
    }
}

/// File systems find the status of entries fastest in the order of their inodes.
fn sort(entries: &mut [Raw], dirs_first: bool, stat_order: bool) {
    match (dirs_first, stat_order) {
        (true, true) => entries.sort_unstable_by_key(|entry| (entry.class, entry.inode)),
        // What is no directory stays in the order of the directory: the sort is stable.
        (true, false) => entries.sort_by_key(|entry| (entry.class, if entry.class == OTHERS { 0 } else { entry.inode })),
        (false, true) => entries.sort_unstable_by_key(|entry| entry.inode),
        (false, false) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(list: &[(&str, FileType, u64)]) -> Vec<Raw> {
        let raw = |(name, kind, inode): &(&str, FileType, u64)| {
            let class = class(*kind, name.as_bytes());
            Raw { name: (*name).to_owned(), kind: *kind, inode: *inode, class }
        };
        list.iter().map(raw).collect()
    }

    fn sorted(mut entries: Vec<Raw>, dirs_first: bool, stat_order: bool) -> String {
        sort(&mut entries, dirs_first, stat_order);
        entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn known_kinds_put_directories_first_and_leave_the_rest_as_it_was() {
        use FileType::{Directory, RegularFile, Symlink};
        let list =
            [("z", RegularFile, 5), ("d2", Directory, 9), ("l", Symlink, 1), ("d1", Directory, 4), ("a", RegularFile, 3)];
        assert_eq!(sorted(entries(&list), false, false), "z d2 l d1 a");
        assert_eq!(sorted(entries(&list), true, false), "d1 d2 z l a");
        assert_eq!(sorted(entries(&list), false, true), "l a d1 z d2");
        assert_eq!(sorted(entries(&list), true, true), "d1 d2 l a z");
    }

    #[test]
    fn unknown_kinds_are_ordered_by_what_their_names_look_like() {
        let names = ["file.txt", "directory", "src", ".git", "README", "b", "ab", "x.c"];
        let list: Vec<_> = (0..).zip(names).map(|(inode, name)| (name, FileType::Unknown, 100 - inode)).collect();
        assert_eq!(sorted(entries(&list), true, false), ".git b ab src README directory file.txt x.c");
        assert_eq!(sorted(entries(&list), true, true), ".git b ab src README directory x.c file.txt");
    }

    #[test]
    fn every_length_is_sorted_by_every_combination() {
        for length in [0, 1, 2, 60, 61, 100_000] {
            let name = "n".repeat(3);
            let kind = |number: u64| if number.is_multiple_of(3) { FileType::Directory } else { FileType::RegularFile };
            // Scattered, and with inodes that come twice.
            let list: Vec<_> =
                (0..length).map(|n: u64| (name.as_str(), kind(n), n.wrapping_mul(0x9e37_79b9) % 50_000)).collect();
            for (dirs_first, stat_order) in [(false, false), (false, true), (true, false), (true, true)] {
                let mut raw = entries(&list);
                sort(&mut raw, dirs_first, stat_order);
                let mut inodes: Vec<u64> = raw.iter().map(|entry| entry.inode).collect();
                if dirs_first {
                    assert!(raw.is_sorted_by_key(|entry| entry.class), "{length}");
                }
                if stat_order && !dirs_first {
                    assert!(inodes.is_sorted(), "{length}");
                }
                let mut before: Vec<u64> = list.iter().map(|(.., inode)| *inode).collect();
                inodes.sort_unstable();
                before.sort_unstable();
                assert_eq!(inodes, before, "nothing is lost and nothing comes twice");
            }
        }
    }
}
