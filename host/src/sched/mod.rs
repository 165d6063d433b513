//! Scheduling: which request runs when, and who is told.
//!
//! `requests` and `groups` are the state machine of one guest's requests, `lanes` and `turns` decide who is next; none of them
//! knows a thread, and they are told the time. `guest` puts a lock around the first two, `pool` has the workers, `clock` the time,
//! and a `ticket` is what a request knows of all this while it runs.

mod clock;
mod counters;
mod crew;
mod groups;
mod guest;
mod lanes;
mod pool;
mod requests;
mod sync;
mod ticket;
mod turns;
mod work;

pub use counters::Counters;
pub(crate) use groups::GroupId;
pub(crate) use guest::Membership;
pub(crate) use lanes::Priority;
pub(crate) use pool::Pool;
pub(crate) use requests::End;
pub(crate) use work::{Flow, Manner, Origin, Report, RequestId, Submission, WhenFull, Work, moved_bytes};

#[cfg(all(test, feature = "model"))]
mod model;
#[cfg(all(test, not(feature = "model")))]
mod tests;
