//! Razorpay's notifications (<https://razorpay.com/docs/webhooks>): `X-Razorpay-Signature` is the HMAC-SHA256 of the raw
//! body in hexadecimal.
//!
//! Two things are not signed: there is no time of sending, and the event's name, `x-razorpay-event-id`, is a header. So the
//! name is the body's digest, the same for each delivery (redeliveries and replays carry the body as it was first made):
//! whoever has seen one notification can't have it taken for another. And the body's own `created_at` bounds its age.

use crate::{
    InvalidGatewaySettings,
    caller::word,
    razorpay::{self, PaymentEntity, RefundEntity},
    signature::{Secrets, digest_of, fresh},
};
use amrutam_payments::ports::{GatewayName, Webhook, WebhookError, WebhookNews, WebhookVerifier};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;

/// Razorpay tries for 24 hours, and replays by hand what is up to 7 days old. Below the 90 days for which events are
/// remembered: what is older could be taken for new.
const PATIENCE: SignedDuration = SignedDuration::from_hours(7 * 24 + 1);

/// Proves that a notification is Razorpay's.
pub struct RazorpayWebhooks {
    name: GatewayName,
    secrets: Secrets,
}

impl RazorpayWebhooks {
    /// With the webhook's secret, and the one before it while it is being changed.
    pub fn new(secrets: Vec<SecretString>) -> Result<Self, InvalidGatewaySettings> {
        let name = razorpay::NAME.parse().map_err(|_| InvalidGatewaySettings::Key)?;
        Ok(Self { name, secrets: Secrets::new(secrets)? })
    }
}

#[derive(Deserialize)]
struct Event {
    event: String,
    created_at: i64,
}

#[derive(Deserialize)]
struct About<T> {
    payload: T,
}

#[derive(Deserialize)]
struct AboutPayment {
    payment: Entity<PaymentEntity>,
}

#[derive(Deserialize)]
struct AboutRefund {
    refund: Entity<RefundEntity>,
}

#[derive(Deserialize)]
struct Entity<T> {
    entity: T,
}

impl WebhookVerifier for RazorpayWebhooks {
    fn name(&self) -> &GatewayName {
        &self.name
    }

    fn verify(
        &self,
        headers: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Webhook, WebhookError> {
        let signature = headers("x-razorpay-signature").ok_or(WebhookError::BadSignature)?;
        if !self.secrets.signed(&[body], &signature) {
            return Err(WebhookError::BadSignature);
        }
        let Event { event, created_at } = serde_json::from_slice(body).map_err(|_| WebhookError::Malformed)?;
        let at = Timestamp::from_second(created_at).map_err(|_| WebhookError::Malformed)?;
        fresh(at, now, PATIENCE)?;
        let ignored = || WebhookNews::Ignored { kind: word(&event).unwrap_or_else(|| "unnamed".to_owned()) };
        // Of a payment in a currency we never ask for nothing is known here: it is another business of the same merchant.
        let news = match event.as_str() {
            "payment.authorized" | "payment.captured" | "payment.failed" | "order.paid" => {
                let about: About<AboutPayment> = serde_json::from_slice(body).map_err(|_| WebhookError::Malformed)?;
                about.payload.payment.entity.read().map_or_else(ignored, WebhookNews::Payment)
            }
            "refund.created" | "refund.processed" | "refund.failed" => {
                let about: About<AboutRefund> = serde_json::from_slice(body).map_err(|_| WebhookError::Malformed)?;
                about.payload.refund.entity.read().map_or_else(ignored, WebhookNews::Refund)
            }
            _ => ignored(),
        };
        Ok(Webhook { event: digest_of(body)?, at: Some(at), news })
    }
}

#[cfg(test)]
mod tests;
