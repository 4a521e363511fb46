//! Idempotency keys (IETF draft-ietf-httpapi-idempotency-key-header): the same request, sent
//! again, has one effect and one answer.

use crate::AccountId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// A caller's name for one request: 1 to 255 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// Empty, too long, or with a character that is not visible ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 255 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;
    fn from_str(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        if (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidIdempotencyKey)
        }
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Clients put odd things into keys.
        f.write_str("IdempotencyKey(..)")
    }
}

/// SHA-256 over what was asked: method, path and body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a request. The parts are length-prefixed, so that no two requests share an encoding. It is no secret's keeper: of a body
    /// that may hold one, give a keyed digest.
    pub fn of(method: &str, path: &str, body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for part in [method.as_bytes(), path.as_bytes(), body] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// As stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For storing.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Whose key, for which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyClaim {
    /// Keys belong to the caller.
    pub caller: AccountId,
    /// The caller's name for the request.
    pub key: IdempotencyKey,
    /// What was asked under that name.
    pub fingerprint: Fingerprint,
}

/// The first answer, kept for 24 hours to be given again byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAnswer {
    /// HTTP status.
    pub status: u16,
    /// `Location`, when there was one.
    pub location: Option<String>,
    /// `Content-Type`.
    pub content_type: String,
    /// `ETag`, when there was one.
    pub etag: Option<String>,
    /// The body as sent: JSON text.
    pub body: String,
}

/// A caller's claim, and how the answer to be repeated is made from the result.
pub struct Idempotent<'a, T> {
    /// Whose key, for which request.
    pub claim: &'a IdempotencyClaim,
    /// Renders the answer, which is committed with the effect.
    pub render: &'a (dyn Fn(&T) -> StoredAnswer + Send + Sync),
}

impl<T> Idempotent<'_, T> {
    /// For [`Effects::answer`](crate::Effects::answer).
    pub fn answer(&self, result: &T) -> (IdempotencyClaim, StoredAnswer) {
        (self.claim.clone(), (self.render)(result))
    }
}

impl<T> fmt::Debug for Idempotent<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotent").field("claim", self.claim).finish_non_exhaustive()
    }
}

/// What is known of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// The same request was answered before: answer the same.
    Same(StoredAnswer),
    /// The key was used for another request: refuse.
    Other,
}
