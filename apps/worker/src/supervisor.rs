//! A loop that breaks down begins again.

use crate::worker::rest;
use std::time::Duration;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Long enough that a loop which breaks down at once does not fill the logs, short enough that nobody waits for it.
pub(crate) const REST: Duration = Duration::from_secs(5);

/// Runs what `run` makes until `stop`; when it panics or ends before, it is told of and made again after a `pause`.
pub(crate) async fn supervised<F: Future<Output = ()> + Send + 'static>(
    name: &'static str,
    stop: CancellationToken,
    pause: Duration,
    run: impl Fn() -> F,
) {
    loop {
        let outcome = AbortOnDropHandle::new(tokio::spawn(run())).await;
        if stop.is_cancelled() {
            return;
        }
        metrics::counter!("amrutam_loop_breakdowns_total", "loop" => name).increment(1);
        // The panic's own text went to the logs when it happened.
        tracing::error!(name, panicked = outcome.is_err(), "a loop broke down and begins again");
        if !rest(&stop, pause).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    #[tokio::test]
    async fn a_loop_that_panics_runs_again_until_the_stop() {
        let (stop, runs) = (CancellationToken::new(), Arc::new(AtomicU32::new(0)));
        let (token, counter) = (stop.clone(), Arc::clone(&runs));
        supervised("test", stop, Duration::from_millis(1), move || {
            let (token, run) = (token.clone(), counter.fetch_add(1, Ordering::SeqCst));
            async move {
                assert!(run > 1, "a panic made by the test");
                token.cancel();
            }
        })
        .await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    }
}
