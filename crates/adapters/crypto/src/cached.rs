//! Tokens that have been checked before are not checked again: checking a signature is the dearest part of a request that
//! the database has nothing to do with.

use amrutam_identity::ports::{AccessClaims, InvalidToken, MfaClaims, TokenVerifier};
use jiff::Timestamp;
use moka::sync::Cache;
use openssl::sha::Sha256;
use std::{fmt, sync::Arc};

/// Tokens of that many callers are remembered; the least used are forgotten first.
/// Some 300 bytes each.
const CAPACITY: u64 = 50_000;

/// A verifier whose keys change while it is used.
pub trait Rekeyed: TokenVerifier {
    /// A digest of the keys in use.
    fn keys_in_use(&self) -> [u8; 32];
}

/// Remembers what `V` has accepted, under a SHA-256 of the token and the keys in use: the memory holds nothing that could
/// be presented, and a key that was withdrawn takes its tokens along. What is refused is not remembered.
pub struct CachedTokens<V> {
    verifier: Arc<V>,
    accepted: Cache<[u8; 32], Accepted>,
}

#[derive(Clone)]
struct Accepted {
    at: Timestamp,
    claims: AccessClaims,
}

impl<V: Rekeyed> CachedTokens<V> {
    /// Remembers what this one accepts.
    pub fn new(verifier: Arc<V>) -> Self {
        Self { verifier, accepted: Cache::new(CAPACITY) }
    }

    fn name(&self, token: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(&self.verifier.keys_in_use());
        hash.update(token.as_bytes());
        hash.finish()
    }
}

impl<V: Rekeyed> TokenVerifier for CachedTokens<V> {
    fn verify_access(&self, token: &str, now: Timestamp) -> Result<AccessClaims, InvalidToken> {
        let name = self.name(token);
        if let Some(known) = self.accepted.get(&name) {
            // What was in force then is so until it ends. Outside, where a leeway may count, the verifier decides.
            if known.at <= now && now < known.claims.expires_at {
                return Ok(known.claims);
            }
            self.accepted.invalidate(&name);
        }
        let claims = self.verifier.verify_access(token, now)?;
        self.accepted.insert(name, Accepted { at: now, claims: claims.clone() });
        Ok(claims)
    }

    /// Each is presented once or twice, so there is nothing to gain.
    fn verify_mfa(&self, token: &str, now: Timestamp) -> Result<MfaClaims, InvalidToken> {
        self.verifier.verify_mfa(token, now)
    }
}

impl<V: fmt::Debug> fmt::Debug for CachedTokens<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedTokens").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amrutam_identity::model::Assurance;
    use amrutam_kernel::{AccountId, Role, SessionId};
    use jiff::SignedDuration;
    use std::sync::{
        Mutex,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    };
    use uuid::Uuid;

    /// Accepts the tokens it is told to, with a minute's leeway, and counts how often it is asked.
    #[derive(Clone, Default)]
    struct Counting {
        good: Arc<Mutex<Vec<(String, AccessClaims)>>>,
        asked: Arc<AtomicUsize>,
        keys: Arc<AtomicU8>,
    }

    impl TokenVerifier for Counting {
        fn verify_access(&self, token: &str, now: Timestamp) -> Result<AccessClaims, InvalidToken> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let minute = SignedDuration::from_mins(1);
            let good = self.good.lock().unwrap();
            let found = good.iter().find(|(known, _)| known == token).map(|(_, claims)| claims);
            let in_force =
                |claims: &&AccessClaims| claims.issued_at - minute <= now && now < claims.expires_at + minute;
            found.filter(in_force).cloned().ok_or(InvalidToken)
        }

        fn verify_mfa(&self, _: &str, _: Timestamp) -> Result<MfaClaims, InvalidToken> {
            Err(InvalidToken)
        }
    }

    impl Rekeyed for Counting {
        fn keys_in_use(&self) -> [u8; 32] {
            [self.keys.load(Ordering::SeqCst); 32]
        }
    }

    fn issued() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    fn after(seconds: i64) -> Timestamp {
        issued() + SignedDuration::from_secs(seconds)
    }

    fn claims(account: u128) -> AccessClaims {
        AccessClaims {
            account: AccountId::from_uuid(Uuid::from_u128(account)),
            session: SessionId::from_uuid(Uuid::from_u128(2)),
            role: Role::Patient,
            assurance: Assurance::Password,
            issued_at: issued(),
            expires_at: after(900),
        }
    }

    fn with(tokens: &[(&str, u128)]) -> (CachedTokens<Counting>, Counting) {
        let counting = Counting::default();
        *counting.good.lock().unwrap() = tokens.iter().map(|(name, who)| ((*name).to_owned(), claims(*who))).collect();
        (CachedTokens::new(Arc::new(counting.clone())), counting)
    }

    #[test]
    fn a_token_is_checked_once_and_is_its_own_callers() {
        let (cached, counting) = with(&[("a", 1), ("b", 2)]);
        for _ in 0..3 {
            assert_eq!(cached.verify_access("a", after(1)), Ok(claims(1)));
            assert_eq!(cached.verify_access("b", after(1)), Ok(claims(2)));
        }
        assert_eq!(counting.asked.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn what_is_remembered_ends_with_its_lifetime() {
        let (cached, counting) = with(&[("a", 1)]);
        let asked = || counting.asked.swap(0, Ordering::SeqCst);
        assert!(cached.verify_access("a", after(1)).is_ok());
        assert!(cached.verify_access("a", after(899)).is_ok());
        assert_eq!(asked(), 1);
        // In the leeway, after it, and before the instant at which it was accepted: the verifier's to say.
        assert!(cached.verify_access("a", after(900)).is_ok());
        assert!(cached.verify_access("a", after(960)).is_err());
        assert!(cached.verify_access("a", after(-61)).is_err());
        assert_eq!(asked(), 3);
    }

    #[test]
    fn a_refusal_is_not_remembered() {
        let (cached, counting) = with(&[]);
        assert!(cached.verify_access("a", after(1)).is_err());
        counting.good.lock().unwrap().push(("a".to_owned(), claims(1)));
        assert!(cached.verify_access("a", after(1)).is_ok());
        assert_eq!(counting.asked.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn another_set_of_keys_remembers_nothing() {
        let (cached, counting) = with(&[("a", 1)]);
        assert!(cached.verify_access("a", after(1)).is_ok());
        counting.good.lock().unwrap().clear();
        assert!(cached.verify_access("a", after(1)).is_ok());
        counting.keys.store(1, Ordering::SeqCst);
        assert!(cached.verify_access("a", after(1)).is_err());
    }

    #[test]
    fn the_memory_is_bounded() {
        let count = usize::try_from(CAPACITY).unwrap() + 2_000;
        let (cached, _) = with(&[]);
        for n in 0..count {
            cached
                .accepted
                .insert(openssl::sha::sha256(&n.to_be_bytes()), Accepted { at: issued(), claims: claims(1) });
        }
        cached.accepted.run_pending_tasks();
        assert!(cached.accepted.entry_count() <= CAPACITY, "{}", cached.accepted.entry_count());
    }
}
