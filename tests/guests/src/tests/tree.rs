//! Requests on whole directories: `readdir`, `scandir`.

use std::collections::BTreeSet;

use super::tests;
use crate::check::{create, dir, exists, fails, path_errors, works};
use crate::face::{Dir, ErrorCode, Face};

tests!(readdir, readdir_names_that_are_not_utf8, scandir, scandir_many);

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
