//! Data keys follow the key-encryption key, by one worker at a time.

use crate::{
    leaders,
    worker::{World, rest},
};
use amrutam_kernel::PortError;
use amrutam_keys::{
    ports::KeyWrapper,
    use_cases::{Rewrapped, rewrap, status},
};
use metrics::gauge;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether there is anything to do.
const EVERY: Duration = Duration::from_secs(10);
/// How long it goes on before the progress is shown.
const STRETCH: Duration = Duration::from_secs(5);

pub(crate) async fn run(world: World, stop: CancellationToken) {
    loop {
        let finished = match stretch(&world, &stop).await {
            Ok(finished) => finished,
            Err(error) => {
                tracing::warn!(%error, reason = error.reason(), "data keys could not be wrapped anew");
                true
            }
        };
        if !rest(&stop, if finished { EVERY } else { Duration::ZERO }).await {
            return;
        }
    }
}

/// Whether there is nothing left to do for now.
async fn stretch(world: &World, stop: &CancellationToken) -> Result<bool, PortError> {
    let begun = Instant::now();
    let go_on = || !stop.is_cancelled() && begun.elapsed() < STRETCH;
    let done = match world.postgres.try_lead(leaders::REWRAP).await? {
        Some(_leadership) => rewrap(&world.keys_postgres, &world.keks, &world.clock, &go_on).await?,
        None => Rewrapped { finished: true, ..Rewrapped::default() },
    };
    // Every worker tells the same: whoever led before would tell of then.
    let others = status(&world.keys_postgres, Some(&world.keks.current()?)).await?;
    let left: u64 = others.iter().map(|kek| kek.keys).sum();
    gauge!("amrutam_data_keys_to_rewrap").set(left as f64);
    gauge!("amrutam_data_keys_unwrappable").set(done.failed as f64);
    if done.done > 0 {
        tracing::info!(done = done.done, left, "data keys wrapped anew");
    }
    if let Some(problem) = &done.problem {
        tracing::error!(failed = done.failed, %problem, "data keys that don't unwrap");
    }
    Ok(done.finished || stop.is_cancelled())
}
