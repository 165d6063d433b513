//! Long random plans, which `tests/equivalence.rs` of the host makes and carries out a second time without this host.
//!
//! A line `round plain`, `round group` or `round cancel` begins steps that are in flight together, in a group perhaps, which is
//! canceled perhaps. Each further line is a step, `MANNER REQUEST ARGUMENT...`, and has one line of output. The manner is `-`,
//! `cancel`, `deadline` for one that has passed, or a priority. What `plans/steps.rs` has for the rest is what there is.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::bindings::aiohost::aio::blocking;
use crate::bindings::aiohost::aio::types::Group;
use crate::check::{fails, works};
use crate::face::{ErrorCode, Face};
use crate::flight::{self, Manner};
use steps::Handles;

mod state;
mod steps;

/// Carries out the plan in a file.
pub async fn run<F: Face>(path: &str) {
    let plan = works(blocking::load(None, path));
    let plan = String::from_utf8(plan).expect("a plan is text");
    let handles = Handles::default();
    for round in plan.split("round ").skip(1) {
        let mut lines = round.lines();
        let kind = lines.next().unwrap_or_default();
        let group = (kind != "plain").then(|| Rc::new(Group::new()));
        let steps = lines.map(|line| Step::new::<F>(line, group.as_ref(), &handles)).collect();
        let answers = together(steps, || {
            if let Some(group) = group.as_ref().filter(|_| kind == "cancel") {
                group.cancel();
            }
        });
        answers.await.into_iter().for_each(|answer| println!("{answer}"));
        if let Some(group) = &group {
            assert_counts(group, kind == "cancel");
        }
    }
    println!("end of plan");
}

/// Every member of a group is accounted for.
fn assert_counts(group: &Group, canceled: bool) {
    if canceled {
        fails(group.wait(), ErrorCode::Canceled);
        // What is on a worker counts once it is through.
        while group.count().running > 0 {}
    } else if let Err(error) = group.wait() {
        panic!("the group has no deadline: {error:?}");
    }
    let counters = group.count();
    assert_eq!((counters.queued, counters.running), (0, 0), "{counters:?}");
    assert_eq!(counters.done + counters.failed + counters.canceled, flight::members(), "{counters:?}");
}

struct Step<'a> {
    manner: Option<Manner>,
    work: Pin<Box<dyn Future<Output = String> + 'a>>,
    answer: Option<String>,
}

impl<'a> Step<'a> {
    fn new<F: Face + 'a>(line: &'a str, group: Option<&Rc<Group>>, handles: &'a Handles) -> Self {
        let (manner, request) = line.split_once(' ').expect("a manner and a request");
        let mut next = Manner { group: group.cloned(), ..Manner::default() };
        match manner {
            "-" => {}
            "cancel" => next.cancel = true,
            "deadline" => next.deadline_ms = Some(0),
            priority => next.priority = Some(priority.parse().expect("a priority")),
        }
        Self { manner: Some(next), work: Box::pin(steps::answer::<F>(request, handles)), answer: None }
    }

    /// Goes on with it, and tells whether it has an answer.
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        if self.answer.is_none()
            && let Poll::Ready(answer) = {
                flight::next(self.manner.take().unwrap_or_default());
                self.work.as_mut().poll(context)
            }
        {
            self.answer = Some(answer);
        }
        self.answer.is_some()
    }
}

/// Begins all steps, calls `begun`, and goes on until all have answers.
async fn together(mut steps: Vec<Step<'_>>, begun: impl FnOnce()) -> Vec<String> {
    let mut begun = Some(begun);
    poll_fn(|context| {
        loop {
            let left = steps.iter_mut().map(|step| step.poll(context)).filter(|answered| !answered).count();
            if let Some(begun) = begun.take() {
                begun();
            }
            if left == 0 {
                return Poll::Ready(());
            }
            // One that has only let others go first is not waited for.
            if !flight::paused() {
                return Poll::Pending;
            }
        }
    })
    .await;
    steps.into_iter().map(|step| step.answer.expect("all are done")).collect()
}
