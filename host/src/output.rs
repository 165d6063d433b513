//! What a request comes to: host values, and how each is given to the guest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use wasmtime::component::{ComponentType, Lift, Lower, Resource, ResourceTable};

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::sandbox::{Content, HelperWork, Locked, OpenDir, OpenFile, Ticket, Walked, Walker};
use crate::sched::{GroupId, Membership, Outcome, Progress, Refusal, RequestId, Running};
use crate::types::{Dirent, Extent, Listing, Scan, Status, Volume, WalkEntry};

/// A result on its way, while nobody has asked for it in its own type. Dropping it closes what is in it.
#[derive(Debug)]
pub(crate) enum Output {
    Done,
    Count(u64),
    Number(Number),
    Data(Content),
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
    Walked(Walked),
    Locked(Locked),
}

impl Outcome for Result<Output> {
    type Failure = Error;

    fn failed(failure: Error) -> Self {
        Err(failure)
    }

    fn failure(&self) -> Option<Error> {
        self.as_ref().err().copied()
    }

    fn bytes_moved(&self) -> u64 {
        match self {
            Ok(Output::Data(content)) => content.bytes_moved(),
            Ok(Output::Count(count)) => *count,
            _ => 0,
        }
    }

    fn bytes_held(&self) -> usize {
        let names = |names: &Vec<String>| names.iter().map(|name| heap_bytes(name)).sum::<usize>();
        match self {
            Ok(Output::Data(content)) => content.bytes_held(),
            Ok(Output::Names(list)) => names(list),
            Ok(Output::Scan(scan)) => names(&scan.directories) + names(&scan.others),
            Ok(Output::Extents(extents)) => extents.capacity() * size_of::<Extent>(),
            Ok(Output::Text(text)) => heap_bytes(text),
            Ok(Output::Listing(listing)) => {
                listing.entries.iter().map(|entry| heap_bytes(&entry.name) + size_of::<Dirent>()).sum()
            }
            Ok(Output::Walked(walked)) => walked.bytes_held(),
            _ => 0,
        }
    }

    fn is_light(&self) -> bool {
        // Those that hold a descriptor leave it to the reaper.
        match self {
            Ok(
                Output::Done | Output::Count(_) | Output::Number(_) | Output::Status(_) | Output::Volume(_) | Output::Text(_),
            ) => true,
            Ok(Output::File(_) | Output::Dir(_)) | Err(_) => true,
            Ok(_) => false,
        }
    }

    fn undo_now(&mut self) {
        match self {
            Ok(Output::Data(content)) => content.give_back(),
            Ok(Output::Walked(walked)) => walked.give_back(),
            _ => {}
        }
    }

    fn undo(self) {
        if let Ok(Output::Locked(locked)) = self {
            locked.give_back();
        }
    }
}

/// Bytes of a text, and of its place in a list. The allocator gives 16 at least and rounds up.
fn heap_bytes(text: &str) -> usize {
    size_of::<String>() + text.len().next_multiple_of(16) + 16
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Canceled => Self::CANCELED,
            Refusal::TimedOut => Self::TIMED_OUT,
            Refusal::Full => Self::WOULD_BLOCK,
            Refusal::Taken => Self::ALREADY,
            Refusal::Panicked => Self::IO,
            Refusal::Member => Self::EXIST,
            Refusal::Cycle => Self::DEADLOCK,
            Refusal::TooDeep => Self::OVERFLOW,
            Refusal::NoGroup => Self::INVALID,
        }
    }
}

/// A request that runs, as the work in the sandbox sees it.
pub(crate) struct OnWorker<'a>(pub(crate) &'a dyn Running);

impl Ticket for OnWorker<'_> {
    fn check(&self) -> Result<()> {
        Ok(self.0.check()?)
    }

    fn advance(&self, bytes: u64, names: u64) {
        self.0.advance(bytes, names);
    }

    fn is_wanted(&self) -> bool {
        self.0.is_wanted()
    }

    fn reserve(&self, bytes: usize) -> Result<()> {
        Ok(self.0.reserve(bytes)?)
    }

    fn memory(&self) -> Budget {
        self.0.memory()
    }

    fn waker(&self) -> Waker {
        self.0.waker()
    }

    fn call(&self, mut help: HelperWork) {
        self.0.call(Box::new(move |running| help(&OnWorker(running))));
    }
}

/// A request that is carried out on a thread that its guest has to itself: nobody else waits for that, and nobody can cancel it.
pub(crate) struct OwnThread<'a> {
    member: &'a Member,
    bytes: AtomicU64,
    names: AtomicU64,
}

impl<'a> OwnThread<'a> {
    pub(crate) fn new(member: &'a Member) -> Self {
        Self { member, bytes: AtomicU64::new(0), names: AtomicU64::new(0) }
    }

    /// How far the request has come here.
    pub(crate) fn progress(&self) -> Progress {
        Progress { bytes: self.bytes.load(Ordering::Relaxed), names: self.names.load(Ordering::Relaxed) }
    }
}

impl Ticket for OwnThread<'_> {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn advance(&self, bytes: u64, names: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.names.fetch_add(names, Ordering::Relaxed);
    }

    /// What is long is for a worker, so that whoever is to end the guest need not wait for it.
    fn is_wanted(&self) -> bool {
        true
    }

    /// What grows is for a worker, which can wait for memory.
    fn reserve(&self, _bytes: usize) -> Result<()> {
        Err(Error::WOULD_BLOCK)
    }

    fn memory(&self) -> Budget {
        self.member.memory().clone()
    }

    /// What would have to wait is begun again on a worker.
    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }

    fn call(&self, _help: HelperWork) {}
}

/// `aiohost:aio/types.outcome`.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum WireOutcome {
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
    pub(crate) fn into_outcome(self, table: &mut ResourceTable) -> Result<WireOutcome> {
        Ok(match self {
            Self::Done => WireOutcome::Done,
            Self::Count(count) | Self::Number(Number(count)) => WireOutcome::Count(count),
            Self::Data(content) => WireOutcome::Data(content.into_bytes()),
            Self::File(file) => WireOutcome::File(push(table, file)?),
            Self::Dir(dir) => WireOutcome::Dir(push(table, dir)?),
            Self::Status(status) => WireOutcome::Status(status),
            Self::Names(names) => WireOutcome::Names(names),
            Self::Scan(scan) => WireOutcome::Scan(scan),
            Self::Volume(volume) => WireOutcome::Volume(volume),
            Self::Extents(extents) => WireOutcome::Extents(extents),
            Self::Text(text) => WireOutcome::Text(text),
            Self::Listing(listing) => WireOutcome::Listing(listing),
            Self::Walker(walker) => WireOutcome::Walker(push(table, walker)?),
            Self::Walked(walked) => WireOutcome::Walked(walked.entries),
            Self::Locked(locked) => {
                locked.keep();
                WireOutcome::Done
            }
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
    fn bytes_moved(&self) -> u64 {
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

impl Answer for u64 {
    type Wire = Self;

    fn into_output(self) -> Output {
        Output::Count(self)
    }

    fn from_output(output: Output) -> Option<Self> {
        if let Output::Count(count) = output { Some(count) } else { None }
    }

    fn into_wire(self, _table: &mut ResourceTable) -> Result<Self> {
        Ok(self)
    }

    fn bytes_moved(&self) -> u64 {
        *self
    }
}

/// A number that tells of no bytes that were moved: a place in a file, or how many names there were.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub(crate) u64);

impl Answer for Number {
    type Wire = u64;

    fn into_output(self) -> Output {
        Output::Number(self)
    }

    fn from_output(output: Output) -> Option<Self> {
        if let Output::Number(number) = output { Some(number) } else { None }
    }

    fn into_wire(self, _table: &mut ResourceTable) -> Result<u64> {
        Ok(self.0)
    }
}

plain_answer! {
    Status => Status,
    Vec<String> => Names,
    Scan => Scan,
    Volume => Volume,
    Vec<Extent> => Extents,
    String => Text,
    Listing => Listing,
}

impl Answer for Content {
    type Wire = Vec<u8>;

    fn into_output(self) -> Output {
        Output::Data(self)
    }

    fn from_output(output: Output) -> Option<Self> {
        if let Output::Data(content) = output { Some(content) } else { None }
    }

    fn into_wire(self, _table: &mut ResourceTable) -> Result<Self::Wire> {
        Ok(self.into_bytes())
    }

    fn bytes_moved(&self) -> u64 {
        u64::try_from(self.len()).unwrap_or(u64::MAX)
    }
}

impl Answer for Vec<u8> {
    type Wire = Self;

    fn into_output(self) -> Output {
        Output::Data(self.into())
    }

    fn from_output(output: Output) -> Option<Self> {
        if let Output::Data(content) = output { Some(content.into_bytes()) } else { None }
    }

    fn into_wire(self, _table: &mut ResourceTable) -> Result<Self> {
        Ok(self)
    }

    fn bytes_moved(&self) -> u64 {
        u64::try_from(self.len()).unwrap_or(u64::MAX)
    }
}

impl Answer for Locked {
    type Wire = ();

    fn into_output(self) -> Output {
        Output::Locked(self)
    }

    fn from_output(output: Output) -> Option<Self> {
        if let Output::Locked(locked) = output { Some(locked) } else { None }
    }

    fn into_wire(self, _table: &mut ResourceTable) -> Result<()> {
        self.keep();
        Ok(())
    }
}

impl Answer for Walked {
    type Wire = Vec<WalkEntry>;

    fn into_output(self) -> Output {
        Output::Walked(self)
    }

    fn from_output(output: Output) -> Option<Self> {
        if let Output::Walked(walked) = output { Some(walked) } else { None }
    }

    fn into_wire(self, _table: &mut ResourceTable) -> Result<Self::Wire> {
        Ok(self.entries)
    }
}

/// A guest on the scheduler.
pub(crate) type Member = Membership<Result<Output>>;

/// A request that the guest holds a handle of.
#[derive(Debug)]
pub struct RequestHandle {
    pub(crate) id: RequestId,
    /// Whether its result was taken: then nothing is left of it but this.
    pub(crate) is_taken: bool,
}

/// A group that the guest holds a handle of.
#[derive(Debug)]
pub struct GroupHandle {
    pub(crate) id: GroupId,
}
