//! The guest's half of the races, by WASI, as in `race.rs` beside this folder: while the host's half exchanges a directory inside for
//! a link that leads outside, or moves a directory out and back, this goes through the name again and again.

use crate::files::{Fd, preopens};
use crate::records::{CREATE, DIRECTORY, How, Outcome, READ};

/// What the files inside hold; those outside, of the same names, hold something else and of another length.
const INSIDE: &[u8] = b"inside";

/// What a race may refuse a request with. Only what is let through has to be looked at.
const REFUSALS: [&str; 9] =
    ["not-permitted", "no-entry", "not-directory", "exist", "loop", "invalid", "would-block", "not-empty", "is-directory"];

struct Race {
    root: Fd,
    worked: u32,
    refused: u32,
}

pub async fn run(rounds: u32) {
    let mut race = Race { root: preopens().swap_remove(0).0, worked: 0, refused: 0 };
    for round in 0..rounds {
        race.through_the_link(round).await;
        race.through_the_parent().await;
    }
    println!("{} worked, {} were refused", race.worked, race.refused);
}

impl Race {
    fn count<T>(&mut self, result: Outcome<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.worked += 1;
                Some(value)
            }
            Err(code) => {
                assert!(REFUSALS.contains(&code.as_str()), "{code}");
                self.refused += 1;
                None
            }
        }
    }

    /// `flip` is now a directory inside, now a link that leads outside.
    async fn through_the_link(&mut self, round: u32) {
        let status = self.root.stat_at("flip/secret", true).await;
        if let Some(status) = self.count(status) {
            assert_eq!(status.size, INSIDE.len() as u64, "the status of a file outside");
        }
        let opened = self.root.open("flip/secret", READ).await;
        if let Some(file) = self.count(opened) {
            is_inside(&file).await;
        }
        let opened = self.root.open("flip", DIRECTORY).await;
        if let Some(dir) = self.count(opened) {
            through_the_handle(&dir).await;
        }
        // That these change nothing outside is for the host to see.
        let made = format!("flip/made-{round}");
        let done = self.root.mkdir(&made).await;
        if self.count(done).is_some() {
            let done = self.root.rmdir(&made).await;
            self.count(done);
        }
        let opened = self.root.open("flip/victim", How { truncate: true, read: false, ..CREATE }).await;
        if let Some(file) = self.count(opened) {
            file.write(Some(0), INSIDE.to_vec(), 1).await.expect("it is open for writing");
        }
        let done = self.root.rename("flip/victim", &self.root, "caught").await;
        if self.count(done).is_some() {
            is_inside(&self.root.open("caught", READ).await.expect("it is inside")).await;
            let done = self.root.rename("caught", &self.root, "flip/victim").await;
            self.count(done);
        }
        for done in [self.root.unlink("flip/victim").await, self.root.rmdir("flip/empty").await] {
            self.count(done);
        }
        let done = self.root.mkdir("flip/empty").await;
        self.count(done);
    }

    /// `moving/deep` is now inside, now outside, where two levels up lies another `secret`.
    async fn through_the_parent(&mut self) {
        let opened = self.root.open("moving/deep/../../secret", READ).await;
        if let Some(file) = self.count(opened) {
            is_inside(&file).await;
        }
        let opened = self.root.open("moving/deep", DIRECTORY).await;
        let Some(dir) = self.count(opened) else { return };
        for path in ["../secret", "../../secret"] {
            let opened = dir.open(path, READ).await;
            if let Some(file) = self.count(opened) {
                is_inside(&file).await;
            }
        }
    }
}

/// A directory that was opened stays what it is.
async fn through_the_handle(dir: &Fd) {
    let status = dir.stat_at("secret", true).await.expect("it is inside");
    assert_eq!(status.size, INSIDE.len() as u64);
    let (entries, _) = dir.list().await;
    assert!(!entries.iter().any(|(name, _)| name == "only-outside"), "{entries:?}");
    let above = dir.stat_at("../../outside/secret", true).await.err();
    assert_eq!(above.as_deref(), Some("not-permitted"), "two levels up is outside");
}

async fn is_inside(file: &Fd) {
    assert_eq!(file.read(0, 1).await.0, INSIDE, "the content of a file outside");
}
