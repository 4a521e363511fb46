//! Data keys wrapped under the key-encryption keys of [`Keys`].
//!
//! A wrapped key is: format (1), algorithm (1), a random nonce of 12 bytes, the 32 bytes encrypted, a tag of 16. It is bound to the name
//! of its key-encryption key, its owner and its version.

use crate::{
    KeyError, KeyKind, Keys,
    nonce::{NONCE_BYTES, nonce},
    sealer::{AES_256_GCM, defect},
};
use aes_gcm::{
    Nonce,
    aead::{Aead, Payload},
};
use amrutam_kernel::{Clock, PortError};
use amrutam_keys::{
    UnwrapError,
    model::{DataKeyId, KekId, KeyMaterial, WrappedKey},
    ports::KeyWrapper,
};
use async_trait::async_trait;
use secrecy::zeroize::Zeroizing;
use std::{fmt, sync::Arc};

const WRAPPED: u8 = 1;
/// Sets wrapped keys apart from values sealed under the same key.
const PURPOSE: &[u8] = b"amrutam data key";

/// Wraps under the newest sealing key whose time has come, unwraps under the one a wrapped key names. A KMS or a vault takes this
/// one's place by the same port.
#[derive(Clone)]
pub struct LocalKeks {
    keys: Keys,
    clock: Arc<dyn Clock>,
}

impl LocalKeks {
    /// With the keys that seal.
    pub fn new(keys: &Keys, clock: Arc<dyn Clock>) -> Result<Self, KeyError> {
        match keys.ring().sealing {
            Some(_) => Ok(Self { keys: keys.clone(), clock }),
            None => Err(keys.missing(KeyKind::Sealing)),
        }
    }
}

impl fmt::Debug for LocalKeks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKeks").field("keys", &self.keys).finish_non_exhaustive()
    }
}

fn associated_data(kek: &str, id: DataKeyId) -> Vec<u8> {
    let (owner, version) = (id.owner.as_uuid(), id.version.to_be_bytes());
    let parts: [&[u8]; 5] = [&[WRAPPED, AES_256_GCM], PURPOSE, kek.as_bytes(), owner.as_bytes(), &version];
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[async_trait]
impl KeyWrapper for LocalKeks {
    fn current(&self) -> Result<KekId, PortError> {
        let ring = self.keys.ring();
        let in_use = ring.sealing.as_ref().and_then(|keys| keys.in_use(self.clock.now()));
        let (id, _) = in_use.ok_or_else(|| defect("the sealing key is gone"))?;
        id.parse().map_err(defect)
    }

    async fn wrap(&self, id: DataKeyId, key: &KeyMaterial) -> Result<WrappedKey, PortError> {
        let ring = self.keys.ring();
        let in_use = ring.sealing.as_ref().and_then(|keys| keys.in_use(self.clock.now()));
        let (kek, cipher) = in_use.ok_or_else(|| defect("the sealing key is gone"))?;
        let nonce = nonce()?;
        let payload = Payload { msg: key.expose(), aad: &associated_data(kek, id) };
        let sealed = cipher.encrypt(&Nonce::from(nonce), payload).map_err(defect)?;
        let bytes = [&[WRAPPED, AES_256_GCM], &nonce[..], &sealed].concat();
        Ok(WrappedKey { kek: kek.parse().map_err(defect)?, bytes })
    }

    async fn unwrap(&self, id: DataKeyId, wrapped: &WrappedKey) -> Result<KeyMaterial, UnwrapError> {
        let ring = self.keys.ring();
        let cipher = ring.sealing.as_ref().and_then(|keys| keys.get(wrapped.kek.as_str()));
        let cipher = cipher.ok_or_else(|| UnwrapError::UnknownKek(wrapped.kek.clone()))?;
        let [WRAPPED, AES_256_GCM, rest @ ..] = &wrapped.bytes[..] else { return Err(UnwrapError::Refused) };
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(UnwrapError::Refused)?;
        let payload = Payload { msg: sealed, aad: &associated_data(wrapped.kek.as_str(), id) };
        let plain = cipher.decrypt(&Nonce::from(*nonce), payload).map_err(|_| UnwrapError::Refused)?;
        KeyMaterial::from_slice(&Zeroizing::new(plain)).ok_or(UnwrapError::Refused)
    }
}
