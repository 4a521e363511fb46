//! Tokens.

use super::random;
use crate::{
    model::Assurance,
    ports::{AccessClaims, InvalidToken, MfaClaims, TokenIssuer, TokenVerifier},
};
use amrutam_kernel::{AccountId, Role, SessionId};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use uuid::Uuid;

/// What the tokens' suite works with.
#[derive(Clone)]
pub struct Tokens {
    /// Under test.
    pub issuer: Arc<dyn TokenIssuer>,
    /// Under test: takes the issuer's tokens.
    pub verifier: Arc<dyn TokenVerifier>,
    /// An issuer with a key of its own, which the verifier does not know.
    pub stranger: Arc<dyn TokenIssuer>,
}

fn uuid() -> Uuid {
    Uuid::from_u64_pair(random(), random())
}

/// Whole seconds, the resolution of a JWT.
fn now() -> Timestamp {
    "2026-11-23T03:30:00Z".parse().unwrap()
}

fn claims(role: Role) -> AccessClaims {
    AccessClaims {
        account: AccountId::from_uuid(uuid()),
        session: SessionId::from_uuid(uuid()),
        role,
        assurance: Assurance::Password,
        issued_at: now(),
        expires_at: now() + SignedDuration::from_mins(15),
    }
}

fn mfa_claims() -> MfaClaims {
    MfaClaims {
        account: AccountId::from_uuid(uuid()),
        issued_at: now(),
        expires_at: now() + SignedDuration::from_mins(5),
    }
}

/// In every role, however they signed in; two tokens with the same claims are two tokens.
pub async fn a_token_says_what_was_claimed(tokens: &Tokens) {
    for role in Role::ALL {
        for assurance in [Assurance::Password, Assurance::TwoFactors] {
            let claims = AccessClaims { assurance, ..claims(role) };
            let issue = || tokens.issuer.issue_access(&claims, uuid()).unwrap().into_exposed();
            let (one, other) = (issue(), issue());
            assert_ne!(one, other);
            for token in [one, other] {
                assert!(token.bytes().all(|byte| byte.is_ascii_graphic()), "fits into a header");
                assert_eq!(tokens.verifier.verify_access(&token, now()), Ok(claims.clone()));
            }
        }
    }
    let token = tokens.issuer.issue_mfa(&mfa_claims(), uuid()).unwrap();
    assert_eq!(tokens.verifier.verify_mfa(token.expose(), now()).map(|claims| claims.issued_at), Ok(now()));
}

/// Clocks may differ by a minute, so nothing is asked closer to the ends than two.
pub async fn a_token_is_in_force_until_it_ends(tokens: &Tokens) {
    let claims = claims(Role::Patient);
    let token = tokens.issuer.issue_access(&claims, uuid()).unwrap();
    let (token, minutes) = (token.expose(), SignedDuration::from_mins);
    for at in [claims.issued_at, claims.issued_at + minutes(1), claims.expires_at - minutes(2)] {
        assert_eq!(tokens.verifier.verify_access(token, at).as_ref(), Ok(&claims), "at {at}");
    }
    for at in [claims.expires_at + minutes(2), claims.expires_at + minutes(100_000), claims.issued_at - minutes(2)] {
        assert_eq!(tokens.verifier.verify_access(token, at), Err(InvalidToken), "at {at}");
    }
    let claims = mfa_claims();
    let token = tokens.issuer.issue_mfa(&claims, uuid()).unwrap();
    for (at, taken) in
        [(now(), true), (now() + minutes(3), true), (now() + minutes(7), false), (now() - minutes(2), false)]
    {
        assert_eq!(tokens.verifier.verify_mfa(token.expose(), at).is_ok(), taken, "at {at}");
    }
}

/// Whichever of its characters is another one.
pub async fn an_altered_token_is_refused(tokens: &Tokens) {
    let token = tokens.issuer.issue_access(&claims(Role::Patient), uuid()).unwrap().into_exposed();
    // In base64url the last character of a part may carry bits that mean nothing, hence the step to a far neighbour.
    let other = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' => byte ^ 0x20,
        b'0'..=b'4' => byte + 5,
        b'5'..=b'9' => byte - 5,
        _ => b'A',
    };
    for index in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[index] = other(altered[index]);
        let altered = String::from_utf8(altered).unwrap();
        assert_eq!(tokens.verifier.verify_access(&altered, now()), Err(InvalidToken), "character {index}");
    }
    for altered in
        [&token[1..], &token[..token.len() - 1], &token[..token.len() / 2], &format!("{token}A"), &token.repeat(2)]
    {
        assert_eq!(tokens.verifier.verify_access(altered, now()), Err(InvalidToken));
    }
}

/// A signature by another key.
pub async fn a_strangers_token_is_refused(tokens: &Tokens) {
    let token = tokens.stranger.issue_access(&claims(Role::Admin), uuid()).unwrap();
    assert_eq!(tokens.verifier.verify_access(token.expose(), now()), Err(InvalidToken));
    let token = tokens.stranger.issue_mfa(&mfa_claims(), uuid()).unwrap();
    assert_eq!(tokens.verifier.verify_mfa(token.expose(), now()), Err(InvalidToken));
}

/// The first step of a log-in is not a log-in, and a log-in is not a first step.
pub async fn a_token_serves_one_purpose(tokens: &Tokens) {
    let access = tokens.issuer.issue_access(&claims(Role::Admin), uuid()).unwrap();
    let mfa = tokens.issuer.issue_mfa(&mfa_claims(), uuid()).unwrap();
    assert_eq!(tokens.verifier.verify_mfa(access.expose(), now()), Err(InvalidToken));
    assert_eq!(tokens.verifier.verify_access(mfa.expose(), now()), Err(InvalidToken));
}

/// Without a panic, whatever it is.
pub async fn what_is_no_token_is_refused(tokens: &Tokens) {
    // The fourth says `{"alg":"none"}` and has no signature.
    let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJyb2xlIjoiYWRtaW4iLCJleHAiOjQxMDI0NDQ4MDB9.";
    let long = "a.".repeat(50_000);
    for text in ["", ".", "..", unsigned, "a.b.c", "~~~", "Bearer x", "\u{20b9}.\u{20b9}.\u{20b9}", "\0", &long] {
        let shown: String = text.chars().take(20).collect();
        assert_eq!(tokens.verifier.verify_access(text, now()), Err(InvalidToken), "{shown:?}");
        assert_eq!(tokens.verifier.verify_mfa(text, now()), Err(InvalidToken), "{shown:?}");
    }
}
