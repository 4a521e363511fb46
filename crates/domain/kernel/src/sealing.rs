//! Sealing personal data, as a port: what is stored can be read only here, and only where it was put.

use crate::{AccountId, Dependency, PortError};
use async_trait::async_trait;
use uuid::Uuid;

/// 1 MiB: the most one value may hold. Larger things are files, sealed in chunks.
pub const MAX_SEALED_PLAIN: usize = 1 << 20;

/// Where a sealed value lives and whose it is. A value opens under the place it was sealed for and no other, so that a
/// ciphertext copied to another row or person is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealPlace<'a> {
    /// The table's schema: `phi`.
    pub schema: &'a str,
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row's key.
    pub row: Uuid,
    /// Whose data it is.
    pub owner: AccountId,
    /// Of the row: an older value of it, put back, is refused too. 1 where rows are written once.
    pub version: i64,
}

impl SealPlace<'_> {
    /// The place in bytes, each part after its length, so that no two places share an encoding.
    ///
    /// ```
    /// # use amrutam_kernel::{AccountId, SealPlace}; use uuid::Uuid;
    /// let (row, owner) = (Uuid::nil(), AccountId::from_uuid(Uuid::nil()));
    /// let one = SealPlace { schema: "phi", table: "note", column: "stext", row, owner, version: 1 };
    /// let other = SealPlace { table: "notes", column: "text", ..one };
    /// assert_ne!(one.to_bytes(), other.to_bytes());
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let (row, owner, version) = (self.row, self.owner.as_uuid(), self.version.to_be_bytes());
        let parts: [&[u8]; 6] = [
            self.schema.as_bytes(),
            self.table.as_bytes(),
            self.column.as_bytes(),
            row.as_bytes(),
            owner.as_bytes(),
            &version,
        ];
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// Why a value was not sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not a sealed value, or in a form this version does not know.
    #[error("not a sealed value of a known form")]
    Malformed,
    /// Sealed under a key that is not there.
    #[error("sealed under a key that is not held here")]
    UnknownKey,
    /// Altered, or moved from where it was sealed.
    #[error("the sealed value has been altered or moved")]
    Refused,
    /// The owner's keys have been destroyed: what was sealed of them opens never again, and nothing new is sealed.
    #[error("the owner's keys have been destroyed")]
    Erased,
    /// The keys could not be asked for.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl From<SealError> for PortError {
    /// What does not open is ours to mend; what can't be tried now may be tried again.
    fn from(error: SealError) -> Self {
        match error {
            SealError::Port(error) => error,
            error => Self::defect(Dependency::Database, error),
        }
    }
}

/// Seals and opens single values of at most [`MAX_SEALED_PLAIN`], each under a key of its owner. Neither waits for anything
/// while that key is at hand.
#[async_trait]
pub trait Sealer: Send + Sync {
    /// Seals for a place. Sealing twice gives two different values.
    async fn seal(&self, place: &SealPlace<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError>;
    /// Opens what was sealed for that place.
    async fn open(&self, place: &SealPlace<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError>;
    /// Fetches what sealing for that owner will need, so that it can be awaited beside something else. Whether that went
    /// well, sealing tells.
    async fn prepare(&self, _owner: AccountId) {}
}
