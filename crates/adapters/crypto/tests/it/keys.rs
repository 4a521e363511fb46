//! Keys as they are kept: names, contents, permissions.

use crate::support::{SECRETS, TempDir, bundle, pair, parsed, pem, public_pem};
use amrutam_crypto::{
    AesGcmSealer, HmacBlindIndex, HmacLinkTokens, JwtTokens, KeyBundle, KeyDir, KeyError, KeyProvider, Keys,
    ManageError, SystemClock, generate_missing,
};
use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

fn now() -> jiff::Timestamp {
    "2026-08-03T05:00:00Z".parse().unwrap()
}

fn names(dir: &TempDir) -> Vec<String> {
    let names = fs::read_dir(&dir.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn what_is_missing_is_made_for_its_owner_alone_and_nothing_is_overwritten() {
    let temp = TempDir::new();
    let dir = temp.0.join("keys");
    let made = generate_missing(&dir, "2026-08-01", now()).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((made.len(), mode(&dir)), (5, 0o700));
    assert!(made.iter().all(|path| mode(path) == 0o600));
    let keys = Keys::load(KeyDir::new(&dir)).unwrap();
    assert!(JwtTokens::new(crate::support::settings(), &keys).is_ok());
    assert!(AesGcmSealer::new(&keys, Arc::new(SystemClock)).is_ok());
    assert!(HmacBlindIndex::new(&keys).is_ok() && HmacLinkTokens::new(&keys).is_ok());
    assert!(amrutam_crypto::audit_signer(&keys, "log.example").is_ok());

    let content = |path: &std::path::PathBuf| fs::read(path).unwrap();
    let before: Vec<_> = made.iter().map(content).collect();
    assert_eq!(generate_missing(&dir, "2026-08-02", now()).unwrap(), Vec::<std::path::PathBuf>::new());
    fs::remove_file(&made[2]).unwrap();
    assert_eq!(generate_missing(&dir, "2026-08-01", now()).unwrap(), [made[2].clone()]);
    assert_ne!(content(&made[2]), before[2]);
    for untouched in [0, 1, 3, 4] {
        assert_eq!(content(&made[untouched]), before[untouched]);
    }
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 5, "nothing is left aside");
}

#[test]
fn a_key_is_never_written_over_another() {
    let temp = TempDir::new();
    // No key by its name's kind, so it is not seen; the name is taken all the same.
    fs::create_dir(temp.0.join("k1.link")).unwrap();
    assert!(generate_missing(&temp.0, "k1", now()).is_err());
    let temp = TempDir::new();
    generate_missing(&temp.0, "k1", now()).unwrap();
    let before = fs::read(temp.0.join("k1.pem")).unwrap();
    let rotated = amrutam_crypto::rotate(&temp.0, "k1", amrutam_crypto::Rotatable::Signing, false, now());
    assert!(matches!(rotated, Err(ManageError::Exists { .. })));
    assert_eq!(fs::read(temp.0.join("k1.pem")).unwrap(), before);
    assert_eq!(names(&temp), ["k1.audit", "k1.index", "k1.kek", "k1.link", "k1.pem"]);
}

#[test]
fn a_key_id_is_no_path() {
    let temp = TempDir::new();
    for id in ["", "../x", "a/b", "a.pub", "a b", &"x".repeat(65)] {
        let made = generate_missing(&temp.0, id, now());
        assert!(matches!(made, Err(ManageError::Key(KeyError::InvalidKeyId))), "{id}");
    }
    for name in ["a b.kek", ".pem", ".pub.pem", "a.b.index"] {
        let temp = TempDir::new();
        temp.write(name, "x", 0o600);
        assert!(matches!(KeyDir::new(&temp.0).keys(), Err(KeyError::Unusable { .. })), "{name}");
    }
}

#[test]
fn others_may_not_read_a_private_key() {
    for mode in [0o604, 0o644, 0o660, 0o620, 0o601, 0o777] {
        for name in ["k1.pem", "k1.kek", "k1.index", "k1.link"] {
            let temp = TempDir::new();
            temp.write(name, "x", mode);
            let error = KeyDir::new(&temp.0).keys().unwrap_err();
            assert!(error.to_string().contains("chmod 600"), "{name} {mode:o}: {error}");
        }
    }
    let temp = TempDir::new();
    temp.write("k1.pem", pem(0), 0o440);
    temp.write("k2.pub.pem", &public_pem(1), 0o644);
    temp.write("README", "passed over", 0o644);
    assert_eq!(KeyDir::new(&temp.0).keys().unwrap().len(), 2, "the group of an orchestrator may read");
}

#[test]
fn weak_and_odd_keys_are_refused() {
    let ec = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
    let ec = openssl::pkey::PKey::from_ec_key(openssl::ec::EcKey::generate(&ec).unwrap()).unwrap();
    let ec = String::from_utf8(ec.private_key_to_pem_pkcs8().unwrap()).unwrap();
    let weak_public = String::from_utf8(pair(2).public_key_to_pem().unwrap()).unwrap();
    let (good, public) = (pem(0), public_pem(0));
    let short = &SECRETS[0][2..];
    for files in [
        vec![("k1.pem", pem(2))],
        vec![("k1.pem", good), ("k2.pub.pem", &weak_public)],
        vec![("k1.pem", &public)],
        vec![("k1.pem", &ec)],
        vec![("k1.pem", good), ("k2.pub.pem", good)],
        vec![("k1.pem", good), ("k1.pub.pem", &public)],
        vec![("k1.pem", "not a key")],
        vec![("k1.kek", short)],
        vec![("k1.index", "")],
        vec![("k1.link", "AgI=")],
        vec![("k1.link", SECRETS[0]), ("k2.link", SECRETS[0])],
        vec![("k1.index", SECRETS[0]), ("k2.index", SECRETS[1])],
        vec![("k1.kek", "Use-From: tomorrow\nAgI=")],
        vec![("k1.kek", "Use-From: 2026-08-03T05:00:00Z")],
    ] {
        let names: Vec<_> = files.iter().map(|f| f.0).collect();
        let error = Keys::load(parsed(&files)).map(drop).unwrap_err();
        assert!(matches!(error, KeyError::Unusable { .. }), "{names:?}: {error}");
    }
    let missing = bundle(&[("k1.pem", good)]);
    let errors = [
        AesGcmSealer::new(&missing, Arc::new(SystemClock)).map(drop).unwrap_err(),
        HmacBlindIndex::new(&missing).map(drop).unwrap_err(),
        HmacLinkTokens::new(&missing).map(drop).unwrap_err(),
    ];
    for (error, wanted) in errors.iter().zip(["sealing", "blind-index", "link"]) {
        assert!(error.to_string().starts_with(&format!("there is no {wanted} key")), "{error}");
    }
}

/// As an environment variable holds them.
#[test]
fn a_bundle_holds_what_a_directory_holds() {
    let temp = TempDir::new();
    generate_missing(&temp.0, "k1", now()).unwrap();
    let files: std::collections::BTreeMap<_, _> =
        names(&temp).into_iter().map(|name| (name.clone(), fs::read_to_string(temp.0.join(name)).unwrap())).collect();
    let bundled = Keys::load(KeyBundle::parse(&serde_json::to_string(&files).unwrap()).unwrap()).unwrap();
    let kept = Keys::load(KeyDir::new(&temp.0)).unwrap();
    let jwks = |keys| JwtTokens::new(crate::support::settings(), keys).unwrap().jwks();
    assert_eq!(jwks(&bundled), jwks(&kept));
    assert!(!bundled.reload().unwrap(), "it never changes");
    for text in ["", "[]", "{", r#"{"k1.pem": 1}"#, r#"{"k1.txt": "x"}"#, r#"{"../k1.pem": "x"}"#] {
        let error = KeyBundle::parse(text).map(drop).unwrap_err();
        assert!(matches!(error, KeyError::Unusable { .. }), "{text}");
    }
    let shown = format!("{:?}", KeyBundle::parse(r#"{"k1.kek": "hunter2"}"#).unwrap());
    assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
}
