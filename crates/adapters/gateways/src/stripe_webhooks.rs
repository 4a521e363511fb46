//! Stripe's notifications (<https://docs.stripe.com/webhooks>): `Stripe-Signature: t=<seconds>,v1=<hex>,...`, where a `v1`
//! is the HMAC-SHA256 of `<seconds>.<raw body>`. While a secret is being changed there is a `v1` for each.
//!
//! The time of sending is signed, so a recorded notification is worth nothing after five minutes; the event's name is part of
//! the signed body.

use crate::{
    InvalidGatewaySettings,
    caller::word,
    signature::{Secrets, fresh},
    stripe::{self, Charge, RefundObject},
};
use amrutam_payments::ports::{GatewayName, Webhook, WebhookError, WebhookNews, WebhookVerifier};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;

/// Stripe's own libraries tolerate this much; each try is signed anew.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(300);
/// There are two at most, while a secret is being changed: nobody makes us compute thousands.
const MOST_SIGNATURES: usize = 8;

/// Proves that a notification is Stripe's.
pub struct StripeWebhooks {
    name: GatewayName,
    secrets: Secrets,
}

impl StripeWebhooks {
    /// With the endpoint's signing secret (`whsec_...`), and the one before it while it is being changed.
    pub fn new(secrets: Vec<SecretString>) -> Result<Self, InvalidGatewaySettings> {
        let name = stripe::NAME.parse().map_err(|_| InvalidGatewaySettings::Key)?;
        Ok(Self { name, secrets: Secrets::new(secrets)? })
    }
}

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    created: i64,
}

#[derive(Deserialize)]
struct About<T> {
    data: Data<T>,
}

#[derive(Deserialize)]
struct Data<T> {
    object: T,
}

impl WebhookVerifier for StripeWebhooks {
    fn name(&self) -> &GatewayName {
        &self.name
    }

    fn verify(
        &self,
        headers: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Webhook, WebhookError> {
        let header = headers("stripe-signature").ok_or(WebhookError::BadSignature)?;
        let (seconds, signatures) = read(&header).ok_or(WebhookError::BadSignature)?;
        if !signatures.iter().any(|signature| self.secrets.signed(&[seconds.as_bytes(), b".", body], signature)) {
            return Err(WebhookError::BadSignature);
        }
        let sent = seconds.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        fresh(sent.ok_or(WebhookError::BadSignature)?, now, TOLERANCE)?;
        let Event { id, kind, created } = serde_json::from_slice(body).map_err(|_| WebhookError::Malformed)?;
        let at = Timestamp::from_second(created).map_err(|_| WebhookError::Malformed)?;
        let ignored = || WebhookNews::Ignored { kind: word(&kind).unwrap_or_else(|| "unnamed".to_owned()) };
        let news = match kind.as_str() {
            "charge.succeeded" | "charge.captured" | "charge.failed" | "charge.pending" | "charge.updated"
            | "charge.refunded" => {
                let about: About<Charge> = serde_json::from_slice(body).map_err(|_| WebhookError::Malformed)?;
                about.data.object.read().map_or_else(ignored, WebhookNews::Payment)
            }
            "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
                let about: About<RefundObject> = serde_json::from_slice(body).map_err(|_| WebhookError::Malformed)?;
                about.data.object.read().map_or_else(ignored, WebhookNews::Refund)
            }
            _ => ignored(),
        };
        let event = id.try_into().map_err(|_| WebhookError::Malformed)?;
        Ok(Webhook { event, at: Some(at), news })
    }
}

/// The time as it was signed, and the signatures of the one scheme we know. Whatever else there is, is left alone, as Stripe
/// asks.
fn read(header: &str) -> Option<(&str, Vec<&str>)> {
    let pairs = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let (_, seconds) = pairs().find(|(name, _)| *name == "t")?;
    let signatures = pairs().filter(|(name, _)| *name == "v1").map(|(_, value)| value).take(MOST_SIGNATURES);
    Some((seconds, signatures.collect()))
}

#[cfg(test)]
mod tests;
