//! The worker threads: started as requests wait, gone when they have had nothing to do.
//!
//! The first few workers start at once when there is work for them. Beyond these a *standby* watches how long requests wait,
//! and takes part once that is too long, with a new standby in its place. So short requests are served by few threads, and
//! slow devices get many. A guest of which nothing runs does not wait for that: the last free thread is kept for it where there are
//! several guests, and where there is none the standby takes part at once.

mod performing;
mod queueing;
mod running;
mod staff_guard;
mod staffing;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use self::running::InHand;
use self::staff_guard::{Calls, StaffGuard};
use super::account::Account;
use super::afterwards::Rest;
use super::clock::Clock;
use super::counters::Counters;
use super::headcount::{ACTIVE, Counted};
use super::ids::RequestId;
use super::outcome::{Help, Outcome};
use super::sync::{Condvar, JoinHandle, Mutex, has_ended, look, thread};
use super::turns::{Seat, Turns};
use crate::budget::Reservation;
use crate::limits::IDLE_TIMEOUT;
use crate::spin::Spin;

#[cfg(test)]
pub(super) use self::running::TIME_SLICE;

/// When the clock comes again to a guest whose lock somebody had. 1 ms: no lock is held for a tenth of it.
const CLOCK_RETRY: Duration = Duration::from_millis(1);

/// How long a request runs at most for which no second worker is woken. 2 µs: what it takes a guest to submit one, and less than it
/// takes to wake a thread. So one worker keeps up with a guest, and has its locks to itself.
const BRIEF: Duration = Duration::from_micros(2);

/// How many of them there are in a row before the next one is taken for brief. 16: one that is not may hold up the others until the
/// standby comes, a millisecond at most.
const BRIEF_RUN: u32 = 16;

/// Something for a worker to do, and since when it waits.
type Item<R> = (Task<R>, Instant);

/// What a worker does next, and for whom.
type Next<R> = (Seat, Arc<Account<R>>, Item<R>);

enum Task<R: Outcome> {
    Request {
        id: RequestId,
        begun: bool,
    },
    /// To help with a request that is on another worker. It counts as being on its way.
    Help(Box<InHand<R>>, Help, Counted<ACTIVE>),
    /// To drop what may take time; the reservation stands for that.
    Clear(Rest, Reservation),
}

impl<R: Outcome> Task<R> {
    /// Whether it is run also when its guest is gone: what has begun clears up.
    fn has_begun(&self) -> bool {
        match self {
            Self::Request { begun, .. } => *begun,
            Self::Help(..) | Self::Clear(..) => true,
        }
    }
}

/// The threads and what they have to do.
struct Staff<R: Outcome> {
    turns: Turns<Arc<Account<R>>, Item<R>>,
    /// Threads, the standby among them.
    workers: usize,
    /// Threads that wait for work and have not been woken.
    idle: usize,
    /// Threads that were woken and have not looked yet.
    woken: usize,
    /// Whether a thread that has found nothing looks for a moment whether something comes.
    is_looked: bool,
    /// How many requests in a row were brief, up to [`BRIEF_RUN`].
    brief: u32,
    /// When the last thread went to sleep, if none was woken since.
    asleep_since: Option<Instant>,
    standby: Standby,
    /// Whom whoever has the lock calls when it gives it up.
    calls: Calls,
    /// Whether somebody does what is queued because no thread can be had.
    has_substitute: bool,
    /// Whether a thread could not be started, which was said then.
    is_short_of_threads: bool,
    closing: bool,
    /// What became of the requests of guests that are gone.
    departed: Counters,
    /// Threads that may not be gone yet, for whoever waits for the end.
    threads: Vec<JoinHandle<()>>,
}

impl<R: Outcome> Staff<R> {
    /// Whether a thread that has found nothing may look for more: one at a time, and where something runs on another one, that one
    /// may.
    fn may_look(&self) -> bool {
        !self.is_looked && self.turns.running() == 0
    }

    /// Nothing of a guest that is gone will come again.
    fn note_departed(&mut self, guest: Option<Arc<Account<R>>>) {
        if let Some(guest) = guest {
            self.departed.add(guest.counters());
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standby {
    None,
    Asleep,
    Watching,
    /// It is to serve at once.
    Called,
}

/// The workers of one engine.
pub(crate) struct Pool<R: Outcome> {
    staff: Mutex<Staff<R>>,
    /// What is queued, to be looked at without the lock.
    queued: AtomicUsize,
    work: Condvar,
    watch: Condvar,
    ended: Condvar,
    spin: Spin,
    clock: Clock<R>,
    workers_max: usize,
    idle_timeout: Duration,
    spawn: Spawn,
}

/// How a thread is started.
pub(super) type Spawn = fn(thread::Builder, Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>;

pub(super) fn spawn(thread: thread::Builder, run: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    thread.spawn(run)
}

impl<R: Outcome> Pool<R> {
    pub(crate) fn new(workers_max: usize) -> Arc<Self> {
        Self::with(workers_max, IDLE_TIMEOUT, spawn)
    }

    pub(super) fn with(workers_max: usize, idle_timeout: Duration, spawn: Spawn) -> Arc<Self> {
        let workers_max = workers_max.max(1);
        let staff = Staff {
            turns: Turns::new(workers_max),
            workers: 0,
            idle: 0,
            woken: 0,
            is_looked: false,
            brief: 0,
            asleep_since: None,
            standby: Standby::None,
            calls: Calls::default(),
            has_substitute: false,
            is_short_of_threads: false,
            closing: false,
            departed: Counters::default(),
            threads: Vec::new(),
        };
        Arc::new(Self {
            staff: Mutex::new(staff),
            queued: AtomicUsize::new(0),
            work: Condvar::new(),
            watch: Condvar::new(),
            ended: Condvar::new(),
            spin: Spin::default(),
            clock: Clock::default(),
            workers_max,
            idle_timeout,
            spawn,
        })
    }

    fn staff(&self) -> StaffGuard<'_, R> {
        // Requests run outside of the lock, so no panic of theirs poisons it.
        StaffGuard::new(self, self.staff.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether anything waits for a worker.
    pub(super) fn has_queue(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > 0
    }

    pub(super) fn join(&self, account: Arc<Account<R>>, weight: u32) -> Seat {
        self.staff().turns.join(account, weight)
    }

    pub(super) fn leave(&self, seat: Seat) {
        let dropped = {
            let mut staff = self.staff();
            let (dropped, freed) = staff.turns.leave(seat, |(task, _)| task.has_begun(), Self::is_over);
            staff.note_departed(freed);
            self.queued.store(staff.turns.queued(), Ordering::Relaxed);
            dropped
        };
        drop(dropped);
        self.clock.remove(seat);
    }

    /// Whether no request of a guest will come again.
    fn is_over(account: &Arc<Account<R>>) -> bool {
        !account.has_begun()
    }

    /// Sets when the clock looks at the timers of a guest.
    pub(super) fn set_alarm(self: &Arc<Self>, seat: Seat, account: &Arc<Account<R>>, at: Instant) {
        let needs_thread = self.clock.set(seat, account, at);
        // It may have gone, and its alarm with it, after the time was read off its timers.
        if account.is_gone() {
            self.clock.remove(seat);
        }
        if needs_thread {
            let started = self.start_thread(&mut self.staff(), "aiohost-clock", |pool| {
                pool.clock.run(pool.idle_timeout, |seat, account| pool.ring(seat, account));
            });
            if !started {
                self.clock.has_no_thread();
            }
        }
    }

    /// A guest's alarm has come. If more is due, or somebody has its lock, the clock comes again after the others.
    fn ring(self: &Arc<Self>, seat: Seat, account: &Arc<Account<R>>) {
        let now = Instant::now();
        let Some((after, alarm)) = account.try_tick() else {
            return self.set_alarm(seat, account, now + CLOCK_RETRY);
        };
        self.carry_out(seat, account, after);
        if let Some(at) = alarm {
            self.set_alarm(seat, account, at.max(now));
        }
    }

    /// Number of requests of all guests in each state, including guests that are gone.
    pub(crate) fn counters(&self) -> Counters {
        let (mut counters, guests) = {
            let staff = self.staff();
            (staff.departed, staff.turns.guests().cloned().collect::<Vec<_>>())
        };
        guests.iter().for_each(|account| counters.add(account.counters()));
        counters
    }

    /// A thread that cannot be started is no error while there is another: the queue is served more slowly.
    fn start_thread(self: &Arc<Self>, staff: &mut Staff<R>, name: &str, run: fn(&Arc<Self>)) -> bool {
        let pool = Arc::clone(self);
        match (self.spawn)(thread::Builder::new().name(name.to_owned()), Box::new(move || run(&pool))) {
            Ok(thread) => {
                staff.threads.retain(|thread| !has_ended(thread));
                staff.threads.push(thread);
            }
            Err(error) => {
                // Once: how often it is tried is up to guests.
                if !std::mem::replace(&mut staff.is_short_of_threads, true) {
                    tracing::error!(%error, workers = staff.workers, "cannot start a thread; what is queued is served more slowly");
                }
                return false;
            }
        }
        true
    }

    fn serve_one<'a>(self: &'a Arc<Self>, staff: StaffGuard<'a, R>, next: Next<R>) -> StaffGuard<'a, R> {
        self.queued.store(staff.turns.queued(), Ordering::Relaxed);
        drop(staff);
        let (seat, account, (task, _)) = next;
        let ran = self.perform(seat, account, task);
        let mut staff = self.staff();
        if let Some(ran) = ran {
            staff.brief = if ran < BRIEF { BRIEF_RUN.min(staff.brief + 1) } else { 0 };
        }
        let freed = staff.turns.done(seat, Self::is_over);
        staff.note_departed(freed);
        staff
    }

    /// A worker's life: serve until there has been nothing to do for long enough.
    fn serve(self: &Arc<Self>) {
        let mut staff = self.staff();
        let mut has_looked = false;
        loop {
            if let Some(next) = staff.turns.pop() {
                has_looked = false;
                if staff.turns.has_work() {
                    self.call_workers(&mut staff);
                }
                staff = self.serve_one(staff, next);
                continue;
            }
            if staff.closing {
                return self.end(staff);
            }
            // What has come while it was looked called nobody, so the queue is asked again.
            if !std::mem::replace(&mut has_looked, true) && staff.may_look() && self.spin.pays() {
                staff = self.look(staff);
                continue;
            }
            has_looked = false;
            staff.idle += 1;
            let since = Instant::now();
            staff.asleep_since = Some(since);
            let deadline = since + self.idle_timeout;
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                staff = staff.wait(&self.work, left).0;
                if staff.woken > 0 {
                    // Whoever woke this thread has taken it off the idle ones. Work may have come with the timeout, so this
                    // is looked at first.
                    staff.woken -= 1;
                    break;
                }
                if staff.closing {
                    staff.idle -= 1;
                    break;
                }
                if Instant::now() >= deadline {
                    staff.idle -= 1;
                    return self.end(staff);
                }
            }
        }
    }

    /// Looks for a moment whether something comes, if that pays: whoever brings it need not wake anybody then.
    fn look<'a>(&'a self, mut staff: StaffGuard<'a, R>) -> StaffGuard<'a, R> {
        staff.is_looked = true;
        drop(staff);
        look(&self.spin, || self.has_queue());
        let mut staff = self.staff();
        staff.is_looked = false;
        staff
    }

    /// A thread ends. It stops being counted under the lock under which it decided to end, so that no request relies on it.
    fn end(&self, mut staff: StaffGuard<'_, R>) {
        staff.workers -= 1;
        self.ended.notify_all();
    }

    /// Tells the workers to end when what is queued is done.
    pub(crate) fn close(&self) {
        self.staff().closing = true;
        self.work.notify_all();
        self.watch.notify_all();
        self.clock.close();
    }

    /// Waits until every worker has ended, or the time is up; tells whether they have.
    pub(crate) fn wait_closed(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let left = || deadline.map_or(timeout, |deadline| deadline.saturating_duration_since(Instant::now()));
        let threads = loop {
            let (staff, _) = self.staff().wait_while(&self.ended, left(), |staff| staff.workers > 0);
            let is_done = staff.workers == 0;
            drop(staff);
            if !is_done || !self.clock.wait_closed(left()) {
                return false;
            }
            // The clock may have called a worker before it ended, and that may have started the clock anew before it ended itself.
            let mut staff = self.staff();
            if staff.workers == 0 && !self.clock.is_running() {
                break std::mem::take(&mut staff.threads);
            }
        };
        for thread in threads {
            // It has nothing left to do but to end. A panic of the pool's own code was reported when it happened.
            let _ = thread.join();
        }
        true
    }

    /// How many threads there are.
    pub(crate) fn workers(&self) -> usize {
        self.staff().workers
    }
}
