//! Compiled code for containers: each plugin is compiled once on a machine, by a process with no rights, and the file is mounted
//! into every container that runs it. No container writes there.

use std::fs::{self, DirBuilder, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};
use std::{env, thread};

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Signal, geteuid, set_parent_process_death_signal};

use super::super::remedy::failure;
use super::super::replacement::{Place, Replacement};
use super::bundle::{Kind, Mount};
use super::settings::Settings;

/// Where compiled code is kept by root.
const FOLDER: &str = "/var/cache/aiohost/oci";

/// More is not kept. 8 GiB: some tens of the largest plugins, compiled.
const BYTES_MAX: u64 = 8 << 30;

/// What was used within this time is not removed. An hour: a container that is about to be made needs its code for some seconds.
const IN_USE: Duration = Duration::from_secs(3600);

/// The user and group that nobody is: who compiles a stranger's plugin needs no rights.
const NOBODY: u32 = 65534;

/// The file with the compiled code of a plugin, in the folder for that.
pub(super) fn compiled(plugin: &[u8], path: &str, folder: &Path, settings: &Settings) -> anyhow::Result<PathBuf> {
    let name = name(plugin)?;
    let file = folder.join(format!("{name}.cwasm"));
    if is_there(&file) {
        return Ok(file);
    }
    // Others that want the same code wait for it; those that want another do not.
    let _lock = Lock::take(folder.join(format!("{name}.lock")))?;
    if !is_there(&file) {
        let code = compile(plugin, settings).with_context(|| format!("cannot compile {path} of the container"))?;
        store(&file, &code).with_context(|| format!("cannot store compiled code as {}", file.display()))?;
        tidy(folder, BYTES_MAX);
    }
    Ok(file)
}

/// A lock of the folder's, by the name of a file that is there only as long as somebody has it or waits for it.
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Waits until nobody else has it.
    fn take(path: PathBuf) -> anyhow::Result<Self> {
        loop {
            let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
            flock(&file, FlockOperation::LockExclusive)?;
            // Whoever had it may have removed it meanwhile, and the next one does not wait for a file without a name.
            if file.metadata()?.nlink() > 0 {
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Whoever waits for it finds the code, or finds out why there is none. What is left of a process that was killed is taken by
        // the next one, and tidied away.
        let _ = fs::remove_file(&self.path);
    }
}

/// The folder, which is this user's alone: what is in it is run as native code.
pub(super) fn folder(settings: &Settings) -> anyhow::Result<PathBuf> {
    let own = || {
        let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache"));
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
        Some(cache.join("aiohost/oci"))
    };
    let default = if is_root() { Some(FOLDER.into()) } else { own() };
    let help = "name a folder of your own: `cache` in /etc/aiohost/oci.json";
    let folder = settings.cache.clone().or(default);
    let folder = folder.ok_or_else(|| failure("there is no home directory to keep compiled code in", help))?;
    // Others may use what they know the name of: containers run as any user.
    let made = DirBuilder::new().recursive(true).mode(0o711).create(&folder);
    made.with_context(|| format!("cannot make the folder {} for compiled code", folder.display()))?;
    let status = fs::metadata(&folder)?;
    if status.uid() != geteuid().as_raw() || status.mode() & 0o022 != 0 {
        return Err(failure(format!("{} is not this user's alone", folder.display()), help));
    }
    Ok(folder)
}

/// Refuses a mount by which a plugin could write to the folder: it would run what it likes the next time.
pub(super) fn check_mount(mount: &Mount, folder: &Path) -> anyhow::Result<()> {
    if mount.kind == Kind::Bind && !mount.is_read_only && (is_below(&mount.source, folder)? || is_below(folder, &mount.source)?)
    {
        let what = format!("{} reaches the compiled code in {}", mount.source.display(), folder.display());
        return Err(failure(what, "mount it for reading only, or another directory"));
    }
    Ok(())
}

/// Whether a directory lies below another one, or is that, by whatever path. What is not there lies nowhere.
fn is_below(path: &Path, dir: &Path) -> anyhow::Result<bool> {
    let (Ok(path), Ok(dir)) = (fs::canonicalize(path), fs::metadata(dir)) else { return Ok(false) };
    for above in path.ancestors() {
        let above = fs::metadata(above).with_context(|| format!("cannot look at {}", above.display()))?;
        if (above.dev(), above.ino()) == (dir.dev(), dir.ino()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether this is root, and not only in a user namespace.
fn is_root() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    geteuid().is_root() && map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// What the code of a plugin is called: it depends on the plugin, on this very program, and on the processor.
fn name(plugin: &[u8]) -> anyhow::Result<String> {
    let program = fs::metadata("/proc/self/exe").context("cannot look at the program itself: /proc is needed")?;
    let mut hasher = blake3::Hasher::new();
    let program = format!("{} {} {} {}", env!("CARGO_PKG_VERSION"), program.len(), program.mtime(), program.mtime_nsec());
    hasher.update(program.as_bytes()).update(b"\0").update(processor().as_bytes()).update(b"\0").update(plugin);
    Ok(hasher.finalize().to_hex().to_string())
}

/// What the first processor can do.
fn processor() -> String {
    let all = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let first = all.split("\n\n").next().unwrap_or_default();
    first.lines().filter(|line| line.starts_with("flags") || line.starts_with("Features")).collect()
}

/// Whether it is there; it counts as used now.
fn is_there(file: &Path) -> bool {
    let Ok(file) = File::open(file) else { return false };
    // If that cannot be noted it may be compiled again some time.
    let _ = file.set_modified(SystemTime::now());
    true
}

/// Compiles a plugin, in a process that can do nothing else.
fn compile(plugin: &[u8], settings: &Settings) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new("/proc/self/exe");
    command.args(["--quiet", "compile", "-", "--output=-"]).args(&settings.compile);
    command.env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    // Whoever kills this one cannot know of it. If this one dies before that is said, the compiler finds no plugin to read.
    // SAFETY: it is safe to do that between fork and exec.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let mut child = command.spawn().context("the compiler cannot be started")?;
    let input = child.stdin.take();
    thread::scope(|scope| {
        // Why it reads no more it tells itself.
        scope.spawn(move || input.map(|mut input| input.write_all(plugin)));
        let mut stderr = child.stderr.take();
        let said = scope.spawn(move || {
            let mut text = String::new();
            // What cannot be read is not told.
            let _ = stderr.as_mut().map(|stderr| stderr.read_to_string(&mut text));
            text
        });
        let mut code = Vec::new();
        if let Some(output) = &mut child.stdout {
            output.read_to_end(&mut code).context("cannot read what the compiler has made")?;
        }
        let status = child.wait().context("cannot wait for the compiler")?;
        let said = said.join().unwrap_or_default();
        if !status.success() {
            let said = said.trim().strip_prefix("error: ").unwrap_or_else(|| said.trim());
            anyhow::bail!("{}", if said.is_empty() { status.to_string() } else { said.to_owned() });
        }
        Ok(code)
    })
}

fn store(file: &Path, code: &[u8]) -> std::io::Result<()> {
    Replacement::new(Place::of(file)?, code)?.arrive()?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o644))
}

/// Removes what was used longest ago, as long as there is too much, and locks of processes that were killed.
fn tidy(folder: &Path, bytes_max: u64) {
    let is_old = |used: SystemTime| used.elapsed().is_ok_and(|age| age > IN_USE);
    let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, Ok(status)) = (entry.path(), entry.metadata()) else { continue };
        let Ok(used) = status.modified() else { continue };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("cwasm") => files.push((used, status.len(), path)),
            // If somebody has it still, then the same is compiled twice.
            Some("lock") if is_old(used) => drop(fs::remove_file(path)),
            _ => {}
        }
    }
    files.sort();
    let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
    for (used, length, path) in files {
        if bytes <= bytes_max || !is_old(used) {
            return;
        }
        // A container that runs it keeps it.
        match fs::remove_file(&path) {
            Ok(()) => bytes -= length,
            Err(error) => tracing::warn!(%error, path = %path.display(), "compiled code that is old cannot be removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(cache: &Path) -> Settings {
        Settings { cache: Some(cache.to_owned()), ..Settings::default() }
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let inner = dir.path().join("a/b");
        assert_eq!(folder(&settings(&inner)).expect("a new folder"), inner);
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o777)).expect("its owner may");
        let error = folder(&settings(&inner)).expect_err("anybody could put code there");
        assert!(error.to_string().contains("is not this user's alone"), "{error}");
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_what_is_used_stays() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let files =
            [("a.cwasm", 5), ("b.cwasm", 4), ("c.cwasm", 3), ("d.cwasm", 0), ("e.other", 9), ("f.lock", 2), ("g.lock", 0)];
        for (name, hours) in files {
            let path = dir.path().join(name);
            fs::write(&path, [0; 10]).expect("a file");
            let used = SystemTime::now() - Duration::from_secs(hours * 3600);
            File::open(&path).and_then(|file| file.set_modified(used)).expect("its owner may");
        }
        let left = |bytes_max| {
            tidy(dir.path(), bytes_max);
            let mut names: Vec<_> =
                fs::read_dir(dir.path()).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
            names.sort();
            names.into_iter().map(|name| name.into_string().expect("a name")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(left(40), "a.cwasm b.cwasm c.cwasm d.cwasm e.other g.lock");
        assert_eq!(left(39), "b.cwasm c.cwasm d.cwasm e.other g.lock");
        assert_eq!(left(0), "d.cwasm e.other g.lock");
    }

    #[test]
    fn no_lock_is_left_whatever_came_of_the_plugin() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("a.lock");
        let counts = std::sync::Mutex::new((0, 0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let lock = Lock::take(path.clone()).expect("a lock");
                    let mut counts = counts.try_lock().expect("nobody else has the lock");
                    counts.0 += usize::from(path.exists());
                    counts.1 += 1;
                    drop(counts);
                    drop(lock);
                });
            }
        });
        assert_eq!(counts.into_inner().expect("nobody panicked"), (8, 8));
        assert!(!path.exists());
        // The process that compiles is this one, which knows nothing of that.
        compiled(b"(module", "p.wat", dir.path(), &Settings::default()).expect_err("it cannot be compiled");
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn no_container_may_write_to_compiled_code() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = |path: &str| dir.path().join(path);
        for folder in ["cache/oci/in", "cache/other", "data"] {
            fs::create_dir_all(at(folder)).expect("a folder");
        }
        std::os::unix::fs::symlink(at("cache"), at("data/link")).expect("a link");
        let is_refused = |source: &str, is_read_only| {
            let mount = Mount { destination: "/data".to_owned(), source: at(source), kind: Kind::Bind, is_read_only };
            check_mount(&mount, &at("cache/oci")).is_err()
        };
        for reaching in ["", "cache", "cache/oci", "cache/oci/in", "data/link", "data/link/oci", "data/../cache"] {
            assert!(is_refused(reaching, false) && !is_refused(reaching, true), "{reaching}");
        }
        for other in ["data", "cache/other", "none"] {
            assert!(!is_refused(other, false), "{other}");
        }
    }

    #[test]
    fn the_name_tells_plugins_apart() {
        assert_eq!(name(b"a").expect("a name"), name(b"a").expect("a name"));
        assert_ne!(name(b"a").expect("a name"), name(b"b").expect("a name"));
    }
}
