//! Names between the file system's bytes and the guest's characters, one to one.
//!
//! A byte 0x80 to 0xFF that is not part of valid UTF-8 becomes the character U+F780 to U+F7FF. Names that hold these characters
//! themselves have each byte of them escaped the same way, so that no two names become one.

use crate::error::{Error, Result};

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

/// The bytes that a guest's name stands for. A name that no bytes are shown as stands for none: it would be a second name of
/// what another one stands for.
pub(super) fn encode(name: String) -> Result<Vec<u8>> {
    if !name.chars().any(|c| escaped_byte(c).is_some()) {
        return Ok(name.into_bytes());
    }
    let mut bytes = Vec::with_capacity(name.len());
    for c in name.chars() {
        match escaped_byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if decode(&bytes) == name { Ok(bytes) } else { Err(Error::ILLEGAL_BYTE_SEQUENCE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back_and_forth(bytes: &[u8]) {
        assert_eq!(encode(decode(bytes)).as_deref(), Ok(bytes), "{bytes:?} as {:?}", decode(bytes));
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

    /// Strings of a few characters of each length, escapes and what is next to them among them.
    fn strings(length: u32, each: impl Fn(String)) {
        let characters: Vec<char> =
            "a/é名🎵\u{f77f}\u{f780}\u{f7a9}\u{f7bf}\u{f7c3}\u{f7ef}\u{f7f0}\u{f7ff}\u{f800}".chars().collect();
        for number in 0..characters.len().pow(length) {
            let digit = |place| number / characters.len().pow(place) % characters.len();
            each((0..length).map(|place| characters[digit(place)]).collect());
        }
    }

    #[test]
    fn two_names_stood_for_one_file() {
        let by_bytes = std::cell::RefCell::new(std::collections::HashMap::new());
        let mut refused = std::cell::Cell::new(0);
        for length in 0..=4 {
            strings(length, |name| match encode(name.clone()) {
                Ok(bytes) => {
                    assert_eq!(decode(&bytes), name, "what a guest is told is what it said");
                    if let Some(other) = by_bytes.borrow_mut().insert(bytes, name.clone()) {
                        panic!("{name:?} and {other:?} are one file");
                    }
                }
                Err(error) => {
                    assert_eq!(error, Error::ILLEGAL_BYTE_SEQUENCE);
                    refused.set(refused.get() + 1);
                }
            });
        }
        assert!(*refused.get_mut() > 0, "some of them spell a character by its bytes");
        assert_eq!(encode("\u{f7c3}\u{f7a9}".to_owned()), Err(Error::ILLEGAL_BYTE_SEQUENCE));
    }

    #[test]
    fn a_name_is_refused_or_comes_back() {
        // A generator of numbers without a pattern: xorshift, with a seed that every run has.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: u32| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            u32::try_from(state % u64::from(below)).expect("it is below 32 bits")
        };
        let (mut taken, mut refused) = (0, 0);
        for _ in 0..20_000 {
            let length = random(24);
            let name: String = (0..length)
                .filter_map(|_| match random(3) {
                    0 => char::from_u32(random(0x80)),
                    1 => char::from_u32(ESCAPE + 0x70 + random(0xa0)),
                    _ => char::from_u32(random(0x11_0000)),
                })
                .collect();
            let bytes: Vec<u8> = (0..length).filter_map(|_| u8::try_from(random(0x100)).ok()).collect();
            back_and_forth(&bytes);
            match encode(name.clone()) {
                Ok(bytes) => {
                    assert_eq!(decode(&bytes), name);
                    taken += 1;
                }
                Err(error) => {
                    assert_eq!(error, Error::ILLEGAL_BYTE_SEQUENCE);
                    refused += 1;
                }
            }
        }
        assert!(taken > 1000 && refused > 100, "{taken} and {refused}");
    }
}
