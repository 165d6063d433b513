//! The guest's memory, as the functions of preview 1 see it: every place is checked before it is touched.

use std::ops::Range;

use wasmtime::{Caller, Extern, Memory};

use super::errno::{CallFailure, Errno, Result, trap};

/// Pieces of one transfer at most, as in `readv(2)`, without those that are empty. What comes after them is not moved by this call.
const PIECES_MAX: usize = 1024;

/// Pieces that are looked at, the empty ones among them. 65,536: some 0.1 ms.
const PIECES_LOOKED_AT_MAX: usize = 1 << 16;

/// Bytes of one transfer at most: 32 MiB take some 10 ms, and nothing ends a guest in the midst of it. What comes after them is not
/// moved by this call.
const CALL_BYTES_MAX: usize = 32 << 20;

/// Bytes of a path at most that are looked at: more than any limit of a host.
const TEXT_BYTES_MAX: u32 = 1 << 20;

/// A guest in a call of a host function.
pub(super) struct GuestMemory<'a, T: 'static> {
    pub(super) caller: Caller<'a, T>,
    memory: Memory,
}

/// A piece of the guest's memory that bytes go to or come from.
pub(super) type Piece = Range<usize>;

fn range(at: u32, length: u32) -> Piece {
    let at = usize::try_from(at).expect("a place fits");
    at..at.saturating_add(usize::try_from(length).expect("a length fits"))
}

impl<'a, T: 'static> GuestMemory<'a, T> {
    /// `known` is where the memory is kept once it was looked up: a store is for one guest.
    pub(super) fn new(mut caller: Caller<'a, T>, known: impl Fn(&mut T) -> &mut Option<Memory>) -> Result<Self> {
        if let Some(memory) = *known(caller.data_mut()) {
            return Ok(Self { caller, memory });
        }
        match caller.get_export("memory") {
            Some(Extern::Memory(memory)) => {
                *known(caller.data_mut()) = Some(memory);
                Ok(Self { caller, memory })
            }
            _ => Err(trap(wasmtime::format_err!("a module that uses WASI preview 1 has to export its memory as `memory`"))),
        }
    }

    /// The memory and what else the store holds.
    pub(super) fn parts(&mut self) -> (&mut [u8], &mut T) {
        self.memory.data_and_store_mut(&mut self.caller)
    }

    pub(super) fn bytes(&self, at: u32, length: u32) -> Result<&[u8]> {
        self.memory.data(&self.caller).get(range(at, length)).ok_or(CallFailure::Errno(Errno::FAULT))
    }

    pub(super) fn bytes_mut(&mut self, at: u32, length: u32) -> Result<&mut [u8]> {
        self.memory.data_mut(&mut self.caller).get_mut(range(at, length)).ok_or(CallFailure::Errno(Errno::FAULT))
    }

    pub(super) fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        let length = u32::try_from(bytes.len()).map_err(|_| Errno::OVERFLOW)?;
        self.bytes_mut(at, length)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn write_u32(&mut self, at: u32, value: u32) -> Result<()> {
        self.write(at, &value.to_le_bytes())
    }

    pub(super) fn write_u64(&mut self, at: u32, value: u64) -> Result<()> {
        self.write(at, &value.to_le_bytes())
    }

    /// A number of bytes or of things, which the guest has room for 32 bits for.
    pub(super) fn write_count(&mut self, at: u32, count: usize) -> Result<()> {
        self.write_u32(at, u32::try_from(count).map_err(|_| Errno::OVERFLOW)?)
    }

    pub(super) fn array<const LENGTH: usize>(&self, at: u32) -> Result<[u8; LENGTH]> {
        let length = u32::try_from(LENGTH).expect("a record is small");
        Ok(self.bytes(at, length)?.try_into().expect("that is its length"))
    }

    pub(super) fn text(&self, at: u32, length: u32) -> Result<String> {
        if length > TEXT_BYTES_MAX {
            return Err(Errno::NAMETOOLONG.into());
        }
        let text = std::str::from_utf8(self.bytes(at, length)?).map_err(|_| Errno::ILSEQ)?;
        Ok(text.to_owned())
    }

    /// The pieces of a transfer, each within the memory, and their length together.
    pub(super) fn pieces(&self, at: u32, count: u32) -> Result<Pieces> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let looked_at = count.min(PIECES_LOOKED_AT_MAX);
        let size = self.memory.data_size(&self.caller);
        let list = self.bytes(at, u32::try_from(looked_at * 8).expect("it is small"))?;
        let mut pieces = Pieces { first: 0..0, rest: Vec::new(), length: 0 };
        for entry in list.chunks_exact(8) {
            let number = |at: usize| u32::from_le_bytes(entry[at..at + 4].try_into().expect("four bytes"));
            let piece = range(number(0), number(4));
            if piece.end > size {
                return Err(Errno::FAULT.into());
            }
            let left = CALL_BYTES_MAX - pieces.length;
            let is_last = piece.len() >= left;
            pieces.add(piece.start..piece.end.min(piece.start + left));
            if is_last || pieces.count() == PIECES_MAX {
                break;
            }
        }
        // What has moved nothing would be taken for the end of the file.
        if pieces.length == 0 && looked_at < count { Err(Errno::INVAL.into()) } else { Ok(pieces) }
    }

    /// Puts bytes into pieces, one after the other.
    pub(super) fn scatter(&mut self, pieces: &Pieces, mut bytes: &[u8]) {
        let memory = self.memory.data_mut(&mut self.caller);
        for piece in pieces.iter() {
            let (now, rest) = bytes.split_at(piece.len().min(bytes.len()));
            memory[piece.start..piece.start + now.len()].copy_from_slice(now);
            bytes = rest;
        }
    }

    /// The first bytes of pieces, up to a number of them.
    pub(super) fn gather(&self, pieces: &Pieces, max: usize) -> Vec<u8> {
        let memory = self.memory.data(&self.caller);
        let mut bytes = Vec::with_capacity(pieces.length.min(max));
        for piece in pieces.iter() {
            let left = (max - bytes.len()).min(piece.len());
            bytes.extend_from_slice(&memory[piece.start..piece.start + left]);
        }
        bytes
    }
}

/// Where bytes go to or come from.
#[derive(Debug)]
pub(super) struct Pieces {
    /// Most transfers have one piece, and need no list.
    first: Piece,
    rest: Vec<Piece>,
    /// Of all together.
    pub(super) length: usize,
}

impl Pieces {
    /// Leaves out what is empty.
    fn add(&mut self, piece: Piece) {
        if piece.is_empty() {
            return;
        }
        if self.length == 0 {
            self.first = piece.clone();
        } else {
            self.rest.push(piece.clone());
        }
        self.length += piece.len();
    }

    /// A transfer of nothing has one piece, which is empty: what is wrong with the descriptor is told all the same.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Piece> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// How many there are that hold something.
    fn count(&self) -> usize {
        if self.length == 0 { 0 } else { 1 + self.rest.len() }
    }

    pub(super) fn are_several(&self) -> bool {
        !self.rest.is_empty()
    }
}
