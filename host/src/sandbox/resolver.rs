//! What keeps a path inside a directory: the kernel, or portable code where the kernel cannot or may not.

use std::sync::OnceLock;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::sys;

/// How paths are resolved below a granted directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolver {
    /// `openat2` where it is available, otherwise portable.
    #[default]
    Auto,
    /// By the kernel: `openat2(2)` with `RESOLVE_BENEATH`, Linux 5.6 and later.
    Openat2,
    /// By cap-std. It is slower, and nothing with a path is done on the guest's own thread.
    Portable,
}

/// The resolver that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    Openat2,
    Portable,
}

impl Resolver {
    pub(super) fn strategy(self) -> Strategy {
        match self {
            Self::Openat2 => Strategy::Openat2,
            Self::Portable => Strategy::Portable,
            Self::Auto => {
                static PROBE: OnceLock<Strategy> = OnceLock::new();
                *PROBE.get_or_init(probe)
            }
        }
    }
}

/// Old kernels answer `ENOSYS`; some system call filters answer `EPERM`.
fn probe() -> Strategy {
    match sys::openat2(rustix::fs::CWD, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::BENEATH) {
        Err(Errno::NOSYS | Errno::PERM) => Strategy::Portable,
        _ => Strategy::Openat2,
    }
}
