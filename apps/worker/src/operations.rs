//! What a person must look at: dead letters from the broker, and cases that other domains ask for.

use crate::worker::World;
use amrutam_crypto::TokioPause;
use amrutam_identity::PolicyTable;
use amrutam_kernel::{
    CommitError, DeadLetterOffice, DeadMessage, DeadSource, Dependency, EventEnvelope, EventHandler, EventId, Handled,
    HandlerError, PortError,
};
use amrutam_operations::{
    LetterError, OpenError, REVIEWS_BINDINGS, REVIEWS_CONSUMER, is_withdrawal,
    use_cases::{Deps, open_review, settle, take, withdraw_review},
};
use async_trait::async_trait;
use serde::Deserialize;
use uuid::Uuid;

fn deps(world: &World) -> Deps<'_> {
    Deps {
        letters: &world.postgres,
        reviews: &world.postgres,
        history: &world.postgres,
        sealer: &*world.sealer,
        policy: &PolicyTable,
        clock: &world.clock,
        ids: &world.ids,
        pause: &TokioPause,
        limits: &world.approval,
    }
}

/// Where the broker's dead letters go.
pub(crate) struct Office {
    world: World,
}

impl Office {
    pub(crate) fn new(world: World) -> Self {
        Self { world }
    }
}

fn port(error: LetterError) -> PortError {
    match error {
        LetterError::Port(error) => error,
        error => PortError::unavailable(Dependency::Database, error),
    }
}

#[async_trait]
impl DeadLetterOffice for Office {
    async fn take(&self, dead: DeadMessage) -> Result<(), PortError> {
        let is_news = take(deps(&self.world), &dead).await.map_err(port)?;
        if is_news {
            let (event, correlation_id) =
                dead.event.as_ref().map(|event| (event.id, event.correlation_id.as_str())).unzip();
            tracing::error!(
                consumer = dead.consumer,
                event_id = event.map(|id| id.to_string()),
                correlation_id,
                error = dead.error,
                attempts = dead.attempts,
                "a dead letter waits for a person"
            );
        }
        Ok(())
    }

    async fn settle(&self, consumer: &str, event: EventId) -> Result<(), PortError> {
        settle(deps(&self.world), DeadSource::Event, consumer, event.as_uuid()).await.map(|_| ()).map_err(port)
    }
}

#[derive(Deserialize)]
struct Requeued {
    source: DeadSource,
    consumer: String,
    subject_id: Uuid,
}

/// A dead letter's work was begun afresh by its domain, as work of its own, or needs none any more: the letter is done with. Told
/// again, it is no news.
pub(crate) async fn begun_afresh(world: &World, event: &EventEnvelope) -> Result<(), HandlerError> {
    let letter = Requeued::deserialize(&event.payload).map_err(|error| HandlerError::Permanent(error.to_string()))?;
    let settled = settle(deps(world), letter.source, &letter.consumer, letter.subject_id).await;
    settled.map(drop).map_err(|error| HandlerError::from(port(error)))
}

/// The consumer that opens review cases.
pub(crate) struct Reviews {
    world: World,
}

impl Reviews {
    pub(crate) fn new(world: World) -> Self {
        Self { world }
    }
}

#[async_trait]
impl EventHandler for Reviews {
    fn consumer(&self) -> &'static str {
        REVIEWS_CONSUMER
    }

    fn bindings(&self) -> &'static [&'static str] {
        REVIEWS_BINDINGS
    }

    async fn handle(&self, event: EventEnvelope) -> Result<Handled, HandlerError> {
        let deps = deps(&self.world);
        let told =
            if is_withdrawal(&event) { withdraw_review(deps, &event).await } else { open_review(deps, &event).await };
        match told {
            Ok(handled) => {
                tracing::info!(event_id = %event.id, event_type = %event.event_type, ?handled, "event handled");
                Ok(handled)
            }
            Err(OpenError::Malformed(error)) => Err(HandlerError::Permanent(error.to_string())),
            Err(OpenError::Commit(CommitError::Port(error))) => Err(error.into()),
            Err(OpenError::Commit(error)) => Err(HandlerError::Retry(error.to_string())),
        }
    }
}
