//! Every system call of each request that changes files, made to fail, one after the other until none is left, with what must
//! hold afterwards.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, RenameFlags, inotify, linkat, mknodat, renameat_with};
use rustix::io::Errno;

use super::copy_tree::CopyTree;
use super::rmtree::RemoveTree;
use super::scene::{Scene, has_two_file_systems};
use super::steps::InSteps;
use super::sys::fault::{Fault, inject, meanwhile, trace, without};
use super::ticket::fake::{FakeTicket, finish};
use super::{
    CopyFile, FileOrDir, LoadFile, MoveFile, OpenFlags, OpenKind, Opening, OpeningAny, Resolver, StoreFile, Wait, WriteTo,
};
use crate::error::{Error, Result};

/// Makes a request.
type Run = fn(&Scene) -> Result<()>;

/// A request, on files that were put there for it.
struct Case {
    name: &'static str,
    prepare: fn(&Scene),
    run: Run,
    /// What must hold afterwards, whether it worked or not, and whether or not it came to an end at all.
    check: fn(&Scene, &Outcome),
}

/// How a request ended, and what had happened to it.
struct Outcome {
    result: Result<()>,
    /// Nothing could be done after that, nor cleared up.
    died: bool,
}

impl Outcome {
    fn worked(&self) -> bool {
        self.result.is_ok()
    }
}

const OLD: &[u8] = b"what was there before";

/// Content with a hole, of several pieces.
fn new() -> Vec<u8> {
    let mut content = vec![0; 200_000];
    content[..5000].fill(b'a');
    content[150_000..].fill(b'b');
    content
}

fn put_new(scene: &Scene, path: &str) {
    let file = File::create(scene.path(path)).expect("it can be made");
    let content = new();
    file.write_all_at(&content[..5000], 0).expect("it can be written");
    file.write_all_at(&content[150_000..], 150_000).expect("it can be written");
}

fn whole(scene: &Scene, path: &str) -> bool {
    scene.content(path).is_some_and(|content| content == new())
}

fn old(scene: &Scene, path: &str) -> bool {
    scene.content(path).is_some_and(|content| content == OLD)
}

const STORE: Case = Case {
    name: "store",
    prepare: |scene| scene.put("/near/target", OLD),
    run: |scene| {
        let mut store = StoreFile::new(scene.write("/near/target"), new(), 0o666);
        finish(|| store.go_on(&FakeTicket::default()))
    },
    check: |scene, outcome| {
        assert!(whole(scene, "/near/target") || !outcome.worked() && old(scene, "/near/target"));
    },
};

const STORE_NEW: Case = Case {
    name: "store (new)",
    prepare: |_| {},
    check: |scene, outcome| {
        assert!(whole(scene, "/near/target") || !outcome.worked() && !scene.path("/near/target").exists());
    },
    ..STORE
};

const COPY: Case = Case {
    name: "copy",
    prepare: |scene| {
        scene.put("/near/target", OLD);
        put_new(scene, "/near/source");
    },
    run: |scene| {
        let mut copy = CopyFile::new(scene.read("/near/source"), scene.write("/near/target"));
        finish(|| copy.go_on(&FakeTicket::default())).map(drop)
    },
    check: |scene, outcome| {
        assert!(whole(scene, "/near/source"), "the source is as it was");
        assert!(whole(scene, "/near/target") || !outcome.worked() && old(scene, "/near/target"));
    },
};

const COPY_NEW: Case = Case {
    name: "copy (new, far)",
    prepare: |scene| put_new(scene, "/near/source"),
    run: |scene| {
        let mut copy = CopyFile::new(scene.read("/near/source"), scene.write("/far/target"));
        finish(|| copy.go_on(&FakeTicket::default())).map(drop)
    },
    check: |scene, outcome| {
        assert!(whole(scene, "/near/source"), "the source is as it was");
        assert!(whole(scene, "/far/target") || !outcome.worked() && !scene.path("/far/target").exists());
    },
};

const RENAME: Case = Case {
    name: "move (near)",
    prepare: COPY.prepare,
    run: |scene| {
        let mut moving = MoveFile::new(scene.write("/near/source"), scene.write("/near/target"));
        finish(|| moving.go_on(&FakeTicket::default()))
    },
    check: |scene, outcome| {
        assert_eq!(outcome.worked(), !scene.path("/near/source").exists());
        assert!(if outcome.worked() { whole(scene, "/near/target") } else { old(scene, "/near/target") });
    },
};

const MOVE: Case = Case {
    name: "move",
    prepare: |scene| {
        scene.put("/far/target", OLD);
        put_new(scene, "/near/source");
    },
    run: |scene| {
        let mut moving = MoveFile::new(scene.write("/near/source"), scene.write("/far/target"));
        finish(|| moving.go_on(&FakeTicket::default()))
    },
    check: |scene, outcome| {
        let (source, target) = (whole(scene, "/near/source"), whole(scene, "/far/target"));
        assert!(source || target, "one of the two has it all");
        assert!(target || old(scene, "/far/target"), "the old content or the new");
        assert!(source || !scene.path("/near/source").exists(), "never a part of it");
        if outcome.worked() {
            assert!(target && !source);
        } else if !outcome.died {
            assert!(source, "a move that failed leaves the source");
        }
    },
};

const MOVE_NEW: Case = Case {
    name: "move (new)",
    prepare: |scene| put_new(scene, "/near/source"),
    check: |scene, outcome| {
        let (source, target) = (whole(scene, "/near/source"), whole(scene, "/far/target"));
        assert!(source || target, "one of the two has it all");
        assert!(target || !scene.path("/far/target").exists(), "nothing or all of it");
        if outcome.worked() {
            assert!(target && !source);
        } else if !outcome.died {
            assert!(source && !target, "a move that failed leaves the source, and nothing else");
        }
    },
    ..MOVE
};

fn put_tree(scene: &Scene, path: &str) {
    let root = scene.path(path);
    fs::create_dir_all(root.join("a/b")).expect("it can be made");
    fs::create_dir(root.join("closed")).expect("it can be made");
    for name in ["file", "a/file", "a/b/file", "closed/file"] {
        put_new(scene, &format!("{path}/{name}"));
    }
    std::os::unix::fs::symlink("nowhere", root.join("a/link")).expect("it can be made");
    fs::set_permissions(root.join("closed"), fs::Permissions::from_mode(0o555)).expect("it is ours");
}

/// What there is to know of a tree.
fn tree(path: &Path) -> Vec<(String, u32, i64, Vec<u8>)> {
    let mut found = Vec::new();
    let mut todo = vec![path.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).expect("it is there") {
            let path_of = entry.expect("it is read").path();
            let metadata = path_of.symlink_metadata().expect("it is there");
            let content = if metadata.is_file() { fs::read(&path_of).expect("it can be read") } else { Vec::new() };
            let name = path_of.strip_prefix(path).expect("it is below").display().to_string();
            found.push((name, metadata.mode(), metadata.mtime_nsec(), content));
            if metadata.is_dir() {
                todo.push(path_of);
            }
        }
    }
    found.sort();
    found
}

const COPY_TREE: Case = Case {
    name: "copy-tree",
    prepare: |scene| put_tree(scene, "/near/source"),
    run: |scene| {
        let mut copy = CopyTree::new(scene.read("/near/source"), scene.write("/near/target"), 1);
        finish(|| copy.go_on(&FakeTicket::default())).map(drop)
    },
    check: |scene, outcome| {
        let (source, target) = (scene.path("/near/source"), scene.path("/near/target"));
        assert_eq!(outcome.worked(), target.exists(), "all or nothing");
        if outcome.worked() {
            assert_eq!(tree(&source), tree(&target));
        }
    },
};

const RMTREE: Case = Case {
    name: "rmtree",
    prepare: COPY_TREE.prepare,
    run: |scene| {
        let mut removal = RemoveTree::new(scene.write("/near/source"), 1);
        finish(|| removal.go_on(&FakeTicket::default())).map(drop)
    },
    check: |scene, outcome| assert!(!outcome.worked() || !scene.path("/near/source").exists()),
};

/// Writes as the fronts of WASI do, until all of it is written.
fn write_as_wasi(scene: &Scene, mut to: WriteTo) -> Result<()> {
    let opening = OpeningAny::new(scene.read("/near/target"), OpenFlags::WRITE | OpenFlags::CREATE, OpenKind::Any)?;
    let FileOrDir::File(file) = opening.open(Wait::May)? else { return Err(Error::IS_DIRECTORY) };
    let content = new();
    let mut written = 0;
    let mut result = Ok(());
    while result.is_ok() && written < content.len() {
        match file.write_from(to, &content[written..]) {
            Ok(count) => written += usize::try_from(count).expect("no more than there is"),
            Err(error) => result = Err(error),
        }
        if let WriteTo::Offset(offset) = &mut to {
            *offset = written.try_into().expect("a length fits");
        }
    }
    let closed = file.close();
    result.and(closed)
}

/// What is in the file beyond what was written there in front.
fn rest(content: Vec<u8>) -> Vec<u8> {
    let written = content.iter().zip(new()).take_while(|(found, new)| **found == *new).count();
    content[written..].to_vec()
}

const WRITE: Case = Case {
    name: "write (WASI)",
    prepare: STORE.prepare,
    run: |scene| write_as_wasi(scene, WriteTo::Offset(0)),
    check: |scene, outcome| {
        let content = scene.content("/near/target").expect("it was there before");
        assert!(whole(scene, "/near/target") || !outcome.worked() && OLD.ends_with(&rest(content)));
    },
};

const APPEND: Case = Case {
    name: "append (WASI)",
    run: |scene| write_as_wasi(scene, WriteTo::End),
    check: |scene, outcome| {
        let content = scene.content("/near/target").expect("it was there before");
        let written = content.strip_prefix(OLD).expect("what was there stays");
        assert!(written == new() || !outcome.worked() && new().starts_with(written));
    },
    ..WRITE
};

const CASES: [Case; 11] = [STORE, STORE_NEW, COPY, COPY_NEW, RENAME, MOVE, MOVE_NEW, COPY_TREE, RMTREE, WRITE, APPEND];

/// Systems that lack something: file systems, kernels, and filters of system calls differ in what they have.
const SYSTEMS: [&[&str]; 7] = [
    &[],
    &["open_nameless"],
    &["linkat"],
    &["renameat_with"],
    &["open_nameless", "renameat_with", "flock"],
    &["take_read_lease"],
    &["ioctl_ficlone", "copy_file_range", "sendfile"],
];

/// Runs a case with a fault at the call after `skip` others. Returns the call that it hit.
fn run(case: &Case, missing: &'static [&'static str], fault: Fault, skip: usize) -> (Scene, Outcome, Option<&'static str>) {
    let scene = Scene::new();
    (case.prepare)(&scene);
    let before = scene.open_files();
    let (result, hit) = without(missing, || inject(fault, skip, || (case.run)(&scene)));
    assert_eq!(scene.open_files(), before, "{}: a descriptor was left open", case.name);
    let outcome = Outcome { result, died: fault == Fault::Death };
    (case.check)(&scene, &outcome);
    (scene, outcome, hit)
}

/// Runs a case again and again, with a fault at one call after the other, until there is none that it hits.
fn sweep(case: &Case, missing: &'static [&'static str], fault: Fault, check: impl Fn(&Scene, &Outcome, &str)) -> usize {
    for skip in 0.. {
        println!("{} without {missing:?}, {fault:?} at {skip}", case.name);
        let (scene, outcome, hit) = run(case, missing, fault, skip);
        let Some(hit) = hit else {
            assert!(outcome.worked(), "without a fault: {:?}", outcome.result);
            assert_eq!(scene.leftovers(), Vec::<std::path::PathBuf>::new());
            return skip;
        };
        check(&scene, &outcome, hit);
    }
    unreachable!("there are not so many calls")
}

/// Sweeps each request on each system with each fault, and prints how many calls were made to fail.
fn each(faults: &[Fault], check: impl Fn(&Case, Fault, &Scene, &Outcome, &str)) {
    let heads: String = faults.iter().map(|fault| format!("{:>16}", fault.to_string())).collect();
    let mut table = format!("calls that were made to fail\n{:<16}{heads}{:>16}\n", "request", "together");
    let cases = CASES.iter().filter(|case| has_two_file_systems() || !case.name.starts_with("move"));
    let mut all = 0;
    for case in cases {
        let mut sum = 0;
        let _ = write!(table, "{:<16}", case.name);
        for fault in faults {
            let each_system = SYSTEMS
                .iter()
                .map(|missing| sweep(case, missing, *fault, |scene, outcome, hit| check(case, *fault, scene, outcome, hit)));
            let hits: usize = each_system.sum();
            let _ = write!(table, "{hits:>16}");
            sum += hits;
        }
        let _ = writeln!(table, "{sum:>16}");
        all += sum;
    }
    println!("{table}{all} together");
}

#[test]
fn a_call_that_failed_left_something_half_done() {
    let errors = [Errno::NOSPC, Errno::IO, Errno::MFILE].map(Fault::Error);
    each(&errors, |_, _, scene, _, hit| {
        let leftovers = scene.leftovers();
        assert!(leftovers.is_empty() || hit == "unlinkat", "{hit} failed, and left {leftovers:?}");
        scene.sweep_later();
        assert!(scene.leftovers().is_empty(), "{hit}: what it left was not swept");
    });
}

#[test]
fn a_signal_or_a_short_count_was_taken_for_a_failure() {
    each(&[Fault::Error(Errno::INTR), Fault::Short], |_, fault, scene, outcome, hit| {
        assert!(outcome.worked(), "{fault:?} at {hit}: {:?}", outcome.result);
        assert!(scene.leftovers().is_empty(), "{hit}");
    });
}

#[test]
fn a_host_that_was_killed_left_something_half_done() {
    each(&[Fault::Death], |case, _, scene, outcome, hit| {
        scene.sweep_later();
        assert!(scene.leftovers().is_empty(), "killed at {hit}: what it left was not swept: {:?}", scene.leftovers());
        (case.check)(scene, outcome);
    });
}

/// A power failure can only be planned for: the content has to be on the device before it has a name, and the name before
/// anything else is given up for it.
#[test]
fn names_came_before_what_they_stand_for() {
    for (case, order) in [
        (STORE, &["fsync", "linkat", "renameat", "fsync"][..]),
        (STORE_NEW, &["fsync", "linkat", "fsync"]),
        (COPY, &["fsync", "linkat", "renameat", "fsync"]),
        (COPY_NEW, &["fsync", "linkat", "fsync"]),
        (MOVE, &["fsync", "linkat", "renameat_with", "fsync", "renameat_with", "unlinkat", "unlinkat"]),
        (MOVE_NEW, &["fsync", "linkat", "fsync", "renameat_with", "unlinkat"]),
    ] {
        if case.name.starts_with("move") && !has_two_file_systems() {
            continue;
        }
        let scene = Scene::new();
        (case.prepare)(&scene);
        let (result, calls) = trace(|| (case.run)(&scene));
        assert_eq!(result, Ok(()), "{}", case.name);
        let from = calls.iter().position(|call| *call == "fsync").expect("it is brought to the device");
        let matters = |call: &&str| ["fsync", "linkat", "renameat", "renameat_with", "unlinkat"].contains(call);
        let mut found: Vec<&str> = calls[from..].iter().copied().filter(matters).collect();
        // The free name is tried first, and its own when it is taken.
        found.dedup_by(|next, last| *next == "linkat" && *last == "linkat");
        assert_eq!(found, order, "{}", case.name);
    }
}

/// Before one call after the other the file is exchanged for a FIFO: to open that, even to find out what it is, wakes whoever
/// waits at its other end.
#[test]
fn a_fifo_that_came_in_the_place_of_a_file_was_opened() {
    let requests: [(&str, Run); 4] = [
        ("load", |scene| {
            let mut load = LoadFile::new(scene.read("/near/source/file"));
            finish(|| load.go_on(&FakeTicket::default())).map(drop)
        }),
        ("copy", |scene| {
            let mut copy = CopyFile::new(scene.read("/near/source/file"), scene.write("/near/target"));
            finish(|| copy.go_on(&FakeTicket::default())).map(drop)
        }),
        ("move", |scene| {
            let mut moving = MoveFile::new(scene.write("/near/source/file"), scene.write("/far/target"));
            finish(|| moving.go_on(&FakeTicket::default()))
        }),
        ("copy-tree", COPY_TREE.run),
    ];
    for (name, run) in requests {
        for skip in 0.. {
            let scene = Scene::new();
            put_tree(&scene, "/near/source");
            let (file, fifo) = (scene.path("/near/source/file"), scene.path("/near/fifo"));
            mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).expect("it can be made");
            let watch = inotify::init(inotify::CreateFlags::NONBLOCK).expect("there is room for one more");
            inotify::add_watch(&watch, &fifo, inotify::WatchFlags::OPEN).expect("there is room for one more");
            let exchange = move || {
                // It may be moved by then.
                let _exchanged = renameat_with(CWD, &file, CWD, &fifo, RenameFlags::EXCHANGE);
                true
            };
            let (_, hit) = meanwhile(skip, exchange, || run(&scene));
            let event = inotify::Reader::new(&watch, &mut [MaybeUninit::uninit(); 512]).next().map(drop);
            assert_eq!(event, Err(Errno::AGAIN), "{name}: it was opened when it came before {hit:?}");
            if hit.is_none() {
                assert!(skip > 5);
                break;
            }
        }
    }
}

/// Where a file is to be made as well: what has come to have the name is not opened before it is known.
#[test]
fn a_fifo_that_came_where_a_file_was_to_be_made_was_opened() {
    for (resolver, skip) in
        [Resolver::Openat2, Resolver::Portable].into_iter().flat_map(|resolver| (0..30).map(move |skip| (resolver, skip)))
    {
        let scene = Scene::resolved_by(resolver);
        let (fifo, new) = (scene.path("/near/fifo"), scene.path("/near/new"));
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).expect("it can be made");
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).expect("there is room for one more");
        inotify::add_watch(&watch, &fifo, inotify::WatchFlags::OPEN).expect("there is room for one more");
        let appear = move || {
            let _linked = linkat(CWD, &fifo, CWD, &new, AtFlags::empty());
            true
        };
        let flags = OpenFlags::WRITE | OpenFlags::CREATE;
        let opening = Opening::new(scene.read("/near/new"), flags, 0o666).expect("it may be written");
        let (opened, hit) = meanwhile(skip, appear, || opening.open(Wait::May).map(drop));
        let event = inotify::Reader::new(&watch, &mut [MaybeUninit::uninit(); 512]).next().map(drop);
        assert_eq!(event, Err(Errno::AGAIN), "{resolver:?}: it was opened when it came before {hit:?}");
        assert!(matches!(opened, Ok(()) | Err(Error::UNSUPPORTED)), "{resolver:?}, before {hit:?}: {opened:?}");
    }
}

/// Nothing can be made in a directory that was removed, by a request that has opened it or was given it. Each file system has an
/// error of its own for a file without a name there.
#[test]
fn a_directory_that_was_removed_meanwhile_was_a_matter_of_rights() {
    type RunTo = fn(&Scene, &str) -> Result<()>;
    let requests: [(&str, RunTo); 5] = [
        ("store", |scene, to| {
            let mut store = StoreFile::new(scene.write(to), new(), 0o666);
            finish(|| store.go_on(&FakeTicket::default()))
        }),
        ("copy", |scene, to| {
            let mut copy = CopyFile::new(scene.read("/near/source/file"), scene.write(to));
            finish(|| copy.go_on(&FakeTicket::default())).map(drop)
        }),
        ("move", |scene, to| {
            let mut moving = MoveFile::new(scene.write("/near/source/file"), scene.write(to));
            finish(|| moving.go_on(&FakeTicket::default()))
        }),
        ("copy-tree", |scene, to| {
            let mut copy = CopyTree::new(scene.read("/near/source"), scene.write(to), 1);
            finish(|| copy.go_on(&FakeTicket::default())).map(drop)
        }),
        ("open", |scene, to| {
            Opening::new(scene.read(to), OpenFlags::WRITE | OpenFlags::CREATE, 0o666)?.open(Wait::May).map(drop)
        }),
    ];
    for ((name, run), above) in requests.into_iter().flat_map(|request| ["/near", "/far"].map(|above| (request, above))) {
        let mut were_removed = 0;
        for skip in 0.. {
            let scene = Scene::new();
            put_tree(&scene, "/near/source");
            let (dir, to) = (format!("{above}/dir"), format!("{above}/dir/target"));
            fs::create_dir(scene.path(&dir)).expect("it can be made");
            let gone = scene.path(&dir);
            let (result, hit) = meanwhile(skip, move || fs::remove_dir(&gone).is_ok(), || run(&scene, &to));
            let Some(hit) = hit else { break };
            were_removed += usize::from(!scene.path(&dir).exists());
            assert!(matches!(result, Ok(()) | Err(Error::NO_ENTRY)), "{name} in {above}, removed before {hit}: {result:?}");
            (STORE.prepare)(&scene);
            let (stored, calls) = trace(|| (STORE.run)(&scene));
            assert_eq!(stored, Ok(()));
            assert!(calls.contains(&"linkat"), "{name} in {above}, removed before {hit}: files have a name from the start");
        }
        assert!(were_removed > 1, "{name} in {above}: {were_removed} times");
    }
}
