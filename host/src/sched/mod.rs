//! Scheduling: which request runs when, and who is told.
//!
//! `requests` and `groups` are the state machine of one guest's requests, `lanes` and `turns` decide who is next; none of them
//! knows a thread, and they are told the time. `account` puts a lock around the first two, `membership` and `admission` are the
//! way in, `afterwards` what is left to be done once that lock is free, `pool` has the workers and `clock` the time.
//!
//! What a request does and what it comes to is a parameter, [`Outcome`]: nothing here knows of files or of WebAssembly.

mod account;
mod admission;
mod afterwards;
mod clock;
mod counters;
mod groups;
mod headcount;
mod ids;
mod lanes;
mod membership;
mod outcome;
mod pool;
mod requests;
mod statistics;
mod sync;
mod turns;
mod work;

pub(crate) use admission::Entrance;
pub use counters::Counters;
pub(crate) use groups::{Failed, GroupOutcome};
pub(crate) use headcount::Leaving;
pub(crate) use ids::{GroupId, RequestId};
pub(crate) use lanes::Priority;
pub(crate) use membership::{Membership, TimedWait};
pub(crate) use outcome::{Flow, Outcome, Refusal, Running, Work};
pub(crate) use pool::Pool;
pub(crate) use requests::{Budgets, End};
pub(crate) use statistics::Report;
pub use statistics::{RequestStats, Stats};
pub(crate) use turns::{Seat, Turns};
pub(crate) use work::{Kind, Manner, Origin, Progress, Submission, WhenFull};

#[cfg(test)]
mod fixture;
#[cfg(all(test, feature = "model"))]
mod model;
#[cfg(all(test, not(feature = "model")))]
mod tests;
