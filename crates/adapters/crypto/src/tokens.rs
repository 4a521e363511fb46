//! Access tokens: RS256, as RFC 9068 profiles them and RFC 8725 hardens them.
//!
//! josekit signs and checks signatures; header and claims are read here, strictly, because its validator checks `exp`,
//! `nbf` and `aud` only when they are present. Every refusal is one word, [`InvalidToken`].

use crate::{
    KeyDirError,
    keys::{KeyFile, RSA_BITS, key_files},
};
use amrutam_identity::ports::{AccessClaims, InvalidToken, TokenIssuer, TokenVerifier};
use amrutam_kernel::{Dependency, PortError, Sensitive};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use josekit::{
    jwk::KeyPair,
    jws::{
        JwsSigner, JwsVerifier, RS256,
        alg::rsassa::{RsassaJwsSigner, RsassaJwsVerifier},
    },
};
use openssl::pkey::PKey;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};
use uuid::Uuid;

const TYPE: &str = "at+jwt";
const ALGORITHM: &str = "RS256";
const MAX_BYTES: usize = 8 * 1024;
/// Clocks may be apart by this much.
const LEEWAY_SECONDS: i64 = 60;

/// Who issues for whom, with which keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// Where the keys are; see [`generate_keys`](crate::generate_keys).
    pub key_dir: PathBuf,
}

/// Issues and verifies access tokens.
pub struct AccessTokens {
    issuer: String,
    audience: String,
    signing_kid: String,
    signer: RsassaJwsSigner,
    verifiers: BTreeMap<String, RsassaJwsVerifier>,
    jwks: serde_json::Value,
}

// Unknown fields are refused, and with them crit, jku, x5u, jwk and x5c; so is a field given twice.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: String,
    kid: String,
}

// A field given twice is refused. Unknown ones are not: a newer instance may add some.
#[derive(Serialize, Deserialize)]
struct Claims {
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

impl AccessTokens {
    /// Loads the directory's keys. The newest private key by name signs; every key verifies.
    pub fn load(settings: &TokenSettings) -> Result<Self, KeyDirError> {
        let dir = settings.key_dir.as_path();
        let (mut newest, mut verifiers, mut keys) = (None, BTreeMap::new(), Vec::new());
        for file in key_files(dir, ".pem", Some(".pub.pem"))? {
            let pair = RS256.key_pair_from_pem(&*file.content).map_err(|e| KeyDirError::unusable(&file.path, e))?;
            let signer =
                RS256.signer_from_pem(pair.to_pem_private_key()).map_err(|e| KeyDirError::unusable(&file.path, e))?;
            let (verifier, key) = public_key(&file.id, &file.path, &pair.to_pem_public_key())?;
            keys.push(key);
            verifiers.insert(file.id.clone(), verifier);
            newest = Some((file.id, signer));
        }
        for KeyFile { id, path, content } in key_files(dir, ".pub.pem", None)? {
            let (verifier, key) = public_key(&id, &path, &content)?;
            keys.push(key);
            if verifiers.insert(id, verifier).is_some() {
                return Err(KeyDirError::unusable(&path, "a private key has the same id"));
            }
        }
        let (signing_kid, signer) =
            newest.ok_or_else(|| KeyDirError::Missing { wanted: "signing key (<kid>.pem)", dir: dir.to_owned() })?;
        Ok(Self {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            signing_kid,
            signer,
            verifiers,
            jwks: json!({ "keys": keys }),
        })
    }

    /// The public keys, for `/.well-known/jwks.json`.
    pub fn jwks(&self) -> serde_json::Value {
        self.jwks.clone()
    }

    fn check(&self, token: &str, now: Timestamp) -> Option<AccessClaims> {
        if token.len() > MAX_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        // A fourth segment would put a dot, which base64 refuses, into the claims.
        let (header, claims) = signed.split_once('.')?;
        let header: Header = decode(header)?;
        if header.typ != TYPE || header.alg != ALGORITHM {
            return None;
        }
        let verifier = self.verifiers.get(&header.kid)?;
        verifier.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;

        let claims: Claims = decode(claims)?;
        let now = now.as_second();
        let in_force = claims.iat <= now.saturating_add(LEEWAY_SECONDS)
            && claims.nbf <= now.saturating_add(LEEWAY_SECONDS)
            && claims.exp > now.saturating_sub(LEEWAY_SECONDS)
            && claims.exp > claims.iat;
        if claims.iss != self.issuer || claims.aud != self.audience || claims.amr.is_empty() || !in_force {
            return None;
        }
        Uuid::try_parse(&claims.jti).ok()?;
        Some(AccessClaims {
            account: claims.sub.parse().ok()?,
            session: claims.sid.parse().ok()?,
            role: claims.role.parse().ok()?,
            issued_at: Timestamp::from_second(claims.iat).ok()?,
            expires_at: Timestamp::from_second(claims.exp).ok()?,
        })
    }
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTokens")
            .field("signing_kid", &self.signing_kid)
            .field("kids", &self.verifiers.keys())
            .finish_non_exhaustive()
    }
}

impl TokenIssuer for AccessTokens {
    fn issue(&self, claims: &AccessClaims, token_id: Uuid) -> Result<Sensitive<String>, PortError> {
        // Whole seconds: other libraries refuse fractions.
        let issued_at = claims.issued_at.as_second();
        let header = Header { typ: TYPE.to_owned(), alg: ALGORITHM.to_owned(), kid: self.signing_kid.clone() };
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: claims.account.to_string(),
            sid: claims.session.to_string(),
            jti: token_id.hyphenated().to_string(),
            iat: issued_at,
            nbf: issued_at,
            exp: claims.expires_at.as_second(),
            role: claims.role.to_string(),
            amr: vec!["pwd".to_owned()],
        };
        let signed = format!("{}.{}", encode(&header)?, encode(&claims)?);
        let signature = self.signer.sign(signed.as_bytes()).map_err(defect)?;
        Ok(Sensitive::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

impl TokenVerifier for AccessTokens {
    fn verify(&self, token: &str, now: Timestamp) -> Result<AccessClaims, InvalidToken> {
        self.check(token, now).ok_or(InvalidToken)
    }
}

fn public_key(kid: &str, path: &Path, pem: &[u8]) -> Result<(RsassaJwsVerifier, serde_json::Value), KeyDirError> {
    let rsa = PKey::public_key_from_pem(pem)
        .and_then(|key| key.rsa())
        .map_err(|e| KeyDirError::unusable(path, format_args!("not an RSA key: {e}")))?;
    if rsa.n().num_bits() < RSA_BITS.cast_signed() {
        return Err(KeyDirError::unusable(path, format_args!("fewer than {RSA_BITS} bits")));
    }
    let verifier = RS256.verifier_from_pem(pem).map_err(|e| KeyDirError::unusable(path, e))?;
    let key = json!({
        "kty": "RSA", "use": "sig", "alg": ALGORITHM, "kid": kid,
        "n": URL_SAFE_NO_PAD.encode(rsa.n().to_vec()), "e": URL_SAFE_NO_PAD.encode(rsa.e().to_vec()),
    });
    Ok((verifier, key))
}

fn encode(part: &impl Serialize) -> Result<String, PortError> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).map_err(defect)?))
}

// This engine refuses padding and stray bits: one token has one spelling.
fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn defect(error: impl fmt::Display) -> PortError {
    PortError::defect(Dependency::Hasher, format_args!("signing: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{generate_keys, keys::tests::TempDir};
    use amrutam_kernel::{AccountId, Role, SessionId};
    use jiff::SignedDuration;
    use josekit::jws::HS256;
    use serde_json::Value;
    use std::{fs, sync::OnceLock};

    const ISSUER: &str = "https://api.amrutam.example";
    const AUDIENCE: &str = "amrutam-api";

    /// Making keys is slow; every test uses one pair, and a second one for what changes hands.
    fn pems() -> &'static [String; 2] {
        static PEMS: OnceLock<[String; 2]> = OnceLock::new();
        PEMS.get_or_init(|| {
            ["a", "b"].map(|kid| {
                let temp = TempDir::new();
                fs::read_to_string(generate_keys(&temp.0, kid).unwrap().token_key).unwrap()
            })
        })
    }

    fn public_pem(private: &str) -> Vec<u8> {
        RS256.key_pair_from_pem(private).unwrap().to_pem_public_key()
    }

    fn load(files: &[(&str, &[u8])]) -> Result<AccessTokens, KeyDirError> {
        let temp = TempDir::new();
        for (name, content) in files {
            fs::write(temp.0.join(name), content).unwrap();
        }
        AccessTokens::load(&TokenSettings {
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            key_dir: temp.0.clone(),
        })
    }

    fn tokens() -> AccessTokens {
        load(&[("k1.pem", pems()[0].as_bytes())]).unwrap()
    }

    fn now() -> Timestamp {
        "2026-08-03T05:00:00.9Z".parse().unwrap()
    }

    fn claims() -> AccessClaims {
        AccessClaims {
            account: AccountId::from_uuid(Uuid::from_u128(1)),
            session: SessionId::from_uuid(Uuid::from_u128(2)),
            role: Role::Patient,
            issued_at: now(),
            expires_at: now() + SignedDuration::from_mins(15),
        }
    }

    fn issue(tokens: &AccessTokens) -> String {
        tokens.issue(&claims(), Uuid::from_u128(3)).unwrap().into_exposed()
    }

    fn good_header() -> Value {
        json!({ "typ": "at+jwt", "alg": "RS256", "kid": "k1" })
    }

    fn good_claims() -> Value {
        let token = issue(&tokens());
        part(&token, 1)
    }

    fn part(token: &str, number: usize) -> Value {
        let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(number).unwrap()).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn with(mut object: Value, field: &str, value: Value) -> Value {
        object[field] = value;
        object
    }

    fn without(mut object: Value, field: &str) -> Value {
        object.as_object_mut().unwrap().remove(field);
        object
    }

    /// Signed with the real key, whatever it says.
    fn signed_text(header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = RS256.signer_from_pem(&pems()[0]).unwrap().sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn signed(header: &Value, claims: &Value) -> String {
        signed_text(&header.to_string(), &claims.to_string())
    }

    fn accepted(token: &str) -> bool {
        tokens().verify(token, now()).is_ok()
    }

    #[test]
    fn a_token_says_what_it_was_issued_for() {
        let tokens = tokens();
        let token = issue(&tokens);
        let seconds = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap();
        let expected = AccessClaims {
            issued_at: seconds(claims().issued_at),
            expires_at: seconds(claims().expires_at),
            ..claims()
        };
        assert_eq!(tokens.verify(&token, now()), Ok(expected));
        assert_eq!(part(&token, 0), good_header());
        assert_eq!(
            part(&token, 1),
            json!({
                "iss": ISSUER, "aud": AUDIENCE, "sub": "00000000-0000-0000-0000-000000000001",
                "sid": "00000000-0000-0000-0000-000000000002", "jti": "00000000-0000-0000-0000-000000000003",
                "iat": 1_785_733_200, "nbf": 1_785_733_200, "exp": 1_785_734_100, "role": "patient", "amr": ["pwd"],
            })
        );
        // What the attacks below change, unchanged.
        assert!(accepted(&signed(&good_header(), &good_claims())));
    }

    #[test]
    fn another_library_agrees() {
        let tokens = tokens();
        let jwk = tokens.jwks()["keys"][0].clone();
        let jwk = josekit::jwk::Jwk::from_map(jwk.as_object().unwrap().clone()).unwrap();
        let verifier = RS256.verifier_from_jwk(&jwk).unwrap();
        let (payload, header) = josekit::jwt::decode_with_verifier(issue(&tokens), &verifier).unwrap();
        assert_eq!((payload.issuer(), header.key_id()), (Some(ISSUER), Some("k1")));
    }

    #[test]
    fn the_header_is_ours_to_the_letter() {
        let claims = good_claims();
        let wrong = [
            with(good_header(), "typ", json!("JWT")),
            with(good_header(), "typ", json!("rt+jwt")),
            with(good_header(), "typ", json!("AT+JWT")),
            with(good_header(), "alg", json!("RS512")),
            with(good_header(), "alg", json!("rs256")),
            with(good_header(), "alg", json!("none")),
            with(good_header(), "kid", json!("k2")),
            with(good_header(), "kid", json!("../k1")),
            with(good_header(), "kid", json!("k1' OR '1'='1")),
            with(good_header(), "kid", json!(1)),
            with(good_header(), "crit", json!(["exp"])),
            with(good_header(), "jku", json!("https://evil.example/jwks.json")),
            with(good_header(), "x5u", json!("https://evil.example/cert.pem")),
            with(good_header(), "jwk", tokens().jwks()["keys"][0].clone()),
            without(good_header(), "typ"),
            without(good_header(), "alg"),
            without(good_header(), "kid"),
        ];
        for header in wrong {
            assert!(!accepted(&signed(&header, &claims)), "{header}");
        }
        let twice = r#"{"typ":"at+jwt","alg":"RS256","kid":"k2","kid":"k1"}"#;
        assert!(!accepted(&signed_text(twice, &claims.to_string())));
    }

    #[test]
    fn every_claim_is_there_once_and_right() {
        let base = good_claims();
        for name in base.as_object().unwrap().keys() {
            assert!(!accepted(&signed(&good_header(), &without(base.clone(), name))), "without {name}");
            assert!(!accepted(&signed(&good_header(), &with(base.clone(), name, json!(null)))), "null {name}");
        }
        let wrong = [
            ("iss", json!("https://evil.example")),
            ("aud", json!("another-api")),
            ("aud", json!([AUDIENCE])),
            ("sub", json!("1")),
            ("sub", json!("00000000000000000000000000000001")),
            ("sid", json!("")),
            ("jti", json!("x")),
            ("exp", json!("1785734100")),
            ("exp", json!(1_785_734_100.5)),
            ("exp", json!(1_785_734_100.0)),
            ("exp", json!(i64::MIN)),
            ("exp", json!(i64::MAX)),
            ("iat", json!("1785733200")),
            ("role", json!("root")),
            ("role", json!(["patient", "admin"])),
            ("amr", json!([])),
            ("amr", json!("pwd")),
        ];
        for (name, value) in wrong {
            assert!(!accepted(&signed(&good_header(), &with(base.clone(), name, value.clone()))), "{name} {value}");
        }
        let twice = base.to_string().replacen('{', r#"{"role":"admin","#, 1);
        assert!(!accepted(&signed_text(&good_header().to_string(), &twice)));
    }

    #[test]
    fn a_token_is_in_force_from_its_first_second_to_its_last_give_or_take_a_minute() {
        let (issued, ends) = (1_785_733_200, 1_785_734_100);
        let tokens = tokens();
        let token = issue(&tokens);
        let at = |second| tokens.verify(&token, Timestamp::from_second(second).unwrap()).is_ok();
        assert_eq!([at(issued - 61), at(issued - 60), at(ends + 59), at(ends + 60)], [false, true, true, false]);
        // Each of the two alone.
        for name in ["iat", "nbf"] {
            let token = signed(&good_header(), &with(good_claims(), name, json!(issued + 61)));
            assert!(!accepted(&token), "{name}");
        }
    }

    #[test]
    fn the_signature_is_checked_and_only_by_the_key_s_own_algorithm() {
        let token = issue(&tokens());
        let (signed_part, signature) = token.rsplit_once('.').unwrap();
        let (header, claims) = signed_part.split_once('.').unwrap();

        let admin = URL_SAFE_NO_PAD.encode(with(part(&token, 1), "role", json!("admin")).to_string());
        assert!(!accepted(&format!("{header}.{admin}.{signature}")), "claims changed after signing");
        assert!(!accepted(&format!("{signed_part}.")), "no signature");
        for cut in [1, 4, signature.len() - 1] {
            assert!(!accepted(&format!("{signed_part}.{}", &signature[..signature.len() - cut])), "cut by {cut}");
        }
        for alg in ["none", "None", "NONE", ""] {
            let none = URL_SAFE_NO_PAD.encode(with(good_header(), "alg", json!(alg)).to_string());
            assert!(!accepted(&format!("{none}.{claims}.")), "{alg}");
            assert!(!accepted(&format!("{none}.{claims}.{signature}")), "{alg}");
        }

        let public = public_pem(&pems()[0]);
        let secrets = [public.clone(), public.trim_ascii_end().to_vec()];
        for secret in secrets {
            for alg in ["HS256", "RS256"] {
                let header = URL_SAFE_NO_PAD.encode(with(good_header(), "alg", json!(alg)).to_string());
                let signed = format!("{header}.{claims}");
                let mac = HS256.signer_from_bytes(&secret).unwrap().sign(signed.as_bytes()).unwrap();
                assert!(!accepted(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))), "{alg}");
            }
        }

        let others = load(&[("k1.pem", pems()[1].as_bytes())]).unwrap();
        assert!(!accepted(&issue(&others)), "another key under our id");
    }

    #[test]
    fn only_three_segments_in_one_spelling_and_not_too_many_bytes() {
        let token = issue(&tokens());
        let (signed_part, signature) = token.rsplit_once('.').unwrap();
        for text in ["", ".", "..", "...", "a.b.c", signed_part] {
            assert!(!accepted(text), "{text}");
        }
        assert!(!accepted(&format!("{token}.")));
        assert!(!accepted(&format!("{token}.{signature}")));
        assert!(!accepted(&format!(".{token}")));
        assert!(!accepted(&format!("{token}=")));
        assert!(!accepted(&format!(" {token}")));
        assert!(!accepted(&format!("{token}\n")));
        // The same bytes in another spelling: stray bits set in the last character, and signed so.
        let mut text = good_claims().to_string();
        while text.len() % 3 != 2 {
            text.push(' ');
        }
        let sign = |segment: &str| {
            let signed = format!("{}.{segment}", URL_SAFE_NO_PAD.encode(good_header().to_string()));
            let signature = RS256.signer_from_pem(&pems()[0]).unwrap().sign(signed.as_bytes()).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        let segment = URL_SAFE_NO_PAD.encode(&text);
        let last = segment.chars().next_back().unwrap();
        let stray = format!("{}{}", &segment[..segment.len() - 1], char::from_u32(u32::from(last) + 1).unwrap());
        assert!(accepted(&sign(&segment)) && !accepted(&sign(&stray)), "{last}");

        let padded = |size: usize| signed(&good_header(), &with(good_claims(), "pad", json!("x".repeat(size))));
        let room = (MAX_BYTES - padded(0).len()) / 4 * 3 - 3;
        assert!(accepted(&padded(room)), "an unknown claim alone does no harm");
        assert!(padded(room + 9).len() > MAX_BYTES && !accepted(&padded(room + 9)));
    }

    #[test]
    fn the_newest_key_signs_the_others_verify() {
        let (old, new) = (pems()[0].as_bytes(), pems()[1].as_bytes());
        let before = load(&[("2026-01.pem", old)]).unwrap();
        let ready = load(&[("2026-01.pem", old), ("2026-02.pub.pem", &public_pem(&pems()[1]))]).unwrap();
        let after = load(&[("2026-01.pub.pem", &public_pem(&pems()[0])), ("2026-02.pem", new)]).unwrap();
        let both = load(&[("2026-01.pem", old), ("2026-02.pem", new)]).unwrap();
        for (issuer, kid) in [(&before, "2026-01"), (&ready, "2026-01"), (&after, "2026-02"), (&both, "2026-02")] {
            let token = issue(issuer);
            assert_eq!(part(&token, 0)["kid"], kid);
            for verifier in [&ready, &after, &both] {
                assert!(verifier.verify(&token, now()).is_ok(), "{kid}");
            }
        }
        assert!(before.verify(&issue(&after), now()).is_err(), "a key that is not there");

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
    fn weak_and_odd_keys_are_refused() {
        let weak = RS256.generate_key_pair(2048).unwrap();
        let good = pems()[0].as_bytes();
        let public = public_pem(&pems()[0]);
        for files in [
            vec![("k1.pem", weak.to_pem_private_key())],
            vec![("k1.pem", good.to_vec()), ("k2.pub.pem", weak.to_pem_public_key())],
            vec![("k1.pem", public.clone())],
            vec![("k1.pem", good.to_vec()), ("k2.pub.pem", good.to_vec())],
            vec![("k1.pem", good.to_vec()), ("k1.pub.pem", public.clone())],
            vec![("k1.pem", b"not a key".to_vec())],
            vec![("a key.pem", good.to_vec())],
        ] {
            let files: Vec<_> = files.iter().map(|(name, content)| (*name, content.as_slice())).collect();
            let names: Vec<_> = files.iter().map(|f| f.0).collect();
            assert!(matches!(load(&files), Err(KeyDirError::Unusable { .. })), "{names:?}");
        }
        assert!(matches!(load(&[]), Err(KeyDirError::Missing { .. })));
        assert!(matches!(load(&[("k1.pub.pem", &public)]), Err(KeyDirError::Missing { .. })));
        let debug = format!("{:?}", tokens());
        assert_eq!(debug, r#"AccessTokens { signing_kid: "k1", kids: ["k1"], .. }"#);
    }
}
