//! Keys, tokens and what alters them.

use crate::forge::{part, rsa, sealed};
use amrutam_crypto::{JwtTokens, KeyBundle, Keys, TokenSettings};
use amrutam_identity::{
    model::Assurance,
    ports::{AccessClaims, MfaClaims, TokenIssuer},
};
use amrutam_kernel::{AccountId, Role, SessionId};
use jiff::{SignedDuration, Timestamp};
use openssl::{
    hash::MessageDigest,
    pkey::{PKey, Private},
    rsa::{Padding, Rsa},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};
use uuid::Uuid;

pub(crate) const ISSUER: &str = "https://api.amrutam.example";
pub(crate) const AUDIENCE: &str = "amrutam-api";

/// 32 bytes each, in hexadecimal digits and in base64.
pub(crate) const SECRETS: [&str; 2] = [
    "0101010101010101010101010101010101010101010101010101010101010101",
    "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n",
];

/// Making keys is slow: ours, another one, and one that is too short.
static PAIRS: LazyLock<[PKey<Private>; 3]> =
    LazyLock::new(|| [3072, 3072, 2048].map(|bits| PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()));
static PEMS: LazyLock<[String; 3]> =
    LazyLock::new(|| [0, 1, 2].map(|n| String::from_utf8(pair(n).private_key_to_pem_pkcs8().unwrap()).unwrap()));

pub(crate) fn pair(number: usize) -> &'static PKey<Private> {
    &PAIRS[number]
}

pub(crate) fn pem(number: usize) -> &'static str {
    &PEMS[number]
}

pub(crate) fn public_pem(number: usize) -> String {
    String::from_utf8(pair(number).public_key_to_pem().unwrap()).unwrap()
}

pub(crate) fn bundle(files: &[(&str, &str)]) -> Keys {
    Keys::load(parsed(files)).unwrap()
}

pub(crate) fn parsed(files: &[(&str, &str)]) -> KeyBundle {
    let files: BTreeMap<_, _> = files.iter().copied().collect();
    KeyBundle::parse(&serde_json::to_string(&files).unwrap()).unwrap()
}

pub(crate) fn settings() -> TokenSettings {
    TokenSettings { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned() }
}

pub(crate) fn tokens_of(files: &[(&str, &str)]) -> JwtTokens {
    JwtTokens::new(settings(), &bundle(files)).unwrap()
}

/// With one key, `k1`.
pub(crate) fn tokens() -> JwtTokens {
    tokens_of(&[("k1.pem", pem(0))])
}

pub(crate) fn now() -> Timestamp {
    "2026-08-03T05:00:00.9Z".parse().unwrap()
}

pub(crate) fn claims_at(issued_at: Timestamp) -> AccessClaims {
    AccessClaims {
        account: AccountId::from_uuid(Uuid::from_u128(1)),
        session: SessionId::from_uuid(Uuid::from_u128(2)),
        role: Role::Patient,
        assurance: Assurance::Password,
        issued_at,
        expires_at: issued_at + SignedDuration::from_mins(15),
    }
}

pub(crate) fn access(tokens: &JwtTokens) -> String {
    access_at(tokens, now())
}

pub(crate) fn access_at(tokens: &JwtTokens, at: Timestamp) -> String {
    tokens.issue_access(&claims_at(at), Uuid::from_u128(3)).unwrap().into_exposed()
}

pub(crate) fn mfa(tokens: &JwtTokens) -> String {
    let claims = MfaClaims {
        account: AccountId::from_uuid(Uuid::from_u128(1)),
        issued_at: now(),
        expires_at: now() + SignedDuration::from_mins(5),
    };
    tokens.issue_mfa(&claims, Uuid::from_u128(3)).unwrap().into_exposed()
}

pub(crate) fn good_header() -> Value {
    json!({ "typ": "at+jwt", "alg": "RS256", "kid": "k1" })
}

pub(crate) fn good_claims() -> Value {
    part(&access(&tokens()), 1)
}

pub(crate) fn rs256(number: usize, signed: &str) -> Vec<u8> {
    rsa(pair(number), MessageDigest::sha256(), Padding::PKCS1, signed)
}

/// Signed with that key, whatever it says.
pub(crate) fn signed_by(number: usize, header: &Value, claims: &Value) -> String {
    sealed(&header.to_string(), &claims.to_string(), |signed| rs256(number, signed))
}

/// Signed with our key, whatever it says.
pub(crate) fn signed(header: &Value, claims: &Value) -> String {
    signed_by(0, header, claims)
}

/// A directory of its own, gone with the value.
pub(crate) struct TempDir(pub(crate) PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("amrutam-crypto-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, content: &str, mode: u32) {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
