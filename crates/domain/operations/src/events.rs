//! What this domain hears and what it announces. Their schemas are in `docs/events/`.

use crate::model::{Choice, Code, DeadLetter, InvalidCode, Payload, ReviewCase, Subject};
use amrutam_kernel::{AccountId, AggregateRef, ConsultationId, Context, EventEnvelope, EventId, Money, ReviewCaseId};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

/// The consumer's fixed name: its queue and its inbox marks are known by it.
pub const REVIEWS_CONSUMER: &str = "reviews";

/// Whatever a domain can't finish, and what it could after all.
pub const REVIEWS_BINDINGS: &[&str] = &["*.review_needed.v1", "*.review_withdrawn.v1"];

/// Whether an event takes back what was asked.
pub fn is_withdrawal(event: &EventEnvelope) -> bool {
    event.event_type.ends_with(".review_withdrawn.v1")
}

/// A case is resolved: its domain carries the choice out.
pub const REVIEW_RESOLVED: &str = "review.resolved.v1";

/// A dead letter is requeued whose work another domain makes due again: those of [`GatewayTask`](amrutam_kernel::DeadSource).
pub const LETTER_REQUEUED: &str = "dead_letter.requeued.v1";

/// The payload is not what its schema says: trying again will not help. The text names fields, it quotes no values.
#[derive(Debug, thiserror::Error)]
#[error("the payload of {event_type} is not what its schema says: {problem}")]
pub struct MalformedReview {
    /// Which schema.
    pub event_type: String,
    /// What is wrong.
    pub problem: String,
}

#[derive(Debug, Deserialize)]
struct ReviewNeeded {
    reason: String,
    choices: Vec<OfferedChoice>,
    amount: Option<Money>,
    consultation_id: Option<ConsultationId>,
    patient_id: Option<AccountId>,
    subject: Option<Subject>,
    #[serde(default)]
    tried: Vec<String>,
}

/// A bare word moves all that the case is about; an object says what it moves, or that it moves nothing.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OfferedChoice {
    Word(String),
    Full { choice: String, amount: Option<Money> },
}

/// The case that an event opens.
pub(crate) fn case_of(event: &EventEnvelope, id: ReviewCaseId, now: Timestamp) -> Result<ReviewCase, MalformedReview> {
    let malformed = |problem: String| MalformedReview { event_type: event.event_type.clone(), problem };
    let code = |error: InvalidCode| malformed(error.to_string());
    // serde's text may quote a value; where it stopped is enough.
    let needed =
        ReviewNeeded::deserialize(&event.payload).map_err(|error| malformed(format!("{:?}", error.classify())))?;
    let kind = event.event_type.split('.').next().unwrap_or_default().parse().map_err(code)?;
    let offered = needed.choices.into_iter().map(|offered| {
        let (word, moves) = match offered {
            OfferedChoice::Word(word) => (word, needed.amount),
            OfferedChoice::Full { choice, amount } => (choice, amount),
        };
        Ok(Choice { word: word.parse()?, moves })
    });
    let choices = offered.collect::<Result<Vec<_>, _>>().map_err(code)?;
    if choices.is_empty() {
        return Err(malformed("no choices: nobody could resolve it".to_owned()));
    }
    let subject = match needed.subject {
        Some(subject) => subject,
        None => Subject { kind: event.aggregate.kind.parse().map_err(code)?, id: event.aggregate.id },
    };
    Ok(ReviewCase {
        id,
        kind,
        subject,
        patient: needed.patient_id,
        consultation: needed.consultation_id,
        reason: needed.reason.parse().map_err(code)?,
        amount: needed.amount,
        choices,
        tried: needed.tried.iter().map(|word| word.parse()).collect::<Result<_, _>>().map_err(code)?,
        opened_at: now,
        opened_by_event: event.id,
        asked_version: event.aggregate.version,
        correlation_id: event.correlation_id.clone(),
        state: crate::model::ReviewState::Open,
        decision: None,
        updated_at: now,
        version: 1,
    })
}

#[derive(Debug, Deserialize)]
struct ReviewWithdrawn {
    reason: String,
    subject: Option<Subject>,
}

/// What is asked no longer: about what, and why it was.
pub(crate) fn withdrawn(event: &EventEnvelope) -> Result<(Subject, Code), MalformedReview> {
    let malformed = |problem: String| MalformedReview { event_type: event.event_type.clone(), problem };
    let code = |error: InvalidCode| malformed(error.to_string());
    let taken_back =
        ReviewWithdrawn::deserialize(&event.payload).map_err(|error| malformed(format!("{:?}", error.classify())))?;
    let subject = match taken_back.subject {
        Some(subject) => subject,
        None => Subject { kind: event.aggregate.kind.parse().map_err(code)?, id: event.aggregate.id },
    };
    Ok((subject, taken_back.reason.parse().map_err(code)?))
}

/// A case has one event in its life.
pub(crate) fn resolved(id: EventId, case: &ReviewCase, context: &Context, now: Timestamp) -> Option<EventEnvelope> {
    let decision = case.decision.as_ref()?;
    Some(EventEnvelope {
        id,
        event_type: REVIEW_RESOLVED.to_owned(),
        aggregate: AggregateRef { kind: "review".to_owned(), id: case.id.as_uuid(), version: 1 },
        occurred_at: now,
        actor: context.actor.to_string(),
        correlation_id: context.correlation_id.clone(),
        trace_parent: context.trace_parent.clone(),
        payload: json!({
            "case": case.id,
            "kind": case.kind,
            "subject": case.subject,
            "reason": case.reason,
            "asked_version": case.asked_version,
            "consultation_id": case.consultation,
            "choice": decision.choice,
            "amount": decision.moves,
            "decided_by": decision.decided_by,
            "approved_by": decision.approval.as_ref().map(|approval| &approval.by),
        }),
    })
}

pub(crate) fn letter_requeued(id: EventId, letter: &DeadLetter, context: &Context, now: Timestamp) -> EventEnvelope {
    let aggregate =
        AggregateRef { kind: "dead_letter".to_owned(), id: letter.id.as_uuid(), version: i64::from(letter.requeues) };
    EventEnvelope {
        id,
        event_type: LETTER_REQUEUED.to_owned(),
        aggregate,
        occurred_at: now,
        actor: context.actor.to_string(),
        correlation_id: context.correlation_id.clone(),
        trace_parent: context.trace_parent.clone(),
        payload: json!({
            "dead_letter": letter.id,
            "source": letter.source,
            "consumer": letter.consumer,
            "subject_id": letter.subject,
            "kind": letter.kind,
            // Ids and codes only.
            "work": match &letter.payload {
                Payload::Task(work) => Some(work),
                Payload::Event(_) | Payload::Sealed(_) => None,
            },
        }),
    }
}
