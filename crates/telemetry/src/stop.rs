//! How a process is told to end.

use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Ready when the process is told to end, by SIGTERM or SIGINT. Registered at once, so that a signal that comes before
/// anything listens is not lost.
///
/// # Errors
/// When the signals can't be had; outside of a tokio runtime it panics, as tokio does.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
