//! Review cases, and what a reviewer sees of a visit.

use crate::{
    dead_letters::{SnapshotRow, bytea, bytes},
    effects::{EffectRows, verdict},
    error::unreadable,
    functions,
    json::Json,
    pool::{Postgres, bounded},
    rows::money,
};
use amrutam_booking::{model::ConsultationStatus, ports::ConsultationStore};
use amrutam_crash::Point;
use amrutam_kernel::{
    AccountId, CommitError, ConsultationId, CorrelationId, Effects, EventId, IdempotencyClaim, Money, Page,
    PageRequest, PaymentId, PortError, ReviewCaseId, Unrecorded,
};
use amrutam_operations::{
    model::{
        Approval, Attempts, Choice, Code, Decider, Decision, HistoryEntry, HistorySubject, ReviewCase, ReviewState,
        SealedNote, Subject,
    },
    ports::{ByTime, ReviewFilter, ReviewStore, Snapshot, VisitHistory},
};
use amrutam_payments::{model::PaymentEntry, ports::PaymentStore};
use async_trait::async_trait;
use diesel::sql_types::{Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use jiff::Timestamp;
use jiff_diesel::ToDiesel;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A row, as the SQL functions give and take it.
#[derive(Debug, Serialize, Deserialize)]
struct ReviewRow {
    id: ReviewCaseId,
    kind: Code,
    subject_kind: Code,
    subject_id: Uuid,
    patient_id: Option<AccountId>,
    consultation_id: Option<ConsultationId>,
    reason: Code,
    amount: Option<i64>,
    currency: Option<String>,
    choices: Vec<Choice>,
    tried: Vec<Code>,
    opened_at: Timestamp,
    opened_by_event: EventId,
    asked_version: Option<i64>,
    correlation_id: CorrelationId,
    state: String,
    choice: Option<Code>,
    moves_amount: Option<i64>,
    moves_currency: Option<String>,
    decided_by: Option<String>,
    decided_at: Option<Timestamp>,
    sealed_note: Option<String>,
    note_version: Option<i64>,
    approved_by: Option<String>,
    approved_at: Option<Timestamp>,
    sealed_approval_note: Option<String>,
    approval_note_version: Option<i64>,
    updated_at: Timestamp,
    version: i64,
}

fn parts(money: Option<Money>) -> (Option<i64>, Option<String>) {
    (money.map(|money| money.amount()), money.map(|money| money.currency().code().to_owned()))
}

fn whole(amount: Option<i64>, currency: Option<&str>) -> Result<Option<Money>, PortError> {
    amount.zip(currency).map(|(amount, currency)| money(amount, currency)).transpose()
}

fn note(sealed: Option<&str>, version: Option<i64>) -> Result<Option<SealedNote>, PortError> {
    let note = |(sealed, version)| Ok(SealedNote { sealed: bytes(sealed)?, version });
    sealed.zip(version).map(note).transpose()
}

impl From<&ReviewCase> for ReviewRow {
    fn from(case: &ReviewCase) -> Self {
        let decision = case.decision.as_ref();
        let approval = decision.and_then(|decision| decision.approval.as_ref());
        let note = decision.and_then(|decision| decision.note.as_ref());
        let approval_note = approval.and_then(|approval| approval.note.as_ref());
        let (amount, currency) = parts(case.amount);
        let (moves_amount, moves_currency) = parts(decision.and_then(|decision| decision.moves));
        Self {
            id: case.id,
            kind: case.kind.clone(),
            subject_kind: case.subject.kind.clone(),
            subject_id: case.subject.id,
            patient_id: case.patient,
            consultation_id: case.consultation,
            reason: case.reason.clone(),
            amount,
            currency,
            choices: case.choices.clone(),
            tried: case.tried.clone(),
            opened_at: case.opened_at,
            opened_by_event: case.opened_by_event,
            asked_version: Some(case.asked_version),
            correlation_id: case.correlation_id.clone(),
            state: case.state.as_str().to_owned(),
            choice: decision.map(|decision| decision.choice.clone()),
            moves_amount,
            moves_currency,
            decided_by: decision.map(|decision| decision.decided_by.as_str().to_owned()),
            decided_at: decision.map(|decision| decision.decided_at),
            sealed_note: note.map(|note| bytea(&note.sealed)),
            note_version: note.map(|note| note.version),
            approved_by: approval.map(|approval| approval.by.as_str().to_owned()),
            approved_at: approval.map(|approval| approval.at),
            sealed_approval_note: approval_note.map(|note| bytea(&note.sealed)),
            approval_note_version: approval_note.map(|note| note.version),
            updated_at: case.updated_at,
            version: case.version,
        }
    }
}

impl TryFrom<ReviewRow> for ReviewCase {
    type Error = PortError;
    fn try_from(row: ReviewRow) -> Result<Self, PortError> {
        let approval_note = note(row.sealed_approval_note.as_deref(), row.approval_note_version)?;
        let approval = row.approved_by.zip(row.approved_at).map(|(by, at)| Approval {
            by: Decider::stored(by),
            at,
            note: approval_note,
        });
        let note = note(row.sealed_note.as_deref(), row.note_version)?;
        let moves = whole(row.moves_amount, row.moves_currency.as_deref())?;
        let decision = match (row.choice, row.decided_by, row.decided_at) {
            (Some(choice), Some(by), Some(decided_at)) => {
                Some(Decision { choice, moves, decided_by: Decider::stored(by), decided_at, note, approval })
            }
            _ => None,
        };
        Ok(Self {
            id: row.id,
            kind: row.kind,
            subject: Subject { kind: row.subject_kind, id: row.subject_id },
            patient: row.patient_id,
            consultation: row.consultation_id,
            reason: row.reason,
            amount: whole(row.amount, row.currency.as_deref())?,
            choices: row.choices,
            tried: row.tried,
            opened_at: row.opened_at,
            opened_by_event: row.opened_by_event,
            asked_version: row.asked_version.unwrap_or(0),
            correlation_id: row.correlation_id,
            state: row.state.parse().map_err(unreadable)?,
            decision,
            updated_at: row.updated_at,
            version: row.version,
        })
    }
}

#[derive(Debug, Serialize)]
struct ChangeRow<'a> {
    case: ReviewRow,
    effects: EffectRows<'a>,
}

#[async_trait]
impl ReviewStore for Postgres {
    async fn review(
        &self,
        id: ReviewCaseId,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Unrecorded<Option<Snapshot<ReviewCase>>>, PortError> {
        let (caller, key) = (claim.map(|claim| claim.caller.as_uuid()), claim.map(|claim| claim.key.as_str()));
        let query = diesel::select(functions::review_snapshot(id.as_uuid(), caller, key));
        let row: Option<Json<SnapshotRow<ReviewRow>>> = self.ask(query).await?;
        Ok(Unrecorded::new(row.map(|Json(row)| row.read(claim)).transpose()?))
    }

    async fn reviews(
        &self,
        filter: &ReviewFilter,
        page: PageRequest<ByTime<ReviewCaseId>>,
    ) -> Result<Unrecorded<Page<ReviewCase, ByTime<ReviewCaseId>>>, PortError> {
        let query = diesel::select(functions::list_reviews(
            filter.state.map(ReviewState::as_str),
            filter.kind.as_ref().map(Code::as_str),
            page.after.map(|(at, _)| at.to_diesel()),
            page.after.map(|(_, id)| id.as_uuid()),
            i32::from(page.limit.get()) + 1,
        ));
        let Json(rows): Json<Vec<ReviewRow>> = self.ask(query).await?;
        let cases = rows.into_iter().map(ReviewCase::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Unrecorded::new(Page::cut(cases, page.limit, |last| (last.opened_at, last.id))))
    }

    async fn open_review_about(
        &self,
        subject: &Subject,
        reason: &Code,
    ) -> Result<Unrecorded<Option<ReviewCase>>, PortError> {
        let query = diesel::select(functions::open_review_about(subject.kind.as_str(), subject.id, reason.as_str()));
        let row: Option<Json<ReviewRow>> = self.ask(query).await?;
        Ok(Unrecorded::new(row.map(|Json(row)| row.try_into()).transpose()?))
    }

    async fn open_review(&self, case: &ReviewCase, effects: &Effects) -> Result<bool, CommitError> {
        let row = ChangeRow { case: case.into(), effects: EffectRows::of(&[effects]) };
        amrutam_crash::here(Point::ReviewBeforeCommit);
        let word: String = self.ask(diesel::select(functions::open_review(Json(row)))).await?;
        amrutam_crash::here(Point::ReviewAfterCommit);
        if word == "known" { Ok(false) } else { verdict(&word).map(|()| true) }
    }

    async fn put_review(&self, case: &ReviewCase, effects: &Effects) -> Result<(), CommitError> {
        let row = ChangeRow { case: case.into(), effects: EffectRows::of(&[effects]) };
        amrutam_crash::here(Point::ReviewBeforeCommit);
        let word: String = self.ask(diesel::select(functions::put_review(Json(row)))).await?;
        amrutam_crash::here(Point::ReviewAfterCommit);
        verdict(&word)
    }
}

#[async_trait]
impl VisitHistory for Postgres {
    async fn history(&self, id: ConsultationId) -> Result<Unrecorded<Vec<HistoryEntry>>, PortError> {
        let entry = |entry: amrutam_booking::model::TimelineEntry| HistoryEntry {
            about: HistorySubject::Consultation,
            version: entry.version,
            at: entry.at,
            kind: entry.kind.as_str().to_owned(),
            from: entry.from.map(ConsultationStatus::as_str).map(str::to_owned),
            to: Some(entry.to.as_str().to_owned()),
            amount: None,
            evidence: None,
            actor: Decider::stored(entry.actor).role().to_owned(),
            cause: entry.cause,
            event: entry.event,
        };
        let entries = ConsultationStore::timeline(self, id).await?;
        Ok(entries.map(|entries| entries.into_iter().map(entry).collect()))
    }

    async fn payment_history(
        &self,
        id: PaymentId,
    ) -> Result<Unrecorded<(Vec<HistoryEntry>, Vec<Attempts>)>, PortError> {
        const SQL: &str = "
            SELECT kind ->> 'kind' AS task, status, claims, last_error, ended_at,
                   CASE status WHEN 'live' THEN greatest(due_at, leased_until) END AS due_at
            FROM gateway_tasks WHERE payment_id = $1 ORDER BY created_at, id";
        let entry = |entry: PaymentEntry| HistoryEntry {
            about: HistorySubject::Payment,
            version: entry.version,
            at: entry.at,
            kind: entry.kind.as_str().to_owned(),
            from: None,
            to: None,
            amount: entry.amount,
            evidence: Some(entry.evidence.to_string()),
            actor: Decider::stored(entry.actor).role().to_owned(),
            cause: entry.cause,
            event: entry.event,
        };
        let steps = PaymentStore::timeline(self, id).await?;
        let query = diesel::sql_query(SQL).bind::<SqlUuid, _>(id.as_uuid());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<AttemptsRow>(conn.raw()?)).await;
        let attempts = conn.settle(result)?.into_iter().map(Attempts::from).collect();
        Ok(steps.map(|steps| (steps.into_iter().map(entry).collect(), attempts)))
    }
}

#[derive(Debug, diesel::QueryableByName)]
struct AttemptsRow {
    #[diesel(sql_type = Text)]
    task: String,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Integer)]
    claims: i32,
    #[diesel(sql_type = Nullable<Text>)]
    last_error: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    due_at: Option<jiff_diesel::Timestamp>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    ended_at: Option<jiff_diesel::Timestamp>,
}

impl From<AttemptsRow> for Attempts {
    fn from(row: AttemptsRow) -> Self {
        Self {
            task: row.task,
            state: row.status,
            begun: u32::try_from(row.claims).unwrap_or(0),
            last_error: row.last_error,
            due_at: row.due_at.map(Into::into),
            ended_at: row.ended_at.map(Into::into),
        }
    }
}
