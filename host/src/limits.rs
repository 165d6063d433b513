//! The limits of guests, requests and engines, with their defaults and reasons. A limit of one part alone is a constant in its file.

use std::time::Duration;

/// What one guest may have. Each value has a default that suits an untrusted plugin; see [`Limits::default`].
///
/// The store that the guest runs in enforces the limits of its memory and time, which [`Limits::apply`] sets, and the
/// [`AioCtx`](crate::AioCtx) those of its requests. `Host` sets both for its guests.
///
/// ```
/// use aiohost::{Limits, RequestLimits};
///
/// let requests = RequestLimits { open_files_max: 16, ..RequestLimits::default() };
/// let limits = Limits { memory_bytes_max: 64 << 20, requests, ..Limits::default() };
/// assert_eq!(limits.requests.in_flight_max, 4096);
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of linear memory, all memories of a guest together. 1 GiB: a quarter of what wasm32 can address, and far more than a
    /// plugin needs that works on files in pieces.
    pub memory_bytes_max: usize,
    /// Elements of all tables of a guest together. 100,000: the largest table seen, CPython's, has 12,000.
    pub table_elements_max: usize,
    /// How long a run or a call may take. None: only the operator knows what is too long.
    pub timeout: Option<Duration>,
    /// Bytes that one call may pass from guest to host, as `write` does. 16 MiB; more ends the guest, since the component model has
    /// no other answer.
    pub hostcall_bytes_max: usize,
    /// What its requests may have.
    pub requests: RequestLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 1 << 30,
            table_elements_max: 100_000,
            timeout: None,
            hostcall_bytes_max: 16 << 20,
            requests: RequestLimits::default(),
        }
    }
}

/// What the requests of one guest, its files and its paths may have: all that an [`AioCtx`](crate::AioCtx) enforces, in any store.
///
/// ```
/// let limits = aiohost::RequestLimits { open_files_max: 16, ..Default::default() };
/// assert_eq!(limits.in_flight_max, 4096);
/// ```
#[derive(Clone, Debug)]
pub struct RequestLimits {
    /// Requests that wait for a worker or are on one. 4,096: over four times what the fastest disks make use of. A guest that
    /// makes more is suspended until one is done.
    pub in_flight_max: usize,
    /// Requests whose handle the guest holds, including those that are done. 10,000; more ends the guest.
    pub requests_max: usize,
    /// Groups whose handle the guest holds. 1,000; more ends the guest.
    pub groups_max: usize,
    /// Calls that wait until they may have more in flight. 10,000, as many as there may be handles of requests; more fail with
    /// `would-block`.
    pub waiting_calls_max: usize,
    /// Bytes that requests under way and results not yet taken may hold. 256 MiB. A request that would exceed it waits, as for a
    /// place in the queue, as long as the guest has other requests under way; otherwise it fails with `would-block`.
    pub bytes_in_flight_max: usize,
    /// Files and directories open at a time. 1,024: the usual limit of a Unix process. More fail with `too-many-open-files`.
    ///
    /// Requests on whole files and on trees open files themselves. These count too, and may be half of the limit at most; such
    /// requests wait for each other. If there is no room because of files that the guest itself has open, one such request at a
    /// time still runs.
    pub open_files_max: usize,
    /// Bytes that one `read` returns at most. 16 MiB: the guest names the number, so it is bounded before anything is
    /// allocated. To ask for more is not an error; the read is short.
    pub read_bytes_max: usize,
    /// Bytes of a path. 4,096, as `PATH_MAX` of Linux; more fail with `name-too-long`.
    pub path_bytes_max: usize,
    /// Entries that one answer lists. 1,000,000; more fail with `overflow`.
    pub entries_max: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            in_flight_max: 4096,
            requests_max: 10_000,
            groups_max: 1_000,
            waiting_calls_max: 10_000,
            bytes_in_flight_max: 256 << 20,
            open_files_max: 1024,
            read_bytes_max: 16 << 20,
            path_bytes_max: 4096,
            entries_max: 1_000_000,
        }
    }
}

/// Workers that one engine starts without looking at how long requests wait. 4: on cached data two are enough, and a
/// sleeping thread costs only its stack.
pub(crate) const WORKERS_START: usize = 4;

/// Workers that one engine has at most, unless set otherwise. 32: at 64 requests in flight on an uncached disk, 16 are
/// within 40 % of the best and 64 within 10 %.
pub(crate) const WORKERS_MAX: usize = 32;

/// Threads that one engine has at most, however many guests have something to do: each may have one beyond the workers. 512: a
/// thread that waits costs its stack and no more, and more guests than that have to share.
pub(crate) const THREADS_MAX: usize = 512;

/// Bytes that the requests of all guests of one engine may hold, unless set otherwise. 1 GiB: four guests that take all that each
/// may have.
pub(crate) const ENGINE_BYTES_MAX: usize = 1 << 30;

/// Descriptors that guests leave to the host itself, for its own files, sockets and threads. 256, or a quarter of what the process
/// may have.
pub(crate) const DESCRIPTORS_RESERVED: usize = 256;

/// How many groups there may be for each that the guest may hold a handle of: those whose handle was dropped stay until their
/// members are gone. 4.
pub(crate) const GROUPS_FOR_EACH_HANDLE: usize = 4;

/// How long a request waits before another worker is started for it. 1 ms: some ten times what a disk read takes, so that a
/// queue of short requests starts none.
pub(crate) const QUEUE_DELAY: Duration = Duration::from_millis(1);

/// How long a worker without work stays. 10 s, as in IO::AIO.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Locks that one handle has, adjacent ones of the same kind counted as one. 1,024: far more than programs have that lock records one by
/// one, and each is some 200 bytes of the kernel's memory. More fail with `no-lock`.
pub(crate) const LOCKS_MAX: usize = 1024;

/// Locks that one guest has on all of its handles together. 10,000: some 2 MB of the kernel's memory. More fail with `no-lock`.
pub(crate) const LOCKS_GUEST_MAX: usize = 10_000;

/// Times a lane is passed over before it is served next, after those that were passed over more often. 64: low priorities get at
/// least one turn in some 70.
pub(crate) const PASSED_OVER_MAX: u32 = 64;

/// How deeply groups may be nested. 16: what happens to a member is counted in each of them.
pub(crate) const GROUP_DEPTH_MAX: usize = 16;

/// Bytes that a request made of steps moves in one step, between two looks at whether it was canceled. 8 MiB: some
/// milliseconds.
pub(crate) const STEP_BYTES: u64 = 8 << 20;

/// Bytes that `blocking` moves on the guest's own thread at once. 1 MiB: some 200 µs, which others on the same thread wait.
pub(crate) const INLINE_CALL_BYTES_MAX: usize = 1 << 20;

/// Bytes that the result of one call of a guest may hold without being counted, where the guest gets it before it can make another
/// call. 16 KiB: less than the guest costs anyway; to count bytes that are held for a moment only would make a read of 4 KiB from
/// the page cache slower by a twentieth.
pub(crate) const UNBOOKED_BYTES_MAX: usize = 16 << 10;

/// Bytes that `submit` and `requests` move on the guest's own thread. 256 KiB: copying more takes longer than the hop to a
/// worker, where it overlaps with the guest. It counts what was asked for, and programs ask for more than small files have.
pub(crate) const INLINE_BYTES_MAX: usize = 256 << 10;

/// Directories that a request on a tree works on side by side, unless the guest says otherwise. 4, as in `aio_scandir`.
pub(crate) const TREE_WIDTH: usize = 4;

/// Directories that a request on a tree works on side by side, whatever the guest says. 16: half of the workers.
pub(crate) const TREE_WIDTH_MAX: usize = 16;

/// Directories that a request on a tree keeps open for what is below them. 16: deeper ones are opened anew on the way back.
pub(crate) const TREE_HANDLES_MAX: usize = 16;

/// Directories that a walk has found and not read yet, before it leaves directories half read. 4,096: some 1 MiB, counted for the
/// guest. The walk comes back to where it was.
pub(crate) const WALK_PENDING_MAX: usize = 4096;

/// Entries that one `walk-next` gives. 4,096: some 100 KiB, so that a hop to a worker is nothing against it.
pub(crate) const WALK_ENTRIES_MAX: usize = 4096;

/// Bytes of the paths that one `walk-next` gives. 1 MiB; only trees that are thousands of directories deep get there.
pub(crate) const WALK_BYTES_MAX: usize = 1 << 20;
