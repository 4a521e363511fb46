//! One-time codes, links' tokens, randomness, blind indexes.

use super::{id, random};
use crate::{
    model::{STEP_SECONDS, Step, TotpSecret},
    ports::{SecretSource, Totp},
};
use amrutam_kernel::{BlindIndex, LinkId, LinkPurpose, LinkTokens};
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use jiff::Timestamp;
use std::{collections::BTreeSet, sync::Arc};

/// RFC 6238, appendix B: the SHA-1 column, of whose eight digits six are shown.
pub async fn codes_are_those_of_the_rfc(totp: &Arc<dyn Totp>) {
    let secret = TotpSecret::from_bytes(*b"12345678901234567890");
    for (seconds, code) in [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ] {
        let step = Step::at(Timestamp::from_second(seconds).unwrap());
        assert_eq!(step, Step(seconds / STEP_SECONDS));
        assert_eq!(totp.code(&secret, step).expose(), code, "at {seconds}");
    }
    let other = TotpSecret::from_bytes(*b"12345678901234567891");
    assert_ne!(totp.code(&other, Step(1)).expose(), "287082");
}

/// The same secret three times, and nothing in the picture that a browser would run or fetch.
pub async fn an_enrolment_carries_the_secret(totp: &Arc<dyn Totp>) {
    let bytes = *b"\x00\xff345678901234567890";
    let email = "asha+one@example.in".parse().unwrap();
    let enrolment = totp.enrolment(&TotpSecret::from_bytes(bytes), &email).unwrap();
    assert_eq!(enrolment.secret.expose(), &BASE32_NOPAD.encode(&bytes));
    let uri = enrolment.otpauth_uri.expose();
    assert!(uri.starts_with("otpauth://totp/") && uri.is_ascii() && !uri.contains(' '), "{uri}");
    assert!(uri.contains(&format!("secret={}", enrolment.secret.expose())) && uri.contains("issuer="), "{uri}");
    for (parameter, ours) in [("algorithm=", "algorithm=SHA1"), ("digits=", "digits=6"), ("period=", "period=30")] {
        assert!(!uri.contains(parameter) || uri.contains(ours), "{uri}");
    }
    let svg = enrolment.qr_svg.expose();
    assert!(svg.contains("<svg") && svg.trim_end().ends_with("</svg>"), "{svg:.60}");
    for bad in ["<script", "href", "<image", "url(", "onload"] {
        assert!(!svg.contains(bad), "{bad} in the picture");
    }
}

/// What the links' suite works with.
#[derive(Clone)]
pub struct Links {
    /// Under test.
    pub ours: Arc<dyn LinkTokens>,
    /// The same with another key.
    pub strangers: Arc<dyn LinkTokens>,
}

/// The same one every time: the worker that sends the mail makes what the api stored the hash of.
pub async fn a_links_token_follows_from_its_id(links: &Links) {
    let link = LinkId::from_uuid(id("2026-11-23T03:30:00Z".parse().unwrap()));
    for purpose in LinkPurpose::ALL {
        let token = links.ours.token(purpose, link);
        assert_eq!(token, links.ours.token(purpose, link));
        let bytes = BASE64URL_NOPAD.decode(token.expose().as_bytes()).unwrap();
        assert_eq!((bytes.len(), &bytes[..16]), (48, link.as_uuid().as_bytes().as_slice()));
    }
}

/// Neither from another id, nor for another purpose, nor without the key.
pub async fn a_links_token_is_nobody_elses(links: &Links) {
    let now = "2026-11-23T03:30:00Z".parse().unwrap();
    let mut macs = BTreeSet::new();
    for link in [id(now), id(now)].map(LinkId::from_uuid) {
        for purpose in LinkPurpose::ALL {
            for maker in [&links.ours, &links.strangers] {
                let token = maker.token(purpose, link).into_exposed();
                assert!(macs.insert(token[22..].to_owned()), "{purpose}");
            }
        }
    }
}

/// All of the bytes, of any length, and never the same.
pub async fn secrets_are_filled_and_differ(secrets: &Arc<dyn SecretSource>) {
    let mut seen = BTreeSet::new();
    for length in [0, 1, 15, 20, 32, 1000] {
        for _ in 0..3 {
            let mut bytes = vec![0; length];
            secrets.fill(&mut bytes).unwrap();
            assert!(length < 15 || seen.insert(bytes.clone()), "twice the same {length} bytes");
            // Twenty zeros in a row are an accident of one in 2^150.
            assert!(!bytes.windows(20).any(|window| window.iter().all(|byte| *byte == 0)));
        }
    }
}

/// What the blind index's suite works with.
#[derive(Clone)]
pub struct Indexes {
    /// Under test.
    pub ours: Arc<dyn BlindIndex>,
    /// The same with another key.
    pub strangers: Arc<dyn BlindIndex>,
}

/// By value, column and key, and by nothing else.
pub async fn a_digest_finds_its_value_and_no_other(indexes: &Indexes) {
    let word = format!("{:x}@example.in", random());
    assert_eq!(indexes.ours.digest("account.email", &word), indexes.ours.digest("account.email", &word));
    let mut seen = BTreeSet::new();
    for index in [&indexes.ours, &indexes.strangers] {
        for (column, value) in [
            ("account.email", &*word),
            ("account.phone", &*word),
            ("account.emai", &format!("l{word}")),
            ("account.email", &word[1..]),
            ("account.email", ""),
            ("", &word),
        ] {
            assert!(seen.insert(index.digest(column, value)), "{column}");
        }
    }
}
