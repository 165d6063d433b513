//! Requests that belong together, and how the next one is carried out.

use std::io;
use std::time::Duration;

use crate::Request;
use crate::completions::milliseconds;
use crate::control::{self, WhenFull};
use crate::types::{self, Counters, GroupOutcome, Progress};

/// Requests that belong together: to wait for them, to cancel them, and to limit how many are in flight. A request becomes a
/// member with [`add`](Self::add), or with [`Next::group`] when it is submitted. Dropping the group does not affect its
/// members.
///
/// # Examples
///
/// A limit, and the outcome of the members:
///
/// ```no_run
#[doc = include_str!("../examples/groups.rs")]
/// ```
///
/// Deadlines, groups within a group, and cancellation:
///
/// ```no_run
#[doc = include_str!("../examples/deadlines.rs")]
/// ```
#[derive(Debug)]
pub struct Group {
    handle: types::Group,
}

impl Group {
    /// A group without members, a limit, or a deadline.
    #[expect(clippy::new_without_default, reason = "each one is a resource of the host")]
    pub fn new() -> Self {
        Self { handle: types::Group::new() }
    }

    /// Make a request a member. One that is already done counts as done.
    ///
    /// # Errors
    ///
    /// `Exist` (it is in a group already), `Canceled` (the group was canceled; the request itself goes on).
    pub fn add<T>(&self, request: &Request<T>) -> io::Result<()> {
        Ok(self.handle.add(request.handle())?)
    }

    /// Make a group a member.
    ///
    /// # Errors
    ///
    /// `Exist` (it is in a group already), `Deadlock` (it contains this group, or is this group), `Canceled` (this group was
    /// canceled), `Overflow` (more than 16 nested groups).
    pub fn add_group(&self, group: &Self) -> io::Result<()> {
        Ok(self.handle.add_group(&group.handle)?)
    }

    /// Limit how many members may be in flight when one is submitted with [`Next::group`]; 0 for no limit.
    pub fn set_limit(&self, limit: u32) {
        self.handle.set_limit(limit);
    }

    /// Set the priority of members without one of their own: from -4, after all others, to 4, before all others.
    pub fn set_priority(&self, priority: i8) {
        self.handle.set_priority(priority);
    }

    /// Set its deadline, in milliseconds, rounded up: members that are not done by then fail with `TimedOut`. `None` removes
    /// it.
    pub fn set_deadline(&self, from_now: Option<Duration>) {
        self.handle.set_deadline(from_now.map(milliseconds));
    }

    /// Wait until no member is in flight, and return the outcome of the members.
    ///
    /// # Errors
    ///
    /// `Canceled` after [`cancel`](Self::cancel), and `TimedOut` once the deadline has passed and cut a member short. A member
    /// that failed is not an error here: the outcome reports it.
    pub fn wait(&self) -> io::Result<GroupOutcome> {
        Ok(self.handle.wait()?)
    }

    /// Wait until fewer than this many members are in flight, and return how many are. Called before each submission in a loop,
    /// it keeps a group supplied with work.
    pub fn wait_below(&self, members: u32) -> u32 {
        self.handle.wait_below(members)
    }

    /// Cancel every member. The group takes no more members.
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// Cancel every member, and keep the group.
    pub fn cancel_members(&self) {
        self.handle.cancel_subs();
    }

    /// Number of its members in each state.
    pub fn count(&self) -> Counters {
        self.handle.count()
    }

    /// The progress of all members together, in bytes and in names.
    pub fn progress(&self) -> Progress {
        self.handle.progress()
    }
}

/// How the next request is carried out: `Next::new().priority(2).group(&group).submit(|| submit::stat(&dir, name))`. The
/// programs at [`Group`] have more examples.
#[derive(Clone, Copy, Debug)]
pub struct Next<'a> {
    priority: Option<i8>,
    deadline: Option<Duration>,
    group: Option<&'a Group>,
    when_full: WhenFull,
}

impl<'a> Next<'a> {
    /// A request like any other.
    #[expect(clippy::new_without_default, reason = "it is the start of a chain of calls")]
    pub fn new() -> Self {
        Self { priority: None, deadline: None, group: None, when_full: WhenFull::Wait }
    }

    /// Set its priority: from -4, after all others, to 4, before all others.
    pub fn priority(self, priority: i8) -> Self {
        Self { priority: Some(priority), ..self }
    }

    /// Set its deadline, in milliseconds, rounded up: it fails with `TimedOut` if it is not done by then.
    pub fn deadline(self, from_now: Duration) -> Self {
        Self { deadline: Some(from_now), ..self }
    }

    /// Make it a member of a group.
    pub fn group(self, group: &'a Group) -> Self {
        Self { group: Some(group), ..self }
    }

    /// Let it fail with `WouldBlock` instead of waiting if as much is in flight as is allowed.
    pub fn or_fail(self) -> Self {
        Self { when_full: WhenFull::Fail, ..self }
    }

    /// Make a call, with these settings for the first request in it.
    pub fn submit<T>(self, call: impl FnOnce() -> T) -> T {
        let group = self.group.map(|group| &group.handle);
        control::next(self.priority, self.deadline.map(milliseconds), group, self.when_full);
        call()
    }
}
