//! AES-256-GCM under a key of the process: how values were sealed before people had data keys of their own. They open, and are sealed
//! anew when they are written again.
//!
//! A sealed value is: format (1), algorithm (1), length of the key's id, the key's id, a random nonce of 12 bytes, the
//! ciphertext, a tag of 16 bytes. What precedes the nonce is authenticated together with the place, so no byte of it can
//! be changed. Random nonces are good for 2^32 values per key.

use crate::{
    KeyError, KeyKind, Keys,
    nonce::{NONCE_BYTES, nonce},
};
use aes_gcm::{
    Nonce,
    aead::{Aead, Payload},
};
use amrutam_kernel::{Clock, Dependency, MAX_SEALED_PLAIN, PortError, SealError, SealPlace, Sealer};
use async_trait::async_trait;
use std::{fmt, sync::Arc};

/// Sealed directly under a key of the process.
pub(crate) const DIRECT: u8 = 1;
pub(crate) const AES_256_GCM: u8 = 1;
pub(crate) const TAG_BYTES: usize = 16;

/// Seals under the newest key whose time has come, opens under the key a value names.
pub struct AesGcmSealer {
    keys: Keys,
    clock: Arc<dyn Clock>,
}

impl AesGcmSealer {
    /// With the keys that seal.
    pub fn new(keys: &Keys, clock: Arc<dyn Clock>) -> Result<Self, KeyError> {
        match keys.ring().sealing {
            Some(_) => Ok(Self { keys: keys.clone(), clock }),
            None => Err(keys.missing(KeyKind::Sealing)),
        }
    }
}

impl fmt::Debug for AesGcmSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AesGcmSealer").field("keys", &self.keys).finish_non_exhaustive()
    }
}

#[async_trait]
impl Sealer for AesGcmSealer {
    async fn seal(&self, place: &SealPlace<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(self.seal_now(place, plain)?)
    }

    async fn open(&self, place: &SealPlace<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.open_now(place, sealed)
    }
}

impl AesGcmSealer {
    fn seal_now(&self, place: &SealPlace<'_>, plain: &[u8]) -> Result<Vec<u8>, PortError> {
        if plain.len() > MAX_SEALED_PLAIN {
            return Err(defect(format_args!("{} bytes are too many to seal", plain.len())));
        }
        let ring = self.keys.ring();
        let (id, key) = ring
            .sealing
            .as_ref()
            .and_then(|keys| keys.in_use(self.clock.now()))
            .ok_or_else(|| defect("the sealing key is gone"))?;
        let id_len = u8::try_from(id.len()).map_err(defect)?;
        let nonce = nonce()?;

        let mut sealed = Vec::with_capacity(3 + id.len() + NONCE_BYTES + plain.len() + TAG_BYTES);
        sealed.extend_from_slice(&[DIRECT, AES_256_GCM, id_len]);
        sealed.extend_from_slice(id.as_bytes());
        let aad = associated_data(&sealed, place);
        sealed.extend_from_slice(&nonce);
        let payload = Payload { msg: plain, aad: &aad };
        sealed.extend(key.encrypt(&Nonce::from(nonce), payload).map_err(defect)?);
        Ok(sealed)
    }

    pub(crate) fn open_now(&self, place: &SealPlace<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let [DIRECT, AES_256_GCM, id_len, rest @ ..] = sealed else {
            return Err(SealError::Malformed);
        };
        let (id, rest) = rest.split_at_checked(usize::from(*id_len)).ok_or(SealError::Malformed)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Malformed)?;
        if !(TAG_BYTES..=MAX_SEALED_PLAIN + TAG_BYTES).contains(&ciphertext.len()) {
            return Err(SealError::Malformed);
        }
        let id = std::str::from_utf8(id).map_err(|_| SealError::UnknownKey)?;
        let ring = self.keys.ring();
        let key = ring.sealing.as_ref().and_then(|keys| keys.get(id)).ok_or(SealError::UnknownKey)?;
        let header = [&[DIRECT, AES_256_GCM, *id_len], id.as_bytes()].concat();
        let payload = Payload { msg: ciphertext, aad: &associated_data(&header, place) };
        key.decrypt(&Nonce::from(*nonce), payload).map_err(|_| SealError::Refused)
    }
}

// The header tells its own length, and the place the lengths of its parts.
fn associated_data(header: &[u8], place: &SealPlace<'_>) -> Vec<u8> {
    [header, &place.to_bytes()].concat()
}

pub(crate) fn defect(error: impl fmt::Display) -> PortError {
    PortError::defect(Dependency::Hasher, format_args!("sealing: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyBundle;
    use amrutam_kernel::AccountId;
    use jiff::Timestamp;
    use std::collections::BTreeMap;
    use uuid::Uuid;

    struct At(Timestamp);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    fn load(keys: &[(&str, &str)]) -> Result<AesGcmSealer, KeyError> {
        let files: BTreeMap<_, _> = keys.iter().map(|(id, text)| (format!("{id}.kek"), text)).collect();
        let keys = Keys::load(KeyBundle::parse(&serde_json::to_string(&files).unwrap())?)?;
        AesGcmSealer::new(&keys, Arc::new(At("2026-08-03T05:00:00Z".parse().unwrap())))
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
        load(&[("k1", ONES)]).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_and_no_two_sealings_are_alike() {
        let sealer = sealer();
        for plain in [b"".as_slice(), b"+91 98765 43210", &vec![7; MAX_SEALED_PLAIN]] {
            let sealed = sealer.seal_now(&place(), plain).unwrap();
            assert_eq!(sealer.open_now(&place(), &sealed).as_deref(), Ok(plain));
            assert_ne!(sealed, sealer.seal_now(&place(), plain).unwrap());
        }
        let sealed = sealer.seal_now(&place(), b"+91 98765 43210").unwrap();
        assert_eq!(sealed.get(..5), Some([1, 1, 2, b'k', b'1'].as_slice()));
        assert_eq!(sealed.len(), 5 + 12 + 15 + 16);
        assert!(!sealed.windows(5).any(|w| w == b"98765"));
    }

    #[test]
    fn any_changed_bit_is_refused_and_any_cut() {
        let sealer = sealer();
        let sealed = sealer.seal_now(&place(), b"+91 98765 43210").unwrap();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                assert!(sealer.open_now(&place(), &changed).is_err(), "byte {at} bit {bit}");
            }
            assert!(sealer.open_now(&place(), &sealed[..at]).is_err(), "cut at {at}");
        }
        let longer = [sealed.as_slice(), &[0]].concat();
        assert_eq!(sealer.open_now(&place(), &longer), Err(SealError::Refused));
    }

    #[test]
    fn a_value_opens_only_where_it_was_put() {
        let sealer = sealer();
        let sealed = sealer.seal_now(&place(), b"secret").unwrap();
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
            assert_eq!(sealer.open_now(&other, &sealed), Err(SealError::Refused), "{other:?}");
        }
    }

    #[test]
    fn the_newest_key_seals_and_keys_are_looked_up_never_tried() {
        let old = sealer().seal_now(&place(), b"secret").unwrap();
        let rotated = load(&[("k1", ONES), ("k2", TWOS)]).unwrap();
        assert_eq!(rotated.open_now(&place(), &old).as_deref(), Ok(b"secret".as_slice()));
        let new = rotated.seal_now(&place(), b"secret").unwrap();
        assert_eq!(new.get(3..5), Some(b"k2".as_slice()));
        assert_eq!(sealer().open_now(&place(), &new), Err(SealError::UnknownKey));
        let twins = load(&[("k1", ONES), ("k2", ONES)]).unwrap();
        let mut relabelled = old.clone();
        relabelled[4] = b'2';
        assert_eq!(twins.open_now(&place(), &relabelled), Err(SealError::Refused), "the id is sealed with the value");
        let renamed = load(&[("k3", TWOS)]).unwrap();
        assert_eq!(renamed.open_now(&place(), &new), Err(SealError::UnknownKey), "the right key under another id");
        let replaced = load(&[("k2", ONES)]).unwrap();
        assert_eq!(replaced.open_now(&place(), &new), Err(SealError::Refused), "another key under the right id");
    }

    #[test]
    fn one_mebibyte_is_the_most() {
        let too_much = vec![0; MAX_SEALED_PLAIN + 1];
        assert!(matches!(sealer().seal_now(&place(), &too_much), Err(PortError::Defect { .. })));
        let forged = [vec![1, 1, 2, b'k', b'1'], vec![0; NONCE_BYTES + TAG_BYTES + MAX_SEALED_PLAIN + 1]].concat();
        assert_eq!(sealer().open_now(&place(), &forged), Err(SealError::Malformed));
    }

    #[test]
    fn a_key_is_32_bytes() {
        let short = &ONES[2..];
        let signed = &ONES.replacen("01", "+1", 1);
        for text in ["", "AgI=", short, signed, &ONES.replacen('0', "g", 1)] {
            let loaded = load(&[("k1", text)]);
            assert!(matches!(loaded, Err(KeyError::Unusable { .. })), "{text}");
        }
        assert!(matches!(load(&[]), Err(KeyError::Missing { .. })));
        assert_eq!(format!("{:?}", sealer()), r#"AesGcmSealer { keys: Keys { tokens: [], sealing: ["k1"], .. }, .. }"#);
    }

    #[test]
    fn a_key_that_is_known_ahead_opens_but_does_not_seal() {
        let ahead = format!("Use-From: 2026-08-03T05:00:01Z\n{TWOS}");
        let sealer = load(&[("k1", ONES), ("k2", &ahead)]).unwrap();
        let since = format!("Use-From: 2026-08-03T05:00:00Z\n{TWOS}");
        let later = load(&[("k1", ONES), ("k2", &since)]).unwrap();
        let (before, after) = (sealer.seal_now(&place(), b"x").unwrap(), later.seal_now(&place(), b"x").unwrap());
        assert_eq!((before.get(3..5), after.get(3..5)), (Some(b"k1".as_slice()), Some(b"k2".as_slice())));
        assert_eq!(sealer.open_now(&place(), &after).as_deref(), Ok(b"x".as_slice()));
    }
}
