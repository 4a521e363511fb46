//! What is said to a gateway and what it says, in words that fit every gateway.

use super::{GatewayEventId, GatewayName, GatewayPaymentRef, GatewayRefundRef, OrderRef};
use amrutam_kernel::{Money, PaymentId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An order to be opened at the gateway.
#[derive(Debug, Clone, Copy)]
pub struct NewOrder<'a> {
    /// Our payment: to be kept with the order as receipt or metadata, so that whatever the gateway says of it can be
    /// told apart.
    pub payment: PaymentId,
    /// What is to be paid, no more and no less.
    pub amount: Money,
    /// What it is known by: kept with it as well, so that a look finds it again.
    pub key: &'a str,
    /// The gateway opens one order per key of this kind. The same, or, when the gateway is done with that one, one after it.
    pub idempotency_key: &'a str,
    /// Until when the slot is held. Gateways that can, close the order then; money that comes later is dealt with.
    pub expires_at: Timestamp,
}

/// An open order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The gateway's name for it.
    pub order: OrderRef,
    /// How to pay it.
    pub checkout: Checkout,
}

/// What a patient's client needs to pay. Public data only: no secret of ours is among it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// Where.
    pub gateway: GatewayName,
    /// Which order.
    pub order: OrderRef,
    /// The publishable key id (Razorpay), or the intent's client secret, which is made for the client (Stripe).
    pub key: String,
    /// A page to pay on, when the gateway has one.
    pub url: Option<String>,
}

/// How one payment at the gateway stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentSighting {
    /// Begun, or the bank has agreed but the money is not ours yet: nothing to be done.
    Authorized,
    /// The money is ours.
    Captured,
    /// This attempt came to nothing.
    Failed {
        /// The gateway's code for why; a word, not a sentence.
        code: String,
    },
    /// It was captured and all of it has been given back.
    Refunded,
}

/// One payment as the gateway shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayPayment {
    /// The gateway's name for it.
    pub reference: GatewayPaymentRef,
    /// The order it is for.
    pub order: Option<OrderRef>,
    /// Our payment, where the gateway carries it with this one (receipt, notes, metadata).
    pub payment: Option<PaymentId>,
    /// What was paid, or would be.
    pub amount: Money,
    /// How much of it has been given back, in all.
    pub refunded: Money,
    /// How it stands.
    pub state: PaymentSighting,
    /// Since when, by the gateway's clock.
    pub at: Timestamp,
}

/// A refund to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewRefund<'a> {
    /// Our payment, to be kept with the refund.
    pub payment: PaymentId,
    /// The captured payment that is given back, in whole or in part.
    pub of: &'a GatewayPaymentRef,
    /// How much.
    pub amount: Money,
    /// What it is known by, as an order.
    pub key: &'a str,
    /// The gateway makes one refund per key of this kind. As an order's.
    pub idempotency_key: &'a str,
}

/// How a refund stands at the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Under way.
    Pending,
    /// The money is on its way to its owner, for good.
    Processed,
    /// Nothing was given back, nor will be.
    Failed {
        /// The gateway's code for why.
        code: String,
    },
}

/// One refund as the gateway shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayRefund {
    /// The gateway's name for it.
    pub reference: GatewayRefundRef,
    /// The payment given back.
    pub of: GatewayPaymentRef,
    /// How much of it.
    pub amount: Money,
    /// How it stands.
    pub state: RefundState,
    /// What we know it by, where the gateway tells (notes, metadata).
    pub key: Option<String>,
    /// When it was made, by the gateway's clock.
    pub at: Timestamp,
}

/// A notification whose sender is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The same for each delivery of it. Where a gateway gives none, the verifier takes a digest of the body.
    pub event: GatewayEventId,
    /// When it happened, by the gateway's clock.
    pub at: Option<Timestamp>,
    /// What it says.
    pub news: WebhookNews,
}

/// What a notification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookNews {
    /// How a payment stands.
    Payment(GatewayPayment),
    /// How a refund stands.
    Refund(GatewayRefund),
    /// Something we have no use for.
    Ignored {
        /// The gateway's name for the kind.
        kind: String,
    },
}

/// One page of what moved at the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledPage {
    /// Payments made in the range, whatever their state.
    pub payments: Vec<GatewayPayment>,
    /// Refunds made in the range.
    pub refunds: Vec<GatewayRefund>,
    /// Where the next page begins; nothing on the last one.
    pub next: Option<String>,
}
