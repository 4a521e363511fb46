//! The envelope in which a domain announces what happened.

use crate::{CorrelationId, EventId, TraceParent};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Which aggregate an event is about, and which of its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregateRef {
    /// Its kind: `consultation`.
    pub kind: String,
    /// Its id.
    pub id: Uuid,
    /// Rises by one per event of the aggregate, from 1.
    pub version: i64,
}

/// An event as it is stored in the outbox and travels through the broker.
///
/// The payload carries ids and codes, never a name, an address or a clinical word. Its schema is
/// `docs/events/<event_type>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventEnvelope {
    /// Consumers deduplicate by this.
    pub id: EventId,
    /// Name and schema version, also the routing key: `consultation.requested.v1`.
    pub event_type: String,
    /// What it is about.
    pub aggregate: AggregateRef,
    /// When it happened, by the clock of the process that decided.
    pub occurred_at: Timestamp,
    /// Who caused it: `patient:<id>`, `system:<name>`.
    pub actor: String,
    /// The flow it belongs to.
    pub correlation_id: CorrelationId,
    /// The trace it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<TraceParent>,
    /// Ids and codes.
    pub payload: serde_json::Value,
}
