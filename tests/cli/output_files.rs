//! What commands write, to files and to standard output: whole or not at all, where it was asked for and nowhere else.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mknodat};

use crate::{Outcome, Place, finished, guests};

/// The commands that write one file, without its name.
const WRITERS: [&str; 3] = ["compile guest.wat -o", "compile guest.wat --force -o", "componentize guest.wat -o"];

fn place() -> Place {
    Place::with("guest.wat", guests::hello())
}

/// The names in the place, sorted, without what the place begins with.
fn names(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.dir.path()).expect("a directory of our own");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "guest.wat" && name != "cache");
    names.sort();
    names
}

/// What a command writes when nothing is in its way.
fn written(writer: &str) -> Vec<u8> {
    let place = place();
    place.run(&format!("{writer} out")).assert_output(0, "");
    fs::read(place.path("out")).expect("it was written")
}

/// The program with these arguments after a line of the shell, as `ulimit -f 8`.
fn after(place: &Place, line: &str, arguments: &str) -> Outcome {
    let program = place.command(arguments);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{line}; exec \"$0\" \"$@\"")).arg(program.get_program()).args(program.get_args());
    shell.current_dir(place.dir.path()).env("AIOHOST_CACHE", place.path("cache")).stdin(Stdio::null());
    finished(&mut shell)
}

fn make_fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO of our own");
}

fn is_fifo(path: &Path) -> bool {
    fs::symlink_metadata(path).expect("it is there").file_type().is_fifo()
}

/// A device of our own, as `/dev/null` is one; none if it is not for us to make. Never those of the machine: a command that is at
/// fault would take them away from everybody.
fn make_device(path: &Path, minor: u32) -> Option<()> {
    let made = mknodat(CWD, path, FileType::CharacterDevice, Mode::RUSR | Mode::WUSR, makedev(1, minor));
    made.inspect_err(|error| eprintln!("not tested with a device of our own: {error}")).ok()
}

const NULL: u32 = 3;
const FULL: u32 = 7;

fn is_device(path: impl AsRef<Path>) -> bool {
    fs::symlink_metadata(path).expect("it is there").file_type().is_char_device()
}

#[test]
fn a_link_at_a_name_that_can_be_guessed_is_not_followed() {
    for (writer, output) in [("compile guest.wat", "guest.cwasm"), ("componentize guest.wat", "guest.component.wasm")] {
        let place = place();
        place.write("victim", "mine");
        // The names that such a file had once, for all processes that may be next.
        let next = std::process::id();
        for id in next..next + 2000 {
            symlink(place.path("victim"), place.path(&format!("{output}.{id}.tmp"))).expect("a link of our own");
        }
        let before = names(&place).len();
        place.run(writer).assert_output(0, "");
        assert_eq!(fs::read_to_string(place.path("victim")).expect("it is there"), "mine");
        assert!(fs::symlink_metadata(place.path(output)).expect("it was written").is_file());
        assert_eq!(names(&place).len(), before + 1);
    }
}

#[test]
fn a_file_is_replaced_and_never_written_into() {
    for writer in ["compile guest.wat --force -o", "componentize guest.wat -o"] {
        let place = place();
        place.write("out", "before");
        let mut open = File::open(place.path("out")).expect("it is there");
        place.run(&format!("{writer} out")).assert_output(0, "");
        let mut before = String::new();
        open.read_to_string(&mut before).expect("it can be read");
        assert_eq!(before, "before", "who has it open sees a part of another file");
        assert_eq!(names(&place), ["out"]);
    }
}

#[test]
fn a_device_is_written_to_and_stays_one() {
    for writer in WRITERS {
        let place = place();
        if make_device(&place.path("null"), NULL).is_none() || make_device(&place.path("full"), FULL).is_none() {
            return;
        }
        symlink("null", place.path("link")).expect("a link of our own");
        for name in ["null", "link"] {
            place.run(&format!("{writer} {name}")).assert_output(0, "");
            assert!(is_device(place.path("null")), "{writer} {name}");
        }
        place.run(&format!("{writer} full")).assert(
            1,
            "error: cannot write full\n  cause: No space left on device (os error 28)\n  \
             help: make room, or name a file on another disk; nothing was changed\n",
        );
        assert!(is_device(place.path("full")), "{writer}");
    }
}

#[test]
fn a_fifo_that_nobody_reads_is_refused_at_once_and_stays_one() {
    let place = place();
    make_fifo(&place.path("fifo"));
    symlink("fifo", place.path("link")).expect("a link of our own");
    for writer in WRITERS {
        for name in ["fifo", "link"] {
            place.run(&format!("{writer} {name}")).assert(
                1,
                &format!(
                    "error: cannot write {name}\n  cause: it is a FIFO that nobody reads\n  \
                     help: name a regular file, a pipe that is read from, or - for standard output\n"
                ),
            );
            assert!(is_fifo(&place.path("fifo")));
        }
    }
    assert_eq!(names(&place), ["fifo", "link"]);
}

#[test]
fn a_fifo_that_is_read_gets_everything() {
    for writer in WRITERS {
        let place = place();
        let path = place.path("fifo");
        make_fifo(&path);
        // Opened before the program starts, so that there is a reader when it looks.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fifo = rustix::fs::open(&path, flags, Mode::empty()).expect("a FIFO of our own");
        let mut child = place.command(&format!("{writer} fifo")).spawn().expect("the program starts");
        let read = read_all(fifo);
        assert!(child.wait().expect("it ends").success());
        assert!(read == written(writer), "{writer}: {} bytes", read.len());
        assert!(is_fifo(&path));
    }
}

/// All that comes through a FIFO: it has come to its end when there was something and there is no writer.
fn read_all(fifo: OwnedFd) -> Vec<u8> {
    let mut content = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        match rustix::io::read(&fifo, &mut piece) {
            Ok(0) if !content.is_empty() => return content,
            Ok(bytes) => content.extend_from_slice(&piece[..bytes]),
            Err(rustix::io::Errno::AGAIN) => {}
            Err(error) => panic!("{error}"),
        }
        thread::yield_now();
    }
}

#[test]
fn what_cannot_be_written_is_refused_before_the_work() {
    let place = place();
    let _listener = std::os::unix::net::UnixListener::bind(place.path("socket")).expect("a socket of our own");
    place.make_dir("dir");
    symlink("b", place.path("a")).expect("a link of our own");
    symlink("a", place.path("b")).expect("a link of our own");
    let cases = [
        ("socket", "it is a socket", "name a regular file, a pipe that is read from, or - for standard output"),
        ("dir", "Is a directory (os error 21)", "name a file in it"),
        ("new/", "Is a directory (os error 21)", "name a file in it"),
        ("a", "Too many levels of symbolic links (os error 40)", "name another file"),
        ("guest.wat/x", "Not a directory (os error 20)", "a part of the path is a file: name another one"),
        ("none/x", "No such file or directory (os error 2)", "make the directory first: mkdir -p 'none'"),
        (
            "/proc/none",
            "No such file or directory (os error 2)",
            "the directory it is in takes no new files: name one in another directory",
        ),
        (
            "/proc/self/exe",
            "it belongs to a process",
            "name a regular file, a pipe that is read from, or - for standard output",
        ),
    ];
    let before = names(&place);
    for writer in WRITERS {
        for (name, cause, help) in cases {
            let said = format!("error: cannot write {name}\n  cause: {cause}\n  help: {help}\n");
            place.run(&format!("{writer} {name}")).assert(1, &said);
        }
    }
    assert_eq!(names(&place), before);
}

#[test]
fn a_symbolic_link_stays_and_what_it_leads_to_is_replaced() {
    for writer in WRITERS {
        let place = place();
        place.make_dir("deep");
        let code = written(writer);
        place.write("deep/old", &code);
        symlink("deep/old", place.path("link")).expect("a link of our own");
        symlink("../link", place.path("deep/far")).expect("a link of our own");
        symlink("deep/new", place.path("dangling")).expect("a link of our own");
        for (name, target) in [("link", "deep/old"), ("deep/far", "deep/old"), ("dangling", "deep/new")] {
            place.run(&format!("{writer} {name}")).assert_output(0, "");
            assert!(fs::symlink_metadata(place.path(name)).expect("it is there").is_symlink(), "{name}");
            assert!(fs::symlink_metadata(place.path(target)).expect("it is there").is_file(), "{target}");
            assert!(fs::read(place.path(target)).expect("it is there") == code, "{writer} {name}");
        }
        assert_eq!(fs::read_dir(place.path("deep")).expect("a directory of our own").count(), 3);
    }
}

/// What a command writes to standard output, given as this.
fn on_stdout(place: &Place, line: &str, stdout: impl Into<Stdio>) {
    let mut command = place.command(line);
    let mut child = command.stdout(stdout).spawn().expect("the program starts");
    // The command has the other end of a pipe still.
    drop(command);
    assert!(child.wait().expect("it ends").success(), "{line}");
}

#[test]
fn standard_output_is_a_file_like_others() {
    for writer in ["compile guest.wat -o", "componentize guest.wat -o"] {
        let code = written(writer);
        for name in ["-", "stdout", "fd/1", "/proc/self/fd/1"] {
            let place = with_descriptors();
            let line = format!("{writer} {name}");
            let output = place.command(&line).output().expect("the program starts");
            assert!(output.status.success() && output.stdout == code, "{line} into a pipe");

            // What is there already stays, and what comes afterwards follows: it is the same open file.
            let mut file = File::create(place.path("out")).expect("a file of our own");
            file.write_all(b"before").expect("space");
            on_stdout(&place, &line, file.try_clone().expect("a descriptor"));
            file.write_all(b"after").expect("space");
            let content = fs::read(place.path("out")).expect("it is there");
            assert!(content == [b"before", &code[..], b"after"].concat(), "{line} into a file");

            let (mut ours, theirs) = UnixStream::pair().expect("a pair of sockets");
            let reader = thread::spawn(move || {
                let mut content = Vec::new();
                ours.read_to_end(&mut content).expect("it can be read");
                content
            });
            on_stdout(&place, &line, OwnedFd::from(theirs));
            assert!(reader.join().expect("it does not panic") == code, "{line} into a socket");
            assert_eq!(names(&place), ["fd", "out", "stdout"]);
            assert!(fs::symlink_metadata(place.path("stdout")).expect("it is there").is_symlink());
        }
    }
}

/// A place with links as `/dev` has them, for the same reason as devices of our own.
fn with_descriptors() -> Place {
    let place = place();
    symlink("/proc/self/fd", place.path("fd")).expect("a link of our own");
    symlink("/proc/self/fd/1", place.path("stdout")).expect("a link of our own");
    place
}

#[test]
fn a_descriptor_from_the_shell_is_a_file_like_others() {
    for (writer, name) in [("compile guest.wat -o", "fd/7"), ("componentize guest.wat -o", "/proc/self/fd/7")] {
        let place = with_descriptors();
        after(&place, "exec 7>out; printf before >&7", &format!("{writer} {name}")).assert_output(0, "");
        let content = fs::read(place.path("out")).expect("it is there");
        assert!(content == [b"before", &written(writer)[..]].concat(), "{writer}");
        let closed = place.run(&format!("{writer} {name}"));
        assert_eq!(closed.status, Some(1), "{closed:?}");
    }
}

#[test]
fn a_reader_that_leaves_has_seen_enough() {
    let place = place();
    for line in
        ["compile guest.wat -o -", "componentize guest.wat -o /proc/self/fd/1", "wit", "inspect guest.wat", "new c songs"]
    {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let output = place.command(line).stdout(writer).output().expect("the program starts");
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{line}");
    }
}

#[test]
fn what_is_printed_is_not_lost_in_silence() {
    let place = place();
    let lines =
        ["wit", "inspect guest.wat", "inspect guest.wat --json", "compile guest.wat -o -", "componentize guest.wat -o -"];
    for (number, line) in lines.into_iter().chain(["new c songs"]).enumerate() {
        let full = File::options().write(true).open("/dev/full").expect("there is such a device");
        let outcome = finished_with(place.command(line).stdout(full));
        assert_eq!(outcome.status, Some(1), "{line}");
        assert!(outcome.stderr.contains("No space left on device"), "{number}: {outcome:?}");
        assert!(outcome.stderr.starts_with("error: cannot write ") && outcome.stderr.contains("  help: "), "{outcome:?}");
    }
}

/// With standard output as it was set.
fn finished_with(command: &mut Command) -> Outcome {
    let child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
    child.wait_with_output().expect("it ends").into()
}

#[test]
fn a_pipe_that_does_not_block_gets_everything() {
    // What comes out is more than a pipe holds.
    let data = format!(r#"(memory (export "memory") 4) (data (i32.const 65536) "{}")"#, "x".repeat(100_000));
    let place = Place::with("guest.wat", guests::hello().replace(r#"(memory (export "memory") 1)"#, &data));
    for line in ["wit", "compile guest.wat -o -", "componentize guest.wat -o /proc/self/fd/1"] {
        let expected = place.command(line).output().expect("the program starts").stdout;
        assert!(expected.len() > 64 << 10, "{line}: {} bytes", expected.len());
        let (mut reader, writer) = io::pipe().expect("a pipe");
        rustix::io::ioctl_fionbio(&writer, true).expect("a pipe can be non-blocking");
        let mut command = place.command(line);
        let mut child = command.stdout(writer).spawn().expect("the program starts");
        drop(command);
        let mut content = Vec::new();
        reader.read_to_end(&mut content).expect("it can be read");
        assert!(child.wait().expect("it ends").success(), "{line}");
        assert!(content == expected, "{line}: {} of {} bytes", content.len(), expected.len());
    }
}

/// The commands that write files, and what they make.
const MAKERS: [(&str, &str); 6] = [
    ("compile guest.wat --force -o old", "old"),
    ("compile guest.wat -o new", "new"),
    ("componentize guest.wat -o old", "old"),
    ("wit --out new/deep", "new"),
    ("wit --out there --force", "there/types.wit"),
    ("new rust songs", "songs"),
];

/// A place with what the commands replace, and what is in it.
fn with_old_files() -> (Place, Vec<String>) {
    let place = place();
    place.write("old", "old");
    place.make_dir("there");
    place.write("there/types.wit", "old");
    let names = names(&place);
    (place, names)
}

#[track_caller]
fn assert_unchanged(place: &Place, before: &[String], line: &str) {
    assert_eq!(names(place), before, "{line}");
    for name in ["old", "there/types.wit"] {
        assert_eq!(fs::read_to_string(place.path(name)).expect("it is there"), "old", "{line}: {name}");
    }
    assert_eq!(fs::read_dir(place.path("there")).expect("a directory of our own").count(), 1, "{line}");
}

#[test]
fn a_limit_for_the_size_of_files_leaves_everything_as_it_was() {
    for (line, _) in MAKERS {
        let (place, before) = with_old_files();
        // One block of 512 bytes, or of 1024 in some shells: less than each of them needs.
        let outcome = after(&place, "ulimit -f 1", line);
        assert_eq!(outcome.status, Some(1), "{line}: {outcome:?}");
        assert!(outcome.stderr.contains("  cause: File too large (os error 27)\n  help: raise the limit"), "{outcome:?}");
        assert_unchanged(&place, &before, line);
    }
}

#[test]
fn a_full_disk_leaves_everything_as_it_was() {
    for (line, _) in MAKERS {
        let (place, before) = with_old_files();
        place.make_dir("disk");
        let disk = place.path("disk");
        if !shell(OsStr::new("mount -t tmpfs -o size=16k tmpfs \"$0\""), &disk) {
            eprintln!("not tested with a full disk: no file system can be mounted here");
            return;
        }
        let line_there = line.replace("guest.wat", "../guest.wat");
        for name in before.iter().filter(|name| *name != "disk") {
            copy(&place.path(name), &disk.join(name));
        }
        let mut command = place.command(&line_there);
        let outcome = finished(command.current_dir(&disk));
        let left: Vec<_> =
            fs::read_dir(&disk).expect("a disk of our own").map(|entry| entry.expect("an entry").file_name()).collect();
        let content = ["old", "there/types.wit"].map(|name| fs::read_to_string(disk.join(name)).unwrap_or_default());
        assert!(shell(OsStr::new("umount \"$0\""), &disk));
        assert_eq!(outcome.status, Some(1), "{line}: {outcome:?}");
        assert!(outcome.stderr.contains("  cause: No space left on device (os error 28)\n  help: make room"), "{outcome:?}");
        assert_eq!((left.len(), content), (2, ["old".to_owned(), "old".to_owned()]), "{line}: {left:?}");
    }
}

/// A file or a folder of files.
fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).expect("space");
        return;
    }
    fs::create_dir(to).expect("space");
    for entry in fs::read_dir(from).expect("a directory of our own") {
        let entry = entry.expect("it can be read");
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// Whether a line of the shell goes well, with a path as `$0`.
fn shell(line: &OsStr, path: &Path) -> bool {
    let status = Command::new("sh").arg("-c").arg(line).arg(path).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn what_is_made_has_the_mode_that_the_umask_leaves() {
    for (line, made) in MAKERS {
        let (place, _) = with_old_files();
        after(&place, "umask 027", line);
        let metadata = fs::metadata(place.path(made)).expect("it was made");
        let expected = if metadata.is_dir() { 0o750 } else { 0o640 };
        assert_eq!(metadata.permissions().mode() & 0o777, expected, "{line}");
    }
}

#[test]
fn a_name_may_be_as_long_as_the_file_system_takes() {
    for writer in WRITERS {
        let place = place();
        let name = "n".repeat(255);
        place.run(&format!("{writer} {name}")).assert_output(0, "");
        assert_eq!(names(&place), [name]);
        let outcome = place.run(&format!("{writer} {}", "n".repeat(256)));
        assert_eq!(outcome.status, Some(1), "{outcome:?}");
    }
}

#[test]
fn a_wit_folder_with_a_fifo_in_it_is_not_waited_for() {
    for options in ["", "--force"] {
        let place = Place::new();
        make_fifo(&place.path("types.wit"));
        let outcome = place.run(&format!("wit --out . {options}"));
        assert_eq!(outcome.status, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains("it is a FIFO that nobody reads"), "{outcome:?}");
        assert_eq!(names(&place), ["types.wit"]);
    }
}

#[test]
fn a_project_or_a_package_takes_the_place_of_nothing() {
    let place = Place::new();
    symlink("nowhere", place.path("songs")).expect("a link of our own");
    for line in ["new c songs", "wit --out songs"] {
        place.run(line).assert(
            1,
            "error: songs exists already\n  help: choose another name, or remove it first: nothing in it was changed\n",
        );
    }
    assert_eq!(names(&place), ["songs"]);
}
