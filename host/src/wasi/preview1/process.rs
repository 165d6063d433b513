//! Functions of preview 1 that have nothing to do with files: arguments, environment, clocks, random numbers, and the end.

use wasmtime_wasi::I32Exit;
use wasmtime_wasi::cli::WasiCliView as _;
use wasmtime_wasi::clocks::WasiClocksView as _;
use wasmtime_wasi::p2::bindings::cli::environment::Host as _;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::random::Host as _;
use wasmtime_wasi::random::WasiRandomView as _;

use super::Preview1View;
use super::errno::{CallFailure, Errno, Result, trap};
use super::memory::GuestMemory;

/// Random bytes that are made at a time. Others may run in between.
const RANDOM_BYTES: usize = 64 << 10;

impl<T: Preview1View> GuestMemory<'_, T> {
    fn arguments(&mut self) -> Result<Vec<String>> {
        self.caller.data_mut().cli().get_arguments().map_err(trap)
    }

    fn environment(&mut self) -> Result<Vec<String>> {
        let environment = self.caller.data_mut().cli().get_environment().map_err(trap)?;
        Ok(environment.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    fn write_texts(&mut self, texts: &[String], mut list: u32, mut buffer: u32) -> Result<()> {
        for text in texts {
            self.write_u32(list, buffer)?;
            self.write(buffer, text.as_bytes())?;
            let end = u32::try_from(text.len()).ok().and_then(|length| buffer.checked_add(length)).ok_or(Errno::OVERFLOW)?;
            self.write(end, &[0])?;
            list = list.checked_add(4).ok_or(Errno::FAULT)?;
            buffer = end.checked_add(1).ok_or(Errno::FAULT)?;
        }
        Ok(())
    }

    fn write_sizes(&mut self, texts: &[String], count: u32, bytes: u32) -> Result<()> {
        self.write_count(count, texts.len())?;
        self.write_count(bytes, texts.iter().map(|text| text.len() + 1).sum())
    }
}

pub(super) async fn args_get<T: Preview1View>(guest: &mut GuestMemory<'_, T>, list: u32, buffer: u32) -> Result<()> {
    let arguments = guest.arguments()?;
    guest.write_texts(&arguments, list, buffer)
}

pub(super) async fn args_sizes_get<T: Preview1View>(guest: &mut GuestMemory<'_, T>, count: u32, bytes: u32) -> Result<()> {
    let arguments = guest.arguments()?;
    guest.write_sizes(&arguments, count, bytes)
}

pub(super) async fn environ_get<T: Preview1View>(guest: &mut GuestMemory<'_, T>, list: u32, buffer: u32) -> Result<()> {
    let environment = guest.environment()?;
    guest.write_texts(&environment, list, buffer)
}

pub(super) async fn environ_sizes_get<T: Preview1View>(guest: &mut GuestMemory<'_, T>, count: u32, bytes: u32) -> Result<()> {
    let environment = guest.environment()?;
    guest.write_sizes(&environment, count, bytes)
}

const REALTIME: u32 = 0;
pub(super) const MONOTONIC: u32 = 1;

impl<T: Preview1View> GuestMemory<'_, T> {
    /// The time of a clock in nanoseconds. Those that count what a program uses are not there.
    pub(super) fn time(&mut self, clock: u32) -> Result<u64> {
        let mut clocks = self.caller.data_mut().clocks();
        match clock {
            REALTIME => {
                let now = wall_clock::Host::now(&mut clocks).map_err(trap)?;
                let seconds = now.seconds.checked_mul(1_000_000_000).ok_or(Errno::OVERFLOW)?;
                Ok(seconds.checked_add(u64::from(now.nanoseconds)).ok_or(Errno::OVERFLOW)?)
            }
            MONOTONIC => monotonic_clock::Host::now(&mut clocks).map_err(trap),
            _ => Err(Errno::BADF.into()),
        }
    }
}

pub(super) async fn clock_time_get<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    clock: u32,
    _precision: u64,
    at: u32,
) -> Result<()> {
    let now = guest.time(clock)?;
    guest.write_u64(at, now)
}

pub(super) async fn clock_res_get<T: Preview1View>(guest: &mut GuestMemory<'_, T>, clock: u32, at: u32) -> Result<()> {
    let mut clocks = guest.caller.data_mut().clocks();
    let resolution = match clock {
        REALTIME => {
            let resolution = wall_clock::Host::resolution(&mut clocks).map_err(trap)?;
            resolution.seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(resolution.nanoseconds))
        }
        MONOTONIC => monotonic_clock::Host::resolution(&mut clocks).map_err(trap)?,
        _ => return Err(Errno::BADF.into()),
    };
    guest.write_u64(at, resolution)
}

pub(super) async fn random_get<T: Preview1View>(guest: &mut GuestMemory<'_, T>, at: u32, length: u32) -> Result<()> {
    // The whole place is looked at before it is filled.
    let length = guest.bytes_mut(at, length)?.len();
    let mut done = 0;
    while done < length {
        let count = (length - done).min(RANDOM_BYTES);
        let bytes =
            guest.caller.data_mut().random().get_random_bytes(u64::try_from(count).expect("it is small")).map_err(trap)?;
        guest.write(at + u32::try_from(done).expect("it is within the memory"), &bytes)?;
        done += count;
        if done < length {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// The guest's own exit status, whatever it is.
pub(super) fn exit(status: u32) -> wasmtime::Error {
    I32Exit(status.cast_signed()).into()
}

pub(super) async fn proc_raise<T: Preview1View>(_guest: &mut GuestMemory<'_, T>, _signal: u32) -> Result<()> {
    Err(Errno::NOTSUP.into())
}

pub(super) async fn sched_yield<T: Preview1View>(_guest: &mut GuestMemory<'_, T>) -> Result<()> {
    tokio::task::yield_now().await;
    Ok(())
}

/// No descriptor is a socket: there is no network.
pub(super) fn no_socket<T: Preview1View>(guest: &mut GuestMemory<'_, T>, fd: u32) -> Result<()> {
    guest.caller.data_mut().preview1_and_aio().1.tell_of_denied_socket();
    guest.descriptors().get(fd)?;
    Err(CallFailure::Errno(Errno::NOTSOCK))
}
