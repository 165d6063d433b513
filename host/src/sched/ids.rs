//! The numbers by which requests, groups and calls are known.

/// The number of a request, which its guest sees too. Never 0, and not used again before four thousand million others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RequestId(u64);

impl RequestId {
    pub(super) fn new(generation: u32, index: usize) -> Self {
        let index = u64::try_from(index).expect("an index of a bounded table fits");
        Self(u64::from(generation) << 32 | index)
    }

    pub(super) fn index(self) -> usize {
        usize::try_from(self.0 & u64::from(u32::MAX)).expect("32 bits fit")
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

/// The number of a group. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupId {
    pub(super) generation: u64,
    pub(super) index: usize,
}

/// The number of a call that waits to be admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallId(pub(super) u64);
