//! What a gateway of this dialect keeps: orders, payments, refunds, and the events it tells of them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Stands for the payer's data, which a real gateway puts into every payment. Nobody may keep it.
pub const PAYER_EMAIL: &str = "canary-payer@example.com";
/// As [`PAYER_EMAIL`].
pub const PAYER_CONTACT: &str = "+919000090000";

#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) receipt: Option<String>,
    pub(super) notes: Value,
    /// Seconds since 1970, like all times here.
    pub(super) created_at: i64,
}

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaymentStatus {
    /// Begun.
    Created,
    /// The payer's bank has said yes.
    Authorized,
    /// The money is ours.
    Captured,
    /// And all of it went back.
    Refunded,
    /// The payer's bank has said no. A late yes may follow.
    Failed,
}

#[derive(Debug, Clone)]
pub(super) struct Payment {
    pub(super) id: String,
    pub(super) order: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) status: PaymentStatus,
    /// How often money moved to us: once at most, or the sandbox is wrong.
    pub(super) captures: u32,
    pub(super) error_code: Option<String>,
    pub(super) created_at: i64,
}

/// Where a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefundStatus {
    /// On its way.
    Pending,
    /// The payer has the money.
    #[default]
    Processed,
    /// The money came back to us.
    Failed,
}

#[derive(Debug, Clone)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) payment: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) status: RefundStatus,
    pub(super) receipt: Option<String>,
    pub(super) notes: Value,
    pub(super) created_at: i64,
}

/// An event as it was first told, and what became of telling it.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) body: Bytes,
    pub(super) created_at: i64,
    pub(super) deliveries: Vec<Delivery>,
}

/// One try to tell an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// When the answer was there.
    pub at: String,
    /// How it was altered.
    pub tamper: super::Tamper,
    /// The answer's status; nothing when none came.
    pub status: Option<u16>,
}

/// An order with what was effectively done about it, for checkers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderTally {
    /// The order.
    pub id: String,
    /// The caller's own name of it.
    pub receipt: Option<String>,
    /// In minor units, like all amounts.
    pub amount: i64,
    /// How often money was captured, over all its payments. More than one: the payer paid twice.
    pub captures: u32,
    /// What was captured.
    pub captured: i64,
    /// Refunds that did not fail.
    pub refunds: usize,
    /// What they sum up to.
    pub refunded: i64,
    /// Each payment.
    pub payments: Vec<PaymentTally>,
}

/// A payment with what was effectively done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentTally {
    /// The payment.
    pub id: String,
    /// Where it stands.
    pub status: PaymentStatus,
    /// In minor units.
    pub amount: i64,
    /// How often money was captured by it.
    pub captures: u32,
    /// Refunds that did not fail.
    pub refunds: usize,
    /// What they sum up to.
    pub refunded: i64,
}

impl Order {
    pub(super) fn json(&self, payments: &[&Payment]) -> Value {
        let paid: i64 = payments.iter().filter(|payment| payment.captures > 0).map(|payment| payment.amount).sum();
        let status = match payments {
            [] => "created",
            _ if paid > 0 => "paid",
            _ => "attempted",
        };
        json!({
            "id": self.id, "entity": "order", "amount": self.amount, "amount_paid": paid.min(self.amount),
            "amount_due": (self.amount - paid).max(0), "currency": self.currency, "receipt": self.receipt,
            "offer_id": null, "status": status, "attempts": payments.len(), "notes": self.notes,
            "created_at": self.created_at,
        })
    }
}

impl Payment {
    /// `refunded`: what of it is on its way back or there, in minor units.
    pub(super) fn json(&self, refunded: i64) -> Value {
        let error = |text: &str| self.error_code.as_ref().map(|_| text.to_owned());
        let refund_status = match refunded {
            0 => None,
            all if all >= self.amount => Some("full"),
            _ => Some("partial"),
        };
        json!({
            "id": self.id, "entity": "payment", "amount": self.amount, "currency": self.currency,
            "status": self.status, "order_id": self.order, "invoice_id": null, "international": false,
            "method": "upi", "amount_refunded": refunded, "refund_status": refund_status,
            "captured": self.captures > 0, "description": null, "card_id": null, "bank": null, "wallet": null,
            "vpa": "canary-payer@upi", "email": PAYER_EMAIL, "contact": PAYER_CONTACT, "notes": [],
            "fee": null, "tax": null, "error_code": self.error_code,
            "error_description": error("Payment was unsuccessful as it was declined by the payer's bank."),
            "error_source": error("bank"), "error_step": error("payment_authorization"),
            "error_reason": error("payment_failed"), "acquirer_data": {"rrn": null}, "created_at": self.created_at,
        })
    }
}

impl Refund {
    pub(super) fn json(&self) -> Value {
        json!({
            "id": self.id, "entity": "refund", "amount": self.amount, "currency": self.currency,
            "payment_id": self.payment, "notes": self.notes, "receipt": self.receipt,
            "acquirer_data": {"arn": null}, "created_at": self.created_at, "batch_id": null,
            "status": self.status, "speed_processed": "normal", "speed_requested": "normal",
        })
    }
}
