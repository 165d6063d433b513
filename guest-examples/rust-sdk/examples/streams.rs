//! A component of WASI 0.3: async requests, and a file copied as a stream.

use std::future::IntoFuture;
use std::io;

use aiohost_guest::types::OpenFlags;
use aiohost_guest::{File, requests};
use futures::join;

struct Component;
wasip3::cli::command::export!(Component);

impl wasip3::exports::cli::run::Guest for Component {
    async fn run() -> Result<(), ()> {
        copy("one", "copy").await.map_err(|error| eprintln!("{error}"))
    }
}

async fn copy(from: &str, to: &str) -> io::Result<()> {
    let (from, to) = join!(
        requests::open(None, from.to_owned(), OpenFlags::READ, 0),
        requests::open(None, to.to_owned(), OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE, 0o666),
    );
    let (from, to) = (File::from(from?), File::from(to?));
    let (data, read) = from.read_stream(0);
    let (written, read) = join!(to.write_stream(0, data), read.into_future());
    read?;
    println!("{} bytes", written?);
    Ok(())
}
