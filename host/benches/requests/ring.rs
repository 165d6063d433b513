//! Reads by io_uring, where the kernel has it and lets this process use it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use anyhow::Context as _;
use io_uring::{IoUring, opcode, types};

use crate::measure::{Run, timed};
use crate::setup::Setup;
use crate::workload::{DATA, Offsets, digest};

/// Random reads with many in flight, by one thread. None, with a word to the user, if there is no io_uring here.
pub(crate) fn read_random(setup: &Setup, block: u32, in_flight: u32) -> anyhow::Result<Option<Run>> {
    let path = setup.data().join(DATA);
    let mut ring = match IoUring::new(in_flight) {
        Ok(ring) => ring,
        Err(error) => {
            println!("peer io_uring: not to be had here: {error}");
            return Ok(None);
        }
    };
    let slots = usize::try_from(in_flight)?;
    let mut buffers = vec![vec![0u8; usize::try_from(block)?]; slots];
    Ok(Some(Box::new(move |steps| {
        timed(|| {
            let file = File::open(&path)?;
            let fd = types::Fd(file.as_raw_fd());
            let mut offsets = Offsets::new(block).take(usize::try_from(steps)?);
            let mut free: Vec<usize> = (0..slots).collect();
            let mut sum = 0u64;
            let mut failed = None;
            loop {
                while let Some(slot) = free.pop() {
                    let Some(offset) = failed.is_none().then(|| offsets.next()).flatten() else {
                        free.push(slot);
                        break;
                    };
                    let read = opcode::Read::new(fd, buffers[slot].as_mut_ptr(), block).offset(offset).build();
                    // SAFETY: the buffer of a slot lives as long as the ring, and is not touched until the read is done; so does
                    // the file, since all reads are waited for.
                    unsafe { ring.submission().push(&read.user_data(u64::try_from(slot)?)) }.context("there is a place")?;
                }
                if free.len() == slots {
                    return failed.map_or(Ok(sum), |error| Err(error).context("the data can be read"));
                }
                ring.submit_and_wait(1)?;
                for done in ring.completion() {
                    let slot = usize::try_from(done.user_data())?;
                    match usize::try_from(done.result()) {
                        Ok(count) => sum = sum.wrapping_add(digest(&buffers[slot][..count])),
                        Err(_) => failed = Some(io::Error::from_raw_os_error(-done.result())),
                    }
                    free.push(slot);
                }
            }
        })
    })))
}
