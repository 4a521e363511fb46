//! Data keys, wrapped and plain.

use super::KekId;
use amrutam_kernel::AccountId;
use zeroize::Zeroizing;

/// AES-256.
pub const KEY_BYTES: usize = 32;
/// Of a check value: 128 bits.
pub const CHECK_BYTES: usize = 16;

/// Counted from 1 for each person.
pub type KeyVersion = u32;

/// A version of a person's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataKeyId {
    /// Whose.
    pub owner: AccountId,
    /// Which of theirs.
    pub version: KeyVersion,
}

/// A data key as it may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The key it is wrapped under.
    pub kek: KekId,
    /// In the form of the wrapper that made it.
    pub bytes: Vec<u8>,
}

/// A wrapped data key and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Which key.
    pub id: DataKeyId,
    /// The key.
    pub wrapped: WrappedKey,
    /// A digest keyed with the data key, by which a wrong one is known before it opens or seals anything. AES-GCM alone does not commit
    /// to its key.
    pub check: [u8; CHECK_BYTES],
}

/// A plain key. It is wiped when dropped, has no `Debug` and is not cloned.
pub struct KeyMaterial(Zeroizing<[u8; KEY_BYTES]>);

impl KeyMaterial {
    /// Takes what was drawn or unwrapped.
    pub fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self(bytes)
    }

    /// Nothing when the length is another.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// The key, on purpose.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}
