//! Keys that change while they are used.

use crate::prescriptions::signed_claims;
use crate::support::{SECRETS, TempDir, access, access_at, pem, public_pem, settings};
use amrutam_clinical::ports::PrescriptionSigner;
use amrutam_crypto::{
    AesGcmSealer, JwsPrescriptions, JwtTokens, KEY_PUBLISHED_AHEAD, KeyDir, KeyError, Keys, ManageError,
    RELOAD_INTERVAL, Rotatable, SystemClock, TOKENS_OUTLIVE_KEY, generate_missing, retire, rotate,
};
use amrutam_identity::ports::{InvalidToken, TokenVerifier};
use amrutam_kernel::{AccountId, Clock, Pause, SealPlace, Sealer};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::mpsc;
use uuid::Uuid;

fn begin() -> Timestamp {
    "2026-08-03T05:00:00Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    begin() + SignedDuration::from_secs(seconds)
}

struct Instance {
    keys: Keys,
    tokens: JwtTokens,
    /// Reads the directory at these seconds of every five.
    phase: i64,
}

impl Instance {
    fn new(dir: &TempDir, phase: i64) -> Self {
        let keys = Keys::load(KeyDir::new(&dir.0)).unwrap();
        Self { tokens: JwtTokens::new(settings(), &keys).unwrap(), keys, phase }
    }
}

/// Somebody else's, with a copy of `jwks.json` that is up to 300 seconds old.
struct Outsider {
    verifies: Vec<String>,
    fetched: i64,
}

fn ids(tokens: &JwtTokens) -> Vec<String> {
    tokens.jwks()["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Three instances that look at different times, an outsider with a cache, a token every 40 seconds from each, all checked by
/// all until they end: none is refused while the key is rotated and the old one retired as soon as that is allowed.
#[test]
fn no_token_is_refused_during_a_rotation() {
    const ROTATED: i64 = 301;
    let dir = TempDir::new();
    generate_missing(&dir.0, "old", after(-3_600)).unwrap();
    let instances = [0, 2, 4].map(|phase| Instance::new(&dir, phase));
    let mut outsider = Outsider { verifies: ids(&instances[0].tokens), fetched: 0 };
    let mut issued: Vec<(i64, String, String)> = Vec::new();
    let (mut rotated, mut retired, mut last_old, mut first_new) = (None, None, 0, 0);
    for second in 0..4_000 {
        let now = after(second);
        // Just after the outsider has fetched.
        if second == ROTATED {
            rotated = Some(rotate(&dir.0, "new", Rotatable::Signing, false, now).unwrap());
        }
        if second > ROTATED && second % 10 == 3 && retired.is_none() {
            match retire(&dir.0, "old", false, now) {
                Ok(_) => retired = Some(second),
                Err(ManageError::StillNeeded { until, .. }) => assert!(now < until),
                // Until its successor signs.
                Err(ManageError::InUse(_)) => assert!(second < ROTATED + KEY_PUBLISHED_AHEAD.as_secs()),
                Err(error) => panic!("{error}"),
            }
        }
        for instance in &instances {
            if second % 5 == instance.phase {
                instance.keys.reload().unwrap();
            }
        }
        if second - outsider.fetched >= 300 {
            outsider = Outsider { verifies: ids(&instances[1].tokens), fetched: second };
        }
        if second % 40 == 0 {
            for instance in &instances {
                let token = access_at(&instance.tokens, now);
                let kid = crate::forge::part(&token, 0)["kid"].as_str().unwrap().to_owned();
                if kid == "old" {
                    last_old = second;
                } else if first_new == 0 {
                    first_new = second;
                }
                issued.push((second, kid, token));
            }
        }
        issued.retain(|(at, ..)| second - at < 15 * 60);
        // Each instance at another second, or there is too much to check.
        let Some(instance) = instances.get(usize::try_from(second % 60 / 20).unwrap()).filter(|_| second % 20 == 0)
        else {
            continue;
        };
        for (at, kid, token) in &issued {
            assert!(instance.tokens.verify_access(token, now).is_ok(), "{kid} of {at} at {second}");
            assert!(outsider.verifies.contains(kid), "{kid} of {at} is unknown outside at {second}");
        }
    }
    let rotated = rotated.unwrap();
    assert_eq!((rotated.before.as_str(), rotated.use_from), ("old", after(ROTATED) + KEY_PUBLISHED_AHEAD));
    assert_eq!(rotated.retire_from, Some(rotated.use_from + TOKENS_OUTLIVE_KEY));
    let (takes_over, retired) = (ROTATED + KEY_PUBLISHED_AHEAD.as_secs(), retired.unwrap());
    assert!(last_old < takes_over && (takes_over..takes_over + 40).contains(&first_new), "{last_old} {first_new}");
    let allowed = takes_over + TOKENS_OUTLIVE_KEY.as_secs();
    assert!((allowed..allowed + 10).contains(&retired), "{retired}");
    assert_eq!(ids(&instances[2].tokens), ["new", "old"], "for prescriptions alone");
}

#[test]
fn a_retired_key_proves_prescriptions_and_no_token_until_it_is_removed_by_force() {
    let dir = TempDir::new();
    generate_missing(&dir.0, "old", after(-60)).unwrap();
    let instance = Instance::new(&dir, 0);
    let prescriptions = JwsPrescriptions::new(Arc::new(instance.tokens.clone()));
    let (token, jws) = (access_at(&instance.tokens, begin()), prescriptions.sign(&signed_claims(begin())).unwrap());
    rotate(&dir.0, "new", Rotatable::Signing, true, begin()).unwrap();
    retire(&dir.0, "old", false, begin() + TOKENS_OUTLIVE_KEY).unwrap();
    assert!(instance.keys.reload().unwrap());
    assert!(!dir.0.join("old.pem").exists(), "the private half is gone");
    assert_eq!(prescriptions.digest_in(&jws).as_deref(), Some("00"));
    assert_eq!(instance.tokens.verify_access(&token, begin()), Err(InvalidToken));
    let jwks = instance.tokens.jwks();
    assert_eq!((&jwks["keys"][1]["kid"], &jwks["keys"][1]["prescriptions_only"]), (&"old".into(), &true.into()));
    assert!(jwks["keys"][0].get("prescriptions_only").is_none());

    assert!(matches!(retire(&dir.0, "old", false, begin()), Err(ManageError::Unknown(_))), "retired already");
    retire(&dir.0, "old", true, begin()).unwrap();
    assert!(instance.keys.reload().unwrap());
    assert_eq!((prescriptions.digest_in(&jws), ids(&instance.tokens)), (None, vec!["new".to_owned()]));
}

#[test]
fn a_retired_key_verifies_nothing_any_more() {
    let dir = TempDir::new();
    generate_missing(&dir.0, "old", after(-60)).unwrap();
    let instance = Instance::new(&dir, 0);
    let token = access_at(&instance.tokens, begin());
    assert!(matches!(retire(&dir.0, "old", true, begin()), Err(ManageError::InUse(_))), "also by force");
    rotate(&dir.0, "new", Rotatable::Signing, true, begin()).unwrap();
    assert!(instance.keys.reload().unwrap());
    assert!(instance.tokens.verify_access(&token, begin()).is_ok(), "during the rotation it is good");
    let fresh = access_at(&instance.tokens, begin());
    assert_eq!(crate::forge::part(&fresh, 0)["kid"], "new", "at once was asked for");

    assert!(matches!(retire(&dir.0, "old", false, begin()), Err(ManageError::StillNeeded { .. })));
    assert!(instance.tokens.verify_access(&token, begin()).is_ok());
    retire(&dir.0, "old", true, begin()).unwrap();
    assert!(instance.keys.reload().unwrap());
    assert_eq!(instance.tokens.verify_access(&token, begin()), Err(InvalidToken));
    assert!(instance.tokens.verify_access(&fresh, begin()).is_ok());
    assert!(!dir.0.join("old.pem").exists());
    assert!(matches!(retire(&dir.0, "old", true, begin()), Err(ManageError::Unknown(_))));
    assert!(matches!(retire(&dir.0, "../new", true, begin()), Err(ManageError::Unknown(_))));
}

/// The clock that dates the next one may be behind that which dated this one.
#[test]
fn the_next_key_comes_after_the_one_before() {
    let dir = TempDir::new();
    generate_missing(&dir.0, "old", after(3_600)).unwrap();
    let rotated = rotate(&dir.0, "new", Rotatable::Signing, true, begin()).unwrap();
    assert!(rotated.use_from > after(3_600));
    let token = access_at(&Instance::new(&dir, 0).tokens, rotated.use_from);
    assert_eq!(crate::forge::part(&token, 0)["kid"], "new");
}

#[test]
fn what_says_nothing_of_its_time_is_retired_by_force_only() {
    let dir = TempDir::new();
    dir.write("k1.pem", pem(0), 0o600);
    dir.write("k2.pem", pem(1), 0o600);
    dir.write("k0.pub.pem", &public_pem(2), 0o600);
    assert!(matches!(retire(&dir.0, "k2", false, begin()), Err(ManageError::Key(_))), "a weak key is there");
    fs::remove_file(dir.0.join("k0.pub.pem")).unwrap();
    assert!(matches!(retire(&dir.0, "k2", false, begin()), Err(ManageError::InUse(_))));
    assert!(matches!(retire(&dir.0, "k1", false, begin()), Err(ManageError::UnknownSince(_))));
    retire(&dir.0, "k1", true, begin()).unwrap();
    let nothing = TempDir::new();
    let rotated = rotate(&nothing.0, "k1", Rotatable::Signing, false, begin());
    assert!(matches!(rotated, Err(ManageError::Key(KeyError::Missing { .. }))));
}

/// A reload that fails or would lose what data hangs on changes nothing.
#[test]
fn what_is_in_use_stays_when_the_directory_is_broken() {
    let dir = TempDir::new();
    generate_missing(&dir.0, "k1", begin()).unwrap();
    let instance = Instance::new(&dir, 0);
    let token = access_at(&instance.tokens, begin());
    let works = |said: &str| {
        assert!(instance.keys.reload().is_err(), "{said}");
        assert!(instance.tokens.verify_access(&token, begin()).is_ok(), "{said}");
    };
    let aside = dir.0.join("aside");
    for name in ["k1.pem", "k1.kek", "k1.index", "k1.link"] {
        let path = dir.0.join(name);
        fs::rename(&path, &aside).unwrap();
        works(&format!("without {name}"));
        if name != "k1.pem" {
            dir.write(name, SECRETS[0], 0o600);
            works(&format!("another {name}"));
        }
        dir.write(name, "-----BEGIN", 0o600);
        works(&format!("half of {name}"));
        fs::rename(&aside, &path).unwrap();
        assert!(!instance.keys.reload().unwrap(), "as it was");
    }
    let moved = TempDir::new();
    fs::rename(&dir.0, moved.0.join("keys")).unwrap();
    works("without the directory");
    fs::rename(moved.0.join("keys"), &dir.0).unwrap();
    assert!(!instance.keys.reload().unwrap());
}

struct Set(Mutex<Timestamp>);

impl Clock for Set {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

pub(crate) fn place() -> SealPlace<'static> {
    SealPlace {
        schema: "phi",
        table: "accounts",
        column: "phone",
        row: Uuid::from_u128(7),
        owner: AccountId::from_uuid(Uuid::from_u128(8)),
        version: 1,
    }
}

/// Whoever reads late opens what another has sealed already.
#[tokio::test]
async fn no_sealed_value_is_unknown_during_a_rotation() {
    let dir = TempDir::new();
    generate_missing(&dir.0, "old", begin()).unwrap();
    let clock = Arc::new(Set(Mutex::new(begin())));
    let keys = [(); 2].map(|()| Keys::load(KeyDir::new(&dir.0)).unwrap());
    let [quick, slow] = keys.each_ref().map(|keys| AesGcmSealer::new(keys, clock.clone()).unwrap());
    let place = place();
    let rotated = rotate(&dir.0, "new", Rotatable::Sealing, false, begin()).unwrap();
    assert_eq!((rotated.before.as_str(), rotated.retire_from), ("old", None));
    assert!(keys[0].reload().unwrap());
    let old = quick.seal(&place, b"x").await.unwrap();
    assert_eq!(slow.open(&place, &old).await.as_deref(), Ok(b"x".as_slice()), "not read yet, not needed yet");
    assert!(keys[1].reload().unwrap());
    *clock.0.lock().unwrap() = rotated.use_from;
    let new = quick.seal(&place, b"x").await.unwrap();
    assert_eq!(new.get(3..6), Some(b"new".as_slice()));
    for sealed in [old, new] {
        assert_eq!(slow.open(&place, &sealed).await.as_deref(), Ok(b"x".as_slice()));
    }
    assert!(matches!(retire(&dir.0, "old.kek", true, begin()), Err(ManageError::Unknown(_))), "never retired");
}

/// Pauses until told to go on, and says so.
struct Steps {
    asked: mpsc::UnboundedSender<Duration>,
    go: tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>,
}

#[async_trait]
impl Pause for Steps {
    async fn pause(&self, duration: Duration) {
        self.asked.send(duration).unwrap();
        self.go.lock().await.recv().await;
    }
}

#[tokio::test]
async fn the_directory_is_watched() {
    let dir = TempDir::new();
    generate_missing(&dir.0, "old", SystemClock.now()).unwrap();
    let instance = Instance::new(&dir, 0);
    let (asked, mut pauses) = mpsc::unbounded_channel();
    let (go, steps) = mpsc::unbounded_channel();
    let watch =
        tokio::spawn(instance.keys.clone().watch(Arc::new(Steps { asked, go: tokio::sync::Mutex::new(steps) })));
    assert_eq!(pauses.recv().await, Some(RELOAD_INTERVAL));
    rotate(&dir.0, "new", Rotatable::Signing, false, SystemClock.now()).unwrap();
    assert_eq!(ids(&instance.tokens), ["old"]);
    for (change, expected) in [("none", ["new", "old"]), ("broken", ["new", "old"])] {
        if change == "broken" {
            dir.write("new.pem", "half", 0o600);
        }
        go.send(()).unwrap();
        assert_eq!(pauses.recv().await, Some(RELOAD_INTERVAL), "it goes on");
        assert_eq!(ids(&instance.tokens), expected);
    }
    assert!(instance.tokens.verify_access(&access(&instance.tokens), crate::support::now()).is_ok());
    watch.abort();
}
