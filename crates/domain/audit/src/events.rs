//! What is announced.

use amrutam_kernel::{AccountId, AggregateRef, AuditEntryId, Context, EventEnvelope, EventId};
use jiff::Timestamp;

/// A person must look: somebody objects to an access, or one was unusual. Schema: `docs/events/audit.review_needed.v1.json`.
pub const REVIEW_NEEDED: &str = "audit.review_needed.v1";

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
        payload: serde_json::json!({ "entry_id": entry, "patient_id": patient, "reason": reason }),
    }
}
