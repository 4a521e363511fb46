//! Messages that wait to be sent, and what they need to know.

use crate::{
    effects::{to_json, verdict},
    error::{Optional, unreadable},
    functions,
    pool::{Postgres, bounded},
    schema::scheduled_messages,
};
use amrutam_booking::ports::ConsultationStore;
use amrutam_kernel::{
    AccountId, CommitError, ConsultationId, CorrelationId, Effects, MessageId, PortError, TraceParent,
};
use amrutam_notifications::{
    ScheduledMessage, VisitFacts, VisitStatus,
    ports::{MessageStore, Settled, VisitReader},
};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use jiff::{SignedDuration, Timestamp};
use jiff_diesel::ToDiesel;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Deserialize)]
struct MessageRow {
    id: Uuid,
    dedupe_key: String,
    kind: String,
    recipient_id: Uuid,
    consultation_id: Option<Uuid>,
    slot_starts_at: Option<Timestamp>,
    due_at: Timestamp,
    attempts: u32,
    correlation_id: CorrelationId,
    trace_parent: Option<TraceParent>,
}

impl TryFrom<MessageRow> for ScheduledMessage {
    type Error = PortError;
    fn try_from(row: MessageRow) -> Result<Self, PortError> {
        Ok(Self {
            id: MessageId::from_uuid(row.id),
            kind: row.kind.parse().map_err(unreadable)?,
            dedupe_key: row.dedupe_key,
            recipient: AccountId::from_uuid(row.recipient_id),
            consultation: row.consultation_id.map(ConsultationId::from_uuid),
            slot_starts_at: row.slot_starts_at,
            due_at: row.due_at,
            attempts: row.attempts,
            correlation_id: row.correlation_id,
            trace_parent: row.trace_parent,
        })
    }
}

fn message_to_json(message: &ScheduledMessage) -> Value {
    json!({
        "id": message.id,
        "dedupe_key": message.dedupe_key,
        "kind": message.kind.as_str(),
        "recipient_id": message.recipient,
        "consultation_id": message.consultation,
        "slot_starts_at": message.slot_starts_at,
        "due_at": message.due_at,
        "correlation_id": message.correlation_id,
        "trace_parent": message.trace_parent,
    })
}

#[async_trait]
impl MessageStore for Postgres {
    async fn plan(&self, messages: &[ScheduledMessage], effects: &Effects) -> Result<(), CommitError> {
        let effects = to_json(effects).map_err(|error| CommitError::Port(unreadable(error)))?;
        let messages: Vec<_> = messages.iter().map(message_to_json).collect();
        let query = diesel::select(functions::plan_messages(Value::Array(messages), effects));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<String>(conn.raw()?)).await;
        verdict(&conn.settle(result)?)
    }

    async fn claim_due(
        &self,
        now: Timestamp,
        lease: SignedDuration,
        limit: u16,
    ) -> Result<Vec<ScheduledMessage>, PortError> {
        let until = (now + lease).to_diesel();
        let query = diesel::select(functions::claim_due_messages(now.to_diesel(), until, i32::from(limit)));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<Value>(conn.raw()?)).await;
        let rows: Vec<MessageRow> = serde_json::from_value(conn.settle(result)?).map_err(unreadable)?;
        rows.into_iter().map(ScheduledMessage::try_from).collect()
    }

    async fn settle(&self, id: MessageId, attempt: u32, settled: Settled) -> Result<bool, PortError> {
        let attempt = i32::try_from(attempt).map_err(unreadable)?;
        let (status, settled_at, next, detail) = match settled {
            Settled::Sent { at } => ("sent", Some(at), None, None),
            Settled::Skipped { reason, at } => ("skipped", Some(at), None, Some(reason.as_str().to_owned())),
            Settled::RetryAt { at, error } => ("scheduled", None, Some(at), Some(error)),
            Settled::GaveUp { error, at } => ("gave_up", Some(at), None, Some(error)),
        };
        let mine = scheduled_messages::table
            .find(id.as_uuid())
            .filter(scheduled_messages::attempts.eq(attempt))
            .filter(scheduled_messages::status.eq("scheduled"));
        let query = diesel::update(mine).set((
            scheduled_messages::status.eq(status),
            scheduled_messages::settled_at.eq(settled_at.map(ToDiesel::to_diesel)),
            next.map(|at| scheduled_messages::next_attempt_at.eq(at.to_diesel())),
            scheduled_messages::detail.eq(detail),
        ));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.execute(conn.raw()?)).await;
        Ok(conn.settle(result)? == 1)
    }
}

#[async_trait]
impl VisitReader for Postgres {
    async fn visit(&self, id: ConsultationId) -> Result<Option<VisitFacts>, PortError> {
        let Some(view) = self.view(id).await? else { return Ok(None) };
        Ok(Some(VisitFacts {
            status: VisitStatus::from_word(view.consultation.status.as_str()),
            starts_at: view.consultation.range.start(),
            ends_at: view.consultation.range.end(),
            mode: view.consultation.mode.as_str().parse().map_err(unreadable)?,
            doctor_name: view.doctor_name,
            doctor_qualification: view.doctor_qualifications.join(", "),
            doctor_registration_number: view.doctor_registration,
            doctor_council: view.doctor_council,
        }))
    }
}

impl Postgres {
    /// How many messages are due and unsettled at `now`.
    pub async fn due_messages(&self, now: Timestamp) -> Result<i64, PortError> {
        let query = scheduled_messages::table
            .filter(scheduled_messages::status.eq("scheduled"))
            .filter(scheduled_messages::next_attempt_at.le(now.to_diesel()))
            .count();
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<i64>(conn.raw()?)).await;
        Ok(conn.settle(result.optional())?.unwrap_or(0))
    }
}
