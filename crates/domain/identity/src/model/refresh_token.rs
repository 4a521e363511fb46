//! Refresh tokens.

use super::SecretDigest;
use amrutam_kernel::{Sensitive, SessionId};
use data_encoding::BASE64URL_NOPAD;
use uuid::Uuid;

/// 16 bytes session, 4 bytes generation, 32 random bytes.
const BYTES: usize = 52;

/// `base64url(session id || generation || 256 random bits)`: good for one new pair of tokens. The first two parts help
/// whoever reads an incident; nothing is decided by them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken(Sensitive<String>);

impl RefreshToken {
    /// A token with a fresh secret.
    pub fn new(session: SessionId, generation: u32, secret: &[u8; 32]) -> Self {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(session.as_uuid().as_bytes());
        bytes.extend_from_slice(&generation.to_be_bytes());
        bytes.extend_from_slice(secret);
        Self(Sensitive::new(BASE64URL_NOPAD.encode(&bytes)))
    }

    /// As presented; nothing when it can't be one of ours.
    pub fn parse(text: &Sensitive<String>) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.expose().as_bytes()).ok()?;
        (bytes.len() == BYTES).then(|| Self(text.clone()))
    }

    /// The session it says it is of, which anybody can claim.
    pub fn claimed_session(&self) -> Option<SessionId> {
        let bytes = BASE64URL_NOPAD.decode(self.0.expose().as_bytes()).ok()?;
        Some(SessionId::from_uuid(Uuid::from_slice(bytes.get(..16)?).ok()?))
    }

    /// What is stored of it.
    pub fn digest(&self) -> SecretDigest {
        SecretDigest::of(self.0.expose())
    }

    /// For the caller.
    pub fn into_text(self) -> Sensitive<String> {
        self.0
    }
}
