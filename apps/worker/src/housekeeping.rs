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
use amrutam_identity::PolicyTable;
use amrutam_kernel::{Clock, Dependency, PortError};
use jiff::{ToSpan, civil::Date};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(600);
const AWAY: Duration = Duration::from_secs(5);
/// Between rounds of forgetting: what people wait for comes first.
const BREATH: Duration = Duration::from_secs(1);
const BATCH: u16 = 50;

pub(crate) async fn run(world: World, stop: CancellationToken) {
    loop {
        let pause = if round(&world, &stop).await { EVERY } else { AWAY };
        if !rest(&stop, pause).await {
            return;
        }
    }
}

/// Whether all went well. One job's failure stops no other.
async fn round(world: &World, stop: &CancellationToken) -> bool {
    let _leadership = match world.postgres.try_lead(leaders::HOUSEKEEPING).await {
        Ok(Some(leadership)) => leadership,
        Ok(None) => return true,
        Err(error) => return told("lead", &Err(error)),
    };
    let today = world.rules.business_day(world.clock.now());
    let partitions = told("partitions", &make_partitions(world, today).await);
    let horizon = told("horizon", &extend_all(world, today, stop).await);
    let forgetting = told("forgetting", &forget(world, stop).await);
    partitions && forgetting && horizon
}

fn told(job: &'static str, outcome: &Result<(), PortError>) -> bool {
    if let Err(error) = outcome {
        metrics::counter!("amrutam_housekeeping_failures_total", "job" => job).increment(1);
        tracing::warn!(job, %error, reason = error.reason(), "housekeeping failed");
    }
    outcome.is_ok()
}

fn far(error: jiff::Error) -> PortError {
    PortError::defect(Dependency::Database, error)
}

async fn make_partitions(world: &World, today: Date) -> Result<(), PortError> {
    // A day of margin on both sides: partitions are months of UTC.
    let first = today.checked_sub(1.day()).map_err(far)?;
    let last = today.checked_add(3.months()).map_err(far)?;
    let made = world.postgres.ensure_partitions(first, last).await?;
    if made > 0 {
        tracing::info!(made, "partitions made");
    }
    // The same database again, unless the log is elsewhere.
    world.audit.log.ensure_partitions(first, last).await?;
    Ok(())
}

/// Round after round until nothing is left: the rows of a busy day must be gone within a day.
async fn forget(world: &World, stop: &CancellationToken) -> Result<(), PortError> {
    loop {
        let forgotten = world.postgres.forget_expired().await?;
        if forgotten.rows > 0 {
            tracing::info!(gone = forgotten.rows, "expired rows forgotten");
        }
        if !forgotten.more || !rest(stop, BREATH).await {
            return Ok(());
        }
    }
}

async fn extend_all(world: &World, today: Date, stop: &CancellationToken) -> Result<(), PortError> {
    // A day less than the horizon: a practitioner's day may be behind the business day, and is extended when it comes.
    let until = today.checked_add((world.rules.horizon_days - 1).days()).map_err(far)?;
    let deps = AvailabilityDeps {
        store: &world.postgres,
        policy: &PolicyTable,
        clock: &world.clock,
        ids: &world.ids,
        pause: &TokioPause,
        rules: &world.rules,
    };
    let context = system_context(world, "horizon");
    let mut after = None;
    let mut extended = 0;
    loop {
        // Page by page: those that failed are due again in the next round, not at once.
        let due = world.postgres.due_for_extension(until, after, BATCH).await?;
        for doctor in &due {
            if stop.is_cancelled() {
                return Ok(());
            }
            match extend_horizon(deps, &context, *doctor).await {
                Ok(_) => extended += 1,
                Err(error) => tracing::warn!(doctor_id = %doctor, %error, "slots could not be extended"),
            }
        }
        if due.len() < usize::from(BATCH) {
            break;
        }
        after = due.last().copied();
    }
    if extended > 0 {
        tracing::info!(extended, "slots made up to the horizon");
    }
    Ok(())
}
