//! Requests on paths: `open-dir`, `stat`, `lstat`, `unlink`, `rmdir`, `mkdir`, `rename`.

use super::tests;
use crate::check::{content, create, dir, exists, fails, path_errors, works};
use crate::face::{ErrorCode, Face, FileType};

tests!(open_dir, stat, lstat, unlink, rmdir, mkdir, rename, rename_over);

async fn open_dir<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::open_dir(at, path).await, &sub).await;
    fails(F::open_dir(None, "missing").await, ErrorCode::NoEntry);
    for path in ["digits", "digits/", "link-file", "fifo"] {
        fails(F::open_dir(None, path).await, ErrorCode::NotDirectory);
    }
    fails(F::open_dir(None, "link-loop").await, ErrorCode::Loop);
    fails(F::open_dir(None, "link-out-dir").await, ErrorCode::NotPermitted);
    fails(F::open_dir(None, "..").await, ErrorCode::NotPermitted);
    fails(F::open_dir(Some(&sub), "../..").await, ErrorCode::NotPermitted);

    // Each of these is the same directory.
    for path in ["sub", "sub/", "./sub", "sub/.", "sub//", "sub/deep/..", "link-dir", "link-dir/", "/data/sub"] {
        let same = works(F::open_dir(None, path).await);
        assert_eq!(works(F::stat(Some(&same), "inner").await).size, 6, "{path}");
    }
    let deep = works(F::open_dir(Some(&sub), "deep").await);
    assert_eq!(works(F::stat(Some(&deep), "leaf").await).size, 5);
    let same = works(F::open_dir(Some(&deep), ".").await);
    assert_eq!(works(F::stat(Some(&same), "leaf").await).size, 5);
    // What is absolute does not start from `at`, so nothing is reached by it.
    for path in ["/data/digits", "/data/sub/deep/leaf", "/frozen", "/"] {
        fails(F::stat(Some(&deep), path).await, ErrorCode::NotPermitted);
        fails(F::open_dir(Some(&deep), path).await, ErrorCode::NotPermitted);
    }
    // It has the rights of its grant.
    let frozen = works(F::open_dir(None, "/frozen").await);
    assert_eq!(works(F::stat(Some(&frozen), "ice").await).size, 4);
    fails(F::unlink(Some(&frozen), "ice").await, ErrorCode::ReadOnly);
}

async fn stat<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::stat(at, path).await, &sub).await;
    for path in ["missing", "missing/", "link-dangling"] {
        fails(F::stat(None, path).await, ErrorCode::NoEntry);
    }
    for path in ["digits/", "digits/.", "link-file/", "fifo/"] {
        fails(F::stat(None, path).await, ErrorCode::NotDirectory);
    }
    fails(F::stat(None, "link-loop").await, ErrorCode::Loop);
    for path in ["link-out", "link-out-dir", "link-absolute", "..", "sub/../..", "/"] {
        fails(F::stat(None, path).await, ErrorCode::NotPermitted);
    }

    let digits = works(F::stat(None, "digits").await);
    assert_eq!((digits.type_, digits.mode, digits.size, digits.links), (FileType::RegularFile, 0o640, 10, 1));
    assert_eq!((digits.modified.seconds, digits.modified.nanoseconds), (1_000_000_000, 123_456_789));
    assert_eq!((digits.accessed.seconds, digits.accessed.nanoseconds), (1_100_000_000, 987_654_321));
    assert!(digits.changed.seconds > 1_600_000_000, "it was made by this test, not {:?}", digits.changed);
    assert!(digits.block_size > 0 && digits.blocks < 1000, "{digits:?}");
    let old = works(F::stat(None, "old").await);
    assert_eq!((old.modified.seconds, old.modified.nanoseconds), (-2, 500_000_000), "half past two seconds before 1970");
    assert_eq!(works(F::stat(None, "link-file").await).identity.inode, digits.identity.inode);
    for (path, kind) in [
        ("sub", FileType::Directory),
        ("sub/", FileType::Directory),
        (".", FileType::Directory),
        ("link-dir", FileType::Directory),
        ("fifo", FileType::Fifo),
        ("socket", FileType::Socket),
        ("/dev/null", FileType::CharacterDevice),
    ] {
        assert_eq!(works(F::stat(None, path).await).type_, kind, "{path}");
    }

    // Two names of one object, and two objects.
    let (one, two) = (works(F::stat(None, "twin-one").await), works(F::stat(None, "twin-two").await));
    assert_eq!((one.links, one.identity.device, one.identity.inode), (2, two.identity.device, two.identity.inode));
    assert_eq!(one.identity.device, digits.identity.device);
    assert_ne!(one.identity.inode, digits.identity.inode);

    // The longest path there may be, and names that are not UTF-8.
    let long = format!("{}digits", "./".repeat(2040));
    assert_eq!(works(F::stat(None, &long).await).size, 10);
    assert_eq!(works(F::stat(None, "names/caf\u{f7e9}").await).size, 5);
    assert_eq!(works(F::stat(None, "names/caf\u{f7ef}\u{f79f}\u{f7a9}").await).size, 7);
    fails(F::stat(None, "names/caf\u{f7e8}").await, ErrorCode::NoEntry);
}

async fn lstat<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::lstat(at, path).await, &sub).await;
    fails(F::lstat(None, "missing").await, ErrorCode::NoEntry);
    fails(F::lstat(None, "link-dangling/").await, ErrorCode::NoEntry);
    fails(F::lstat(None, "digits/").await, ErrorCode::NotDirectory);
    fails(F::lstat(None, "link-file/").await, ErrorCode::NotDirectory);
    fails(F::lstat(None, "link-loop/").await, ErrorCode::Loop);
    fails(F::lstat(None, "link-out-dir/").await, ErrorCode::NotPermitted);
    fails(F::lstat(None, "..").await, ErrorCode::NotPermitted);

    for (path, target) in [
        ("link-file", "digits"),
        ("link-dir", "sub"),
        ("link-dangling", "nowhere"),
        ("link-loop", "link-loop"),
        ("link-out", "../outside/secret"),
        ("link-out-dir", "../outside"),
    ] {
        let status = works(F::lstat(None, path).await);
        assert_eq!((status.type_, usize::try_from(status.size)), (FileType::SymbolicLink, Ok(target.len())), "{path}");
    }
    assert_eq!(works(F::lstat(None, "link-dir/").await).type_, FileType::Directory);
    assert_eq!(works(F::lstat(None, "link-dir/.").await).type_, FileType::Directory);
    assert_eq!(works(F::lstat(None, "link-dir/inner").await).size, 6);
    let digits = works(F::lstat(None, "digits").await);
    assert_eq!((digits.type_, digits.size), (FileType::RegularFile, 10));
    assert_eq!(works(F::lstat(Some(&sub), "link-up").await).type_, FileType::SymbolicLink);
}

async fn unlink<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::unlink(at, path).await, &sub).await;
    fails(F::unlink(None, "missing").await, ErrorCode::NoEntry);
    for path in ["sub", "sub/", "bare", ".", "sub/.", "sub/.."] {
        fails(F::unlink(None, path).await, ErrorCode::IsDirectory);
    }
    fails(F::unlink(None, "digits/").await, ErrorCode::NotDirectory);
    fails(F::unlink(None, "/frozen/ice").await, ErrorCode::ReadOnly);

    let open = create::<F>("victim", b"still here").await;
    works(F::unlink(None, "victim").await);
    assert!(!exists::<F>("victim").await);
    fails(F::unlink(None, "victim").await, ErrorCode::NoEntry);
    assert_eq!(works(F::fstat(&open).await).links, 0);
    assert_eq!(works(F::read(&open, Some(0), 100).await), b"still here", "an open file outlives its name");

    works(F::unlink(Some(&sub), "inner").await);
    assert!(!exists::<F>("sub/inner").await);
    // A link goes, and not what it leads to; also where that is out of reach.
    for path in ["link-file", "link-dir", "link-dangling", "link-loop", "link-out", "link-out-dir", "fifo", "socket"] {
        works(F::unlink(None, path).await);
        assert!(!exists::<F>(path).await, "{path}");
    }
    assert!(exists::<F>("digits").await && exists::<F>("sub/deep").await);
    works(F::unlink(None, "twin-one").await);
    assert_eq!(works(F::stat(None, "twin-two").await).links, 1);
}

async fn rmdir<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::rmdir(at, path).await, &sub).await;
    fails(F::rmdir(None, "missing").await, ErrorCode::NoEntry);
    fails(F::rmdir(None, "sub").await, ErrorCode::NotEmpty);
    for path in ["digits", "digits/", "link-dir", "link-dir/", "link-dangling", "link-out-dir/", "fifo"] {
        fails(F::rmdir(None, path).await, ErrorCode::NotDirectory);
    }
    for path in [".", "bare/.", "bare/..", "sub/.."] {
        fails(F::rmdir(None, path).await, ErrorCode::Invalid);
    }
    fails(F::rmdir(None, "/frozen/floe").await, ErrorCode::ReadOnly);
    assert!(exists::<F>("bare").await && exists::<F>("link-dir").await);

    works(F::rmdir(None, "bare").await);
    assert!(!exists::<F>("bare").await);
    fails(F::rmdir(None, "bare").await, ErrorCode::NoEntry);
    works(F::mkdir(Some(&sub), "again", 0o777).await);
    works(F::rmdir(Some(&sub), "again/").await);
    assert!(!exists::<F>("sub/again").await);
    assert!(exists::<F>("sub/inner").await);
}

async fn mkdir<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::mkdir(at, path, 0o777).await, &sub).await;
    for path in ["sub", "sub/", "digits", "link-dir", "link-dangling", "link-out-dir", "fifo", "."] {
        fails(F::mkdir(None, path, 0o777).await, ErrorCode::Exist);
    }
    fails(F::mkdir(None, "/frozen/new", 0o777).await, ErrorCode::ReadOnly);
    assert!(!exists::<F>("/frozen/new").await && !exists::<F>("nowhere").await);

    works(F::mkdir(None, "new", 0o700).await);
    let status = works(F::stat(None, "new").await);
    assert_eq!((status.type_, status.mode), (FileType::Directory, 0o700));
    works(F::mkdir(None, "new/open", 0o777).await);
    assert_eq!(works(F::stat(None, "new/open").await).mode, 0o755, "the host's umask is 0o022 in these tests");
    works(F::mkdir(None, "new/special", 0o7777).await);
    assert_eq!(works(F::stat(None, "new/special").await).mode, 0o755, "set-user-id and its like are taken away");
    works(F::mkdir(Some(&sub), "slash/", 0o777).await);
    assert_eq!(works(F::stat(None, "sub/slash").await).type_, FileType::Directory);
    let name = "n".repeat(255);
    works(F::mkdir(None, &name, 0o777).await);
    assert!(exists::<F>(&name).await);
    works(F::mkdir(None, "sub/deep/../beside", 0o777).await);
    assert!(exists::<F>("sub/beside").await);
    works(F::mkdir(None, "/other/new", 0o777).await);
    assert!(exists::<F>("/other/new").await);
}

async fn rename<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::rename(at, path, None, "target").await, &sub).await;
    path_errors(async |at, path| F::rename(None, "digits", at, path).await, &sub).await;
    fails(F::rename(None, "missing", None, "target").await, ErrorCode::NoEntry);
    fails(F::rename(None, "digits/", None, "target").await, ErrorCode::NotDirectory);
    fails(F::rename(None, "digits", None, "target/").await, ErrorCode::NotDirectory);
    for dots in [".", "sub/.", "sub/.."] {
        fails(F::rename(None, dots, None, "target").await, ErrorCode::Invalid);
        fails(F::rename(None, "bare", None, dots).await, ErrorCode::Invalid);
    }
    fails(F::rename(None, "sub", None, "sub/deep/sub").await, ErrorCode::Invalid);
    fails(F::rename(None, "digits", None, "/frozen/digits").await, ErrorCode::ReadOnly);
    fails(F::rename(None, "digits", None, "/frozen/ice").await, ErrorCode::ReadOnly);
    fails(F::rename(None, "/frozen/ice", None, "ice").await, ErrorCode::ReadOnly);
    assert!(exists::<F>("digits").await && !exists::<F>("target").await && !exists::<F>("ice").await);

    let open = create::<F>("source", b"moved").await;
    works(F::rename(None, "source", None, "target").await);
    assert!(!exists::<F>("source").await);
    assert_eq!(content::<F>("target").await, b"moved");
    works(F::write(&open, Some(5), b" on").await);
    assert_eq!(content::<F>("target").await, b"moved on", "an open file stays the same one");

    works(F::rename(None, "target", Some(&sub), "below").await);
    assert_eq!(content::<F>("sub/below").await, b"moved on");
    works(F::rename(Some(&sub), "below", None, "sub/deep/../beside").await);
    assert_eq!(content::<F>("sub/beside").await, b"moved on");
    works(F::rename(Some(&sub), "beside", None, "/other/moved").await);
    assert_eq!(content::<F>("/other/moved").await, b"moved on", "both grants are for writing, on one file system");

    works(F::rename(None, "sub/deep/", None, "deeper/").await);
    assert_eq!(content::<F>("deeper/leaf").await, b"leaf\n");
    // A link is moved itself.
    works(F::rename(None, "link-dir", None, "link-moved").await);
    assert_eq!(works(F::lstat(None, "link-moved").await).type_, FileType::SymbolicLink);
    works(F::rename(None, "link-out", None, "link-out-moved").await);
    assert_eq!(works(F::lstat(None, "link-out-moved").await).type_, FileType::SymbolicLink);
}

/// `rename` onto what is there.
async fn rename_over<F: Face>() {
    fails(F::rename(None, "digits", None, "bare").await, ErrorCode::IsDirectory);
    fails(F::rename(None, "bare", None, "digits").await, ErrorCode::NotDirectory);
    let full = F::rename(None, "bare", None, "sub").await;
    let code = full.as_ref().expect_err("the target has entries").code;
    // Either is allowed by POSIX; file systems differ.
    assert!(matches!(code, ErrorCode::NotEmpty | ErrorCode::Exist), "{full:?}");
    assert!(exists::<F>("digits").await && exists::<F>("bare").await && exists::<F>("sub/inner").await);

    let kept = works(F::stat(None, "sub/inner").await);
    works(F::rename(None, "sub/inner", None, "digits").await);
    assert!(!exists::<F>("sub/inner").await);
    assert_eq!(content::<F>("digits").await, b"inner\n");
    assert_eq!(works(F::stat(None, "digits").await).identity.inode, kept.identity.inode);
    // Two names of one file: POSIX keeps both.
    works(F::rename(None, "twin-one", None, "twin-two").await);
    assert!(exists::<F>("twin-one").await && exists::<F>("twin-two").await);
    works(F::rename(None, "many", None, "bare").await);
    assert!(exists::<F>("bare/entry-000").await && !exists::<F>("many").await);
    // The link is replaced, not what it leads to.
    works(F::rename(None, "twin-two", None, "link-file").await);
    assert_eq!(works(F::lstat(None, "link-file").await).type_, FileType::RegularFile);
    assert_eq!(content::<F>("digits").await, b"inner\n");
}
