//! What happened to a payment, step by step, and what proves each step.

use super::{GatewayEventId, payment::words};
use amrutam_kernel::{CorrelationId, EventId, Money, PaymentId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// What proves a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", content = "id", rename_all = "snake_case")]
pub enum Evidence {
    /// A notification whose signature was verified.
    Webhook(GatewayEventId),
    /// The gateway's answer to a call of ours that it authenticated.
    Answer,
    /// The gateway's list, read by reconciliation.
    List,
    /// An event of the visit.
    Visit(EventId),
    /// The decision of a person in a review case.
    Case(Uuid),
    /// The patient's own request.
    Request,
    /// A deadline.
    Clock,
}

impl fmt::Display for Evidence {
    /// `webhook:<id>`, `answer`, `list`, `visit:<event id>`, `case:<id>`, `request`, `clock`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(event) => write!(f, "webhook:{event}"),
            Self::Answer => f.write_str("answer"),
            Self::List => f.write_str("list"),
            Self::Visit(event) => write!(f, "visit:{event}"),
            Self::Case(case) => write!(f, "case:{case}"),
            Self::Request => f.write_str("request"),
            Self::Clock => f.write_str("clock"),
        }
    }
}

words! {
    /// What a step is. Each is announced as `payment.<word>.v1`.
    StepKind = "payment step" {
        /// The payment exists.
        Created = "created",
        /// Its order is open.
        OrderOpened = "order_opened",
        /// An attempt to pay came to nothing; another may be made.
        AttemptFailed = "attempt_failed",
        /// It will not be paid any more.
        Failed = "failed",
        /// The visit ended before money came.
        Cancelled = "cancelled",
        /// Money for the visit arrived.
        Captured = "captured",
        /// Money arrived that pays nothing, and goes back.
        StrayCaptured = "stray_captured",
        /// The visit took place, or the policy gives nothing back.
        Settled = "settled",
        /// Money is to go back.
        RefundDecided = "refund_decided",
        /// Money went back.
        Refunded = "refunded",
        /// The gateway could not give it back.
        RefundFailed = "refund_failed",
        /// A person is asked.
        ReviewNeeded = "review_needed",
        /// What a person was asked needs no answer any more.
        ReviewWithdrawn = "review_withdrawn",
        /// A person has decided.
        Ruled = "ruled",
    }
}

impl StepKind {
    /// Its name on the record of accesses; nothing where a case about it is on the record by itself.
    pub const fn on_record(self) -> Option<&'static str> {
        match self {
            Self::Created => Some("payment.create"),
            Self::OrderOpened => Some("payment.open_order"),
            Self::AttemptFailed => Some("payment.fail_attempt"),
            Self::Failed => Some("payment.fail"),
            Self::Cancelled => Some("payment.cancel"),
            Self::Captured => Some("payment.capture"),
            Self::StrayCaptured => Some("payment.capture_stray"),
            Self::Settled => Some("payment.settle"),
            Self::RefundDecided => Some("payment.decide_refund"),
            Self::Refunded => Some("payment.refund"),
            Self::RefundFailed => Some("payment.fail_refund"),
            Self::ReviewNeeded | Self::ReviewWithdrawn | Self::Ruled => None,
        }
    }
}

/// One step of a payment: exactly one per version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentEntry {
    /// Which payment.
    pub payment: PaymentId,
    /// The version the step led to.
    pub version: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: StepKind,
    /// How much is meant, when an amount is.
    pub amount: Option<Money>,
    /// Who: `patient:<id>`, `system:<name>`.
    pub actor: String,
    /// Why: a fixed word.
    pub cause: String,
    /// What proves it.
    pub evidence: Evidence,
    /// The event that announced it.
    pub event: EventId,
    /// The flow it belongs to.
    pub correlation_id: CorrelationId,
}
