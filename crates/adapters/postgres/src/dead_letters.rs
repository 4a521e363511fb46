//! Dead letters, and what an operator watches of them and of the review cases.

use crate::{
    booking::RecordedRow,
    effects::{EffectRows, hex, unhex, verdict},
    error::unreadable,
    functions,
    json::Json,
    pool::{Postgres, bounded},
};
use amrutam_kernel::{
    CommitError, CorrelationId, DeadLetterId, DeadSource, Effects, IdempotencyClaim, Page, PageRequest, PortError,
    Unrecorded, recorded,
};
use amrutam_operations::{
    model::{DeadLetter, LetterState, Payload},
    ports::{ByTime, DeadLetterStore, LetterChange, LetterFilter, Records, Snapshot},
};
use async_trait::async_trait;
use diesel::sql_types::{BigInt, Double, Text};
use diesel_async::RunQueryDsl;
use jiff::Timestamp;
use jiff_diesel::ToDiesel;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A row, as the SQL functions give and take it.
#[derive(Debug, Serialize, Deserialize)]
struct LetterRow {
    id: DeadLetterId,
    source: DeadSource,
    consumer: String,
    subject_id: Uuid,
    kind: String,
    payload: Option<Value>,
    sealed_body: Option<String>,
    headers: BTreeMap<String, String>,
    error: String,
    attempts: u32,
    redeliveries: u32,
    deaths: u32,
    requeues: u32,
    correlation_id: Option<CorrelationId>,
    first_failed_at: Timestamp,
    opened_at: Timestamp,
    died_at: Timestamp,
    state: String,
    discard_reason: Option<String>,
    updated_at: Timestamp,
    version: i64,
}

/// As `bytea` travels in JSON.
pub(super) fn bytea(bytes: &[u8]) -> String {
    format!("\\x{}", hex(bytes))
}

/// From [`bytea`].
pub(super) fn bytes(text: &str) -> Result<Vec<u8>, PortError> {
    text.strip_prefix("\\x").and_then(unhex).ok_or_else(|| unreadable("not bytes in hexadecimal"))
}

impl TryFrom<&DeadLetter> for LetterRow {
    type Error = PortError;
    fn try_from(letter: &DeadLetter) -> Result<Self, PortError> {
        let (payload, sealed_body) = match &letter.payload {
            Payload::Event(event) => (Some(serde_json::to_value(event).map_err(unreadable)?), None),
            Payload::Task(about) => (Some(about.clone()), None),
            Payload::Sealed(sealed) => (None, Some(bytea(sealed))),
        };
        Ok(Self {
            id: letter.id,
            source: letter.source,
            consumer: letter.consumer.clone(),
            subject_id: letter.subject,
            kind: letter.kind.clone(),
            payload,
            sealed_body,
            headers: letter.headers.clone(),
            error: letter.error.clone(),
            attempts: letter.attempts,
            redeliveries: letter.redeliveries,
            deaths: letter.deaths,
            requeues: letter.requeues,
            correlation_id: letter.correlation_id.clone(),
            first_failed_at: letter.first_failed_at,
            opened_at: letter.opened_at,
            died_at: letter.died_at,
            state: letter.state.as_str().to_owned(),
            discard_reason: letter.discard_reason.map(|reason| reason.as_str().to_owned()),
            updated_at: letter.updated_at,
            version: letter.version,
        })
    }
}

impl TryFrom<LetterRow> for DeadLetter {
    type Error = PortError;
    fn try_from(row: LetterRow) -> Result<Self, PortError> {
        let payload = match (row.payload, row.sealed_body, row.source) {
            (Some(event), _, DeadSource::Event) => Payload::Event(serde_json::from_value(event).map_err(unreadable)?),
            (Some(about), _, _) => Payload::Task(about),
            (None, Some(sealed), _) => Payload::Sealed(bytes(&sealed)?),
            (None, None, _) => return Err(unreadable("a dead letter that says nothing")),
        };
        Ok(Self {
            id: row.id,
            source: row.source,
            consumer: row.consumer,
            subject: row.subject_id,
            kind: row.kind,
            payload,
            headers: row.headers,
            error: row.error,
            attempts: row.attempts,
            redeliveries: row.redeliveries,
            deaths: row.deaths,
            requeues: row.requeues,
            correlation_id: row.correlation_id,
            first_failed_at: row.first_failed_at,
            opened_at: row.opened_at,
            died_at: row.died_at,
            state: row.state.parse().map_err(unreadable)?,
            discard_reason: row.discard_reason.map(|word| word.parse()).transpose().map_err(unreadable)?,
            updated_at: row.updated_at,
            version: row.version,
        })
    }
}

/// What the functions that read one thing for a decision give.
#[derive(Debug, Deserialize)]
pub(super) struct SnapshotRow<T> {
    pub(super) found: T,
    pub(super) recorded: Option<RecordedRow>,
}

impl<T> SnapshotRow<T> {
    pub(super) fn read<U: TryFrom<T, Error = PortError>>(
        self,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Snapshot<U>, PortError> {
        let recorded = self.recorded.zip(claim).map(|(row, claim)| row.against(claim)).transpose()?;
        Ok(Snapshot { found: self.found.try_into()?, recorded })
    }
}

#[derive(Debug, Serialize)]
struct ChangeRow<'a> {
    letter: LetterRow,
    requeue: bool,
    effects: EffectRows<'a>,
}

#[async_trait]
impl Records for Postgres {
    async fn put_on_record(&self, effects: &Effects) -> Result<(), PortError> {
        recorded(self.commit_effects(effects).await)
    }
}

#[async_trait]
impl DeadLetterStore for Postgres {
    async fn letter(
        &self,
        id: DeadLetterId,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Unrecorded<Option<Snapshot<DeadLetter>>>, PortError> {
        let (caller, key) = (claim.map(|claim| claim.caller.as_uuid()), claim.map(|claim| claim.key.as_str()));
        let query = diesel::select(functions::dead_letter_snapshot(id.as_uuid(), caller, key));
        let row: Option<Json<SnapshotRow<LetterRow>>> = self.ask(query).await?;
        Ok(Unrecorded::new(row.map(|Json(row)| row.read(claim)).transpose()?))
    }

    async fn letter_about(
        &self,
        source: DeadSource,
        consumer: &str,
        subject: Uuid,
    ) -> Result<Unrecorded<Option<DeadLetter>>, PortError> {
        let query = diesel::select(functions::dead_letter_about(source.as_str(), consumer, subject));
        let row: Option<Json<LetterRow>> = self.ask(query).await?;
        Ok(Unrecorded::new(row.map(|Json(row)| row.try_into()).transpose()?))
    }

    async fn letters(
        &self,
        filter: &LetterFilter,
        page: PageRequest<ByTime<DeadLetterId>>,
    ) -> Result<Unrecorded<Page<DeadLetter, ByTime<DeadLetterId>>>, PortError> {
        let query = diesel::select(functions::list_dead_letters(
            filter.state.map(LetterState::as_str),
            filter.consumer.as_deref(),
            filter.source.map(DeadSource::as_str),
            page.after.map(|(at, _)| at.to_diesel()),
            page.after.map(|(_, id)| id.as_uuid()),
            i32::from(page.limit.get()) + 1,
        ));
        let Json(rows): Json<Vec<LetterRow>> = self.ask(query).await?;
        let letters = rows.into_iter().map(DeadLetter::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Unrecorded::new(Page::cut(letters, page.limit, |last| (last.opened_at, last.id))))
    }

    async fn put_letter(&self, change: LetterChange<'_>, effects: &Effects) -> Result<(), CommitError> {
        let row = ChangeRow {
            letter: change.letter.try_into()?,
            requeue: change.requeue,
            effects: EffectRows::of(&[effects]),
        };
        let word: String = self.ask(diesel::select(functions::put_dead_letter(Json(row)))).await?;
        verdict(&word)
    }
}

/// How much waits for a person, and since when.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// `dead_letters` or `reviews`.
    pub what: String,
    /// The consumer whose work it was, or the domain that asks.
    pub of: String,
    /// How much.
    pub count: i64,
    /// How long the oldest has waited, by the database's clock.
    pub oldest_seconds: f64,
}

impl Postgres {
    /// Dead letters by consumer, and review cases that are not resolved by domain. What has none is left out.
    pub async fn waiting_for_people(&self) -> Result<Vec<Waiting>, PortError> {
        #[derive(diesel::QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            what: String,
            #[diesel(sql_type = Text)]
            of: String,
            #[diesel(sql_type = BigInt)]
            count: i64,
            #[diesel(sql_type = Double)]
            oldest: f64,
        }
        let query = diesel::sql_query(
            "SELECT 'dead_letters' AS what, consumer AS of, count(*) AS count, \
               greatest(extract(epoch FROM now() - min(died_at)), 0)::float8 AS oldest \
               FROM dead_letters WHERE state = 'dead' GROUP BY consumer \
             UNION ALL \
             SELECT 'reviews', kind, count(*), greatest(extract(epoch FROM now() - min(opened_at)), 0)::float8 \
               FROM review_cases WHERE state <> 'resolved' GROUP BY kind",
        );
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<Row>(conn.raw()?)).await;
        let waiting = |row: Row| Waiting { what: row.what, of: row.of, count: row.count, oldest_seconds: row.oldest };
        Ok(conn.settle(result)?.into_iter().map(waiting).collect())
    }
}
