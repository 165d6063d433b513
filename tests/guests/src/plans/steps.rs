//! The steps of plans: each is one request, or a few that only look.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::str::FromStr;

use super::state::{Identity, below, data, describe, digest, identity, kind, walk};
use crate::attempt::flags;
use crate::bindings::aiohost::aio::control;
use crate::face::{
    Advice, AllocateFlags, Dir, Error, ErrorCode, Face, File, NewTime, ReaddirxFlags, RenameFlags, Timestamp, Whence,
};

/// What is open, by the names that plans have for it.
#[derive(Default)]
pub struct Handles {
    files: RefCell<HashMap<String, Rc<File>>>,
    dirs: RefCell<HashMap<String, Rc<Dir>>>,
}

impl Handles {
    /// What is open in a world, in order.
    async fn identities<F: Face>(&self, world: &str) -> Result<Vec<(String, Identity)>, Error> {
        fn below<T>(world: &str, all: &HashMap<String, Rc<T>>) -> Vec<(String, Rc<T>)> {
            let of_world = |(name, _): &(&String, _)| name.strip_prefix(world).is_some_and(|rest| rest.starts_with(['d', 'f']));
            let mut found: Vec<_> =
                all.iter().filter(of_world).map(|(name, handle)| (name.clone(), Rc::clone(handle))).collect();
            found.sort_by(|(one, _), (other, _)| one.cmp(other));
            found
        }
        let (dirs, files) = (below(world, &self.dirs.borrow()), below(world, &self.files.borrow()));
        let mut identities = Vec::new();
        for (name, dir) in dirs {
            identities.push((name, identity(&F::stat(Some(&dir), ".").await?)));
        }
        for (name, file) in files {
            identities.push((name, identity(&F::fstat(&file).await?)));
        }
        Ok(identities)
    }
}

/// Why a step has no value.
enum Failure {
    Error(Error),
    /// Nothing is open by the name in the step.
    NotOpen,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

type Answer = Result<String, Failure>;

/// Requests that change something by name, in one: if they are canceled, what they have come to is looked at.
const CHANGES: &[&str] = &[
    "mkdir",
    "rmdir",
    "unlink",
    "rename",
    "exchange",
    "no-replace",
    "move",
    "link",
    "symlink",
    "chmod",
    "utime",
    "truncate",
    "store",
    "copy",
    "copy-tree",
];

/// Carries out a step, and gives its line of output.
pub async fn answer<F: Face>(line: &str, handles: &Handles) -> String {
    let (request, rest) = line.split_once(' ').expect("a request and its arguments");
    let mut words = Words { handles, words: rest.split(' ') };
    let answer = match request {
        _ if CHANGES.contains(&request) => change::<F>(request, &mut words).await,
        "stat" | "lstat" | "readlink" | "realpath" | "readdir" | "scandir" | "readdirx" | "walk" | "load" | "slurp"
        | "same" | "state" | "pathsync" => look::<F>(request, &mut words).await,
        "open" | "open-dir" | "rmtree" | "close" => open_or_close::<F>(request, &mut words).await,
        _ => on_file::<F>(request, &mut words).await,
    };
    match answer {
        Ok(value) => format!("ok {value}"),
        Err(Failure::NotOpen) => "not open".to_owned(),
        Err(Failure::Error(error)) => {
            crate::check::assert_errno(&error);
            let stopped = matches!(error.code, ErrorCode::Canceled | ErrorCode::TimedOut);
            if stopped && CHANGES.contains(&request) {
                let world = rest.split(' ').rev().find_map(world).expect("a path is in it");
                format!("stopped {}", settled::<F>(&world, handles).await)
            } else if stopped {
                "stopped".to_owned()
            } else {
                format!("error {}", error.errno)
            }
        }
    }
}

/// The directory that a step keeps to: the first part of a path, or of the name of a handle.
fn world(word: &str) -> Option<String> {
    let name = word.trim_start_matches('@');
    let digits = name.strip_prefix('w')?.chars().take_while(char::is_ascii_digit).count();
    (digits > 0).then(|| name[..=digits].to_owned())
}

/// What is in a directory once nothing is under way.
async fn settled<F: Face>(world: &str, handles: &Handles) -> String {
    let under_way = || {
        let counters = control::count();
        counters.queued + counters.running
    };
    while under_way() > 0 {}
    state::<F>(world, handles).await.unwrap_or_else(|error| panic!("{world}: {error:?}"))
}

async fn state<F: Face>(world: &str, handles: &Handles) -> Result<String, Error> {
    below::<F>(world, &handles.identities::<F>(world).await?).await
}

struct Words<'a> {
    handles: &'a Handles,
    words: std::str::Split<'a, char>,
}

impl<'a> Words<'a> {
    fn word(&mut self) -> &'a str {
        self.words.next().expect("one more argument")
    }

    fn number<T: FromStr>(&mut self) -> T {
        self.optional().expect("a number")
    }

    /// A number, or `-`.
    fn optional<T: FromStr>(&mut self) -> Option<T> {
        let word = self.word();
        (word != "-").then(|| word.parse().ok().unwrap_or_else(|| panic!("{word} is no number")))
    }

    fn mode(&mut self) -> u16 {
        u16::from_str_radix(self.word(), 8).expect("an octal number")
    }

    fn file(&mut self) -> Result<Rc<File>, Failure> {
        let name = self.word();
        self.handles.files.borrow().get(name).cloned().ok_or(Failure::NotOpen)
    }

    /// A path, behind the name of the directory that it starts from perhaps.
    fn place(&mut self) -> Result<(Option<Rc<Dir>>, &'a str), Failure> {
        let word = self.word();
        let Some(name) = word.strip_prefix('@') else { return Ok((None, word)) };
        let dir = self.handles.dirs.borrow().get(name).cloned().ok_or(Failure::NotOpen)?;
        Ok((Some(dir), self.word()))
    }

    /// `-` to omit it, `now`, or seconds.
    fn time(&mut self) -> NewTime {
        match self.word() {
            "-" => NewTime::Omit,
            "now" => NewTime::Now,
            seconds => NewTime::At(Timestamp { seconds: seconds.parse().expect("seconds"), nanoseconds: 123_456_789 }),
        }
    }
}

/// What only looks.
async fn look<F: Face>(request: &str, words: &mut Words<'_>) -> Answer {
    let (at, path) = words.place()?;
    let at = at.as_deref();
    Ok(match request {
        "stat" => describe(&F::stat(at, path).await?),
        "lstat" => describe(&F::lstat(at, path).await?),
        "readlink" => F::readlink(at, path).await?,
        "realpath" => F::realpath(at, path).await?,
        "pathsync" => F::pathsync(at, path).await.map(done)?,
        "readdir" => sorted(F::readdir(at, path).await?),
        "scandir" => {
            let scan = F::scandir(at, path, 0).await?;
            format!("{} | {}", sorted(scan.directories), sorted(scan.others))
        }
        "readdirx" => {
            let listing = F::readdirx(at, path, ReaddirxFlags::DENTS | ReaddirxFlags::DIRS_FIRST).await?;
            sorted(listing.entries.into_iter().map(|entry| format!("{}:{}", entry.name, kind(entry.type_))).collect())
        }
        "walk" => {
            let found = walk::<F>(at, path, words.number()).await?;
            sorted(found.into_iter().map(|(path, type_)| format!("{path}:{}", kind(type_))).collect())
        }
        "load" => digest(&F::load(at, path).await?),
        "slurp" => digest(&F::slurp(at, path, words.number(), words.optional()).await?),
        "same" => {
            let (other_at, other) = words.place()?;
            let (one, other) = (F::stat(at, path).await?, F::stat(other_at.as_deref(), other).await?);
            (identity(&one) == identity(&other)).to_string()
        }
        "state" => state::<F>(path, words.handles).await?,
        other => panic!("no request {other}"),
    })
}

fn sorted(mut names: Vec<String>) -> String {
    names.sort();
    names.join(" ")
}

fn done((): ()) -> String {
    String::new()
}

/// What changes something, by name.
async fn change<F: Face>(request: &str, words: &mut Words<'_>) -> Answer {
    let (at, path) = words.place()?;
    let at = at.as_deref();
    let result = match request {
        "mkdir" => F::mkdir(at, path, words.mode()).await,
        "rmdir" => F::rmdir(at, path).await,
        "unlink" => F::unlink(at, path).await,
        "symlink" => F::symlink(words.word(), at, path).await,
        "chmod" => F::chmod(at, path, words.mode()).await,
        "utime" => {
            let (accessed, modified) = (words.time(), words.time());
            F::utime(at, path, accessed, modified).await
        }
        "truncate" => F::truncate(at, path, words.number()).await,
        "store" => {
            let content = data(words.number(), words.number());
            F::store(at, path, &content, words.mode()).await
        }
        _ => return change_two::<F>(request, (at, path), words).await,
    };
    Ok(result.map(done)?)
}

/// What has a second place.
async fn change_two<F: Face>(request: &str, (at, path): (Option<&Dir>, &str), words: &mut Words<'_>) -> Answer {
    let (to_at, to) = words.place()?;
    let to_at = to_at.as_deref();
    let result = match request {
        "rename" => F::rename(at, path, to_at, to).await,
        "exchange" => F::rename2(at, path, to_at, to, RenameFlags::EXCHANGE).await,
        "no-replace" => F::rename2(at, path, to_at, to, RenameFlags::NO_REPLACE).await,
        "move" => F::move_(at, path, to_at, to).await,
        "link" => F::link(at, path, to_at, to).await,
        "copy" => return Ok(F::copy(at, path, to_at, to).await?.to_string()),
        "copy-tree" => return Ok(F::copy_tree(at, path, to_at, to, 0).await?.to_string()),
        other => panic!("no request {other}"),
    };
    Ok(result.map(done)?)
}

/// What makes a handle or takes one away, and what is done in steps.
async fn open_or_close<F: Face>(request: &str, words: &mut Words<'_>) -> Answer {
    match request {
        "open" => {
            let name = words.word().to_owned();
            let (at, path) = words.place()?;
            let flags = flags(words.word());
            let file = F::open(at.as_deref(), path, flags, words.mode()).await?;
            let replaced = words.handles.files.borrow_mut().insert(name, Rc::new(file));
            drop(replaced);
        }
        "open-dir" => {
            let name = words.word().to_owned();
            let (at, path) = words.place()?;
            let dir = F::open_dir(at.as_deref(), path).await?;
            let replaced = words.handles.dirs.borrow_mut().insert(name, Rc::new(dir));
            drop(replaced);
        }
        "close" => {
            let file = words.handles.files.borrow_mut().remove(words.word()).ok_or(Failure::NotOpen)?;
            F::close(Rc::into_inner(file).expect("nothing else uses it")).await?;
        }
        "rmtree" => {
            let (at, path) = words.place()?;
            return Ok(F::rmtree(at.as_deref(), path, 0).await?.to_string());
        }
        other => panic!("no request {other}"),
    }
    Ok(String::new())
}

/// What an open file is good for.
async fn on_file<F: Face>(request: &str, words: &mut Words<'_>) -> Answer {
    let file = words.file()?;
    let result = match request {
        "read" => return Ok(digest(&F::read(&file, words.optional(), words.number()).await?)),
        "write" => {
            let offset = words.optional();
            let content = data(words.number(), words.number());
            return Ok(F::write(&file, offset, &content).await?.to_string());
        }
        "seek" => {
            let from = match words.word() {
                "start" => Whence::Start,
                "current" => Whence::Current,
                _ => Whence::End,
            };
            return Ok(F::seek(&file, words.number(), from).await?.to_string());
        }
        "sendfile" => {
            let offset = words.optional();
            let input = words.file()?;
            return Ok(F::sendfile(&file, offset, &input, words.number(), words.number()).await?.to_string());
        }
        "fstat" => return Ok(describe(&F::fstat(&file).await?)),
        "extents" => return extents::<F>(&file).await,
        "ftruncate" => F::ftruncate(&file, words.number()).await,
        "fchmod" => F::fchmod(&file, words.mode()).await,
        "futime" => {
            let (accessed, modified) = (words.time(), words.time());
            F::futime(&file, accessed, modified).await
        }
        "allocate" => {
            let flags = allocate_flags(words.word());
            F::allocate(&file, flags, words.number(), words.number()).await
        }
        "advise" => F::advise(&file, words.number(), words.number(), Advice::WillNeed).await,
        "readahead" => F::readahead(&file, words.number(), words.number()).await,
        "fdatasync" => F::fdatasync(&file).await,
        other => panic!("no request {other}"),
    };
    Ok(result.map(done)?)
}

fn allocate_flags(words: &str) -> AllocateFlags {
    words.split(',').fold(AllocateFlags::empty(), |flags, word| {
        flags
            | match word {
                "none" => AllocateFlags::empty(),
                "keep-size" => AllocateFlags::KEEP_SIZE,
                "punch-hole" => AllocateFlags::PUNCH_HOLE,
                "zero-range" => AllocateFlags::ZERO_RANGE,
                "collapse-range" => AllocateFlags::COLLAPSE_RANGE,
                "insert-range" => AllocateFlags::INSERT_RANGE,
                other => panic!("no flag {other}"),
            }
    })
}

/// Where the data lies depends on when the file system writes it, but outside of it there are only zeroes.
async fn extents<F: Face>(file: &File) -> Answer {
    let extents = F::extents(file, 0, None).await?;
    let size = F::fstat(file).await?.size;
    let mut end = 0;
    for (offset, length) in extents.iter().map(|extent| (extent.offset, extent.length)).chain([(size, 0)]) {
        assert!(offset >= end && offset + length <= size, "{extents:?} of {size}");
        while end < offset {
            let most = u32::try_from((offset - end).min(65_536)).expect("65,536 fits");
            match F::read(file, Some(end), most).await {
                Ok(hole) => {
                    assert!(!hole.is_empty() && hole.iter().all(|byte| *byte == 0), "{extents:?}");
                    end += u64::try_from(hole.len()).expect("a length fits");
                }
                // It is open for writing only.
                Err(error) if error.code == ErrorCode::BadDescriptor => break,
                Err(error) => return Err(error.into()),
            }
        }
        end = offset + length;
    }
    Ok(String::new())
}
