//! Bytes that go from one open file to another without the guest.

use std::time::Duration;

use super::claim::{Claim, Claiming};
use super::descriptor::Quota;
use super::file::{OpenFile, checked};
use super::position::MoveNumber;
use super::steps::{InSteps, Step};
use super::ticket::Ticket;
use super::transfer::{Span, TransferFiles};
use crate::error::{Error, Result};

/// How long it waits while another request is at the file's position. 1 ms: about what that takes.
const POSITION_PAUSE: Duration = Duration::from_millis(1);

/// Copies up to `length` bytes of `input` into `output`, as far as there are so many at the start. Comes to how many it copied.
pub(crate) struct Sendfile {
    output: OpenFile,
    /// Where to write, if not at the position.
    offset: Option<u64>,
    input: OpenFile,
    input_offset: u64,
    length: u64,
    sending: Option<Sending>,
}

struct Sending {
    span: Span,
    at: u64,
    position: Option<ClaimedRange>,
}

impl Sendfile {
    pub(crate) fn new(output: OpenFile, offset: Option<u64>, input: OpenFile, input_offset: u64, length: u64) -> Self {
        Self { output, offset, input, input_offset, length, sending: None }
    }

    fn files(&self) -> TransferFiles<'_> {
        TransferFiles { input: self.input.as_file(), output: self.output.as_file() }
    }

    fn begin(&self) -> Result<Sending> {
        if !self.input.is_readable() || !self.output.is_writable() {
            return Err(Error::BAD_DESCRIPTOR);
        }
        let span = |at| Span::new(self.files(), self.input_offset, self.output.written_at(at)?, self.length);
        if let Some(offset) = self.offset {
            let at = checked(offset)?;
            return Ok(Sending { span: span(at)?, at, position: None });
        }
        let (span, at, number) = self.output.with_turn(|position| {
            let at = position.at();
            let span = span(at)?;
            let end = checked(at.saturating_add(span.left()))?;
            Ok((span, at, position.advance(end)))
        })?;
        let claim = ClaimedRange { file: self.output.clone(), number };
        Ok(Sending { span, at, position: Some(claim) })
    }
}

impl Claiming for Sendfile {
    /// What it has open is the guest's.
    fn claim(&mut self) -> Option<(&mut Claim, &Quota)> {
        None
    }
}

impl InSteps for Sendfile {
    type Output = u64;

    fn step(&mut self, ticket: &dyn Ticket) -> Result<Step<u64>> {
        let files = TransferFiles { input: self.input.as_file(), output: self.output.as_file() };
        let Some(sending) = &mut self.sending else {
            return match self.begin() {
                Err(Error::WOULD_BLOCK) => Ok(Step::Later(POSITION_PAUSE)),
                result => {
                    self.sending = Some(result?);
                    Ok(Step::More)
                }
            };
        };
        if !sending.span.step(files, ticket)? {
            return Ok(Step::More);
        }
        let copied = sending.span.copied();
        if let Some(claim) = sending.position.take() {
            self.output.position().settle(claim.number, self.output.after_writing(sending.at, copied)?);
        }
        Ok(Step::Done(copied))
    }

    fn start_over(&mut self) {
        self.sending = None;
    }
}

/// The range from a file's position on that a request will write. The position is behind it from the start, so that requests
/// beside it write elsewhere, and nobody has to wait. Dropping it moves the position back, unless somebody has moved it since.
struct ClaimedRange {
    file: OpenFile,
    number: MoveNumber,
}

impl Drop for ClaimedRange {
    fn drop(&mut self) {
        self.file.position().give_back(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::sandbox::scene::Scene;
    use crate::sandbox::ticket::fake::{FakeTicket, finish};
    use crate::sandbox::{OpenFlags, Seeking, Whence, Writing};
    use crate::sched::Flow;

    fn position(file: &OpenFile) -> u64 {
        finish(|| Seeking::new(file.clone(), 0, Whence::Current).go_on(&FakeTicket::default())).expect("it is a file")
    }

    #[test]
    fn the_position_is_behind_what_was_copied_and_where_it_was_if_that_failed() {
        let scene = Scene::new();
        scene.put("/near/source", b"0123456789");
        let input = scene.open("/near/source", OpenFlags::READ);
        let output = scene.open("/near/target", OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE);
        let send = || Sendfile::new(output.clone(), None, input.clone(), 4, 100);
        let mut sendfile = send();
        assert!(matches!(sendfile.go_on(&FakeTicket::default()), Flow::Again(_)));
        // Whoever writes at the position meanwhile writes behind it.
        assert_eq!(position(&output), 6);
        let mut write = Writing::new(output.clone(), None, b"!".to_vec());
        assert_eq!(finish(|| write.go_on(&FakeTicket::default())), Ok(1));
        assert_eq!(finish(|| sendfile.go_on(&FakeTicket::default())), Ok(6));
        assert_eq!(position(&output), 7);
        assert_eq!(scene.content("/near/target").as_deref(), Some(&b"456789!"[..]));
        // Canceled, and dropped.
        let canceled = FakeTicket { checks: AtomicUsize::new(1), ..FakeTicket::default() };
        let mut sendfile = send();
        assert_eq!(finish(|| sendfile.go_on(&canceled)), Err(Error::CANCELED));
        assert_eq!(position(&output), 7);
        let mut sendfile = send();
        assert!(matches!(sendfile.go_on(&FakeTicket::default()), Flow::Again(_)));
        assert_eq!(position(&output), 13);
        drop(sendfile);
        assert_eq!(position(&output), 7);
        // Nobody has gone back behind somebody who has moved it since.
        let mut sendfile = send();
        assert!(matches!(sendfile.go_on(&FakeTicket::default()), Flow::Again(_)));
        finish(|| Seeking::new(output.clone(), 2, Whence::Start).go_on(&FakeTicket::default())).expect("it is a file");
        drop(sendfile);
        assert_eq!(position(&output), 2);
    }
}
