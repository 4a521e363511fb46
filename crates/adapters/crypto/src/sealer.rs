//! AES-256-GCM.
//!
//! A sealed value is: format (1), algorithm (1), length of the key's id, the key's id, a random nonce of 12 bytes, the
//! ciphertext, a tag of 16 bytes. What precedes the nonce is authenticated together with the place, so no byte of it can
//! be changed. Random nonces are good for 2^32 values per key.

use crate::{
    KeyDirError,
    keys::{KEK_BYTES, KeyFile, key_files},
};
use aes_gcm::{
    Aes256Gcm, Key, KeyInit, Nonce,
    aead::{Aead, Generate, Payload},
};
use amrutam_kernel::{Dependency, MAX_SEALED_PLAIN, PortError, SealError, SealPlace, Sealer};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::zeroize::Zeroizing;
use std::{collections::BTreeMap, fmt, path::Path};

/// Sealed directly under a key of the directory. Other formats will put a patient's own key between.
const DIRECT: u8 = 1;
const AES_256_GCM: u8 = 1;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// Seals under the newest key, opens under the key a value names. Keys are wiped from memory when it is dropped.
pub struct AesGcmSealer {
    sealing: String,
    keys: BTreeMap<String, Aes256Gcm>,
}

impl AesGcmSealer {
    /// Loads every `<id>.kek` of the directory: 32 bytes each, as 64 hexadecimal digits or in base64.
    pub fn load(dir: &Path) -> Result<Self, KeyDirError> {
        let mut keys = BTreeMap::new();
        for file in key_files(dir, ".kek", None)? {
            let bytes = decode(&file)?;
            keys.insert(file.id, Aes256Gcm::new(&Key::<Aes256Gcm>::from(*bytes)));
        }
        match keys.last_key_value() {
            Some((newest, _)) => Ok(Self { sealing: newest.clone(), keys }),
            None => Err(KeyDirError::Missing { wanted: "sealing key (<id>.kek)", dir: dir.to_owned() }),
        }
    }
}

impl fmt::Debug for AesGcmSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AesGcmSealer").field("keys", &self.keys.keys()).finish_non_exhaustive()
    }
}

impl Sealer for AesGcmSealer {
    fn seal(&self, place: &SealPlace<'_>, plain: &[u8]) -> Result<Vec<u8>, PortError> {
        if plain.len() > MAX_SEALED_PLAIN {
            return Err(defect(format_args!("{} bytes are too many to seal", plain.len())));
        }
        let key = self.keys.get(&self.sealing).ok_or_else(|| defect("the sealing key is gone"))?;
        let id_len = u8::try_from(self.sealing.len()).map_err(defect)?;
        let nonce = <[u8; NONCE_BYTES]>::try_generate().map_err(defect)?;

        let mut sealed = Vec::with_capacity(3 + self.sealing.len() + NONCE_BYTES + plain.len() + TAG_BYTES);
        sealed.extend_from_slice(&[DIRECT, AES_256_GCM, id_len]);
        sealed.extend_from_slice(self.sealing.as_bytes());
        let aad = associated_data(&sealed, place);
        sealed.extend_from_slice(&nonce);
        let payload = Payload { msg: plain, aad: &aad };
        sealed.extend(key.encrypt(&Nonce::from(nonce), payload).map_err(defect)?);
        Ok(sealed)
    }

    fn open(&self, place: &SealPlace<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let [DIRECT, AES_256_GCM, id_len, rest @ ..] = sealed else {
            return Err(SealError::Malformed);
        };
        let (id, rest) = rest.split_at_checked(usize::from(*id_len)).ok_or(SealError::Malformed)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Malformed)?;
        if !(TAG_BYTES..=MAX_SEALED_PLAIN + TAG_BYTES).contains(&ciphertext.len()) {
            return Err(SealError::Malformed);
        }
        let id = std::str::from_utf8(id).map_err(|_| SealError::UnknownKey)?;
        let key = self.keys.get(id).ok_or(SealError::UnknownKey)?;
        let header = [&[DIRECT, AES_256_GCM, *id_len], id.as_bytes()].concat();
        let payload = Payload { msg: ciphertext, aad: &associated_data(&header, place) };
        key.decrypt(&Nonce::from(*nonce), payload).map_err(|_| SealError::Refused)
    }
}

// The header tells its own length, and the place the lengths of its parts.
fn associated_data(header: &[u8], place: &SealPlace<'_>) -> Vec<u8> {
    [header, &place.to_bytes()].concat()
}

fn decode(file: &KeyFile) -> Result<Zeroizing<[u8; KEK_BYTES]>, KeyDirError> {
    let unusable = || KeyDirError::unusable(&file.path, "not 32 bytes in hexadecimal digits or base64");
    let text = file.content.trim_ascii();
    let bytes = Zeroizing::new(if text.len() == 2 * KEK_BYTES {
        text.chunks_exact(2).map(hex_byte).collect::<Option<Vec<u8>>>().ok_or_else(unusable)?
    } else {
        STANDARD.decode(text).map_err(|_| unusable())?
    });
    let key: [u8; KEK_BYTES] = bytes.as_slice().try_into().map_err(|_| unusable())?;
    Ok(Zeroizing::new(key))
}

fn hex_byte(pair: &[u8]) -> Option<u8> {
    pair.iter().try_fold(0_u8, |byte, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some(byte << 4 | u8::try_from(value).ok()?)
    })
}

fn defect(error: impl fmt::Display) -> PortError {
    PortError::defect(Dependency::Hasher, format_args!("sealing: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::tests::TempDir;
    use amrutam_kernel::AccountId;
    use std::fs;
    use uuid::Uuid;

    fn dir(keys: &[(&str, &str)]) -> TempDir {
        let temp = TempDir::new();
        for (id, text) in keys {
            fs::write(temp.0.join(format!("{id}.kek")), text).unwrap();
        }
        temp
    }

    const ONES: &str = "0101010101010101010101010101010101010101010101010101010101010101";
    const TWOS: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n";

    fn place() -> SealPlace<'static> {
        SealPlace {
            schema: "phi",
            table: "accounts",
            column: "phone",
            row: Uuid::from_u128(7),
            owner: AccountId::from_uuid(Uuid::from_u128(8)),
            version: 2,
        }
    }

    fn sealer() -> AesGcmSealer {
        AesGcmSealer::load(&dir(&[("k1", ONES)]).0).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_and_no_two_sealings_are_alike() {
        let sealer = sealer();
        for plain in [b"".as_slice(), b"+91 98765 43210", &vec![7; MAX_SEALED_PLAIN]] {
            let sealed = sealer.seal(&place(), plain).unwrap();
            assert_eq!(sealer.open(&place(), &sealed).as_deref(), Ok(plain));
            assert_ne!(sealed, sealer.seal(&place(), plain).unwrap());
        }
        let sealed = sealer.seal(&place(), b"+91 98765 43210").unwrap();
        assert_eq!(sealed.get(..5), Some([1, 1, 2, b'k', b'1'].as_slice()));
        assert_eq!(sealed.len(), 5 + 12 + 15 + 16);
        assert!(!sealed.windows(5).any(|w| w == b"98765"));
    }

    #[test]
    fn any_changed_bit_is_refused_and_any_cut() {
        let sealer = sealer();
        let sealed = sealer.seal(&place(), b"+91 98765 43210").unwrap();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                assert!(sealer.open(&place(), &changed).is_err(), "byte {at} bit {bit}");
            }
            assert!(sealer.open(&place(), &sealed[..at]).is_err(), "cut at {at}");
        }
        let longer = [sealed.as_slice(), &[0]].concat();
        assert_eq!(sealer.open(&place(), &longer), Err(SealError::Refused));
    }

    #[test]
    fn a_value_opens_only_where_it_was_put() {
        let sealer = sealer();
        let sealed = sealer.seal(&place(), b"secret").unwrap();
        let elsewhere = [
            SealPlace { schema: "public", ..place() },
            SealPlace { table: "doctors", ..place() },
            SealPlace { column: "email", ..place() },
            SealPlace { row: Uuid::from_u128(8), ..place() },
            SealPlace { owner: AccountId::from_uuid(Uuid::from_u128(7)), ..place() },
            SealPlace { version: 1, ..place() },
            SealPlace { table: "accountsp", column: "hone", ..place() },
        ];
        for other in elsewhere {
            assert_eq!(sealer.open(&other, &sealed), Err(SealError::Refused), "{other:?}");
        }
    }

    #[test]
    fn the_newest_key_seals_and_keys_are_looked_up_never_tried() {
        let both = dir(&[("k1", ONES), ("k2", TWOS)]);
        let old = sealer().seal(&place(), b"secret").unwrap();
        let rotated = AesGcmSealer::load(&both.0).unwrap();
        assert_eq!(rotated.open(&place(), &old).as_deref(), Ok(b"secret".as_slice()));
        let new = rotated.seal(&place(), b"secret").unwrap();
        assert_eq!(new.get(3..5), Some(b"k2".as_slice()));
        assert_eq!(sealer().open(&place(), &new), Err(SealError::UnknownKey));
        let twins = AesGcmSealer::load(&dir(&[("k1", ONES), ("k2", ONES)]).0).unwrap();
        let mut relabelled = old.clone();
        relabelled[4] = b'2';
        assert_eq!(twins.open(&place(), &relabelled), Err(SealError::Refused), "the id is sealed with the value");
        let renamed = AesGcmSealer::load(&dir(&[("k3", TWOS)]).0).unwrap();
        assert_eq!(renamed.open(&place(), &new), Err(SealError::UnknownKey), "the right key under another id");
        let replaced = AesGcmSealer::load(&dir(&[("k2", ONES)]).0).unwrap();
        assert_eq!(replaced.open(&place(), &new), Err(SealError::Refused), "another key under the right id");
    }

    #[test]
    fn one_mebibyte_is_the_most() {
        let too_much = vec![0; MAX_SEALED_PLAIN + 1];
        assert!(matches!(sealer().seal(&place(), &too_much), Err(PortError::Defect { .. })));
        let forged = [vec![1, 1, 2, b'k', b'1'], vec![0; NONCE_BYTES + TAG_BYTES + MAX_SEALED_PLAIN + 1]].concat();
        assert_eq!(sealer().open(&place(), &forged), Err(SealError::Malformed));
    }

    #[test]
    fn a_key_is_32_bytes() {
        let short = &ONES[2..];
        let signed = &ONES.replacen("01", "+1", 1);
        for text in ["", "AgI=", short, signed, &ONES.replacen('0', "g", 1)] {
            let loaded = AesGcmSealer::load(&dir(&[("k1", text)]).0);
            assert!(matches!(loaded, Err(KeyDirError::Unusable { .. })), "{text}");
        }
        assert!(matches!(AesGcmSealer::load(&dir(&[]).0), Err(KeyDirError::Missing { .. })));
        let made = TempDir::new();
        crate::generate_keys(&made.0, "2026-08-01").unwrap();
        assert!(AesGcmSealer::load(&made.0).is_ok());
        assert_eq!(format!("{:?}", sealer()), "AesGcmSealer { keys: [\"k1\"], .. }");
    }
}
