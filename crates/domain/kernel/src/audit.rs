//! What is put on the record about an access.

use crate::{AccountId, Actor, AuditEntryId, Context, CorrelationId, Network, Role};
use jiff::Timestamp;

/// How an access ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Allowed,
    /// The policy refused it.
    Denied,
    /// It was allowed, and failed on the way: nobody knows what was seen.
    Failed,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Allowed, Self::Denied, Self::Failed];

    /// The word stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// What an access is for. Unless said otherwise it follows from who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A person, about themselves.
    Own,
    /// A practitioner, for their patient.
    Treatment,
    /// A payment, or a refund.
    Payment,
    /// Helping somebody who asked for it.
    Support,
    /// Running the directory and the accounts.
    Administration,
    /// Looking over what others did.
    Oversight,
    /// An emergency: without the relation that is otherwise asked for.
    Emergency,
    /// Nobody signed in: getting in, or trying to.
    SignIn,
    /// A part of the system, doing what somebody's act asks for.
    Operation,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 9] = [
        Self::Own,
        Self::Treatment,
        Self::Payment,
        Self::Support,
        Self::Administration,
        Self::Oversight,
        Self::Emergency,
        Self::SignIn,
        Self::Operation,
    ];

    /// The word stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Treatment => "treatment",
            Self::Payment => "payment",
            Self::Support => "support",
            Self::Administration => "administration",
            Self::Oversight => "oversight",
            Self::Emergency => "emergency",
            Self::SignIn => "sign_in",
            Self::Operation => "operation",
        }
    }

    /// That of an actor of whom nothing else is known.
    pub const fn of(actor: &Actor) -> Self {
        match actor {
            Actor::Account { role: Role::Patient, .. } => Self::Own,
            Actor::Account { role: Role::Doctor, .. } => Self::Treatment,
            Actor::Account { role: Role::Support, .. } => Self::Support,
            Actor::Account { role: Role::Admin, .. } => Self::Administration,
            Actor::Account { role: Role::Auditor, .. } => Self::Oversight,
            Actor::System(_) => Self::Operation,
            Actor::Anonymous => Self::SignIn,
        }
    }
}

/// The longest id of an object, in bytes: a digest in hex and a date before it.
const MOST_ID: usize = 80;

/// The longest name of a ruleset that is kept, in letters.
const MOST_RULESET: usize = 200;

/// Whether a text can be an object's id in the trail: a UUID, a key's name, a version; no sentence, and nothing an index can't hold.
pub fn is_object_id(text: &str) -> bool {
    text.len() <= MOST_ID && text.bytes().all(is_of_id)
}

/// Whether a text can be the kind of an object, or one half of an action's name.
pub fn is_audit_word(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

const fn is_of_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'+')
}

/// One access or change, by opaque ids only: never a name, an address or a clinical word. The role it was done in is the
/// actor's.
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
    /// What for.
    pub purpose: Purpose,
    /// From where, when it came over the network.
    pub origin: Option<Network>,
    /// The version of the rules it was decided by, when they are data.
    pub ruleset: Option<String>,
    /// Whether the relation that is otherwise asked for was set aside, in an emergency.
    pub break_glass: bool,
}

fn fit(id: String) -> String {
    if is_object_id(&id) {
        return id;
    }
    id.bytes().take(MOST_ID).map(|byte| if is_of_id(byte) { char::from(byte) } else { '_' }).collect()
}

impl AuditEntry {
    /// By the context's actor, in its flow, about nobody's data. What is in `resource_id` beyond [`is_object_id`] is not kept: the act
    /// is on the record all the same.
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
            resource_id: fit(resource_id),
            patient: None,
            outcome,
            correlation_id: context.correlation_id.clone(),
            purpose: Purpose::of(&context.actor),
            origin: context.origin,
            ruleset: None,
            break_glass: false,
        }
    }

    /// The same, about a person's data.
    #[must_use]
    pub fn about(self, patient: AccountId) -> Self {
        Self { patient: Some(patient), ..self }
    }

    /// The same, for another purpose than the actor's usual one.
    #[must_use]
    pub fn with_purpose(self, purpose: Purpose) -> Self {
        Self { purpose, ..self }
    }

    /// The same, decided by this version of the rules.
    #[must_use]
    pub fn decided_by(self, ruleset: impl Into<String>) -> Self {
        let shown = |letter: char| if letter.is_ascii_graphic() || letter == ' ' { letter } else { '_' };
        let ruleset = ruleset.into().chars().take(MOST_RULESET).map(shown).collect();
        Self { ruleset: Some(ruleset), ..self }
    }

    /// The same, with the glass broken: flagged, and for an emergency.
    #[must_use]
    pub fn breaking_glass(self) -> Self {
        Self { break_glass: true, purpose: Purpose::Emergency, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_by_an_id_and_by_nothing_longer() {
        for id in ["", "019aaf00-0000-7000-8000-000000000007", "kek-2026.11", &"f".repeat(MOST_ID)] {
            assert!(is_object_id(id) && fit(id.to_owned()) == id, "{id}");
        }
        for text in ["Asha Rao", "a\nb", "ü", &"x".repeat(4_096)] {
            assert!(!is_object_id(text) && is_object_id(&fit(text.to_owned())), "{text}");
        }
        assert!(is_audit_word("audit_trail") && !is_audit_word("") && !is_audit_word("Audit"));
        assert!(!is_audit_word(&"x".repeat(41)));
    }
}
