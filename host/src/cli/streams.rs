//! The command's own standard streams: what is printed is never lost in silence, and what is said never ends the
//! command.
//!
//! The standard library's macros panic where standard error cannot be written, and its locks are held by a guest that waits for a
//! reader of its output. So this writes to the descriptors themselves.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, ReadWriteFlags, pwritev2};

use super::remedy::Remedied;

/// Prints on standard output, all of it. A reader that goes away, as `head` does, has seen enough.
///
/// # Errors
///
/// If it cannot be written: a disk is full, or broken.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    match write_all(io::stdout().as_fd(), text.as_bytes()) {
        Ok(()) | Err(Errno::PIPE) => Ok(()),
        Err(error) => Err(unwritable(error.into())),
    }
}

/// All that comes from standard input, but no more than so many bytes. From now on it is at its end, whatever it was.
pub(super) fn take_input(bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    replace(STREAMS[0], File::open("/dev/null")?.as_raw_fd());
    let mut content = Vec::new();
    loop {
        let read = u64::try_from(content.len()).unwrap_or(u64::MAX);
        match (&mut input).take(bytes_max.saturating_sub(read)).read_to_end(&mut content) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait_for(input.as_fd(), PollFlags::IN),
            outcome => return outcome.map(|_| content),
        }
    }
}

/// Says something on standard error. That it cannot be heard changes nothing: neither what is done nor the exit status.
pub(super) fn say(text: &str) {
    // There is nowhere left to tell of it.
    let _ = write_all(io::stderr().as_fd(), text.as_bytes());
}

/// The same, but gives up after a while: whoever reads standard error may have stopped to.
pub(super) fn say_within(time: Duration, text: String) {
    // A thread of its own may come too late on a busy machine. A pipe can do without.
    let left = say_while_there_is_room(time, text.as_bytes());
    if !left.is_empty() {
        let left = left.to_vec();
        within(time, "aiohost-words", move || {
            let _ = write_all(io::stderr().as_fd(), &left);
        });
    }
}

/// Says as much as standard error takes in this time without having to be waited for, and gives what is left: all of it where that
/// cannot be known, as of a file or a terminal, and nothing once the time is up.
fn say_while_there_is_room(time: Duration, mut bytes: &[u8]) -> &[u8] {
    let stderr = io::stderr();
    let until = Instant::now() + time;
    while !bytes.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return &[];
        }
        // If it fails the next call tells why.
        let _ = poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Timespec::try_from(left).ok().as_ref());
        // What has room may be full again: the plugin may write to the same pipe.
        match pwritev2(&stderr, &[IoSlice::new(bytes)], u64::MAX, ReadWriteFlags::NOWAIT) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::SPIPE | Errno::NOSYS | Errno::INVAL) => return bytes,
            // There is nowhere left to tell of it.
            Err(_) => return &[],
        }
    }
    &[]
}

/// Does something that may have to wait, and leaves it alone after a while. Without a thread it is not done: that could take for
/// ever.
fn within(time: Duration, name: &str, work: impl FnOnce() + Send + 'static) {
    let (sender, done) = mpsc::channel();
    let work = move || {
        work();
        // Nobody listens any more if it took too long.
        let _ = sender.send(());
    };
    if thread::Builder::new().name(name.to_owned()).spawn(work).is_ok() {
        let _ = done.recv_timeout(time);
    }
}

/// Gives up the standard streams, but not what else is the process's: for whoever waits for their end. What is a file may have to
/// be waited for, and is for a while.
pub(super) fn let_go(time: Duration, instead: &impl AsFd) {
    let (files, others): (Vec<_>, Vec<_>) = STREAMS.into_iter().partition(|stream| is_file(*stream));
    let instead = instead.as_fd().as_raw_fd();
    others.into_iter().for_each(|stream| replace(stream, instead));
    if files.is_empty() {
        return;
    }
    within(time, "aiohost-streams", move || files.into_iter().for_each(|stream| replace(stream, instead)));
}

/// Gives up those standard streams that are files.
pub(super) fn let_go_of_files(instead: &impl AsFd) {
    STREAMS.into_iter().filter(|stream| is_file(*stream)).for_each(|stream| replace(stream, instead.as_fd().as_raw_fd()));
}

/// Standard input, output and error.
const STREAMS: [RawFd; 3] = [0, 1, 2];

/// Whether to close it may take long.
fn is_file(stream: RawFd) -> bool {
    // SAFETY: the standard library sees to it that these three are open at the start, and they are only ever replaced.
    let stream = unsafe { BorrowedFd::borrow_raw(stream) };
    let kind = fstat(stream).map(|status| FileType::from_raw_mode(status.st_mode));
    !matches!(kind, Ok(FileType::Fifo | FileType::CharacterDevice | FileType::Socket))
}

/// Something else has the number from now on, so that no file that is opened later gets what is written there.
fn replace(stream: RawFd, instead: RawFd) {
    // SAFETY: nobody owns a standard stream.
    unsafe { libc::dup2(instead, stream) };
}

/// Standard error for what is logged.
pub(super) struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // As for what is said.
        let _ = write_all(io::stderr().as_fd(), bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unwritable(error: io::Error) -> anyhow::Error {
    let help = "what arrived there is not whole: run it again where it can be written".to_owned();
    anyhow::Error::new(error).context(Remedied { what: "cannot write to standard output".to_owned(), help })
}

/// Writes everything. A pipe that another program has set to be non-blocking is waited for.
pub(super) fn write_all(stream: BorrowedFd<'_>, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(stream, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_until_writable(stream),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_until_writable(stream: BorrowedFd<'_>) {
    wait_for(stream, PollFlags::OUT);
}

fn wait_for(stream: BorrowedFd<'_>, event: PollFlags) {
    // If it fails the next call tells why.
    let _ = poll(&mut [PollFd::from_borrowed_fd(stream, event)], None);
}

#[cfg(test)]
mod tests {
    use rustix::io::ioctl_fionbio;

    use super::*;

    #[test]
    fn a_pipe_that_does_not_block_gets_everything() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        ioctl_fionbio(&writer, true).expect("a pipe can be non-blocking");
        let text = "0123456789".repeat(100_000);
        let expected = text.clone();
        let print = thread::spawn(move || write_all(writer.as_fd(), text.as_bytes()));
        let mut read = String::new();
        reader.read_to_string(&mut read).expect("it can be read");
        assert_eq!(print.join().expect("it does not panic"), Ok(()));
        assert!(read == expected, "{} of {} bytes", read.len(), expected.len());
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        let full = File::options().write(true).open("/dev/full").expect("there is such a device");
        assert_eq!(write_all(full.as_fd(), b"text"), Err(Errno::NOSPC));
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        assert_eq!(write_all(writer.as_fd(), b"text"), Err(Errno::PIPE));
    }
}
