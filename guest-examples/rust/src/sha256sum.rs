//! The text that `sha256sum` writes, made of paths as the host gives them. The guest `rust-async` uses it, too.

/// A line for each file, given as path and hash, in the order of the bytes of the paths.
pub fn lines(files: &[(String, [u8; 32])]) -> Vec<u8> {
    let mut files: Vec<_> = files.iter().map(|(path, hash)| (raw(path), hash)).collect();
    files.sort_unstable();
    files.iter().flat_map(|(path, hash)| line(path, *hash)).collect()
}

/// The bytes of a path. The host gives each byte that is not UTF-8, 0x80 to 0xFF, as a character from U+F780 to U+F7FF.
fn raw(path: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    for character in path.chars() {
        match u32::from(character) {
            code @ 0xF780..=0xF7FF => bytes.push(code.to_le_bytes()[0]),
            _ => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}

/// A backslash, a newline or a carriage return in the path is escaped, and a backslash at the start of the line tells so.
fn line(path: &[u8], hash: &[u8]) -> Vec<u8> {
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut line = format!("{hex}  ").into_bytes();
    for byte in path {
        match byte {
            b'\\' => line.extend(br"\\"),
            b'\n' => line.extend(br"\n"),
            b'\r' => line.extend(br"\r"),
            _ => line.push(*byte),
        }
    }
    if line.contains(&b'\\') {
        line.insert(0, b'\\');
    }
    line.push(b'\n');
    line
}
