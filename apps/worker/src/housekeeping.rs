//! What one worker does now and then for all: partitions ahead, slots up to the horizon, forgetting what is over.

use crate::{
    holds::system_context,
    leaders,
    worker::{World, rest},
};
use amrutam_booking::{
    ports::AvailabilityStore,
    use_cases::{AvailabilityDeps, extend_horizon},
};
use amrutam_crypto::TokioPause;
use amrutam_kernel::{Clock, Dependency, PortError};
use jiff::ToSpan;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(600);
const AWAY: Duration = Duration::from_secs(5);
const BATCH: u16 = 50;

pub(crate) async fn run(world: World, stop: CancellationToken) {
    loop {
        let pause = match round(&world, &stop).await {
            Ok(()) => EVERY,
            Err(error) => {
                tracing::warn!(%error, reason = error.reason(), "housekeeping failed");
                AWAY
            }
        };
        if !rest(&stop, pause).await {
            return;
        }
    }
}

async fn round(world: &World, stop: &CancellationToken) -> Result<(), PortError> {
    let Some(_leadership) = world.postgres.try_lead(leaders::HOUSEKEEPING).await? else { return Ok(()) };
    let now = world.clock.now();
    let today = world.rules.business_day(now);
    let far = |error| PortError::defect(Dependency::Database, error);
    // A day of margin on both sides: partitions are months of UTC.
    let made = world
        .postgres
        .ensure_partitions(today.checked_sub(1.day()).map_err(far)?, today.checked_add(3.months()).map_err(far)?)
        .await?;
    if made > 0 {
        tracing::info!(made, "partitions made");
    }
    let gone = world.postgres.forget_expired(now).await?;
    if gone > 0 {
        tracing::info!(gone, "expired idempotency and inbox rows forgotten");
    }
    // A day less than the horizon: a practitioner's day may be behind the business day, and is extended when it comes.
    let until = today.checked_add((world.rules.horizon_days - 1).days()).map_err(far)?;
    extend_all(world, until, stop).await
}

async fn extend_all(world: &World, until: jiff::civil::Date, stop: &CancellationToken) -> Result<(), PortError> {
    let deps = AvailabilityDeps {
        store: &world.postgres,
        clock: &world.clock,
        ids: &world.ids,
        pause: &TokioPause,
        rules: &world.rules,
    };
    let context = system_context(world, "horizon");
    let mut after = None;
    loop {
        let due = world.postgres.due_for_extension(until, after, BATCH).await?;
        let mut extended = 0;
        for doctor in &due {
            if stop.is_cancelled() {
                return Ok(());
            }
            match extend_horizon(deps, &context, *doctor).await {
                Ok(_) => extended += 1,
                Err(error) => tracing::warn!(doctor_id = %doctor, %error, "slots could not be extended"),
            }
        }
        if extended > 0 {
            tracing::info!(extended, "slots made up to the horizon");
        }
        if due.len() < usize::from(BATCH) {
            return Ok(());
        }
        // Those that failed are due again in the next round, not at once.
        after = due.last().copied();
    }
}
