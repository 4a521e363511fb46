//! The consumer that turns signed prescriptions into documents.

use crate::{aside::Aside, worker::World};
use amrutam_clinical::{
    events::CONSUMER,
    use_cases::{IssuerDeps, issue_document},
};
use amrutam_kernel::{EventEnvelope, EventHandler, Handled, HandlerError};
use async_trait::async_trait;

pub(crate) struct Documents {
    world: World,
}

impl Documents {
    pub(crate) const NAME: &'static str = CONSUMER;
    /// All of the prescriptions' own events have a queue here: an unroutable one would be refused.
    pub(crate) const BINDINGS: &'static [&'static str] =
        &["prescription.#", "consultation.completed.v1", "review.resolved.v1"];

    pub(crate) fn new(world: World) -> Self {
        Self { world }
    }
}

#[async_trait]
impl EventHandler for Documents {
    fn consumer(&self) -> &'static str {
        Self::NAME
    }

    fn bindings(&self) -> &'static [&'static str] {
        Self::BINDINGS
    }

    async fn handle(&self, event: EventEnvelope) -> Result<Handled, HandlerError> {
        let deps = IssuerDeps {
            store: &self.world.clinical,
            renderer: &Aside(&*self.world.renderer),
            clock: &self.world.clock,
            ids: &self.world.ids,
        };
        let handled = issue_document(deps, &event).await?;
        tracing::info!(event_id = %event.id, event_type = %event.event_type, ?handled, "event handled");
        Ok(handled)
    }
}
