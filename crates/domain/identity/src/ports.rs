//! What the domain needs from the world.

use crate::model::{Account, EmailAddress, NewPassword, PasswordHash};
use amrutam_kernel::{AccountId, Effects, PortError, Role, Sensitive, SessionId};
use async_trait::async_trait;
use jiff::Timestamp;

/// What became of an insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// The account exists now, and its effects are committed.
    Created,
    /// Nothing was stored: the address belongs to this account.
    EmailTaken(AccountId),
    /// Nothing was stored: the idempotency claim among the effects has an answer already.
    AlreadyAnswered,
}

/// Where accounts are kept.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Stores an account and its effects in one transaction. Of two concurrent inserts with one address, one wins.
    async fn insert(&self, account: &Account, effects: &Effects) -> Result<Inserted, PortError>;
    /// Commits effects that change no account.
    async fn record(&self, effects: &Effects) -> Result<(), PortError>;
    /// By normalized address.
    async fn by_email(&self, email: &EmailAddress) -> Result<Option<Account>, PortError>;
    /// By id.
    async fn by_id(&self, id: AccountId) -> Result<Option<Account>, PortError>;
}

/// Argon2id off the async threads, behind a bounded queue. A full queue is [`PortError::Unavailable`].
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// Hashes with a fresh salt.
    async fn hash(&self, password: &NewPassword) -> Result<PasswordHash, PortError>;
    /// Compares. Without a hash it does the same work against a dummy and says no, so that an unknown address costs what a
    /// known one does.
    async fn verify(&self, password: &Sensitive<String>, hash: Option<&PasswordHash>) -> Result<bool, PortError>;
}

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessClaims {
    /// Whose it is.
    pub account: AccountId,
    /// Of which log-in.
    pub session: SessionId,
    /// In which role.
    pub role: Role,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Signs access tokens.
pub trait TokenIssuer: Send + Sync {
    /// A signed token. `token_id` becomes its `jti`.
    fn issue(&self, claims: &AccessClaims, token_id: uuid::Uuid) -> Result<Sensitive<String>, PortError>;
}

/// The token is not one of ours, or not any more. One word for every reason: the caller logs in again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid access token")]
pub struct InvalidToken;

/// Checks access tokens.
pub trait TokenVerifier: Send + Sync {
    /// The claims of a token that is ours and in force at `now`.
    fn verify(&self, token: &str, now: Timestamp) -> Result<AccessClaims, InvalidToken>;
}
