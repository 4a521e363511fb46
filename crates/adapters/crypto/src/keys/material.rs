//! From what is kept to keys that can be used.

use super::{KeyError, KeyKind, KeyName, ProvidedKey};
use aes_gcm::{Aes256Gcm, KeyInit};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use josekit::jws::{
    RS256,
    alg::rsassa::{RsassaJwsSigner, RsassaJwsVerifier},
};
use openssl::pkey::{HasPublic, PKey, PKeyRef};
use secrecy::zeroize::Zeroizing;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// NIST SP 800-57: good beyond 2030.
pub(crate) const RSA_BITS: u32 = 3072;
pub(crate) const SECRET_BYTES: usize = 32;
/// The algorithm of every token key.
pub(crate) const ALGORITHM: &str = "RS256";
const USE_FROM: &str = "Use-From:";
const RETIRED: &str = "Retired:";

/// The content of a key that is used from `at` on.
pub(crate) fn dated(at: Timestamp, body: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([format!("{USE_FROM} {at}\n").as_bytes(), body].concat())
}

/// What is left of a sealing key that is needed no more: its name is never given to another.
pub(crate) fn tombstone(at: Timestamp) -> Vec<u8> {
    format!("{RETIRED} {at}\n").into_bytes()
}

pub(crate) fn is_tombstone(key: &ProvidedKey) -> bool {
    key.content.starts_with(RETIRED.as_bytes())
}

/// Since when it may be used, and the key itself.
fn undated(key: &ProvidedKey) -> Result<(Timestamp, &[u8]), KeyError> {
    let Some(rest) = key.content.strip_prefix(USE_FROM.as_bytes()) else {
        return Ok((Timestamp::MIN, &key.content));
    };
    let unusable = || KeyError::unusable(&key.name, format_args!("no time after {USE_FROM}"));
    let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(unusable)?;
    let (line, body) = rest.split_at(end);
    let at = std::str::from_utf8(line).ok().and_then(|text| text.trim().parse().ok()).ok_or_else(unusable)?;
    Ok((at, body.trim_ascii_start()))
}

/// Keys by the time they are used from, then by id.
pub(crate) struct Dated<T>(BTreeMap<(Timestamp, String), T>);

impl<T> Dated<T> {
    /// The newest whose time has come; when none's has, the first to come.
    pub(crate) fn in_use(&self, now: Timestamp) -> Option<(&str, &T)> {
        let come = self.0.iter().rfind(|((from, _), _)| *from <= now);
        come.or_else(|| self.0.first_key_value()).map(|((_, id), key)| (id.as_str(), key))
    }

    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.0.iter().find_map(|((_, other), key)| (other == id).then_some(key))
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|(_, id)| id.as_str())
    }

    /// Since when this one is used.
    pub(crate) fn since(&self, id: &str) -> Option<Timestamp> {
        self.0.keys().find_map(|(from, other)| (other == id).then_some(*from))
    }

    /// From when the one after this one is used in its place.
    pub(crate) fn successor(&self, id: &str) -> Option<Timestamp> {
        let mut keys = self.0.keys().skip_while(|(_, other)| other != id);
        keys.nth(1).map(|(from, _)| *from)
    }
}

/// The keys of tokens.
pub(crate) struct TokenKeys {
    pub(crate) signers: Dated<RsassaJwsSigner>,
    pub(crate) verifiers: BTreeMap<String, RsassaJwsVerifier>,
    /// Of keys that sign no tokens any more: for prescriptions alone.
    pub(crate) provers: BTreeMap<String, RsassaJwsVerifier>,
    /// RFC 7517; those of `provers` among them, marked by `prescriptions_only`.
    pub(crate) jwks: Value,
}

impl TokenKeys {
    /// Nothing when there is no key that signs.
    pub(crate) fn of(keys: &[ProvidedKey]) -> Result<Option<Self>, KeyError> {
        let (mut signers, mut verifiers, mut public) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let (mut provers, mut proving) = (BTreeMap::new(), Vec::new());
        for key in keys {
            let unusable = |error: &dyn std::fmt::Display| KeyError::unusable(&key.name, error);
            let (from, pem) = undated(key)?;
            let (pem, jwk) = match key.name.kind {
                KeyKind::Signing => {
                    let pair = PKey::private_key_from_pem(pem).map_err(|_| unusable(&"not a private key in PEM"))?;
                    let checked = checked(&key.name, &pair)?;
                    let pem = Zeroizing::new(pair.private_key_to_pem_pkcs8().map_err(|e| unusable(&e))?);
                    let signer = RS256.signer_from_pem(&*pem).map_err(|e| unusable(&e))?;
                    signers.insert((from, key.name.id.clone()), signer);
                    checked
                }
                KeyKind::Verifying | KeyKind::Proving => {
                    let half = PKey::public_key_from_pem(pem).map_err(|_| unusable(&"not a public key in PEM"))?;
                    checked(&key.name, &half)?
                }
                KeyKind::Sealing | KeyKind::BlindIndex | KeyKind::Link | KeyKind::Audit => continue,
            };
            let verifier = RS256.verifier_from_pem(&pem).map_err(|e| unusable(&e))?;
            if key.name.kind == KeyKind::Proving {
                provers.insert(key.name.id.clone(), verifier);
                proving.push((key.name.id.clone(), jwk));
                continue;
            }
            if verifiers.insert(key.name.id.clone(), verifier).is_some() {
                return Err(unusable(&"another key has the same id"));
            }
            public.push(jwk);
        }
        // While it is being retired a key is there as both.
        public.extend(proving.into_iter().filter(|(id, _)| !verifiers.contains_key(id)).map(|(_, mut jwk)| {
            if let Some(members) = jwk.as_object_mut() {
                members.insert("prescriptions_only".to_owned(), true.into());
            }
            jwk
        }));
        let jwks = json!({ "keys": public });
        Ok((!signers.is_empty()).then(|| Self { signers: Dated(signers), verifiers, provers, jwks }))
    }
}

/// What is kept of a key for the prescriptions it has signed.
pub(crate) fn public_half(key: &ProvidedKey) -> Result<Vec<u8>, KeyError> {
    let (_, pem) = undated(key)?;
    let unusable = |_| KeyError::unusable(&key.name, "not a key in PEM");
    if key.name.kind == KeyKind::Signing {
        let pair = PKey::private_key_from_pem(pem).map_err(unusable)?;
        return checked(&key.name, &pair).map(|(pem, _)| pem);
    }
    let half = PKey::public_key_from_pem(pem).map_err(unusable)?;
    checked(&key.name, &half).map(|(pem, _)| pem)
}

/// The public half in PEM and as a JWK, of a key that is good enough.
fn checked<T: HasPublic>(name: &KeyName, key: &PKeyRef<T>) -> Result<(Vec<u8>, Value), KeyError> {
    let rsa = key.rsa().map_err(|_| KeyError::unusable(name, "not an RSA key"))?;
    if rsa.n().num_bits() < RSA_BITS.cast_signed() {
        return Err(KeyError::unusable(name, format_args!("fewer than {RSA_BITS} bits")));
    }
    let pem = key.public_key_to_pem().map_err(|error| KeyError::unusable(name, error))?;
    let jwk = json!({
        "kty": "RSA", "use": "sig", "alg": ALGORITHM, "kid": name.id,
        "n": URL_SAFE_NO_PAD.encode(rsa.n().to_vec()), "e": URL_SAFE_NO_PAD.encode(rsa.e().to_vec()),
    });
    Ok((pem, jwk))
}

/// The keys that seal; nothing when there is none.
pub(crate) fn sealing_keys(keys: &[ProvidedKey]) -> Result<Option<Dated<Aes256Gcm>>, KeyError> {
    let mut ciphers = BTreeMap::new();
    for key in keys.iter().filter(|key| key.name.kind == KeyKind::Sealing && !is_tombstone(key)) {
        let (from, _) = undated(key)?;
        ciphers.insert((from, key.name.id.clone()), Aes256Gcm::new((&*secret(key)?).into()));
    }
    Ok((!ciphers.is_empty()).then(|| Dated(ciphers)))
}

/// The only key of that kind; nothing when there is none.
pub(crate) fn only_secret(
    keys: &[ProvidedKey],
    kind: KeyKind,
) -> Result<Option<Zeroizing<[u8; SECRET_BYTES]>>, KeyError> {
    let mut of_kind = keys.iter().filter(|key| key.name.kind == kind);
    let first = of_kind.next().map(secret).transpose()?;
    match of_kind.next() {
        Some(second) => Err(KeyError::unusable(&second.name, "there is another key of this kind, and may be one only")),
        None => Ok(first),
    }
}

fn secret(key: &ProvidedKey) -> Result<Zeroizing<[u8; SECRET_BYTES]>, KeyError> {
    let unusable = || KeyError::unusable(&key.name, "not 32 bytes in hexadecimal digits or base64");
    let (_, text) = undated(key)?;
    let text = text.trim_ascii();
    let bytes = Zeroizing::new(if text.len() == 2 * SECRET_BYTES {
        text.chunks_exact(2).map(hex_byte).collect::<Option<Vec<u8>>>().ok_or_else(unusable)?
    } else {
        STANDARD.decode(text).map_err(|_| unusable())?
    });
    let secret: [u8; SECRET_BYTES] = bytes.as_slice().try_into().map_err(|_| unusable())?;
    Ok(Zeroizing::new(secret))
}

fn hex_byte(pair: &[u8]) -> Option<u8> {
    pair.iter().try_fold(0_u8, |byte, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some(byte << 4 | u8::try_from(value).ok()?)
    })
}
