//! Tokens: RS256, as RFC 9068 profiles them and RFC 8725 hardens them, one type for each purpose.
//!
//! josekit signs and checks signatures; header and claims are read here, strictly, because its validator checks `exp`,
//! `nbf` and `aud` only when they are present. Every refusal is one word, [`InvalidToken`].

use crate::{KeyError, KeyKind, Keys, Rekeyed, keys::ALGORITHM, prescriptions::PRESCRIPTION};
use amrutam_identity::{
    model::Assurance,
    ports::{AccessClaims, InvalidToken, MfaClaims, TokenIssuer, TokenVerifier},
};
use amrutam_kernel::{AccountId, Dependency, PortError, Sensitive};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use josekit::jws::{JwsSigner, JwsVerifier};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::fmt;
use uuid::Uuid;

const ACCESS: &str = "at+jwt";
const SECOND_STEP: &str = "mfa+jwt";
const MAX_BYTES: usize = 8 * 1024;
/// Clocks may be apart by this much.
const LEEWAY_SECONDS: i64 = 60;

/// Who issues for whom.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
}

/// Issues and verifies tokens. The newest key whose time has come signs; every key verifies.
#[derive(Debug, Clone)]
pub struct JwtTokens {
    settings: TokenSettings,
    keys: Keys,
}

// Unknown fields are refused, and with them crit, jku, x5u, jwk and x5c; so is a field given twice.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: String,
    kid: String,
}

// In claims too, a field given twice is refused. Unknown ones are not: a newer instance may add some.
#[derive(Serialize, Deserialize)]
struct AccessToken {
    iss: String,
    aud: String,
    sub: String,
    sid: String,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    role: String,
    amr: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct SecondStepToken {
    iss: String,
    aud: String,
    sub: String,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// What every token says.
pub(crate) struct Frame<'a> {
    pub(crate) iss: &'a str,
    pub(crate) aud: &'a str,
    pub(crate) sub: &'a str,
    pub(crate) jti: &'a str,
    pub(crate) iat: i64,
    pub(crate) nbf: i64,
    pub(crate) exp: i64,
}

impl AccessToken {
    fn frame(&self) -> Frame<'_> {
        let Self { iss, aud, sub, jti, iat, nbf, exp, .. } = self;
        Frame { iss, aud, sub, jti, iat: *iat, nbf: *nbf, exp: *exp }
    }
}

impl SecondStepToken {
    fn frame(&self) -> Frame<'_> {
        let Self { iss, aud, sub, jti, iat, nbf, exp } = self;
        Frame { iss, aud, sub, jti, iat: *iat, nbf: *nbf, exp: *exp }
    }
}

/// Whose a token is, from when to when.
pub(crate) struct InForce {
    pub(crate) account: AccountId,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl Rekeyed for JwtTokens {
    fn keys_in_use(&self) -> [u8; 32] {
        self.keys.ring().fingerprint
    }
}

impl JwtTokens {
    /// With the keys of tokens.
    pub fn new(settings: TokenSettings, keys: &Keys) -> Result<Self, KeyError> {
        match keys.ring().tokens {
            Some(_) => Ok(Self { settings, keys: keys.clone() }),
            None => Err(keys.missing(KeyKind::Signing)),
        }
    }

    /// The public keys there are now, for `/.well-known/jwks.json`. Others may keep them for 300 seconds: see
    /// [`KEY_PUBLISHED_AHEAD`](crate::KEY_PUBLISHED_AHEAD).
    pub fn jwks(&self) -> Value {
        self.keys.ring().tokens.as_ref().map_or_else(|| json!({ "keys": [] }), |keys| keys.jwks.clone())
    }

    pub(crate) fn sign(
        &self,
        typ: &str,
        at: Timestamp,
        claims: &impl Serialize,
    ) -> Result<Sensitive<String>, PortError> {
        let ring = self.keys.ring();
        let in_use = ring.tokens.as_ref().and_then(|keys| keys.signers.in_use(at));
        let (kid, signer) = in_use.ok_or_else(|| defect("there is no key"))?;
        let header = Header { typ: typ.to_owned(), alg: ALGORITHM.to_owned(), kid: kid.to_owned() };
        let signed = format!("{}.{}", encode(&header)?, encode(claims)?);
        let signature = signer.sign(signed.as_bytes()).map_err(defect)?;
        Ok(Sensitive::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }

    /// Who issues.
    pub(crate) fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// For whom.
    pub(crate) fn audience(&self) -> &str {
        &self.settings.audience
    }

    /// The claims of a token of that type that one of our keys has signed.
    pub(crate) fn signed_claims<T: DeserializeOwned>(&self, typ: &str, token: &str) -> Option<T> {
        if token.len() > MAX_BYTES {
            return None;
        }
        // An encrypted token has five parts.
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.').filter(|(_, claims)| !claims.contains('.'))?;
        let header: Header = decode(header)?;
        if header.typ != typ || header.alg != ALGORITHM {
            return None;
        }
        let ring = self.keys.ring();
        let keys = ring.tokens.as_ref()?;
        let proves = (typ == PRESCRIPTION).then(|| keys.provers.get(&header.kid)).flatten();
        let verifier = keys.verifiers.get(&header.kid).or(proves)?;
        verifier.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        decode(claims)
    }

    pub(crate) fn in_force(&self, frame: &Frame<'_>, now: Timestamp) -> Option<InForce> {
        let now = now.as_second();
        let in_force = frame.iat <= now.saturating_add(LEEWAY_SECONDS)
            && frame.nbf <= now.saturating_add(LEEWAY_SECONDS)
            && frame.exp > now.saturating_sub(LEEWAY_SECONDS)
            && frame.exp > frame.iat;
        if frame.iss != self.settings.issuer || frame.aud != self.settings.audience || !in_force {
            return None;
        }
        Uuid::try_parse(frame.jti).ok()?;
        Some(InForce {
            account: frame.sub.parse().ok()?,
            issued_at: Timestamp::from_second(frame.iat).ok()?,
            expires_at: Timestamp::from_second(frame.exp).ok()?,
        })
    }

    fn access_claims(&self, token: &str, now: Timestamp) -> Option<AccessClaims> {
        let claims: AccessToken = self.signed_claims(ACCESS, token)?;
        let InForce { account, issued_at, expires_at } = self.in_force(&claims.frame(), now)?;
        Some(AccessClaims {
            account,
            session: claims.sid.parse().ok()?,
            role: claims.role.parse().ok()?,
            assurance: Assurance::from_amr(&claims.amr)?,
            issued_at,
            expires_at,
        })
    }

    fn mfa_claims(&self, token: &str, now: Timestamp) -> Option<MfaClaims> {
        let claims: SecondStepToken = self.signed_claims(SECOND_STEP, token)?;
        let InForce { account, issued_at, expires_at } = self.in_force(&claims.frame(), now)?;
        Some(MfaClaims { account, issued_at, expires_at })
    }
}

impl TokenIssuer for JwtTokens {
    fn issue_access(&self, claims: &AccessClaims, token_id: Uuid) -> Result<Sensitive<String>, PortError> {
        // Whole seconds: other libraries refuse fractions.
        let issued_at = claims.issued_at.as_second();
        let token = AccessToken {
            iss: self.settings.issuer.clone(),
            aud: self.settings.audience.clone(),
            sub: claims.account.to_string(),
            sid: claims.session.to_string(),
            jti: token_id.hyphenated().to_string(),
            iat: issued_at,
            nbf: issued_at,
            exp: claims.expires_at.as_second(),
            role: claims.role.to_string(),
            amr: claims.assurance.amr().iter().map(ToString::to_string).collect(),
        };
        self.sign(ACCESS, claims.issued_at, &token)
    }

    fn issue_mfa(&self, claims: &MfaClaims, token_id: Uuid) -> Result<Sensitive<String>, PortError> {
        let issued_at = claims.issued_at.as_second();
        let token = SecondStepToken {
            iss: self.settings.issuer.clone(),
            aud: self.settings.audience.clone(),
            sub: claims.account.to_string(),
            jti: token_id.hyphenated().to_string(),
            iat: issued_at,
            nbf: issued_at,
            exp: claims.expires_at.as_second(),
        };
        self.sign(SECOND_STEP, claims.issued_at, &token)
    }
}

impl TokenVerifier for JwtTokens {
    fn verify_access(&self, token: &str, now: Timestamp) -> Result<AccessClaims, InvalidToken> {
        self.access_claims(token, now).ok_or(InvalidToken)
    }

    fn verify_mfa(&self, token: &str, now: Timestamp) -> Result<MfaClaims, InvalidToken> {
        self.mfa_claims(token, now).ok_or(InvalidToken)
    }
}

fn encode(part: &impl Serialize) -> Result<String, PortError> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).map_err(defect)?))
}

// This engine refuses padding and stray bits: one token has one spelling.
fn decode<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn defect(error: impl fmt::Display) -> PortError {
    PortError::defect(Dependency::Hasher, format_args!("signing: {error}"))
}
