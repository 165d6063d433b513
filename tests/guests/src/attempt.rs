//! Plans of the sandbox table: each argument is one request, and each line of the output what it came to.
//!
//! `REQUEST ARGUMENT...`, parted by single spaces. `%20` is the byte 0x20 of a path; `@PATH` before a path opens the
//! directory that the path then starts from; what is left out is an empty path.

use crate::bindings::aiohost::aio::{blocking, submit};
use crate::face::{Dir, Error, Face, NewTime, OpenFlags, ReaddirxFlags, RenameFlags, Status, Whence};
use crate::words::decode;

pub async fn run<F: Face>(plans: &[String]) {
    for plan in plans {
        match attempt::<F>(plan).await {
            Ok(what) => println!("ok {}", what.escape_debug()),
            Err(error) => println!("{} {}", kebab(&format!("{:?}", error.code)), error.errno),
        }
    }
}

/// `ErrorCode::NoEntry` as WIT writes it.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for character in name.rsplit(':').next().unwrap_or_default().chars() {
        if character.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(character.to_ascii_lowercase());
    }
    kebab
}

/// One request; what it gives, as text.
async fn attempt<F: Face>(plan: &str) -> Result<String, Error> {
    let mut words = plan.split(' ');
    let request = words.next().unwrap_or_default();
    let mut words = words.collect::<Vec<_>>().into_iter();
    let (at, path) = place::<F>(&mut words).await?;
    let at = at.as_ref();
    let done = |()| String::new();
    match request {
        "open" => open::<F>(at, &path, flags(words.next().unwrap_or("read"))).await,
        // By WASI, which the standard library uses.
        "std" => Ok(std::fs::read(&path).map_or_else(|_| "nothing".to_owned(), |data| format!("{} bytes", data.len()))),
        "handle" => handle::<F>(at, &path).await,
        "exhaust" => exhaust::<F>(at, &path).await,
        "beside" => beside(&path, &decode(words.next().unwrap_or_default())),
        "open-dir" => F::open_dir(at, &path).await.map(|dir| format!("{dir:?}")),
        "stat" => F::stat(at, &path).await.map(describe),
        "lstat" => F::lstat(at, &path).await.map(describe),
        "statvfs" => F::statvfs(at, &path).await.map(|volume| format!("{volume:?}")),
        "utime" => F::utime(at, &path, NewTime::Now, NewTime::Now).await.map(done),
        "chmod" => F::chmod(at, &path, 0o777).await.map(done),
        "truncate" => F::truncate(at, &path, 0).await.map(done),
        "symlink" => F::symlink(&decode(words.next().unwrap_or_default()), at, &path).await.map(done),
        "readlink" => F::readlink(at, &path).await,
        "realpath" => F::realpath(at, &path).await,
        "mkfifo" => F::mkfifo(at, &path, 0o666).await.map(done),
        "pathsync" => F::pathsync(at, &path).await.map(done),
        "readdir" => F::readdir(at, &path).await.map(|names| names.join(" ")),
        "scandir" => F::scandir(at, &path, 0).await.map(|scan| format!("{scan:?}")),
        "readdirx" => F::readdirx(at, &path, ReaddirxFlags::DENTS).await.map(|listing| format!("{listing:?}")),
        "walk" => walk::<F>(at, &path).await,
        "load" => F::load(at, &path).await.map(|data| String::from_utf8_lossy(&data).into_owned()),
        "slurp" => F::slurp(at, &path, 0, None).await.map(|data| String::from_utf8_lossy(&data).into_owned()),
        "store" => F::store(at, &path, b"stored", 0o666).await.map(done),
        "rmtree" => F::rmtree(at, &path, 0).await.map(|count| count.to_string()),
        "copy" => {
            let (to_at, to_path) = place::<F>(&mut words).await?;
            F::copy(at, &path, to_at.as_ref(), &to_path).await.map(|count| count.to_string())
        }
        "move" => {
            let (to_at, to_path) = place::<F>(&mut words).await?;
            F::move_(at, &path, to_at.as_ref(), &to_path).await.map(done)
        }
        "copy-tree" => {
            let (to_at, to_path) = place::<F>(&mut words).await?;
            F::copy_tree(at, &path, to_at.as_ref(), &to_path, 0).await.map(|count| count.to_string())
        }
        "unlink" => F::unlink(at, &path).await.map(done),
        "rmdir" => F::rmdir(at, &path).await.map(done),
        "mkdir" => F::mkdir(at, &path, 0o777).await.map(done),
        "rename" => {
            let (new_at, new_path) = place::<F>(&mut words).await?;
            F::rename(at, &path, new_at.as_ref(), &new_path).await.map(done)
        }
        "exchange" => {
            let (new_at, new_path) = place::<F>(&mut words).await?;
            F::rename2(at, &path, new_at.as_ref(), &new_path, RenameFlags::EXCHANGE).await.map(done)
        }
        "link" => {
            let (new_at, new_path) = place::<F>(&mut words).await?;
            F::link(at, &path, new_at.as_ref(), &new_path).await.map(done)
        }
        other => panic!("no request {other} in {plan:?}"),
    }
}

/// A directory, if the words start with one, and a path.
async fn place<F: Face>(words: &mut impl Iterator<Item = &str>) -> Result<(Option<Dir>, String), Error> {
    let word = words.next().unwrap_or_default();
    let Some(at) = word.strip_prefix('@') else { return Ok((None, decode(word))) };
    let at = F::open_dir(None, &decode(at)).await?;
    Ok((Some(at), decode(words.next().unwrap_or_default())))
}

pub fn flags(words: &str) -> OpenFlags {
    words.split(',').fold(OpenFlags::empty(), |flags, word| {
        flags
            | match word {
                "read" => OpenFlags::READ,
                "write" => OpenFlags::WRITE,
                "append" => OpenFlags::APPEND,
                "create" => OpenFlags::CREATE,
                "exclusive" => OpenFlags::EXCLUSIVE,
                "truncate" => OpenFlags::TRUNCATE,
                "no-follow" => OpenFlags::NO_FOLLOW,
                other => panic!("no flag {other}"),
            }
    })
}

/// Opens and, where it may, reads: what an escape would give away is then in the output.
async fn open<F: Face>(at: Option<&Dir>, path: &str, flags: OpenFlags) -> Result<String, Error> {
    let file = F::open(at, path, flags, 0o666).await?;
    if !flags.contains(OpenFlags::READ) {
        return Ok(String::new());
    }
    let data = F::read(&file, Some(0), 100).await?;
    Ok(String::from_utf8_lossy(&data).into_owned())
}

/// Everything that a handle of a file is good for and that may be done on the guest's own thread.
async fn handle<F: Face>(at: Option<&Dir>, path: &str) -> Result<String, Error> {
    let file = F::open(at, path, OpenFlags::READ, 0).await?;
    let size = F::fstat(&file).await?.size;
    assert_eq!(F::seek(&file, 0, Whence::End).await?, size);
    F::seek(&file, 0, Whence::Start).await?;
    let data = F::read(&file, None, 100).await?;
    assert_eq!(F::read(&file, Some(0), 100).await?, data);
    F::close(file).await?;
    Ok(String::from_utf8_lossy(&data).into_owned())
}

/// Opens a directory again and again until that fails, and keeps all of it open.
async fn exhaust<F: Face>(at: Option<&Dir>, path: &str) -> Result<String, Error> {
    loop {
        std::mem::forget(F::open_dir(at, path).await?);
    }
}

/// Opens a file and asks for its status, uses another meanwhile, and only then waits for the first.
fn beside(slow: &str, fast: &str) -> Result<String, Error> {
    let requests = [submit::open(None, slow, OpenFlags::READ, 0), submit::stat(None, slow)];
    let file = blocking::open(None, fast, OpenFlags::READ, 0)?;
    blocking::read(&file, Some(0), 100)?;
    blocking::stat(None, fast)?;
    blocking::store(None, "done", b"", 0o666)?;
    for request in requests {
        request.wait()?;
    }
    Ok(String::new())
}

async fn walk<F: Face>(at: Option<&Dir>, path: &str) -> Result<String, Error> {
    let walker = F::walk(at, path, 0, 0).await?;
    let mut found = String::new();
    loop {
        let entries = F::walk_next(&walker, 0).await?;
        if entries.is_empty() {
            return Ok(found);
        }
        found += &format!("{entries:?}");
    }
}

fn describe(status: Status) -> String {
    format!("{:?} of {} bytes, {:x}:{:x}", status.type_, status.size, status.identity.device, status.identity.inode)
}
