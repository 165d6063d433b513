//! `async` in a plain program: requests are futures, and `block_on` runs them.

use std::io;

use aiohost_guest::{Dir, OpenOptions, block_on, submit};
use futures::{StreamExt, TryStreamExt, stream, try_join};

fn main() -> io::Result<()> {
    block_on(async {
        let here = Dir::current();
        // Two at a time ...
        let (one, two) = try_join!(head(&here, "one"), head(&here, "two"))?;
        println!("{one} {two}");
        // ... or up to 16 of many.
        let names = submit::readdir(&here, ".").await?;
        let sizes = stream::iter(&names).map(|name| submit::stat(&here, name)).buffer_unordered(16);
        let bytes = sizes.try_fold(0, async |sum, status| Ok(sum + status.size)).await?;
        println!("{} files, {bytes} bytes", names.len());
        Ok(())
    })
}

/// The first line of a file.
async fn head(at: &Dir, path: &str) -> io::Result<String> {
    let file = submit::open(at, path, OpenOptions::new().read(true)).await?;
    let data = submit::read(&file, Some(0), 4096).await?;
    Ok(String::from_utf8_lossy(&data).lines().next().unwrap_or_default().to_owned())
}
