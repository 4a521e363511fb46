//! Messages that wait to be sent, and what they need to know.

use crate::{
    booking::Viewed,
    effects::{EffectRows, number, verdict},
    error::{DbError, Optional, unreadable},
    functions,
    group::{Company, Together, WORKER},
    json::Json,
    pool::{Postgres, bounded},
    schema::scheduled_messages,
};
use amrutam_crash::Point;
use amrutam_kernel::{
    AccountId, CommitError, ConsultationId, CorrelationId, Effects, LinkId, MessageId, PortError, TraceParent,
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
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

#[derive(Debug, Deserialize)]
struct MessageRow {
    id: Uuid,
    dedupe_key: String,
    kind: String,
    channel: String,
    recipient_id: Uuid,
    consultation_id: Option<Uuid>,
    slot_starts_at: Option<Timestamp>,
    link_id: Option<Uuid>,
    due_at: Timestamp,
    attempts: u32,
    maybe_sent: bool,
    correlation_id: CorrelationId,
    trace_parent: Option<TraceParent>,
}

/// As much as is needed to settle a row that says nothing else.
#[derive(Debug, Deserialize)]
struct ClaimRow {
    id: Uuid,
    attempts: u32,
}

impl TryFrom<MessageRow> for ScheduledMessage {
    type Error = PortError;
    fn try_from(row: MessageRow) -> Result<Self, PortError> {
        Ok(Self {
            id: MessageId::from_uuid(row.id),
            kind: row.kind.parse().map_err(unreadable)?,
            channel: row.channel.parse().map_err(unreadable)?,
            dedupe_key: row.dedupe_key,
            recipient: AccountId::from_uuid(row.recipient_id),
            consultation: row.consultation_id.map(ConsultationId::from_uuid),
            slot_starts_at: row.slot_starts_at,
            link: row.link_id.map(LinkId::from_uuid),
            due_at: row.due_at,
            attempts: row.attempts,
            maybe_sent: row.maybe_sent,
            correlation_id: row.correlation_id,
            trace_parent: row.trace_parent,
        })
    }
}

#[derive(Debug, Serialize)]
struct NewMessageRow<'a> {
    id: MessageId,
    dedupe_key: &'a str,
    kind: &'static str,
    channel: &'static str,
    recipient_id: AccountId,
    consultation_id: Option<ConsultationId>,
    slot_starts_at: Option<Timestamp>,
    link_id: Option<LinkId>,
    due_at: Timestamp,
    correlation_id: &'a CorrelationId,
    trace_parent: &'a Option<TraceParent>,
}

impl<'a> From<&'a ScheduledMessage> for NewMessageRow<'a> {
    fn from(message: &'a ScheduledMessage) -> Self {
        Self {
            id: message.id,
            dedupe_key: &message.dedupe_key,
            kind: message.kind.as_str(),
            channel: message.channel.as_str(),
            recipient_id: message.recipient,
            consultation_id: message.consultation,
            slot_starts_at: message.slot_starts_at,
            link_id: message.link,
            due_at: message.due_at,
            correlation_id: &message.correlation_id,
            trace_parent: &message.trace_parent,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct SettledRow {
    id: Uuid,
    attempts: u32,
    status: &'static str,
    settled_at: Option<Timestamp>,
    next_attempt_at: Option<Timestamp>,
    detail: Option<String>,
    maybe_sent: bool,
}

impl SettledRow {
    fn new(id: MessageId, attempt: u32, settled: Settled) -> Self {
        let maybe_sent = matches!(settled, Settled::MaybeSent { .. });
        let (status, settled_at, next_attempt_at, detail) = match settled {
            Settled::Sent { at } => ("sent", Some(at), None, None),
            Settled::Skipped { reason, at } => ("skipped", Some(at), None, Some(reason.as_str().to_owned())),
            Settled::RetryAt { at, error } | Settled::MaybeSent { at, error } => {
                ("scheduled", None, Some(at), Some(error))
            }
            Settled::GaveUp { error, at } => ("gave_up", Some(at), None, Some(error)),
        };
        Self { id: id.as_uuid(), attempts: attempt, status, settled_at, next_attempt_at, detail, maybe_sent }
    }

    /// Of a row that can't be read; now, by the server's clock.
    fn unreadable(row: &ClaimRow, why: &PortError) -> Self {
        Self {
            id: row.id,
            attempts: row.attempts,
            status: "gave_up",
            settled_at: None,
            next_attempt_at: None,
            detail: Some(why.reason().to_owned()),
            maybe_sent: false,
        }
    }
}

/// The messages of one event.
pub(crate) struct Plan {
    messages: Vec<ScheduledMessage>,
    effects: Effects,
}

impl Together for Plan {
    type Db = Postgres;
    /// The verdict.
    type Answer = String;
    const ABREAST: usize = 1;
    /// Half of the 16 deliveries that a consumer has in hand at most: the others may be waiting behind these in their lanes.
    const COMPANY: Company = Company { enough: 8, ..WORKER };
    async fn ask(db: &Postgres, plans: &[Self]) -> Result<Vec<String>, DbError> {
        let messages = number(plans, |plan| plan.messages.iter().map(NewMessageRow::from).collect());
        let effects: Vec<_> = plans.iter().map(|plan| &plan.effects).collect();
        let flows =
            plans.iter().filter_map(|plan| plan.messages.as_slice().first()).map(|message| &message.correlation_id);
        let effects = EffectRows::of(&effects).named(flows);
        let query = diesel::select(functions::plan_messages(Json(messages), Json(effects)));
        let mut conn = db.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<Vec<String>>(conn.raw()?)).await;
        conn.settle(result)
    }
}

impl Together for SettledRow {
    type Db = Postgres;
    /// Whether it was still the claimant's.
    type Answer = bool;
    const ABREAST: usize = 1;
    const COMPANY: Company = WORKER;
    async fn ask(db: &Postgres, settled: &[Self]) -> Result<Vec<bool>, DbError> {
        let query = diesel::select(functions::settle_messages(Json(settled.to_vec())));
        let mut conn = db.connection().await?;
        let result = bounded(conn.limit(), query.load::<Uuid>(conn.raw()?)).await;
        let mine = conn.settle(result)?;
        Ok(settled.iter().map(|row| mine.contains(&row.id)).collect())
    }
}

#[async_trait]
impl MessageStore for Postgres {
    async fn plan(&self, messages: &[ScheduledMessage], effects: &Effects) -> Result<(), CommitError> {
        let plan = Plan { messages: messages.to_vec(), effects: effects.clone() };
        verdict(&self.groups.plans.call(self, plan).await?)
    }

    async fn claim_due(&self, lease: SignedDuration, limit: u16) -> Result<Vec<ScheduledMessage>, PortError> {
        let lease_us = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX);
        let query = diesel::select(functions::claim_due_messages(lease_us, i32::from(limit)));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<Json<Vec<Value>>>(conn.raw()?)).await;
        let rows = conn.settle(result)?.0;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            let read = MessageRow::deserialize(&row).map_err(unreadable).and_then(ScheduledMessage::try_from);
            match read {
                Ok(message) => claimed.push(message),
                Err(why) => self.give_up_unreadable(&row, &why).await?,
            }
        }
        Ok(claimed)
    }

    async fn settle(&self, id: MessageId, attempt: u32, settled: Settled) -> Result<bool, PortError> {
        if matches!(settled, Settled::Sent { .. }) {
            amrutam_crash::here(Point::MessageSent);
        }
        Ok(self.groups.settlements.call(self, SettledRow::new(id, attempt, settled)).await?)
    }
}

#[async_trait]
impl VisitReader for Postgres {
    async fn visit(&self, id: ConsultationId) -> Result<Option<VisitFacts>, PortError> {
        let Some(view) = self.groups.views.call(self, Viewed(id)).await?? else { return Ok(None) };
        Ok(Some(VisitFacts {
            status: VisitStatus::from_word(view.consultation.status.as_str()),
            starts_at: view.consultation.range.start(),
            ends_at: view.consultation.range.end(),
            mode: view.consultation.mode.as_str().parse().map_err(unreadable)?,
            fee: view.consultation.fee,
            doctor_name: view.doctor_name,
            doctor_qualification: view.doctor_qualifications.join(", "),
            doctor_registration_number: view.doctor_registration,
            doctor_council: view.doctor_council,
        }))
    }
}

impl Postgres {
    /// So that it is not claimed again and again.
    async fn give_up_unreadable(&self, row: &Value, why: &PortError) -> Result<(), PortError> {
        let row = ClaimRow::deserialize(row).map_err(unreadable)?;
        tracing::error!(message_id = %row.id, reason = why.reason(), "a message that can't be read is given up");
        let settled = self.groups.settlements.call(self, SettledRow::unreadable(&row, why)).await;
        if let Err(error) = settled.map_err(PortError::from) {
            // It comes again when its lease ends; those beside it are claimed.
            tracing::warn!(message_id = %row.id, reason = error.reason(), "it could not be settled");
        }
        Ok(())
    }

    /// How many messages are due, unsettled and nobody's at `now`.
    pub async fn due_messages(&self, now: Timestamp) -> Result<i64, PortError> {
        let lease = scheduled_messages::leased_until;
        let query = scheduled_messages::table
            .filter(scheduled_messages::status.eq("scheduled"))
            .filter(scheduled_messages::next_attempt_at.le(now.to_diesel()))
            .filter(lease.is_null().or(lease.le(now.to_diesel())))
            .count();
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<i64>(conn.raw()?)).await;
        Ok(conn.settle(result.optional())?.unwrap_or(0))
    }
}
