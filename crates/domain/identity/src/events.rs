//! What this domain announces. Schemas: `docs/events/`.

use amrutam_kernel::{AccountId, AggregateRef, Context, EventEnvelope, EventId, IdSource};
use jiff::Timestamp;

/// Somebody registered with an address that has an account: its owner is told by mail.
pub const REGISTRATION_REPEATED: &str = "account.registration_repeated.v1";

pub(crate) fn registration_repeated(
    ids: &dyn IdSource,
    context: &Context,
    account: AccountId,
    now: Timestamp,
) -> EventEnvelope {
    EventEnvelope {
        id: EventId::from_uuid(ids.uuid_v7(now)),
        event_type: REGISTRATION_REPEATED.to_owned(),
        // No state changes, so there is no version to raise.
        aggregate: AggregateRef { kind: "account".to_owned(), id: account.as_uuid(), version: 0 },
        occurred_at: now,
        actor: context.actor.to_string(),
        correlation_id: context.correlation_id.clone(),
        trace_parent: context.trace_parent.clone(),
        payload: serde_json::json!({ "account_id": account }),
    }
}
