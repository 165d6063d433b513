//! What a host allows a guest that is refused otherwise, since it reaches beyond the guest itself.

use crate::sandbox::KernelFiles;

/// What is refused with `not-permitted` unless the host allows it, by [`AioCtxBuilder::allow`](crate::AioCtxBuilder::allow) and
/// its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gated {
    /// `mkfifo`: other programs that find the pipe may come to wait for it.
    Mkfifo,
    /// `syncfs`: whoever uses the same file system waits.
    Syncfs,
    /// `busy`: it takes a worker and gives nothing, for tests.
    Busy,
    /// To read what the kernel tells of the machine in a directory that was granted: files of procfs, sysfs and cgroup that
    /// everybody may read. What procfs has of processes, such as their memory, is refused even so.
    Procfs,
}

/// What a host allows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed(Vec<Gated>);

impl Allowed {
    pub(crate) fn add(&mut self, gated: Gated) {
        if !self.allows(gated) {
            self.0.push(gated);
        }
    }

    pub(crate) fn allows(&self, gated: Gated) -> bool {
        self.0.contains(&gated)
    }

    pub(crate) fn kernel_files(&self) -> KernelFiles {
        if self.allows(Gated::Procfs) { KernelFiles::Readable } else { KernelFiles::Hidden }
    }
}
