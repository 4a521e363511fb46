//! Values.

mod data_key;
mod kek;

pub use data_key::{CHECK_BYTES, DataKeyId, KEY_BYTES, KeyMaterial, KeyVersion, StoredKey, WrappedKey};
pub use kek::{InvalidKekId, KekId, KekState};

use jiff::SignedDuration;

/// The most values one version of a data key seals. Nonces are random: NIST SP 800-38D allows 2^32 under one key; this leaves room for
/// what a crash forgets to count, and makes a collision of nonces less likely than 2^-57.
pub const MAX_SEALS: u32 = 1 << 20;

/// How long a version seals: NIST SP 800-57 part 1, table 1 allows up to two years for a symmetric data-encryption key.
pub const MAX_AGE: SignedDuration = SignedDuration::from_hours(365 * 24);
