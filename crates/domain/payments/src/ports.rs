//! What the domain needs from the world: a store of its own, gateways, and a look at the visit.
//!
//! `adapters/postgres` and `adapters/memory` implement the store, `adapters/gateways` the gateways; each passes the contract
//! suite of its port.

mod gateway;

pub use crate::model::{
    Checkout, GatewayEventId, GatewayName, GatewayPayment, GatewayPaymentRef, GatewayRefund, GatewayRefundRef,
    NewOrder, NewRefund, Order, OrderRef, PaymentSighting, RefundState, SettledPage, Webhook, WebhookNews,
};
pub use gateway::{GatewayError, PaymentGateway, WebhookError, WebhookVerifier};

use crate::model::{GatewayTask, Journal, Payment, PaymentEntry, TaskEnd};
use amrutam_kernel::{
    AccountId, CommitError, ConsultationId, Currency, Effects, GatewayTaskId, IdempotencyClaim, Money, PaymentId,
    PortError, Recorded, TimeRange, Unrecorded,
};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How a payment is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locator<'a> {
    /// By its id.
    Id(PaymentId),
    /// By its order at a gateway.
    Order(&'a GatewayName, &'a OrderRef),
    /// By a captured payment at a gateway, strays included.
    Capture(&'a GatewayName, &'a GatewayPaymentRef),
    /// By one of its tasks, in whatever state.
    Task(GatewayTaskId),
}

/// What a change of a payment is decided on, read in one snapshot.
#[derive(Debug, Clone, Default)]
pub struct PaymentSnapshot {
    /// What is known of the idempotency claim.
    pub recorded: Option<Recorded>,
    /// The payment, when there is one.
    pub payment: Option<Payment>,
    /// Its tasks that are neither done nor dead, by key.
    pub tasks: Vec<GatewayTask>,
}

/// What becomes of the payment's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentWrite {
    /// It is new. [`CommitError::Stale`] when there is one with its id.
    Create(Payment),
    /// It changes. [`CommitError::Stale`] unless the stored revision is `payment.revision - 1`.
    Update(Payment),
}

/// Everything one use case changes: one transaction, all or nothing. An adapter locks the payment's row first.
#[derive(Debug, Clone, Default)]
pub struct PaymentChanges {
    /// The payment.
    pub payment: Option<PaymentWrite>,
    /// One entry per new version of the payment.
    pub timeline: Vec<PaymentEntry>,
    /// Appended to the ledger.
    pub journals: Vec<Journal>,
    /// New tasks. When a live task (neither done nor dead) has the key already, none is added: that one becomes due at the
    /// earlier of the two times.
    pub tasks: Vec<GatewayTask>,
    /// The end of a claimed task, with the claim's number. [`CommitError::Stale`] when the task has been claimed again since,
    /// or is over.
    pub ended: Option<(GatewayTaskId, u32, TaskEnd)>,
    /// A gateway's notification: [`CommitError::AlreadyHandled`] when it is on the record.
    pub seen: Option<(GatewayName, GatewayEventId)>,
    /// Events, audit, inbox, idempotent answer.
    pub effects: Effects,
}

/// Money that moved at a gateway as our books have it: a capture, or a refund that was processed there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    /// For which payment.
    pub payment: PaymentId,
    /// The captured payment, or the one given back.
    pub of: GatewayPaymentRef,
    /// The refund's name, when it is a refund.
    pub refund: Option<GatewayRefundRef>,
    /// How much.
    pub amount: Money,
    /// When, by the gateway's clock.
    pub at: Timestamp,
}

/// A ledger account's debits less its credits, in minor units, per currency.
pub type Balances = BTreeMap<(String, Currency), i64>;

/// Payments, their tasks and the ledger.
#[async_trait]
pub trait PaymentStore: Send + Sync {
    /// Reads what a change is decided on.
    async fn snapshot(
        &self,
        locator: Locator<'_>,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Unrecorded<PaymentSnapshot>, PortError>;

    /// Commits all of `changes` in one transaction, or nothing.
    async fn commit(&self, changes: &PaymentChanges) -> Result<(), CommitError>;

    /// Every step of a payment, by version.
    async fn timeline(&self, id: PaymentId) -> Result<Unrecorded<Vec<PaymentEntry>>, PortError>;

    /// Claims up to `limit` tasks that are due, earliest first, skipping those that another claim holds or whose row is
    /// locked: nobody else gets them until `lease` has passed. Raises `tries` and `claims` of each, and gives the raised
    /// numbers. A task whose lease ran out is due again. Due times and leases are compared by the store's one clock.
    async fn claim_tasks(&self, lease: SignedDuration, limit: u16) -> Result<Vec<GatewayTask>, PortError>;

    /// Up to `limit` payments whose [`Payment::look_at`] is at or before `now`, earliest first.
    async fn overdue(&self, now: Timestamp, limit: u16) -> Result<Vec<PaymentId>, PortError>;

    /// Our captures and processed refunds at a gateway whose time lies in `range`, up to `limit`, by time then name, after
    /// the one given.
    async fn booked(
        &self,
        gateway: &GatewayName,
        range: TimeRange,
        after: Option<&Booked>,
        limit: u16,
    ) -> Result<Vec<Booked>, PortError>;

    /// Debits less credits of each account that was ever used. Their sum is nothing in each currency.
    async fn balances(&self) -> Result<Balances, PortError>;
}

/// A visit as a preview or an answer needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisitFacts {
    /// Which.
    pub id: ConsultationId,
    /// Whose.
    pub patient: AccountId,
    /// The practitioner's account: their side of the visit.
    pub doctor_account: AccountId,
    /// Its start.
    pub starts_at: Timestamp,
    /// How long before its start the patient moved it, at the nearest; nothing while they have not.
    pub least_notice: Option<SignedDuration>,
    /// Its price.
    pub fee: Money,
    /// While it waits to be paid: how long.
    pub hold_until: Option<Timestamp>,
    /// Whether it can be called off now as far as its status goes: pending or confirmed, and not begun.
    pub cancellable: bool,
}

/// Reads visits, from the primary.
#[async_trait]
pub trait VisitReader: Send + Sync {
    /// The visit as it is now.
    async fn visit(&self, id: ConsultationId) -> Result<Unrecorded<Option<VisitFacts>>, PortError>;
}
