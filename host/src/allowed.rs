//! What a guest may do only if the host allows it, since it affects more than the guest itself.

use crate::sandbox::KernelFiles;

/// What fails with `not-permitted` unless the host allows it, with [`AioCtxBuilder::allow`](crate::AioCtxBuilder::allow) and similar
/// methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gated {
    /// `mkfifo`: other programs that open the pipe may wait on it.
    Mkfifo,
    /// `syncfs`: everybody who uses the same file system waits.
    Syncfs,
    /// `busy`: it keeps a worker for nothing, for tests.
    Busy,
    /// Reading what the kernel says about the machine, in a directory that was granted: files of procfs, sysfs and cgroup that
    /// everybody may read. What procfs has about processes, such as their memory, is still refused.
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
