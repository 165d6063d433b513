//! What was looked at last. Programs ask for the identity of a file and then for its status, and a listing asks twice for the
//! first: one look at the file answers all of these.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::failure::CallOutcome;
use crate::types::{FileType, Status};

/// How long a look is good for. 1 ms: what programs ask together comes some microseconds later.
const FRESH: Duration = Duration::from_millis(1);

/// Bytes of a path that is remembered. 256: one for each descriptor, and not on the guest's books.
const PATH_MAX: usize = 256;

/// The last look at something below a descriptor, or at what it stands for.
#[derive(Debug, Default)]
pub(crate) struct LastLook(Mutex<Option<Look>>);

#[derive(Debug)]
struct Look {
    at: Instant,
    question: Question,
    status: Status,
    /// Requests of the guest that had ended by then, this one too.
    ended: u64,
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
    /// The answer, if it is known and no request of the guest has ended since: `ended` is how many have. The one that gets it is
    /// another one.
    pub(super) fn answer(&self, question: &Question, ended: u64) -> Option<Status> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let look = last.as_mut()?;
        let is_of_same = *question == look.question
            || (question.path == look.question.path && !look.question.follows && look.status.kind != FileType::SymbolicLink);
        if !is_of_same || look.ended != ended || look.at.elapsed() >= FRESH {
            return None;
        }
        look.ended += 1;
        Some(look.status)
    }

    /// Remembers an answer. `ended` is how many requests had ended when it was looked: if another one ends meanwhile, the numbers
    /// differ from then on.
    pub(super) fn note(&self, question: Question, at: Instant, ended: u64, status: Status) {
        let look = Look { at, question, status, ended: ended + 1 };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
    }
}

/// A question that may be answered by the last look, and else by another one.
pub(super) struct Asked {
    last: Option<(Arc<LastLook>, Question)>,
    at: Instant,
    ended: u64,
}

impl Asked {
    /// `ended` is how many requests of the guest have ended by now.
    pub(super) fn new(last: Option<Arc<LastLook>>, question: Option<Question>, ended: u64) -> Self {
        Self { last: last.zip(question), at: Instant::now(), ended }
    }

    pub(super) fn answer(&self) -> Option<Status> {
        let (last, question) = self.last.as_ref()?;
        last.answer(question, self.ended)
    }

    /// Looks, and remembers what was seen.
    pub(super) async fn note(self, look: impl Future<Output = CallOutcome<Status>>) -> CallOutcome<Status> {
        let status = look.await?;
        if let Some((last, question)) = self.last {
            last.note(question, self.at, self.ended, status);
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
    fn a_look_answers_what_is_asked_next_and_nothing_after_another_request() {
        let last = noted(FileType::RegularFile, true);
        assert!(last.answer(&question("b", true), 6).is_none(), "another path");
        assert!(last.answer(&question("a", true), 7).is_none(), "another request has ended");
        assert!(last.answer(&question("a", true), 6).is_some_and(|status| status.size == 7));
        assert!(last.answer(&question("a", true), 6).is_none(), "the one before has ended");
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
