//! What `--stats` tells of bytes: those that were moved, and nothing else that can be counted.

use std::ffi::OsString;

use tempfile::TempDir;

use crate::support::{FACES, OPENAT2, run};
use crate::{attempts, check_answers};

#[test]
fn names_were_told_as_bytes_and_bytes_of_some_requests_not_at_all() {
    let attempt =
        [("store dir/a", "ok"), ("copy dir/a dir/b", "ok 6"), ("copy-tree dir tree", "ok 3"), ("rmtree tree", "ok 3")];
    for (guest, face) in FACES {
        let root = TempDir::new().expect("there is room for temporary files");
        std::fs::create_dir(root.path().join("dir")).expect("it is new");
        let grant = OsString::from(format!("{}::/", root.path().display()));
        let output = run(&["--stats".into(), "--dir".into(), grant], OPENAT2, guest, &attempts(face, &attempt));
        check_answers(output.clone(), &attempt);
        let stats = String::from_utf8_lossy(&output.stderr);
        for (request, bytes) in [("store", "6 B"), ("copy", "6 B"), ("copy-tree", "12 B"), ("rmtree", "-"), ("all", "24 B")] {
            let line = stats.lines().find(|line| line.split_whitespace().next() == Some(request));
            assert!(line.is_some_and(|line| line.ends_with(&format!("  {bytes}"))), "{request} on {face}:\n{stats}");
        }
    }
}
