//! The worker threads: started as requests wait, gone when they have had nothing to do.
//!
//! The first few workers start at once when there is work for them. Beyond these a *standby* watches how long requests wait,
//! and takes part once that is too long, with a new standby in its place. So short requests are served by few threads, and
//! slow devices get many.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::counters::{Counters, Tally};
use super::crew::Crew;
use super::guest::Guest;
use super::lanes::Priority;
use super::requests::Started;
use super::sync::{Condvar, JoinHandle, Mutex, MutexGuard, has_ended, thread};
use super::ticket::Ticket;
use super::turns::{Seat, Turns};
use super::work::{Flow, RequestId};
use crate::error::Error;
use crate::limits::{IDLE_TIMEOUT, QUEUE_DELAY, WORKERS_START};

/// Something for a worker to do, and since when it waits.
type Item = (Task, Instant);

enum Task {
    Request(RequestId),
    /// To help with a request that is on another worker.
    Help(Arc<Crew>),
}

struct State {
    turns: Turns<Arc<Guest>, Item>,
    /// Threads, the standby among them.
    workers: usize,
    /// Threads that wait for work and have not been woken.
    idle: usize,
    /// Threads that were woken and have not looked yet.
    woken: usize,
    standby: Standby,
    closing: bool,
    /// What guests that are gone did on their own threads.
    departed: Counters,
    /// Threads that may not be gone yet, for whoever waits for the end.
    threads: Vec<JoinHandle<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standby {
    None,
    Asleep,
    Watching,
}

/// The workers of one engine.
pub(crate) struct Pool {
    state: Mutex<State>,
    work: Condvar,
    watch: Condvar,
    ended: Condvar,
    clock: Clock,
    tally: Arc<Tally>,
    workers_max: usize,
    idle_timeout: Duration,
}

impl Pool {
    pub(crate) fn new(workers_max: usize) -> Arc<Self> {
        Self::with_idle_timeout(workers_max, IDLE_TIMEOUT)
    }

    pub(crate) fn with_idle_timeout(workers_max: usize, idle_timeout: Duration) -> Arc<Self> {
        let workers_max = workers_max.max(1);
        let state = State {
            turns: Turns::new(workers_max),
            workers: 0,
            idle: 0,
            woken: 0,
            standby: Standby::None,
            closing: false,
            departed: Counters::default(),
            threads: Vec::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            watch: Condvar::new(),
            ended: Condvar::new(),
            clock: Clock::default(),
            tally: Arc::default(),
            workers_max,
            idle_timeout,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Requests run outside of the lock, so no panic of theirs poisons it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    pub(super) fn join(&self, guest: Arc<Guest>, weight: u32) -> Seat {
        self.state().turns.join(guest, weight)
    }

    pub(super) fn leave(&self, seat: Seat, guest: &Guest) {
        let lanes = {
            let mut state = self.state();
            state.departed.add(guest.inline().counters());
            state.turns.leave(seat)
        };
        drop(lanes);
        self.clock.remove(seat);
    }

    pub(super) fn push(self: &Arc<Self>, seat: Seat, priority: Priority, id: RequestId, now: Instant) {
        self.push_all(seat, [(priority, Task::Request(id))], now);
    }

    /// Calls workers to help with a request.
    pub(super) fn call_crew(self: &Arc<Self>, seat: Seat, priority: Priority, crew: &Arc<Crew>, helpers: usize) {
        self.push_all(seat, (0..helpers).map(|_| (priority, Task::Help(Arc::clone(crew)))), Instant::now());
    }

    fn push_all(self: &Arc<Self>, seat: Seat, tasks: impl IntoIterator<Item = (Priority, Task)>, now: Instant) {
        let mut state = self.state();
        let refused: Vec<Item> =
            tasks.into_iter().filter_map(|(priority, task)| state.turns.push(seat, priority, (task, now))).collect();
        self.call_workers(&mut state);
        drop(state);
        // What is dropped here is of a guest that is gone; its requests have been answered.
        drop(refused);
    }

    /// Sets when the clock looks at the timers of a guest.
    pub(super) fn set_alarm(self: &Arc<Self>, seat: Seat, guest: &Arc<Guest>, at: Instant) {
        let needs_thread = self.clock.set(seat, guest, at);
        // It may have gone, and its alarm with it, after the time was read off its timers.
        if guest.is_gone() {
            self.clock.remove(seat);
        }
        if needs_thread {
            let started = self.start_thread(&mut self.state(), "aiohost-clock", |pool| {
                pool.clock.run(pool.idle_timeout, |seat, guest| pool.ring(seat, guest));
            });
            if !started {
                self.clock.has_no_thread();
            }
        }
    }

    /// A guest's alarm has come.
    fn ring(self: &Arc<Self>, seat: Seat, guest: &Arc<Guest>) {
        let (resumed, alarm) = guest.tick();
        let tasks = resumed.into_iter().map(|(priority, id)| (priority, Task::Request(id)));
        self.push_all(seat, tasks, Instant::now());
        if let Some(at) = alarm {
            self.set_alarm(seat, guest, at);
        }
    }

    /// How many requests of all guests are where, those of guests that are gone too.
    pub(crate) fn counters(&self) -> Counters {
        let state = self.state();
        let mut counters = state.departed;
        counters.add(self.tally.counters());
        for guest in state.turns.guests() {
            counters.add(guest.inline().counters());
        }
        counters
    }

    /// Sees to it that somebody will serve what is queued.
    fn call_workers(self: &Arc<Self>, state: &mut State) {
        if state.woken > 0 {
            // One is on its way; it calls the next one if there is more to do. So a burst costs one wake-up, not one each.
        } else if state.idle > 0 {
            state.idle -= 1;
            state.woken += 1;
            self.work.notify_one();
        } else if state.workers < WORKERS_START.min(self.workers_max) {
            self.start_worker(state, Self::serve);
        } else if state.standby == Standby::Asleep {
            state.standby = Standby::Watching;
            self.watch.notify_one();
        } else if state.standby == Standby::None && state.workers < self.workers_max {
            state.standby = Standby::Watching;
            if !self.start_worker(state, Self::stand_by) {
                state.standby = Standby::None;
            }
        }
    }

    fn start_worker(self: &Arc<Self>, state: &mut State, run: fn(&Arc<Self>)) -> bool {
        let started = self.start_thread(state, "aiohost-worker", run);
        state.workers += usize::from(started);
        started
    }

    /// A thread that cannot be started is no error while there is another: the queue is served more slowly.
    fn start_thread(self: &Arc<Self>, state: &mut State, name: &str, run: fn(&Arc<Self>)) -> bool {
        let pool = Arc::clone(self);
        match thread::Builder::new().name(name.to_owned()).spawn(move || run(&pool)) {
            Ok(thread) => {
                state.threads.retain(|thread| !has_ended(thread));
                state.threads.push(thread);
            }
            Err(error) => {
                tracing::error!(%error, workers = state.workers, "cannot start a thread");
                return false;
            }
        }
        true
    }

    /// A worker's life: serve until there has been nothing to do for long enough.
    fn serve(self: &Arc<Self>) {
        let mut state = self.state();
        loop {
            if let Some((seat, guest, (task, _))) = state.turns.pop() {
                if state.turns.has_work() {
                    self.call_workers(&mut state);
                }
                drop(state);
                match task {
                    Task::Request(id) => self.run(seat, guest, id),
                    Task::Help(crew) => crew.help(),
                }
                state = self.state();
                state.turns.done(seat);
                continue;
            }
            if state.closing {
                return self.end(state);
            }
            state.idle += 1;
            let deadline = Instant::now() + self.idle_timeout;
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                if state.woken > 0 {
                    // Whoever woke this thread has taken it off the idle ones. Work may have come with the timeout, so this
                    // is looked at first.
                    state.woken -= 1;
                    break;
                }
                if state.closing {
                    state.idle -= 1;
                    break;
                }
                if Instant::now() >= deadline {
                    state.idle -= 1;
                    return self.end(state);
                }
            }
        }
    }

    /// The standby's life: watch the queue, and become a worker when a request has waited too long.
    fn stand_by(self: &Arc<Self>) {
        let mut state = self.state();
        loop {
            if state.closing {
                state.standby = Standby::None;
                break;
            }
            let oldest = state.turns.heads().map(|(_, submitted)| *submitted).min();
            let wait = match oldest {
                Some(submitted) => {
                    let age = submitted.elapsed();
                    if age >= QUEUE_DELAY {
                        state.standby = Standby::None;
                        break;
                    }
                    state.standby = Standby::Watching;
                    QUEUE_DELAY - age
                }
                None => {
                    state.standby = Standby::Asleep;
                    self.idle_timeout
                }
            };
            let (guard, timeout) = self.watch.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if timeout.timed_out() && state.standby == Standby::Asleep && !state.turns.has_work() {
                state.standby = Standby::None;
                return self.end(state);
            }
        }
        drop(state);
        self.serve();
    }

    /// A thread ends. It is taken off the books under the lock under which it decided to, so that no request counts on it.
    fn end(&self, mut state: MutexGuard<'_, State>) {
        state.workers -= 1;
        self.ended.notify_all();
    }

    /// Tells the workers to end when what is queued is done.
    pub(crate) fn close(&self) {
        self.state().closing = true;
        self.work.notify_all();
        self.watch.notify_all();
        self.clock.close();
    }

    /// Waits until every worker has ended, or the time is up; tells whether they have.
    pub(crate) fn wait_closed(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let state = self.state();
        let waited = self.ended.wait_timeout_while(state, timeout, |state| state.workers > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let workers = state.workers;
        drop(state);
        if workers > 0 || !self.clock.wait_closed(deadline.saturating_duration_since(Instant::now())) {
            return false;
        }
        let mut state = self.state();
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        for thread in threads {
            // It has nothing left to do but to end. A panic of the pool's own code was reported when it happened.
            let _ = thread.join();
        }
        true
    }

    /// How many threads there are.
    pub(crate) fn workers(&self) -> usize {
        self.state().workers
    }

    /// Runs one request. A panic is that request's error, and the worker lives on.
    fn run(self: &Arc<Self>, seat: Seat, guest: Arc<Guest>, id: RequestId) {
        let Some(Started { mut work, priority, steps }) = guest.start(id) else { return };
        let ticket = Ticket { guest, pool: Arc::clone(self), seat, id, priority, steps };
        let flow = catch_unwind(AssertUnwindSafe(|| work(&ticket))).unwrap_or_else(|_| {
            tracing::error!(id = id.value(), "a request panicked; please report this");
            Flow::Done(Err(Error::IO))
        });
        match flow {
            Flow::Done(result) => {
                // What it holds is given back before anybody is told that it is done.
                drop(work);
                ticket.guest.finish(id, result);
            }
            Flow::Again(delay) => {
                if let Some(at) = ticket.guest.park(id, work, delay) {
                    self.set_alarm(seat, &ticket.guest, at);
                }
            }
        }
    }
}
