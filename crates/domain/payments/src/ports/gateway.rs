//! A payment gateway: what is asked of it over the network, and how its notifications are proven.

use crate::model::{
    GatewayName, GatewayPayment, GatewayPaymentRef, GatewayRefund, NewOrder, NewRefund, Order, OrderRef, SettledPage,
    Webhook,
};
use amrutam_kernel::TimeRange;
use async_trait::async_trait;
use jiff::Timestamp;
use std::time::Duration;

/// Why a gateway did not do what was asked, or is not known to have. Texts are for logs and dead letters: codes, no personal
/// data, no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// Asked like this it will never do it: a `4xx` other than 408, 409 and 429.
    #[error("the gateway refuses: {code}")]
    Rejected {
        /// The gateway's code, or the status as a word.
        code: String,
    },
    /// Too many at once.
    #[error("the gateway asks to wait")]
    Limited {
        /// Not before that.
        retry_after: Option<Duration>,
    },
    /// Not sent, or refused before any effect: safe to repeat. Also what a circuit that is open answers.
    #[error("the gateway is away: {reason}")]
    Unavailable {
        /// For logs.
        reason: String,
    },
    /// Sent, and the answer is lost or says that the gateway failed: it may have happened. The same key again, or a look first, for
    /// as long as the gateway is like this.
    #[error("the gateway's answer is lost: {reason}")]
    Unknown {
        /// For logs.
        reason: String,
    },
    /// Asked before under this key it failed, and will say so for ever, whether or not it was done: the next time under another one,
    /// after a look for it where that can be made (a refund; of orders two may be open then, and only the newer one is shown).
    #[error("the gateway repeats that it failed: {reason}")]
    Spent {
        /// For logs.
        reason: String,
    },
    /// Answered, and the answer makes no sense: it may have happened. Asked again it most likely says the same for ever.
    #[error("the gateway's answer makes no sense: {reason}")]
    Senseless {
        /// For logs.
        reason: String,
    },
}

/// A payment gateway. Each call ends within its own bound (5 s unless set otherwise) and holds nothing when dropped.
#[async_trait]
pub trait PaymentGateway: Send + Sync {
    /// Which.
    fn name(&self) -> &GatewayName;
    /// Opens an order: one per idempotency key, however often asked.
    async fn open_order(&self, order: &NewOrder<'_>) -> Result<Order, GatewayError>;
    /// Every payment made for an order, in any state.
    async fn order_payments(&self, order: &OrderRef) -> Result<Vec<GatewayPayment>, GatewayError>;
    /// Gives money back: once per idempotency key, however often asked.
    async fn refund(&self, refund: &NewRefund<'_>) -> Result<GatewayRefund, GatewayError>;
    /// Every refund of a payment, in any state.
    async fn refunds_of(&self, payment: &GatewayPaymentRef) -> Result<Vec<GatewayRefund>, GatewayError>;
    /// A page of all payments and refunds made in `range`, for reconciliation. `cursor` is the page's
    /// [`SettledPage::next`] before.
    async fn settled(&self, range: TimeRange, cursor: Option<String>) -> Result<SettledPage, GatewayError>;
}

/// Why a notification is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Not signed, or not by the gateway, or not over these bytes.
    #[error("the signature does not fit the body")]
    BadSignature,
    /// Signed too long ago.
    #[error("the notification is too old")]
    Stale,
    /// Signed, and yet not understood.
    #[error("the notification makes no sense")]
    Malformed,
}

/// Proves who sent a notification. Pure: never asks the network; compares in constant time.
pub trait WebhookVerifier: Send + Sync {
    /// Which gateway's.
    fn name(&self) -> &GatewayName;
    /// The notification, when its signature fits the raw body. `headers` finds a header by its lower-case name. A kind we
    /// have no use for is [`WebhookNews::Ignored`](crate::model::WebhookNews::Ignored), not an error.
    fn verify(
        &self,
        headers: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Webhook, WebhookError>;
}
