//! RFC 6962's hashes: a leaf and a node can't be taken for one another.

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// A SHA-256 hash. As text: base64 with padding, as in checkpoints.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

/// Not 32 bytes in base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 hash in base64")]
pub struct InvalidHash;

impl Hash {
    /// How many bytes.
    pub const LEN: usize = 32;

    /// Of anything.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of a leaf's bytes: RFC 6962, 2.1.
    pub fn leaf(bytes: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update([0]);
        hash.update(bytes);
        Self(hash.finalize().into())
    }

    /// Of an inner node: RFC 6962, 2.1.
    pub fn node(left: &Self, right: &Self) -> Self {
        let mut hash = Sha256::new();
        hash.update([1]);
        hash.update(left.0);
        hash.update(right.0);
        Self(hash.finalize().into())
    }

    /// Of a tree without leaves.
    pub fn empty_root() -> Self {
        Self::of(b"")
    }

    /// From 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidHash> {
        bytes.try_into().map(Self).map_err(|_| InvalidHash)
    }

    /// From hexadecimal digits, in which test vectors come.
    pub fn from_hex(text: &str) -> Result<Self, InvalidHash> {
        Self::from_bytes(&HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| InvalidHash)?)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = InvalidHash;
    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        Self::from_bytes(&BASE64.decode(text.as_bytes()).map_err(|_| InvalidHash)?)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
