//! Payments, steps, journals and tasks for the cases.

use super::{Harness, id, random};
use crate::model::{
    Capture, Checkout, Evidence, GatewayTask, Journal, MoneyState, Move, Order, Parties, Payment, PaymentEntry,
    StepKind, TaskKind, Visit, VisitFate,
};
use crate::ports::{Locator, PaymentChanges, PaymentStore, PaymentWrite};
use amrutam_kernel::{
    AccountId, Actor, AggregateRef, AuditEntry, AuditEntryId, CorrelationId, Currency, Effects, EventEnvelope, EventId,
    Fingerprint, GatewayTaskId, IdempotencyClaim, JournalId, Money, Outcome, PaymentId, Purpose, StoredAnswer,
};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

pub(super) fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

pub(super) fn rupees(rupees: i64) -> Money {
    Money::new(rupees * 100, Currency::Inr).unwrap()
}

/// A name that no other case uses.
pub(super) fn word(kind: &str) -> String {
    format!("{kind}_{:016x}", random())
}

pub(super) struct Stage<'a> {
    pub(super) harness: &'a dyn Harness,
    pub(super) store: Arc<dyn PaymentStore>,
    pub(super) now: Timestamp,
}

impl<'a> Stage<'a> {
    pub(super) fn of(harness: &'a dyn Harness) -> Self {
        Self { harness, store: harness.payments(), now: harness.now() }
    }

    /// A payment that has just begun; not stored.
    pub(super) async fn payment(&self) -> Payment {
        let (consultation, patient, doctor) = self.harness.visit().await;
        let now = self.now;
        Payment {
            id: PaymentId::of(consultation),
            parties: Some(Parties { consultation, patient, doctor }),
            amount: rupees(499),
            gateway: "fake".parse().unwrap(),
            state: MoneyState::Created,
            visit: Visit {
                version: 1,
                starts_at: now + minutes(60),
                ends_at: now + minutes(90),
                least_notice: None,
                hold_until: Some(now + minutes(15)),
                fate: VisitFate::Open,
            },
            order: None,
            order_opened_at: None,
            failed_attempts: Vec::new(),
            captures: Vec::new(),
            announced_at: None,
            ruling: None,
            reviews: Vec::new(),
            waiting: Vec::new(),
            look_at: None,
            created_at: now,
            updated_at: now,
            version: 1,
            revision: 1,
        }
    }

    /// As it is stored, with a step, an event and an audit entry.
    pub(super) fn creation(&self, payment: &Payment) -> PaymentChanges {
        PaymentChanges {
            payment: Some(PaymentWrite::Create(payment.clone())),
            timeline: vec![self.step(payment, StepKind::Created)],
            effects: self.effects(payment),
            ..PaymentChanges::default()
        }
    }

    /// A payment that is stored.
    pub(super) async fn created(&self) -> Payment {
        let payment = self.payment().await;
        self.store.commit(&self.creation(&payment)).await.unwrap();
        payment
    }

    /// The payment one step and one revision on.
    pub(super) fn next(&self, payment: &Payment, change: impl FnOnce(&mut Payment)) -> Payment {
        let mut next = payment.clone();
        change(&mut next);
        next.version += 1;
        next.revision += 1;
        next
    }

    pub(super) fn update(&self, payment: &Payment, kind: StepKind) -> PaymentChanges {
        PaymentChanges {
            payment: Some(PaymentWrite::Update(payment.clone())),
            timeline: vec![self.step(payment, kind)],
            ..PaymentChanges::default()
        }
    }

    pub(super) async fn read(&self, payment: &Payment) -> Payment {
        self.store.snapshot(Locator::Id(payment.id), None).await.unwrap().undisclosed().payment.unwrap()
    }

    pub(super) fn step(&self, payment: &Payment, kind: StepKind) -> PaymentEntry {
        PaymentEntry {
            payment: payment.id,
            version: payment.version,
            at: self.now,
            kind,
            amount: Some(payment.amount),
            actor: "system:payments".to_owned(),
            cause: "contract".to_owned(),
            evidence: Evidence::Visit(EventId::from_uuid(id(self.now))),
            event: EventId::from_uuid(id(self.now)),
            correlation_id: CorrelationId::from(id(self.now)),
        }
    }

    pub(super) fn effects(&self, payment: &Payment) -> Effects {
        let correlation_id = CorrelationId::from(id(self.now));
        Effects {
            events: vec![EventEnvelope {
                id: EventId::from_uuid(id(self.now)),
                event_type: "payment.contract.v1".to_owned(),
                aggregate: AggregateRef {
                    kind: "payment".to_owned(),
                    id: payment.id.as_uuid(),
                    version: payment.version,
                },
                occurred_at: self.now,
                actor: "system:payments".to_owned(),
                correlation_id: correlation_id.clone(),
                trace_parent: None,
                payload: serde_json::json!({}),
            }],
            audit: vec![AuditEntry {
                id: AuditEntryId::from_uuid(id(self.now)),
                occurred_at: self.now,
                actor: Actor::System("payments"),
                action: "payment.contract",
                resource_kind: "payment",
                resource_id: payment.id.to_string(),
                patient: payment.patient(),
                outcome: Outcome::Allowed,
                correlation_id,
                purpose: Purpose::Payment,
                origin: None,
                ruleset: None,
                break_glass: false,
            }],
            ..Effects::default()
        }
    }

    pub(super) fn order(&self, payment: &Payment) -> Order {
        let order: crate::model::OrderRef = word("order").parse().unwrap();
        let url = Some("https://pay.example/checkout".to_owned());
        let checkout =
            Checkout { gateway: payment.gateway.clone(), order: order.clone(), key: "key_public".to_owned(), url };
        Order { order, checkout }
    }

    pub(super) fn capture(&self, amount: Money, at: Timestamp) -> Capture {
        let reference = word("pay").parse().unwrap();
        Capture { reference, amount, at, seen_at: self.now, refund: None, written_off: 0, foreign_refunds: Vec::new() }
    }

    pub(super) fn journal(&self, payment: &Payment, moved: &Move) -> Journal {
        let id = JournalId::from_uuid(id(self.now));
        Journal::new(id, payment.id, moved.kind, self.now, Evidence::Answer, moved.lines()).unwrap()
    }

    /// Due so many minutes from now.
    pub(super) fn task(&self, payment: &Payment, kind: TaskKind, due_in: i64) -> GatewayTask {
        GatewayTask {
            id: GatewayTaskId::from_uuid(id(self.now)),
            payment: payment.id,
            kind,
            key: word("key"),
            tries: 0,
            claims: 0,
            renewals: 0,
            due_at: self.now + minutes(due_in),
            created_at: self.now,
            correlation_id: CorrelationId::from(id(self.now)),
        }
    }

    pub(super) async fn put(&self, tasks: &[GatewayTask]) {
        self.store.commit(&PaymentChanges { tasks: tasks.to_vec(), ..PaymentChanges::default() }).await.unwrap();
    }
}

pub(super) fn claim_of(caller: AccountId) -> IdempotencyClaim {
    let fingerprint = Fingerprint::of("POST", "/v1/consultations/x/payment/retry", b"{}");
    IdempotencyClaim { caller, key: word("key").parse().unwrap(), fingerprint }
}

pub(super) fn answer() -> StoredAnswer {
    StoredAnswer {
        status: 200,
        location: None,
        content_type: "application/json".to_owned(),
        etag: None,
        body: "{}".to_owned(),
    }
}
