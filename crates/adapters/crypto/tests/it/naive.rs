//! A verifier as a hurried reading of RFC 7519 gives one: it believes the header. It shows that the attacks are attacks.

use crate::{forge::spellings, support::pair};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use jiff::Timestamp;
use openssl::{
    bn::BigNum,
    hash::MessageDigest,
    pkey::{PKey, Public},
    rsa::{Padding, Rsa},
    sign::{Signer, Verifier},
};
use serde_json::Value;
use std::{collections::BTreeMap, net::TcpStream};

pub(crate) struct Naive {
    /// All it ever loaded.
    pub(crate) keys: BTreeMap<&'static str, PKey<Public>>,
    /// What lies on its disk: path and key.
    pub(crate) files: BTreeMap<&'static str, PKey<Public>>,
    /// What a download gives.
    pub(crate) downloads: PKey<Public>,
}

impl Naive {
    /// The claims, when it takes the token.
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Option<Value> {
        let parts: Vec<_> = token.trim().split('.').collect();
        let claims = if parts.len() == 5 { decrypted(token)? } else { self.signed(&parts)? };
        // Only what is there, and a number, can be wrong.
        let expired = claims["exp"].as_i64().is_some_and(|exp| exp < now.as_second());
        (!expired && claims.get("sub").is_some()).then_some(claims)
    }

    fn signed(&self, parts: &[&str]) -> Option<Value> {
        let [header, claims, signature, ..] = parts else { return None };
        let signed = format!("{header}.{claims}");
        let header: Value = serde_json::from_slice(&lenient(header)?).ok()?;
        let claims: Value = serde_json::from_slice(&lenient(claims)?).ok()?;
        let signature = lenient(signature)?;
        let algorithm = header["alg"].as_str().unwrap_or_default().to_uppercase();
        if algorithm.is_empty() || algorithm == "NONE" {
            return Some(claims);
        }
        self.candidates(&header).iter().any(|key| matches(key, &algorithm, &signed, &signature)).then_some(claims)
    }

    fn candidates(&self, header: &Value) -> Vec<PKey<Public>> {
        let kid = header["kid"].as_str().unwrap_or_default();
        if let Some(jwk) = header.get("jwk") {
            let number = |name: &str| BigNum::from_slice(&lenient(jwk[name].as_str().unwrap()).unwrap()).unwrap();
            let rsa = Rsa::from_public_components(number("n"), number("e")).unwrap();
            return vec![PKey::from_rsa(rsa).unwrap()];
        }
        if let Some(chain) = header.get("x5c") {
            return vec![PKey::public_key_from_der(&lenient(chain[0].as_str().unwrap()).unwrap()).unwrap()];
        }
        if let Some(url) = header.get("jku").or_else(|| header.get("x5u")) {
            let host = url.as_str().unwrap().strip_prefix("http://").unwrap().split('/').next().unwrap();
            drop(TcpStream::connect(host));
            return vec![self.downloads.clone()];
        }
        if let Some((_, selected)) = kid.split_once("UNION SELECT '") {
            return vec![PKey::public_key_from_der(&lenient(selected.trim_end_matches('\'')).unwrap()).unwrap()];
        }
        if let Some(key) = self.files.get(kid).or_else(|| self.keys.get(kid)) {
            return vec![key.clone()];
        }
        self.keys.values().cloned().collect()
    }
}

fn matches(key: &PKey<Public>, algorithm: &str, signed: &str, signature: &[u8]) -> bool {
    let (family, bits) = algorithm.split_at(2);
    let digest = match bits {
        "256" => MessageDigest::sha256(),
        "384" => MessageDigest::sha384(),
        "512" => MessageDigest::sha512(),
        _ => return false,
    };
    if family == "HS" {
        let hmac = |secret: Vec<u8>| {
            let secret = PKey::hmac(&secret).unwrap();
            Signer::new(digest, &secret).unwrap().sign_oneshot_to_vec(signed.as_bytes()).unwrap()
        };
        return spellings(key).into_iter().any(|secret| hmac(secret) == signature);
    }
    let mut verifier = Verifier::new(digest, key).unwrap();
    let padding = if family == "PS" { Padding::PKCS1_PSS } else { Padding::PKCS1 };
    verifier.set_rsa_padding(padding).unwrap();
    verifier.verify_oneshot(signature, signed.as_bytes()).unwrap_or(false)
}

fn decrypted(token: &str) -> Option<Value> {
    let private = pair(0).private_key_to_pem_pkcs8().unwrap();
    let decrypter = josekit::jwe::RSA_OAEP_256.decrypter_from_pem(private).unwrap();
    let (payload, _) = josekit::jwt::decode_with_decrypter(token, &decrypter).ok()?;
    Some(Value::Object(payload.claims_set().clone()))
}

fn lenient(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&alphabet::URL_SAFE, config);
    let text: String = text.chars().filter(|c| !c.is_whitespace() && *c != '=').collect();
    engine.decode(text.replace('+', "-").replace('/', "_")).ok()
}
