//! The suites every implementation passes.

use crate::support::{self, SECRETS, bundle};
use amrutam_crypto::{Argon2Hasher, HasherSettings, HmacBlindIndex, HmacLinkTokens, Rfc6238, SystemSecrets};
use amrutam_identity::{
    contract::{Indexes, Links, Tokens},
    ports::{PasswordHasher, SecretSource, Totp},
};
use amrutam_kernel::{BlindIndex, LinkId, LinkPurpose, LinkTokens};
use std::sync::Arc;
use uuid::Uuid;

mod hasher {
    use super::*;

    async fn hasher() -> Arc<dyn PasswordHasher> {
        Arc::new(Argon2Hasher::new(HasherSettings::default()).unwrap())
    }

    amrutam_identity::password_hasher_contract!(hasher());
}

mod tokens {
    use super::*;

    async fn tokens() -> Tokens {
        let ours = Arc::new(support::tokens());
        let stranger = support::tokens_of(&[("k1.pem", support::pem(1))]);
        Tokens { issuer: ours.clone(), verifier: ours, stranger: Arc::new(stranger) }
    }

    amrutam_identity::tokens_contract!(tokens());
}

mod totp {
    use super::*;

    async fn totp() -> Arc<dyn Totp> {
        Arc::new(Rfc6238::new("Amrutam"))
    }

    amrutam_identity::totp_contract!(totp());
}

mod links {
    use super::*;

    async fn links() -> Links {
        let maker = |secret| Arc::new(HmacLinkTokens::new(&bundle(&[("k1.link", secret)])).unwrap());
        Links { ours: maker(SECRETS[0]), strangers: maker(SECRETS[1]) }
    }

    amrutam_identity::link_tokens_contract!(links());
}

mod secrets {
    use super::*;

    async fn secrets() -> Arc<dyn SecretSource> {
        Arc::new(SystemSecrets)
    }

    amrutam_identity::secret_source_contract!(secrets());
}

mod indexes {
    use super::*;

    async fn indexes() -> Indexes {
        let maker = |secret| Arc::new(HmacBlindIndex::new(&bundle(&[("k1.index", secret)])).unwrap());
        Indexes { ours: maker(SECRETS[0]), strangers: maker(SECRETS[1]) }
    }

    amrutam_identity::blind_index_contract!(indexes());
}

/// Made by another implementation of HMAC (`openssl mac -digest SHA256 -macopt hexkey:0101.. HMAC`): what is stored today must
/// be found by tomorrow's version.
#[test]
fn macs_are_those_of_another_implementation() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mac = |parts: &[&[u8]]| {
        let key = openssl::pkey::PKey::hmac(&[1; 32]).unwrap();
        let mut signer = openssl::sign::Signer::new(openssl::hash::MessageDigest::sha256(), &key).unwrap();
        parts.iter().for_each(|part| signer.update(part).unwrap());
        signer.sign_to_vec().unwrap()
    };
    let id = Uuid::from_u128(7);
    let links = HmacLinkTokens::new(&bundle(&[("k1.link", SECRETS[0])])).unwrap();
    let token = links.token(LinkPurpose::ResetPassword, LinkId::from_uuid(id)).into_exposed();
    let expected = [id.as_bytes().to_vec(), mac(&[b"reset_password", id.as_bytes()])].concat();
    assert_eq!(token, URL_SAFE_NO_PAD.encode(expected));

    let index = HmacBlindIndex::new(&bundle(&[("k1.index", SECRETS[0])])).unwrap();
    let expected = mac(&[&13_u64.to_be_bytes(), b"account.email", &15_u64.to_be_bytes(), b"asha@example.in"]);
    assert_eq!(index.digest("account.email", "asha@example.in"), expected[..16]);
}

/// An authenticator reads what the URI says; the picture says the same.
#[test]
fn an_enrolment_names_us_and_its_owner() {
    let secret = amrutam_identity::model::TotpSecret::from_bytes(*b"12345678901234567890");
    let email = "o'neil+%2f&issuer=evil@example.in".parse().unwrap();
    let enrolment = Rfc6238::new("Amrutam & Co").enrolment(&secret, &email).unwrap();
    let uri = enrolment.otpauth_uri.expose();
    let parsed = totp_rs::Totp::from_url(uri).unwrap();
    assert_eq!((parsed.issuer(), parsed.account_name()), (Some("Amrutam & Co"), email.as_str()));
    assert_eq!(uri.matches("issuer=").count(), 1, "{uri}");
    let path = enrolment.qr_svg.expose().matches('M').count();
    assert!(path > 200, "{path} modules");
    assert!(Rfc6238::new("Amrutam: Telemedicine").enrolment(&secret, &email).is_err(), "a colon would end the name");
}
