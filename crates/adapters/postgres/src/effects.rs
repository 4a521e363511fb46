//! [`Effects`] as the argument of `commit_effects` and of the functions that commit them with something else.

use crate::{
    error::{DbError, unreadable},
    functions,
    group::{Company, PEOPLE, Together},
    json::Json,
    pool::Postgres,
};
use amrutam_audit::model::Entry;
use amrutam_kernel::{
    AccountId, AuditEntry, AuditTrail, CommitError, CorrelationId, DeadLetterId, Effects, EventEnvelope, EventId,
    GivenUp, PortError, StoredAnswer, recorded,
};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// Something of a group's `n`th unit of work, counted from 1.
#[derive(Debug, Serialize)]
pub(crate) struct Of<T> {
    n: usize,
    #[serde(flatten)]
    it: T,
}

/// Numbers what belongs to each unit of work of a group.
pub(crate) fn number<'a, U: 'a, T>(
    units: impl IntoIterator<Item = &'a U>,
    parts: impl Fn(&'a U) -> Vec<T>,
) -> Vec<Of<T>> {
    let numbered = units.into_iter().zip(1..);
    numbered.flat_map(|(unit, n)| parts(unit).into_iter().map(move |it| Of { n, it })).collect()
}

/// The effects of a group of units of work.
#[derive(Debug, Serialize)]
pub(crate) struct EffectRows<'a> {
    count: usize,
    correlation_ids: String,
    events: Vec<Of<EventRow<'a>>>,
    audit: Vec<Of<AuditRow>>,
    given_up: Vec<Of<GivenUpRow<'a>>>,
    inbox: Vec<Of<InboxRow>>,
    answers: Vec<Of<AnswerRow<'a>>>,
}

#[derive(Debug, Serialize)]
struct EventRow<'a> {
    envelope: &'a EventEnvelope,
}

#[derive(Debug, Serialize)]
struct AuditRow {
    entry: Entry,
}

#[derive(Debug, Serialize)]
struct GivenUpRow<'a> {
    id: DeadLetterId,
    source: &'static str,
    consumer: &'static str,
    subject: Uuid,
    kind: &'a str,
    payload: &'a Value,
    error: &'a str,
    attempts: u32,
    correlation_id: &'a CorrelationId,
    first_failed_at: Option<Timestamp>,
    at: Timestamp,
}

#[derive(Debug, Serialize)]
struct InboxRow {
    consumer: &'static str,
    event: EventId,
}

#[derive(Debug, Serialize)]
struct AnswerRow<'a> {
    caller: AccountId,
    key: &'a str,
    fingerprint: String,
    answer: &'a StoredAnswer,
}

impl<'a> EffectRows<'a> {
    pub(crate) fn of(units: &[&'a Effects]) -> Self {
        let all = || units.iter().copied();
        let correlation_ids: Vec<_> = all().filter_map(correlation_id).map(CorrelationId::as_str).collect();
        Self {
            count: units.len(),
            correlation_ids: correlation_ids.join(" "),
            events: number(all(), |unit| unit.events.iter().map(|envelope| EventRow { envelope }).collect()),
            audit: number(all(), |unit| unit.audit.iter().map(AuditRow::from).collect()),
            given_up: number(all(), |unit| unit.given_up.iter().map(GivenUpRow::from).collect()),
            inbox: number(all(), |unit| {
                unit.inbox.iter().map(|mark| InboxRow { consumer: mark.consumer, event: mark.event }).collect()
            }),
            answers: number(all(), |unit| {
                let row = |(claim, answer): &'a (amrutam_kernel::IdempotencyClaim, StoredAnswer)| AnswerRow {
                    caller: claim.caller,
                    key: claim.key.as_str(),
                    fingerprint: hex(claim.fingerprint.as_bytes()),
                    answer,
                };
                unit.answer.iter().map(row).collect()
            }),
        }
    }
}

impl EffectRows<'_> {
    /// Names the session by these flows, too.
    pub(crate) fn named<'b>(mut self, flows: impl Iterator<Item = &'b CorrelationId>) -> Self {
        for flow in flows {
            if !self.correlation_ids.is_empty() {
                self.correlation_ids.push(' ');
            }
            self.correlation_ids.push_str(flow.as_str());
        }
        self
    }
}

fn correlation_id(effects: &Effects) -> Option<&CorrelationId> {
    // The caller's own come last; a hold that ran out on the way is in a flow of its own.
    let event = effects.events.last().map(|event| &event.correlation_id);
    event.or_else(|| effects.audit.last().map(|entry| &entry.correlation_id))
}

impl From<&AuditEntry> for AuditRow {
    fn from(entry: &AuditEntry) -> Self {
        Self { entry: entry.into() }
    }
}

impl<'a> From<&'a GivenUp> for GivenUpRow<'a> {
    fn from(given_up: &'a GivenUp) -> Self {
        Self {
            id: given_up.id,
            source: given_up.source.as_str(),
            consumer: given_up.consumer,
            subject: given_up.subject,
            kind: &given_up.kind,
            payload: &given_up.payload,
            error: &given_up.error,
            attempts: given_up.attempts,
            correlation_id: &given_up.correlation_id,
            first_failed_at: given_up.first_failed_at,
            at: given_up.at,
        }
    }
}

impl Postgres {
    /// Commits effects alone; those that come together share one flush.
    pub(crate) async fn commit_effects(&self, effects: &Effects) -> Result<(), CommitError> {
        verdict(&self.groups.effects.call(self, Alone(effects.clone())).await?)
    }
}

/// Effects that change nothing else.
pub(crate) struct Alone(Effects);

impl Together for Alone {
    type Db = Postgres;
    /// The verdict.
    type Answer = String;
    const ABREAST: usize = 2;
    const COMPANY: Company = PEOPLE;
    async fn ask(db: &Postgres, units: &[Self]) -> Result<Vec<String>, DbError> {
        let effects: Vec<_> = units.iter().map(|unit| &unit.0).collect();
        db.ask(diesel::select(functions::commit_effects(Json(EffectRows::of(&effects))))).await
    }
}

#[async_trait]
impl AuditTrail for Postgres {
    async fn record(&self, entries: Vec<AuditEntry>) -> Result<(), PortError> {
        recorded(self.commit_effects(&Effects { audit: entries, ..Effects::default() }).await)
    }
}

/// What the SQL functions say of a commit.
pub(crate) fn verdict(word: &str) -> Result<(), CommitError> {
    match word {
        "ok" => Ok(()),
        "stale" => Err(CommitError::Stale),
        "busy" => Err(CommitError::Busy),
        "answered" => Err(CommitError::AlreadyAnswered),
        "handled" => Err(CommitError::AlreadyHandled),
        other => Err(CommitError::Port(unreadable(other))),
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
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks_exact(2);
    let whole = pairs.remainder().is_empty();
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect::<Option<_>>().filter(|_| whole)
}
