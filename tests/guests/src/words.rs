//! The words of a plan.

/// A path in which `%` and two hexadecimal digits stand for a character that would end the word.
pub fn decode(word: &str) -> String {
    let mut parts = word.split('%');
    let mut path = String::from(parts.next().unwrap_or_default());
    for part in parts {
        let (byte, rest) = part.split_at(2);
        path.push(u8::from_str_radix(byte, 16).expect("two digits follow a %").into());
        path += rest;
    }
    path
}
