//! Requests that list directories: `readdir`, `scandir`, `readdirx`, `walk`, `walk-next`.

use std::collections::BTreeSet;

use super::tests;
use crate::check::{create, dir, exists, fails, path_errors, readable, works};
use crate::face::{Dir, ErrorCode, Face, FileType, ReaddirxFlags, WalkEntry, Walker};

tests!(
    readdir,
    readdir_names_that_are_not_utf8,
    scandir,
    scandir_many,
    readdirx,
    readdirx_lost_or_doubled_entries,
    walk,
    walk_next,
    walk_of_a_directory_that_goes_away,
    limit_open_walks,
);

/// The names as a set; one that came twice is a failure.
fn set(names: Vec<String>) -> BTreeSet<String> {
    let count = names.len();
    let set = BTreeSet::from_iter(names);
    assert_eq!(set.len(), count, "a name came twice");
    set
}

fn expected<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(String::from).into()
}

async fn readdir<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::readdir(at, path).await, &sub).await;
    fails(F::readdir(None, "missing").await, ErrorCode::NoEntry);
    for path in ["digits", "link-file", "fifo", "/dev/null"] {
        fails(F::readdir(None, path).await, ErrorCode::NotDirectory);
    }
    fails(F::readdir(None, "link-out-dir").await, ErrorCode::NotPermitted);
    fails(F::readdir(None, "..").await, ErrorCode::NotPermitted);

    assert_eq!(set(works(F::readdir(None, "bare").await)), expected([]));
    let all = expected(["inner", "deep", "link-up", "link-out-dir"]);
    for path in ["sub", "sub/", "link-dir", "sub/.", "/data/sub"] {
        assert_eq!(set(works(F::readdir(None, path).await)), all, "{path}");
    }
    assert_eq!(set(works(F::readdir(Some(&sub), ".").await)), all);
    assert_eq!(set(works(F::readdir(Some(&sub), "deep").await)), expected(["leaf"]));
    assert_eq!(set(works(F::readdir(None, "/frozen").await)), expected(["ice", "floe", "link-ice"]));
    let many = set(works(F::readdir(None, "many").await));
    assert_eq!(many, BTreeSet::from_iter((0..300).map(|number| format!("entry-{number:03}"))));

    works(F::unlink(Some(&sub), "inner").await);
    works(F::mkdir(Some(&sub), "new", 0o777).await);
    assert_eq!(set(works(F::readdir(None, "sub").await)), expected(["deep", "link-up", "link-out-dir", "new"]));
}

/// No name is lost, and each leads back to its file.
async fn readdir_names_that_are_not_utf8<F: Face>() {
    let names = set(works(F::readdir(None, "names").await));
    // The second holds the character U+F7E9 itself, whose three bytes are escaped.
    assert_eq!(names, expected(["plain", "caf\u{f7e9}", "caf\u{f7ef}\u{f79f}\u{f7a9}", "caf\u{e9}"]));
    let at = dir::<F>("names").await;
    let mut sizes = BTreeSet::new();
    for name in &names {
        sizes.insert(works(F::stat(Some(&at), name).await).size);
    }
    assert_eq!(sizes, BTreeSet::from([4, 5, 6, 7]), "four files of four lengths");

    drop(create::<F>("names/new\u{f7ff}", b"x").await);
    assert!(set(works(F::readdir(None, "names").await)).contains("new\u{f7ff}"));
    works(F::rename(Some(&at), "caf\u{f7e9}", Some(&at), "\u{f780}").await);
    assert_eq!(works(F::stat(Some(&at), "\u{f780}").await).size, 5);
    works(F::unlink(Some(&at), "caf\u{f7ef}\u{f79f}\u{f7a9}").await);
    assert!(!exists::<F>("names/caf\u{f7ef}\u{f79f}\u{f7a9}").await && exists::<F>("names/caf\u{e9}").await);
}

/// `scandir` as a pair of sets.
async fn scan<F: Face>(at: Option<&Dir>, path: &str, maxreq: u32) -> (BTreeSet<String>, BTreeSet<String>) {
    let scan = works(F::scandir(at, path, maxreq).await);
    (set(scan.directories), set(scan.others))
}

async fn scandir<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::scandir(at, path, 0).await, &sub).await;
    fails(F::scandir(None, "missing", 0).await, ErrorCode::NoEntry);
    for path in ["digits", "link-file", "fifo"] {
        fails(F::scandir(None, path, 0).await, ErrorCode::NotDirectory);
    }
    fails(F::scandir(None, "link-out-dir", 0).await, ErrorCode::NotPermitted);

    let others = expected(["file", "fifo", "socket", "link-to-file", "link-to-dir", "link-dangling"]);
    for maxreq in [0, 1, 4, 1000, u32::MAX] {
        assert_eq!(scan::<F>(None, "kinds", maxreq).await, (expected(["one", "two"]), others.clone()), "maxreq {maxreq}");
    }
    assert_eq!(scan::<F>(None, "bare", 0).await, (expected([]), expected([])));
    let below = (expected(["deep"]), expected(["inner", "link-up", "link-out-dir"]));
    assert_eq!(scan::<F>(Some(&sub), ".", 0).await, below);
    assert_eq!(scan::<F>(None, "link-dir/", 0).await, below);

    works(F::mkdir(Some(&sub), "new", 0o777).await);
    works(F::unlink(Some(&sub), "inner").await);
    assert_eq!(scan::<F>(None, "sub", 0).await, (expected(["deep", "new"]), expected(["link-up", "link-out-dir"])));
}

/// `scandir` of more than one read of a directory holds; together the two lists are what `readdir` gives.
async fn scandir_many<F: Face>() {
    for number in 0..20 {
        works(F::mkdir(None, &format!("many/dir-{number}"), 0o777).await);
    }
    let (directories, others) = scan::<F>(None, "many", 0).await;
    assert_eq!((directories.len(), others.len()), (20, 300));
    assert_eq!(&directories | &others, set(works(F::readdir(None, "many").await)));
}

async fn readdirx<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::readdirx(at, path, ReaddirxFlags::DENTS).await, &sub).await;
    fails(F::readdirx(None, "missing", ReaddirxFlags::empty()).await, ErrorCode::NoEntry);
    for path in ["digits", "link-file", "fifo"] {
        fails(F::readdirx(None, path, ReaddirxFlags::empty()).await, ErrorCode::NotDirectory);
    }

    let listing = works(F::readdirx(None, "kinds", ReaddirxFlags::DENTS).await);
    assert_eq!(listing.flags, ReaddirxFlags::DENTS);
    let kinds: BTreeSet<_> = listing.entries.iter().map(|entry| (entry.name.as_str(), format!("{:?}", entry.type_))).collect();
    let expected = [
        ("file", FileType::RegularFile),
        ("fifo", FileType::Fifo),
        ("link-dangling", FileType::SymbolicLink),
        ("link-to-dir", FileType::SymbolicLink),
        ("link-to-file", FileType::SymbolicLink),
        ("one", FileType::Directory),
        ("socket", FileType::Socket),
        ("two", FileType::Directory),
    ];
    assert_eq!(kinds, expected.map(|(name, kind)| (name, format!("{kind:?}"))).into());
    let at = dir::<F>("kinds").await;
    for entry in &listing.entries {
        assert_eq!(works(F::lstat(Some(&at), &entry.name).await).identity.inode, entry.inode, "{entry:?}");
    }
    // Without it neither is told.
    let plain = works(F::readdirx(Some(&at), ".", ReaddirxFlags::STAT_ORDER | ReaddirxFlags::FOUND_UNKNOWN).await);
    assert_eq!(plain.flags, ReaddirxFlags::STAT_ORDER, "found-unknown is a part of the answer only");
    assert!(plain.entries.iter().all(|entry| entry.type_ == FileType::Unknown && entry.inode == 0));
    let names = |listing: crate::face::Listing| listing.entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>();
    let dents = works(F::readdirx(Some(&at), ".", ReaddirxFlags::STAT_ORDER | ReaddirxFlags::DENTS).await);
    assert_eq!(names(plain), names(dents), "the order is that of the inodes in both");
}

/// Sorting that went wrong for some lengths and some combinations of flags.
async fn readdirx_lost_or_doubled_entries<F: Face>() {
    for length in [0, 1, 2, 60, 61] {
        let path = format!("made-{length}");
        works(F::mkdir(None, &path, 0o777).await);
        for number in 0..length {
            if number % 3 == 0 {
                works(F::mkdir(None, &format!("{path}/dir-{number}"), 0o777).await);
            } else {
                drop(create::<F>(&format!("{path}/file-{number}"), b"").await);
            }
        }
        every_combination::<F>(&path).await;
    }
    every_combination::<F>("many").await;
}

async fn every_combination<F: Face>(path: &str) {
    let expected = set(works(F::readdir(None, path).await));
    for bits in 0..8 {
        let mut flags = ReaddirxFlags::empty();
        for (bit, flag) in [ReaddirxFlags::DENTS, ReaddirxFlags::DIRS_FIRST, ReaddirxFlags::STAT_ORDER].into_iter().enumerate()
        {
            if bits & (1 << bit) != 0 {
                flags |= flag;
            }
        }
        let listing = works(F::readdirx(None, path, flags).await);
        assert_eq!(listing.flags, flags);
        let dirs = listing.entries.iter().map(|entry| entry.name.starts_with("dir-")).collect::<Vec<_>>();
        if flags.contains(ReaddirxFlags::DIRS_FIRST) {
            assert!(dirs.is_sorted_by_key(|is_dir| !is_dir), "{flags:?} {listing:?}");
        }
        if flags.contains(ReaddirxFlags::DENTS) {
            assert!(listing.entries.iter().all(|entry| (entry.type_ == FileType::Directory) == entry.name.starts_with("dir-")));
        }
        assert_eq!(set(listing.entries.into_iter().map(|entry| entry.name).collect()), expected, "{flags:?}");
    }
}

/// All that is left of a walk, taken so many at a time. A directory has to come before what is in it.
async fn all<F: Face>(walker: &Walker, max: u32) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    loop {
        let entries = works(F::walk_next(walker, max).await);
        assert!(max == 0 || entries.len() <= max as usize);
        for WalkEntry { path, error, .. } in &entries {
            assert_eq!(error.map(|error| error.code), None, "{path}");
            if let Some((parent, _)) = path.rsplit_once('/') {
                assert!(found.contains(parent), "{path} before {parent}");
            }
            assert!(found.insert(path.clone()), "{path} came twice");
        }
        if entries.is_empty() {
            return found;
        }
    }
}

async fn walk<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::walk(at, path, 0, 0).await, &sub).await;
    fails(F::walk(None, "missing", 0, 0).await, ErrorCode::NoEntry);
    for path in ["digits", "link-file", "fifo"] {
        fails(F::walk(None, path, 0, 0).await, ErrorCode::NotDirectory);
    }
    fails(F::walk(None, "link-out-dir", 0, 0).await, ErrorCode::NotPermitted);

    let below = expected(["inner", "deep", "deep/leaf", "link-up", "link-out-dir"]);
    for maxreq in [0, 1, 2, 1000, u32::MAX] {
        for path in ["sub", "sub/", "link-dir", "/data/sub"] {
            let walker = works(F::walk(None, path, 0, maxreq).await);
            assert_eq!(all::<F>(&walker, 0).await, below, "{path}");
        }
    }
    let walker = works(F::walk(Some(&sub), ".", 1, 0).await);
    assert_eq!(all::<F>(&walker, 0).await, expected(["inner", "deep", "link-up", "link-out-dir"]), "one level");
    let walker = works(F::walk(None, "sub", 2, 0).await);
    assert_eq!(all::<F>(&walker, 0).await, below, "two levels");
    assert_eq!(all::<F>(&works(F::walk(None, "bare", 0, 0).await), 0).await, expected([]));
    let names = all::<F>(&works(F::walk(None, "names", 0, 0).await), 0).await;
    assert!(names.contains("caf\u{f7e9}"), "{names:?}");
}

async fn walk_next<F: Face>() {
    for number in 0..20 {
        works(F::mkdir(None, &format!("many/dir-{number}"), 0o777).await);
        drop(create::<F>(&format!("many/dir-{number}/file"), b"").await);
    }
    let mut all_names = set(works(F::readdir(None, "many").await));
    all_names.extend((0..20).map(|number| format!("dir-{number}/file")));
    for max in [0, 1, 7, 100, u32::MAX] {
        for maxreq in [0, 1, 3] {
            let walker = works(F::walk(None, "many", 0, maxreq).await);
            assert_eq!(all::<F>(&walker, max).await, all_names, "{max} at a time");
            assert!(works(F::walk_next(&walker, max).await).is_empty(), "the end stays the end");
        }
    }
    let walker = works(F::walk(None, "kinds", 0, 0).await);
    let kinds = works(F::walk_next(&walker, 0).await);
    let kind = |name: &str| kinds.iter().find(|entry| entry.path == name).map(|entry| entry.type_);
    assert_eq!(kind("one"), Some(FileType::Directory));
    assert_eq!(kind("file"), Some(FileType::RegularFile));
    assert_eq!(kind("link-to-dir"), Some(FileType::SymbolicLink));
    assert_eq!(kind("fifo"), Some(FileType::Fifo));
}

/// Its entry comes a second time, with the reason, and the walk goes on.
async fn walk_of_a_directory_that_goes_away<F: Face>() {
    let walker = works(F::walk(None, "kinds", 0, 1).await);
    let mut entries = works(F::walk_next(&walker, 1).await);
    works(F::rmdir(None, "kinds/one").await);
    while let more = works(F::walk_next(&walker, 1).await)
        && !more.is_empty()
    {
        entries.extend(more);
    }
    let of_one: Vec<_> = entries.iter().filter(|entry| entry.path == "one").map(|entry| entry.error.map(|e| e.code)).collect();
    assert_eq!(of_one, [None, Some(ErrorCode::NoEntry)]);
    assert_eq!(entries.iter().filter(|entry| entry.path == "two").count(), 1);
    assert_eq!(entries.len(), 9);
}

/// `--max-open-files 8`: a walk is one of them until it is dropped.
async fn limit_open_walks<F: Face>() {
    let mut walks = Vec::new();
    for _ in 0..8 {
        walks.push(works(F::walk(None, "sub", 0, 0).await));
    }
    fails(F::walk(None, "sub", 0, 0).await, ErrorCode::TooManyOpenFiles);
    assert_eq!(all::<F>(&walks[0], 0).await.len(), 5);
    walks.pop();
    // What was dropped makes room for the next one at once.
    for _ in 0..50 {
        drop(works(F::walk(None, "sub", 0, 0).await));
        drop(readable::<F>("digits").await);
    }
}
