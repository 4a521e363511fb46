//! What tokens say, and for how long.

use crate::{
    forge::{part, with},
    support::{
        AUDIENCE, ISSUER, access, bundle, claims_at, good_claims, good_header, mfa, now, pem, public_pem, settings,
        signed, tokens, tokens_of,
    },
};
use amrutam_crypto::{JwtTokens, KeyError};
use amrutam_identity::{
    model::Assurance,
    ports::{AccessClaims, TokenIssuer, TokenVerifier},
};
use jiff::Timestamp;
use josekit::jws::RS256;
use serde_json::json;
use uuid::Uuid;

#[test]
fn a_token_says_what_it_was_issued_for() {
    let tokens = tokens();
    let token = access(&tokens);
    let seconds = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap();
    let claims = claims_at(now());
    let expected =
        AccessClaims { issued_at: seconds(claims.issued_at), expires_at: seconds(claims.expires_at), ..claims.clone() };
    assert_eq!(tokens.verify_access(&token, now()), Ok(expected));
    assert_eq!(part(&token, 0), good_header());
    assert_eq!(
        part(&token, 1),
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "00000000-0000-0000-0000-000000000001",
            "sid": "00000000-0000-0000-0000-000000000002", "jti": "00000000-0000-0000-0000-000000000003",
            "iat": 1_785_733_200, "nbf": 1_785_733_200, "exp": 1_785_734_100, "role": "patient", "amr": ["pwd"],
        })
    );
    let two = AccessClaims { assurance: Assurance::TwoFactors, ..claims };
    let token = tokens.issue_access(&two, Uuid::from_u128(3)).unwrap();
    assert_eq!(part(token.expose(), 1)["amr"], json!(["pwd", "otp", "mfa"]));

    let token = mfa(&tokens);
    assert_eq!(part(&token, 0), with(good_header(), "typ", "mfa+jwt"));
    assert_eq!(
        part(&token, 1),
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "00000000-0000-0000-0000-000000000001",
            "jti": "00000000-0000-0000-0000-000000000003",
            "iat": 1_785_733_200, "nbf": 1_785_733_200, "exp": 1_785_733_500,
        })
    );
}

#[test]
fn another_library_agrees() {
    let tokens = tokens();
    let jwk = tokens.jwks()["keys"][0].clone();
    let jwk = josekit::jwk::Jwk::from_map(jwk.as_object().unwrap().clone()).unwrap();
    let verifier = RS256.verifier_from_jwk(&jwk).unwrap();
    let (payload, header) = josekit::jwt::decode_with_verifier(access(&tokens), &verifier).unwrap();
    assert_eq!((payload.issuer(), header.key_id()), (Some(ISSUER), Some("k1")));
}

#[test]
fn a_token_is_in_force_from_its_first_second_to_its_last_give_or_take_a_minute() {
    let (issued, ends) = (1_785_733_200, 1_785_734_100);
    let tokens = tokens();
    let token = access(&tokens);
    let at = |second| tokens.verify_access(&token, Timestamp::from_second(second).unwrap()).is_ok();
    assert_eq!([at(issued - 61), at(issued - 60), at(ends + 59), at(ends + 60)], [false, true, true, false]);
    // Each of the two alone.
    for name in ["iat", "nbf"] {
        for (ahead, taken) in [(60, true), (61, false)] {
            let token = signed(&good_header(), &with(good_claims(), name, issued + ahead));
            assert_eq!(tokens.verify_access(&token, now()).is_ok(), taken, "{name} {ahead}");
        }
    }
}

#[test]
fn the_newest_key_signs_the_others_verify() {
    let (old, new) = ("2026-01.pem", "2026-02.pem");
    let before = tokens_of(&[(old, pem(0))]);
    let ready = tokens_of(&[(old, pem(0)), ("2026-02.pub.pem", &public_pem(1))]);
    let both = tokens_of(&[(old, pem(0)), (new, pem(1))]);
    let after = tokens_of(&[("2026-01.pub.pem", &public_pem(0)), (new, pem(1))]);
    for (issuer, kid) in [(&before, "2026-01"), (&ready, "2026-01"), (&after, "2026-02"), (&both, "2026-02")] {
        let token = access(issuer);
        assert_eq!(part(&token, 0)["kid"], kid);
        for verifier in [&ready, &after, &both] {
            assert!(verifier.verify_access(&token, now()).is_ok(), "{kid}");
        }
    }
    assert!(before.verify_access(&access(&after), now()).is_err(), "a key that is not there");

    let jwks = ready.jwks();
    let keys = jwks["keys"].as_array().unwrap();
    assert_eq!(keys.iter().map(|k| k["kid"].as_str().unwrap()).collect::<Vec<_>>(), ["2026-01", "2026-02"]);
    for key in keys {
        let mut names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"], "the public part and nothing else");
        assert_eq!((&key["kty"], &key["use"], &key["alg"]), (&json!("RSA"), &json!("sig"), &json!("RS256")));
    }
}

#[test]
fn without_a_key_that_signs_there_are_no_tokens() {
    for files in [vec![], vec![("k1.pub.pem", public_pem(0))]] {
        let files: Vec<_> = files.iter().map(|(name, content)| (*name, content.as_str())).collect();
        assert!(matches!(JwtTokens::new(settings(), &bundle(&files)), Err(KeyError::Missing { .. })));
    }
    let debug = format!("{:?}", tokens());
    assert!(debug.ends_with(r#"keys: Keys { tokens: ["k1"], sealing: [], .. } }"#), "{debug}");
}
