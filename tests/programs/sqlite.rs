//! SQLite with a shell of a few lines, beside the SQLite of this machine's Python.

use std::ffi::OsStr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::guests::{Language, built};
use crate::programs::Program;
use crate::programs::engine::Engine;
use crate::programs::trees::{contents, native, new_dir};
use crate::toolchains::{said, toolchain};

pub(super) const PROGRAM: Program = Program {
    name: "SQLite",
    get: made,
    jobs: &[
        ("100,000 rows with an index, VACUUM, 300 commits", |engine, program| rows_and_commits(engine, program, JOURNAL)),
        ("the same with a write-ahead log", |engine, program| rows_and_commits(engine, program, LOG)),
        ("takes up what a native one left in the middle", recover),
    ],
};

/// What a shell says first: how it wants to be safe, and what it is answered.
type Mode = (&'static str, &'static str);

const JOURNAL: Mode = ("PRAGMA journal_mode = DELETE;", "delete\n");
/// Where memory cannot be shared there is a log for one process alone.
const LOG: Mode = ("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;", "exclusive\nwal\n");

fn made() -> Result<PathBuf, String> {
    said(Command::new("python3").args(["-c", "import sqlite3"])).map_err(|failure| format!("no native one: {failure}"))?;
    let source = toolchain("sqlite.sh", &[])?;
    let (include, amalgamation) = (format!("-I{}", source.display()), source.join("sqlite3.c"));
    let flags = ["-O1", "-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION", &include].map(OsStr::new);
    built("sqlite", Language::C, &[&flags[..], &[amalgamation.as_os_str()]].concat())
}

/// What the native one has in the database.
fn by_python(dir: &Path, statement: &str) -> String {
    const PROGRAM: &str = "
import sqlite3, sys
for row in sqlite3.connect('songs.db').execute(sys.argv[1]): print(*row, sep='|')";
    native("python3", &["-c", PROGRAM, statement], dir)
}

fn rows_and_commits(engine: &Engine, program: &Path, mode: Mode) {
    const LAST: [&str; 3] = [
        "SELECT count(*), sum(plays), min(title), max(title) FROM songs",
        "SELECT * FROM songs WHERE title > 'song 999' ORDER BY title, id",
        "PRAGMA integrity_check",
    ];
    let dir = new_dir();
    let rows = |ids: Range<u32>| -> String {
        let row = |id| format!("INSERT INTO songs VALUES ({id}, 'song {}', {});\n", id * 79 % 100_003, id * 31 % 977);
        ids.map(row).collect()
    };
    let script = format!(
        "{} CREATE TABLE songs (id INTEGER PRIMARY KEY, title TEXT, plays INTEGER); CREATE INDEX titles ON songs (title); BEGIN;\n\
         {}COMMIT; DELETE FROM songs WHERE id % 3 = 0; VACUUM;\n{}{}",
        mode.0,
        rows(0..100_000),
        rows(100_000..100_300),
        LAST.join("; ")
    );
    let said = engine.run(engine.command(dir.path(), &["--dir", "."], program).arg("songs.db"), &script).well();
    let native: Vec<String> = LAST.iter().map(|statement| by_python(dir.path(), statement)).collect();
    assert!(native[0].starts_with("66966|") && native[1].lines().count() > 50 && native[2] == "ok\n", "{native:?}");
    assert_eq!(said, format!("{}{}", mode.1, native.concat()));
    assert_eq!(contents(dir.path()).len(), 1, "of a journal or a log nothing is left");
}

/// A native one ends in the middle of a transaction: what was committed is in the log alone, or what was not in the database.
fn recover(engine: &Engine, program: &Path) {
    const PROGRAM: &str = "
import os, sqlite3, sys
db = sqlite3.connect('songs.db', isolation_level=None)
db.execute('PRAGMA journal_mode = ' + sys.argv[1])
db.execute('PRAGMA cache_size = 1')
db.execute('CREATE TABLE songs (id INTEGER PRIMARY KEY, title TEXT)')
db.execute('INSERT INTO songs SELECT value, hex(randomblob(200)) FROM json_each(?)', [str(list(range(2000)))])
db.execute('BEGIN')
db.execute('UPDATE songs SET title = 7')
os._exit(0)";
    for (mode, beside) in [(JOURNAL, "songs.db-journal"), (LOG, "songs.db-wal")] {
        let dir = new_dir();
        native("python3", &["-c", PROGRAM, mode.1.lines().last().expect("a mode")], dir.path());
        let left = contents(dir.path());
        assert!(left.get(Path::new(beside)).is_some_and(|bytes| bytes.len() > 100_000), "{beside} is missing or short");
        let statements = "SELECT count(*), min(length(title)), max(length(title)) FROM songs; PRAGMA integrity_check";
        let mut command = engine.command(dir.path(), &["--dir", "."], program);
        let said = engine.run(command.arg("songs.db"), format!("{} {statements}", mode.0)).well();
        assert_eq!(said, format!("{}2000|400|400\nok\n", mode.1));
        assert_eq!(by_python(dir.path(), "SELECT count(*), min(length(title)) FROM songs"), "2000|400\n");
    }
}
