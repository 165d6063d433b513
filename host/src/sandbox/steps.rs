//! Work that is made of steps: it is called again and again, and gives its worker back between two steps where somebody waits for
//! that.

use std::time::Duration;

use super::claim::{Claiming, take_turn};
use super::ticket::Ticket;
use crate::error::Result;
use crate::sched::Flow;

/// What has come of a step.
#[derive(Debug)]
pub(crate) enum Step<T> {
    /// There is more to do.
    More,
    /// There is more to do, but not before this time is over.
    Later(Duration),
    /// That was the last one.
    Done(T),
}

/// A request that is made of steps. It may be dropped between two of them, and then leaves nothing.
pub(crate) trait InSteps: Claiming + Sized {
    type Output;

    /// Does some of it: some milliseconds at most, but for what a single system call takes.
    fn step(&mut self, ticket: &dyn Ticket) -> Result<Step<Self::Output>>;

    /// Gives up what was done so far, and leaves nothing of it. The next step is the first again.
    fn start_over(&mut self);

    /// Goes on with it, up to the end or until the worker is wanted.
    fn go_on(&mut self, ticket: &dyn Ticket) -> Flow<Result<Self::Output>> {
        take_turn(self, ticket, |request, _| {
            loop {
                let result = match ticket.check().and_then(|()| request.step(ticket)) {
                    Ok(Step::More) if ticket.is_wanted() => return Flow::Again(Duration::ZERO),
                    Ok(Step::More) => continue,
                    Ok(Step::Later(time)) => return Flow::Again(time),
                    Ok(Step::Done(output)) => Ok(output),
                    Err(error) => Err(error),
                };
                // Closes what it has open, in any case.
                request.start_over();
                return Flow::Done(result);
            }
        })
    }
}
