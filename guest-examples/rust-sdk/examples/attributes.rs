//! The status of a file and changes to it, by name and for an open file.

use std::io;

use aiohost_guest::types::{NewTime, Timestamp};
use aiohost_guest::{Dir, FileType, OpenOptions, Status, block_on, submit};
use futures::try_join;

/// The first second of 2024.
const THEN: NewTime = NewTime::At(Timestamp { seconds: 1_704_067_200, nanoseconds: 0 });

fn main() -> io::Result<()> {
    block_on(async {
        let here = Dir::current();
        submit::truncate(&here, "one", 5).await?;
        // The two run at the same time: neither affects what the other changes.
        try_join!(submit::chmod(&here, "one", 0o640), submit::utime(&here, "one", NewTime::Omit, THEN))?;
        show("one", &submit::stat(&here, "one").await?);

        let file = submit::open(&here, "two", OpenOptions::new().read(true).write(true)).await?;
        submit::ftruncate(&file, 100).await?;
        try_join!(submit::fchmod(&file, 0o600), submit::futime(&file, NewTime::Now, THEN))?;
        show("two", &submit::fstat(&file).await?);

        submit::symlink("two", &here, "link").await?;
        assert_eq!(submit::lstat(&here, "link").await?.type_, FileType::SymbolicLink);

        let volume = submit::statvfs(&here, ".").await?;
        eprintln!("{} of {} blocks are free", volume.blocks_free, volume.blocks);
        Ok(())
    })
}

fn show(name: &str, status: &Status) {
    println!("{name}: {} bytes, mode {:o}, of {}", status.size, status.mode, status.modified.seconds);
}
