//! What this domain announces. Schemas: `docs/events/`. Payloads carry ids and codes.

use crate::model::{Erasure, Export};
use amrutam_kernel::{AggregateRef, Context, EventEnvelope, EventId};
use jiff::Timestamp;

/// Somebody asks for a copy of what is held of them: it is to be made.
pub const EXPORT_REQUESTED: &str = "export.requested.v1";
/// It waits to be taken.
pub const EXPORT_READY: &str = "export.ready.v1";
/// It can't be made.
pub const EXPORT_FAILED: &str = "export.failed.v1";
/// An account is erased, and what is kept of it is locked.
pub const ERASURE_ACCEPTED: &str = "erasure.accepted.v1";
/// What was kept of it is destroyed.
pub const ERASURE_COMPLETED: &str = "erasure.completed.v1";

/// What the worker's consumer of these is called in queues and inbox.
pub const CONSUMER: &str = "privacy";
/// All of this domain's events have a queue there: an unroutable one would be refused.
pub const BINDINGS: &[&str] = &["export.#", "erasure.#"];

pub(crate) fn export_event(
    event_type: &'static str,
    id: EventId,
    export: &Export,
    context: &Context,
    now: Timestamp,
) -> EventEnvelope {
    EventEnvelope {
        id,
        event_type: event_type.to_owned(),
        aggregate: AggregateRef { kind: "export".to_owned(), id: export.id.as_uuid(), version: export.version },
        occurred_at: now,
        actor: context.actor.to_string(),
        correlation_id: context.correlation_id.clone(),
        trace_parent: context.trace_parent.clone(),
        payload: serde_json::json!({
            "export_id": export.id,
            "account_id": export.account,
            "state": export.state.as_str(),
        }),
    }
}

pub(crate) fn erasure_event(
    event_type: &'static str,
    id: EventId,
    erasure: &Erasure,
    context: &Context,
    now: Timestamp,
) -> EventEnvelope {
    let version = if event_type == ERASURE_ACCEPTED { 1 } else { 2 };
    EventEnvelope {
        id,
        event_type: event_type.to_owned(),
        aggregate: AggregateRef { kind: "erasure".to_owned(), id: erasure.account.as_uuid(), version },
        occurred_at: now,
        actor: context.actor.to_string(),
        correlation_id: context.correlation_id.clone(),
        trace_parent: context.trace_parent.clone(),
        payload: serde_json::json!({
            "account_id": erasure.account,
            "state": erasure.state.as_str(),
            "keep_until": erasure.keep_until,
        }),
    }
}
