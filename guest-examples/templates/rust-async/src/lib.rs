//! Lists the working directory: each file with its size, and the sum.

use std::io;

use aiohost_guest::{FileType, requests};
use futures::{StreamExt, TryStreamExt, stream};

/// How many requests are in flight at most. 64 keep a fast disk busy.
const IN_FLIGHT: usize = 64;

struct Plugin;
wasip3::cli::command::export!(Plugin);

// What the host calls: the async `main` of a component of WASI 0.3.
impl wasip3::exports::cli::run::Guest for Plugin {
    async fn run() -> Result<(), ()> {
        list().await.map_err(|error| eprintln!("{error}"))
    }
}

async fn list() -> io::Result<()> {
    // `None` is the directory to start from: the working directory, which is the first one that was granted.
    let names = requests::readdir(None, ".".to_owned()).await?;
    // The host does the waiting: there is no executor to choose, and no thread.
    let look = |name: String| async move { requests::lstat(None, name.clone()).await.map(|status| (name, status)) };
    let mut found: Vec<_> = stream::iter(names).map(look).buffer_unordered(IN_FLIGHT).try_collect().await?;
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut bytes = 0;
    for (name, status) in &found {
        match status.type_ {
            FileType::RegularFile => println!("{:>10}  {name}", status.size),
            FileType::Directory => println!("{:>10}  {name}/", "-"),
            _ => println!("{:>10}  {name}", "-"),
        }
        if status.type_ == FileType::RegularFile {
            bytes += status.size;
        }
    }
    println!("{} entries, {bytes} bytes", found.len());
    Ok(())
}
