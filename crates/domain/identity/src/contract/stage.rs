//! The people and things the cases work with.

use super::{Harness, id, random};
use crate::{
    Account, Profile,
    model::{Link, PasswordHash, PendingFactor, SecretDigest, Session, SessionLabel, Step, TotpSecret},
    ports::{Confirmed, Inserted, StoredRefresh},
};
use amrutam_kernel::{
    AccountId, Actor, AggregateRef, AuditEntry, AuditEntryId, CorrelationId, Effects, EventEnvelope, EventId, LinkId,
    LinkPurpose, Outcome, Purpose, Role, Sensitive, SessionId,
};
use futures::{channel::oneshot, future::join_all};
use jiff::{SignedDuration, Timestamp};
use std::future::Future;
use uuid::Uuid;

pub(super) fn account(harness: &dyn Harness) -> Account {
    let word = format!("w{:016x}", random());
    let profile = Profile {
        full_name: Sensitive::new("Asha Nair".parse().unwrap()),
        phone: None,
        date_of_birth: None,
        sex: None,
        time_zone: "Asia/Kolkata".to_owned(),
    };
    let hash = PasswordHash::from_phc(format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA${word}"));
    let email = Sensitive::new(format!("{word}@example.in").parse().unwrap());
    Account::new(AccountId::from_uuid(id(harness.now())), Role::Patient, email, Some(hash), profile, harness.now())
}

pub(super) async fn stored(harness: &dyn Harness) -> Account {
    let account = account(harness);
    store(harness, &account).await;
    account
}

pub(super) async fn store(harness: &dyn Harness, account: &Account) {
    assert_eq!(harness.accounts().insert(account, None, &Effects::default()).await.unwrap(), Inserted::Created);
}

pub(super) fn effects(harness: &dyn Harness, about: AccountId) -> Effects {
    let now = harness.now();
    let correlation_id = CorrelationId::from(id(now));
    Effects {
        events: vec![EventEnvelope {
            id: EventId::from_uuid(id(now)),
            event_type: crate::REGISTRATION_REPEATED.to_owned(),
            aggregate: AggregateRef { kind: "account".to_owned(), id: about.as_uuid(), version: 0 },
            occurred_at: now,
            actor: "anonymous".to_owned(),
            correlation_id: correlation_id.clone(),
            trace_parent: None,
            payload: serde_json::json!({ "account_id": about }),
        }],
        audit: vec![AuditEntry {
            id: AuditEntryId::from_uuid(id(now)),
            occurred_at: now,
            actor: Actor::Anonymous,
            action: "account.register",
            resource_kind: "account",
            resource_id: about.to_string(),
            patient: Some(about),
            outcome: Outcome::Allowed,
            correlation_id,
            purpose: Purpose::SignIn,
            origin: None,
            ruleset: None,
            break_glass: false,
        }],
        ..Effects::default()
    }
}

pub(super) async fn on_record(harness: &dyn Harness, about: AccountId) -> (Vec<EventId>, Vec<AuditEntryId>) {
    (harness.announced(about.as_uuid()).await, harness.audited(&about.to_string()).await)
}

/// These effects, in this order, are all that is on record about the account.
pub(super) async fn assert_on_record(harness: &dyn Harness, about: AccountId, all: &[&Effects]) {
    let events: Vec<_> = all.iter().flat_map(|effects| effects.events.iter().map(|event| event.id)).collect();
    let mut entries: Vec<_> = all.iter().flat_map(|effects| effects.audit.iter().map(|entry| entry.id)).collect();
    let (announced, mut audited) = on_record(harness, about).await;
    // Only events are kept in the order of their commits.
    entries.sort();
    audited.sort();
    assert_eq!((announced, audited), (events, entries));
}

pub(super) fn minutes(harness: &dyn Harness, minutes: i64) -> Timestamp {
    harness.now() + SignedDuration::from_mins(minutes)
}

pub(super) fn digest() -> SecretDigest {
    SecretDigest::of(random().to_be_bytes())
}

pub(super) fn link(harness: &dyn Harness, purpose: LinkPurpose, account: AccountId) -> Link {
    Link {
        id: LinkId::from_uuid(id(harness.now())),
        purpose,
        account,
        digest: digest(),
        expires_at: harness.now() + purpose.lifetime(),
        spent_at: None,
    }
}

/// Stored with an empty effect.
pub(super) async fn issued(harness: &dyn Harness, purpose: LinkPurpose, account: AccountId) -> Link {
    let link = link(harness, purpose, account);
    harness.links().issue(&link, harness.now(), &Effects::default()).await.unwrap();
    link
}

pub(super) fn session(harness: &dyn Harness, account: AccountId, at: Timestamp) -> Session {
    let label = SessionLabel::new("Mozilla/5.0 (X11) \u{0906}");
    Session::open(SessionId::from_uuid(id(harness.now())), account, None, label, at)
}

pub(super) fn refresh(generation: u32, at: Timestamp) -> StoredRefresh {
    StoredRefresh { digest: digest(), generation, issued_at: at }
}

pub(super) async fn opened(harness: &dyn Harness, account: AccountId) -> (Session, StoredRefresh) {
    let (session, first) = (session(harness, account, harness.now()), refresh(1, harness.now()));
    let password_set_at = harness.accounts().by_id(account).await.unwrap().undisclosed().unwrap().password_set_at;
    harness.sessions().open(&session, &first, password_set_at, &Effects::default()).await.unwrap();
    (session, first)
}

pub(super) fn secret() -> TotpSecret {
    let mut bytes = [0; TotpSecret::BYTES];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&random().to_be_bytes()[..chunk.len()]);
    }
    TotpSecret::from_bytes(bytes)
}

pub(super) fn pending(at: Timestamp) -> PendingFactor {
    PendingFactor { secret: secret(), begun_at: at }
}

/// A factor in force with these recovery codes, its step 100 used.
pub(super) async fn enrolled(harness: &dyn Harness, account: AccountId, codes: &[SecretDigest]) -> TotpSecret {
    let (session, _) = opened(harness, account).await;
    let pending = pending(harness.now());
    harness.factors().begin(account, &pending, &Effects::default()).await.unwrap();
    let confirmed =
        Confirmed { begun_at: pending.begun_at, step: Step(100), at: harness.now(), codes, session: session.id };
    harness.factors().confirm(account, confirmed, &Effects::default()).await.unwrap();
    pending.secret
}

/// Runs them all at once.
pub(super) async fn race<T, F>(harness: &dyn Harness, many: Vec<F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut results = Vec::new();
    for one in many {
        let (sender, receiver) = oneshot::channel();
        results.push(receiver);
        harness.spawn(Box::pin(async move {
            // Nobody waits any more only when the case has failed already.
            let _ = sender.send(one.await);
        }));
    }
    join_all(results).await.into_iter().map(|result| result.expect("a task of the race panicked")).collect()
}

/// Nobody's.
pub(super) fn stranger() -> AccountId {
    AccountId::from_uuid(Uuid::from_u64_pair(random(), random()))
}
