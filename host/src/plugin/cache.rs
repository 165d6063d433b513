//! Compiled code on disk, so that a plugin is compiled once and not at every start.
//!
//! An entry is native code that is going to be run, so it must be ours: the directory is one that aiohost has marked, the entry
//! belongs to the user alone, and it is sealed with a key that is not in the cache. Whatever is wrong with the cache, the
//! plugin is compiled and the run goes on.

use std::fmt::Display;
use std::hash::{Hash, Hasher};
use std::io::{ErrorKind, Result};
use std::path::Path;

use blake3::hazmat::Mode;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};

use super::cache_folder::CacheFolder;
use super::entry::CacheEntry;
use super::machine::{EngineKind, Machine};
use super::marker::Mark;
use super::secret::Secret;
use super::{private, sealed};
use crate::sandbox::{Location, MountTable, Route};

/// Bytes that the entries may take together. 1 GiB: some thirty plugins in Python, or thousands in C.
const CACHE_BYTES_MAX: u64 = 1 << 30;

/// The mark of a code cache.
const MARK: Mark = Mark(
    "\
Signature: 8a477f597d28d172789f06886806bc55
# This is the code cache of aiohost.
# It holds native code that aiohost compiled, and may be removed at any time.
# See https://bford.info/cachedir/ for what this file is.
",
);

/// What a plugin becomes before it is compiled is this crate's doing, and so is which ones are refused. Both change this number: 3,
/// since streams of lists of flags are.
const FORM: u8 = 3;

/// A directory of compiled code.
pub(super) struct Cache {
    folder: CacheFolder,
    /// The keys for names and for seals.
    names: [u8; blake3::KEY_LEN],
    seals: [u8; blake3::KEY_LEN],
}

/// What an entry is found by: the plugin's bytes, and all that decides what they are compiled to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryName(blake3::Hash);

/// wasmtime describes its settings as something to be hashed.
struct Blake3Hasher(blake3::Hasher);

impl Hasher for Blake3Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.finalize();
        hash.as_bytes().iter().take(8).fold(0, |value, byte| (value << 8) | u64::from(*byte))
    }
}

impl Cache {
    /// Uses a directory and the key in a file, each of which is made if it is not there.
    pub(super) fn open(path: &Path, key_file: &Path) -> Result<Self> {
        let folder = CacheFolder::open(path, &MARK, "cwasm", CACHE_BYTES_MAX)?;
        let (mounts, location) = (MountTable::now(), Location::of_dir(&folder.dir)?);
        if Route::of(key_file).through.iter().any(|way| mounts.reaches(&location, way)) {
            return Err(private::refuse(&format!("its key would lie in it: {}", key_file.display())));
        }
        let secret = Secret::open(key_file).map_err(|error| {
            std::io::Error::new(error.kind(), format!("its key {} cannot be used: {error}", key_file.display()))
        })?;
        Ok(Self::with(folder, &secret))
    }

    fn with(folder: CacheFolder, secret: &Secret) -> Self {
        // The number changes with the seal: so an entry of before is not looked at, and not reported as a damaged one.
        let (names, seals) = (secret.derive("aiohost code cache: names 2"), secret.derive("aiohost code cache: seals"));
        Self { folder, names, seals }
    }

    /// The name of the entry for a plugin on an engine.
    pub(super) fn name(&self, plugin: blake3::Hash, machine: &Machine) -> EntryName {
        self.name_in(env!("CARGO_PKG_VERSION"), plugin, machine)
    }

    /// The same in a version of aiohost.
    fn name_in(&self, version: &str, plugin: blake3::Hash, machine: &Machine) -> EntryName {
        let mut hasher = Blake3Hasher(blake3::Hasher::new_keyed(&self.names));
        hasher.write(plugin.as_bytes());
        machine.engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.write_u8(match machine.kind {
            EngineKind::Plain => 0,
            EngineKind::Concurrent => 1,
        });
        hasher.write_u8(FORM);
        version.hash(&mut hasher);
        for adapter in [WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER] {
            adapter.hash(&mut hasher);
        }
        EntryName(hasher.0.finalize())
    }

    /// The code of an entry, if it is there and its seal is good. A bad entry is removed.
    pub(super) fn load(&self, name: EntryName) -> Option<CacheEntry> {
        match CacheEntry::open(&self.folder.dir, &self.file(name), self.folder.bytes_max, self.key(name)) {
            Ok(entry) => Some(entry),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                self.refuse(name, &error);
                None
            }
        }
    }

    /// Removes an entry that is of no use.
    pub(super) fn refuse(&self, name: EntryName, error: &dyn Display) {
        let file = self.file(name);
        let path = self.folder.path.join(&file);
        tracing::warn!(path = %path.display(), error = %error, "an entry of the code cache is not used; compiling again");
        self.folder.remove(&file);
    }

    fn file(&self, name: EntryName) -> String {
        self.folder.file(&name.0.to_hex())
    }

    /// Adds an entry. A failure is a warning, since the plugin has been compiled.
    pub(super) fn store(&self, name: EntryName, code: &[u8]) {
        if let Err(error) = self.try_store(name, code) {
            let dir = self.folder.path.display();
            tracing::warn!(%dir, %error, "cannot keep compiled code; the plugin will be compiled every time");
        }
    }

    fn try_store(&self, name: EntryName, code: &[u8]) -> Result<()> {
        let bytes = code.len().saturating_add(sealed::TRAILER_BYTES);
        let entry = self.folder.add(&name.0.to_hex(), u64::try_from(bytes).unwrap_or(u64::MAX))?;
        sealed::write(&entry.file, code, Mode::KeyedHash(&self.key(name)))?;
        entry.finish()
    }

    /// What an entry is sealed with. Each has a key of its own, so that none can be put in the place of another.
    fn key(&self, name: EntryName) -> [u8; blake3::KEY_LEN] {
        *blake3::keyed_hash(&self.seals, name.0.as_bytes()).as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::plugin::cache_folder::ABANDONED;
    use crate::plugin::code::Shape;
    use crate::plugin::compile_how::Epochs;
    use crate::plugin::marker;

    fn cache(bytes_max: u64) -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("a/code");
        let folder = CacheFolder::open(&path, &MARK, "cwasm", bytes_max).expect("a new directory");
        (dir, Cache::with(folder, &Secret::fixed(1)))
    }

    fn name(text: &str) -> EntryName {
        EntryName(blake3::hash(text.as_bytes()))
    }

    impl Cache {
        fn path_of(&self, text: &str) -> PathBuf {
            self.folder.path.join(self.file(name(text)))
        }

        fn has(&self, text: &str) -> bool {
            self.load(name(text)).is_some()
        }
    }

    fn make_older(path: &Path, age: Duration) {
        let file = File::options().write(true).open(path).expect("a file of our own");
        file.set_modified(SystemTime::now() - age).expect("a file of our own");
    }

    #[test]
    fn an_entry_comes_back_and_is_private() {
        let (_dir, cache) = cache(CACHE_BYTES_MAX);
        assert!(!cache.has("a"));
        cache.store(name("a"), b"code");
        assert!(cache.has("a"));
        let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o777;
        assert_eq!((mode(&cache.folder.path), mode(&cache.path_of("a"))), (0o700, 0o600));
    }

    #[test]
    fn a_damaged_entry_is_removed() {
        let (_dir, cache) = cache(CACHE_BYTES_MAX);
        let damage: [fn(&mut Vec<u8>); 4] = [|code| code.truncate(9), Vec::clear, |code| code[0] ^= 1, |code| code.push(0)];
        for damage in damage {
            cache.store(name("a"), b"code");
            let mut damaged = fs::read(cache.path_of("a")).expect("an entry");
            damage(&mut damaged);
            fs::write(cache.path_of("a"), damaged).expect("a file of our own");
            assert!(!cache.has("a") && !cache.path_of("a").exists());
        }
    }

    #[test]
    fn an_entry_in_the_place_of_another_is_removed() {
        let (_dir, cache) = cache(CACHE_BYTES_MAX);
        for text in ["good", "evil"] {
            cache.store(name(text), text.as_bytes());
        }
        fs::rename(cache.path_of("evil"), cache.path_of("good")).expect("a file of our own");
        assert!(!cache.has("good") && !cache.path_of("good").exists());
    }

    #[test]
    fn an_entry_of_another_key_is_removed() {
        let (_dir, mut cache) = cache(CACHE_BYTES_MAX);
        cache.store(name("a"), b"code");
        cache.seals = Secret::fixed(2).derive("aiohost code cache: seals");
        assert!(!cache.has("a"));
        fs::write(cache.path_of("a"), sealed::seal(b"code".to_vec())).expect("a file of our own");
        assert!(!cache.has("a"));
    }

    #[test]
    fn what_is_no_file_of_ours_is_removed_unread() {
        let (dir, cache) = cache(CACHE_BYTES_MAX);
        let path = cache.path_of("a");
        let other = dir.path().join("other");
        let replace: [&dyn Fn(); 5] = [
            &|| rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a FIFO"),
            &|| fs::rename(&path, &other).and_then(|()| symlink(&other, &path)).expect("a link"),
            &|| fs::hard_link(&path, &other).expect("a second name"),
            &|| File::create(&path).and_then(|file| file.set_len(6 << 30)).expect("a sparse file"),
            &|| fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("a file of our own"),
        ];
        for (number, replace) in replace.iter().enumerate() {
            if number > 0 {
                cache.store(name("a"), b"code");
            }
            replace();
            assert!(!cache.has("a"), "{number}");
            assert!(fs::symlink_metadata(&path).is_err(), "{number}");
            let _ = fs::remove_file(&other);
        }
    }

    #[test]
    fn a_directory_put_in_the_place_of_the_cache_is_not_touched() {
        let (dir, cache) = cache(CACHE_BYTES_MAX);
        cache.store(name("a"), b"code");
        let (moved, other) = (dir.path().join("moved"), dir.path().join("other"));
        fs::rename(&cache.folder.path, &moved).expect("a directory of our own");
        fs::create_dir(&other).expect("a new directory");
        symlink(&other, &cache.folder.path).expect("a new link");
        assert!(cache.has("a"));
        cache.store(name("b"), b"code");
        assert!(cache.has("b") && moved.join(cache.file(name("b"))).exists());
        assert_eq!(fs::read_dir(&other).expect("a directory").count(), 0);
    }

    #[test]
    fn files_of_others_stay_however_old_they_are() {
        let (_dir, cache) = cache(100);
        let hash = blake3::hash(b"x").to_hex();
        let foreign = [
            "thesis.tex".to_owned(),
            "x.cwasm".to_owned(),
            format!("{hash}.cwasm.bak"),
            format!("{hash}.tmp"),
            format!("{hash}.12x.tmp"),
            format!("{hash}..tmp"),
            format!("{}.1.tmp", &hash[1..]),
            format!("{}.cwasm", hash.to_uppercase()),
            "CACHEDIR.TAG.tmp".to_owned(),
        ];
        for name in &foreign {
            fs::write(cache.folder.path.join(name), vec![0; 1000]).expect("a file of our own");
            make_older(&cache.folder.path.join(name), 2 * ABANDONED);
        }
        cache.store(name("a"), b"code");
        for name in &foreign {
            assert!(cache.folder.path.join(name).exists(), "{name}");
        }
        assert!(cache.has("a") && cache.folder.path.join(marker::NAME).exists());
    }

    #[test]
    fn what_was_left_half_written_goes_even_if_nothing_can_be_stored() {
        let (_dir, cache) = cache(10);
        let hash = name("a").0.to_hex();
        let stale =
            [format!("{hash}.{}.tmp", std::process::id()), format!("{hash}.0123456789abcdef.tmp"), "CACHEDIR.TAG.1.tmp".into()];
        for name in &stale {
            fs::write(cache.folder.path.join(name), "half").expect("a file of our own");
            make_older(&cache.folder.path.join(name), ABANDONED + Duration::from_secs(9));
        }
        let fresh = cache.folder.path.join(format!("{hash}.1.tmp"));
        fs::write(&fresh, "half").expect("a file of our own");
        cache.store(name("a"), b"more than ten bytes");
        assert!(!cache.has("a") && fresh.exists());
        for name in &stale {
            assert!(!cache.folder.path.join(name).exists(), "{name}");
        }
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let entry_bytes = 1000 + u64::try_from(sealed::TRAILER_BYTES).expect("a small number");
        let (_dir, cache) = cache(2 * entry_bytes);
        for (age, text) in [(30, "old"), (20, "older but used"), (10, "new")] {
            cache.store(name(text), &[0; 1000]);
            if let Ok(file) = File::open(cache.path_of(text)) {
                file.set_modified(SystemTime::now() - Duration::from_secs(age)).expect("a file of our own");
            }
            if text != "old" {
                assert!(cache.has("older but used"));
            }
        }
        assert!(!cache.has("old") && cache.has("new"));
    }

    #[test]
    fn the_key_does_not_lie_in_the_cache() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let code = dir.path().join("code");
        let refusal = |key: &Path| Cache::open(&code, key).err().map(|error| error.to_string()).unwrap_or_default();
        for key in ["cache.key", "keys/cache.key", "../code/cache.key"] {
            assert!(refusal(&code.join(key)).starts_with("its key would lie in it"), "{key}");
        }
        symlink(&code, dir.path().join("link")).expect("a new link");
        assert!(refusal(&dir.path().join("link/cache.key")).starts_with("its key would lie in it"));
        assert_eq!(refusal(&dir.path().join("state/cache.key")), "");
    }

    #[test]
    fn an_entry_that_changed_after_it_was_looked_at_is_not_used() {
        let (_dir, cache) = cache(CACHE_BYTES_MAX);
        let machine = Machine::new(EngineKind::Plain, Epochs::Checked, &[]).expect("an engine");
        let refusal = |entry: CacheEntry| entry.code(&machine.engine).map(|_| ()).expect_err("it is no code").to_string();
        cache.store(name("a"), b"no code of any machine");
        let entry = || cache.load(name("a")).expect("it was stored");
        assert_ne!(refusal(entry()), "it has changed just now");
        let entry = entry();
        let file = File::options().write(true).open(cache.path_of("a")).expect("a file of our own");
        file.write_all_at(b"x", 0).expect("a file of our own");
        assert_eq!(refusal(entry), "it has changed just now");
    }

    #[test]
    fn an_entry_is_mapped_and_not_copied() {
        let (_dir, cache) = cache(CACHE_BYTES_MAX);
        let machine = Machine::new(EngineKind::Plain, Epochs::Checked, &[]).expect("an engine");
        for (shape, text) in [(Shape::Component, "(component (core module (func)))"), (Shape::Module, "(module (func))")] {
            let binary = wat::parse_str(text).expect("valid WebAssembly");
            let code = shape.precompile(&machine.engine, &binary).expect("valid WebAssembly");
            cache.store(name(text), &code);
            let entry = cache.load(name(text)).expect("it was just stored");
            let _code = entry.code(&machine.engine).expect("it is code of this engine");
            let maps = fs::read_to_string("/proc/self/maps").expect("a procfs");
            assert!(maps.contains(cache.path_of(text).to_str().expect("a path of ASCII")), "{maps}");
        }
    }

    #[test]
    fn the_name_of_an_entry_tells_engines_plugins_keys_and_versions_apart() {
        let (_dir, mut cache) = cache(CACHE_BYTES_MAX);
        let machines = EngineKind::ALL.map(|kind| Machine::new(kind, Epochs::Checked, &[]).expect("an engine"));
        let (a, b) = (blake3::hash(b"a"), blake3::hash(b"b"));
        let one = cache.name(a, &machines[0]);
        assert_eq!(one, cache.name(a, &machines[0]));
        assert!(one != cache.name(b, &machines[0]) && one != cache.name(a, &machines[1]));
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(one, cache.name_in(version, a, &machines[0]));
        assert_ne!(one, cache.name_in(&format!("{version}1"), a, &machines[0]));
        cache.names = Secret::fixed(2).derive("aiohost code cache: names");
        assert_ne!(one, cache.name(a, &machines[0]));
    }
}
