//! What a request comes to: host values, and how each is given to the guest.

use wasmtime::component::{ComponentType, Lift, Lower, Resource, ResourceTable};

use crate::error::{Error, Result};
use crate::sandbox::{OpenDir, OpenFile, Walker};
use crate::sched::{GroupId, RequestId};
use crate::types::{Extent, Listing, Scan, Status, Volume, WalkEntry};

/// A result on its way, while nobody has asked for it in its own type. Dropping it closes what is in it.
#[derive(Debug)]
pub(crate) enum Output {
    Done,
    Count(u64),
    Data(Vec<u8>),
    File(OpenFile),
    Dir(OpenDir),
    Status(Status),
    Names(Vec<String>),
    Scan(Scan),
    Volume(Volume),
    Extents(Vec<Extent>),
    Text(String),
    Listing(Listing),
    Walker(Walker),
    Walked(Vec<WalkEntry>),
}

/// `aiohost:aio/types.outcome`.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum Outcome {
    #[component(name = "done")]
    Done,
    #[component(name = "count")]
    Count(u64),
    #[component(name = "data")]
    Data(Vec<u8>),
    #[component(name = "file")]
    File(Resource<OpenFile>),
    #[component(name = "dir")]
    Dir(Resource<OpenDir>),
    #[component(name = "status")]
    Status(Status),
    #[component(name = "names")]
    Names(Vec<String>),
    #[component(name = "scan")]
    Scan(Scan),
    #[component(name = "volume")]
    Volume(Volume),
    #[component(name = "extents")]
    Extents(Vec<Extent>),
    #[component(name = "text")]
    Text(String),
    #[component(name = "listing")]
    Listing(Listing),
    #[component(name = "walker")]
    Walker(Resource<Walker>),
    #[component(name = "walked")]
    Walked(Vec<WalkEntry>),
}

impl Output {
    /// The value that `request.wait` returns.
    pub(crate) fn into_outcome(self, table: &mut ResourceTable) -> Result<Outcome> {
        Ok(match self {
            Self::Done => Outcome::Done,
            Self::Count(count) => Outcome::Count(count),
            Self::Data(data) => Outcome::Data(data),
            Self::File(file) => Outcome::File(push(table, file)?),
            Self::Dir(dir) => Outcome::Dir(push(table, dir)?),
            Self::Status(status) => Outcome::Status(status),
            Self::Names(names) => Outcome::Names(names),
            Self::Scan(scan) => Outcome::Scan(scan),
            Self::Volume(volume) => Outcome::Volume(volume),
            Self::Extents(extents) => Outcome::Extents(extents),
            Self::Text(text) => Outcome::Text(text),
            Self::Listing(listing) => Outcome::Listing(listing),
            Self::Walker(walker) => Outcome::Walker(push(table, walker)?),
            Self::Walked(entries) => Outcome::Walked(entries),
        })
    }
}

/// Gives the guest a handle. The table belongs to the embedder and may have a limit of its own.
pub(crate) fn push<R: Send + 'static>(table: &mut ResourceTable, resource: R) -> Result<Resource<R>> {
    table.push(resource).map_err(|_| Error::TOO_MANY_OPEN_FILES)
}

/// A type that a request may return: the host's value, its way through [`Output`], and what the guest gets.
pub(crate) trait Answer: Send + Sized + 'static {
    /// The type in the WIT package.
    type Wire: ComponentType + Lower + Send + Sync + 'static;

    fn into_output(self) -> Output;

    /// The same value back, or none if the output is of another request, which cannot be.
    fn from_output(output: Output) -> Option<Self>;

    fn into_wire(self, table: &mut ResourceTable) -> Result<Self::Wire>;

    /// Bytes that the request moved, as far as its result tells.
    fn moved_bytes(&self) -> u64 {
        0
    }
}

impl Answer for () {
    type Wire = ();

    fn into_output(self) -> Output {
        Output::Done
    }

    fn from_output(output: Output) -> Option<Self> {
        matches!(output, Output::Done).then_some(())
    }

    fn into_wire(self, _table: &mut ResourceTable) -> Result<()> {
        Ok(())
    }
}

impl Answer for OpenFile {
    type Wire = Resource<Self>;

    fn into_output(self) -> Output {
        Output::File(self)
    }

    fn from_output(output: Output) -> Option<Self> {
        if let Output::File(file) = output { Some(file) } else { None }
    }

    fn into_wire(self, table: &mut ResourceTable) -> Result<Self::Wire> {
        push(table, self)
    }
}

impl Answer for OpenDir {
    type Wire = Resource<Self>;

    fn into_output(self) -> Output {
        Output::Dir(self)
    }

    fn from_output(output: Output) -> Option<Self> {
        if let Output::Dir(dir) = output { Some(dir) } else { None }
    }

    fn into_wire(self, table: &mut ResourceTable) -> Result<Self::Wire> {
        push(table, self)
    }
}

impl Answer for Walker {
    type Wire = Resource<Self>;

    fn into_output(self) -> Output {
        Output::Walker(self)
    }

    fn from_output(output: Output) -> Option<Self> {
        if let Output::Walker(walker) = output { Some(walker) } else { None }
    }

    fn into_wire(self, table: &mut ResourceTable) -> Result<Self::Wire> {
        push(table, self)
    }
}

/// Results that the guest gets as they are. One line each; the bodies would all read alike.
macro_rules! plain_answer {
    ($($rust:ty => $case:ident),* $(,)?) => {$(
        impl Answer for $rust {
            type Wire = Self;

            fn into_output(self) -> Output {
                Output::$case(self)
            }

            fn from_output(output: Output) -> Option<Self> {
                if let Output::$case(value) = output { Some(value) } else { None }
            }

            fn into_wire(self, _table: &mut ResourceTable) -> Result<Self> {
                Ok(self)
            }
        }
    )*};
}

plain_answer! {
    u64 => Count,
    Vec<u8> => Data,
    Status => Status,
    Vec<String> => Names,
    Scan => Scan,
    Volume => Volume,
    Vec<Extent> => Extents,
    String => Text,
    Listing => Listing,
    Vec<WalkEntry> => Walked,
}

/// A request that the guest holds a handle of.
pub(crate) struct RequestHandle {
    pub(crate) id: RequestId,
}

/// A group that the guest holds a handle of.
pub(crate) struct GroupHandle {
    pub(crate) id: GroupId,
}
