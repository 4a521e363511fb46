//! Copies and ends of what is held of people: the consumer that makes archives and destroys what nobody must keep, and the sweeper of
//! what is over.

use crate::{
    aside::Aside,
    holds::system_context,
    worker::{World, rest},
};
use amrutam_archives::ZipArchiver;
use amrutam_identity::PolicyTable;
use amrutam_kernel::{AccountId, Context, Dependency, EventEnvelope, EventHandler, Handled, HandlerError, PortError};
use amrutam_keys::{ShredError, use_cases as keys};
use amrutam_privacy::{
    events::{BINDINGS, CONSUMER, ERASURE_ACCEPTED},
    ports::KeyDestroyer,
    use_cases::{DestroyDeps, MakerDeps, destroy_due, handle_erasure, make_export, sweep_exports},
};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

/// Looked at in one round; what is left waits for the next.
const BATCH: u16 = 50;

/// The keys of people, by the domain of keys.
struct Destroyer<'a>(&'a World);

#[async_trait]
impl KeyDestroyer for Destroyer<'_> {
    async fn destroy(&self, context: &Context, owner: AccountId) -> Result<u64, PortError> {
        let deps = keys::Deps {
            store: &self.0.keys_postgres,
            records: &self.0.postgres,
            policy: &PolicyTable,
            clock: &self.0.clock,
            ids: &self.0.ids,
        };
        keys::shred(deps, context, owner).await.map_err(|error| match error {
            ShredError::Port(error) => error,
            ShredError::Denied(denial) => PortError::defect(Dependency::Database, denial),
            refused @ (ShredError::OnHold | ShredError::NotDue) => PortError::defect(Dependency::Database, refused),
        })
    }
}

fn destroying<'a>(world: &'a World, keys: &'a Destroyer<'a>) -> DestroyDeps<'a> {
    DestroyDeps { store: &world.postgres, keys, clock: &world.clock, ids: &world.ids }
}

/// What people ask for.
pub(crate) struct Privacy {
    world: World,
}

impl Privacy {
    pub(crate) const NAME: &'static str = CONSUMER;
    pub(crate) const BINDINGS: &'static [&'static str] = BINDINGS;

    pub(crate) fn new(world: World) -> Self {
        Self { world }
    }
}

#[async_trait]
impl EventHandler for Privacy {
    fn consumer(&self) -> &'static str {
        Self::NAME
    }

    fn bindings(&self) -> &'static [&'static str] {
        Self::BINDINGS
    }

    async fn handle(&self, event: EventEnvelope) -> Result<Handled, HandlerError> {
        let world = &self.world;
        let handled = if event.event_type == ERASURE_ACCEPTED {
            handle_erasure(destroying(world, &Destroyer(world)), &event).await?
        } else {
            let deps = MakerDeps {
                store: &world.exports,
                holdings: &world.held,
                archiver: &Aside(&ZipArchiver),
                trail: &world.postgres,
                clock: &world.clock,
                ids: &world.ids,
            };
            make_export(deps, &event).await?
        };
        tracing::info!(event_id = %event.id, event_type = %event.event_type, ?handled, "event handled");
        Ok(handled)
    }
}

/// The clock: archives that nobody took, and records whose time is over. Any number of workers do it side by side: each step is
/// taken once.
pub(crate) async fn sweep(world: World, stop: CancellationToken) {
    while rest(&stop, world.sweep).await {
        let context = system_context(&world, "exporter");
        match sweep_exports(&world.exports, &world.clock, &world.ids, &context, BATCH).await {
            Ok(0) => {}
            Ok(ended) => tracing::info!(ended, "exports ended"),
            Err(error) => tracing::warn!(%error, reason = error.reason(), "exports could not be swept"),
        }
        let context = system_context(&world, "record-destroyer");
        match destroy_due(destroying(&world, &Destroyer(&world)), &context, BATCH).await {
            Ok(0) => {}
            Ok(destroyed) => tracing::info!(destroyed, "records whose time was over destroyed"),
            Err(error) => {
                metrics::counter!("amrutam_record_destruction_failures_total").increment(1);
                tracing::warn!(%error, reason = error.reason(), "records could not be destroyed");
            }
        }
    }
}
