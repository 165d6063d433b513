//! The faces as one trait, so that a test is written once and runs on each.

pub use crate::bindings::aiohost::aio::types::{
    Dir, Error, ErrorCode, File, FileType, OpenFlags, Outcome, Request, Scan, Status,
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
            read(file: &File, offset: Option<u64>, length: u32) -> Vec<u8>, Data(data);
            write(file: &File, offset: Option<u64>, data: &[u8]) -> u64, Count(count);
            sendfile(output: &File, output_offset: Option<u64>, input: &File, input_offset: u64, length: u64)
                -> u64, Count(count);
            readahead(file: &File, offset: u64, length: u64) -> (), Done();
            stat(at: Option<&Dir>, path: &str) -> Status, Status(status);
            lstat(at: Option<&Dir>, path: &str) -> Status, Status(status);
            fstat(file: &File) -> Status, Status(status);
            unlink(at: Option<&Dir>, path: &str) -> (), Done();
            rmdir(at: Option<&Dir>, path: &str) -> (), Done();
            mkdir(at: Option<&Dir>, path: &str, mode: u16) -> (), Done();
            rename(old_at: Option<&Dir>, old_path: &str, new_at: Option<&Dir>, new_path: &str) -> (), Done();
            readdir(at: Option<&Dir>, path: &str) -> Vec<String>, Names(names);
            scandir(at: Option<&Dir>, path: &str, maxreq: u32) -> Scan, Scan(scan);
            fsync(file: &File) -> (), Done();
            fdatasync(file: &File) -> (), Done();
            nop() -> (), Done();
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
