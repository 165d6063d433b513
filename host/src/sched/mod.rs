//! Scheduling: which request runs when, and who is told.
//!
//! `requests` is the state machine of one guest's requests, `lanes` and `turns` decide who is next; none of the three knows a
//! thread or a clock. `guest` puts a lock around the first, `pool` has the threads.

mod guest;
mod lanes;
mod pool;
mod requests;
mod turns;

pub(crate) use guest::{Membership, Ticket};
pub(crate) use lanes::Priority;
pub(crate) use pool::Pool;
pub use requests::Counters;
pub(crate) use requests::{Flow, Origin, Report, RequestId, Submission, Work, moved_bytes};

#[cfg(test)]
mod tests;
