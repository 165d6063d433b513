//! Plans of the sandbox table, made by WASI: each argument is one request, and each line of the output what it came to.
//!
//! They read as those of `attempt.rs` beside this folder. An absolute path starts from the directory that was granted by the longest
//! name that it begins with, as a C library has it; what is behind that name is the host's to judge.

use std::rc::Rc;

use crate::files::{Fd, preopens};
use crate::records::{DIRECTORY, How, Outcome, READ};
use crate::words::decode;

/// The directories that were granted, with their names.
type Grants = [(Rc<Fd>, String)];

pub async fn run(plans: &[String]) {
    let grants: Vec<(Rc<Fd>, String)> = preopens().into_iter().map(|(fd, name)| (Rc::new(fd), name)).collect();
    for plan in plans {
        match attempt(&grants, plan).await {
            Ok(what) => println!("ok {}", what.escape_debug()),
            Err(code) => println!("{code}"),
        }
    }
}

/// One request; what it gives, as text.
async fn attempt(grants: &Grants, plan: &str) -> Outcome<String> {
    let mut words = plan.split(' ');
    let request = words.next().unwrap_or_default();
    let mut words = words.collect::<Vec<_>>().into_iter();
    let (at, path) = place(grants, &mut words).await?;
    let path = path.as_str();
    let done = |()| String::new();
    match request {
        "open" => open(&at, path, flags(words.next().unwrap_or("read"))).await,
        // By the standard library.
        "std" => Ok(std::fs::read(path).map_or_else(|_| "nothing".to_owned(), |data| format!("{} bytes", data.len()))),
        "open-dir" => at.open(path, DIRECTORY).await.map(|_| String::new()),
        "stat" => at.stat_at(path, true).await.map(|status| format!("{} of {} bytes", status.kind, status.size)),
        "lstat" => at.stat_at(path, false).await.map(|status| format!("{} of {} bytes", status.kind, status.size)),
        "utime" => at.set_time_at(path, true, (1, 0)).await.map(done),
        "truncate" => open(&at, path, How { truncate: true, write: true, read: false, ..READ }).await,
        "symlink" => at.symlink(&decode(words.next().unwrap_or_default()), path).await.map(done),
        "readlink" => at.readlink(path).await,
        "readdir" => readdir(&at, path).await,
        "unlink" => at.unlink(path).await.map(done),
        "rmdir" => at.rmdir(path).await.map(done),
        "mkdir" => at.mkdir(path).await.map(done),
        "rename" => {
            let (new_at, new_path) = place(grants, &mut words).await?;
            at.rename(path, &new_at, &new_path).await.map(done)
        }
        "link" => {
            let (new_at, new_path) = place(grants, &mut words).await?;
            at.link(path, &new_at, &new_path).await.map(done)
        }
        other => panic!("WASI has no request {other}, as in {plan:?}"),
    }
}

/// The directory that the words start from, and a path.
async fn place(grants: &Grants, words: &mut impl Iterator<Item = &str>) -> Outcome<(Rc<Fd>, String)> {
    let word = words.next().unwrap_or_default();
    let Some(at) = word.strip_prefix('@') else { return Ok(start(grants, decode(word))) };
    let (start, path) = start(grants, decode(at));
    let at = start.open(&path, DIRECTORY).await?;
    Ok((Rc::new(at), decode(words.next().unwrap_or_default())))
}

/// The directory that a path starts from: the first one, where it has the name of none.
fn start(grants: &Grants, path: String) -> (Rc<Fd>, String) {
    let below = |name: &str| {
        let rest = path.strip_prefix('/')?.trim_start_matches('/').strip_prefix(name.trim_start_matches('/'))?;
        if rest.is_empty() {
            return Some(".");
        }
        let rest = rest.strip_prefix('/')?.trim_start_matches('/');
        Some(if rest.is_empty() { "." } else { rest })
    };
    let found = grants.iter().filter_map(|(fd, name)| Some((fd, name.len(), below(name)?)));
    match found.max_by_key(|(_, length, _)| *length) {
        Some((fd, _, rest)) => (Rc::clone(fd), rest.to_owned()),
        None => (Rc::clone(&grants[0].0), path),
    }
}

/// No version but the first has a flag to append, which is of no matter to where a path leads.
fn flags(words: &str) -> How {
    words.split(',').fold(How { read: false, ..READ }, |how, word| match word {
        "read" => How { read: true, ..how },
        "write" | "append" => How { write: true, ..how },
        "create" => How { create: true, ..how },
        "exclusive" => How { exclusive: true, ..how },
        "truncate" => How { truncate: true, ..how },
        "no-follow" => How { follow: false, ..how },
        other => panic!("no flag {other}"),
    })
}

/// Opens and, where it may, reads: what an escape would give away is then in the output. A directory can be opened as well, and
/// not read.
async fn open(at: &Fd, path: &str, how: How) -> Outcome<String> {
    let fd = at.open(path, how).await?;
    if fd.kind().await? == "directory" {
        return Err("is-directory".to_owned());
    }
    if !how.read {
        return Ok(String::new());
    }
    let (data, end) = fd.read(0, 1).await;
    end.map(|()| String::from_utf8_lossy(&data[..data.len().min(100)]).into_owned())
}

async fn readdir(at: &Fd, path: &str) -> Outcome<String> {
    let (entries, end) = at.open(path, DIRECTORY).await?.list().await;
    end.map(|()| entries.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" "))
}
