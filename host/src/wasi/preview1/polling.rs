//! `poll_oneoff`: waiting for a time, for a standard stream, or for a file, which never keeps anybody waiting.

use std::collections::HashSet;

use wasmtime::component::Resource;
use wasmtime_wasi::clocks::WasiClocksView as _;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::bindings::io::{poll, streams};

use super::Preview1View;
use super::descriptors::{Slot, StandardFd};
use super::errno::{CallFailure, Errno, Result, trap};
use super::memory::GuestMemory;
use super::process::MONOTONIC;
use super::records::{Subscription, Waited};

/// Things that are waited for at a time, at most.
const SUBSCRIPTIONS_MAX: u32 = 4096;

/// Something to be waited for, or what is known of it at once.
enum Pending {
    Wait(Resource<DynPollable>),
    Known(Errno),
}

pub(super) async fn poll_oneoff<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    subscriptions: u32,
    events: u32,
    count: u32,
    at: u32,
) -> Result<()> {
    if count == 0 || count > SUBSCRIPTIONS_MAX {
        return Err(Errno::INVAL.into());
    }
    let subscriptions = parse(guest, subscriptions, count)?;
    let (mut pending, mut failure) = (Vec::new(), None);
    for subscription in &subscriptions {
        match begin(guest, subscription) {
            Ok(begun) => pending.push(begun),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    let known = match failure {
        Some(failure) => Err(failure),
        None => wait(guest, &pending).await,
    };
    for pending in pending {
        if let Pending::Wait(pollable) = pending {
            poll::HostPollable::drop(guest.caller.data_mut().aio().table, pollable).map_err(trap)?;
        }
    }
    let mut written = 0;
    for (number, errno) in known? {
        let Some(subscription) = subscriptions.get(number) else { continue };
        let place = events.checked_add(written * 32).ok_or(Errno::FAULT)?;
        guest.write(place, &subscription.event(errno, 1))?;
        written += 1;
    }
    guest.write_u32(at, written)
}

fn parse<T: Preview1View>(guest: &GuestMemory<'_, T>, at: u32, count: u32) -> Result<Vec<Subscription>> {
    let place = |number: u32| at.checked_add(number * Subscription::SIZE).ok_or(CallFailure::Errno(Errno::FAULT));
    (0..count).map(|number| Subscription::parse(&guest.array(place(number)?)?)).collect()
}

fn begin<T: Preview1View>(guest: &mut GuestMemory<'_, T>, subscription: &Subscription) -> Result<Pending> {
    match subscription.what {
        Waited::Clock { id, timeout, is_absolute } => {
            if id > MONOTONIC {
                return Err(Errno::INVAL.into());
            }
            let duration = if is_absolute { timeout.saturating_sub(guest.time(id)?) } else { timeout };
            Ok(Pending::Wait(after(guest, duration)?))
        }
        Waited::Read(fd) => match guest.descriptors().get(fd) {
            Ok(Slot::Standard(StandardFd::Input)) => {
                let stream = guest.input()?;
                let table = guest.caller.data_mut().aio().table;
                Ok(Pending::Wait(streams::HostInputStream::subscribe(table, stream).map_err(trap)?))
            }
            Ok(Slot::File(_)) => Ok(Pending::Known(Errno::SUCCESS)),
            _ => Ok(Pending::Known(Errno::BADF)),
        },
        Waited::Write(fd) => match guest.descriptors().get(fd) {
            Ok(Slot::Standard(standard @ (StandardFd::Output | StandardFd::Error))) => {
                let standard = *standard;
                let stream = guest.output(standard)?;
                let table = guest.caller.data_mut().aio().table;
                Ok(Pending::Wait(streams::HostOutputStream::subscribe(table, stream).map_err(trap)?))
            }
            Ok(Slot::File(_)) => Ok(Pending::Known(Errno::SUCCESS)),
            _ => Ok(Pending::Known(Errno::BADF)),
        },
    }
}

/// What is ready after so many nanoseconds.
fn after<T: Preview1View>(guest: &mut GuestMemory<'_, T>, duration: u64) -> Result<Resource<DynPollable>> {
    let mut clocks = guest.caller.data_mut().clocks();
    monotonic_clock::Host::subscribe_duration(&mut clocks, duration).map_err(trap)
}

/// Waits until something has come, or looks what has where something is known already. Returns which, by the numbers of the
/// subscriptions.
async fn wait<T: Preview1View>(guest: &mut GuestMemory<'_, T>, pending: &[Pending]) -> Result<Vec<(usize, Errno)>> {
    let (mut come, mut waited, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for (number, pending) in pending.iter().enumerate() {
        match pending {
            Pending::Known(errno) => come.push((number, *errno)),
            Pending::Wait(pollable) => {
                waited.push(Resource::new_borrow(pollable.rep()));
                numbers.push(number);
            }
        }
    }
    if waited.is_empty() {
        return Ok(come);
    }
    // With something that is ready at once nobody is kept waiting.
    let at_once = if come.is_empty() { None } else { Some(after(guest, 0)?) };
    waited.extend(at_once.as_ref().map(|pollable| Resource::new_borrow(pollable.rep())));
    let table = guest.caller.data_mut().aio().table;
    let ready = poll::Host::poll(table, waited).await.map_err(trap);
    if let Some(pollable) = at_once {
        poll::HostPollable::drop(guest.caller.data_mut().aio().table, pollable).map_err(trap)?;
    }
    let ready: HashSet<u32> = ready?.into_iter().collect();
    let is_ready = |(place, _): &(u32, usize)| ready.contains(place);
    come.extend((0..).zip(numbers).filter(is_ready).map(|(_, number)| (number, Errno::SUCCESS)));
    come.sort_unstable_by_key(|(number, _)| *number);
    Ok(come)
}
