//! Descriptors that a request opens itself and has open between its turns on workers: they count as what its guest has open does.
//!
//! A request has places in its guest's quota for all of them before it opens the first, and waits for those while other requests
//! have them, or until its guest has closed as many. So however many are begun, no descriptor is open that was not counted. One that has no other beside it goes on whatever
//! its guest has open: it counts for all guests alone. Nobody waits for memory while it has places.

use super::descriptor::Quota;
use super::ticket::Ticket;
use crate::budget::{Reservation, Waiter};
use crate::error::{Error, Result};
use crate::sched::Flow;

/// Places for what a request opens itself.
#[derive(Debug)]
pub(crate) struct Claim {
    /// Places that it would like, and that it needs.
    most: usize,
    least: usize,
    held: Option<Held>,
    standing: Standing,
}

/// Where a claim stands in line: for what it was found to lack since it was tried last.
#[derive(Debug, Default)]
struct Standing {
    /// For places that other requests have.
    shared: Option<Waiter>,
    /// For places that the guest has, and for all others to be done.
    own: Option<[Waiter; 2]>,
}

/// What a claim lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack {
    /// Places of those that requests may have.
    Shared,
    /// Places in the quota: what its guest has open is in the way.
    Own,
}

/// Places in the quota, and among those that requests may have.
#[derive(Debug)]
struct Held {
    places: Reservation,
    _claimed: Reservation,
}

impl Claim {
    /// For a request that has so many descriptors open.
    pub(super) fn new(count: usize) -> Self {
        Self::between(count, count)
    }

    /// For one that may make do with fewer.
    pub(super) fn between(least: usize, most: usize) -> Self {
        Self { most, least, held: None, standing: Standing::default() }
    }

    /// Takes the places, unless it has them. Tells whether they are as many as it would like; or else what its request comes to
    /// for now.
    fn take<T>(&mut self, quota: &Quota, ticket: &dyn Ticket) -> std::result::Result<bool, Flow<Result<T>>> {
        if let Some(held) = &self.held {
            return Ok(held.places.amount() >= self.most);
        }
        self.take_or_wait(quota, ticket).map_err(|error| Flow::Done(Err(error)))?.ok_or(Flow::Parked)
    }

    fn take_or_wait(&mut self, quota: &Quota, ticket: &dyn Ticket) -> Result<Option<bool>> {
        ticket.check()?;
        let mut standing = Standing::default();
        // What came back before it stood in line told nobody, so it is tried again each time that it has found a further line.
        while let Some(lack) = self.try_take(quota)? {
            if standing.has(lack) {
                self.standing = standing;
                return Ok(None);
            }
            standing.join(lack, self.least, quota, ticket);
        }
        self.standing = Standing::default();
        Ok(self.held.as_ref().map(|held| held.places.amount() >= self.most))
    }

    /// Takes them, or tells what it lacks that others will give back.
    fn try_take(&mut self, quota: &Quota) -> Result<Option<Lack>> {
        // Looked at first: what is closed meanwhile frees its place before it is not counted here any more.
        let is_closing = quota.is_closing();
        for count in [self.most, self.least] {
            // Whoever gives places back tells others of it, so none are taken to be given back at once.
            if quota.claimed().has_room(count)
                && let Some(places) = quota.try_take(count)
                && let Some(claimed) = quota.claimed().try_take(count)
            {
                self.held = Some(Held { places, _claimed: claimed });
                return Ok(None);
            }
        }
        let Some(claimed) = quota.claimed().try_take(quota.claimed().max()) else {
            let lacks_shared = !quota.claimed().has_room(self.least);
            return Ok(Some(if lacks_shared { Lack::Shared } else { Lack::Own }));
        };
        let Some(places) = quota.of_all().try_take(self.least) else {
            return Err(if is_closing { Error::NOT_YET } else { Error::TOO_MANY_OPEN_FILES });
        };
        self.held = Some(Held { places, _claimed: claimed });
        Ok(None)
    }

    /// Its request has closed what it opened.
    fn give_back(&mut self) {
        (self.held, self.standing) = (None, Standing::default());
    }
}

impl Standing {
    fn has(&self, lack: Lack) -> bool {
        match lack {
            Lack::Shared => self.shared.is_some(),
            Lack::Own => self.own.is_some(),
        }
    }

    fn join(&mut self, lack: Lack, count: usize, quota: &Quota, ticket: &dyn Ticket) {
        let (claimed, waker) = (quota.claimed(), ticket.waker());
        match lack {
            Lack::Shared => self.shared = Some(claimed.wait(count.min(claimed.max()), &waker)),
            // One that is alone goes on whatever its guest has open.
            Lack::Own => self.own = Some([quota.wait(count, &waker), claimed.wait(claimed.max(), &waker)]),
        }
    }
}

/// A request with a claim.
pub(crate) trait Claiming {
    /// The claim, and whose descriptors they are; none if all that it has open is the guest's.
    fn claim(&mut self) -> Option<(&mut Claim, &Quota)>;
}

/// A turn of a request on a worker: it begins with places for its descriptors, and at its end has closed them. `turn` is told whether
/// there are as many as it would like.
pub(super) fn take_turn<R: Claiming, T>(
    request: &mut R,
    ticket: &dyn Ticket,
    turn: impl FnOnce(&mut R, bool) -> Flow<Result<T>>,
) -> Flow<Result<T>> {
    let has_most = match request.claim().map(|(claim, quota)| claim.take(quota, ticket)).transpose() {
        Ok(has_most) => has_most.unwrap_or(true),
        Err(flow) => return flow,
    };
    let flow = turn(request, has_most);
    if matches!(flow, Flow::Done(_))
        && let Some((claim, _)) = request.claim()
    {
        claim.give_back();
    }
    flow
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::super::scene::Scene;
    use super::super::steps::InSteps;
    use super::super::ticket::fake::FakeTicket;
    use super::super::{
        CopyFile, CopyTree, ListDir, ListEntries, LoadFile, MoveFile, RemoveTree, Resolver, ScanDir, SlurpFile, StoreFile,
        WalkNext,
    };
    use super::*;
    use crate::budget::Budget;
    use crate::limits::STEP_BYTES;
    use crate::reaper::Reaper;
    use crate::sched::Leaving;
    use crate::types::ReaddirxFlags;

    fn quota(max: usize) -> Quota {
        Quota::new(max, &Budget::new(1_000), &Reaper::default(), Leaving::default())
    }

    fn take(claim: &mut Claim, quota: &Quota) -> std::result::Result<bool, String> {
        claim.take::<()>(quota, &FakeTicket::default()).map_err(|flow| format!("{flow:?}"))
    }

    #[test]
    fn requests_wait_for_each_other_and_leave_half_to_their_guest() {
        let quota = quota(40);
        let mut files: Vec<_> = (0..4).map(|_| Claim::new(3)).collect();
        for claim in &mut files[..3] {
            assert_eq!(take(claim, &quota), Ok(true));
        }
        let mut tree = Claim::between(9, 50);
        assert_eq!(take(&mut tree, &quota), Ok(false), "as few as it needs");
        assert_eq!(take(&mut files[3], &quota), Err("Parked".to_owned()));
        assert_eq!(quota.of_all().taken(), 18);
        files[0].give_back();
        assert_eq!(take(&mut files[3], &quota), Ok(true));
        drop((files, tree));
        assert_eq!(quota.of_all().taken(), 0);
    }

    #[test]
    fn one_alone_goes_on_whatever_its_guest_has_open() {
        for max in [1, 2, 4, 12] {
            let quota = quota(max);
            let tokens: Vec<_> = (0..max).map(|_| quota.take().expect("there is room")).collect();
            let (mut claim, mut other) = (Claim::between(9, 50), Claim::new(1));
            assert_eq!(take(&mut claim, &quota), Ok(false), "{max}");
            assert_eq!(quota.of_all().taken(), max + 9, "{max}");
            assert_eq!(take(&mut other, &quota), Err("Parked".to_owned()), "{max}");
            claim.give_back();
            assert_eq!(take(&mut other, &quota), Ok(true), "{max}");
            drop((tokens, other));
            assert_eq!(quota.of_all().taken(), 0, "{max}");
        }
    }

    /// A request that waits, and how often it was told that there might be places now.
    struct Waits(Claim, FakeTicket);

    impl Waits {
        fn new(quota: &Quota) -> Self {
            let mut waits = Self(Claim::new(1), FakeTicket::default());
            assert!(!waits.is_in(quota));
            waits
        }

        fn is_in(&mut self, quota: &Quota) -> bool {
            matches!(self.0.take::<()>(quota, &self.1), Ok(true))
        }

        fn told(&self) -> usize {
            self.1.bell.0.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn who_waits_for_places_was_not_told_when_its_guest_closed_files() {
        let quota = quota(12);
        let mut tokens: Vec<_> = (0..8).map(|_| quota.take().expect("there is room")).collect();
        let mut other = Claim::new(4);
        assert_eq!(take(&mut other, &quota), Ok(true));
        let mut waits = Waits::new(&quota);
        assert_eq!(waits.told(), 0);
        drop(tokens.pop());
        assert_eq!(waits.told(), 1);
        assert!(waits.is_in(&quota));
    }

    #[test]
    fn who_waits_for_places_told_itself_once_another_one_was_canceled() {
        let quota = quota(12);
        let tokens: Vec<_> = (0..8).map(|_| quota.take().expect("there is room")).collect();
        let mut other = Claim::new(4);
        assert_eq!(take(&mut other, &quota), Ok(true));
        let mut waiting: Vec<Waits> = (0..3).map(|_| Waits::new(&quota)).collect();
        drop(waiting.remove(1));
        for round in 0..3 {
            for waits in &mut waiting {
                if waits.told() > round {
                    assert!(!waits.is_in(&quota));
                }
            }
        }
        assert!(waiting.iter().all(|waits| waits.told() <= 1), "{:?}", waiting.iter().map(Waits::told).collect::<Vec<_>>());
        // The other one is done: one is alone then, and goes on whatever the guest has open, and the last one after it.
        other.give_back();
        while let Some(at) = waiting.iter().position(|waits| waits.told() > 0) {
            let mut told = waiting.remove(at);
            assert!(told.is_in(&quota));
            drop(told);
        }
        assert!(waiting.is_empty());
        drop(tokens);
    }

    type GoOn = Box<dyn FnMut(&FakeTicket) -> Flow<Result<()>>>;

    fn request<R: 'static, T: 'static>(mut request: R, go_on: fn(&mut R, &dyn Ticket) -> Flow<Result<T>>) -> GoOn {
        Box::new(move |ticket| go_on(&mut request, ticket).map(|result| result.map(drop)))
    }

    /// Every request that has something open between two turns.
    fn requests(scene: &Scene, number: usize) -> [(&'static str, GoOn); 11] {
        let from = || scene.read("/near/source/file");
        let to = |name: &str| scene.write(&format!("/far/{name}-{number}"));
        let walker = scene.read("/near/source").walk(0, 1, &FakeTicket::default()).expect("there is room");
        [
            ("copy-tree", request(CopyTree::new(scene.read("/near/source"), to("tree"), 1), CopyTree::go_on)),
            ("rmtree", request(RemoveTree::new(scene.write(&format!("/near/doomed-{number}")), 1), RemoveTree::go_on)),
            ("walk-next", request(WalkNext::new(walker, 0), WalkNext::go_on)),
            ("copy", request(CopyFile::new(from(), to("copy")), CopyFile::go_on)),
            ("move", request(MoveFile::new(scene.write(&format!("/near/moved-{number}")), to("moved")), MoveFile::go_on)),
            ("store", request(StoreFile::new(to("stored"), vec![0; 100], 0o666), StoreFile::go_on)),
            ("load", request(LoadFile::new(from()), LoadFile::go_on)),
            ("slurp", request(SlurpFile::new(from(), 0, None), SlurpFile::go_on)),
            ("readdir", request(ListDir::new(scene.read("/near/many")), ListDir::go_on)),
            ("scandir", request(ScanDir::new(scene.read("/near/many"), 1), ScanDir::go_on)),
            ("readdirx", request(ListEntries::new(scene.read("/near/many"), ReaddirxFlags::empty()), ListEntries::go_on)),
        ]
    }

    #[test]
    fn what_requests_opened_themselves_was_not_counted() {
        const DESCRIPTORS: usize = 64;
        const EACH: usize = 20;
        let scene = Scene::with(Resolver::Auto, DESCRIPTORS);
        let tree = |name: &str| std::fs::create_dir_all(scene.path(name).join("d/".repeat(30))).expect("it can be made");
        tree("/near/source");
        scene.put("/near/source/file", b"some");
        let large = std::fs::File::create(scene.path("/near/source/large")).expect("it can be made");
        large.set_len(2 * STEP_BYTES).expect("it can be long");
        std::fs::create_dir(scene.path("/near/many")).expect("it can be made");
        (0..3_000).for_each(|number| scene.put(&format!("/near/many/{number}"), b""));
        for number in 0..EACH {
            tree(&format!("/near/doomed-{number}"));
            scene.put(&format!("/near/moved-{number}"), b"some");
        }
        drop(large);
        let granted = scene.open_files();
        let mut left: Vec<_> = (0..EACH).flat_map(|number| requests(&scene, number)).collect();
        let ticket = FakeTicket::default();
        while !left.is_empty() {
            left.retain_mut(|(name, go_on)| {
                let flow = go_on(&ticket);
                let open = scene.open_files() - granted;
                assert!(open <= DESCRIPTORS, "{open} are open after a turn of {name}");
                match flow {
                    Flow::Done(result) => {
                        result.unwrap_or_else(|error| panic!("{name}: {error:?}"));
                        false
                    }
                    Flow::Again(_) | Flow::Parked => true,
                }
            });
        }
        assert_eq!(scene.leftovers(), Vec::<std::path::PathBuf>::new());
    }

    #[test]
    fn nobody_waits_for_what_only_guests_can_close() {
        let all = Budget::new(1_000);
        let quota = Quota::new(8, &all, &Reaper::default(), Leaving::default());
        let tokens: Vec<_> = (0..8).map(|_| quota.take().expect("there is room")).collect();
        let others = all.try_take(992).expect("there is room");
        let error = format!("Done(Err({:?}))", Error::TOO_MANY_OPEN_FILES);
        assert_eq!(take(&mut Claim::new(1), &quota), Err(error.clone()));
        assert_eq!(take(&mut Claim::between(9, 50), &quota), Err(error));
        drop((others, tokens));
        assert_eq!(take(&mut Claim::new(1), &quota), Ok(true));
    }
}
