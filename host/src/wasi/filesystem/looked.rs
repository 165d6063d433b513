//! The last look at a file, which answers the next question about it. Programs ask for the identity of a file and then for its
//! status, and a listing asks twice for the identity: one look at the file answers all of these.
//!
//! Whatever else a guest calls may tell it that the file is another by now, or may have made it so: what it writes to standard output
//! may go there. So a look answers only the call right after it, and only where each call is counted: see [`HostCalls`]. In WASI 0.3
//! not each is, since streams are read and written without one.
//!
//! [`HostCalls`]: crate::HostCalls

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::failure::CallOutcome;
use crate::types::{FileType, Status};

/// How long a look is good for. 1 ms: what programs ask together comes some microseconds later.
const FRESH: Duration = Duration::from_millis(1);

/// Bytes of a path that is remembered. 256: there is one for each descriptor, and it is not counted for the guest.
const PATH_MAX: usize = 256;

/// The last look at something below a descriptor, or at what it stands for.
#[derive(Debug, Default)]
pub(crate) struct LastLook(Mutex<Option<Look>>);

#[derive(Debug)]
struct Look {
    at: Instant,
    question: Question,
    status: Status,
    /// Which of the guest's calls it was for, or was given to last.
    call: u64,
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// Below the descriptor. Empty for what it stands for itself.
    path: String,
    /// Whether a symbolic link was followed.
    follows: bool,
}

impl Question {
    /// None if it is not worth remembering.
    pub(super) fn new(path: &str, follows: bool) -> Option<Self> {
        (path.len() <= PATH_MAX).then(|| Self { path: path.to_owned(), follows })
    }
}

impl LastLook {
    /// The answer to this call of the guest's, if it is known and the guest has made no other since.
    pub(super) fn answer(&self, question: &Question, call: u64) -> Option<Status> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let look = last.as_mut()?;
        let is_of_same = *question == look.question
            || (question.path == look.question.path && !look.question.follows && look.status.kind != FileType::SymbolicLink);
        if !is_of_same || look.call + 1 != call || look.at.elapsed() >= FRESH {
            return None;
        }
        look.call = call;
        Some(look.status)
    }

    /// Remembers what was seen for a call.
    pub(super) fn note(&self, question: Question, at: Instant, call: u64, status: Status) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Look { at, question, status, call });
    }
}

/// A question that may be answered by the last look, and else by another one.
pub(super) struct Asked {
    /// Nothing where it is not known what else the guest calls.
    last: Option<(Arc<LastLook>, Question, u64)>,
    at: Instant,
}

impl Asked {
    /// `call` is the number of the call that asks.
    pub(super) fn new(last: Option<Arc<LastLook>>, question: Option<Question>, call: Option<u64>) -> Self {
        let last = last.zip(question).zip(call).map(|((last, question), call)| (last, question, call));
        Self { last, at: Instant::now() }
    }

    pub(super) fn answer(&self) -> Option<Status> {
        let (last, question, call) = self.last.as_ref()?;
        last.answer(question, *call)
    }

    /// Looks, and remembers what was seen.
    pub(super) async fn note(self, look: impl Future<Output = CallOutcome<Status>>) -> CallOutcome<Status> {
        let status = look.await?;
        if let Some((last, question, call)) = self.last {
            last.note(question, self.at, call, status);
        }
        Ok(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Identity, Timestamp};

    fn status(kind: FileType) -> Status {
        let time = Timestamp { seconds: 0, nanoseconds: 0 };
        Status {
            kind,
            mode: 0,
            size: 7,
            blocks: 0,
            block_size: 0,
            links: 1,
            accessed: time,
            modified: time,
            changed: time,
            created: None,
            identity: Identity { device: 0, inode: 0 },
        }
    }

    fn question(path: &str, follows: bool) -> Question {
        Question::new(path, follows).expect("it is short")
    }

    fn noted(kind: FileType, follows: bool) -> LastLook {
        let last = LastLook::default();
        last.note(question("a", follows), Instant::now() + Duration::from_secs(3600), 5, status(kind));
        last
    }

    #[test]
    fn a_look_answers_what_is_asked_next_and_nothing_after_another_call() {
        let last = noted(FileType::RegularFile, true);
        assert!(last.answer(&question("b", true), 6).is_none(), "another path");
        assert!(last.answer(&question("a", true), 7).is_none(), "there was another call");
        assert!(last.answer(&question("a", true), 6).is_some_and(|status| status.size == 7));
        assert!(last.answer(&question("a", true), 8).is_none(), "there was another call");
        assert!(last.answer(&question("a", true), 7).is_some());
    }

    #[test]
    fn a_link_is_not_what_it_leads_to() {
        assert!(noted(FileType::SymbolicLink, false).answer(&question("a", true), 6).is_none());
        assert!(noted(FileType::RegularFile, false).answer(&question("a", true), 6).is_some());
        // What a link leads to may have been looked at.
        assert!(noted(FileType::RegularFile, true).answer(&question("a", false), 6).is_none());
    }

    #[test]
    fn a_look_is_good_for_a_moment_only() {
        let last = LastLook::default();
        let before = Instant::now().checked_sub(FRESH).expect("the clock has run that long");
        last.note(question("a", true), before, 5, status(FileType::RegularFile));
        assert!(last.answer(&question("a", true), 6).is_none());
        assert!(Question::new(&"n".repeat(PATH_MAX + 1), true).is_none());
    }
}
