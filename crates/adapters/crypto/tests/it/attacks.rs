//! Attacks on tokens: none is taken, and a naive verifier takes each, or it is said why not.

use crate::{
    forge::{part, rsa, sealed, spellings, with, without},
    naive::Naive,
    support::{
        AUDIENCE, access, good_claims, good_header, mfa, now, pair, pem, public_pem, rs256, signed, signed_by, tokens,
        tokens_of,
    },
};
use amrutam_identity::ports::{InvalidToken, TokenVerifier};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use openssl::{
    hash::MessageDigest,
    pkey::{PKey, Public},
    rsa::Padding,
    sign::Signer,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, io::ErrorKind, net::TcpListener};

const OUR_ID: &str = "k1";
const OURS: usize = 0;
const ATTACKERS: usize = 1;

struct Attack {
    name: String,
    token: String,
    /// Why even a naive verifier refuses it.
    harmless: Option<&'static str>,
}

fn attack(name: impl Into<String>, token: impl Into<String>) -> Attack {
    Attack { name: name.into(), token: token.into(), harmless: None }
}

fn futile(name: impl Into<String>, token: impl Into<String>, why: &'static str) -> Attack {
    Attack { harmless: Some(why), ..attack(name, token) }
}

fn public(number: usize) -> PKey<Public> {
    PKey::public_key_from_pem(public_pem(number).as_bytes()).unwrap()
}

fn naive() -> Naive {
    Naive {
        keys: BTreeMap::from([(OUR_ID, public(OURS)), ("retired", public(2))]),
        files: BTreeMap::from([("../uploads/x.pem", public(ATTACKERS)), ("/dev/shm/x.pem", public(ATTACKERS))]),
        downloads: public(ATTACKERS),
    }
}

/// Neither kind of token is what any of these is.
fn refused_by_us_alone(attacks: Vec<Attack>) {
    let (ours, naive) = (tokens(), naive());
    assert!(naive.verify(&access(&ours), now()).is_some(), "the naive one takes what is good");
    assert!(ours.verify_access(&access(&ours), now()).is_ok(), "and so do we");
    for Attack { name, token, harmless } in attacks {
        assert_eq!(ours.verify_access(&token, now()), Err(InvalidToken), "{name}");
        assert_eq!(ours.verify_mfa(&token, now()), Err(InvalidToken), "{name}");
        match (naive.verify(&token, now()), harmless) {
            (Some(_), None) | (None, Some(_)) => {}
            (None, None) => panic!("{name}: the naive verifier refuses it, so it shows nothing"),
            (Some(_), Some(why)) => panic!("{name}: the naive verifier takes it, though {why}"),
        }
    }
}

fn admin() -> Value {
    with(good_claims(), "role", "admin")
}

#[test]
fn no_signature() {
    let token = access(&tokens());
    let (signed_part, signature) = token.rsplit_once('.').unwrap();
    let genuine = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut attacks = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = with(good_header(), "alg", alg).to_string();
        attacks.push(attack(format!("alg {alg:?}, no signature"), sealed(&header, &admin().to_string(), |_| vec![])));
        let kept = sealed(&header, &admin().to_string(), |_| genuine.clone());
        attacks.push(attack(format!("alg {alg:?}, another's signature"), kept));
    }
    let absent = without(good_header(), "alg").to_string();
    attacks.push(attack("alg absent", sealed(&absent, &admin().to_string(), |_| vec![])));
    let null = with(good_header(), "alg", Value::Null).to_string();
    attacks.push(attack("alg null", sealed(&null, &admin().to_string(), |_| vec![])));
    let why = "OpenSSL takes no other number of bytes than the key's";
    attacks.push(futile("empty signature", format!("{signed_part}."), why));
    for cut in [1, 4, signature.len() - 1] {
        let short = &signature[..signature.len() - cut];
        attacks.push(futile(format!("cut by {cut}"), format!("{signed_part}.{short}"), why));
    }
    attacks.push(futile("no third part", signed_part, "it counts the parts"));
    refused_by_us_alone(attacks);
}

#[test]
fn a_signature_for_something_else() {
    let token = access(&tokens());
    let parts: Vec<_> = token.split('.').collect();
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let why = "the signature covers header and claims";
    let mut attacks = vec![
        futile("claims changed", format!("{}.{}.{}", parts[0], encoded(&admin()), parts[2]), why),
        futile("another key under our id", signed_by(ATTACKERS, &good_header(), &admin()), "it does check signatures"),
    ];
    for (field, value) in [("typ", "mfa+jwt"), ("kid", "k2"), ("alg", "RS512"), ("cty", "json")] {
        let header = encoded(&with(good_header(), field, value));
        attacks.push(futile(format!("{field} changed"), format!("{header}.{}.{}", parts[1], parts[2]), why));
    }
    refused_by_us_alone(attacks);
}

#[test]
fn the_public_key_as_a_secret() {
    let names = ["PEM", "PEM without newline", "DER", "JWK"];
    let digests = [MessageDigest::sha256(), MessageDigest::sha384(), MessageDigest::sha512()];
    let mut attacks = Vec::new();
    for (secret, name) in spellings(&public(OURS)).into_iter().zip(names) {
        for (digest, alg) in digests.into_iter().zip(["HS256", "HS384", "HS512"]) {
            let hmac = |signed: &str| {
                let key = PKey::hmac(&secret).unwrap();
                Signer::new(digest, &key).unwrap().sign_oneshot_to_vec(signed.as_bytes()).unwrap()
            };
            let header = with(good_header(), "alg", alg).to_string();
            attacks.push(attack(format!("{alg} with {name}"), sealed(&header, &admin().to_string(), hmac)));
            let claimed = sealed(&good_header().to_string(), &admin().to_string(), hmac);
            attacks.push(futile(format!("{alg} with {name}, said to be RS256"), claimed, "it is no RSA signature"));
        }
    }
    refused_by_us_alone(attacks);
}

/// Good signatures by our key, by algorithms that are not the key's.
#[test]
fn another_algorithm_than_the_key_s() {
    let by = |alg: &str, digest, padding| {
        let header = with(good_header(), "alg", alg).to_string();
        sealed(&header, &good_claims().to_string(), |signed| rsa(pair(OURS), digest, padding, signed))
    };
    refused_by_us_alone(vec![
        attack("RS384", by("RS384", MessageDigest::sha384(), Padding::PKCS1)),
        attack("RS512", by("RS512", MessageDigest::sha512(), Padding::PKCS1)),
        attack("PS256", by("PS256", MessageDigest::sha256(), Padding::PKCS1_PSS)),
        attack("PS512", by("PS512", MessageDigest::sha512(), Padding::PKCS1_PSS)),
        attack("rs256", by("rs256", MessageDigest::sha256(), Padding::PKCS1)),
        futile("ES256", by("ES256", MessageDigest::sha384(), Padding::PKCS1), "the digest is not the one it says"),
    ]);
}

#[test]
fn a_key_id_that_is_none_of_ours() {
    let ours = |kid: Value| signed(&with(good_header(), "kid", kid), &good_claims());
    let theirs = |kid: &str| signed_by(ATTACKERS, &with(good_header(), "kid", kid), &admin());
    let der = STANDARD.encode(public(ATTACKERS).public_key_to_der().unwrap());
    refused_by_us_alone(vec![
        attack("absent", signed(&without(good_header(), "kid"), &good_claims())),
        attack("null", ours(Value::Null)),
        attack("empty", ours(json!(""))),
        attack("unknown", ours(json!("k2"))),
        attack("a number", ours(json!(1))),
        attack("a list", ours(json!(["k1"]))),
        attack("in capitals", ours(json!("K1"))),
        attack("with a space", ours(json!("k1 "))),
        attack("with a zero", ours(json!("k1\0"))),
        attack("huge", ours(json!("k1".repeat(100_000)))),
        attack("retired", signed_by(2, &with(good_header(), "kid", "retired"), &admin())),
        attack("a path", theirs("../uploads/x.pem")),
        attack("an absolute path", theirs("/dev/shm/x.pem")),
        attack("SQL", theirs(&format!("x' UNION SELECT '{der}'"))),
        attack("SQL in front of our key", ours(json!("k1' OR '1'='1"))),
    ]);
}

#[test]
fn a_key_that_comes_with_the_token() {
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let url = format!("http://{}/keys", canary.local_addr().unwrap());
    let heard = || match canary.accept() {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    };
    let jwk = tokens_of(&[("k1.pem", pem(ATTACKERS))]).jwks()["keys"][0].clone();
    let der = STANDARD.encode(public(ATTACKERS).public_key_to_der().unwrap());
    let forged = |field: &str, value: Value| signed_by(ATTACKERS, &with(good_header(), field, value), &admin());
    for field in ["jku", "x5u"] {
        let token = forged(field, json!(url));
        assert_eq!(tokens().verify_access(&token, now()), Err(InvalidToken));
        assert!(!heard(), "{field} was followed");
        naive().verify(&token, now());
        assert!(heard(), "the naive verifier follows {field}");
    }
    refused_by_us_alone(vec![
        attack("jwk", forged("jwk", jwk)),
        attack("x5c", forged("x5c", json!([der]))),
        attack("jku", forged("jku", json!(url))),
        attack("x5u", forged("x5u", json!(url))),
        attack("crit", signed(&with(good_header(), "crit", json!(["exp"])), &good_claims())),
        attack("b64", signed(&with(good_header(), "b64", json!(true)), &good_claims())),
        attack("zip", signed(&with(good_header(), "zip", json!("DEF")), &good_claims())),
        attack("anything else", signed(&with(good_header(), "x", json!(1)), &good_claims())),
    ]);
}

/// Two readers of one token that take different ones of the two are at odds.
#[test]
fn fields_given_twice() {
    let (header, claims) = (good_header().to_string(), good_claims().to_string());
    let twice = |text: &str, more: &str| text.replacen('{', &format!("{{{more},"), 1);
    let mut attacks = Vec::new();
    for (field, value) in [("kid", "\"k2\""), ("alg", "\"none\""), ("typ", "\"mfa+jwt\""), ("kid", "\"k1\"")] {
        let token = sealed(&twice(&header, &format!("\"{field}\":{value}")), &claims, |signed| rs256(OURS, signed));
        attacks.push(attack(format!("{field} {value}"), token));
    }
    for (field, value) in good_claims().as_object().unwrap() {
        let token = sealed(&header, &twice(&claims, &format!("\"{field}\":{value}")), |signed| rs256(OURS, signed));
        attacks.push(attack(field, token));
    }
    attacks.push(attack("role", sealed(&header, &twice(&claims, r#""role":"admin""#), |signed| rs256(OURS, signed))));
    // An escape is another spelling of a name.
    attacks.push(attack(
        "role, escaped",
        sealed(&header, &twice(&claims, r#""\u0072ole":"admin""#), |signed| rs256(OURS, signed)),
    ));
    refused_by_us_alone(attacks);
}

#[test]
fn claims_that_are_missing_or_odd() {
    let mut attacks = Vec::new();
    for name in good_claims().as_object().unwrap().keys() {
        let (missing, null) = (without(good_claims(), name), with(good_claims(), name, Value::Null));
        attacks.push(match name.as_str() {
            "sub" => futile("without sub", signed(&good_header(), &missing), "it needs to know who"),
            _ => attack(format!("without {name}"), signed(&good_header(), &missing)),
        });
        attacks.push(attack(format!("{name} null"), signed(&good_header(), &null)));
    }
    let expired = now().as_second() - 61;
    let ahead = now().as_second() + 61;
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("iss", json!("https://api.amrutam.example/")),
        ("iss", json!(["https://api.amrutam.example"])),
        ("aud", json!("another-api")),
        ("aud", json!([AUDIENCE])),
        ("aud", json!([AUDIENCE, "another-api"])),
        ("aud", json!("")),
        ("sub", json!("1")),
        ("sub", json!(1)),
        ("sub", json!("00000000000000000000000000000001")),
        ("sub", json!("urn:uuid:00000000-0000-0000-0000-000000000001")),
        ("sid", json!("")),
        ("sid", json!("00000000-0000-0000-0000-000000000002 ")),
        ("jti", json!("x")),
        ("exp", json!(expired.to_string())),
        ("exp", json!(expired as f64 + 0.5)),
        ("exp", json!((now().as_second() + 60).to_string())),
        ("exp", json!((now().as_second() + 60) as f64)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(true)),
        ("nbf", json!(ahead)),
        ("nbf", json!(ahead.to_string())),
        ("iat", json!(ahead)),
        ("iat", json!("0")),
        ("iat", json!([0])),
        ("role", json!("root")),
        ("role", json!("Admin")),
        ("role", json!("")),
        ("role", json!(["patient", "admin"])),
        ("amr", json!([])),
        ("amr", json!("pwd")),
        ("amr", json!(["pwd", "hwk"])),
        ("amr", json!(["mfa"])),
    ] {
        attacks.push(attack(format!("{name} {value}"), signed(&good_header(), &with(good_claims(), name, value))));
    }
    for exp in [json!(expired), json!(0), json!(-1), json!(i64::MIN)] {
        let token = signed(&good_header(), &with(good_claims(), "exp", exp.clone()));
        attacks.push(futile(format!("exp {exp}"), token, "it looks at a whole number of seconds"));
    }
    let backwards = with(with(good_claims(), "iat", now().as_second() + 30), "exp", now().as_second() + 30);
    attacks.push(attack("ended when it began", signed(&good_header(), &backwards)));
    refused_by_us_alone(attacks);
}

#[test]
fn a_token_for_something_else() {
    let mut attacks = Vec::new();
    for typ in ["JWT", "jwt", "AT+JWT", "application/at+jwt", "dl+jwt", "em+jwt", "rt+jwt", "at+jwt ", "at", ""] {
        attacks.push(attack(format!("typ {typ:?}"), signed(&with(good_header(), "typ", typ), &good_claims())));
    }
    attacks.push(attack("no typ", signed(&without(good_header(), "typ"), &good_claims())));
    let opaque = URL_SAFE_NO_PAD.encode([7; 52]);
    attacks.push(futile("a refresh token", &opaque, "it is no JWT"));
    attacks.push(futile("a link's token", &opaque[..64], "it is no JWT"));
    refused_by_us_alone(attacks);

    // Each of the two for the other, also when one has all that the other has.
    let (ours, naive) = (tokens(), naive());
    let as_access = [mfa(&ours), signed(&with(good_header(), "typ", "mfa+jwt"), &good_claims())];
    for token in as_access {
        assert_eq!(ours.verify_access(&token, now()), Err(InvalidToken));
        assert!(naive.verify(&token, now()).is_some());
    }
    assert_eq!(ours.verify_mfa(&access(&ours), now()), Err(InvalidToken));
    assert!(naive.verify(&access(&ours), now()).is_some());
    let bare = part(&mfa(&ours), 1);
    assert_eq!(ours.verify_access(&signed(&good_header(), &bare), now()), Err(InvalidToken), "nor renamed");
}

#[test]
fn one_token_has_one_spelling() {
    let token = access(&tokens());
    let parts: Vec<_> = token.split('.').collect();
    let respelled = |number: usize, text: &str| {
        let mut parts = parts.clone();
        parts[number] = text;
        parts.join(".")
    };
    let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
    // Of 384 bytes nothing is left over: another length, and with it stray bits, needs claims to match.
    let spaced = |length: usize| {
        let mut text = good_claims().to_string();
        while text.len() % 3 != length {
            text.push(' ');
        }
        text
    };
    let resigned = |segment: &str| {
        let signed = format!("{}.{segment}", parts[0]);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(rs256(OURS, &signed)))
    };
    let stray = |text: &str| {
        let segment = URL_SAFE_NO_PAD.encode(text);
        let (rest, last) = segment.split_at(segment.len() - 1);
        let next = char::from_u32(u32::from(last.chars().next().unwrap()) + 1).unwrap();
        resigned(&format!("{rest}{next}"))
    };
    for length in [0, 1, 2] {
        let plain = resigned(&URL_SAFE_NO_PAD.encode(spaced(length)));
        assert!(tokens().verify_access(&plain, now()).is_ok(), "what is respelled below is good");
    }
    let mut split = parts[2].to_owned();
    split.insert(10, '\n');
    let mut attacks = vec![
        attack("padding after the signature", format!("{token}=")),
        attack("padding in the claims", resigned(&URL_SAFE.encode(spaced(1)))),
        attack("stray bits, four", stray(&spaced(1))),
        attack("stray bits, two", stray(&spaced(2))),
        attack("a newline in the signature", respelled(2, &split)),
        attack("a newline at the end", format!("{token}\n")),
        attack("a space in front", format!(" {token}")),
        attack("a fourth part", format!("{token}.{}", parts[2])),
        attack("an empty fourth part", format!("{token}.")),
        futile("an empty part in front", format!(".{token}"), "the header is not there"),
        futile("in capitals", token.to_uppercase(), "those are other bytes"),
    ];
    let standard = STANDARD_NO_PAD.encode(&signature);
    assert_ne!(standard, parts[2], "a signature of 384 bytes without any of - and _ comes once in 10^7");
    attacks.push(attack("the other alphabet", respelled(2, &standard)));
    refused_by_us_alone(attacks);
}

#[test]
fn too_large_or_encrypted() {
    const MOST: usize = 8 * 1024;
    let padded = |size: usize| signed(&good_header(), &with(good_claims(), "pad", "x".repeat(size)));
    let room = (MOST - padded(0).len()) / 4 * 3 - 3;
    assert!(tokens().verify_access(&padded(room), now()).is_ok(), "an unknown claim alone does no harm");
    assert!(padded(room + 9).len() > MOST);

    let mut header = josekit::jwe::JweHeader::new();
    header.set_token_type("at+jwt");
    header.set_key_id(OUR_ID);
    header.set_content_encryption("A256GCM");
    let encrypter = josekit::jwe::RSA_OAEP_256.encrypter_from_pem(public_pem(OURS)).unwrap();
    let payload = josekit::jwt::JwtPayload::from_map(admin().as_object().unwrap().clone()).unwrap();
    let encrypted = josekit::jwt::encode_with_encrypter(&payload, &header, &encrypter).unwrap();
    refused_by_us_alone(vec![
        attack("9 bytes too many", padded(room + 9)),
        attack("a megabyte", padded(1 << 20)),
        attack("encrypted to our public key", encrypted),
    ]);
}
