//! One-time links in mails.

use super::SecretDigest;
use amrutam_kernel::{AccountId, LinkId, LinkPurpose, LinkTokens};
use jiff::Timestamp;

/// A link as stored. Its token is not: see [`LinkTokens`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its id, which events and mails in waiting carry.
    pub id: LinkId,
    /// What it allows.
    pub purpose: LinkPurpose,
    /// For whom.
    pub account: AccountId,
    /// Of its token, by which it is found.
    pub digest: SecretDigest,
    /// From then on it allows nothing.
    pub expires_at: Timestamp,
    /// When it was used, or made void.
    pub spent_at: Option<Timestamp>,
}

impl Link {
    /// A new one.
    pub fn new(tokens: &dyn LinkTokens, id: LinkId, purpose: LinkPurpose, account: AccountId, now: Timestamp) -> Self {
        let digest = SecretDigest::of(tokens.token(purpose, id).expose());
        let expires_at = now.checked_add(purpose.lifetime()).unwrap_or(Timestamp::MAX);
        Self { id, purpose, account, digest, expires_at, spent_at: None }
    }

    /// Whether it still allows its purpose.
    pub fn works(&self, now: Timestamp) -> bool {
        self.spent_at.is_none() && now < self.expires_at
    }
}
