//! Tokens that are not what they seem, at a running process: each is refused with one answer, and the good one it was made
//! of is taken before and after. What a naive verifier makes of them is shown where tokens are verified, in `crypto`.

use amrutam_tests::support::{Authenticator, Person, Reply, SOON, Stack, on_shared, raw_exchange, until};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use forge::{part, rsa, sealed, spellings, with, without};
use jiff::Timestamp;
use openssl::{
    hash::MessageDigest,
    pkey::{PKey, Private, Public},
    rsa::{Padding, Rsa},
    sign::Signer,
};
use serde_json::{Value, json};
use std::{io::ErrorKind, net::TcpListener, path::Path, sync::LazyLock};

#[path = "../../crates/adapters/crypto/tests/it/forge.rs"]
mod forge;

/// Whoever attacks has a key, too. Making it is slow.
static ATTACKERS: LazyLock<PKey<Private>> = LazyLock::new(|| PKey::from_rsa(Rsa::generate(3072).unwrap()).unwrap());

/// One account's good token, and the key that signed it.
struct Forge {
    person: Person,
    token: String,
    header: Value,
    claims: Value,
    ours: PKey<Private>,
}

impl Forge {
    async fn new(stack: &Stack) -> Self {
        let person = stack.patient("asha").await;
        let token = person.client.token().unwrap().to_owned();
        let (header, claims) = (part(&token, 0), part(&token, 1));
        let settings = stack.settings();
        let (_, dir) = settings.iter().find(|(key, _)| key == "AMRUTAM__TOKENS__KEY_DIR").unwrap();
        let pem = std::fs::read(Path::new(dir).join(format!("{}.pem", header["kid"].as_str().unwrap()))).unwrap();
        Self { person, token, header, claims, ours: PKey::private_key_from_pem(&pem).unwrap() }
    }

    fn public(&self) -> PKey<Public> {
        PKey::public_key_from_pem(&self.ours.public_key_to_pem().unwrap()).unwrap()
    }

    fn as_admin(&self) -> Value {
        with(self.claims.clone(), "role", "admin")
    }

    /// With our own key: what it says is all that is wrong.
    fn signed(&self, header: &Value, claims: &Value) -> String {
        self.signed_text(&header.to_string(), &claims.to_string())
    }

    fn signed_text(&self, header: &str, claims: &str) -> String {
        sealed(header, claims, |text| rsa(&self.ours, MessageDigest::sha256(), Padding::PKCS1, text))
    }

    fn with_header(&self, field: &str, value: impl Into<Value>) -> String {
        self.signed(&with(self.header.clone(), field, value), &self.claims)
    }

    fn with_claim(&self, field: &str, value: impl Into<Value>) -> String {
        self.signed(&self.header, &with(self.claims.clone(), field, value))
    }

    /// With the attacker's key.
    fn theirs(&self, field: &str, value: impl Into<Value>) -> String {
        let header = with(self.header.clone(), field, value).to_string();
        let sign = |text: &str| rsa(&ATTACKERS, MessageDigest::sha256(), Padding::PKCS1, text);
        sealed(&header, &self.as_admin().to_string(), sign)
    }

    async fn asked_with(&self, token: &str, path: &str) -> Reply {
        self.person.client.with_token(token).get(path).send().await
    }

    /// The good one is good, and so is what is forged, but for what is forged about it.
    async fn good(&self) {
        for token in [&self.token, &self.signed(&self.header, &self.claims)] {
            for path in ["/v1/me", "/v1/doctors"] {
                self.asked_with(token, path).await.expect(200);
            }
        }
    }

    /// Nobody is let in with any of these, nor taken for a visitor without a token.
    async fn refused(&self, attacks: impl IntoIterator<Item = (String, String)>) {
        self.good().await;
        for (name, token) in attacks {
            for path in ["/v1/me", "/v1/doctors"] {
                let reply = self.asked_with(&token, path).await;
                assert_refused(&reply, &name);
            }
        }
        self.good().await;
    }
}

/// There is one refusal, whatever is wrong.
fn assert_refused(reply: &Reply, name: &str) {
    let body = reply.json();
    assert_eq!((reply.status, body["code"].as_str()), (401, Some("unauthenticated")), "{name}: {}", reply.text());
    assert_eq!(body["detail"], "Authentication is required", "{name}");
    reply.assert_is_problem();
}

fn named<N: Into<String>, T: Into<String>, const COUNT: usize>(attacks: [(N, T); COUNT]) -> Vec<(String, String)> {
    attacks.into_iter().map(|(name, token)| (name.into(), token.into())).collect()
}

#[test]
fn an_algorithm_that_is_not_the_key_s_is_refused() {
    on_shared(async |stack| {
        let forge = Forge::new(stack).await;
        let genuine = URL_SAFE_NO_PAD.decode(forge.token.rsplit_once('.').unwrap().1).unwrap();
        let mut attacks = Vec::new();
        for alg in ["none", "None", "NONE", "nOnE", ""] {
            let header = with(forge.header.clone(), "alg", alg).to_string();
            for (said, claims) in [("own", &forge.claims), ("admin's", &forge.as_admin())] {
                let claims = claims.to_string();
                attacks.push((format!("alg {alg:?}, {said} claims, unsigned"), sealed(&header, &claims, |_| vec![])));
                let kept = sealed(&header, &claims, |_| genuine.clone());
                attacks.push((format!("alg {alg:?}, {said} claims, another's signature"), kept));
            }
        }
        attacks.push(("alg null".to_owned(), forge.with_header("alg", Value::Null)));
        attacks.push(("alg absent".to_owned(), forge.signed(&without(forge.header.clone(), "alg"), &forge.claims)));
        for (alg, digest, padding) in [
            ("RS384", MessageDigest::sha384(), Padding::PKCS1),
            ("RS512", MessageDigest::sha512(), Padding::PKCS1),
            ("PS256", MessageDigest::sha256(), Padding::PKCS1_PSS),
            ("ES256", MessageDigest::sha256(), Padding::PKCS1),
            ("rs256", MessageDigest::sha256(), Padding::PKCS1),
        ] {
            let header = with(forge.header.clone(), "alg", alg).to_string();
            let claims = forge.claims.to_string();
            attacks.push((alg.to_owned(), sealed(&header, &claims, |text| rsa(&forge.ours, digest, padding, text))));
        }
        let names = ["PEM", "PEM without newline", "DER", "JWK"];
        for (secret, spelling) in spellings(&forge.public()).into_iter().zip(names) {
            for (alg, digest) in [("HS256", MessageDigest::sha256()), ("HS512", MessageDigest::sha512())] {
                let hmac = |text: &str| {
                    let key = PKey::hmac(&secret).unwrap();
                    Signer::new(digest, &key).unwrap().sign_oneshot_to_vec(text.as_bytes()).unwrap()
                };
                let header = with(forge.header.clone(), "alg", alg).to_string();
                let token = sealed(&header, &forge.as_admin().to_string(), hmac);
                attacks.push((format!("{alg} with the public key as {spelling}"), token));
            }
        }
        forge.refused(attacks).await;
    });
}

#[test]
fn a_signature_that_is_not_this_token_s_is_refused() {
    on_shared(async |stack| {
        let forge = Forge::new(stack).await;
        let parts: Vec<_> = forge.token.split('.').collect();
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let (signed, signature) = forge.token.rsplit_once('.').unwrap();
        let mut attacks = named([
            ("claims changed", format!("{}.{}.{}", parts[0], encoded(&forge.as_admin()), parts[2])),
            ("no signature", format!("{signed}.")),
            ("no third part", signed.to_owned()),
            ("cut", format!("{signed}.{}", &signature[..signature.len() - 4])),
            ("another key under our id", forge.theirs("typ", "at+jwt")),
        ]);
        for (field, value) in [("typ", "mfa+jwt"), ("kid", "another"), ("alg", "RS512"), ("cty", "json")] {
            let header = encoded(&with(forge.header.clone(), field, value));
            attacks.push((format!("{field} changed after signing"), format!("{header}.{}.{}", parts[1], parts[2])));
        }
        forge.refused(attacks).await;
    });
}

#[test]
fn a_key_that_is_not_ours_is_refused() {
    on_shared(async |stack| {
        let forge = Forge::new(stack).await;
        let kid = forge.header["kid"].as_str().unwrap();
        let der = STANDARD.encode(ATTACKERS.public_key_to_der().unwrap());
        let number = |number: Vec<u8>| URL_SAFE_NO_PAD.encode(number);
        let public = ATTACKERS.rsa().unwrap();
        let jwk =
            json!({ "kty": "RSA", "kid": kid, "n": number(public.n().to_vec()), "e": number(public.e().to_vec()) });
        let canary = TcpListener::bind("127.0.0.1:0").unwrap();
        canary.set_nonblocking(true).unwrap();
        let url = format!("http://{}/keys", canary.local_addr().unwrap());
        let uploaded = std::env::temp_dir().join(format!("{}.pem", amrutam_tests::support::unique("uploaded")));
        std::fs::write(&uploaded, ATTACKERS.public_key_to_pem().unwrap()).unwrap();
        let path = uploaded.to_str().unwrap();
        let mut attacks = named([
            ("kid unknown, our key", forge.with_header("kid", "2026-01-01-0")),
            ("kid unknown, another key", forge.theirs("kid", "2026-01-01-0")),
            ("kid absent", forge.signed(&without(forge.header.clone(), "kid"), &forge.claims)),
            ("kid null", forge.with_header("kid", Value::Null)),
            ("kid empty", forge.with_header("kid", "")),
            ("kid a number", forge.with_header("kid", 1)),
            ("kid a list", forge.with_header("kid", json!([kid]))),
            ("kid with a space", forge.with_header("kid", format!("{kid} "))),
            ("kid with its file's ending", forge.with_header("kid", format!("{kid}.pem"))),
            ("kid through a directory", forge.with_header("kid", format!("./{kid}"))),
            ("kid huge", forge.with_header("kid", kid.repeat(200))),
            ("kid a path", forge.theirs("kid", format!("../../../../../../../..{path}"))),
            ("kid a path without its ending", forge.theirs("kid", path.trim_end_matches(".pem"))),
            ("kid an absolute path", forge.theirs("kid", path)),
            ("kid a device", forge.theirs("kid", "/dev/null")),
            ("kid SQL", forge.theirs("kid", format!("x' UNION SELECT '{der}'--"))),
            ("kid SQL in front of our key", forge.with_header("kid", format!("{kid}' OR '1'='1"))),
            ("jku", forge.theirs("jku", url.clone())),
            ("x5u", forge.theirs("x5u", url.clone())),
            ("jku, our key", forge.with_header("jku", url.clone())),
            ("x5u, our key", forge.with_header("x5u", url.clone())),
            ("jwk", forge.theirs("jwk", jwk.clone())),
            ("jwk, our key", forge.with_header("jwk", jwk)),
            ("x5c", forge.theirs("x5c", json!([der]))),
            ("crit", forge.with_header("crit", json!(["exp"]))),
            ("crit of nothing", forge.with_header("crit", json!([]))),
            ("b64", forge.with_header("b64", true)),
            ("zip", forge.with_header("zip", "DEF")),
        ]);
        // The directory also holds keys that are not for tokens.
        for ending in ["kek", "index", "link"] {
            attacks.push((format!("kid of our {ending}"), forge.with_header("kid", format!("{kid}.{ending}"))));
        }
        forge.refused(attacks).await;
        std::fs::remove_file(&uploaded).unwrap();
        let heard = canary.accept().map(drop).map_err(|error| error.kind());
        assert_eq!(heard, Err(ErrorKind::WouldBlock), "a URL in a token was followed");
    });
}

#[test]
fn claims_that_are_missing_or_wrong_are_refused() {
    on_shared(async |stack| {
        let forge = Forge::new(stack).await;
        let now = Timestamp::now().as_second();
        let mut attacks = Vec::new();
        for name in forge.claims.as_object().unwrap().keys() {
            let missing = forge.signed(&forge.header, &without(forge.claims.clone(), name));
            attacks.push((format!("without {name}"), missing));
            attacks.push((format!("{name} null"), forge.with_claim(name, Value::Null)));
        }
        let (iss, aud) = (forge.claims["iss"].as_str().unwrap(), forge.claims["aud"].as_str().unwrap());
        for (name, value) in [
            // More than the minute by which clocks may differ.
            ("exp", json!(now - 61)),
            ("exp", json!(0)),
            ("exp", json!(-1)),
            ("exp", json!((now + 600).to_string())),
            ("exp", json!((now + 600) as f64 + 0.5)),
            ("exp", json!(u64::MAX)),
            ("nbf", json!(now + 600)),
            ("iat", json!(now + 600)),
            ("iss", json!("https://evil.example")),
            ("iss", json!(format!("{iss}/"))),
            ("iss", json!([iss])),
            ("aud", json!("another-api")),
            ("aud", json!([aud])),
            ("aud", json!([aud, "another-api"])),
            ("aud", json!("")),
            ("sub", json!("1")),
            ("sub", json!(uuid::Uuid::nil().to_string())),
            ("sub", json!(format!("urn:uuid:{}", forge.claims["sub"].as_str().unwrap()))),
            ("sid", json!("")),
            ("sid", json!(uuid::Uuid::from_u128(7).to_string())),
            ("jti", json!("x")),
            ("role", json!("admin")),
            ("role", json!("root")),
            ("role", json!(["patient", "admin"])),
            ("amr", json!([])),
            ("amr", json!(["mfa"])),
        ] {
            attacks.push((format!("{name} {value}"), forge.with_claim(name, value)));
        }
        for typ in ["JWT", "AT+JWT", "application/at+jwt", "mfa+jwt", "dl+jwt", "rt+jwt", "at+jwt ", ""] {
            attacks.push((format!("typ {typ:?}"), forge.with_header("typ", typ)));
        }
        attacks.push(("no typ".to_owned(), forge.signed(&without(forge.header.clone(), "typ"), &forge.claims)));
        forge.refused(attacks).await;
        // Within the minute it is good.
        let begun = with(with(forge.claims.clone(), "iat", now - 900), "nbf", now - 900);
        let ended = forge.signed(&forge.header, &with(begun, "exp", now - 10));
        forge.asked_with(&ended, "/v1/me").await.expect(200);
    });
}

/// Two readers of one token that take different ones of the two are at odds.
#[test]
fn a_field_given_twice_is_refused() {
    on_shared(async |stack| {
        let forge = Forge::new(stack).await;
        let (header, claims) = (forge.header.to_string(), forge.claims.to_string());
        let first = |text: &str, more: &str| text.replacen('{', &format!("{{{more},"), 1);
        let last = |text: &str, more: &str| format!("{},{more}}}", &text[..text.len() - 1]);
        let mut attacks = Vec::new();
        for more in [r#""kid":"x""#, r#""alg":"none""#, r#""alg":"RS256""#, r#""typ":"mfa+jwt""#] {
            attacks.push((format!("{more} first"), forge.signed_text(&first(&header, more), &claims)));
            attacks.push((format!("{more} last"), forge.signed_text(&last(&header, more), &claims)));
        }
        let own = forge.claims.as_object().unwrap().iter().map(|(name, value)| format!("\"{name}\":{value}"));
        for more in own.chain([r#""role":"admin""#.to_owned(), r#""\u0072ole":"admin""#.to_owned()]) {
            attacks.push((format!("{more} first"), forge.signed_text(&header, &first(&claims, &more))));
            attacks.push((format!("{more} last"), forge.signed_text(&header, &last(&claims, &more))));
        }
        forge.refused(attacks).await;
    });
}

#[test]
fn another_spelling_of_a_good_token_is_refused() {
    on_shared(async |stack| {
        let forge = Forge::new(stack).await;
        let parts: Vec<_> = forge.token.split('.').collect();
        let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        let resigned = |segment: &str| {
            let text = format!("{}.{segment}", parts[0]);
            let signature = rsa(&forge.ours, MessageDigest::sha256(), Padding::PKCS1, &text);
            format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        // Claims whose last group is one byte long: two characters, padded by two, four bits of them unused.
        let mut claims = forge.claims.to_string();
        while claims.len() % 3 != 1 {
            claims.push(' ');
        }
        let plain = URL_SAFE_NO_PAD.encode(&claims);
        let (rest, stray) = plain.split_at(plain.len() - 1);
        let stray = char::from(stray.as_bytes()[0] + 1);
        let standard = STANDARD_NO_PAD.encode(signature);
        assert_ne!(standard, parts[2], "a signature of 384 bytes without any of - and _ comes once in 10^7");
        forge.asked_with(&resigned(&plain), "/v1/me").await.expect(200);
        forge
            .refused(named([
                ("padding in the claims", resigned(&URL_SAFE.encode(&claims))),
                ("stray bits", resigned(&format!("{rest}{stray}"))),
                ("padding after the signature", format!("{}=", forge.token)),
                ("the other alphabet", format!("{}.{}.{standard}", parts[0], parts[1])),
                ("two spaces in front", format!(" {}", forge.token)),
                ("a tab in front", format!("\t{}", forge.token)),
                ("a space within", forge.token.replacen('.', " .", 1)),
                ("a tab within", forge.token.replacen('.', ".\t", 1)),
                ("percent-encoded", forge.token.replace('.', "%2E")),
                ("in quotes", format!("\"{}\"", forge.token)),
                ("with a comma", format!("{},", forge.token)),
                ("twice, with a comma", format!("{0}, Bearer {0}", forge.token)),
                ("a fourth part", format!("{}.{}", forge.token, parts[2])),
                ("an empty fourth part", format!("{}.", forge.token)),
                ("an empty part in front", format!(".{}", forge.token)),
                ("an empty part within", forge.token.replacen('.', "..", 1)),
                ("in capitals", forge.token.to_uppercase()),
                ("nothing but dots", "..".to_owned()),
                ("nothing", String::new()),
            ]))
            .await;
    });
}

#[test]
fn a_token_that_is_too_long_or_encrypted_is_refused() {
    on_shared(async |stack| {
        const MOST: usize = 8 * 1024;
        let forge = Forge::new(stack).await;
        let padded = |size: usize| forge.with_claim("pad", "x".repeat(size));
        let room = (MOST - padded(0).len()) / 4 * 3 - 3;
        assert!(padded(room).len() <= MOST && padded(room + 9).len() > MOST);
        forge.asked_with(&padded(room), "/v1/me").await.expect(200);

        let mut header = josekit::jwe::JweHeader::new();
        header.set_token_type("at+jwt");
        header.set_key_id(forge.header["kid"].as_str().unwrap());
        header.set_content_encryption("A256GCM");
        let encrypter = josekit::jwe::RSA_OAEP_256.encrypter_from_pem(forge.public().public_key_to_pem().unwrap());
        let payload = josekit::jwt::JwtPayload::from_map(forge.claims.as_object().unwrap().clone()).unwrap();
        let encrypted = josekit::jwt::encode_with_encrypter(&payload, &header, &encrypter.unwrap()).unwrap();
        assert_eq!(encrypted.split('.').count(), 5);
        let attacks =
            [("9 bytes too many", padded(room + 9)), ("half as long again", padded(MOST)), ("JWE", encrypted)];
        forge.refused(named(attacks)).await;

        // More than any head may hold is not even looked at.
        let reply = forge.asked_with(&padded(1 << 16), "/v1/me").await;
        assert!((400..500).contains(&reply.status), "{}", reply.status);
    });
}

#[test]
fn two_authorization_headers_are_refused() {
    on_shared(async |stack| {
        let forge = Forge::new(stack).await;
        forge.good().await;
        let good = format!("Bearer {}", forge.token);
        for (first, second) in [
            (&*good, &*good),
            (&good, "Bearer x"),
            ("Bearer x", &good),
            (&good, "Basic YTpi"),
            ("Basic YTpi", &good),
            (&good, ""),
            ("", &good),
        ] {
            let call = stack.anonymous().get("/v1/me").header("authorization", first).header("authorization", second);
            assert_refused(&call.send().await, &format!("{first:.8} and {second:.8}"));
            // In other letters, too.
            let request = format!(
                "GET /v1/me HTTP/1.1\r\nhost: test\r\nconnection: close\r\nAUTHORIZATION: {first}\r\nAuthorization: {second}\r\n\r\n"
            );
            let answer = raw_exchange(&stack.apis[0].url, request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 401 "), "{first:.8} and {second:.8}: {answer}");
        }
        for scheme in ["Basic", "Token", "DPoP", "", "Bearer:", "JWT"] {
            let call = stack.anonymous().get("/v1/me").header("authorization", format!("{scheme} {}", forge.token));
            assert_refused(&call.send().await, scheme);
        }
        let call = stack.anonymous().get("/v1/me").header("authorization", &forge.token);
        assert_refused(&call.send().await, "without a scheme");
        stack.anonymous().get("/v1/me").header("authorization", &good).send().await.expect(200);
    });
}

/// Each kind of token opens its own door only.
#[test]
fn a_token_for_something_else_is_refused() {
    on_shared(async |stack| {
        let forge = Forge::new(stack).await;
        let log_in = json!({ "email": forge.person.email, "password": forge.person.password });
        let refresh =
            stack.anonymous().post("/v1/auth/login", &log_in).send().await.expect(200)["refresh_token"].clone();
        let authenticator = Authenticator::enrol(&forge.person.client).await;
        let mfa = forge.person.mfa_token().await;
        let renamed = forge.signed(&forge.header, &part(&mfa, 1));
        let refresh = refresh.as_str().unwrap();
        forge
            .refused(named([
                ("a refresh token", refresh),
                ("an MFA token", &mfa),
                ("an MFA token that says it is another", &renamed),
            ]))
            .await;

        let client = stack.anonymous();
        let second_step = async |token: &str| {
            let body = json!({ "mfa_token": token, "code": authenticator.code(0) });
            client.post("/v1/auth/mfa", &body).send().await
        };
        let as_mfa = forge.with_header("typ", "mfa+jwt");
        for (name, token) in [("access", &*forge.token), ("refresh", refresh), ("none", ""), ("renamed", &renamed)] {
            let reply = second_step(token).await;
            assert_eq!((reply.status, &*reply.code()), (401, "invalid_mfa_token"), "{name}: {}", reply.text());
        }
        for (name, token) in [("access", &*forge.token), ("MFA", &mfa), ("none", ""), ("renamed", &as_mfa)] {
            let reply = client.post("/v1/auth/refresh", &json!({ "refresh_token": token })).send().await;
            assert_eq!((reply.status, &*reply.code()), (401, "invalid_refresh_token"), "{name}: {}", reply.text());
        }
        second_step(&mfa).await.expect(200);
        client.post("/v1/auth/refresh", &json!({ "refresh_token": refresh })).send().await.expect(200);
    });
}

/// The token is as good as its session and its account are now.
#[test]
fn a_token_of_what_is_over_is_refused() {
    on_shared(async |stack| {
        let forge = Forge::new(stack).await;
        let other = Forge::new(stack).await;
        let others_session = forge.with_claim("sid", other.claims["sid"].clone());
        let others_account = forge.with_claim("sub", other.claims["sub"].clone());
        forge.refused(named([("another's session", others_session), ("another's account", others_account)])).await;

        forge.person.client.call("POST", "/v1/auth/logout").send().await.expect(204);
        assert_refused(&forge.asked_with(&forge.token, "/v1/me").await, "an ended session");
        let fresh = forge.with_claim("jti", uuid::Uuid::now_v7().to_string());
        assert_refused(&forge.asked_with(&fresh, "/v1/doctors").await, "a new token of an ended session");

        let admin = stack.admin().await;
        other.good().await;
        let deactivate = format!("/v1/admin/accounts/{}/deactivate", other.person.id);
        admin.client.call("POST", &deactivate).send().await.expect(204);
        assert_refused(&other.asked_with(&other.token, "/v1/me").await, "a closed account");

        // A role is lowered by whoever runs the database; processes see it when what they remember of the session is over.
        let lowered = stack.doctor_account("doctor").await;
        lowered.client.get("/v1/me").send().await.expect(200);
        let statement =
            format!("UPDATE accounts SET role = 'patient', version = version + 1 WHERE id = '{}'", lowered.id);
        assert_eq!(stack.sql().await.execute(&statement).await, 1);
        until("the role is lowered", SOON, async || lowered.client.get("/v1/me").send().await.status == 401).await;
        assert_refused(&lowered.client.get("/v1/me").send().await, "a lowered role");
        let body = json!({ "email": lowered.email, "password": lowered.password });
        let again = stack.anonymous().post("/v1/auth/login", &body).send().await.expect(200);
        assert_eq!(part(again["access_token"].as_str().unwrap(), 1)["role"], "patient");
    });
}
