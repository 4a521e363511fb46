//! The sealer of the audit trail: one worker at a time moves entries from the intake into the log, and signs.

use crate::{
    holds::system_context,
    leaders,
    worker::{World, rest},
};
use amrutam_audit::{
    SealError,
    model::NoteSigner,
    use_cases::{SealDeps, Sealer, alert},
};
use amrutam_postgres::{AccessWatch, Leadership, Postgres};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// While somebody else leads, or the database is away.
const AWAY: Duration = Duration::from_millis(500);
/// While a person must look.
const STUCK: Duration = Duration::from_secs(10);
/// Between looks for what is unusual.
const LOOK: Duration = Duration::from_secs(60);
/// From so many on the next round follows at once.
const MANY: u64 = 256;

/// What the sealer works with besides.
pub(crate) struct Audit {
    /// Where the log is.
    pub(crate) log: Postgres,
    pub(crate) signer: NoteSigner,
    /// Between rounds with little to do.
    pub(crate) rest: Duration,
}

pub(crate) async fn run(world: World, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = match world.postgres.try_lead(leaders::AUDIT).await {
            Ok(Some(leadership)) => match lead(&world, leadership, &stop).await {
                Ok(()) | Err(SealError::Superseded) => AWAY,
                Err(SealError::Port(error)) => {
                    tracing::warn!(%error, reason = error.reason(), "the audit trail waits to be sealed");
                    AWAY
                }
                Err(error @ (SealError::NotAsTaken { .. } | SealError::Broken(_))) => {
                    metrics::counter!("amrutam_audit_broken_total").increment(1);
                    tracing::error!(%error, "the audit trail is not what it was: nothing is sealed until a person has looked");
                    STUCK
                }
            },
            Ok(None) => AWAY,
            Err(error) => {
                tracing::warn!(%error, reason = error.reason(), "the sealer can't ask for the lead");
                AWAY
            }
        };
        rest(&stop, pause).await;
    }
}

async fn lead(world: &World, mut leadership: Leadership, stop: &CancellationToken) -> Result<(), SealError> {
    let audit = &world.audit;
    let deps = SealDeps { intake: &world.postgres, log: &audit.log, signer: &audit.signer, clock: &world.clock };
    let mut sealer = Sealer::begin(deps).await?;
    tracing::info!(entries = sealer.size(), "sealing the audit trail");
    // At once: whoever led before may have ended before they looked.
    let mut looked: Option<Instant> = None;
    while !stop.is_cancelled() {
        leadership.confirm().await?;
        if looked.is_none_or(|looked| looked.elapsed() > LOOK) {
            looked = Some(Instant::now());
            look(world).await;
        }
        let sealed = sealer.round(deps).await?;
        metrics::counter!("amrutam_audit_sealed_total").increment(sealed);
        if sealed < MANY {
            rest(stop, audit.rest).await;
        }
    }
    Ok(())
}

/// Holds the rules on unusual access against what is sealed. A failure stops no sealing.
async fn look(world: &World) {
    let context = system_context(world, "audit-alerts");
    let watch = AccessWatch::new(world.postgres.clone(), world.audit.log.clone());
    match alert(&watch, &world.clock, &world.ids, &context).await {
        Ok(raised) => metrics::counter!("amrutam_audit_alerts_total").increment(raised as u64),
        Err(error) => tracing::warn!(%error, reason = error.reason(), "unusual access could not be looked for"),
    }
}
