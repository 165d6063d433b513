//! `fd_readdir`: entries from where the guest says, as many as its buffer holds.

use super::Preview1View;
use super::errno::{CallFailure, Result};
use super::memory::GuestMemory;
use super::records::{self, FileKind};
use super::requests::request;
use crate::door::Request;
use crate::sandbox::{Cursor, OpenDir, Place, Read, Visited};
use crate::wasi::runs::{self, CursorAt, listing_memory};

const OPEN: Request<(Place<Read>,), OpenDir> = request("fd_readdir", runs::OPEN_DIR);
const FILL: Request<(CursorAt,), ()> = request("fd_readdir", runs::FILL);

pub(super) async fn readdir<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    (buffer, room): (u32, u32),
    cookie: u64,
    at: u32,
) -> Result<()> {
    let cursor = cursor(guest, fd, cookie).await?;
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let (mut used, mut from) = (0, cookie);
    loop {
        let mut failure = None;
        let place = buffer.saturating_add(u32::try_from(used).expect("it is within the room"));
        let left = u32::try_from(room - used).unwrap_or(u32::MAX);
        let mut rest = guest.bytes_mut(place, left)?;
        let visited = cursor.visit(from, |entry| {
            let record = match records::dirent(entry.next, entry.inode, &entry.name, FileKind::of(entry.kind)) {
                Ok(record) => record,
                Err(error) => {
                    failure = Some(error);
                    return false;
                }
            };
            // An entry that does not fit is cut off, which tells the guest that there is more.
            let is_whole = put(&mut rest, &mut used, &record) && put(&mut rest, &mut used, entry.name.as_bytes());
            is_whole && used < room
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        match visited {
            Visited::More(next) => from = next,
            Visited::Enough | Visited::End => return guest.write_count(at, used),
        }
        guest.make(FILL, Ok((CursorAt { cursor: cursor.clone(), from },))).await?;
        // On a thread of the guest's own nothing has been waited for, and a buffer may have room for a million names.
        tokio::task::yield_now().await;
    }
}

/// Puts as much as there is room for; tells whether that was all.
fn put(rest: &mut &mut [u8], used: &mut usize, bytes: &[u8]) -> bool {
    let count = bytes.len().min(rest.len());
    let (now, later) = std::mem::take(rest).split_at_mut(count);
    now.copy_from_slice(&bytes[..count]);
    *rest = later;
    *used += count;
    count == bytes.len()
}

/// The listing of a directory. One that starts anew sees what is there by now.
async fn cursor<T: Preview1View>(guest: &mut GuestMemory<'_, T>, fd: u32, cookie: u64) -> Result<Cursor> {
    let (descriptors, ctx) = guest.tables();
    let dir = descriptors.dir_mut(fd)?;
    if let Some(cursor) = &dir.listing {
        let cursor = cursor.clone();
        if cookie == 0 {
            guest.make(FILL, Ok((CursorAt { cursor: cursor.clone(), from: 0 },))).await?;
        }
        return Ok(cursor);
    }
    let memory = listing_memory(&ctx.member)?;
    let key = ctx.grants.identity_key();
    let place = guest.place(fd, ".".to_owned())?;
    let opened = guest.make(OPEN, place.map(|place| (place,))).await?;
    match guest.descriptors().dir_mut(fd) {
        Ok(dir) => Ok(dir.set_listing(Cursor::new(opened, key, memory))),
        Err(CallFailure::Errno(errno)) => Err(errno.into()),
        Err(failure) => Err(failure),
    }
}
