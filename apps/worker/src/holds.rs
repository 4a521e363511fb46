//! The sweeper of run-out holds.

use crate::worker::{World, rest};
use amrutam_booking::{
    model::PaymentsMode,
    ports::{LockOutcome, SlotLocks},
    use_cases::{Deps, DirectoryDeps, expire_holds},
};
use amrutam_crypto::TokioPause;
use amrutam_identity::PolicyTable;
use amrutam_kernel::{Clock, Context, CorrelationId, IdSource, SealError, SealPlace, Sealer, SlotId};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

const BATCH: u16 = 100;

pub(crate) async fn run(world: World, stop: CancellationToken) {
    while rest(&stop, world.sweep).await {
        match expire_holds(booking_deps(&world), &system_context(&world, "hold-sweeper"), BATCH).await {
            Ok(0) => {}
            Ok(expired) => tracing::info!(expired, "holds expired"),
            Err(error) => tracing::warn!(%error, reason = error.reason(), "holds could not be swept"),
        }
    }
}

/// For what the worker does with visits: it books none and reads nothing sealed.
pub(crate) fn booking_deps(world: &World) -> Deps<'_> {
    Deps {
        store: &world.postgres,
        policy: &PolicyTable,
        locks: &NoLocks,
        sealer: &NoSealer,
        clock: &world.clock,
        ids: &world.ids,
        pause: &TokioPause,
        rules: &world.rules,
        payments: if world.payments.required { PaymentsMode::Required } else { PaymentsMode::None },
    }
}

/// For what the worker does with profiles.
pub(crate) fn directory_deps(world: &World) -> DirectoryDeps<'_> {
    DirectoryDeps {
        store: &world.postgres,
        policy: &PolicyTable,
        clock: &world.clock,
        ids: &world.ids,
        rules: &world.rules,
    }
}

/// One run of a part of the system, as a flow of its own.
pub(crate) fn system_context(world: &World, name: &'static str) -> Context {
    let correlation_id = CorrelationId::from(world.ids.uuid_v7(world.clock.now()));
    Context::of_system(name, correlation_id)
}

/// Who books nothing filters nothing.
struct NoLocks;

#[async_trait]
impl SlotLocks for NoLocks {
    async fn try_lock(&self, _: SlotId) -> LockOutcome {
        LockOutcome::Unavailable
    }
}

/// Who reads and writes nothing sealed is not given the keys.
struct NoSealer;

#[async_trait]
impl Sealer for NoSealer {
    async fn seal(&self, _: &SealPlace<'_>, _: &[u8]) -> Result<Vec<u8>, SealError> {
        Err(SealError::UnknownKey)
    }
    async fn open(&self, _: &SealPlace<'_>, _: &[u8]) -> Result<Vec<u8>, SealError> {
        Err(SealError::UnknownKey)
    }
}
