//! What is announced.

use amrutam_kernel::{AccountId, AggregateRef, AuditEntryId, Context, EventEnvelope, EventId};
use jiff::Timestamp;

/// A person must look: somebody objects to an access, or one was unusual. Schema: `docs/events/review_needed.v1.json`; the aggregate is
/// the entry.
pub const REVIEW_NEEDED: &str = "audit.review_needed.v1";

/// What a reviewer can come to. Nothing follows by itself: what must be done about a person is done by people.
pub const REVIEW_CHOICES: [&str; 2] = ["access_justified", "access_not_justified"];

/// The event of an objection. `reason` is a code.
pub fn review_needed(
    id: EventId,
    entry: AuditEntryId,
    patient: Option<AccountId>,
    reason: &str,
    context: &Context,
    now: Timestamp,
) -> EventEnvelope {
    EventEnvelope {
        id,
        event_type: REVIEW_NEEDED.to_owned(),
        aggregate: AggregateRef { kind: "audit_entry".to_owned(), id: entry.as_uuid(), version: 1 },
        occurred_at: now,
        actor: context.actor.to_string(),
        correlation_id: context.correlation_id.clone(),
        trace_parent: context.trace_parent.clone(),
        payload: serde_json::json!({ "reason": reason, "choices": REVIEW_CHOICES, "patient_id": patient }),
    }
}
