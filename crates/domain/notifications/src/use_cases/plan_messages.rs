//! An event becomes messages.

use super::Deps;
use crate::{
    CONSUMER, PlanError,
    model::{as_texts, plan},
};
use amrutam_kernel::{CommitError, Effects, EventEnvelope, Handled, InboxMark};

/// Handles one event: stores the messages that follow from it, with the inbox mark, in one transaction. A redelivered
/// event adds nothing. An event without a message is marked all the same, so that the inbox tells what has been seen.
pub async fn plan_messages(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, PlanError> {
    let now = deps.clock.now();
    let mut messages = plan(event, now, deps.ids)?;
    if deps.texts.is_some() {
        messages.extend(as_texts(&messages, now, deps.ids));
    }
    let effects = Effects { inbox: Some(InboxMark { consumer: CONSUMER, event: event.id }), ..Effects::default() };
    match deps.messages.plan(&messages, &effects).await {
        Ok(()) if messages.is_empty() => Ok(Handled::Ignored),
        Ok(()) => Ok(Handled::Applied),
        Err(CommitError::AlreadyHandled) => Ok(Handled::Duplicate),
        Err(error) => Err(error.into()),
    }
}
