//! The steps of a plan without aiohost: by the standard library, and by rustix where that has nothing.

use std::collections::HashMap;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, OFlags, RenameFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, renameat_with, utimensat};
use rustix::io::Errno;

use super::open_file::OpenFile;
use super::state::{below, data, describe, digest, identity, kind, walk};

/// A directory in which the same is done as in the guest's.
pub(crate) struct Twin {
    root: PathBuf,
    files: HashMap<String, OpenFile>,
    dirs: HashMap<String, File>,
}

/// Why a step has no value.
enum Failure {
    Error(io::Error),
    /// Nothing is open by the name in the step.
    NotOpen,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Error(error)
    }
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Error(errno.into())
    }
}

type Answer = Result<String, Failure>;

impl Twin {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), files: HashMap::new(), dirs: HashMap::new() }
    }

    /// What is in a world.
    pub(crate) fn state(&self, world: usize) -> String {
        self.state_of(&format!("w{world}")).expect("it can be read")
    }

    fn state_of(&self, world: &str) -> io::Result<String> {
        let of_world = |name: &str| name.strip_prefix(world).is_some_and(|rest| rest.starts_with(['d', 'f']));
        let open = self.dirs.iter().chain(self.files.iter().map(|(name, open)| (name, &open.file)));
        let mut identities = Vec::new();
        for (name, file) in open.filter(|(name, _)| of_world(name)) {
            identities.push((name.clone(), identity(&file.metadata()?)));
        }
        identities.sort();
        below(&self.root.join(world), &identities)
    }

    /// Directories that were changed for a while, by a request that was then stopped, have the times of that.
    pub(crate) fn touch(&self, world: usize, state: &str) {
        for line in state.split("; ") {
            if let [path, "d", _, _, "recent", ..] = line.split(' ').collect::<Vec<_>>()[..] {
                let dir = self.root.join(format!("w{world}/{path}"));
                // It may only come to be there.
                if fs::symlink_metadata(&dir).is_ok_and(|status| status.is_dir()) {
                    let dir = File::open(dir).expect("it is there");
                    dir.set_modified(SystemTime::now()).expect("it is ours");
                }
            }
        }
    }

    /// Carries out a step, and gives the line that a guest has to write.
    pub(crate) fn answer(&mut self, step: &str) -> String {
        let (request, rest) = step.split_once(' ').expect("a request and its arguments");
        let mut words = Words(rest.split(' '));
        let answer = match request {
            "open" | "open-dir" | "close" => self.open_or_close(request, &mut words),
            "read" | "write" | "seek" | "sendfile" | "fstat" | "extents" | "ftruncate" | "fchmod" | "futime" | "allocate"
            | "advise" | "readahead" | "fdatasync" => self.on_file(request, &mut words),
            "state" => self.state_of(words.word()).map_err(Failure::from),
            _ => self.place(&mut words).and_then(|path| {
                look(request, &self.root, &path, &mut words, |words| self.place(words))
                    .or_else(|| change(request, &path, &mut words))
                    .unwrap_or_else(|| change_two(request, &path, &self.place(&mut words)?))
            }),
        };
        match answer {
            Ok(value) => format!("ok {value}"),
            Err(Failure::NotOpen) => "not open".to_owned(),
            Err(Failure::Error(error)) => {
                format!("error {}", error.raw_os_error().unwrap_or_else(|| panic!("{step}: {error}")))
            }
        }
    }

    /// A path, behind the name of the directory that it starts from perhaps.
    fn place(&self, words: &mut Words<'_>) -> Result<PathBuf, Failure> {
        let word = words.word();
        let Some(name) = word.strip_prefix('@') else { return Ok(self.root.join(word)) };
        let dir = self.dirs.get(name).ok_or(Failure::NotOpen)?;
        Ok(PathBuf::from(format!("/proc/self/fd/{}/{}", dir.as_raw_fd(), words.word())))
    }

    fn open_or_close(&mut self, request: &str, words: &mut Words<'_>) -> Answer {
        let name = words.word().to_owned();
        match request {
            "open" => {
                let file = OpenFile::open(&self.place(words)?, words.word(), words.mode())?;
                self.files.insert(name, file);
            }
            "open-dir" => {
                let flags = OFlags::DIRECTORY.bits().cast_signed();
                let dir = OpenOptions::new().read(true).custom_flags(flags).open(self.place(words)?)?;
                self.dirs.insert(name, dir);
            }
            _ => drop(self.files.remove(&name).ok_or(Failure::NotOpen)?),
        }
        Ok(String::new())
    }

    fn on_file(&mut self, request: &str, words: &mut Words<'_>) -> Answer {
        let file = self.files.get(words.word()).ok_or(Failure::NotOpen)?;
        match request {
            "read" => return Ok(digest(&file.read(words.optional(), words.number())?)),
            "write" => {
                let at = words.optional();
                return Ok(file.write(at, &data(words.number(), words.number()))?.to_string());
            }
            "seek" => return Ok(file.seek(words.word(), words.number())?.to_string()),
            "sendfile" => {
                let at = words.optional();
                let input = self.files.get(words.word()).ok_or(Failure::NotOpen)?;
                return Ok(file.sendfile(at, input, words.number(), words.number())?.to_string());
            }
            "fstat" => return Ok(describe(&file.file.metadata()?)),
            "ftruncate" => file.truncate(words.number())?,
            "fchmod" => file.file.set_permissions(fs::Permissions::from_mode(words.mode()))?,
            "futime" => rustix::fs::futimens(&file.file, &words.times())?,
            "allocate" => file.allocate(words.word(), words.number(), words.number())?,
            "readahead" if !file.readable => return Err(Errno::BADF.into()),
            "fdatasync" => file.file.sync_data()?,
            // The guest has checked the extents, and a hint has no effect.
            _ => {}
        }
        Ok(String::new())
    }
}

struct Words<'a>(std::str::Split<'a, char>);

impl<'a> Words<'a> {
    fn word(&mut self) -> &'a str {
        self.0.next().expect("one more argument")
    }

    fn number<T: FromStr>(&mut self) -> T {
        self.optional().expect("a number")
    }

    /// A number, or `-`.
    fn optional<T: FromStr>(&mut self) -> Option<T> {
        let word = self.word();
        (word != "-").then(|| word.parse().ok().unwrap_or_else(|| panic!("{word} is no number")))
    }

    fn mode(&mut self) -> u32 {
        u32::from_str_radix(self.word(), 8).expect("an octal number")
    }

    fn times(&mut self) -> Timestamps {
        let mut time = || match self.word() {
            "-" => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            "now" => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
            seconds => Timespec { tv_sec: seconds.parse().expect("seconds"), tv_nsec: 123_456_789 },
        };
        Timestamps { last_access: time(), last_modification: time() }
    }
}

/// What only looks; none if that is another request.
fn look(
    request: &str,
    root: &Path,
    path: &Path,
    words: &mut Words<'_>,
    place: impl Fn(&mut Words<'_>) -> Result<PathBuf, Failure>,
) -> Option<Answer> {
    let answer = || -> Answer {
        Ok(match request {
            "stat" => describe(&fs::metadata(path)?),
            "lstat" => describe(&fs::symlink_metadata(path)?),
            "readlink" => fs::read_link(path)?.to_string_lossy().into_owned(),
            "realpath" => {
                // That goes by names, also where a directory handle has none any more.
                fs::metadata(path)?;
                let real = fs::canonicalize(path)?;
                format!("/data/{}", real.strip_prefix(root).expect("it is in there").to_string_lossy())
            }
            "readdir" => sorted(entries(path, |_| true)?),
            "scandir" => {
                format!("{} | {}", sorted(entries(path, |kind| kind == 'd')?), sorted(entries(path, |kind| kind != 'd')?))
            }
            "readdirx" | "walk" => {
                let depth = if request == "walk" { words.number() } else { 1 };
                let mut found = Vec::new();
                walk(path, "", depth, &mut found)?;
                sorted(found.into_iter().map(|(path, status)| format!("{path}:{}", kind(status.file_type()))).collect())
            }
            "load" => digest(&fs::read(path)?),
            "slurp" => digest(&slurp(path, words.number(), words.optional())?),
            "same" => {
                let other = place(words)?;
                let (one, other) = (fs::metadata(path)?, fs::metadata(other)?);
                (identity(&one) == identity(&other)).to_string()
            }
            _ => unreachable!("it is none of those that look"),
        })
    };
    let looks = ["stat", "lstat", "readlink", "realpath", "readdir", "scandir", "readdirx", "walk", "load", "slurp", "same"];
    looks.contains(&request).then(answer)
}

fn entries(dir: &Path, wanted: impl Fn(char) -> bool) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    walk(dir, "", 1, &mut found)?;
    found.retain(|(_, status)| wanted(kind(status.file_type())));
    Ok(found.into_iter().map(|(name, _)| name).collect())
}

fn sorted(mut names: Vec<String>) -> String {
    names.sort();
    names.join(" ")
}

fn slurp(path: &Path, offset: i64, length: Option<usize>) -> io::Result<Vec<u8>> {
    let content = fs::read(path)?;
    let start = match usize::try_from(offset) {
        Ok(start) => start.min(content.len()),
        Err(_) => {
            let back = usize::try_from(offset.unsigned_abs()).expect("an offset fits");
            content.len().checked_sub(back).ok_or_else(|| io::Error::from(Errno::INVAL))?
        }
    };
    let rest = &content[start..];
    Ok(rest[..rest.len().min(length.unwrap_or(usize::MAX))].to_vec())
}

/// What changes something by one name; none if that is another request.
fn change(request: &str, path: &Path, words: &mut Words<'_>) -> Option<Answer> {
    let result = match request {
        "mkdir" => std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), words.mode()).create(path),
        "rmdir" => fs::remove_dir(path),
        "unlink" => fs::remove_file(path),
        "symlink" => symlink(words.word(), path),
        "chmod" => fs::set_permissions(path, fs::Permissions::from_mode(words.mode())),
        // With nothing to set, the system does not look whether there is anything.
        "utime" => {
            fs::metadata(path).and_then(|_| utimensat(CWD, path, &words.times(), AtFlags::empty()).map_err(io::Error::from))
        }
        "truncate" => OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(words.number())),
        "store" => store(path, &data(words.number(), words.number()), words.mode()),
        "rmtree" => return Some(rmtree(path).map(|count| count.to_string()).map_err(Failure::from)),
        _ => return None,
    };
    Some(result.map(|()| String::new()).map_err(Failure::from))
}

fn change_two(request: &str, path: &Path, to: &Path) -> Answer {
    let rename_with = |flags| renameat_with(CWD, path, CWD, to, flags);
    match request {
        "rename" | "move" => fs::rename(path, to)?,
        "exchange" => rename_with(RenameFlags::EXCHANGE)?,
        "no-replace" => rename_with(RenameFlags::NOREPLACE)?,
        "link" => fs::hard_link(path, to)?,
        "copy" => return Ok(copy(path, to)?.to_string()),
        "copy-tree" => return Ok(copy_tree(path, to)?.to_string()),
        other => panic!("no request {other}"),
    }
    Ok(String::new())
}

/// Writes another file, and renames it.
fn store(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let new = path.with_file_name("new");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    io::Write::write_all(&mut file, content)?;
    fs::rename(&new, path).inspect_err(|_| fs::remove_file(&new).expect("it was just made"))
}

fn rmtree(path: &Path) -> io::Result<u64> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return Err(Errno::NOTDIR.into());
    }
    let mut found = Vec::new();
    walk(path, "", 0, &mut found)?;
    fs::remove_dir_all(path)?;
    Ok(found.len() as u64 + 1)
}

fn copy(path: &Path, to: &Path) -> io::Result<u64> {
    let status = fs::metadata(path)?;
    if status.is_dir() {
        return Err(Errno::ISDIR.into());
    }
    match fs::symlink_metadata(to) {
        Ok(there) if there.is_dir() => return Err(Errno::ISDIR.into()),
        Ok(there) if identity(&there) == identity(&status) => return Err(Errno::INVAL.into()),
        Ok(_) => {}
        Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    let new = to.with_file_name("new");
    let bytes = copy_file(path, &new)?;
    fs::rename(new, to)?;
    Ok(bytes)
}

/// With permissions, and with the time of the last change.
fn copy_file(path: &Path, to: &Path) -> io::Result<u64> {
    let status = fs::metadata(path)?;
    let content = fs::read(path)?;
    fs::write(to, &content)?;
    let file = OpenOptions::new().write(true).open(to)?;
    file.set_permissions(fs::Permissions::from_mode(status.mode() & 0o777))?;
    file.set_times(FileTimes::new().set_modified(status.modified()?))?;
    Ok(content.len() as u64)
}

fn copy_tree(path: &Path, to: &Path) -> io::Result<u64> {
    fs::read_dir(path)?;
    let parent = fs::canonicalize(to.parent().expect("a path below the root"))?;
    match fs::symlink_metadata(to) {
        Ok(_) => return Err(Errno::EXIST.into()),
        Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    if parent.starts_with(fs::canonicalize(path)?) {
        return Err(Errno::INVAL.into());
    }
    copy_below(path, to)
}

fn copy_below(path: &Path, to: &Path) -> io::Result<u64> {
    let status = fs::metadata(path)?;
    fs::create_dir(to)?;
    let mut names = 1;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match kind(entry.file_type()?) {
            'd' => names += copy_below(&from, &to)?,
            'l' => {
                symlink(fs::read_link(&from)?, &to)?;
                names += 1;
            }
            _ => {
                copy_file(&from, &to)?;
                names += 1;
            }
        }
    }
    fs::set_permissions(to, fs::Permissions::from_mode(status.mode() & 0o777))?;
    File::open(to)?.set_times(FileTimes::new().set_modified(status.modified()?))?;
    Ok(names)
}
