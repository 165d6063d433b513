//! The face `submit` with many requests in flight: a call is pending once its request is submitted, so that others can follow
//! before it is waited for.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use crate::bindings::aiohost::aio::types::Group;
use crate::bindings::aiohost::aio::{control, submit};
use crate::face::{
    Advice, AllocateFlags, Dir, Error, Extent, Face, File, Listing, LockKind, NewTime, OpenFlags, Outcome, ReaddirxFlags,
    RenameFlags, Request, Scan, Status, SyncRangeFlags, Volume, WalkEntry, Walker, Whence,
};

/// How the next request is carried out.
#[derive(Default)]
pub struct Manner {
    pub priority: Option<i8>,
    pub deadline_ms: Option<u64>,
    pub group: Option<Rc<Group>>,
    /// Taken back as soon as others are submitted.
    pub cancel: bool,
}

thread_local! {
    static NEXT: RefCell<Manner> = RefCell::default();
    static PAUSED: Cell<bool> = const { Cell::new(false) };
    static MEMBERS: Cell<u64> = const { Cell::new(0) };
}

/// Sets this for the next request, and for no other.
pub fn next(manner: Manner) {
    NEXT.set(manner);
}

/// Whether a call has become pending, since this was asked last, only to let others go first.
pub fn paused() -> bool {
    PAUSED.take()
}

/// How many requests were submitted into a group since this was asked last.
pub fn members() -> u64 {
    MEMBERS.take()
}

async fn take(submit: impl FnOnce() -> Request) -> Result<Outcome, Error> {
    let manner = NEXT.take();
    MEMBERS.set(MEMBERS.get() + u64::from(manner.group.is_some()));
    control::next(manner.priority, manner.deadline_ms, manner.group.as_deref(), control::WhenFull::Wait);
    let request = submit();
    let mut first = true;
    poll_fn(|_| {
        if !std::mem::take(&mut first) {
            return Poll::Ready(());
        }
        PAUSED.set(true);
        Poll::Pending
    })
    .await;
    if manner.cancel {
        request.cancel();
    }
    request.wait()
}

pub enum InFlight {}

macro_rules! implement_in_flight {
    ($($name:ident($($parameter:ident: $type:ty),*) -> $ok:ty, $case:ident($($value:ident)?);)*) => {
        impl Face for InFlight {
            $(async fn $name($($parameter: $type),*) -> Result<$ok, Error> {
                match take(|| submit::$name($($parameter),*)).await? {
                    Outcome::$case$(($value))? => Ok({ $($value)? }),
                    other => panic!("{} came to {other:?}", stringify!($name)),
                }
            })*
        }
    };
}
each_request!(implement_in_flight);
