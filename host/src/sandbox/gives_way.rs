//! Long requests of every kind: each gives its worker back between two of its steps where somebody waits for that.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::thread;

use super::scene::Scene;
use super::ticket::fake::FakeTicket;
use super::{
    CopyFile, CopyTree, ExtentSearch, InSteps, ListDir, ListEntries, LoadFile, MoveFile, OpenFlags, RemoveTree, ScanDir,
    Sendfile, SlurpFile, StoreFile, WalkNext,
};
use crate::error::Result;
use crate::sched::Flow;
use crate::types::ReaddirxFlags;

/// More than a step of any request moves, twice.
const LARGE: usize = 20 << 20;

/// More names than the kernel gives at a time, and more than one entry of a walk gives.
const NAMES: usize = 3000;

/// Runs a request to its end while somebody waits for its worker, and tells how often it gave that back.
fn times_given_back<T>(mut go_on: impl FnMut(&FakeTicket) -> Flow<Result<T>>) -> usize {
    let ticket = FakeTicket::default();
    let mut times = 0;
    loop {
        match go_on(&ticket) {
            Flow::Again(_) => times += 1,
            // It is told by its helpers.
            Flow::Parked => thread::yield_now(),
            Flow::Done(result) => {
                assert!(result.is_ok(), "{:?}", result.err());
                return times;
            }
        }
    }
}

/// Files side by side, and some in directories.
fn put_tree(scene: &Scene) {
    for directory in ["tree", "tree/a", "tree/a/b", "tree/c"] {
        fs::create_dir(scene.path("/near").join(directory)).expect("it is new");
    }
    for number in 0..NAMES {
        let directory = ["tree", "tree", "tree/a", "tree/a/b", "tree/c"][number % 5];
        scene.put(&format!("/near/{directory}/a name that takes some room {number}"), b"");
    }
}

/// A request, and how often it gives way at least.
type Case = (&'static str, usize, fn(&Scene) -> usize);

/// Requests that move the bytes of a file, but not to where a file system shares them.
const FILES: [Case; 6] = [
    ("load", 1, |scene| {
        // An answer is of 16 MiB at most.
        scene.put("/near/loaded", &vec![b'x'; 16 << 20]);
        let mut load = LoadFile::new(scene.read("/near/loaded"));
        times_given_back(|ticket| load.go_on(ticket))
    }),
    ("slurp", 1, |scene| {
        let mut slurp = SlurpFile::new(scene.read("/near/large"), 0, Some(16 << 20));
        times_given_back(|ticket| slurp.go_on(ticket))
    }),
    ("store", 2, |scene| {
        let mut store = StoreFile::new(scene.write("/near/stored"), vec![b'x'; 16 << 20], 0o666);
        times_given_back(|ticket| store.go_on(ticket))
    }),
    ("sendfile", 2, |scene| {
        let input = scene.open("/near/large", OpenFlags::READ);
        let output = scene.open("/far/target", OpenFlags::WRITE | OpenFlags::CREATE);
        let mut sendfile = Sendfile::new(output, None, input, 0, u64::MAX);
        times_given_back(|ticket| sendfile.go_on(ticket))
    }),
    ("copy", 2, |scene| {
        let mut copy = CopyFile::new(scene.read("/near/large"), scene.write("/far/copied"));
        times_given_back(|ticket| copy.go_on(ticket))
    }),
    ("move", 2, |scene| {
        let mut moving = MoveFile::new(scene.write("/near/large"), scene.write("/far/moved"));
        times_given_back(|ticket| moving.go_on(ticket))
    }),
];

/// Requests on what is in a directory.
const DIRECTORIES: [Case; 6] = [
    ("readdir", 1, |scene| {
        let mut list = ListDir::new(scene.read("/near/tree"));
        times_given_back(|ticket| list.go_on(ticket))
    }),
    ("scandir", 1, |scene| {
        let mut scan = ScanDir::new(scene.read("/near/tree"), 1);
        times_given_back(|ticket| scan.go_on(ticket))
    }),
    ("readdirx", 1, |scene| {
        let mut list = ListEntries::new(scene.read("/near/tree"), ReaddirxFlags::DENTS);
        times_given_back(|ticket| list.go_on(ticket))
    }),
    ("walk-next", 2, |scene| {
        let walker = scene.read("/near/tree").walk(0, 1, &FakeTicket::default()).expect("it is there");
        let mut next = WalkNext::new(walker, 0);
        times_given_back(|ticket| next.go_on(ticket))
    }),
    ("copy-tree", 4, |scene| {
        let mut copy = CopyTree::new(scene.read("/near/tree"), scene.write("/far/tree"), 1);
        times_given_back(|ticket| copy.go_on(ticket))
    }),
    ("rmtree", 4, |scene| {
        let mut removal = RemoveTree::new(scene.write("/near/tree"), 1);
        times_given_back(|ticket| removal.go_on(ticket))
    }),
];

fn assert_all_give_way(cases: &[Case], scene: &Scene) {
    let times = cases.iter().map(|(name, least, run)| (*name, *least, run(scene)));
    let wrong: Vec<_> = times.filter(|(_, least, times)| times < least).collect();
    assert!(wrong.is_empty(), "too seldom, of so many times at least: {wrong:?}");
}

#[test]
fn requests_on_the_content_of_files_give_way() {
    let scene = Scene::new();
    scene.put("/near/large", &vec![b'x'; LARGE]);
    assert_all_give_way(&FILES, &scene);
}

#[test]
fn requests_on_directories_and_trees_give_way() {
    let scene = Scene::new();
    put_tree(&scene);
    assert_all_give_way(&DIRECTORIES, &scene);
}

#[test]
fn a_search_for_extents_gives_way() {
    let scene = Scene::new();
    let file = File::create(scene.path("/near/sparse")).expect("it is new");
    for number in 0..5000 {
        file.write_all_at(b"x", number << 13).expect("there is room on the disk");
    }
    let mut search = ExtentSearch::new(scene.open("/near/sparse", OpenFlags::READ), 0, None, 10_000).expect("from the start");
    let times = times_given_back(|ticket| search.go_on(ticket));
    assert!(times >= 2, "it gave way {times} times");
}
