//! Open descriptors of a guest's, and the quota of what it may have open.
//!
//! A descriptor that is dropped is closed by the reaper: a close may take as long as the file system likes. It counts until it
//! is closed.

use std::fs::File;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use crate::budget::{Budget, Reservation, Waiter};
use crate::error::{Error, Result};
use crate::reaper::Reaper;
use crate::sched::Leaving;

/// How many files and directories a guest has open, and may have.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    open: Budget,
    /// What all guests of its engine have open.
    all: Budget,
    /// Descriptors that are still to be closed.
    closing: Arc<AtomicUsize>,
    /// What else of the guest's may have descriptors that it has no more.
    leaving: Leaving,
    /// What requests open themselves: half of all at most, so that as much is left for what the guest opens.
    claimed: Budget,
    reaper: Reaper,
}

/// A place in the quota; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Token {
    place: Reservation,
    closing: Option<Arc<AtomicUsize>>,
}

/// An open file or directory with its place in the quota.
#[derive(Debug)]
pub(crate) struct CountedFd {
    /// There until it is closed.
    parts: Option<(File, Option<Token>)>,
    quota: Quota,
}

impl Quota {
    /// Of `max`, and of what all guests of an engine may have together.
    pub(crate) fn new(max: usize, all: &Budget, reaper: &Reaper, leaving: Leaving) -> Self {
        Self {
            open: all.below(max),
            all: all.clone(),
            closing: Arc::default(),
            leaving,
            claimed: Budget::new((max / 2).max(1)),
            reaper: reaper.clone(),
        }
    }

    /// Takes a place, before anything is opened. Gives `NOT_YET` while there is none but for descriptors that the guest has closed
    /// already, or will never have.
    pub(super) fn take(&self) -> Result<Token> {
        // Looked at first: what is closed meanwhile frees its place before it is not counted here any more.
        let is_closing = self.is_closing();
        match self.open.try_take(1) {
            Some(place) => Ok(Token { place, closing: None }),
            None if is_closing => Err(Error::NOT_YET),
            None => Err(Error::TOO_MANY_OPEN_FILES),
        }
    }

    /// Takes a place for what the application has opened, which cannot wait for the reaper: while that has something of the guest's to
    /// close it may be one over the limit.
    pub(super) fn take_at_once(&self) -> Result<Token> {
        match self.take() {
            Err(Error::NOT_YET) => {
                let mut place = self.open.nothing();
                place.count(1);
                Ok(Token { place, closing: None })
            }
            taken => taken,
        }
    }

    /// Leaves to the reaper what has descriptors open. Its place is free once that is dropped.
    pub(super) fn discard(&self, waste: impl Send + 'static, mut token: Option<Token>) {
        token.iter_mut().for_each(|token| token.is_closing(self));
        // In this order: the place is free once the descriptor is.
        self.reaper.take((waste, token));
    }

    /// Whether there may be descriptors that the guest has closed or does not get, and that the system has not closed.
    pub(super) fn is_closing(&self) -> bool {
        // In this order: what leaves is counted as closing before it does not count as leaving any more.
        self.leaving.is_any() || self.closing.load(Ordering::SeqCst) > 0
    }

    /// Takes so many places, if there are as many.
    pub(super) fn try_take(&self, count: usize) -> Option<Reservation> {
        self.open.try_take(count)
    }

    /// Waits for so many places.
    pub(super) fn wait(&self, count: usize, waker: &Waker) -> Waiter {
        self.open.wait(count, waker)
    }

    /// The places of all guests together.
    pub(super) fn of_all(&self) -> &Budget {
        &self.all
    }

    /// Places that requests have for what they open themselves.
    pub(super) fn claimed(&self) -> &Budget {
        &self.claimed
    }
}

impl Token {
    /// It is given up as soon as its descriptor is closed.
    fn is_closing(&mut self, quota: &Quota) {
        quota.closing.fetch_add(1, Ordering::SeqCst);
        self.closing = Some(Arc::clone(&quota.closing));
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.place.shrink_to(0);
        if let Some(closing) = &self.closing {
            closing.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl CountedFd {
    pub(super) fn new(fd: OwnedFd, token: Token, quota: &Quota) -> Self {
        Self { parts: Some((fd.into(), Some(token))), quota: quota.clone() }
    }

    /// One that was granted, and so counts for nobody.
    pub(super) fn granted(file: File, quota: &Quota) -> Self {
        Self { parts: Some((file, None)), quota: quota.clone() }
    }

    pub(super) fn quota(&self) -> &Quota {
        &self.quota
    }

    /// The file, to be closed at once, and its place in the quota.
    pub(super) fn into_parts(mut self) -> (OwnedFd, Option<Token>) {
        let (file, token) = self.parts.take().expect("it is there until it is closed");
        (file.into(), token)
    }
}

impl Deref for CountedFd {
    type Target = File;

    fn deref(&self) -> &File {
        &self.parts.as_ref().expect("it is there until it is closed").0
    }
}

impl Drop for CountedFd {
    fn drop(&mut self) {
        let Some((file, token)) = self.parts.take() else { return };
        self.quota.discard(file, token);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_place_is_free_once_its_descriptor_is_closed() {
        let reaper = Reaper::default();
        let quota = Quota::new(2, &Budget::new(100), &reaper, Leaving::default());
        let open =
            || quota.take().map(|token| CountedFd::new(File::open("/dev/null").expect("it is there").into(), token, &quota));
        let (one, other) = (open().expect("there is room"), open().expect("there is room"));
        assert_eq!(open().err(), Some(Error::TOO_MANY_OPEN_FILES));
        drop(one);
        while let Err(error) = open() {
            assert_eq!(error, Error::NOT_YET, "one is on its way out");
        }
        let (fd, token) = other.into_parts();
        drop((fd, token));
        assert!(reaper.wait_empty(Duration::from_secs(60)));
        assert_eq!(quota.open.taken(), 0);
    }

    #[test]
    fn what_a_request_left_was_in_the_way_of_the_next_one() {
        let (reaper, leaving) = (Reaper::default(), Leaving::default());
        let quota = Quota::new(1, &Budget::new(100), &reaper, leaving.clone());
        let result = quota.take().expect("there is room");
        assert_eq!(quota.take().err(), Some(Error::TOO_MANY_OPEN_FILES));
        let leaves = leaving.begin();
        assert_eq!(quota.take().err(), Some(Error::NOT_YET), "nobody will get it");
        drop(quota.take_at_once().expect("it cannot wait"));
        drop((result, leaves));
        assert!(quota.take().is_ok());
    }

    /// Its drop waits until it is let go.
    struct HeldUp(std::sync::mpsc::Receiver<()>);

    impl Drop for HeldUp {
        fn drop(&mut self) {
            // An error means that the test is over.
            let _ = self.0.recv();
        }
    }

    #[test]
    fn a_place_was_free_while_what_had_it_was_still_open() {
        let quota = Quota::new(1, &Budget::new(100), &Reaper::default(), Leaving::default());
        let token = quota.take().expect("there is room");
        let (open, opened) = std::sync::mpsc::channel();
        quota.discard(HeldUp(opened), Some(token));
        assert_eq!(quota.take().err(), Some(Error::NOT_YET));
        drop(quota.take_at_once().expect("the application does not wait"));
        drop(open);
        assert!(quota.reaper.wait_empty(Duration::from_secs(60)));
        assert!(quota.take().is_ok());
    }
}
