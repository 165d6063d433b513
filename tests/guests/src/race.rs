//! The guest's half of the races: while the host's half exchanges a directory inside for a link that leads outside, or
//! moves a directory out and back, this goes through the name again and again. Nothing may ever come from outside.

use std::fmt::Debug;

use crate::check::works;
use crate::face::{Dir, Error, ErrorCode, Face, File, OpenFlags};

/// What the files inside hold; those outside, of the same names, hold something else and of another length.
const INSIDE: &[u8] = b"inside";
const INSIDE_BYTES: u64 = 6;

/// How often something worked, and how often it was refused.
#[derive(Default)]
struct Tally {
    worked: u32,
    refused: u32,
}

impl Tally {
    /// Counts a result. A race may refuse a request in many ways; only what is let through has to be looked at.
    fn count<T: Debug>(&mut self, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => {
                self.worked += 1;
                Some(value)
            }
            Err(error) => {
                let expected = matches!(
                    error.code,
                    ErrorCode::NotPermitted
                        | ErrorCode::NoEntry
                        | ErrorCode::NotDirectory
                        | ErrorCode::Exist
                        | ErrorCode::Loop
                        | ErrorCode::Invalid
                        | ErrorCode::WouldBlock
                        | ErrorCode::NotEmpty
                        | ErrorCode::IsDirectory
                );
                assert!(expected, "{error:?}");
                self.refused += 1;
                None
            }
        }
    }
}

pub async fn run<F: Face>(rounds: u32) {
    let mut tally = Tally::default();
    for round in 0..rounds {
        through_the_link::<F>(&mut tally, round).await;
        through_the_parent::<F>(&mut tally).await;
    }
    println!("{} worked, {} were refused", tally.worked, tally.refused);
}

/// In `prey` a directory and a link that leads outside change places, while this lists, copies and removes it as a whole.
pub async fn trees<F: Face>(rounds: u32) {
    let mut tally = Tally::default();
    for round in 0..rounds {
        let maxreq = round % 3;
        nothing_outside::<F>(&mut tally, "prey", maxreq).await;
        if tally.count(F::copy_tree(None, "prey", None, "booty", maxreq).await).is_some() {
            nothing_outside::<F>(&mut tally, "booty", maxreq).await;
            works(F::rmtree(None, "booty", maxreq).await);
        }
        tally.count(F::rmtree(None, "prey", maxreq).await);
    }
    let names = works(F::readdir(None, ".").await);
    assert!(!names.iter().any(|name| name.starts_with(".aiohost-")), "a part of a copy is left: {names:?}");
    println!("{} worked, {} were refused", tally.worked, tally.refused);
}

async fn nothing_outside<F: Face>(tally: &mut Tally, path: &str, maxreq: u32) {
    let Some(walker) = tally.count(F::walk(None, path, 0, maxreq).await) else { return };
    while let entries = works(F::walk_next(&walker, 0).await)
        && !entries.is_empty()
    {
        assert!(!entries.iter().any(|entry| entry.path.contains("outside")), "{entries:?}");
    }
}

/// What one `store` of the endless ones writes: so many times the same byte.
const STORED_BYTES: usize = 300_000;

/// Stores one content after the other under one name, until somebody ends this.
pub async fn store<F: Face>() {
    for byte in (b'a'..=b'z').cycle() {
        works(F::store(None, "stored", &vec![byte; STORED_BYTES], 0o666).await);
    }
}

/// `flip` is now a directory inside, now a link that leads outside.
async fn through_the_link<F: Face>(tally: &mut Tally, round: u32) {
    if let Some(status) = tally.count(F::stat(None, "flip/secret").await) {
        assert_eq!(status.size, INSIDE_BYTES, "the status of a file outside");
    }
    if let Some(file) = tally.count(F::open(None, "flip/secret", OpenFlags::READ, 0).await) {
        is_inside::<F>(&file).await;
    }
    if let Some(names) = tally.count(F::readdir(None, "flip").await) {
        assert!(!names.iter().any(|name| name == "only-outside"), "{names:?}");
    }
    if let Some(dir) = tally.count(F::open_dir(None, "flip").await) {
        through_the_handle::<F>(&dir).await;
    }
    // That these change nothing outside is for the host to see.
    let made = format!("flip/made-{round}");
    if tally.count(F::mkdir(None, &made, 0o777).await).is_some() {
        tally.count(F::rmdir(None, &made).await);
    }
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
    if let Some(file) = tally.count(F::open(None, "flip/victim", flags, 0o666).await) {
        assert_eq!(works(F::write(&file, Some(0), INSIDE).await), INSIDE_BYTES);
    }
    if tally.count(F::rename(None, "flip/victim", None, "caught").await).is_some() {
        let caught = works(F::open(None, "caught", OpenFlags::READ, 0).await);
        is_inside::<F>(&caught).await;
        tally.count(F::rename(None, "caught", None, "flip/victim").await);
    }
    tally.count(F::unlink(None, "flip/victim").await);
    tally.count(F::rmdir(None, "flip/empty").await);
    tally.count(F::mkdir(None, "flip/empty", 0o777).await);
}

/// A directory that was opened stays what it is.
async fn through_the_handle<F: Face>(dir: &Dir) {
    assert_eq!(works(F::stat(Some(dir), "secret").await).size, INSIDE_BYTES);
    let above = F::stat(Some(dir), "../../outside/secret").await;
    assert_eq!(above.expect_err("two levels up is outside").code, ErrorCode::NotPermitted);
}

/// `moving/deep` is now inside, now outside, where two levels up lies another `secret`.
async fn through_the_parent<F: Face>(tally: &mut Tally) {
    if let Some(file) = tally.count(F::open(None, "moving/deep/../../secret", OpenFlags::READ, 0).await) {
        is_inside::<F>(&file).await;
    }
    if let Some(dir) = tally.count(F::open_dir(None, "moving/deep").await) {
        for path in ["../secret", "../../secret"] {
            if let Some(file) = tally.count(F::open(Some(&dir), path, OpenFlags::READ, 0).await) {
                is_inside::<F>(&file).await;
            }
        }
    }
}

async fn is_inside<F: Face>(file: &File) {
    assert_eq!(works(F::read(file, Some(0), 100).await), INSIDE, "the content of a file outside");
}
