//! Requests on names and on links: `rename2`, `link`, `symlink`, `readlink`, `realpath`, `mkfifo`.

use super::tests;
use crate::check::{content, create, dir, exists, fails, path_errors, works};
use crate::face::{ErrorCode, Face, FileType, OpenFlags, RenameFlags};

tests!(rename2, link, symlink, readlink, realpath, mkfifo);

async fn rename2<F: Face>() {
    let (keep, exchange) = (RenameFlags::NO_REPLACE, RenameFlags::EXCHANGE);
    let sub = dir::<F>("sub").await;
    for flags in [RenameFlags::empty(), keep, exchange] {
        path_errors(async |at, path| F::rename2(at, path, None, "bare", flags).await, &sub).await;
        path_errors(async |at, path| F::rename2(None, "digits", at, path, flags).await, &sub).await;
        fails(F::rename2(None, "missing", None, "target", flags).await, ErrorCode::NoEntry);
        fails(F::rename2(None, "digits/", None, "target", flags).await, ErrorCode::NotDirectory);
        for dots in [".", "sub/.", "sub/.."] {
            fails(F::rename2(None, dots, None, "target", flags).await, ErrorCode::Invalid);
            fails(F::rename2(None, "bare", None, dots, flags).await, ErrorCode::Invalid);
        }
        fails(F::rename2(None, "digits", None, "/frozen/ice", flags).await, ErrorCode::ReadOnly);
        fails(F::rename2(None, "/frozen/ice", None, "digits", flags).await, ErrorCode::ReadOnly);
    }
    fails(F::rename2(None, "digits", None, "target", keep | exchange).await, ErrorCode::Invalid);
    fails(F::rename2(None, "digits", None, "empty", keep).await, ErrorCode::Exist);
    fails(F::rename2(None, "digits", None, "link-dangling", keep).await, ErrorCode::Exist);
    fails(F::rename2(None, "digits", None, "bare", keep).await, ErrorCode::Exist);
    fails(F::rename2(None, "digits", None, "target/", keep).await, ErrorCode::NotDirectory);
    fails(F::rename2(None, "digits", None, "missing", exchange).await, ErrorCode::NoEntry);
    fails(F::rename2(None, "bare", None, "digits/", exchange).await, ErrorCode::NotDirectory);
    fails(F::rename2(None, "sub", None, "sub/deep", exchange).await, ErrorCode::Invalid);
    fails(F::rename2(None, "sub", None, "sub/deep/new", keep).await, ErrorCode::Invalid);
    assert_eq!(content::<F>("digits").await, b"0123456789");
    assert!(exists::<F>("sub/deep/leaf").await && !exists::<F>("target").await && !exists::<F>("missing").await);

    works(F::rename2(None, "digits", None, "target", keep).await);
    assert!(!exists::<F>("digits").await);
    assert_eq!(content::<F>("target").await, b"0123456789");
    works(F::rename2(None, "target", Some(&sub), "inner", exchange).await);
    assert_eq!(content::<F>("sub/inner").await, b"0123456789");
    assert_eq!(content::<F>("target").await, b"inner\n");
    // A file and a directory, of which one is not empty.
    works(F::rename2(None, "target", None, "many/", exchange).await);
    assert_eq!(content::<F>("many").await, b"inner\n");
    assert!(exists::<F>("target/entry-000").await);
    works(F::rename2(None, "sub/inner", None, "many", RenameFlags::empty()).await);
    assert_eq!(content::<F>("many").await, b"0123456789");
    works(F::rename2(None, "link-out", None, "link-file", exchange).await);
    assert_eq!(works(F::readlink(None, "link-file").await), "../outside/secret");
    works(F::rename2(None, "sub/deep/", None, "/other/deep/", keep).await);
    assert_eq!(content::<F>("/other/deep/leaf").await, b"leaf\n");
}

async fn link<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::link(at, path, None, "target").await, &sub).await;
    path_errors(async |at, path| F::link(None, "digits", at, path).await, &sub).await;
    fails(F::link(None, "missing", None, "target").await, ErrorCode::NoEntry);
    for directory in ["sub", "sub/", "bare", ".", "sub/.."] {
        fails(F::link(None, directory, None, "target").await, ErrorCode::NotPermitted);
    }
    for taken in ["empty", "sub", "sub/", "link-dangling", ".", "sub/..", "empty/"] {
        fails(F::link(None, "digits", None, taken).await, ErrorCode::Exist);
    }
    fails(F::link(None, "digits/", None, "target").await, ErrorCode::NotDirectory);
    fails(F::link(None, "digits", None, "target/").await, ErrorCode::NotDirectory);
    // Neither may a name be made there, nor may what lies there get a name where it could be written by.
    fails(F::link(None, "digits", None, "/frozen/digits").await, ErrorCode::ReadOnly);
    fails(F::link(None, "/frozen/ice", None, "ice").await, ErrorCode::ReadOnly);
    fails(F::link(None, "/frozen/ice", None, "/frozen/water").await, ErrorCode::ReadOnly);
    assert!(!exists::<F>("target").await && !exists::<F>("ice").await);

    works(F::link(None, "digits", None, "target").await);
    let (one, other) = (works(F::stat(None, "digits").await), works(F::stat(None, "target").await));
    assert_eq!((one.identity.inode, one.links), (other.identity.inode, 2));
    works(F::unlink(None, "digits").await);
    assert_eq!(content::<F>("target").await, b"0123456789");
    works(F::link(None, "target", Some(&sub), "below").await);
    works(F::link(Some(&sub), "below", None, "/other/beside").await);
    assert_eq!(works(F::stat(None, "/other/beside").await).links, 3);
    // A symbolic link itself gets the name, also where it leads out; and whatever is no directory.
    for path in ["link-file", "link-dangling", "link-out", "fifo"] {
        let name = format!("also-{path}");
        works(F::link(None, path, None, &name).await);
        let (one, other) = (works(F::lstat(None, path).await), works(F::lstat(None, &name).await));
        assert_eq!((one.identity.inode, other.links), (other.identity.inode, 2), "{path}");
    }
    fails(F::open(None, "also-link-out", OpenFlags::READ, 0).await, ErrorCode::NotPermitted);
}

async fn symlink<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::symlink("digits", at, path).await, &sub).await;
    for taken in ["digits", "digits/", "sub", "link-dangling", "link-out-new", ".", "sub/.."] {
        fails(F::symlink("digits", None, taken).await, ErrorCode::Exist);
    }
    fails(F::symlink("digits", None, "new/").await, ErrorCode::NotDirectory);
    fails(F::symlink("ice", None, "/frozen/new").await, ErrorCode::ReadOnly);
    for absolute in ["/", "/etc/passwd", "/data/digits", "//digits"] {
        fails(F::symlink(absolute, None, "new").await, ErrorCode::NotPermitted);
    }
    fails(F::symlink("", None, "new").await, ErrorCode::NoEntry);
    for nul in ["\0", "digits\0", "/\0"] {
        fails(F::symlink(nul, None, "new").await, ErrorCode::Invalid);
    }
    fails(F::symlink(&"x".repeat(4096), None, "new").await, ErrorCode::NameTooLong);
    assert!(!exists::<F>("new").await && !exists::<F>("nowhere").await);

    works(F::symlink("digits", None, "new").await);
    assert_eq!(works(F::lstat(None, "new").await).type_, FileType::SymbolicLink);
    assert_eq!(content::<F>("new").await, b"0123456789");
    works(F::symlink("deep/leaf", Some(&sub), "new").await);
    assert_eq!(content::<F>("sub/new").await, b"leaf\n");
    works(F::symlink("../../outside/secret", None, "sub/out").await);
    fails(F::open(None, "sub/out", OpenFlags::READ, 0).await, ErrorCode::NotPermitted);
    // What is text to the system comes back as it was.
    for (number, target) in ["back\\slash", "a//b/./..", "caf\u{e9}", "caf\u{f7e9}", " ", "new\nline"].iter().enumerate() {
        let name = format!("text-{number}");
        works(F::symlink(target, None, &name).await);
        assert_eq!(works(F::readlink(None, &name).await), *target);
    }
    works(F::symlink("caf\u{f7e9}", None, "names/link").await);
    assert_eq!(works(F::stat(None, "names/link").await).size, 5, "the name whose last byte is no UTF-8");
}

async fn readlink<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::readlink(at, path).await, &sub).await;
    fails(F::readlink(None, "missing").await, ErrorCode::NoEntry);
    for other in ["digits", "sub", "sub/", ".", "sub/..", "fifo", "socket", "link-dir/", "link-dir/inner"] {
        fails(F::readlink(None, other).await, ErrorCode::Invalid);
    }
    fails(F::readlink(None, "digits/").await, ErrorCode::NotDirectory);
    fails(F::readlink(None, "link-file/").await, ErrorCode::NotDirectory);
    fails(F::readlink(None, "link-out-dir/").await, ErrorCode::NotPermitted);
    for absolute in ["link-absolute", "link-proc", "/proc/self/exe"] {
        fails(F::readlink(None, absolute).await, ErrorCode::NotPermitted);
    }

    for (path, target) in [
        ("link-file", "digits"),
        ("link-dangling", "nowhere"),
        ("link-loop", "link-loop"),
        ("link-out", "../outside/secret"),
        ("link-dir/link-up", "../digits"),
        ("chain-in-2", "./chain-in-3"),
        ("/frozen/link-ice", "ice"),
    ] {
        assert_eq!(works(F::readlink(None, path).await), target, "{path}");
    }
    assert_eq!(works(F::readlink(Some(&sub), "link-up").await), "../digits");
}

async fn realpath<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::realpath(at, path).await, &sub).await;
    for missing in ["missing", "link-dangling", "sub/missing"] {
        fails(F::realpath(None, missing).await, ErrorCode::NoEntry);
    }
    fails(F::realpath(None, "digits/").await, ErrorCode::NotDirectory);
    fails(F::realpath(None, "link-loop").await, ErrorCode::Loop);
    for out in ["..", "link-out", "link-absolute", "/", "/proc/self/exe"] {
        fails(F::realpath(None, out).await, ErrorCode::NotPermitted);
    }
    fails(F::realpath(Some(&sub), "link-up").await, ErrorCode::NotPermitted);

    for (path, real) in [
        ("digits", "/data/digits"),
        (".", "/data"),
        ("/data/", "/data"),
        ("sub//deep/./../inner", "/data/sub/inner"),
        ("link-dir/deep/", "/data/sub/deep"),
        ("link-dir/link-up", "/data/digits"),
        ("chain-in-1", "/data/digits"),
        ("fifo", "/data/fifo"),
        ("/other", "/other"),
        ("/frozen/link-ice", "/frozen/ice"),
        ("names/caf\u{f7e9}", "/data/names/caf\u{f7e9}"),
        ("names/caf\u{e9}", "/data/names/caf\u{e9}"),
    ] {
        assert_eq!(works(F::realpath(None, path).await), real, "{path}");
    }
    assert_eq!(works(F::realpath(Some(&sub), ".").await), "/data/sub");
    assert_eq!(works(F::realpath(Some(&sub), "deep/leaf").await), "/data/sub/deep/leaf");
    fails(F::realpath(Some(&sub), "/other").await, ErrorCode::NotPermitted);
    // Two names of one object: each has its own path.
    assert_eq!(works(F::realpath(None, "twin-one").await), "/data/twin-one");
    assert_eq!(works(F::realpath(None, "twin-two").await), "/data/twin-two");
    // What looks like the kernel's own mark is a name like any other.
    drop(create::<F>("gone (deleted)", b"").await);
    assert_eq!(works(F::realpath(None, "gone (deleted)").await), "/data/gone (deleted)");
    let bare = dir::<F>("bare").await;
    works(F::rmdir(None, "bare").await);
    fails(F::realpath(Some(&bare), ".").await, ErrorCode::NoEntry);
    works(F::mkdir(None, "bare (deleted)", 0o777).await);
    fails(F::realpath(Some(&bare), ".").await, ErrorCode::NoEntry);
}

/// `--allow mkfifo`
async fn mkfifo<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::mkfifo(at, path, 0o666).await, &sub).await;
    for taken in ["digits", "digits/", "sub", "fifo", "link-dangling", "link-out-new", ".", "sub/.."] {
        fails(F::mkfifo(None, taken, 0o666).await, ErrorCode::Exist);
    }
    fails(F::mkfifo(None, "new/", 0o666).await, ErrorCode::NotDirectory);
    fails(F::mkfifo(None, "/frozen/new", 0o666).await, ErrorCode::ReadOnly);
    assert!(!exists::<F>("new").await && !exists::<F>("nowhere").await);

    works(F::mkfifo(None, "new", 0o7666).await);
    let status = works(F::lstat(None, "new").await);
    assert_eq!((status.type_, status.mode), (FileType::Fifo, 0o644), "the host's umask is 0o022 in these tests");
    works(F::mkfifo(Some(&sub), "new", 0o600).await);
    assert_eq!(works(F::lstat(None, "sub/new").await).mode, 0o600);
    fails(F::open(None, "new", OpenFlags::READ, 0).await, ErrorCode::Unsupported);
    fails(F::open(None, "new", OpenFlags::WRITE, 0).await, ErrorCode::Unsupported);
    works(F::unlink(None, "new").await);
}
