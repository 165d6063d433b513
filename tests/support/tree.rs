//! The directories that guests are let loose on.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

/// What no guest may ever see.
pub(crate) const SECRET: &str = "the secret that lies outside";

/// A fresh directory with
///
/// * `data`, granted for writing and the working directory, and `other`, granted for writing, too;
/// * `frozen`, granted for reading only, as are the system's `/dev` and `/proc`;
/// * `outside`, `data-beside`, `beyond` and a file `secret`, which are not granted.
pub(crate) struct Tree {
    root: TempDir,
}

impl Tree {
    /// Made on the disk of the target directory: a temporary directory is in memory on many systems, where nothing waits.
    pub(crate) fn new() -> Self {
        let root = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
        let tree = Self { root };
        tree.make_outside();
        tree.make_frozen();
        tree.make_files();
        tree.make_links();
        tree.make_directories();
        tree
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(name)
    }

    /// An empty directory on another device.
    #[allow(dead_code, reason = "not every suite has use for it")]
    pub(crate) fn far(&self) -> TempDir {
        const VARIABLE: &str = "AIOHOST_TEST_TMPFS";
        let parent = std::env::var_os(VARIABLE).map_or_else(|| PathBuf::from("/dev/shm"), PathBuf::from);
        let device = |path: &Path| fs::metadata(path).map(|status| status.dev()).ok();
        let here = device(self.root.path());
        let there = device(&parent);
        assert!(
            there.is_some() && there != here,
            "{} is not a directory on another device than the target directory: set {VARIABLE} to one, such as a tmpfs",
            parent.display()
        );
        TempDir::new_in(parent).expect("it can be written")
    }

    /// The options that grant it, and others.
    pub(crate) fn options(&self, others: &[&str]) -> Vec<OsString> {
        let grant = |option: &str, host: &Path, guest: &str| {
            let mut value = host.as_os_str().to_owned();
            value.push("::");
            value.push(guest);
            [OsString::from(option), value]
        };
        let grants = [
            grant("--dir", &self.path("data"), "/data"),
            grant("--dir", &self.path("other"), "/other"),
            grant("--ro-dir", &self.path("frozen"), "/frozen"),
            grant("--ro-dir", Path::new("/dev"), "/dev"),
            grant("--ro-dir", Path::new("/proc"), "/proc"),
        ];
        grants.into_iter().flatten().chain(others.iter().map(OsString::from)).collect()
    }

    fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("a file can be written");
    }

    fn mkdir(&self, name: impl AsRef<Path>) {
        fs::create_dir_all(self.path(name)).expect("a directory can be made");
    }

    fn link(&self, target: impl AsRef<Path>, name: impl AsRef<Path>) {
        symlink(target, self.path(name)).expect("a symbolic link can be made");
    }

    fn special(&self, name: &str, kind: FileType) {
        mknodat(CWD, self.path(name), kind, Mode::from(0o644), 0).expect("FIFOs and sockets can be made by anyone");
    }

    fn make_outside(&self) {
        for dir in ["outside", "outside/empty", "beyond", "data-beside"] {
            self.mkdir(dir);
            self.write(format!("{dir}/secret"), SECRET);
        }
        fs::remove_file(self.path("outside/empty/secret")).expect("it was just made");
        self.write("outside/only-outside", SECRET);
        self.write("outside/victim", SECRET);
        self.write("secret", SECRET);
    }

    fn make_frozen(&self) {
        self.mkdir("other");
        self.mkdir("frozen/floe");
        self.write("frozen/ice", "cold");
    }

    fn make_files(&self) {
        self.mkdir("data");
        let mut options = OpenOptions::new();
        let mut digits = options.write(true).create_new(true).mode(0o640).open(self.path("data/digits")).expect("a new file");
        digits.write_all(b"0123456789").expect("it can be written");
        // A mode and times of its own, which `stat` has to tell apart.
        let times = FileTimes::new()
            .set_modified(UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789))
            .set_accessed(UNIX_EPOCH + Duration::new(1_100_000_000, 987_654_321));
        digits.set_times(times).expect("the file is ours");
        let old = File::create(self.path("data/old")).expect("a new file");
        old.set_times(FileTimes::new().set_modified(UNIX_EPOCH - Duration::from_millis(1500))).expect("the file is ours");
        self.write("data/empty", "");
        self.write("data/twin-one", "twins");
        fs::hard_link(self.path("data/twin-one"), self.path("data/twin-two")).expect("a link can be made");
        self.special("data/fifo", FileType::Fifo);
        self.special("data/socket", FileType::Socket);
        let sparse = File::create(self.path("data/sparse")).expect("a new file");
        sparse.write_all_at(b"right", 20 << 20).expect("it can be sparse");
        // For the races: a file inside of the name that the files outside have.
        self.write("data/secret", "inside");
    }

    fn make_links(&self) {
        for (target, name) in [
            ("digits", "link-file"),
            ("sub", "link-dir"),
            ("nowhere", "link-dangling"),
            ("link-loop", "link-loop"),
            ("../outside/secret", "link-out"),
            ("../outside", "link-out-dir"),
            ("../outside/new", "link-out-new"),
            ("../frozen", "link-frozen"),
            ("/proc/self/root", "link-proc"),
        ] {
            self.link(target, Path::new("data").join(name));
        }
        // Absolute ones are refused even where they lead back inside: what they mean depends on who reads them.
        self.link(self.path("data/digits"), "data/link-absolute");
        self.link(self.path("data/sub"), "data/link-absolute-dir");
        // Chains: three links that stay inside, three of which the last leaves, and one more than the 40 that Linux follows.
        for (chain, end) in [("in", "digits"), ("out", "../outside/secret")] {
            self.link(format!("chain-{chain}-2"), format!("data/chain-{chain}-1"));
            self.link(format!("./chain-{chain}-3"), format!("data/chain-{chain}-2"));
            self.link(end, format!("data/chain-{chain}-3"));
        }
        for number in 0..41 {
            self.link(format!("long-{}", number + 1), format!("data/long-{number}"));
        }
        self.write("data/long-41", "far");
        self.link("../frozen/ice", "other/link-frozen");
        self.link("ice", "frozen/link-ice");
    }

    fn make_directories(&self) {
        self.mkdir("data/sub/deep");
        self.write("data/sub/inner", "inner\n");
        self.write("data/sub/deep/leaf", "leaf\n");
        self.link("../digits", "data/sub/link-up");
        self.link("../../outside", "data/sub/link-out-dir");
        self.mkdir("data/bare");
        self.mkdir("data/many");
        // Names of one file: new inodes are slow to come by where many have just been freed, as by the trees before this.
        self.write("data/many/entry-000", "");
        for number in 1..300 {
            let name = self.path(format!("data/many/entry-{number:03}"));
            fs::hard_link(self.path("data/many/entry-000"), name).expect("a link can be made");
        }
        self.mkdir("data/kinds/one");
        self.mkdir("data/kinds/two");
        self.write("data/kinds/file", "");
        self.special("data/kinds/fifo", FileType::Fifo);
        self.special("data/kinds/socket", FileType::Socket);
        self.link("file", "data/kinds/link-to-file");
        self.link("one", "data/kinds/link-to-dir");
        self.link("nowhere", "data/kinds/link-dangling");
        self.mkdir("data/names");
        self.write("data/names/plain", "four");
        self.write(Path::new("data/names").join(OsStr::from_bytes(b"caf\xe9")), "fives");
        self.write("data/names/caf\u{e9}", "sixsix");
        self.write("data/names/caf\u{f7e9}", "sevenor");
        // For the races: a directory that changes places with a link, and one that is moved out and back.
        self.mkdir("data/flip/empty");
        self.write("data/flip/secret", "inside");
        self.write("data/flip/victim", "inside");
        self.link("../outside", "data/flop");
        self.mkdir("data/moving/deep");
    }
}
