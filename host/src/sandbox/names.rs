//! Names between the file system's bytes and the guest's characters, one to one.
//!
//! A byte 0x80 to 0xFF that is not part of valid UTF-8 becomes the character U+F780 to U+F7FF. Names that hold these characters
//! themselves have each byte of them escaped the same way, so that no two names become one.

/// The character that stands for byte `0x80`, less that byte.
const ESCAPE: u32 = 0xF700;

fn escaped_byte(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).checked_sub(ESCAPE)?).ok().filter(|byte| *byte >= 0x80)
}

fn escape_into(name: &mut String, bytes: &[u8]) {
    name.extend(bytes.iter().filter_map(|byte| char::from_u32(ESCAPE + u32::from(*byte))));
}

/// A name as the guest sees it.
pub(super) fn decode(bytes: &[u8]) -> String {
    let mut name = String::with_capacity(bytes.len());
    decode_into(&mut name, bytes);
    name
}

/// Adds a name as the guest sees it to a path.
pub(super) fn decode_into(name: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        if chunk.valid().is_ascii() {
            name.push_str(chunk.valid());
        } else {
            decode_characters_into(name, chunk.valid());
        }
        escape_into(name, chunk.invalid());
    }
}

fn decode_characters_into(name: &mut String, characters: &str) {
    for c in characters.chars() {
        if escaped_byte(c).is_some() {
            escape_into(name, c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            name.push(c);
        }
    }
}

/// The bytes that a guest's name stands for.
pub(super) fn encode(name: String) -> Vec<u8> {
    if !name.chars().any(|c| escaped_byte(c).is_some()) {
        return name.into_bytes();
    }
    let mut bytes = Vec::with_capacity(name.len());
    for c in name.chars() {
        match escaped_byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back_and_forth(bytes: &[u8]) {
        assert_eq!(encode(decode(bytes)), bytes, "{bytes:?} as {:?}", decode(bytes));
    }

    #[test]
    fn plain_names_stay_as_they_are() {
        assert_eq!(decode("naïve 名前.txt".as_bytes()), "naïve 名前.txt");
    }

    #[test]
    fn an_undecodable_byte_becomes_one_character() {
        assert_eq!(decode(b"a\xFFb\x80"), "a\u{F7FF}b\u{F780}");
        back_and_forth(b"a\xFFb\x80");
    }

    #[test]
    fn names_that_hold_the_escapes_are_escaped_too() {
        let name = "x\u{F7FF}".as_bytes();
        assert_ne!(decode(name), decode(b"x\xFF"));
        back_and_forth(name);
    }

    #[test]
    fn every_pair_of_bytes_comes_back() {
        for a in 0..=255 {
            for b in 0..=255 {
                back_and_forth(&[a, b, b'z']);
            }
        }
    }
}
