//! Ctrl-C and `kill`: the first one ends the run cleanly, the second one ends the process.

use std::{io, process, thread};

use futures::channel::oneshot;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit statuses as a shell has them: 128 and the number of the signal.
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

/// Waits for the first signal, and gives the exit status for it. The second one exits at once, whatever the guest or the disk
/// does, which is why a thread of its own listens.
pub(super) fn watch() -> io::Result<oneshot::Receiver<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let guard = runtime.enter();
    // From here on the signals no longer end the process by themselves.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    drop(guard);
    let (sender, receiver) = oneshot::channel();
    let listen = move || {
        runtime.block_on(async {
            let mut status = next(&mut interrupt, &mut terminate).await;
            // If nobody waits any more the guest has ended, and there is nothing to be done cleanly.
            if sender.send(status).is_ok() {
                status = next(&mut interrupt, &mut terminate).await;
            }
            process::exit(i32::from(status));
        });
    };
    thread::Builder::new().name("aiohost-signals".to_owned()).spawn(listen)?;
    Ok(receiver)
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> u8 {
    tokio::select! {
        _ = interrupt.recv() => INTERRUPTED,
        _ = terminate.recv() => TERMINATED,
    }
}
