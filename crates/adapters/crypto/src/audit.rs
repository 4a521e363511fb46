//! Keys that sign the audit trail, and whatever watches it.

use crate::{KeyError, KeyKind, Keys, ManageError, keys::SECRET_BYTES};
use aes_gcm::aead::Generate;
use amrutam_audit::model::{Algorithm, NoteSigner};
use secrecy::zeroize::Zeroizing;

/// Signs the checkpoints of the log of that origin, with the audit key.
pub fn audit_signer(keys: &Keys, origin: &str) -> Result<NoteSigner, KeyError> {
    let ring = keys.ring();
    let secret = ring.audit.as_deref().ok_or_else(|| keys.missing(KeyKind::Audit))?;
    NoteSigner::new(origin, Algorithm::Ed25519, secret).map_err(|error| KeyError::unusable(origin, error))
}

/// A fresh secret, for a witness of its own.
pub fn witness_secret() -> Result<Zeroizing<[u8; SECRET_BYTES]>, ManageError> {
    let drawn = <[u8; SECRET_BYTES]>::try_generate().map_err(|error| ManageError::Generate(error.to_string()))?;
    Ok(Zeroizing::new(drawn))
}
