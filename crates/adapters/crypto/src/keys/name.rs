//! What a key's name says.

use super::KeyError;
use std::fmt;

/// What a key is for. No key serves two purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Signs tokens: a private RSA key of at least 3072 bits in PEM.
    Signing,
    /// Only verifies tokens: the public half.
    Verifying,
    /// Only proves prescriptions that a key has signed which signs tokens no more: its public half.
    Proving,
    /// Seals values: 32 bytes.
    Sealing,
    /// Makes blind indexes: 32 bytes. There is one; with another, no address is found any more.
    BlindIndex,
    /// Makes links' tokens: 32 bytes. There is one; with another, mails in waiting carry links that don't work.
    Link,
    /// Signs the audit trail's checkpoints: 32 bytes. There is one; with another, the trail's line of checkpoints breaks.
    Audit,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Signing, Self::Verifying, Self::Proving, Self::Sealing, Self::BlindIndex, Self::Link, Self::Audit];

    /// How the name of such a key ends.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Signing => ".pem",
            Self::Verifying => ".pub.pem",
            Self::Proving => ".prescriptions.pem",
            Self::Sealing => ".kek",
            Self::BlindIndex => ".index",
            Self::Link => ".link",
            Self::Audit => ".audit",
        }
    }

    pub(crate) const fn described(self) -> &'static str {
        match self {
            Self::Signing => "signing key (<id>.pem)",
            Self::Verifying => "public key (<id>.pub.pem)",
            Self::Proving => "public key for prescriptions (<id>.prescriptions.pem)",
            Self::Sealing => "sealing key (<id>.kek)",
            Self::BlindIndex => "blind-index key (<id>.index)",
            Self::Link => "link key (<id>.link)",
            Self::Audit => "audit key (<id>.audit)",
        }
    }
}

/// A key's name: its id and kind, such as `2026-08-01.pem`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName {
    /// `kid` in tokens, and the key's id in sealed values.
    pub id: String,
    /// From the suffix.
    pub kind: KeyKind,
}

impl KeyName {
    /// A name of that id.
    pub fn new(id: &str, kind: KeyKind) -> Result<Self, KeyError> {
        let valid =
            (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if valid { Ok(Self { id: id.to_owned(), kind }) } else { Err(KeyError::InvalidKeyId) }
    }

    /// Nothing when the text ends like no key. One that does but has no key id before it is an error: a key that is silently
    /// not loaded is found out too late.
    pub fn parse(text: &str) -> Option<Result<Self, KeyError>> {
        // The longest suffix first: `.pub.pem` ends in `.pem`.
        let mut kinds = KeyKind::ALL;
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.suffix().len()));
        let (id, kind) = kinds.into_iter().find_map(|kind| Some((text.strip_suffix(kind.suffix())?, kind)))?;
        Some(Self::new(id, kind).map_err(|error| KeyError::unusable(text, error)))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.id, self.kind.suffix())
    }
}
