//! What the keys need from the world.

use crate::{
    error::UnwrapError,
    model::{DataKeyId, KekId, KekState, KeyMaterial, KeyVersion, StoredKey, WrappedKey},
};
use amrutam_kernel::{AccountId, Effects, PortError};
use async_trait::async_trait;
use jiff::Timestamp;

/// What was found where a key to seal under was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The newest key, and the seals asked for are the caller's.
    Key(StoredKey),
    /// There is none, or the newest is used up or too old: one of this version is to be made.
    Next(KeyVersion),
    /// The person's keys have been destroyed, and there will be no others.
    Erased,
}

/// What became of a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is the newest now.
    Stored,
    /// Somebody else has made that version.
    Outrun,
    /// The person's keys have been destroyed.
    Erased,
    /// Its key-encryption key has been retired: the caller's keys are old.
    KekRetired,
}

/// A key that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Here it is.
    Key(StoredKey),
    /// There never was one.
    Unknown,
    /// It has been destroyed.
    Erased,
}

/// What became of a key-encryption key that was to be retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retired {
    /// Nothing will be wrapped under it any more.
    Done,
    /// So many data keys are wrapped under it; nothing has changed.
    Wraps(u64),
}

/// Keeps wrapped data keys; apart from what is sealed under them, so that backups of the one end while those of the other are kept.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Takes `seals` from what the newest key of `owner` may still seal ([`MAX_SEALS`](crate::model::MAX_SEALS) in all), unless it was
    /// made at or before `born_after`.
    async fn take(&self, owner: AccountId, seals: u32, born_after: Timestamp) -> Result<Taken, PortError>;
    /// Stores the version that follows the newest, with `seals` of it taken. Of several at once one is stored.
    async fn put(&self, key: &StoredKey, seals: u32, at: Timestamp) -> Result<Put, PortError>;
    /// One key.
    async fn find(&self, id: DataKeyId) -> Result<Found, PortError>;
    /// Makes the next sealing for `owner` make a new version. Says whether there was a key.
    async fn renew(&self, owner: AccountId) -> Result<bool, PortError>;
    /// Destroys every key of `owner`, and says how many; there will be no others. Again: nothing more.
    async fn destroy(&self, owner: AccountId, at: Timestamp) -> Result<u64, PortError>;
    /// Whose keys were destroyed at that time or later.
    async fn destroyed_since(&self, since: Timestamp) -> Result<Vec<AccountId>, PortError>;
    /// Every key-encryption key there has been, by its first use.
    async fn keks(&self) -> Result<Vec<KekState>, PortError>;
    /// How many data keys are wrapped under it.
    async fn count(&self, kek: &KekId) -> Result<u64, PortError>;
    /// Data keys wrapped under it, by id, after that one, at most so many.
    async fn wrapped_under(
        &self,
        kek: &KekId,
        after: Option<DataKeyId>,
        most: u16,
    ) -> Result<Vec<StoredKey>, PortError>;
    /// Puts the new wrapping in place of the one under `from`, where that is still there; all or none. Says how many.
    async fn rewrap(&self, from: &KekId, keys: &[StoredKey], at: Timestamp) -> Result<u64, PortError>;
    /// Retires a key-encryption key that wraps nothing. A key that is being stored under it meanwhile is counted or refused.
    async fn retire(&self, kek: &KekId, at: Timestamp) -> Result<Retired, PortError>;
}

/// Wraps data keys under key-encryption keys that it does not give away: files, the environment, a vault, a KMS.
#[async_trait]
pub trait KeyWrapper: Send + Sync {
    /// The key that wraps now.
    fn current(&self) -> Result<KekId, PortError>;
    /// Wraps for that id under [`KeyWrapper::current`].
    async fn wrap(&self, id: DataKeyId, key: &KeyMaterial) -> Result<WrappedKey, PortError>;
    /// Unwraps what was wrapped for that id, under the key it names.
    async fn unwrap(&self, id: DataKeyId, wrapped: &WrappedKey) -> Result<KeyMaterial, UnwrapError>;
}

/// Whether anything keeps a person's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A legal hold: on the person, or on the account that keeps or kept them.
    OnHold,
    /// No erasure of theirs is due.
    Kept,
    /// Their erasure is due, or was carried out.
    Due,
}

/// How long what is sealed of people is kept, as those know it who erase.
#[async_trait]
pub trait Retention: Send + Sync {
    /// Of an account, or of a person whom one keeps or kept.
    async fn standing(&self, owner: AccountId, now: Timestamp) -> Result<Standing, PortError>;
}

/// The record of what was done.
#[async_trait]
pub trait Records: Send + Sync {
    /// Commits effects that stand alone.
    async fn record(&self, effects: &Effects) -> Result<(), PortError>;
}
