//! Making and altering tokens. The black-box tests forge with it, too.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openssl::{
    hash::MessageDigest,
    pkey::{PKey, Private, Public},
    rsa::Padding,
    sign::Signer,
};
use serde_json::Value;

pub(crate) fn part(token: &str, number: usize) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(number).unwrap()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

pub(crate) fn with(mut object: Value, field: &str, value: impl Into<Value>) -> Value {
    object[field] = value.into();
    object
}

pub(crate) fn without(mut object: Value, field: &str) -> Value {
    object.as_object_mut().unwrap().remove(field);
    object
}

pub(crate) fn rsa(key: &PKey<Private>, digest: MessageDigest, padding: Padding, signed: &str) -> Vec<u8> {
    let mut signer = Signer::new(digest, key).unwrap();
    signer.set_rsa_padding(padding).unwrap();
    signer.sign_oneshot_to_vec(signed.as_bytes()).unwrap()
}

/// Encoded, and with the signature `sign` makes.
pub(crate) fn sealed(header: &str, claims: &str, sign: impl FnOnce(&str) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = sign(&signed);
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A public key as it may be kept: PEM with and without its last newline, DER, JWK.
pub(crate) fn spellings(key: &PKey<Public>) -> Vec<Vec<u8>> {
    let pem = key.public_key_to_pem().unwrap();
    let rsa = key.rsa().unwrap();
    let number = |n: Vec<u8>| URL_SAFE_NO_PAD.encode(n);
    let jwk = format!(r#"{{"kty":"RSA","n":"{}","e":"{}"}}"#, number(rsa.n().to_vec()), number(rsa.e().to_vec()));
    vec![pem.clone(), pem.trim_ascii_end().to_vec(), key.public_key_to_der().unwrap(), jwk.into_bytes()]
}
