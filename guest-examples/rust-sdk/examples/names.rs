//! Names: a new edition of a directory is prepared under another name, and replaces the old one in one step.

use std::io;

use aiohost_guest::types::{ReaddirxFlags, RenameFlags};
use aiohost_guest::{Dir, FileType, block_on, reason, submit};
use futures::try_join;

fn main() -> io::Result<()> {
    block_on(async {
        let here = Dir::current();
        try_join!(submit::mkdir(&here, "site", 0o777), submit::mkdir(&here, "next", 0o777))?;
        submit::store(&here, "site/index", b"old edition\n", 0o666).await?;
        fill(&here, "next").await?;
        replace(&here, "next", "site").await?;

        println!("{:?} was replaced", String::from_utf8_lossy(&submit::load(&here, "next/index").await?));
        submit::unlink(&here, "next/index").await?;
        submit::rmdir(&here, "next").await?;
        show(&here, "site").await
    })
}

/// Fills a directory, and brings the directory to the device.
async fn fill(at: &Dir, path: &str) -> io::Result<()> {
    let dir = submit::open_dir(at, path).await?;
    submit::store(&dir, "index", b"new edition\n", 0o666).await?;
    try_join!(
        submit::link(&dir, "index", &dir, "start"),
        submit::symlink("index", &dir, "home"),
        submit::copy(at, "one", &dir, "one"),
        submit::move_(at, "two", &dir, "draft"),
    )?;
    submit::rename(&dir, "draft", &dir, "two").await?;
    submit::pathsync(&dir, ".").await
}

/// Exchanges the names of two directories, in one step or, where the file system cannot do that, in several.
async fn replace(at: &Dir, new: &str, old: &str) -> io::Result<()> {
    match submit::rename2(at, new, at, old, RenameFlags::EXCHANGE).await {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            submit::rename(at, old, at, "aside").await?;
            submit::rename(at, new, at, old).await?;
            submit::rename(at, "aside", at, new).await
        }
        outcome => outcome,
    }
}

async fn show(at: &Dir, path: &str) -> io::Result<()> {
    let mut names = submit::readdir(at, path).await?;
    names.sort();
    println!("{}", names.join(" "));
    // The types come with the names, where the file system lists them together.
    let listing = submit::readdirx(at, path, ReaddirxFlags::DENTS | ReaddirxFlags::STAT_ORDER).await?;
    for link in listing.entries.iter().filter(|entry| entry.type_ == FileType::SymbolicLink) {
        let name = format!("{path}/{}", link.name);
        let (target, place) = try_join!(submit::readlink(at, &name), submit::realpath(at, &name))?;
        eprintln!("{name} leads to {target}, which is {place}");
        // The last eight bytes.
        println!("{:?}", String::from_utf8_lossy(&submit::slurp(at, &name, -8, None).await?));
    }
    // A pipe can make other programs wait, so this requires `--allow mkfifo`.
    if let Err(error) = submit::mkfifo(at, "pipe", 0o666).await {
        println!("no pipe: {:?}", reason(&error).map(|why| why.code));
    }
    Ok(())
}
