//! Compiled code with a seal behind it, so that what was damaged, cut short or put there by somebody else is never run.
//!
//! The code comes first, as wasmtime wrote it, so that other tools recognise the file. Behind it is a trailer: [`MAGIC`] and
//! a BLAKE3 hash of all that is before the hash. In a file of `aiohost compile` it is a plain hash, which guards against
//! accidents only: whoever can write the file can write the hash too, which is why loading such a file takes trust; see
//! [`Host::load_trusted`](super::Host::load_trusted). In the code cache it is a hash with a key of that entry alone:
//! nobody who does not know the key can make one, and none fits another entry.

use std::io::{Result, Write};

use blake3::hazmat::Mode;

use super::tree_hash;

/// Changed with the format.
const MAGIC: &[u8; 16] = b"aiohost code 1\n\0";

pub(super) const TRAILER_BYTES: usize = MAGIC.len() + blake3::OUT_LEN;

/// Puts the trailer behind compiled code.
pub(super) fn seal(mut code: Vec<u8>) -> Vec<u8> {
    code.extend_from_slice(MAGIC);
    let hash = blake3::hash(&code);
    code.extend_from_slice(hash.as_bytes());
    code
}

/// The compiled code, if it is what was sealed.
pub(super) fn unseal(sealed: &[u8]) -> Option<&[u8]> {
    unseal_with(sealed, Mode::Hash)
}

/// The same with a hash of any mode.
pub(super) fn unseal_with<'a>(sealed: &'a [u8], mode: Mode<'_>) -> Option<&'a [u8]> {
    let code_bytes = sealed.len().checked_sub(TRAILER_BYTES)?;
    let (hashed, hash) = sealed.split_at(sealed.len() - blake3::OUT_LEN);
    let (code, magic) = hashed.split_at(code_bytes);
    // Hashes are compared in a time that does not tell how far they are the same.
    let intact =
        magic == MAGIC && tree_hash::begun(mode).update(hashed).finalize() == *<&[u8; blake3::OUT_LEN]>::try_from(hash).ok()?;
    intact.then_some(code)
}

/// Writes compiled code with its trailer.
pub(super) fn write(mut to: impl Write, code: &[u8], mode: Mode<'_>) -> Result<()> {
    let hash = tree_hash::begun(mode).update(code).update(MAGIC).finalize();
    to.write_all(code)?;
    to.write_all(MAGIC)?;
    to.write_all(hash.as_bytes())
}

/// Whether so many bytes, which `read` fills a buffer with from an offset on, are what was sealed. They are not kept.
pub(super) fn is_intact(bytes: usize, mode: Mode<'_>, read: impl Fn(&mut [u8], u64) -> Result<()> + Sync) -> Result<bool> {
    let Some(code_bytes) = bytes.checked_sub(TRAILER_BYTES) else { return Ok(false) };
    let mut trailer = [0; TRAILER_BYTES];
    read(&mut trailer, u64::try_from(code_bytes).expect("a length fits"))?;
    let (magic, hash) = trailer.split_at(MAGIC.len());
    let hashed = tree_hash::hash(code_bytes + MAGIC.len(), mode, read)?;
    Ok(magic == MAGIC && hashed == *<&[u8; blake3::OUT_LEN]>::try_from(hash).expect("the rest of the trailer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::tree_hash::PART_BYTES;

    const KEYS: [[u8; blake3::KEY_LEN]; 2] = [[1; blake3::KEY_LEN], [2; blake3::KEY_LEN]];

    fn keyed(key: usize) -> Mode<'static> {
        Mode::KeyedHash(&KEYS[key])
    }

    fn intact(sealed: &[u8], mode: Mode<'_>) -> bool {
        let streamed = is_intact(sealed.len(), mode, |buffer, at| {
            let at = usize::try_from(at).expect("a small number");
            buffer.copy_from_slice(&sealed[at..at + buffer.len()]);
            Ok(())
        });
        let streamed = streamed.expect("memory can be read");
        assert_eq!(unseal_with(sealed, mode).is_some(), streamed);
        streamed
    }

    #[test]
    fn what_was_sealed_comes_back() {
        assert_eq!(unseal(&seal(b"code".to_vec())), Some(&b"code"[..]));
        assert_eq!(unseal(&seal(Vec::new())), Some(&b""[..]));
        for length in [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES] {
            let (code, mut sealed) = (vec![7; length], Vec::new());
            write(&mut sealed, &code, keyed(0)).expect("memory can be written");
            assert!(intact(&sealed, keyed(0)));
            assert_eq!(unseal_with(&sealed, keyed(0)), Some(&code[..]));
        }
    }

    #[test]
    fn any_cut_and_any_changed_byte_is_seen() {
        let mut with_key = Vec::new();
        write(&mut with_key, b"some code", keyed(0)).expect("memory can be written");
        for (sealed, mode) in [(seal(b"some code".to_vec()), Mode::Hash), (with_key, keyed(0))] {
            assert!(intact(&sealed, mode));
            for length in 0..sealed.len() {
                assert!(!intact(&sealed[..length], mode), "cut to {length}");
            }
            for index in 0..sealed.len() {
                let mut damaged = sealed.clone();
                damaged[index] ^= 0x10;
                assert!(!intact(&damaged, mode), "byte {index}");
            }
        }
    }

    #[test]
    fn a_seal_fits_one_key_only() {
        let mut sealed = Vec::new();
        write(&mut sealed, b"code", keyed(0)).expect("memory can be written");
        assert!(!intact(&sealed, keyed(1)) && !intact(&sealed, Mode::Hash));
        assert!(!intact(&seal(b"code".to_vec()), keyed(0)));
    }
}
