//! The faces as one trait, so that a test is written once and runs on each.

pub use crate::bindings::aiohost::aio::types::{
    Advice, AllocateFlags, Dir, Error, ErrorCode, Extent, File, FileType, Listing, LockKind, NewTime, OpenFlags, Outcome,
    ReaddirxFlags, RenameFlags, Request, Scan, Status, SyncRangeFlags, Timestamp, Volume, WalkEntry, Walker, Whence,
};
use crate::bindings::aiohost::aio::{blocking, submit};
use crate::tests;

/// Hands every request to the macro `$with`: its name, its parameters as in `requests.wit`, what it returns, and the case
/// of `outcome` that carries this in `submit`. A new request is one line here.
macro_rules! each_request {
    ($with:ident) => {
        $with! {
            open(at: Option<&Dir>, path: &str, flags: OpenFlags, mode: u16) -> File, File(file);
            open_dir(at: Option<&Dir>, path: &str) -> Dir, Dir(dir);
            close(file: File) -> (), Done();
            seek(file: &File, offset: i64, from: Whence) -> u64, Count(count);
            read(file: &File, offset: Option<u64>, length: u32) -> Vec<u8>, Data(data);
            write(file: &File, offset: Option<u64>, data: &[u8]) -> u64, Count(count);
            sendfile(output: &File, output_offset: Option<u64>, input: &File, input_offset: u64, length: u64)
                -> u64, Count(count);
            readahead(file: &File, offset: u64, length: u64) -> (), Done();
            stat(at: Option<&Dir>, path: &str) -> Status, Status(status);
            lstat(at: Option<&Dir>, path: &str) -> Status, Status(status);
            statvfs(at: Option<&Dir>, path: &str) -> Volume, Volume(volume);
            utime(at: Option<&Dir>, path: &str, accessed: NewTime, modified: NewTime) -> (), Done();
            chmod(at: Option<&Dir>, path: &str, mode: u16) -> (), Done();
            truncate(at: Option<&Dir>, path: &str, length: u64) -> (), Done();
            fstat(file: &File) -> Status, Status(status);
            futime(file: &File, accessed: NewTime, modified: NewTime) -> (), Done();
            fchmod(file: &File, mode: u16) -> (), Done();
            ftruncate(file: &File, length: u64) -> (), Done();
            allocate(file: &File, flags: AllocateFlags, offset: u64, length: u64) -> (), Done();
            advise(file: &File, offset: u64, length: u64, advice: Advice) -> (), Done();
            extents(file: &File, offset: u64, length: Option<u64>) -> Vec<Extent>, Extents(extents);
            lock(file: &File, kind: LockKind, offset: u64, length: u64, wait: bool) -> (), Done();
            unlock(file: &File, offset: u64, length: u64) -> (), Done();
            clone_range(output: &File, output_offset: u64, input: &File, input_offset: u64, length: u64) -> (), Done();
            unlink(at: Option<&Dir>, path: &str) -> (), Done();
            rmdir(at: Option<&Dir>, path: &str) -> (), Done();
            mkdir(at: Option<&Dir>, path: &str, mode: u16) -> (), Done();
            rename(old_at: Option<&Dir>, old_path: &str, new_at: Option<&Dir>, new_path: &str) -> (), Done();
            rename2(old_at: Option<&Dir>, old_path: &str, new_at: Option<&Dir>, new_path: &str, flags: RenameFlags)
                -> (), Done();
            link(old_at: Option<&Dir>, old_path: &str, new_at: Option<&Dir>, new_path: &str) -> (), Done();
            symlink(target: &str, at: Option<&Dir>, path: &str) -> (), Done();
            readlink(at: Option<&Dir>, path: &str) -> String, Text(text);
            realpath(at: Option<&Dir>, path: &str) -> String, Text(text);
            mkfifo(at: Option<&Dir>, path: &str, mode: u16) -> (), Done();
            readdir(at: Option<&Dir>, path: &str) -> Vec<String>, Names(names);
            scandir(at: Option<&Dir>, path: &str, maxreq: u32) -> Scan, Scan(scan);
            load(at: Option<&Dir>, path: &str) -> Vec<u8>, Data(data);
            slurp(at: Option<&Dir>, path: &str, offset: i64, length: Option<u32>) -> Vec<u8>, Data(data);
            store(at: Option<&Dir>, path: &str, data: &[u8], mode: u16) -> (), Done();
            copy(at: Option<&Dir>, path: &str, to_at: Option<&Dir>, to_path: &str) -> u64, Count(count);
            move_(at: Option<&Dir>, path: &str, to_at: Option<&Dir>, to_path: &str) -> (), Done();
            readdirx(at: Option<&Dir>, path: &str, flags: ReaddirxFlags) -> Listing, Listing(listing);
            walk(at: Option<&Dir>, path: &str, max_depth: u32, maxreq: u32) -> Walker, Walker(walker);
            walk_next(walker: &Walker, max: u32) -> Vec<WalkEntry>, Walked(entries);
            rmtree(at: Option<&Dir>, path: &str, maxreq: u32) -> u64, Count(count);
            copy_tree(at: Option<&Dir>, path: &str, to_at: Option<&Dir>, to_path: &str, maxreq: u32) -> u64, Count(count);
            fsync(file: &File) -> (), Done();
            fdatasync(file: &File) -> (), Done();
            sync_file_range(file: &File, offset: u64, length: u64, flags: SyncRangeFlags) -> (), Done();
            syncfs(file: &File) -> (), Done();
            pathsync(at: Option<&Dir>, path: &str) -> (), Done();
            nop() -> (), Done();
            busy(time_ms: u64) -> (), Done();
        }
    };
}

macro_rules! declare {
    ($($name:ident($($parameter:ident: $type:ty),*) -> $ok:ty, $case:ident($($value:ident)?);)*) => {
        /// One way to make requests.
        pub trait Face {
            $(async fn $name($($parameter: $type),*) -> Result<$ok, Error>;)*

            /// The names of the tests for what only this face has.
            const OWN_TESTS: &[&[&str]] = &[];

            /// Runs one of those, if it has this name.
            async fn own_test(_name: &str) -> bool {
                false
            }
        }
    };
}
each_request!(declare);

/// The calls that return when the work is done.
pub enum Blocking {}

macro_rules! implement_blocking {
    ($($name:ident($($parameter:ident: $type:ty),*) -> $ok:ty, $case:ident($($value:ident)?);)*) => {
        impl Face for Blocking {
            $(async fn $name($($parameter: $type),*) -> Result<$ok, Error> {
                blocking::$name($($parameter),*)
            })*
        }
    };
}
each_request!(implement_blocking);

/// The calls that return a request, each waited for at once.
pub enum Submit {}

macro_rules! implement_submit {
    ($($name:ident($($parameter:ident: $type:ty),*) -> $ok:ty, $case:ident($($value:ident)?);)*) => {
        impl Face for Submit {
            const OWN_TESTS: &[&[&str]] = &[tests::queue::NAMES, tests::groups::NAMES];

            async fn own_test(name: &str) -> bool {
                tests::queue::run::<Submit>(name).await || tests::groups::run::<Submit>(name).await
            }

            $(async fn $name($($parameter: $type),*) -> Result<$ok, Error> {
                match submit::$name($($parameter),*).wait()? {
                    Outcome::$case$(($value))? => Ok({ $($value)? }),
                    other => panic!("{} came to {other:?}", stringify!($name)),
                }
            })*
        }
    };
}
each_request!(implement_submit);
