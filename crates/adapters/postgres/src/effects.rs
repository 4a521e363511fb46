//! [`Effects`] as the argument of `commit_effects`.

use amrutam_kernel::{AuditEntry, CommitError, Effects, IdempotencyClaim, StoredAnswer};
use serde_json::{Value, json};

pub(crate) fn to_json(effects: &Effects) -> Result<Value, serde_json::Error> {
    let correlation_id = effects
        .events
        .first()
        .map(|event| &event.correlation_id)
        .or_else(|| effects.audit.first().map(|entry| &entry.correlation_id));
    Ok(json!({
        "correlation_id": correlation_id,
        "events": effects.events,
        "audit": effects.audit.iter().map(audit_to_json).collect::<Vec<_>>(),
        "inbox": effects.inbox.as_ref().map(|mark| json!({ "consumer": mark.consumer, "event": mark.event })),
        "answer": effects.answer.as_ref().map(answer_to_json),
    }))
}

fn audit_to_json(entry: &AuditEntry) -> Value {
    json!({
        "id": entry.id,
        "occurred_at": entry.occurred_at,
        "actor_id": entry.actor.account(),
        "actor": entry.actor.to_string(),
        "action": entry.action,
        "resource_kind": entry.resource_kind,
        "resource_id": entry.resource_id,
        "patient_id": entry.patient,
        "outcome": entry.outcome.as_str(),
        "correlation_id": entry.correlation_id,
    })
}

fn answer_to_json((claim, answer): &(IdempotencyClaim, StoredAnswer)) -> Value {
    json!({
        "caller": claim.caller,
        "key": claim.key.as_str(),
        "fingerprint": hex(claim.fingerprint.as_bytes()),
        "answer": answer,
    })
}

/// What the SQL functions say of a commit.
pub(crate) fn verdict(word: &str) -> Result<(), CommitError> {
    match word {
        "ok" => Ok(()),
        "stale" => Err(CommitError::Stale),
        "busy" => Err(CommitError::Busy),
        "answered" => Err(CommitError::AlreadyAnswered),
        "handled" => Err(CommitError::AlreadyHandled),
        other => Err(CommitError::Port(crate::error::unreadable(other))),
    }
}

/// For PostgreSQL's `decode(.., 'hex')`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// From PostgreSQL's `encode(.., 'hex')`.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
