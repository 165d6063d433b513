//! A standard output that was closed when the program was started: whatever is written there is an error, and not lost in silence

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// Whether it was closed. Before `main` the standard library opens the null device in its place, and then nobody can tell.
static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

// SAFETY: functions in this section are called once, before the standard library starts; this one needs nothing of it.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    // SAFETY: a number that stands for nothing is an error, which is what is asked for.
    let is_closed = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) } < 0;
    WAS_CLOSED.store(is_closed, Ordering::Relaxed);
}

/// Lets writes to such a standard output fail, those of a plugin, too.
pub(super) fn let_writes_fail() {
    if !WAS_CLOSED.load(Ordering::Relaxed) {
        return;
    }
    // A file of no length that may neither grow nor be written. To close it again would not do: the standard library takes that for
    // success, and the next file that is opened would get the number.
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let Ok(file) = memfd_create("closed", flags) else { return };
    if fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW).is_ok() {
        // SAFETY: nobody owns a standard stream.
        unsafe { libc::dup2(file.as_raw_fd(), libc::STDOUT_FILENO) };
    }
}
