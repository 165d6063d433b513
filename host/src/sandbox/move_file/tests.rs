//! What other programs do to a file while it is moved, between any two calls: nothing of it may be lost.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;

use super::*;
use crate::sandbox::scene::{Scene, as_plain_user, has_two_file_systems};
use crate::sandbox::sys::fault::{meanwhile, without};
use crate::sandbox::ticket::fake::{FakeTicket, finish};

const CONTENT: &[u8] = b"what is to be moved";
const OLD: &[u8] = b"what was there before";

fn scene() -> Scene {
    let scene = Scene::new();
    scene.put("/near/source", CONTENT);
    scene.put("/far/target", OLD);
    scene
}

fn moving(scene: &Scene) -> MoveFile {
    MoveFile::new(scene.write("/near/source"), scene.write("/far/target"))
}

fn move_it(scene: &Scene) -> Result<()> {
    let mut moving = moving(scene);
    finish(|| moving.go_on(&FakeTicket::default()))
}

/// Opens for writing as others do, but does not wait for a lease.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// What another program does.
struct Change {
    name: &'static str,
    make: fn(&Path) -> io::Result<()>,
    /// The content of the file after that; none if it has none.
    content: Option<&'static [u8]>,
}

const CHANGES: [Change; 8] = [
    Change {
        name: "append",
        make: |source| open(source)?.write_all_at(b"!", CONTENT.len() as u64),
        content: Some(b"what is to be moved!"),
    },
    Change {
        name: "overwrite with as many bytes",
        make: |source| open(source)?.write_all_at(b"W", 0),
        content: Some(b"What is to be moved"),
    },
    Change { name: "cut", make: |source| open(source)?.set_len(4), content: Some(b"what") },
    Change {
        name: "replace",
        make: |source| {
            let other = source.with_file_name("other");
            fs::write(&other, b"the new version")?;
            fs::rename(other, source)
        },
        content: Some(b"the new version"),
    },
    Change {
        name: "make anew",
        make: |source| {
            if source.exists() {
                fs::remove_file(source)?;
            }
            File::create_new(source)?.write_all(b"another file")
        },
        content: Some(b"another file"),
    },
    Change { name: "unlink", make: |source| fs::remove_file(source), content: None },
    Change { name: "link", make: |source| fs::hard_link(source, source.with_file_name("second")), content: Some(CONTENT) },
    Change {
        name: "chmod",
        make: |source| fs::set_permissions(source, fs::Permissions::from_mode(0o600)),
        content: Some(CONTENT),
    },
];

/// Moves while another program makes a change before the call after `skip` others. Returns whether there was such a call.
fn change_at(skip: usize, change: &Change, missing: &'static [&'static str]) -> bool {
    let scene = scene();
    let source = scene.path("/near/source");
    let made = Rc::new(Cell::new(false));
    let (noted, path, make) = (Rc::clone(&made), source.clone(), change.make);
    let action = move || match make(&path) {
        Ok(()) => {
            noted.set(true);
            true
        }
        // It waits for the lease to be given up.
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) => true,
        Err(error) => panic!("{error}"),
    };
    let (result, hit) = without(missing, || meanwhile(skip, action.clone(), || move_it(&scene)));
    // Now nobody keeps it from being done.
    if hit.is_some() && !made.get() {
        action.clone()();
    }
    let context = format!("{} before {hit:?} ({skip}), without {missing:?}: {result:?}", change.name);
    let (here, there) = (scene.content("/near/source"), scene.content("/far/target"));
    let there = there.expect("the target is never gone");
    let last = if made.get() { change.content } else { Some(CONTENT) };
    if let Some(last) = last {
        assert!(here.as_deref() == Some(last) || there == last, "{context}: lost {last:?}: {here:?}, {there:?}");
    }
    assert!([OLD, CONTENT].contains(&&*there) || last == Some(&*there), "{context}: {there:?}");
    if result.is_ok() {
        assert!(there != OLD, "{context}");
        assert!(here.is_none() || made.get() && here.as_deref() == change.content, "{context}: {here:?}");
    }
    assert_eq!(scene.leftovers(), Vec::<PathBuf>::new(), "{context}");
    hit.is_some()
}

#[test]
fn a_change_that_came_meanwhile_was_lost() {
    if !has_two_file_systems() {
        return;
    }
    let systems = [&[][..], &["take_read_lease"], &["open_nameless"], &["take_read_lease", "renameat_with"]];
    // Most of the time it waits for the device.
    thread::scope(|scope| {
        for missing in systems {
            scope.spawn(move || {
                for change in &CHANGES {
                    let calls = (0..).take_while(|skip| change_at(*skip, change, missing)).count();
                    println!("{} without {missing:?}: before each of {calls} calls", change.name);
                    assert!(calls > 20);
                }
            });
        }
    });
}

#[test]
fn a_writer_that_had_the_file_open_wrote_to_nowhere() {
    if !has_two_file_systems() {
        return;
    }
    let scene = scene();
    let writer = open(&scene.path("/near/source")).expect("nobody keeps it");
    assert_eq!(move_it(&scene), Err(Errno::BUSY.into()));
    writer.write_all_at(b"!", CONTENT.len() as u64).expect("it can be written");
    assert_eq!(scene.content("/near/source").as_deref(), Some(&b"what is to be moved!"[..]));
    assert_eq!(scene.content("/far/target").as_deref(), Some(OLD));
    // One that is done in time is waited for.
    let mut writer = Some(writer);
    let closes = move || {
        writer.take();
        true
    };
    let (result, hit) = meanwhile(30, closes, || move_it(&scene));
    assert_eq!((result, hit.is_some()), (Ok(()), true));
    assert_eq!(scene.content("/far/target").as_deref(), Some(&b"what is to be moved!"[..]));
    assert!(!scene.path("/near/source").exists());
}

#[test]
fn a_file_that_never_comes_to_rest_is_busy() {
    if !has_two_file_systems() {
        return;
    }
    for missing in [&[][..], &["take_read_lease"]] {
        let scene = scene();
        let path = scene.path("/near/source");
        let action = move || {
            // Between two of its writes it closes the file.
            let written = open(&path).and_then(|file| file.write_all_at(b"!", 100));
            drop(written);
            false
        };
        let (result, _) = without(missing, || meanwhile(0, action, || move_it(&scene)));
        assert_eq!(result, Err(Errno::BUSY.into()));
        assert!(scene.path("/near/source").exists());
        assert_eq!(scene.content("/far/target").as_deref(), Some(OLD));
        assert_eq!(scene.leftovers(), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_file_of_another_user_was_lost_without_a_lease() {
    if !has_two_file_systems() || !rustix::process::getuid().is_root() {
        println!("skipped: only root can make a file of another user");
        return;
    }
    let scene = scene();
    // A user who may change the directory, but whose the file is not, gets no lease on it.
    let dirs = [scene.path("/near"), scene.path("/far")];
    as_plain_user(&[&dirs[0], &dirs[1]], || {
        let path = scene.path("/near/source");
        let other = path.with_file_name("other");
        let action = move || {
            fs::write(&other, b"the new version").and_then(|()| fs::rename(&other, &path)).expect("the directory is ours");
            true
        };
        let (result, hit) = meanwhile(25, action, || move_it(&scene));
        assert_eq!((result, hit.is_some()), (Ok(()), true));
    });
    assert_eq!(scene.content("/far/target").as_deref(), Some(&b"the new version"[..]));
}

#[test]
fn a_move_that_was_dropped_left_its_copy() {
    if !has_two_file_systems() {
        return;
    }
    for steps in 0..6 {
        let scene = scene();
        let mut moving = moving(&scene);
        for _ in 0..steps {
            if matches!(moving.go_on(&FakeTicket::default()), crate::sched::Flow::Done(_)) {
                break;
            }
        }
        drop(moving);
        let (here, there) = (scene.content("/near/source"), scene.content("/far/target"));
        let is_done = here.is_none() && there.as_deref() == Some(CONTENT);
        assert!(is_done || here.as_deref() == Some(CONTENT) && there.as_deref() == Some(OLD), "after {steps} steps");
        assert_eq!(scene.leftovers(), Vec::<PathBuf>::new());
    }
}
