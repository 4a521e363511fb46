//! HMAC-SHA256 over what was sent, compared in constant time.

use crate::InvalidGatewaySettings;
use amrutam_payments::ports::{GatewayEventId, WebhookError};
use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// A gateway's clock may be ahead of ours by so much.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// The secrets that a notification may be signed with: the present one and, while it is being changed, the one before.
pub(crate) struct Secrets(Vec<SecretString>);

impl Secrets {
    pub(crate) fn new(secrets: Vec<SecretString>) -> Result<Self, InvalidGatewaySettings> {
        if secrets.is_empty() {
            return Err(InvalidGatewaySettings::NoWebhookSecret);
        }
        if secrets.iter().any(|secret| secret.expose_secret().is_empty()) {
            return Err(InvalidGatewaySettings::Key);
        }
        Ok(Self(secrets))
    }

    /// Whether one of them makes this signature, given in lower-case hexadecimal, over the parts in a row.
    pub(crate) fn signed(&self, parts: &[&[u8]], signature: &str) -> bool {
        let Ok(signature) = HEXLOWER.decode(signature.as_bytes()) else { return false };
        self.0.iter().any(|secret| {
            // Any length is a key.
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else { return false };
            parts.iter().for_each(|part| mac.update(part));
            mac.verify_slice(&signature).is_ok()
        })
    }
}

/// Whether what was said `at` may still be believed `now`.
pub(crate) fn fresh(at: Timestamp, now: Timestamp, patience: SignedDuration) -> Result<(), WebhookError> {
    let age = now.duration_since(at);
    if age > patience || age < -AHEAD { Err(WebhookError::Stale) } else { Ok(()) }
}

/// A name for a notification that has none within what is signed: its digest.
pub(crate) fn digest_of(body: &[u8]) -> Result<GatewayEventId, WebhookError> {
    HEXLOWER.encode(&Sha256::digest(body)).try_into().map_err(|_| WebhookError::Malformed)
}
