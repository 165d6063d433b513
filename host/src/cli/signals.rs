//! The signals that end a run: which of them count, and how they are waited for.

use std::fs::File;
use std::io::{self, Read};
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd};

use libc::c_int;

/// What a terminal, a supervisor or a user sends to end a program. POSIX names the first three together.
const ENDING: [c_int; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM, libc::SIGQUIT];

/// The exit status of a program that a signal ended, as a shell has it: 128 and the number of the signal.
pub(super) fn status(signal: u8) -> u8 {
    signal.saturating_add(128)
}

/// A write over the limit for the size of a file is to fail, as one to a full disk does, and not to end the process.
pub(super) fn ignore_file_size_limit() {
    // SAFETY: no handler is involved.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// What this process becomes next decides for itself.
pub(super) fn heed_file_size_limit() {
    // SAFETY: no handler is involved.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_DFL) };
}

/// The signals that end a run, and that of a child that has ended, as something to be read.
pub(super) struct Signals(File);

impl Signals {
    /// From here on these signals no longer end the process by themselves, nor those that it starts. What the process was told
    /// to ignore when it was started, as `nohup` does, stays ignored. What was blocked then counts: programs that wait for signals
    /// by a descriptor block them, and hand that down without a thought.
    pub(super) fn take() -> io::Result<Self> {
        // Where it is ignored the end of a child cannot be waited for.
        // SAFETY: no handler is involved.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        let mut set = empty();
        for signal in ENDING.into_iter().filter(|signal| !is_ignored(*signal)).chain([libc::SIGCHLD]) {
            // SAFETY: the set is initialized.
            unsafe { libc::sigaddset(&raw mut set, signal) };
        }
        mask(libc::SIG_BLOCK, &set);
        // SAFETY: the set is initialized.
        let descriptor = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was opened just now, and nobody else has it.
        Ok(Self(unsafe { File::from_raw_fd(descriptor) }))
    }

    /// Something to be polled.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// The numbers of the signals that have come; that of a child is left out, since it is asked for anyway.
    pub(super) fn come(&self) -> Vec<u8> {
        const LENGTH: usize = size_of::<libc::signalfd_siginfo>();
        let mut come = Vec::new();
        let mut bytes = [0; LENGTH];
        while let Ok(LENGTH) = (&self.0).read(&mut bytes) {
            // The number is the first field.
            let number = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            come.extend(u8::try_from(number).ok().filter(|number| c_int::from(*number) != libc::SIGCHLD));
        }
        come
    }
}

/// Ends this process by a signal, as another one was ended; gives up where that signal does not end processes.
pub(super) fn die_by(signal: c_int) {
    let mut set = empty();
    // SAFETY: the set is initialized, and no handler is involved.
    unsafe {
        libc::sigaddset(&raw mut set, signal);
        libc::signal(signal, libc::SIG_DFL);
    }
    mask(libc::SIG_UNBLOCK, &set);
    // SAFETY: it touches no memory.
    unsafe { libc::raise(signal) };
}

fn empty() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: it initializes the set, and cannot fail.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}

/// Changes what is blocked.
fn mask(how: c_int, set: &libc::sigset_t) {
    // SAFETY: the set is initialized; it fails only for another `how`.
    unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) };
}

fn is_ignored(signal: c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action it only fills in the old one.
    let result = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: it was filled in.
    result == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}
