//! The consumer that turns events into messages.

use crate::worker::World;
use amrutam_kernel::{CommitError, EventEnvelope, EventHandler, Handled, HandlerError};
use amrutam_notifications::{
    CONSUMER, LinkPages, PlanError,
    use_cases::{Deps, Texts, plan_messages},
};
use async_trait::async_trait;

pub(crate) struct Notifications {
    world: World,
}

impl Notifications {
    pub(crate) const NAME: &'static str = CONSUMER;
    pub(crate) const BINDINGS: &'static [&'static str] = &[
        "consultation.confirmed.#",
        "consultation.rescheduled.#",
        "consultation.cancelled.#",
        "consultation.expired.#",
        "consultation.started.#",
        "consultation.completed.#",
        "consultation.no_show.#",
        "consultation.unconfirmable.#",
        "account.#",
        "payment.#",
        "record.#",
    ];
    /// Before some events had no queue.
    pub(crate) const RETIRED_BINDINGS: &'static [&'static str] = &["consultation.#"];

    pub(crate) fn new(world: World) -> Self {
        Self { world }
    }
}

pub(crate) fn deps(world: &World) -> Deps<'_> {
    Deps {
        messages: &world.postgres,
        visits: &world.postgres,
        contacts: &world.accounts,
        trail: &world.postgres,
        mailer: world.mailer.as_ref(),
        texts: world.sms.as_deref().map(|sms| Texts { sender: &sms.sender, templates: &sms.templates }),
        pages: LinkPages { base: &world.pages_url, tokens: world.link_tokens.as_ref() },
        clock: &world.clock,
        ids: &world.ids,
    }
}

#[async_trait]
impl EventHandler for Notifications {
    fn consumer(&self) -> &'static str {
        Self::NAME
    }

    fn bindings(&self) -> &'static [&'static str] {
        Self::BINDINGS
    }

    fn retired_bindings(&self) -> &'static [&'static str] {
        Self::RETIRED_BINDINGS
    }

    async fn handle(&self, event: EventEnvelope) -> Result<Handled, HandlerError> {
        match plan_messages(deps(&self.world), &event).await {
            Ok(handled) => {
                tracing::info!(event_id = %event.id, event_type = %event.event_type, ?handled, "event handled");
                Ok(handled)
            }
            Err(PlanError::Malformed(error)) => Err(HandlerError::Permanent(format!("{error}: {}", error.source))),
            Err(PlanError::Commit(CommitError::Port(error))) => Err(error.into()),
            Err(PlanError::Commit(error)) => Err(HandlerError::Retry(error.to_string())),
        }
    }
}
