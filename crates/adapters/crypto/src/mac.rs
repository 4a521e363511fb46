//! What HMAC-SHA-256 makes: links' tokens and blind indexes, each with a key of its own.

use crate::{KeyError, KeyKind, Keys, keys::SECRET_BYTES};
use amrutam_kernel::{BlindIndex, LinkId, LinkPurpose, LinkTokens, Sensitive};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac, digest::KeyInit};
use secrecy::zeroize::Zeroizing;
use sha2::Sha256;
use std::fmt;

/// SHA-256's block: a shorter key is filled up with zeros (RFC 2104).
const BLOCK: usize = 64;

struct MacKey(Zeroizing<[u8; BLOCK]>);

impl MacKey {
    fn new(secret: &[u8; SECRET_BYTES]) -> Self {
        let mut block = Zeroizing::new([0; BLOCK]);
        block.iter_mut().zip(secret).for_each(|(byte, secret)| *byte = *secret);
        Self(block)
    }

    fn mac<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as KeyInit>::new((&*self.0).into());
        parts.into_iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

/// Makes links' tokens. Its key stays what it was at the start.
pub struct HmacLinkTokens(MacKey);

impl HmacLinkTokens {
    /// With the link key.
    pub fn new(keys: &Keys) -> Result<Self, KeyError> {
        let key = keys.ring().link.as_deref().map(MacKey::new);
        key.map(Self).ok_or_else(|| keys.missing(KeyKind::Link))
    }
}

impl LinkTokens for HmacLinkTokens {
    fn token(&self, purpose: LinkPurpose, id: LinkId) -> Sensitive<String> {
        let id = id.as_uuid();
        // The id's length is fixed, so no other purpose and id give the same bytes.
        let mac = self.0.mac([purpose.as_str().as_bytes(), id.as_bytes()]);
        Sensitive::new(URL_SAFE_NO_PAD.encode([id.as_bytes().as_slice(), &mac].concat()))
    }
}

impl fmt::Debug for HmacLinkTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacLinkTokens").finish_non_exhaustive()
    }
}

/// Makes blind indexes. Its key stays what it was at the start.
pub struct HmacBlindIndex(MacKey);

impl HmacBlindIndex {
    /// With the blind-index key.
    pub fn new(keys: &Keys) -> Result<Self, KeyError> {
        let key = keys.ring().blind_index.as_deref().map(MacKey::new);
        key.map(Self).ok_or_else(|| keys.missing(KeyKind::BlindIndex))
    }
}

impl BlindIndex for HmacBlindIndex {
    fn digest(&self, column: &str, normalized: &str) -> [u8; 16] {
        let [column_len, value_len] = [column, normalized].map(|part| (part.len() as u64).to_be_bytes());
        let mac = self.0.mac([&column_len, column.as_bytes(), &value_len, normalized.as_bytes()]);
        let mut digest = [0; 16];
        digest.iter_mut().zip(mac).for_each(|(byte, mac)| *byte = mac);
        digest
    }
}

impl fmt::Debug for HmacBlindIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacBlindIndex").finish_non_exhaustive()
    }
}
