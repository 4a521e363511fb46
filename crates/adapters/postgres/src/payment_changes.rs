//! The changes of payment use cases as the argument of `commit_payment`, and tasks as rows.

use crate::effects::EffectRows;
use amrutam_kernel::{CorrelationId, EventId, GatewayTaskId, JournalId, Money, PaymentId};
use amrutam_payments::{
    model::{Capture, Evidence, GatewayTask, Journal, OrderRef, Payment, PaymentEntry, RefundStep, TaskEnd, TaskKind},
    ports::{PaymentChanges, PaymentWrite},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Debug, Serialize)]
pub(crate) struct ChangeRow<'a> {
    payment: Option<WriteRow<'a>>,
    timeline: Vec<EntryRow<'a>>,
    journals: Vec<JournalRow<'a>>,
    lines: Vec<LineRow>,
    tasks: Vec<TaskRow>,
    ended: Option<EndRow<'a>>,
    seen: Option<SeenRow<'a>>,
    effects: EffectRows<'a>,
}

#[derive(Debug, Serialize)]
struct WriteRow<'a> {
    create: bool,
    row: PaymentRow<'a>,
    captures: Vec<CaptureRow<'a>>,
}

/// The table's columns.
#[derive(Debug, Serialize)]
struct PaymentRow<'a> {
    id: PaymentId,
    patient_id: Option<Uuid>,
    doctor_id: Option<Uuid>,
    amount: i64,
    currency: &'static str,
    gateway: &'a str,
    state: &'static str,
    order_ref: Option<&'a str>,
    look_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: i64,
    revision: i64,
    document: &'a Payment,
}

#[derive(Debug, Serialize)]
struct CaptureRow<'a> {
    reference: &'a str,
    amount: i64,
    currency: &'static str,
    captured_at: Timestamp,
    refund: Option<&'a str>,
    refunded_amount: Option<i64>,
    refunded_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct EntryRow<'a> {
    payment_id: PaymentId,
    version: i64,
    at: Timestamp,
    kind: &'static str,
    amount: Option<i64>,
    currency: Option<&'static str>,
    actor: &'a str,
    cause: &'a str,
    evidence: &'a Evidence,
    event_id: EventId,
    correlation_id: &'a CorrelationId,
}

#[derive(Debug, Serialize)]
struct JournalRow<'a> {
    id: JournalId,
    payment_id: PaymentId,
    kind: &'static str,
    at: Timestamp,
    evidence: &'a Evidence,
}

#[derive(Debug, Serialize)]
struct LineRow {
    journal_id: JournalId,
    position: usize,
    account: String,
    entry: &'static str,
    amount: i64,
    currency: &'static str,
}

/// A task as it is written and read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TaskRow {
    id: Uuid,
    payment_id: Uuid,
    kind: TaskKind,
    key: String,
    tries: u32,
    claims: u32,
    renewals: u32,
    due_at: Timestamp,
    created_at: Timestamp,
    correlation_id: CorrelationId,
}

#[derive(Debug, Serialize)]
struct EndRow<'a> {
    id: GatewayTaskId,
    claims: u32,
    status: &'static str,
    due_at: Option<Timestamp>,
    /// What becomes of the tries used up: `anew`, `back` (the last one is given back), `used`.
    tries: &'static str,
    renews: bool,
    error: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct SeenRow<'a> {
    gateway: &'a str,
    event: &'a str,
}

fn currency(money: &Money) -> &'static str {
    money.currency().code()
}

impl<'a> ChangeRow<'a> {
    pub(crate) fn of(changes: &'a PaymentChanges) -> Self {
        let journals = changes.journals.iter();
        Self {
            payment: changes.payment.as_ref().map(WriteRow::from),
            timeline: changes.timeline.iter().map(EntryRow::from).collect(),
            journals: journals.clone().map(JournalRow::from).collect(),
            lines: journals.flat_map(LineRow::of).collect(),
            tasks: changes.tasks.iter().map(TaskRow::from).collect(),
            ended: changes.ended.as_ref().map(EndRow::from),
            seen: changes
                .seen
                .as_ref()
                .map(|(gateway, event)| SeenRow { gateway: gateway.as_str(), event: event.as_str() }),
            effects: EffectRows::of(&[&changes.effects]),
        }
    }
}

impl<'a> From<&'a PaymentWrite> for WriteRow<'a> {
    fn from(write: &'a PaymentWrite) -> Self {
        let (create, payment) = match write {
            PaymentWrite::Create(payment) => (true, payment),
            PaymentWrite::Update(payment) => (false, payment),
        };
        Self { create, row: payment.into(), captures: payment.captures.iter().map(CaptureRow::from).collect() }
    }
}

impl<'a> From<&'a Payment> for PaymentRow<'a> {
    fn from(payment: &'a Payment) -> Self {
        Self {
            id: payment.id,
            patient_id: payment.parties.map(|parties| parties.patient.as_uuid()),
            doctor_id: payment.parties.map(|parties| parties.doctor.as_uuid()),
            amount: payment.amount.amount(),
            currency: currency(&payment.amount),
            gateway: payment.gateway.as_str(),
            state: payment.state.as_str(),
            order_ref: payment.order_ref().map(OrderRef::as_str),
            look_at: payment.look_at,
            created_at: payment.created_at,
            updated_at: payment.updated_at,
            version: payment.version,
            revision: payment.revision,
            document: payment,
        }
    }
}

impl<'a> From<&'a Capture> for CaptureRow<'a> {
    fn from(capture: &'a Capture) -> Self {
        // What was paid out another way is none of the gateway's.
        let back = capture.refund.as_ref().and_then(|refund| match &refund.step {
            RefundStep::Processed { reference: Some(reference), at } => Some((reference.as_str(), refund.amount, *at)),
            _ => None,
        });
        Self {
            reference: capture.reference.as_str(),
            amount: capture.amount.amount(),
            currency: currency(&capture.amount),
            captured_at: capture.at,
            refund: back.map(|(reference, ..)| reference),
            refunded_amount: back.map(|(_, amount, _)| amount.amount()),
            refunded_at: back.map(|(.., at)| at),
        }
    }
}

impl<'a> From<&'a PaymentEntry> for EntryRow<'a> {
    fn from(entry: &'a PaymentEntry) -> Self {
        Self {
            payment_id: entry.payment,
            version: entry.version,
            at: entry.at,
            kind: entry.kind.as_str(),
            amount: entry.amount.map(|amount| amount.amount()),
            currency: entry.amount.as_ref().map(currency),
            actor: &entry.actor,
            cause: &entry.cause,
            evidence: &entry.evidence,
            event_id: entry.event,
            correlation_id: &entry.correlation_id,
        }
    }
}

impl<'a> From<&'a Journal> for JournalRow<'a> {
    fn from(journal: &'a Journal) -> Self {
        Self {
            id: journal.id,
            payment_id: journal.payment,
            kind: journal.kind.as_str(),
            at: journal.at,
            evidence: &journal.evidence,
        }
    }
}

impl LineRow {
    fn of(journal: &Journal) -> impl Iterator<Item = Self> {
        journal.lines().iter().zip(1..).map(|(line, position)| Self {
            journal_id: journal.id,
            position,
            account: line.account.to_string(),
            entry: line.entry.as_str(),
            amount: line.amount.amount(),
            currency: currency(&line.amount),
        })
    }
}

impl From<&GatewayTask> for TaskRow {
    fn from(task: &GatewayTask) -> Self {
        Self {
            id: task.id.as_uuid(),
            payment_id: task.payment.as_uuid(),
            kind: task.kind.clone(),
            key: task.key.clone(),
            tries: task.tries,
            claims: task.claims,
            renewals: task.renewals,
            due_at: task.due_at,
            created_at: task.created_at,
            correlation_id: task.correlation_id.clone(),
        }
    }
}

impl From<TaskRow> for GatewayTask {
    fn from(row: TaskRow) -> Self {
        Self {
            id: GatewayTaskId::from_uuid(row.id),
            payment: PaymentId::from_uuid(row.payment_id),
            kind: row.kind,
            key: row.key,
            tries: row.tries,
            claims: row.claims,
            renewals: row.renewals,
            due_at: row.due_at,
            created_at: row.created_at,
            correlation_id: row.correlation_id,
        }
    }
}

impl<'a> From<&'a (GatewayTaskId, u32, TaskEnd)> for EndRow<'a> {
    fn from((id, claims, end): &'a (GatewayTaskId, u32, TaskEnd)) -> Self {
        let (status, due_at, tries, error) = match end {
            TaskEnd::Done => ("done", None, "used", None),
            TaskEnd::Again { at } => ("live", Some(*at), "anew", None),
            TaskEnd::Retry { at, error } => ("live", Some(*at), "used", Some(error)),
            TaskEnd::Wait { at, error } => ("live", Some(*at), "back", Some(error)),
            TaskEnd::Rest { at, error } => ("live", Some(*at), "anew", Some(error)),
            TaskEnd::Renew { at, error } => ("live", Some(*at), "anew", Some(error)),
            TaskEnd::Dead { error } => ("dead", None, "used", Some(error)),
        };
        let renews = matches!(end, TaskEnd::Renew { .. });
        Self { id: *id, claims: *claims, status, due_at, tries, renews, error: error.map(String::as_str) }
    }
}
