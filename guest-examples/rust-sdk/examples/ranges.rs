//! Parts of a file: written in parallel, found, read ahead, brought to the device, and copied inside the host.

use std::io;

use aiohost_guest::types::{Advice, AllocateFlags, SyncRangeFlags, Whence};
use aiohost_guest::{Dir, File, InFlight, OpenOptions, submit};

/// The distance from one piece to the next, in bytes.
const STEP: u64 = 1 << 20;

fn main() -> io::Result<()> {
    let here = Dir::current();
    let file = submit::open(&here, "pieces", OpenOptions::new().read(true).write(true).create_new(true)).wait()?;
    write(&file)?;

    // What lies between the pieces is a hole, where the file system supports holes.
    let extents = submit::extents(&file, 0, None).wait()?;
    let data: u64 = extents.iter().map(|extent| extent.length).sum();
    eprintln!("{data} bytes in {} ranges", extents.len());

    submit::advise(&file, 0, 0, Advice::Sequential).wait()?;
    submit::readahead(&file, 3 * STEP, 5).wait()?;
    submit::seek(&file, -5, Whence::End).wait()?;
    let last = submit::read(&file, None, 5).wait()?; // at the position
    println!("the last piece is {:?}", String::from_utf8_lossy(&last));

    let copy = submit::open(&here, "copy", OpenOptions::new().write(true).create(true).truncate(true)).wait()?;
    println!("{} bytes are shared or copied", share(&file, &copy)?);
    // Bringing a whole file system to the device requires `--allow syncfs`.
    println!("syncfs: {:?}", submit::syncfs(&copy).wait().map_err(|error| error.kind()));
    submit::close(copy).wait()
}

/// Writes four pieces in parallel, each at its own offset. Space is allocated first, where the file system can do that.
fn write(file: &File) -> io::Result<()> {
    is_supported(submit::allocate(file, AllocateFlags::KEEP_SIZE, 0, 5).wait())?;
    let pieces = [b"north", b"east ", b"south", b"west "];
    let writes = pieces.iter().zip(0..).map(|(piece, at)| (at, submit::write(file, Some(at * STEP), *piece)));
    let mut in_flight: InFlight<u64, u64> = writes.collect();
    while let Some((at, written)) = in_flight.next() {
        assert_eq!(written?, 5, "piece {at} is short: the device may be full");
    }
    // The first request starts the transfer to the device, and after the second one all of it is there.
    submit::sync_file_range(file, 0, 0, SyncRangeFlags::WRITE).wait()?;
    submit::fdatasync(file).wait()
}

/// Makes one file a copy of another, and brings it to the device. The two share their space where the file system can do that.
fn share(from: &File, to: &File) -> io::Result<u64> {
    let length = submit::fstat(from).wait()?.size;
    if !is_supported(submit::clone_range(to, 0, from, 0, length).wait())? {
        submit::sendfile(to, Some(0), from, 0, length).wait()?;
    }
    submit::fsync(to).wait()?;
    Ok(length)
}

/// Whether the file system could do what was asked for.
fn is_supported(outcome: io::Result<()>) -> io::Result<bool> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(false),
        outcome => outcome.map(|()| true),
    }
}
