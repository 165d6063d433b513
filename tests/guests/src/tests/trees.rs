//! Requests that change whole trees: `rmtree`, `copy-tree`.

use super::tests;
use crate::bindings::aiohost::aio::{control, submit};
use crate::check::{content, create, dir, exists, fails, path_errors, works};
use crate::face::{Dir, ErrorCode, Face, FileType, OpenFlags, Request};

tests!(
    rmtree,
    copy_tree,
    rmtree_deleted_through_a_symbolic_link,
    rmtree_ignored_its_directory,
    rmtree_swallowed_an_error,
    failed_copy_tree_left_a_part,
    copy_tree_into_itself,
    deep_trees_used_up_the_descriptors,
    canceled_trees_leaked_their_descriptors,
);

/// Names that a request has left on its way.
async fn leftovers<F: Face>() -> Vec<String> {
    let mut names = works(F::readdir(None, ".").await);
    names.retain(|name| name.starts_with(".aiohost-"));
    names
}

async fn rmtree<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::rmtree(at, path, 0).await, &sub).await;
    fails(F::rmtree(None, "missing", 0).await, ErrorCode::NoEntry);
    for path in ["digits", "link-file", "fifo", "link-dangling"] {
        fails(F::rmtree(None, path, 0).await, ErrorCode::NotDirectory);
    }
    for path in [".", "..", "sub/.", "/data"] {
        fails(F::rmtree(None, path, 0).await, ErrorCode::Invalid);
    }
    fails(F::rmtree(None, "/frozen/floe", 0).await, ErrorCode::ReadOnly);

    assert_eq!(works(F::rmtree(None, "bare", 0).await), 1);
    assert!(!exists::<F>("bare").await);
    // The links in it are removed, and what they lead to is not.
    assert_eq!(works(F::rmtree(None, "sub/", 0).await), 6);
    assert!(!exists::<F>("sub").await && exists::<F>("digits").await);
    assert_eq!(works(F::rmtree(None, "kinds", 1).await), 9);
    assert_eq!(works(F::rmtree(None, "many", u32::MAX).await), 301);
    for number in 0..30 {
        works(F::mkdir(None, &format!("names/{number}"), 0o777).await);
        drop(create::<F>(&format!("names/{number}/file"), b"x").await);
    }
    assert_eq!(works(F::rmtree(None, "names", 3).await), 4 + 60 + 1);
}

async fn copy_tree<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::copy_tree(at, path, None, "new", 0).await, &sub).await;
    path_errors(async |at, path| F::copy_tree(None, "bare", at, path, 0).await, &sub).await;
    fails(F::copy_tree(None, "missing", None, "new", 0).await, ErrorCode::NoEntry);
    for path in ["digits", "fifo"] {
        fails(F::copy_tree(None, path, None, "new", 0).await, ErrorCode::NotDirectory);
    }
    for target in ["bare", "digits", "link-dangling", ".", "sub"] {
        fails(F::copy_tree(None, "sub", None, target, 0).await, ErrorCode::Exist);
    }
    fails(F::copy_tree(None, "sub", None, "/frozen/new", 0).await, ErrorCode::ReadOnly);
    fails(F::copy_tree(None, "kinds", None, "new", 0).await, ErrorCode::Unsupported);
    assert!(!exists::<F>("new").await && leftovers::<F>().await.is_empty());

    let before = works(F::lstat(None, "sub").await);
    for (number, maxreq) in (0..).zip([0, 1, 5, u32::MAX]) {
        let name = format!("copy-{number}");
        assert_eq!(works(F::copy_tree(None, "sub", None, &name, maxreq).await), 6);
        assert_eq!(content::<F>(&format!("{name}/inner")).await, b"inner\n");
        assert_eq!(content::<F>(&format!("{name}/deep/leaf")).await, b"leaf\n");
        let link = works(F::lstat(None, &format!("{name}/link-out-dir")).await);
        assert_eq!((link.type_, link.size), (FileType::SymbolicLink, "../../outside".len() as u64));
        assert_eq!(works(F::stat(None, &format!("{name}/link-up")).await).size, 10, "as it is written");
        let after = works(F::lstat(None, &name).await);
        assert_eq!((after.mode, after.modified.seconds), (before.mode, before.modified.seconds));
        assert_eq!(after.modified.nanoseconds, before.modified.nanoseconds);
    }
    // Out of a grant for reading only, and to a directory handle.
    assert_eq!(works(F::copy_tree(None, "/frozen", Some(&sub), "thawed", 0).await), 4);
    assert_eq!(content::<F>("sub/thawed/ice").await, b"cold");
    // A directory that nobody may write to is copied as one.
    works(F::mkdir(None, "closed", 0o777).await);
    drop(create::<F>("closed/file", b"x").await);
    works(F::mkdir(None, "closed/empty", 0o500).await);
    assert_eq!(works(F::copy_tree(None, "closed", None, "closed-copy", 0).await), 3);
    assert_eq!(works(F::lstat(None, "closed-copy/empty").await).mode & 0o777, 0o500);
    assert!(leftovers::<F>().await.is_empty());
}

async fn rmtree_deleted_through_a_symbolic_link<F: Face>() {
    for path in ["link-dir", "link-dir/", "link-out-dir", "link-out-dir/"] {
        fails(F::rmtree(None, path, 0).await, ErrorCode::NotDirectory);
    }
    assert!(exists::<F>("sub/deep/leaf").await && exists::<F>("link-dir").await);
}

async fn rmtree_ignored_its_directory<F: Face>() {
    let sub = dir::<F>("sub").await;
    works(F::mkdir(None, "deep", 0o777).await);
    assert_eq!(works(F::rmtree(Some(&sub), "deep", 0).await), 2);
    assert!(exists::<F>("deep").await && !exists::<F>("sub/deep").await);
}

/// `/stuck` is a file system that removes nothing, and the first reason is the answer.
async fn rmtree_swallowed_an_error<F: Face>() {
    let error = F::rmtree(None, "/stuck/dir", 0).await.expect_err("it cannot be removed");
    assert_eq!(error.code, ErrorCode::Access);
    assert!(exists::<F>("/stuck/dir/file").await);
}

async fn failed_copy_tree_left_a_part<F: Face>() {
    works(F::mkdir(None, "sub/kinds", 0o777).await);
    works(F::rename(None, "fifo", None, "sub/kinds/fifo").await);
    let before = works(F::readdir(None, ".").await).len();
    for maxreq in [0, 1, 4] {
        fails(F::copy_tree(None, "sub", None, "new", maxreq).await, ErrorCode::Unsupported);
        assert_eq!(works(F::readdir(None, ".").await).len(), before);
    }
}

async fn copy_tree_into_itself<F: Face>() {
    let deep = dir::<F>("sub/deep").await;
    fails(F::copy_tree(None, "sub", None, "sub/copy", 0).await, ErrorCode::Invalid);
    fails(F::copy_tree(None, "sub", Some(&deep), "copy", 0).await, ErrorCode::Invalid);
    fails(F::copy_tree(None, ".", None, "copy", 0).await, ErrorCode::Invalid);
    fails(F::copy_tree(None, "link-dir", None, "sub/deep/copy", 0).await, ErrorCode::Invalid);
    assert_eq!(works(F::readdir(None, "sub").await).len(), 4);
    assert!(leftovers::<F>().await.is_empty());
    assert_eq!(works(F::copy_tree(None, "sub/deep", None, "sub/beside", 0).await), 2);
}

/// Three times as many directories, each in the one before, as a process may usually have open.
async fn deep_trees_used_up_the_descriptors<F: Face>() {
    const DEPTH: usize = 3000;
    let mut at: Option<Dir> = None;
    for _ in 0..DEPTH {
        works(F::mkdir(at.as_ref(), "d", 0o777).await);
        at = Some(works(F::open_dir(at.as_ref(), "d").await));
    }
    let flags = OpenFlags::WRITE | OpenFlags::CREATE;
    drop(works(F::open(at.as_ref(), "bottom", flags, 0o666).await));
    drop(at);
    assert_eq!(works(F::copy_tree(None, "d", None, "copy", 0).await), DEPTH as u64 + 1);
    let walker = works(F::walk(None, "copy", 0, 0).await);
    let (mut count, mut longest) = (0, 0);
    while let entries = works(F::walk_next(&walker, 0).await)
        && !entries.is_empty()
    {
        count += entries.len();
        longest = longest.max(entries.iter().map(|entry| entry.path.len()).max().unwrap_or_default());
        assert!(entries.iter().all(|entry| entry.error.is_none()));
    }
    assert_eq!((count, longest), (DEPTH, 2 * (DEPTH - 1) + "bottom".len()));
    for path in ["copy", "d"] {
        assert_eq!(works(F::rmtree(None, path, 0).await), DEPTH as u64 + 1);
    }
}

/// What is open in the host is counted by `tests/lifecycle.rs`.
async fn canceled_trees_leaked_their_descriptors<F: Face>() {
    for round in 0..20 {
        let name = format!("copy-{round}");
        let requests: Vec<Request> = vec![
            submit::readdir(None, "many"),
            submit::copy_tree(None, "many", None, &name, 0),
            submit::walk(None, "many", 0, 0),
            submit::readdirx(None, "many", crate::face::ReaddirxFlags::all()),
            submit::copy(None, "sparse", None, &format!("sparse-{round}")),
            submit::rmtree(None, &name, 0),
        ];
        if round % 2 == 0 {
            works(F::nop().await);
        }
        requests.iter().for_each(Request::cancel);
        requests.iter().for_each(|request| drop(request.wait()));
    }
    while let counters = control::count()
        && counters.queued + counters.running > 0
    {
        works(F::nop().await);
    }
    assert!(leftovers::<F>().await.is_empty());
}
