// The text that sha256sum writes, made of paths as the host gives them. Texts are bytes here: paths need not be UTF-8.

// A text in UTF-8. QuickJS has no TextEncoder.
export function utf8(text, special = () => undefined) {
  const bytes = [];
  for (const character of text) {
    const code = character.codePointAt(0);
    const byte = special(code);
    if (byte !== undefined) bytes.push(byte);
    else if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
  }
  return Uint8Array.from(bytes);
}

// The bytes of a path. The host gives each byte that is not UTF-8, 0x80 to 0xFF, as a character from U+F780 to U+F7FF.
export function bytesOfPath(path) {
  return utf8(path, (code) => (0xf780 <= code && code <= 0xf7ff ? code & 0xff : undefined));
}

// Three characters are escaped, and a backslash at the start of the line tells so.
const ESCAPES = new Map([["\\", "\\\\"], ["\n", "\\n"], ["\r", "\\r"]].map(([from, to]) => [from.charCodeAt(0), utf8(to)]));

// A line for each file, in the order of the bytes of their paths.
export function lines(entries) {
  const text = [];
  for (const { path, hash } of entries.sort((a, b) => compare(a.path, b.path))) {
    if (path.some((byte) => ESCAPES.has(byte))) text.push("\\".charCodeAt(0));
    for (const byte of utf8(`${hash}  `)) text.push(byte);
    for (const byte of path) {
      if (ESCAPES.has(byte)) text.push(...ESCAPES.get(byte));
      else text.push(byte);
    }
    text.push("\n".charCodeAt(0));
  }
  return Uint8Array.from(text);
}

function compare(a, b) {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
