//! One-time codes, recovery codes, refresh tokens.

use crate::start;
use amrutam_identity::model::{
    RECOVERY_CODE_BYTES, RecoveryCode, RefreshToken, SecretDigest, Step, TotpSecret, matching_step,
};
use amrutam_identity::ports::Totp;
use amrutam_kernel::{Sensitive, SessionId};
use amrutam_memory::MemoryTotp;
use jiff::SignedDuration;
use proptest::prelude::*;
use uuid::Uuid;

fn typed(text: impl Into<String>) -> Sensitive<String> {
    Sensitive::new(text.into())
}

proptest! {
    /// The step before, this one and the next; never one that is not after the last one used.
    #[test]
    fn a_code_is_good_for_its_step_and_both_neighbours(
        secret in any::<[u8; 20]>(), seconds in 0_i64..4_000_000_000, apart in -4_i64..=4, used in proptest::option::of(-4_i64..=4),
    ) {
        let (secret, now) = (TotpSecret::from_bytes(secret), jiff::Timestamp::from_second(seconds).unwrap());
        let current = seconds / 30;
        let code = MemoryTotp.code(&secret, Step(current + apart));
        // Codes of near steps are equal once in a million: then another step may rightly match.
        let nearby: Vec<_> = (-5..=5).map(|n| MemoryTotp.code(&secret, Step(current + n)).into_exposed()).collect();
        prop_assume!(nearby.iter().filter(|other| *other == code.expose()).count() == 1);
        let used = used.map(|used| Step(current + used));
        let expected = (apart.abs() <= 1 && used.is_none_or(|used| Step(current + apart) > used)).then_some(Step(current + apart));
        prop_assert_eq!(matching_step(&MemoryTotp, &secret, &code, used, now), expected);
    }
}

#[test]
fn a_code_is_typed_in_one_way_or_with_a_space() {
    let (secret, now) = (TotpSecret::from_bytes(*b"12345678901234567890"), start());
    let step = Step::at(now);
    let code = MemoryTotp.code(&secret, step).into_exposed();
    let (head, tail) = code.split_at(3);
    let matches = |text: String| matching_step(&MemoryTotp, &secret, &typed(text), None, now);
    assert_eq!(matches(code.clone()), Some(step));
    assert_eq!(matches(format!(" {head} {tail}\n")), Some(step));
    for bad in [
        "".to_owned(),
        head.to_owned(),
        format!("{code}0"),
        format!("0{code}"),
        format!("{head}-{tail}"),
        "\u{0966}".repeat(6),
    ] {
        assert_eq!(matches(bad.clone()), None, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn a_recovery_code_is_read_as_people_write(
        secret in any::<[u8; RECOVERY_CODE_BYTES]>(), lower in any::<bool>(), spaced in any::<bool>(), lookalike in any::<bool>(),
    ) {
        let code = RecoveryCode::new(&secret);
        let shown = code.in_groups().into_exposed();
        prop_assert_eq!(shown.len(), 29);
        prop_assert!(shown.split('-').all(|group| group.len() == 4));
        let mut written = shown.clone();
        if lower {
            written = written.to_lowercase();
        }
        if spaced {
            written = written.replace('-', " ");
        }
        if lookalike {
            written = written.replace(['O', 'o'], "0").replace(['I', 'i'], "1").replace(['B', 'b'], "8");
        }
        let read = RecoveryCode::parse(&typed(written.clone()));
        prop_assert_eq!(read.map(|read| read.digest()), Some(code.digest()));
        let cut: String = written.chars().take(28).collect();
        for bad in [cut, format!("{written}A"), format!("{written}!"), shown.replacen('-', "_", 1)] {
            prop_assert!(RecoveryCode::parse(&typed(bad.clone())).is_none(), "{}", bad);
        }
    }

    #[test]
    fn a_refresh_token_has_one_spelling(secret in any::<[u8; 32]>(), generation in any::<u32>(), session in any::<u128>()) {
        let token = RefreshToken::new(SessionId::from_uuid(Uuid::from_u128(session)), generation, &secret);
        let digest = token.digest();
        let text = token.into_text();
        let read = RefreshToken::parse(&text).unwrap();
        prop_assert_eq!(read.digest(), digest);
        prop_assert_eq!(SecretDigest::of(text.expose()), digest, "what is stored is of what is sent");
        let text = text.into_exposed();
        for bad in [format!("{text}="), format!("{text}A"), text[1..].to_owned(), format!(" {text}"), String::new()] {
            prop_assert!(RefreshToken::parse(&typed(bad)).is_none());
        }
    }
}

#[test]
fn other_secrets_are_other_tokens_and_none_shows_itself() {
    let session = SessionId::from_uuid(Uuid::nil());
    let one = RefreshToken::new(session, 1, &[1; 32]);
    for other in [
        RefreshToken::new(session, 1, &[2; 32]),
        RefreshToken::new(session, 2, &[1; 32]),
        RefreshToken::new(SessionId::from_uuid(Uuid::max()), 1, &[1; 32]),
    ] {
        assert_ne!(one.digest(), other.digest());
    }
    let secret = TotpSecret::from_bytes([7; 20]);
    let code = RecoveryCode::new(&[7; RECOVERY_CODE_BYTES]);
    let shown = format!("{one:?} {:?} {secret:?} {code:?}", one.digest());
    for part in [&one.clone().into_text().into_exposed()[8..], "7, 7", &code.in_groups().into_exposed()[..4]] {
        assert!(!shown.contains(part), "{shown}");
    }
    assert_eq!(Step::at(start() + SignedDuration::from_secs(30)), Step(Step::at(start()).0 + 1));
}
