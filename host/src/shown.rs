//! Untrusted text in a form that can be shown: without control characters, and cut to a length.
//!
//! Names in a plugin, in an image or in a text are whatever their author likes: they may contain control characters, which a terminal
//! obeys, and may be megabytes long.
//!
//! ```
//! use aiohost::shown;
//!
//! assert_eq!(shown::name("a\u{1b}[31m"), r"a\u{1b}[31m");
//! assert_eq!(shown::names((0..12).map(|number| number.to_string())), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 2 more");
//! assert_eq!(shown::text("what is wrong:\n  \u{7}"), "what is wrong:\n  \\u{7}");
//! assert_eq!(shown::json("[\"\u{9b}\"]"), r#"["\u009b"]"#);
//! ```

use std::borrow::Cow;
use std::fmt;

/// Characters of a line that are shown. 600: compilers of WebAssembly text point at a place up to the 500th.
const LINE_CHARS_MAX: usize = 600;

/// Lines of a text that are shown: more than the longest message with a trace of the plugin's stack.
pub(crate) const LINES_MAX: usize = 100;

/// Characters of a name that are shown. 200: twice what the longest of WASI has.
const NAME_CHARS_MAX: usize = 200;

/// Names of a list that are shown: whoever has more looks at the list itself.
const NAMES_MAX: usize = 10;

/// What stands for that which is left out.
const CUT: char = '…';

/// Bytes of text that is put together piece by piece: more than is shown of a line.
const PIECES_BYTES_MAX: usize = 4 * LINE_CHARS_MAX;

/// Text that is put together piece by piece, as far as it can be shown: where it has no end, whoever writes it is told to stop.
///
/// A type of WebAssembly is written with all that it is made of, and that may be any number of times what its plugin has in bytes.
pub(crate) fn written(write: impl FnOnce(&mut dyn fmt::Write) -> fmt::Result) -> String {
    let mut pieces = CutText::of(PIECES_BYTES_MAX);
    if write(&mut pieces).is_err() {
        pieces.text.push(CUT);
    }
    pieces.text
}

/// Text up to a number of bytes.
pub(crate) struct CutText {
    pub(crate) text: String,
    bytes_max: usize,
}

impl CutText {
    pub(crate) fn of(bytes_max: usize) -> Self {
        Self { text: String::new(), bytes_max }
    }
}

impl fmt::Write for CutText {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let left = self.bytes_max.saturating_sub(self.text.len());
        let fitting = piece.floor_char_boundary(left);
        self.text.push_str(&piece[..fitting]);
        if fitting == piece.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// A message of one or several lines.
pub fn text(text: &str) -> Cow<'_, str> {
    let is_short = text.len() <= LINE_CHARS_MAX && text.matches('\n').count() < LINES_MAX;
    if is_short && !text.contains(|c| steers(c) && c != '\n') {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    let mut lines = text.split('\n');
    for (number, words) in lines.by_ref().take(LINES_MAX).enumerate() {
        if number > 0 {
            shown.push('\n');
        }
        shown.push_str(&line(words.strip_suffix('\r').unwrap_or(words), LINE_CHARS_MAX));
    }
    // The last line may have been one like this already.
    if lines.next().is_some() {
        let last = shown.rfind('\n').unwrap_or(0);
        shown.truncate(last);
        shown.extend(['\n', CUT]);
    }
    Cow::Owned(shown)
}

/// A name, on one line.
pub fn name(name: &str) -> Cow<'_, str> {
    line(name, NAME_CHARS_MAX)
}

/// A list of names, on one line: the first few, and how many more there are.
pub fn names<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let mut names = names.into_iter();
    let first: Vec<String> = names.by_ref().take(NAMES_MAX).map(|one| name(one.as_ref()).into_owned()).collect();
    let list = first.join(", ");
    match names.count() {
        0 => list,
        more => format!("{list}, and {more} more"),
    }
}

/// Text of JSON, in which such characters stand in strings alone.
pub fn json(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| steers(c) && c != '\n') {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        // All of them have four digits.
        if steers(c) && c != '\n' { shown.push_str(&format!("\\u{:04x}", u32::from(c))) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

fn line(text: &str, chars_max: usize) -> Cow<'_, str> {
    let is_short = text.len() <= chars_max;
    if is_short && !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown =
        text.chars().flat_map(|c| if steers(c) { Shown::Escaped(c.escape_unicode()) } else { Shown::Plain(Some(c)) });
    let mut start: String = shown.by_ref().take(chars_max).collect();
    if shown.next().is_some() {
        start.pop();
        start.push(CUT);
    }
    Cow::Owned(start)
}

/// Whether a character does more than show itself: control characters, ends of lines, and those that reverse the direction of the
/// text that follows.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}' | '\u{feff}')
}

/// The characters that stand for one.
enum Shown {
    Plain(Option<char>),
    Escaped(std::char::EscapeUnicode),
}

impl Iterator for Shown {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self {
            Self::Plain(c) => c.take(),
            Self::Escaped(chars) => chars.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_writes_more_than_is_shown_is_told_to_stop() {
        assert_eq!(written(|to| to.write_str("short")), "short");
        let mut written_by = 0;
        let text = written(|to| {
            loop {
                written_by += 1;
                to.write_str("ä and more, ")?;
            }
        });
        assert!(text.ends_with('…') && text.len() <= PIECES_BYTES_MAX + 3 && written_by <= PIECES_BYTES_MAX, "{}", text.len());
    }

    #[test]
    fn nothing_that_is_shown_steers_a_terminal() {
        assert_eq!(name("a\x1b[31m\x07\n\u{9b}2J\u{202e}ü"), r"a\u{1b}[31m\u{7}\u{a}\u{9b}2J\u{202e}ü");
        assert_eq!(text("one\r\ntwo\x1b\tthree\n"), "one\ntwo\\u{1b}\\u{9}three\n");
        assert_eq!(json("{\n  \"a\u{9b}\u{7f}\"\n}"), "{\n  \"a\\u009b\\u007f\"\n}");
        assert_eq!(names(["a\n", "b"]), "a\\u{a}, b");
    }

    #[test]
    fn what_has_no_end_is_cut() {
        let long = "ä".repeat(1 << 20);
        assert_eq!(name(&long).chars().count(), NAME_CHARS_MAX);
        assert!(name(&long).ends_with("ä…"));
        let many = format!("{long}\n").repeat(3) + &"x\n".repeat(1 << 20);
        let shown = text(&many);
        assert!(shown.len() < 100_000 && shown.ends_with("x\n…"), "{} bytes", shown.len());
        assert_eq!(names((0..1000).map(|number| number.to_string())), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 990 more");
        // What was cut once stays as it is.
        assert_eq!(text(&shown), shown);
        assert_eq!(name(&name(&long)), name(&long));
    }

    #[test]
    fn what_is_short_and_plain_is_not_touched() {
        for plain in ["", "wasi:cli/run@0.2.6", "at the root\nof two lines", "größer als 1 GiB…"] {
            assert_eq!(text(plain), plain);
        }
        assert_eq!(names(["a", "b"]), "a, b");
        assert_eq!(names::<&str>([]), "");
    }
}
