//! The face of WASI 0.3: the calls to `await`.

use crate::bindings::aiohost::aio::requests;
use crate::face::{
    Advice, AllocateFlags, Dir, Error, Extent, Face, File, Listing, LockKind, NewTime, OpenFlags, ReaddirxFlags, RenameFlags,
    Scan, Status, SyncRangeFlags, Volume, WalkEntry, Walker, Whence,
};
use crate::streams;

pub enum Requests {}

// An `async func` takes its strings and lists owned, hence `into`.
macro_rules! implement_requests {
    ($($name:ident($($parameter:ident: $type:ty),*) -> $ok:ty, $case:ident($($value:ident)?);)*) => {
        impl Face for Requests {
            const OWN_TESTS: &[&[&str]] = &[streams::NAMES];

            async fn own_test(name: &str) -> bool {
                streams::run::<Requests>(name).await
            }

            $(async fn $name($($parameter: $type),*) -> Result<$ok, Error> {
                requests::$name($($parameter.into()),*).await
            })*
        }
    };
}
each_request!(implement_requests);
