//! What a prescription's QR code proves without us.

use crate::{
    forge::part,
    support::{ISSUER, access, now, tokens},
};
use amrutam_clinical::{
    model::VerifyCode,
    ports::{PrescriptionSigner, SignedClaims, VerifyCodes},
};
use amrutam_crypto::{JwsPrescriptions, SystemSecrets};
use amrutam_identity::ports::TokenVerifier;
use amrutam_kernel::{ConsultationId, PrescriptionId};
use josekit::jws::RS256;
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};
use uuid::Uuid;

fn claims() -> SignedClaims {
    SignedClaims {
        prescription: PrescriptionId::from_uuid(Uuid::from_u128(1)),
        consultation: ConsultationId::from_uuid(Uuid::from_u128(2)),
        code: VerifyCode::from_random([7; 26]),
        registration: ("NCISM".into(), "KL-4711".into()),
        signed_at: now(),
        content_sha256: "ab".repeat(32),
    }
}

/// Signed at another time.
pub(crate) fn signed_claims(signed_at: jiff::Timestamp) -> SignedClaims {
    SignedClaims { signed_at, content_sha256: "00".into(), ..claims() }
}

/// Whoever knows the published keys alone, with another library than ours.
#[test]
fn it_verifies_with_the_published_keys_alone() {
    let tokens = Arc::new(tokens());
    let jws = JwsPrescriptions::new(tokens.clone()).sign(&claims()).unwrap();
    let jwk = tokens.jwks()["keys"][0].clone();
    let jwk = josekit::jwk::Jwk::from_map(jwk.as_object().unwrap().clone()).unwrap();
    let verifier = RS256.verifier_from_jwk(&jwk).unwrap();
    let (payload, _) = josekit::jws::deserialize_compact(&jws, &verifier).unwrap();
    let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(
        payload,
        json!({
            "iss": ISSUER, "jti": "00000000-0000-0000-0000-000000000001", "vis": "00000000-0000-0000-0000-000000000002",
            "code": "77777777777777777777777777", "reg": "NCISM KL-4711", "iat": now().as_second(), "sha256": "ab".repeat(32),
        })
    );
    assert_eq!(part(&jws, 0)["typ"], "prescription+jws");
}

#[test]
fn it_is_no_token_and_a_token_is_no_prescription() {
    let tokens = Arc::new(tokens());
    let prescriptions = JwsPrescriptions::new(tokens.clone());
    let jws = prescriptions.sign(&claims()).unwrap();
    assert!(tokens.verify_access(&jws, now()).is_err() && tokens.verify_mfa(&jws, now()).is_err());
    assert_eq!(prescriptions.digest_in(&jws), Some("ab".repeat(32)));
    assert_eq!(prescriptions.digest_in(&access(&tokens)), None);
    let altered = jws.replacen('.', ".A", 1);
    assert_eq!(prescriptions.digest_in(&altered), None);
}

#[test]
fn codes_are_never_the_same() {
    let drawn: BTreeSet<_> = (0..1_000).map(|_| SystemSecrets.verify_code().as_str().to_owned()).collect();
    assert_eq!(drawn.len(), 1_000);
    assert!(drawn.iter().all(|code| code.parse::<VerifyCode>().is_ok()));
}
