//! The position of an open file: one request has it at a time, and requests that wait for it hold no worker.
//!
//! It is ours and not the kernel's, whose lock on it would make a read on the guest's own thread wait for one on a worker.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::budget::Budget;

/// Where a file is read and written next.
#[derive(Debug)]
pub(super) struct FilePosition {
    pub(super) turn: Budget,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    at: u64,
    /// Moves for results that nobody has taken yet, in their order. Whatever else moves the position ends them.
    moves: Vec<Move>,
    last: MoveNumber,
}

/// Which move of a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MoveNumber(u64);

#[derive(Debug)]
struct Move {
    number: MoveNumber,
    /// Where the position was before.
    from: u64,
}

impl Default for FilePosition {
    fn default() -> Self {
        Self { turn: Budget::new(1), state: Mutex::default() }
    }
}

impl FilePosition {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn at(&self) -> u64 {
        self.state().at
    }

    /// Moves it for good.
    pub(super) fn set(&self, at: u64) {
        let mut state = self.state();
        state.at = at;
        state.moves.clear();
    }

    /// Moves it for a result that somebody may take. Only what has the turn does so.
    pub(super) fn advance(&self, to: u64) -> MoveNumber {
        let mut state = self.state();
        state.last.0 += 1;
        let (number, from) = (state.last, state.at);
        state.moves.push(Move { number, from });
        state.at = to;
        number
    }

    /// The result was taken: this move stands, and so do those before it.
    pub(super) fn keep(&self, number: MoveNumber) {
        let mut state = self.state();
        if let Some(at) = state.find(number) {
            state.moves.drain(..=at);
        }
    }

    /// Nobody takes the result. The position goes back, or where others have moved it since, the first of them begins where this one
    /// did: it goes back once nobody takes theirs either.
    pub(super) fn give_back(&self, number: MoveNumber) {
        let mut state = self.state();
        if let Some(at) = state.find(number) {
            let Move { from, .. } = state.moves.remove(at);
            state.go_back(at, from);
        }
    }

    /// The move stands, but only as far as this.
    pub(super) fn settle(&self, number: MoveNumber, to: u64) {
        let mut state = self.state();
        if let Some(at) = state.find(number) {
            state.moves.drain(..=at);
            state.go_back(0, to);
        }
    }
}

impl State {
    fn find(&self, number: MoveNumber) -> Option<usize> {
        self.moves.iter().position(|one| one.number == number)
    }

    /// What is next, a move or the position itself, begins here.
    fn go_back(&mut self, next: usize, to: u64) {
        *self.moves.get_mut(next).map_or(&mut self.at, |next| &mut next.from) = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_that_nobody_took_left_the_position_behind_some_of_them() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            // Which of them are taken.
            for taken in 0..8 {
                let position = FilePosition::default();
                position.set(5);
                let moves = [10, 20, 30].map(|to| position.advance(to));
                for at in order {
                    if taken & (1 << at) != 0 { position.keep(moves[at]) } else { position.give_back(moves[at]) }
                }
                let last_taken = (0..3).rev().find(|at| taken & (1 << at) != 0);
                assert_eq!(position.at(), last_taken.map_or(5, |at| [10, 20, 30][at]), "{order:?} {taken:b}");
                assert!(position.state().moves.is_empty());
            }
        }
    }

    #[test]
    fn what_was_moved_for_good_did_not_stay() {
        let position = FilePosition::default();
        let read = position.advance(10);
        // As it happens, to where it is.
        position.set(10);
        position.give_back(read);
        assert_eq!(position.at(), 10);
        // A part of a range, which others are behind.
        let [claim, read] = [50, 60].map(|to| position.advance(to));
        position.settle(claim, 30);
        assert_eq!(position.at(), 60);
        position.give_back(read);
        assert_eq!(position.at(), 30);
    }
}
