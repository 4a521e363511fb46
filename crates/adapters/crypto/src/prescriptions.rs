//! What a prescription's QR code proves without us: a compact JWS under the keys of `/.well-known/jwks.json`.
//!
//! Its type is its own, so that it is no token of ours: the verifier of tokens refuses it, and this one refuses tokens. It does not
//! expire. Of a key that is retired the public half stays in the key set for prescriptions alone; of one in wrong hands nothing does, and
//! what it has signed is then checked online by its code.

use crate::{JwtTokens, SystemSecrets};
use amrutam_clinical::{
    model::VerifyCode,
    ports::{PrescriptionSigner, SignedClaims, VerifyCodes},
};
use amrutam_kernel::PortError;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub(crate) const PRESCRIPTION: &str = "prescription+jws";

/// Signs prescriptions with the keys of tokens.
#[derive(Debug, Clone)]
pub struct JwsPrescriptions {
    tokens: Arc<JwtTokens>,
}

/// What is signed. Ids and digests alone.
#[derive(Serialize, Deserialize)]
struct Payload {
    iss: String,
    /// The prescription.
    jti: String,
    /// The visit.
    vis: String,
    /// The code of the public check.
    code: String,
    /// Council and number of the practitioner.
    reg: String,
    iat: i64,
    /// SHA-256 of the content, in hex.
    sha256: String,
}

impl JwsPrescriptions {
    /// With those keys.
    pub fn new(tokens: Arc<JwtTokens>) -> Self {
        Self { tokens }
    }

    /// The digest of the content that a payload of ours vouches for.
    pub fn digest_in(&self, jws: &str) -> Option<String> {
        let payload: Payload = self.tokens.signed_claims(PRESCRIPTION, jws)?;
        (payload.iss == self.tokens.issuer()).then_some(payload.sha256)
    }
}

impl PrescriptionSigner for JwsPrescriptions {
    fn sign(&self, claims: &SignedClaims) -> Result<String, PortError> {
        let (council, number) = &claims.registration;
        let payload = Payload {
            iss: self.tokens.issuer().to_owned(),
            jti: claims.prescription.to_string(),
            vis: claims.consultation.to_string(),
            code: claims.code.as_str().to_owned(),
            reg: format!("{council} {number}"),
            iat: claims.signed_at.as_second(),
            sha256: claims.content_sha256.clone(),
        };
        Ok(self.tokens.sign(PRESCRIPTION, claims.signed_at, &payload)?.into_exposed())
    }
}

impl VerifyCodes for SystemSecrets {
    fn verify_code(&self) -> VerifyCode {
        // The thread's generator is a CSPRNG seeded by the operating system.
        VerifyCode::from_random(rand::rng().random())
    }
}
