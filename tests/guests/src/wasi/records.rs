//! What files of WASI take and give, in the words of none of its versions: a guest of each has the same calls with these.

use std::fmt::{self, Display, Formatter};

/// What a call comes to: an error is told by the name that its code has in WIT.
pub type Outcome<T> = Result<T, String>;

/// How something is opened.
#[derive(Clone, Copy, Default)]
pub struct How {
    pub follow: bool,
    pub create: bool,
    pub exclusive: bool,
    pub truncate: bool,
    pub directory: bool,
    pub read: bool,
    pub write: bool,
    /// What is in the directory is to be changed, in the versions that ask for that.
    pub mutate: bool,
}

/// Opens a file to read it.
pub const READ: How = How {
    follow: true,
    create: false,
    exclusive: false,
    truncate: false,
    directory: false,
    read: true,
    write: false,
    mutate: false,
};

/// Opens a directory to list it.
pub const DIRECTORY: How = How { directory: true, ..READ };

/// Makes a file, or opens it, for both.
pub const CREATE: How = How { create: true, write: true, ..READ };

impl Display for How {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let words = [
            (self.follow, "follow"),
            (self.create, "create"),
            (self.exclusive, "exclusive"),
            (self.truncate, "truncate"),
            (self.directory, "directory"),
            (self.read, "read"),
            (self.write, "write"),
            (self.mutate, "mutate"),
        ];
        let words: Vec<&str> = words.iter().filter(|(is_set, _)| *is_set).map(|(_, word)| *word).collect();
        f.write_str(&words.join(","))
    }
}

/// What an object is. Its times are seconds and nanoseconds since 1970.
#[allow(dead_code, reason = "not every guest looks at all of it")]
pub struct Status {
    pub kind: &'static str,
    pub size: u64,
    pub links: u64,
    pub modified: Option<(i64, u32)>,
    /// When this status was changed, which is not only when the content was.
    pub changed: Option<(i64, u32)>,
}

/// `NoEntry` as WIT writes it.
#[allow(dead_code, reason = "the codes of some versions have their names at hand")]
pub fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(character.to_ascii_lowercase());
    }
    kebab
}
