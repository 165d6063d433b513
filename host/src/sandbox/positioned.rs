//! Requests at a place in an open file: at an offset, or at its position.

use std::io::IoSlice;

use super::Wait;
use super::content::{Content, Moved};
use super::file::{OpenFile, Whence, checked};
use super::position::FilePosition;
use super::ticket::Ticket;
use super::turn::Turn;
use crate::error::{Error, Result};
use crate::sched::Flow;

impl OpenFile {
    /// Looks at the position, and moves it perhaps, for good. Gives `WOULD_BLOCK` if a request has it.
    fn with_position<T>(&self, change: impl FnOnce(&mut u64) -> Result<T>) -> Result<T> {
        self.with_turn(|position| {
            let before = position.at();
            let mut at = before;
            let result = change(&mut at);
            if at != before {
                position.set(at);
            }
            result
        })
    }

    /// Has the position for itself. Gives `WOULD_BLOCK` if a request has it.
    pub(super) fn with_turn<T>(&self, change: impl FnOnce(&FilePosition) -> Result<T>) -> Result<T> {
        let Some(_turn) = self.position().turn.try_take(1) else { return Err(Error::WOULD_BLOCK) };
        change(self.position())
    }
}

/// Where bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteTo {
    Offset(u64),
    /// At the position, which moves.
    Position,
    /// At the end of the file, wherever that is by then. The position is behind it afterwards.
    End,
    /// The same, and the position stays where it is.
    EndAlone,
}

impl WriteTo {
    /// Where the next bytes go, once so many were written there.
    pub(crate) fn after(self, count: u64) -> Self {
        match self {
            Self::Offset(offset) => Self::Offset(offset.saturating_add(count)),
            to => to,
        }
    }
}

/// Whether the position is behind what was written at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MovesPosition {
    Yes,
    No,
}

/// Between a file and memory that stays where it is.
impl OpenFile {
    /// Reads at an offset, or at the position. Gives `WOULD_BLOCK` if it may not wait and not all of it is cached, or if a request
    /// has the position.
    pub(crate) fn read_into(&self, offset: Option<u64>, buffer: &mut [u8], wait: Wait) -> Result<usize> {
        match offset {
            Some(offset) => self.read_at(offset, buffer, wait),
            None => self.with_position(|position| {
                let count = self.read_at(*position, buffer, wait)?;
                *position += u64::try_from(count).expect("a count fits");
                Ok(count)
            }),
        }
    }

    /// The same for a write, which may wait.
    pub(crate) fn write_from(&self, to: WriteTo, data: &[u8]) -> Result<u64> {
        match to {
            WriteTo::Offset(offset) => self.write(offset, data),
            WriteTo::Position => self.with_position(|position| {
                let count = self.write(*position, data)?;
                *position = self.after_writing(*position, count)?;
                Ok(count)
            }),
            WriteTo::EndAlone => self.append_from(&[IoSlice::new(data)], MovesPosition::No),
            WriteTo::End => self.append_from(&[IoSlice::new(data)], MovesPosition::Yes),
        }
    }

    /// Writes pieces at the end as one: nothing of others' comes between them.
    pub(crate) fn append_from(&self, pieces: &[IoSlice<'_>], moves: MovesPosition) -> Result<u64> {
        match moves {
            MovesPosition::No => self.append(pieces),
            MovesPosition::Yes => self.with_position(|position| {
                let count = self.append(pieces)?;
                // It was written, whether or not the file system tells where.
                *position = self.size().unwrap_or_else(|_| position.saturating_add(count));
                Ok(count)
            }),
        }
    }
}

/// Where a request reads or writes: at an offset, or at the position, which it then has for itself.
#[derive(Debug)]
pub(super) struct Where {
    offset: Option<u64>,
    turn: Turn,
}

impl Where {
    pub(super) fn new(offset: Option<u64>) -> Self {
        Self { offset, turn: Turn::default() }
    }

    /// The offset, if it can be had at once.
    fn find(&mut self, file: &OpenFile) -> Result<u64> {
        match self.offset {
            Some(offset) => checked(offset),
            None if self.turn.take(&file.position().turn) => Ok(file.position().at()),
            None => Err(Error::WOULD_BLOCK),
        }
    }

    /// The offset; none if another request has the position. This one is woken then.
    pub(super) fn find_or_wait(&mut self, file: &OpenFile, ticket: &dyn Ticket) -> Result<Option<u64>> {
        match self.offset {
            Some(offset) => checked(offset).map(Some),
            None if self.turn.take_or_wait(&file.position().turn, ticket) => Ok(Some(file.position().at())),
            None => Ok(None),
        }
    }

    /// Moves the position, if that is where it was.
    pub(super) fn advance(&self, file: &OpenFile, to: u64) -> Option<Moved> {
        if self.offset.is_some() {
            return None;
        }
        Some(Moved::new(file, file.position().advance(to)))
    }

    /// Lets the next request have the position.
    pub(super) fn leave(&mut self) {
        self.turn = Turn::default();
    }
}

/// A request at a place in a file that is done in one step.
fn at_once<T>(
    at: &mut Where,
    file: &OpenFile,
    ticket: &dyn Ticket,
    run: impl FnOnce(&Where, u64) -> Result<T>,
) -> Flow<Result<T>> {
    let found = ticket.check().and_then(|()| at.find_or_wait(file, ticket));
    let result = match found {
        Ok(None) => return Flow::Parked,
        Ok(Some(offset)) => run(at, offset),
        Err(error) => Err(error),
    };
    at.leave();
    Flow::Done(result)
}

/// A read, with its length brought down to what one read may return.
#[derive(Debug)]
pub(crate) struct Reading {
    file: OpenFile,
    at: Where,
    length: usize,
}

impl Reading {
    pub(crate) fn new(file: OpenFile, offset: Option<u64>, length: usize) -> Self {
        Self { file, at: Where::new(offset), length }
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    fn read(file: &OpenFile, at: &Where, offset: u64, length: usize, wait: Wait) -> Result<Content> {
        let bytes = file.read(offset, length, wait)?;
        let end = offset.saturating_add(u64::try_from(bytes.len()).expect("a length fits"));
        Ok(Content::new(bytes, at.advance(file, end)).fit())
    }

    /// Reads what is there without waiting.
    pub(crate) fn read_now(&mut self) -> Result<Content> {
        let offset = self.at.find(&self.file)?;
        let result = Self::read(&self.file, &self.at, offset, self.length, Wait::Never);
        self.at.leave();
        result
    }

    pub(crate) fn go_on(&mut self, ticket: &dyn Ticket) -> Flow<Result<Content>> {
        let (file, length) = (self.file.clone(), self.length);
        at_once(&mut self.at, &file, ticket, |at, offset| {
            let mut content = Self::read(&file, at, offset, length, Wait::May)?;
            // Whoever has the position next is not to begin behind bytes that nobody gets.
            match ticket.check() {
                Ok(()) => Ok(content),
                Err(error) => {
                    content.give_back();
                    Err(error)
                }
            }
        })
    }
}

/// A write. In append mode the kernel writes at the end.
#[derive(Debug)]
pub(crate) struct Writing {
    file: OpenFile,
    at: Where,
    data: Vec<u8>,
}

impl Writing {
    pub(crate) fn new(file: OpenFile, offset: Option<u64>, data: Vec<u8>) -> Self {
        Self { file, at: Where::new(offset), data }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.data.capacity()
    }

    pub(crate) fn go_on(&mut self, ticket: &dyn Ticket) -> Flow<Result<u64>> {
        let (file, data) = (self.file.clone(), &self.data);
        at_once(&mut self.at, &file, ticket, |at, offset| {
            let count = file.write(offset, data)?;
            // It was written, so the position stays where it is then, whoever takes the answer.
            drop(at.advance(&file, file.after_writing(offset, count)?));
            Ok(count)
        })
    }
}

/// A position that is to be moved.
#[derive(Debug)]
pub(crate) struct Seeking {
    file: OpenFile,
    at: Where,
    offset: i64,
    from: Whence,
}

impl Seeking {
    pub(crate) fn new(file: OpenFile, offset: i64, from: Whence) -> Self {
        Self { file, at: Where::new(None), offset, from }
    }

    fn seek(&self, position: u64, wait: Wait) -> Result<u64> {
        let next = self.file.seek(position, self.offset, self.from, wait)?;
        // What only tells the position is not in the way of a read whose result is given back.
        if (self.offset, self.from) != (0, Whence::Current) {
            self.file.position().set(next);
        }
        Ok(next)
    }

    pub(crate) fn seek_now(&mut self) -> Result<u64> {
        let position = self.at.find(&self.file)?;
        let result = self.seek(position, Wait::Never);
        self.at.leave();
        result
    }

    pub(crate) fn go_on(&mut self, ticket: &dyn Ticket) -> Flow<Result<u64>> {
        let found = ticket.check().and_then(|()| self.at.find_or_wait(&self.file, ticket));
        let result = match found {
            Ok(None) => return Flow::Parked,
            Ok(Some(position)) => self.seek(position, Wait::May),
            Err(error) => Err(error),
        };
        self.at.leave();
        Flow::Done(result)
    }
}
