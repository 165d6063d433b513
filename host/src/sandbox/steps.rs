//! Work that is made of steps: it is called again and again, and gives its worker back between two steps where somebody waits for
//! that.

use std::time::Duration;

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
pub(crate) trait InSteps {
    type Output;

    /// Does some of it: some milliseconds at most, but for what a single system call takes.
    fn step(&mut self, ticket: &dyn Ticket) -> Result<Step<Self::Output>>;

    /// Gives up what was done so far, and leaves nothing of it. The next step is the first again.
    fn start_over(&mut self);

    /// Whether it may be left as it is for others to go first.
    fn may_give_way(&self) -> bool {
        true
    }

    /// Goes on with it, up to the end or until the worker is wanted.
    fn go_on(&mut self, ticket: &dyn Ticket) -> Flow<Result<Self::Output>> {
        loop {
            match ticket.check().and_then(|()| self.step(ticket)) {
                Ok(Step::More) if ticket.is_wanted() && self.may_give_way() => return Flow::Again(Duration::ZERO),
                Ok(Step::More) => {}
                Ok(Step::Later(time)) => return Flow::Again(time),
                Ok(Step::Done(output)) => return Flow::Done(Ok(output)),
                Err(error) => {
                    self.start_over();
                    return Flow::Done(Err(error));
                }
            }
        }
    }
}
