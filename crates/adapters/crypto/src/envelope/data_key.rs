//! One data key, ready for use, and what it makes.
//!
//! A sealed value is: format (2), algorithm (1), the version of the owner's key (4 bytes), a random nonce of 12 bytes, the ciphertext, a
//! tag of 16 bytes. What precedes the nonce is authenticated together with the place, so no byte of it can be changed.

use crate::{
    nonce::{NONCE_BYTES, nonce},
    sealer::{AES_256_GCM, TAG_BYTES, defect},
};
use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, Generate, Payload},
};
use amrutam_kernel::{MAX_SEALED_PLAIN, PortError, SealError, SealPlace};
use amrutam_keys::model::{CHECK_BYTES, DataKeyId, KEY_BYTES, KeyMaterial};
use hmac::{Hmac, Mac};
use secrecy::zeroize::Zeroizing;
use sha2::Sha256;

pub(super) const ENVELOPE: u8 = 2;
const HEADER_BYTES: usize = 6;

/// The cipher wipes its round keys when dropped.
pub(super) struct DataKey {
    id: DataKeyId,
    cipher: Aes256Gcm,
}

impl DataKey {
    pub(super) fn new(id: DataKeyId, material: &KeyMaterial) -> Self {
        Self { id, cipher: Aes256Gcm::new(material.expose().into()) }
    }

    pub(super) fn id(&self) -> DataKeyId {
        self.id
    }

    pub(super) fn seal(&self, place: &SealPlace<'_>, plain: &[u8]) -> Result<Vec<u8>, PortError> {
        let nonce = nonce()?;
        let header = header(self.id.version);
        let payload = Payload { msg: plain, aad: &associated_data(header, place) };
        let ciphertext = self.cipher.encrypt(&Nonce::from(nonce), payload).map_err(defect)?;
        Ok([&header[..], &nonce, &ciphertext].concat())
    }

    pub(super) fn open(&self, place: &SealPlace<'_>, value: &Value<'_>) -> Result<Vec<u8>, SealError> {
        let payload = Payload { msg: value.ciphertext, aad: &associated_data(header(value.version), place) };
        self.cipher.decrypt(&Nonce::from(*value.nonce), payload).map_err(|_| SealError::Refused)
    }
}

/// A sealed value, taken apart.
pub(super) struct Value<'a> {
    pub(super) version: u32,
    nonce: &'a [u8; NONCE_BYTES],
    ciphertext: &'a [u8],
}

impl<'a> Value<'a> {
    pub(super) fn parse(sealed: &'a [u8]) -> Result<Self, SealError> {
        let (header, rest) = sealed.split_first_chunk::<HEADER_BYTES>().ok_or(SealError::Malformed)?;
        let [ENVELOPE, AES_256_GCM, version @ ..] = *header else { return Err(SealError::Malformed) };
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Malformed)?;
        if !(TAG_BYTES..=MAX_SEALED_PLAIN + TAG_BYTES).contains(&ciphertext.len()) {
            return Err(SealError::Malformed);
        }
        Ok(Self { version: u32::from_be_bytes(version), nonce, ciphertext })
    }
}

fn header(version: u32) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = version.to_be_bytes();
    [ENVELOPE, AES_256_GCM, a, b, c, d]
}

// The header has one length, and the place tells the lengths of its parts.
fn associated_data(header: [u8; HEADER_BYTES], place: &SealPlace<'_>) -> Vec<u8> {
    [&header[..], &place.to_bytes()].concat()
}

/// 256 random bits of the operating system.
pub(super) fn draw() -> Result<KeyMaterial, PortError> {
    let drawn = Zeroizing::new(<[u8; KEY_BYTES]>::try_generate().map_err(defect)?);
    Ok(KeyMaterial::new(drawn))
}

fn digest(id: DataKeyId, material: &KeyMaterial) -> Result<Hmac<Sha256>, PortError> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(material.expose()).map_err(defect)?;
    mac.update(b"amrutam data key check");
    mac.update(id.owner.as_uuid().as_bytes());
    mac.update(&id.version.to_be_bytes());
    Ok(mac)
}

pub(super) fn check_value(id: DataKeyId, material: &KeyMaterial) -> Result<[u8; CHECK_BYTES], PortError> {
    let whole = digest(id, material)?.finalize().into_bytes();
    whole.first_chunk().copied().ok_or_else(|| defect("a digest is too short"))
}

/// In constant time.
pub(super) fn is_right(id: DataKeyId, material: &KeyMaterial, check: &[u8; CHECK_BYTES]) -> Result<bool, PortError> {
    Ok(digest(id, material)?.verify_truncated_left(check).is_ok())
}
