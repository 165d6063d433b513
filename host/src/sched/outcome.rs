//! What the scheduler has to know of the work it is given, and of what that comes to. It knows nothing of files and of guests.

use std::fmt;
use std::task::Waker;
use std::time::Duration;

use crate::budget::Budget;

/// What a request comes to, well or not.
pub(crate) trait Outcome: Send + Sized + 'static {
    /// Why one failed.
    type Failure: Copy + PartialEq + fmt::Debug + From<Refusal> + Send + 'static;

    fn failed(failure: Self::Failure) -> Self;

    fn failure(&self) -> Option<Self::Failure>;

    /// Bytes that it moved, for the statistics.
    fn bytes_moved(&self) -> u64;

    /// Bytes of memory that it holds, to be counted for its guest.
    fn bytes_held(&self) -> usize;

    /// Whether it can be dropped anywhere: nothing has to be given back, and it takes no time.
    fn is_light(&self) -> bool;

    /// Gives back what it took from elsewhere, as far as that takes no time: nobody will take it.
    fn undo_now(&mut self);

    /// Gives back the rest. May wait for a device.
    fn undo(self);
}

/// What the scheduler itself may say of a request or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It was canceled.
    Canceled,
    /// Its time is up.
    TimedOut,
    /// As much is in flight as may be.
    Full,
    /// The result was taken already.
    Taken,
    /// Its work panicked.
    Panicked,
    /// It is in a group already.
    Member,
    /// A group would be in itself.
    Cycle,
    /// Groups would be nested too deeply.
    TooDeep,
    /// There is no such group.
    NoGroup,
}

/// A running request, as its work sees it.
pub(crate) trait Running: Sync {
    /// Fails if the request was canceled or its time is up.
    fn check(&self) -> Result<(), Refusal>;

    /// Tells those who watch how far it has come: by so many bytes and names more.
    fn advance(&self, bytes: u64, names: u64);

    /// Whether this worker has been at it for long enough, and somebody waits for one.
    fn is_wanted(&self) -> bool;

    /// Takes memory that is about to be used. Fails over the limit: then the work is to give up what it has, and it may be begun
    /// again once there is more.
    fn reserve(&self, bytes: usize) -> Result<(), Refusal>;

    /// What the guest may hold.
    fn memory(&self) -> Budget;

    /// Wakes the request after it returned [`Flow::Parked`], or while it is about to.
    fn waker(&self) -> Waker;

    /// Calls another worker to help with the request, if one comes by.
    fn call(&self, help: Help);
}

/// What a request does once a worker has it. It owns all that it needs.
pub(crate) type Work<R> = Box<dyn FnMut(&dyn Running) -> Flow<R> + Send>;

/// What a worker does that helps with a request: [`Flow::Again`] if there is more that another worker may take up.
pub(crate) type Help = Box<dyn FnMut(&dyn Running) -> Flow<()> + Send>;

/// How work goes on after a worker has run it.
#[derive(Debug)]
pub(crate) enum Flow<T> {
    /// It is at an end.
    Done(T),
    /// A worker is to go on with it, after this time.
    Again(Duration),
    /// A worker is to go on with it once it is woken: see [`Running::waker`].
    Parked,
}

impl<T> Flow<T> {
    pub(crate) fn map<U>(self, map: impl FnOnce(T) -> U) -> Flow<U> {
        match self {
            Self::Done(value) => Flow::Done(map(value)),
            Self::Again(time) => Flow::Again(time),
            Self::Parked => Flow::Parked,
        }
    }
}

impl<T, E> From<Result<T, E>> for Flow<Result<T, E>> {
    fn from(result: Result<T, E>) -> Self {
        Self::Done(result)
    }
}
