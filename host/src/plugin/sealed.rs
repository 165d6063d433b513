//! Compiled code with a seal behind it, so that what was damaged, cut short or put there by somebody else is never run.
//!
//! The code comes first, as wasmtime wrote it, so that other tools recognise the file. Behind it is a trailer: [`MAGIC`] and
//! a BLAKE3 hash of all that is before the hash. In a file of `aiohost compile` it is a plain hash, which guards against
//! accidents only: whoever can write the file can write the hash too, which is why loading such a file takes trust; see
//! [`Host::load_trusted`](super::Host::load_trusted). In the code cache it is a hash with a key and the name of the entry in
//! it: nobody who does not know the key can make one, and none fits another entry.

use std::io::{Read, Result, Write};

use blake3::Hasher;

/// Changed with the format.
const MAGIC: &[u8; 16] = b"aiohost code 1\n\0";

pub(super) const TRAILER_BYTES: usize = MAGIC.len() + blake3::OUT_LEN;

/// Bytes that are read at a time. They stay in the processor's cache, from where they are hashed.
const PIECE_BYTES: usize = 256 << 10;

/// Puts the trailer behind compiled code.
pub(super) fn seal(mut code: Vec<u8>) -> Vec<u8> {
    code.extend_from_slice(MAGIC);
    let hash = blake3::hash(&code);
    code.extend_from_slice(hash.as_bytes());
    code
}

/// The compiled code, if it is what was sealed.
pub(super) fn unseal(sealed: &[u8]) -> Option<&[u8]> {
    unseal_with(sealed, Hasher::new())
}

/// The same with a hash that was begun with a key.
pub(super) fn unseal_with(sealed: &[u8], mut hasher: Hasher) -> Option<&[u8]> {
    let code_bytes = sealed.len().checked_sub(TRAILER_BYTES)?;
    let (hashed, hash) = sealed.split_at(sealed.len() - blake3::OUT_LEN);
    let (code, magic) = hashed.split_at(code_bytes);
    hasher.update(hashed);
    // Hashes are compared in a time that does not tell how far they are the same.
    let intact = magic == MAGIC && hasher.finalize() == *<&[u8; blake3::OUT_LEN]>::try_from(hash).ok()?;
    intact.then_some(code)
}

/// Writes compiled code with its trailer, with a hash that was begun with a key.
pub(super) fn write(mut to: impl Write, code: &[u8], mut hasher: Hasher) -> Result<()> {
    hasher.update(code).update(MAGIC);
    to.write_all(code)?;
    to.write_all(MAGIC)?;
    to.write_all(hasher.finalize().as_bytes())
}

/// Whether the `bytes` that come from a reader are what was sealed, with a hash that was begun with a key. They are not kept.
pub(super) fn is_intact(mut from: impl Read, bytes: u64, mut hasher: Hasher) -> Result<bool> {
    let trailer_bytes = u64::try_from(TRAILER_BYTES).expect("a small number");
    let Some(mut left) = bytes.checked_sub(trailer_bytes) else { return Ok(false) };
    let mut piece = vec![0; PIECE_BYTES];
    while left > 0 {
        let wanted = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        from.read_exact(&mut piece[..wanted])?;
        hasher.update(&piece[..wanted]);
        left -= u64::try_from(wanted).expect("a small number");
    }
    let mut trailer = [0; TRAILER_BYTES];
    from.read_exact(&mut trailer)?;
    let (magic, hash) = trailer.split_at(MAGIC.len());
    hasher.update(magic);
    Ok(magic == MAGIC && hasher.finalize() == *<&[u8; blake3::OUT_LEN]>::try_from(hash).expect("the rest of the trailer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(byte: u8) -> Hasher {
        Hasher::new_keyed(&[byte; blake3::KEY_LEN])
    }

    fn intact(sealed: &[u8], hasher: &Hasher) -> bool {
        let bytes = u64::try_from(sealed.len()).expect("a small number");
        let streamed = is_intact(sealed, bytes, hasher.clone()).expect("memory can be read");
        assert_eq!(unseal_with(sealed, hasher.clone()).is_some(), streamed);
        streamed
    }

    #[test]
    fn what_was_sealed_comes_back() {
        assert_eq!(unseal(&seal(b"code".to_vec())), Some(&b"code"[..]));
        assert_eq!(unseal(&seal(Vec::new())), Some(&b""[..]));
        for length in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES] {
            let (code, mut sealed) = (vec![7; length], Vec::new());
            write(&mut sealed, &code, keyed(1)).expect("memory can be written");
            assert!(intact(&sealed, &keyed(1)));
            assert_eq!(unseal_with(&sealed, keyed(1)), Some(&code[..]));
        }
    }

    #[test]
    fn any_cut_and_any_changed_byte_is_seen() {
        let mut with_key = Vec::new();
        write(&mut with_key, b"some code", keyed(1)).expect("memory can be written");
        for (sealed, hasher) in [(seal(b"some code".to_vec()), Hasher::new()), (with_key, keyed(1))] {
            assert!(intact(&sealed, &hasher));
            for length in 0..sealed.len() {
                assert!(!intact(&sealed[..length], &hasher), "cut to {length}");
            }
            for index in 0..sealed.len() {
                let mut damaged = sealed.clone();
                damaged[index] ^= 0x10;
                assert!(!intact(&damaged, &hasher), "byte {index}");
            }
        }
    }

    #[test]
    fn a_seal_fits_one_key_only() {
        let mut sealed = Vec::new();
        write(&mut sealed, b"code", keyed(1)).expect("memory can be written");
        assert!(!intact(&sealed, &keyed(2)) && !intact(&sealed, &Hasher::new()));
        assert!(!intact(&seal(b"code".to_vec()), &keyed(1)));
    }
}
