//! Compiled code with a checksum behind it, so that a file that was cut short or damaged is never run.
//!
//! The code comes first, as wasmtime wrote it, so that other tools recognise the file. Behind it is a trailer: [`MAGIC`] and
//! the BLAKE3 hash of all that is before the hash. It guards against accidents only. Whoever can write the file can
//! write the checksum too, which is why loading such a file takes trust; see [`Host::load_trusted`](super::Host::load_trusted).

/// Changed with the format.
const MAGIC: &[u8; 16] = b"aiohost code 1\n\0";

const TRAILER_BYTES: usize = MAGIC.len() + blake3::OUT_LEN;

/// Puts the trailer behind compiled code.
pub(super) fn seal(mut code: Vec<u8>) -> Vec<u8> {
    code.extend_from_slice(MAGIC);
    let hash = blake3::hash(&code);
    code.extend_from_slice(hash.as_bytes());
    code
}

/// The compiled code, if it is what was sealed.
pub(super) fn unseal(sealed: &[u8]) -> Option<&[u8]> {
    let code_bytes = sealed.len().checked_sub(TRAILER_BYTES)?;
    let (hashed, hash) = sealed.split_at(sealed.len() - blake3::OUT_LEN);
    let (code, magic) = hashed.split_at(code_bytes);
    let intact = magic == MAGIC && blake3::hash(hashed).as_bytes() == hash;
    intact.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_comes_back() {
        assert_eq!(unseal(&seal(b"code".to_vec())), Some(&b"code"[..]));
        assert_eq!(unseal(&seal(Vec::new())), Some(&b""[..]));
    }

    #[test]
    fn any_cut_and_any_changed_byte_is_seen() {
        let sealed = seal(b"some code".to_vec());
        for length in 0..sealed.len() {
            assert_eq!(unseal(&sealed[..length]), None, "cut to {length}");
        }
        for index in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[index] ^= 0x10;
            assert_eq!(unseal(&damaged), None, "byte {index}");
        }
    }
}
