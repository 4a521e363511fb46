//! What is put on the record about an access.

use crate::{AccountId, Actor, AuditEntryId, Context, CorrelationId};
use jiff::Timestamp;

/// How an access ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Allowed,
    /// The policy refused it.
    Denied,
}

impl Outcome {
    /// The word stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
        }
    }
}

/// One access or change, by opaque ids only: never a name, an address or a clinical word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its own id.
    pub id: AuditEntryId,
    /// When.
    pub occurred_at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What was done, `noun.verb`: `consultation.book`.
    pub action: &'static str,
    /// The kind of object: `consultation`.
    pub resource_kind: &'static str,
    /// Which object, as text; empty when none was reached.
    pub resource_id: String,
    /// Whose data it is, when it is a person's.
    pub patient: Option<AccountId>,
    /// How it ended.
    pub outcome: Outcome,
    /// The flow it belongs to.
    pub correlation_id: CorrelationId,
}

impl AuditEntry {
    /// By the context's actor, in its flow, about nobody's data.
    pub fn new(
        id: AuditEntryId,
        occurred_at: Timestamp,
        context: &Context,
        action: &'static str,
        resource_kind: &'static str,
        resource_id: String,
        outcome: Outcome,
    ) -> Self {
        Self {
            id,
            occurred_at,
            actor: context.actor,
            action,
            resource_kind,
            resource_id,
            patient: None,
            outcome,
            correlation_id: context.correlation_id.clone(),
        }
    }

    /// The same, about a person's data.
    #[must_use]
    pub fn about(self, patient: AccountId) -> Self {
        Self { patient: Some(patient), ..self }
    }
}
