//! Looking for a moment whether what is waited for comes, before going to sleep: to wake a thread costs more than most requests
//! do.
//!
//! It is done only where it pays and where a processor is free. Whether it pays is known from the waits before; whether a
//! processor is free is seen by offering it to others while looking.

use std::future::{Future, poll_fn};
use std::hint::spin_loop;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::yield_now;
use std::time::{Duration, Instant};

/// How long it is looked for at most. 40 µs: what it takes to put a thread to sleep and to wake it on a machine that has gone idle.
const LOOK: Duration = Duration::from_micros(40);

/// How long a thread is gone that gave up its processor while nobody wanted it. 20 µs: ten times what that takes.
const GONE: Duration = Duration::from_micros(20);

/// How often it is looked before the processor is offered to others. 16: less than half a microsecond.
const LOOKS: u32 = 16;

/// Waits that went well and are remembered, at most.
const CREDIT_MAX: u32 = 16;

/// What a wait costs for which it was looked in vain, in waits that went well: so a fifth of all at most is in vain.
const IN_VAIN: u32 = 4;

/// How long a future is polled again and again before its executor has a turn. 1 ms: a turn costs a ten-thousandth of it.
const TURN: Duration = Duration::from_millis(1);

/// Whether looking has paid lately.
#[derive(Debug, Default)]
pub(crate) struct Spin {
    credit: AtomicU32,
}

impl Spin {
    /// Whether it may pay to look.
    pub(crate) fn pays(&self) -> bool {
        cfg!(feature = "model") || self.credit.load(Ordering::Relaxed) > 0
    }

    /// Looks whether what is waited for has come, as long as that pays. False if it has not: then the thread is to sleep.
    pub(crate) fn look(&self, mut has_come: impl FnMut() -> bool) -> bool {
        let credit = self.credit.load(Ordering::Relaxed);
        if credit == 0 {
            return false;
        }
        let start = Instant::now();
        let mut last = start;
        loop {
            for _ in 0..LOOKS {
                if has_come() {
                    self.credit.store(CREDIT_MAX.min(credit + 1), Ordering::Relaxed);
                    return true;
                }
                spin_loop();
            }
            yield_now();
            let now = Instant::now();
            if now - last >= GONE {
                self.credit.store(0, Ordering::Relaxed);
                return has_come();
            }
            if now - start >= LOOK {
                self.credit.store(credit.saturating_sub(IN_VAIN), Ordering::Relaxed);
                return false;
            }
            last = now;
        }
    }

    /// What the thread has slept for has come, after this time.
    pub(crate) fn slept(&self, time: Duration) {
        if time < LOOK {
            self.credit.store(CREDIT_MAX.min(self.credit.load(Ordering::Relaxed) + 1), Ordering::Relaxed);
        }
    }
}

/// Runs a future on a thread that has nothing else to do: it looks for what the future waits for before the thread is given back.
///
/// The executor has its turn all the same, to see that a time is up or that the future is wanted no more: after a millisecond, and
/// whenever the future asks for that by calling before it waits.
pub(crate) async fn on_own_thread<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let spin = Spin::default();
    let call = Arc::new(LookingWaker::default());
    let waker = Waker::from(Arc::clone(&call));
    let mut asleep: Option<Instant> = None;
    poll_fn(|cx| {
        let begun = Instant::now();
        if let Some(since) = asleep.take() {
            spin.slept(since.elapsed());
        }
        loop {
            call.state.store(AWAKE, Ordering::SeqCst);
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(output);
            }
            if call.has_come() || begun.elapsed() >= TURN {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !spin.look(|| call.has_come()) && call.sleep(cx.waker()) {
                asleep = Some(Instant::now());
                return Poll::Pending;
            }
        }
    })
    .await
}

/// The future is being polled, or looked after.
const AWAKE: u8 = 0;
/// It is to be polled again.
const CALLED: u8 = 1;
/// The thread was given back, and has to be woken.
const ASLEEP: u8 = 2;

/// What wakes a future that is looked after, and the thread only where that sleeps.
#[derive(Default)]
struct LookingWaker {
    state: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

impl LookingWaker {
    fn has_come(&self) -> bool {
        self.state.load(Ordering::Relaxed) == CALLED
    }

    /// False if somebody has called meanwhile.
    fn sleep(&self, waker: &Waker) -> bool {
        let mut own = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if own.as_ref().is_none_or(|own| !own.will_wake(waker)) {
            *own = Some(waker.clone());
        }
        drop(own);
        self.state.compare_exchange(AWAKE, ASLEEP, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

impl Wake for LookingWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(CALLED, Ordering::SeqCst) == ASLEEP {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// Runs a future on this thread, for tests.
#[cfg(test)]
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn it_is_looked_only_after_waits_that_were_short() {
        let spin = Spin::default();
        let looks = |spin: &Spin| {
            let mut looks = 0;
            let found = spin.look(|| {
                looks += 1;
                false
            });
            assert!(!found);
            looks > 0
        };
        assert!(!looks(&spin), "nothing is known yet");
        spin.slept(LOOK);
        assert!(!looks(&spin), "that would have been in vain");
        spin.slept(LOOK / 2);
        assert!(looks(&spin));
        assert!(!looks(&spin), "it was in vain");
    }

    #[test]
    fn what_is_there_is_found_and_counts() {
        let spin = Spin::default();
        spin.slept(Duration::ZERO);
        for _ in 0..100 {
            assert!(spin.look(|| true));
        }
        assert_eq!(spin.credit.load(Ordering::Relaxed), CREDIT_MAX);
        // However much credit there is, it is used up.
        let vain = (0..100).take_while(|_| spin.credit.load(Ordering::Relaxed) > 0 && !spin.look(|| false)).count();
        assert!((1..=4).contains(&vain), "{vain}");
    }

    #[test]
    fn the_executor_has_its_turn_when_a_future_yields_and_in_the_middle_of_quick_answers() {
        let mut yielding = pin!(on_own_thread(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        })));
        for _ in 0..10 {
            assert!(yielding.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let (questions, asked) = mpsc::channel::<Waker>();
        let answering = std::thread::spawn(move || asked.iter().for_each(Waker::wake));
        // Without a turn it would go on for ever.
        let mut answered = pin!(on_own_thread(ask(questions, usize::MAX)));
        for _ in 0..10 {
            assert!(answered.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        answered.set(on_own_thread(ask(mpsc::channel().0, 0)));
        answering.join().expect("it has no reason to panic");
    }

    /// A future that is ready once another thread has answered, for each question.
    fn ask(questions: mpsc::Sender<Waker>, times: usize) -> impl Future<Output = usize> {
        let mut asked = 0;
        poll_fn(move |cx| {
            if asked == times {
                return Poll::Ready(asked);
            }
            asked += 1;
            questions.send(cx.waker().clone()).expect("somebody answers");
            Poll::Pending
        })
    }

    #[test]
    fn no_call_is_missed_while_it_looks_or_sleeps() {
        let (questions, asked) = mpsc::channel::<Waker>();
        let answering = std::thread::spawn(move || {
            for (number, waker) in asked.iter().enumerate() {
                // Now and then later than it is looked for.
                if number % 50 == 0 {
                    let since = Instant::now();
                    while since.elapsed() < 2 * LOOK {
                        yield_now();
                    }
                }
                waker.wake();
            }
        });
        assert_eq!(block_on(on_own_thread(ask(questions, 10_000))), 10_000);
        answering.join().expect("it has no reason to panic");
    }
}
