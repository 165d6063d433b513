//! Attempts to get out of the granted directories, or to change what is granted for reading only: what each is answered,
//! and that nothing outside was touched. Each runs in a real guest, on every face and with both resolvers.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, thread};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use support::{FACES, Guest, OPENAT2, PORTABLE, Resolver, SECRET, Tree, run, success};

mod support;

const INSIDE: &str = "ok";
const OUT: &str = "not-permitted 1";
const NONE: &str = "no-entry 2";
const EXIST: &str = "exist 17";
const NOT_DIRECTORY: &str = "not-directory 20";
const IS_DIRECTORY: &str = "is-directory 21";
const INVALID: &str = "invalid 22";
const READ_ONLY: &str = "read-only 30";
const TOO_LONG: &str = "name-too-long 36";
const LOOP: &str = "loop 40";
const UNSUPPORTED: &str = "unsupported 95";

/// A request as `tests/guests/src/attempt.rs` reads it, and its answer. `ok` may be followed by what the request gives.
type Row = (&'static str, &'static str);

/// `..` in every place.
const DOTS: &[Row] = &[
    ("open ../outside/secret", OUT),
    ("open ../secret", OUT),
    ("open ..", OUT),
    ("open sub/../../secret", OUT),
    ("open sub/deep/../../../secret", OUT),
    ("open ./../secret", OUT),
    ("open .//..//secret", OUT),
    ("open ../data/digits", OUT),
    ("open ../data-beside/secret", OUT),
    ("open link-dir/../../secret", OUT),
    ("open @sub ../../secret", OUT),
    ("open @sub/deep ../../../secret", OUT),
    // A directory handle is a grant of its own: what lies above it is out of its reach.
    ("open @sub ../digits", OUT),
    ("open @sub link-up", OUT),
    ("open @sub deep/../../digits", OUT),
    ("open ../outside/new write,create", OUT),
    ("open ../outside/victim write,truncate", OUT),
    ("open-dir ..", OUT),
    ("open-dir ../outside", OUT),
    ("open-dir sub/../..", OUT),
    ("open-dir @sub ..", OUT),
    ("stat ..", OUT),
    ("stat ../outside/secret", OUT),
    ("stat ../missing", OUT),
    ("lstat ../outside/secret", OUT),
    ("lstat ../..", OUT),
    ("readdir ..", OUT),
    ("readdir ../outside", OUT),
    ("scandir ../outside", OUT),
    ("unlink ../outside/victim", OUT),
    ("rmdir ../outside/empty", OUT),
    ("mkdir ../outside/new", OUT),
    ("rename ../outside/secret caught", OUT),
    ("rename digits ../outside/secret", OUT),
    ("rename digits ../outside/new", OUT),
    ("rename @sub ../../outside/secret caught", OUT),
    ("rename digits @sub ../../outside/new", OUT),
    ("unlink ..", INVALID),
    ("unlink sub/..", INVALID),
    ("rmdir ..", INVALID),
    ("rmdir sub/deep/..", INVALID),
    ("rmdir .", INVALID),
    ("rename .. caught", INVALID),
    ("rename digits ..", INVALID),
    ("rename sub/. caught", INVALID),
    ("mkdir ..", EXIST),
    ("mkdir .", EXIST),
    ("open sub/../digits", INSIDE),
    ("open sub/deep/../../digits", INSIDE),
    ("open @sub deep/../inner", INSIDE),
    ("statvfs ..", OUT),
    ("statvfs ../outside/secret", OUT),
    ("utime ..", OUT),
    ("utime ../outside/secret", OUT),
    ("chmod ..", OUT),
    ("chmod ../outside/victim", OUT),
    ("chmod @sub ..", OUT),
    ("truncate ../outside/victim", OUT),
    ("truncate @sub ../digits", OUT),
    ("link ../outside/secret caught", OUT),
    ("link digits ../outside/new", OUT),
    ("link digits @sub ../../outside/new", OUT),
    ("link .. caught", OUT),
    ("link digits ..", EXIST),
    ("symlink ../outside/new digits", OUT),
    ("symlink @sub ../../outside/new inner", OUT),
    ("symlink .. digits", EXIST),
    ("symlink caught /etc/passwd", OUT),
    ("readlink ../outside/secret", OUT),
    ("readlink ..", INVALID),
    ("realpath ..", OUT),
    ("realpath ../data/digits", OUT),
    ("realpath ../outside", OUT),
    ("realpath @sub ..", OUT),
    ("realpath @sub link-up", OUT),
    ("exchange ../outside/victim digits", OUT),
    ("exchange digits ../outside/victim", OUT),
    ("exchange digits ..", INVALID),
    ("mkfifo ../outside/new", OUT),
    ("mkfifo ..", EXIST),
    ("pathsync ..", OUT),
    ("pathsync ../outside/secret", OUT),
];

/// The requests on whole files and trees, by each way out.
const WHOLE: &[Row] = &[
    ("load ../outside/secret", OUT),
    ("load link-out", OUT),
    ("load chain-out-1", OUT),
    ("load link-absolute", OUT),
    ("load @sub ../../secret", OUT),
    ("load @sub ../digits", OUT),
    ("load /etc/passwd", OUT),
    ("load /proc/self/root/etc/passwd", OUT),
    ("load /proc/self/exe", OUT),
    ("load /proc/self/fd/0", OUT),
    ("load /dev/zero", UNSUPPORTED),
    ("load digits/", NOT_DIRECTORY),
    ("load digits%00", INVALID),
    ("slurp ../outside/secret", OUT),
    ("slurp sub/link-out-dir/secret", OUT),
    ("slurp /data/../outside/secret", OUT),
    ("slurp /dev/zero", UNSUPPORTED),
    ("slurp fifo", UNSUPPORTED),
    ("store ../outside/new", OUT),
    ("store ../outside/secret", OUT),
    ("store link-out-dir/victim", OUT),
    ("store link-out-dir/new", OUT),
    ("store @sub ../../outside/victim", OUT),
    ("store /data/../outside/victim", OUT),
    ("store link-out/", NOT_DIRECTORY),
    ("store ..", IS_DIRECTORY),
    ("store /other", IS_DIRECTORY),
    ("store /frozen/ice", READ_ONLY),
    ("store /frozen/link-ice", READ_ONLY),
    ("store @/frozen new", READ_ONLY),
    ("store digits%00", INVALID),
    ("copy ../outside/secret caught", OUT),
    ("copy link-out caught", OUT),
    ("copy link-frozen/ice caught", OUT),
    ("copy @sub ../digits caught", OUT),
    ("copy digits ../outside/new", OUT),
    ("copy digits link-out-dir/victim", OUT),
    ("copy digits @sub ../../outside/new", OUT),
    ("copy digits /frozen/ice", READ_ONLY),
    ("copy digits @/frozen/floe new", READ_ONLY),
    ("copy /dev/zero caught", UNSUPPORTED),
    ("copy /proc/self/root/etc/passwd caught", OUT),
    ("copy digits digits", INVALID),
    ("move ../outside/secret caught", OUT),
    ("move link-out-dir/secret caught", OUT),
    ("move digits ../outside/new", OUT),
    ("move digits link-out-dir/victim", OUT),
    ("move /frozen/ice caught", READ_ONLY),
    ("move @/frozen ice caught", READ_ONLY),
    ("move digits /frozen/new", READ_ONLY),
    ("move .. caught", INVALID),
    ("readdirx ..", OUT),
    ("readdirx link-out-dir", OUT),
    ("readdirx /proc/self/root", OUT),
    ("readdirx @sub ..", OUT),
    ("walk ..", OUT),
    ("walk ../outside", OUT),
    ("walk link-out-dir", OUT),
    ("walk link-out-dir/", OUT),
    ("walk sub/link-out-dir", OUT),
    ("walk link-frozen", OUT),
    ("walk @sub ..", OUT),
    ("walk @sub link-out-dir", OUT),
    ("walk /", OUT),
    ("walk /proc/self/root", OUT),
    ("walk digits", NOT_DIRECTORY),
    ("walk sub%00", INVALID),
    ("rmtree ../outside", OUT),
    ("rmtree ../outside/empty", OUT),
    ("rmtree link-out-dir/empty", OUT),
    ("rmtree sub/../../outside", OUT),
    ("rmtree @sub ../../outside", OUT),
    ("rmtree /etc", OUT),
    ("rmtree link-out-dir", NOT_DIRECTORY),
    ("rmtree link-out-dir/", NOT_DIRECTORY),
    ("rmtree link-dir", NOT_DIRECTORY),
    ("rmtree link-dir/", NOT_DIRECTORY),
    ("rmtree link-frozen", NOT_DIRECTORY),
    ("rmtree .", INVALID),
    ("rmtree ..", INVALID),
    ("rmtree link-out-dir/..", INVALID),
    ("rmtree /data", INVALID),
    ("rmtree /other/", INVALID),
    ("rmtree /frozen/floe", READ_ONLY),
    ("rmtree @/frozen floe", READ_ONLY),
    ("rmtree /proc/self", READ_ONLY),
    ("rmtree sub%00", INVALID),
    ("rmtree ", NONE),
    ("copy-tree ../outside caught", OUT),
    ("copy-tree link-out-dir caught", OUT),
    ("copy-tree link-frozen caught", OUT),
    ("copy-tree sub/link-out-dir caught", OUT),
    ("copy-tree /proc/self/root caught", OUT),
    ("copy-tree @sub .. caught", OUT),
    ("copy-tree sub ../outside/new", OUT),
    ("copy-tree sub link-out-dir/new", OUT),
    ("copy-tree sub @sub ../../outside/new", OUT),
    ("copy-tree sub /frozen/new", READ_ONLY),
    ("copy-tree sub link-out-dir", EXIST),
    ("copy-tree sub link-out-new", EXIST),
    ("copy-tree sub /other", EXIST),
    ("copy-tree sub sub/new", INVALID),
    ("copy-tree . caught", INVALID),
    ("load digits", "ok 0123456789"),
    ("walk @sub deep", INSIDE),
    ("readdirx kinds", INSIDE),
];

/// Absolute paths: a grant is picked by whole components, and left by `..` like any directory.
const ABSOLUTE: &[Row] = &[
    ("open /etc/passwd", OUT),
    ("open /", OUT),
    ("open //", OUT),
    ("stat /", OUT),
    ("readdir /", OUT),
    ("open-dir /", OUT),
    ("open-dir /etc", OUT),
    ("open /secret", OUT),
    ("open /outside/secret", OUT),
    ("open /dat/digits", OUT),
    ("open /data-beside/secret", OUT),
    ("open /datadigits", OUT),
    ("open /data/../outside/secret", OUT),
    ("open /data/../secret", OUT),
    ("open /data/../data/digits", OUT),
    ("open /data/../other/x", OUT),
    ("open /data/sub/../../secret", OUT),
    ("open /../data/digits", OUT),
    ("open /./../etc/passwd", OUT),
    ("open /other/../data/digits", OUT),
    ("open @sub /etc/passwd", OUT),
    ("open-dir /data/..", OUT),
    ("readdir /frozen/..", OUT),
    ("mkdir /new", OUT),
    ("unlink /etc/passwd", OUT),
    ("rename digits /tmp/caught", OUT),
    ("rename /etc/passwd caught", OUT),
    // A grant itself is not to be had as an entry of what it lies in.
    ("unlink /data", INVALID),
    ("rmdir /data", INVALID),
    ("rmdir /other/", INVALID),
    ("rename /data /other/data", INVALID),
    ("rename /other caught", INVALID),
    ("mkdir /data", EXIST),
    ("open /data/digits", INSIDE),
    ("open //data//./digits", INSIDE),
    ("open @sub /data/digits", INSIDE),
    ("open-dir /data/", INSIDE),
    ("statvfs /", OUT),
    ("utime /etc/passwd", OUT),
    ("chmod /", OUT),
    ("truncate /data/../outside/victim", OUT),
    ("link digits /tmp/caught", OUT),
    ("link /etc/passwd caught", OUT),
    ("symlink /new digits", OUT),
    ("readlink /etc/mtab", OUT),
    ("realpath /", OUT),
    ("realpath /data/../data", OUT),
    ("exchange digits /etc/passwd", OUT),
    ("exchange /data /other", INVALID),
    ("link /data /other/data", OUT),
    ("mkfifo /new", OUT),
    ("pathsync /", OUT),
    ("realpath @sub /data/sub/inner", "ok /data/sub/inner"),
];

/// Symbolic links that lead out, at the end of a path and within.
const LINKS: &[Row] = &[
    ("open link-out", OUT),
    ("open link-out-dir/secret", OUT),
    ("open sub/link-out-dir/secret", OUT),
    ("open @sub link-out-dir/secret", OUT),
    ("open chain-out-1", OUT),
    ("open link-absolute", OUT),
    ("open link-absolute-dir/inner", OUT),
    ("open link-frozen/ice", OUT),
    ("open /other/link-frozen", OUT),
    ("open link-proc/etc/passwd", OUT),
    ("open link-dir/../link-out", OUT),
    ("open link-out write", OUT),
    ("open link-out write,truncate", OUT),
    ("open link-out append", OUT),
    ("open link-out-new write,create", OUT),
    ("open link-out-dir/new write,create", OUT),
    ("open link-out-dir read", OUT),
    ("stat link-out", OUT),
    ("stat link-out-dir", OUT),
    ("stat link-out-dir/", OUT),
    ("stat chain-out-1", OUT),
    ("stat link-out-new", OUT),
    ("lstat link-out-dir/", OUT),
    ("lstat link-out-dir/.", OUT),
    ("lstat link-out-dir/secret", OUT),
    ("open-dir link-out-dir", OUT),
    ("open-dir link-frozen", OUT),
    ("readdir link-out-dir", OUT),
    ("scandir link-out-dir/", OUT),
    ("unlink link-out-dir/victim", OUT),
    ("rmdir link-out-dir/empty", OUT),
    ("mkdir link-out-dir/new", OUT),
    ("rename link-out-dir/secret caught", OUT),
    ("rename digits link-out-dir/new", OUT),
    ("rename digits link-frozen/new", OUT),
    ("mkdir link-out-dir", EXIST),
    ("mkdir link-out-new", EXIST),
    ("open link-out write,create,exclusive", EXIST),
    ("open link-out-new write,create,exclusive", EXIST),
    ("open link-out read,no-follow", LOOP),
    ("open link-loop", LOOP),
    ("open link-loop/x", LOOP),
    ("stat link-loop", LOOP),
    ("open long-0", LOOP),
    ("open chain-in-1", INSIDE),
    ("lstat link-out", INSIDE),
    ("open /frozen/link-ice", INSIDE),
    ("statvfs link-out", OUT),
    ("statvfs link-out-dir/", OUT),
    ("utime link-out", OUT),
    ("utime link-out-dir", OUT),
    ("utime chain-out-1", OUT),
    ("utime link-absolute", OUT),
    ("chmod link-out", OUT),
    ("chmod link-out-dir/secret", OUT),
    ("chmod link-frozen/ice", OUT),
    ("chmod link-out-new", OUT),
    ("truncate link-out", OUT),
    ("truncate link-out-new", OUT),
    ("truncate sub/link-out-dir/victim", OUT),
    ("link link-out-dir/secret caught", OUT),
    ("link digits link-out-dir/new", OUT),
    ("link digits link-out-new", EXIST),
    ("symlink link-out-dir/new digits", OUT),
    ("symlink link-out-new digits", EXIST),
    ("readlink link-out-dir/secret", OUT),
    ("readlink link-out-dir/", OUT),
    ("readlink link-absolute", OUT),
    ("readlink link-proc", OUT),
    ("readlink link-out", "ok ../outside/secret"),
    ("realpath link-out", OUT),
    ("realpath link-out-new", OUT),
    ("realpath link-absolute", OUT),
    ("realpath link-proc", OUT),
    ("exchange link-out-dir/victim digits", OUT),
    ("exchange digits link-out-dir/victim", OUT),
    ("mkfifo link-out-dir/new", OUT),
    ("mkfifo link-out-new", EXIST),
    ("pathsync link-out", OUT),
    ("pathsync link-out-dir", OUT),
    ("chmod link-loop", LOOP),
    ("realpath long-0", LOOP),
    ("realpath chain-in-1", "ok /data/digits"),
];

/// What the system gives to who knows where to look: magic links, and devices.
const SYSTEM: &[Row] = &[
    ("open /proc/self/root/etc/passwd", OUT),
    ("stat /proc/self/root", OUT),
    ("readdir /proc/self/root", OUT),
    ("open-dir /proc/self/cwd", OUT),
    ("open /proc/self/cwd/Cargo.toml", OUT),
    ("open /proc/self/exe", OUT),
    ("open /proc/self/fd/0", OUT),
    ("stat /proc/self/fd/0", OUT),
    ("open /proc/thread-self/root/etc/passwd", OUT),
    ("open /proc/thread-self/cwd/Cargo.toml", OUT),
    ("open @/proc/self root/etc/passwd", OUT),
    ("open /proc/../etc/passwd", OUT),
    ("open /dev/stdin", OUT),
    ("open /dev/fd/0", OUT),
    ("open-dir /dev/fd", OUT),
    ("readdir /dev/fd/", OUT),
    ("open /dev/null", UNSUPPORTED),
    ("open /dev/zero", UNSUPPORTED),
    ("open @/dev tty", UNSUPPORTED),
    ("open /dev/null write", READ_ONLY),
    ("open fifo", UNSUPPORTED),
    ("open fifo write", UNSUPPORTED),
    ("open fifo read,write", UNSUPPORTED),
    ("open socket", UNSUPPORTED),
    ("open socket write", UNSUPPORTED),
    ("readlink /proc/self/exe", OUT),
    ("readlink /proc/self/cwd", OUT),
    ("realpath /proc/self/exe", OUT),
    ("realpath /proc/self/fd/0", OUT),
    ("statvfs /proc/self/root", OUT),
    ("pathsync /proc/self/root", OUT),
    ("chmod /proc/self/fd/0", READ_ONLY),
    ("link /proc/self/exe caught", READ_ONLY),
    ("pathsync /dev/null", UNSUPPORTED),
    ("pathsync fifo", UNSUPPORTED),
    ("truncate fifo", UNSUPPORTED),
    ("truncate socket", UNSUPPORTED),
];

/// Slashes at the end, and parts that are empty.
const SLASHES: &[Row] = &[
    ("open digits/", NOT_DIRECTORY),
    ("open digits/.", NOT_DIRECTORY),
    ("open digits/..", NOT_DIRECTORY),
    ("open link-file/", NOT_DIRECTORY),
    ("stat digits/", NOT_DIRECTORY),
    ("stat digits//", NOT_DIRECTORY),
    ("lstat link-file/", NOT_DIRECTORY),
    ("unlink digits/", NOT_DIRECTORY),
    ("unlink link-dir/", NOT_DIRECTORY),
    ("unlink link-out/", NOT_DIRECTORY),
    ("unlink sub", IS_DIRECTORY),
    ("unlink sub/", IS_DIRECTORY),
    ("rmdir digits/", NOT_DIRECTORY),
    ("rmdir link-dir", NOT_DIRECTORY),
    ("rmdir link-dir/", NOT_DIRECTORY),
    ("rmdir link-out-dir", NOT_DIRECTORY),
    ("rmdir link-out-dir/", NOT_DIRECTORY),
    ("rename digits caught/", NOT_DIRECTORY),
    ("rename digits/ caught", NOT_DIRECTORY),
    ("rename link-dir/ caught", NOT_DIRECTORY),
    ("mkdir digits/", EXIST),
    ("mkdir link-out-dir/", EXIST),
    ("open missing/", NONE),
    ("open ", NONE),
    ("stat ", NONE),
    ("stat @sub ", NONE),
    ("open-dir ", NONE),
    ("readdir ", NONE),
    ("unlink ", NONE),
    ("mkdir ", NONE),
    ("rename  caught", NONE),
    ("rename digits ", NONE),
    ("open sub", IS_DIRECTORY),
    ("open sub/", IS_DIRECTORY),
    ("open .", IS_DIRECTORY),
    ("open sub//inner", INSIDE),
    ("open ./sub/./inner", INSIDE),
    ("stat sub////", INSIDE),
    ("lstat link-dir/", INSIDE),
    ("statvfs digits/", NOT_DIRECTORY),
    ("utime digits/", NOT_DIRECTORY),
    ("utime link-file/", NOT_DIRECTORY),
    ("chmod digits/", NOT_DIRECTORY),
    ("truncate digits/", NOT_DIRECTORY),
    ("truncate sub/", IS_DIRECTORY),
    ("truncate .", IS_DIRECTORY),
    ("link digits/ caught", NOT_DIRECTORY),
    ("link digits caught/", NOT_DIRECTORY),
    ("link link-out-dir/ caught", NOT_DIRECTORY),
    ("link sub/ caught", OUT),
    ("symlink caught/ digits", NOT_DIRECTORY),
    ("symlink link-out-dir/ digits", EXIST),
    ("readlink digits/", NOT_DIRECTORY),
    ("readlink link-file/", NOT_DIRECTORY),
    ("readlink link-dir/", INVALID),
    ("realpath digits/", NOT_DIRECTORY),
    ("exchange digits/ empty", NOT_DIRECTORY),
    ("exchange digits empty/", NOT_DIRECTORY),
    ("exchange link-out-dir/ bare", NOT_DIRECTORY),
    ("mkfifo caught/", NOT_DIRECTORY),
    ("pathsync digits/", NOT_DIRECTORY),
    ("realpath link-dir//", "ok /data/sub"),
];

/// NUL: the system would take the path to end there.
const NULS: &[Row] = &[
    ("open digits%00", INVALID),
    ("open digits%00.txt", INVALID),
    ("open %00", INVALID),
    ("open ../outside/secret%00", INVALID),
    ("open /data/digits%00/../../..", INVALID),
    ("open @sub inner%00", INVALID),
    ("open digits%00 write,truncate", INVALID),
    ("open new%00 write,create", INVALID),
    ("stat digits%00", INVALID),
    ("unlink digits%00x", INVALID),
    ("mkdir new%00x", INVALID),
    ("rename digits%00 caught", INVALID),
    ("rename digits caught%00", INVALID),
    ("readdir sub%00", INVALID),
    ("statvfs digits%00", INVALID),
    ("utime digits%00x", INVALID),
    ("chmod digits%00", INVALID),
    ("truncate digits%00x", INVALID),
    ("link digits%00 caught", INVALID),
    ("link digits caught%00", INVALID),
    ("symlink new%00 digits", INVALID),
    ("symlink new digits%00", INVALID),
    ("readlink link-file%00", INVALID),
    ("realpath digits%00", INVALID),
    ("exchange digits%00 empty", INVALID),
    ("mkfifo new%00", INVALID),
    ("pathsync digits%00", INVALID),
];

/// Changes to what was granted for reading only, by every way there.
const RIGHTS: &[Row] = &[
    ("open /frozen/ice write", READ_ONLY),
    ("open /frozen/ice append", READ_ONLY),
    ("open /frozen/ice read,write", READ_ONLY),
    ("open /frozen/ice write,truncate", READ_ONLY),
    ("open /frozen/ice write,create", READ_ONLY),
    ("open /frozen/ice write,create,exclusive", READ_ONLY),
    ("open /frozen/new write,create", READ_ONLY),
    ("open /frozen/link-ice write", READ_ONLY),
    ("open /frozen/link-ice write,truncate", READ_ONLY),
    ("open @/frozen ice write", READ_ONLY),
    ("open @/frozen new write,create", READ_ONLY),
    ("open @/frozen/floe ../ice write", READ_ONLY),
    ("unlink /frozen/ice", READ_ONLY),
    ("unlink /frozen/link-ice", READ_ONLY),
    ("unlink @/frozen ice", READ_ONLY),
    ("rmdir /frozen/floe", READ_ONLY),
    ("rmdir @/frozen floe", READ_ONLY),
    ("mkdir /frozen/new", READ_ONLY),
    ("mkdir @/frozen/floe new", READ_ONLY),
    ("rename /frozen/ice /frozen/water", READ_ONLY),
    ("rename /frozen/ice caught", READ_ONLY),
    ("rename @/frozen ice caught", READ_ONLY),
    ("rename digits /frozen/digits", READ_ONLY),
    ("rename digits /frozen/ice", READ_ONLY),
    ("rename digits @/frozen/floe digits", READ_ONLY),
    ("rename /other /frozen/floe", READ_ONLY),
    ("mkdir /proc/new", READ_ONLY),
    ("unlink /dev/null", READ_ONLY),
    ("open /frozen/ice", "ok cold"),
    ("readdir @/frozen floe", INSIDE),
    ("utime /frozen/ice", READ_ONLY),
    ("utime /frozen/link-ice", READ_ONLY),
    ("utime @/frozen .", READ_ONLY),
    ("chmod /frozen", READ_ONLY),
    ("chmod /frozen/ice", READ_ONLY),
    ("chmod @/frozen/floe .", READ_ONLY),
    ("truncate /frozen/ice", READ_ONLY),
    ("truncate @/frozen link-ice", READ_ONLY),
    ("link /frozen/ice caught", READ_ONLY),
    ("link /frozen/ice /frozen/water", READ_ONLY),
    ("link @/frozen ice caught", READ_ONLY),
    ("link digits /frozen/new", READ_ONLY),
    ("link digits @/frozen/floe new", READ_ONLY),
    ("symlink /frozen/new ice", READ_ONLY),
    ("symlink @/frozen new ice", READ_ONLY),
    ("exchange /frozen/ice digits", READ_ONLY),
    ("exchange digits @/frozen ice", READ_ONLY),
    ("mkfifo /frozen/new", READ_ONLY),
    ("readlink /frozen/link-ice", "ok ice"),
    ("realpath @/frozen/floe .", "ok /frozen/floe"),
    ("statvfs /frozen/ice", INSIDE),
    ("pathsync /frozen", INSIDE),
];

/// Names and paths that no file system holds.
fn too_long() -> Vec<(String, &'static str)> {
    let name = "n".repeat(256);
    let path = "sub/../".repeat(600) + "digits";
    let out = "../".repeat(1400) + "etc/passwd";
    let requests = [
        "open", "stat", "lstat", "open-dir", "readdir", "unlink", "rmdir", "mkdir", "chmod", "truncate", "realpath", "load",
        "slurp", "store", "readdirx", "walk", "rmtree",
    ];
    let long = requests.iter().flat_map(|request| [&name, &path, &out].map(|path| format!("{request} {path}")));
    let both = [&name, &path, &out].into_iter().flat_map(|path| {
        let of = |request: &str, from: &str| [format!("{request} {path} caught"), format!("{request} {from} {path}")];
        [of("rename", "digits"), of("copy", "digits"), of("move", "digits"), of("copy-tree", "sub")].concat()
    });
    long.chain(both).map(|plan| (plan, TOO_LONG)).collect()
}

fn table() -> Vec<(String, &'static str)> {
    let groups = [DOTS, WHOLE, ABSOLUTE, LINKS, SYSTEM, SLASHES, NULS, RIGHTS];
    let rows = groups.into_iter().flatten().map(|(plan, answer)| (String::from(*plan), *answer));
    rows.chain(too_long()).collect()
}

/// What can be known of everything below these names without reading it: kinds, sizes, times and identities.
fn watch(tree: &Tree, names: &[&str]) -> BTreeMap<PathBuf, String> {
    fn add(found: &mut BTreeMap<PathBuf, String>, path: &Path) {
        let status = fs::symlink_metadata(path).expect("it is there");
        let changed = (status.ctime(), status.ctime_nsec());
        // Directories are read here too, and symbolic links are read where they are refused.
        let read = if status.is_file() { Some((status.atime(), status.atime_nsec())) } else { None };
        let (mode, size) = (status.mode(), status.size());
        found.insert(path.to_owned(), format!("{mode:o}, {size} bytes, inode {}, {changed:?}, {read:?}", status.ino()));
        if status.is_dir() {
            fs::read_dir(path).expect("it is ours").for_each(|entry| add(found, &entry.expect("an entry").path()));
        }
    }
    let mut found = BTreeMap::new();
    names.iter().for_each(|name| add(&mut found, &tree.path(name)));
    found
}

/// Runs the whole table in one guest. All of it fails, or only looks, so the attempts do not disturb each other.
fn attempt_all((guest, face): (Guest, &str), resolver: Resolver) {
    let tree = Tree::new();
    let watched = ["outside", "beyond", "data-beside", "secret", "frozen", "data/digits", "data/sub", "data/bare", "other"];
    // None of it has been read since it was written, so that the file system notes the first time it is.
    let mut before = watch(&tree, &watched);
    let table = table();
    let mut arguments = vec![face, "attempt"];
    arguments.extend(table.iter().map(|(plan, _)| plan.as_str()));
    let options = tree.options(&["--allow", "mkfifo"]);
    let output = success(run(&options, resolver, guest, &arguments)).unwrap_or_else(|failure| panic!("{failure}"));
    let answers: Vec<&str> = output.lines().collect();
    assert_eq!(answers.len(), table.len(), "one line for each attempt");
    let as_expected = |expected: &str, answer: &str| answer == expected || expected == INSIDE && answer.starts_with("ok ");
    let wrong: Vec<String> = std::iter::zip(&table, answers)
        .filter(|((_, expected), answer)| !as_expected(expected, answer))
        .map(|((plan, expected), answer)| format!("{plan:.80}: expected {expected}, got {answer}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} attempts:\n{}", wrong.len(), table.len(), wrong.join("\n"));
    assert!(!output.contains(SECRET), "a guest has read what lies outside");

    let mut after = watch(&tree, &watched);
    // These are read by attempts that stay inside.
    for name in ["data/digits", "data/sub/inner", "frozen/ice"] {
        let path = tree.path(name);
        assert!(before.remove(&path).is_some() && after.remove(&path).is_some(), "{name} is gone");
    }
    assert_eq!(before, after, "something was changed or read");
    assert_eq!(fs::read(tree.path("frozen/ice")).expect("it is there"), b"cold");
    assert_eq!(fs::read(tree.path("data/digits")).expect("it is there"), b"0123456789");
}

/// Times the guest goes through what is being exchanged. A resolver that checks first and then opens was caught in every run
/// of this many, and in two of three of 400.
const RACE_ROUNDS: &str = "2000";

/// Exchanges a directory for a link that leads outside, and moves another outside and back, while a guest goes through both.
fn race((guest, face): (Guest, &str), resolver: Resolver) {
    let tree = Tree::new();
    let watched = ["outside", "data-beside", "secret", "beyond/secret"];
    let before = watch(&tree, &watched);
    let options = tree.options(&[]);
    let [flip, flop, moving, beyond] =
        ["data/flip", "data/flop", "data/moving/deep", "beyond/deep"].map(|name| tree.path(name));
    let exchange = || renameat_with(CWD, &flip, CWD, &flop, RenameFlags::EXCHANGE).expect("both are there");
    let output = thread::scope(|scope| {
        let guest = scope.spawn(|| run(&options, resolver, guest, &[face, "race", RACE_ROUNDS]));
        while !guest.is_finished() {
            exchange();
            fs::rename(&moving, &beyond).expect("it is inside");
            exchange();
            fs::rename(&beyond, &moving).expect("it is outside");
        }
        guest.join().expect("the host can be started")
    });
    let output = success(output).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(output.ends_with("were refused\n"), "{output}");
    assert_eq!(before, watch(&tree, &watched), "something outside was changed or read");
}

/// Times the guest lists, copies and removes a tree in which a directory is exchanged for a link that leads outside.
const TREE_ROUNDS: &str = "400";

fn race_of_trees((guest, face): (Guest, &str), resolver: Resolver) {
    let tree = Tree::new();
    let watched = ["outside", "data-beside", "secret"];
    let before = watch(&tree, &watched);
    let options = tree.options(&[]);
    let [prey, flip, flop] = ["data/prey", "data/prey/flip", "data/prey/flop"].map(|name| tree.path(name));
    let output = thread::scope(|scope| {
        let guest = scope.spawn(|| run(&options, resolver, guest, &[face, "race-trees", TREE_ROUNDS]));
        while !guest.is_finished() {
            // Any of it may fail: the guest removes what is there.
            let _ = fs::create_dir_all(flip.join("empty"));
            let _ = fs::write(flip.join("secret"), "inside");
            let _ = fs::create_dir(prey.join("deep"));
            let _ = std::os::unix::fs::symlink("../../outside", &flop);
            for _ in 0..50 {
                let _ = renameat_with(CWD, &flip, CWD, &flop, RenameFlags::EXCHANGE);
            }
        }
        guest.join().expect("the host can be started")
    });
    let output = success(output).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(output.ends_with("were refused\n"), "{output}");
    assert_eq!(before, watch(&tree, &watched), "something outside was changed or read");
}

#[test]
fn race_of_trees_blocking() {
    race_of_trees(FACES[0], OPENAT2);
}

#[test]
fn race_of_trees_submit_portable() {
    race_of_trees(FACES[1], PORTABLE);
}

#[test]
fn race_of_trees_requests() {
    race_of_trees(FACES[2], OPENAT2);
}

#[test]
fn attempts_blocking() {
    attempt_all(FACES[0], OPENAT2);
}

#[test]
fn attempts_blocking_portable() {
    attempt_all(FACES[0], PORTABLE);
}

#[test]
fn attempts_submit() {
    attempt_all(FACES[1], OPENAT2);
}

#[test]
fn attempts_submit_portable() {
    attempt_all(FACES[1], PORTABLE);
}

#[test]
fn attempts_requests() {
    attempt_all(FACES[2], OPENAT2);
}

#[test]
fn attempts_requests_portable() {
    attempt_all(FACES[2], PORTABLE);
}

#[test]
fn race_blocking() {
    race(FACES[0], OPENAT2);
}

#[test]
fn race_blocking_portable() {
    race(FACES[0], PORTABLE);
}

#[test]
fn race_submit() {
    race(FACES[1], OPENAT2);
}

#[test]
fn race_submit_portable() {
    race(FACES[1], PORTABLE);
}

#[test]
fn race_requests() {
    race(FACES[2], OPENAT2);
}

#[test]
fn race_requests_portable() {
    race(FACES[2], PORTABLE);
}

/// What a few attempts are answered, in a run of their own.
fn answers(options: &[OsString], resolver: Resolver, plans: &[&str]) -> Vec<String> {
    let arguments = [&["blocking", "attempt"], plans].concat();
    let output = success(run(options, resolver, Guest::Sync, &arguments)).unwrap_or_else(|failure| panic!("{failure}"));
    output.lines().map(String::from).collect()
}

#[test]
fn without_a_grant_there_is_nothing() {
    let plans = ["open digits", "open .", "open /", "open /etc/passwd", "readdir .", "mkdir new", "rename a b"];
    assert_eq!(answers(&[], OPENAT2, &plans), [OUT; 7]);
}

#[test]
fn the_longest_name_of_a_grant_counts() {
    let tree = Tree::new();
    let inner = format!("{}::/data/sub", tree.path("data/sub").display());
    let options = tree.options(&["--ro-dir", &inner]);
    let plans =
        ["unlink /data/sub/inner", "open /data/sub/inner", "open /data/subx", "open /data/sub/../digits", "unlink sub/inner"];
    // The last is a path of the first grant, which may be written.
    assert_eq!(answers(&options, OPENAT2, &plans), [READ_ONLY, "ok inner\\n", NONE, OUT, "ok "]);
}

#[test]
fn identities_hold_for_one_run_only() {
    let tree = Tree::new();
    let ask = || answers(&tree.options(&[]), OPENAT2, &["stat digits", "stat digits"]);
    let (one, other) = (ask(), ask());
    assert_eq!(one[0], one[1]);
    assert_ne!(one[0], other[0], "what a guest is told of an object must not lead to its inode number");
}

#[test]
fn a_kernel_without_openat2_is_noticed() {
    let tree = Tree::new();
    let auto = Resolver { option: "auto", openat2: false };
    let plans = ["open sub/../digits", "open ../secret", "open link-out"];
    assert_eq!(answers(&tree.options(&[]), auto, &plans), ["ok 0123456789", OUT, OUT]);
}

/// To open a FIFO wakes who waits at its other end, and to close it breaks what that one then does.
#[test]
fn a_refused_open_wakes_nobody() {
    for resolver in [OPENAT2, PORTABLE] {
        let tree = Tree::new();
        let (reader, writer) = (tree.path("data/fifo"), tree.path("data/kinds/fifo"));
        let reading = thread::spawn({
            let path = reader.clone();
            move || fs::File::open(path)
        });
        let writing = thread::spawn({
            let path = writer.clone();
            move || fs::OpenOptions::new().write(true).open(path)
        });
        let mut plans = Vec::new();
        for fifo in ["fifo", "kinds/fifo"] {
            let flags = ["read", "write", "read,write", "write,create", "append", "write,truncate"];
            plans.extend(flags.map(|flags| format!("open {fifo} {flags}")));
            plans.extend(["truncate", "pathsync"].map(|request| format!("{request} {fifo}")));
        }
        let plans: Vec<&str> = plans.iter().map(String::as_str).collect();
        assert_eq!(answers(&tree.options(&[]), resolver, &plans), vec![UNSUPPORTED; plans.len()]);
        assert!(!reading.is_finished() && !writing.is_finished(), "they were woken");
        // Now they may go.
        let write = fs::OpenOptions::new().write(true).open(reader).expect("it is read");
        let read = fs::File::open(writer).expect("it is written");
        let ends = (reading.join().expect("it does not panic"), writing.join().expect("it does not panic"));
        assert!(ends.0.is_ok() && ends.1.is_ok());
        drop((write, read));
    }
}
