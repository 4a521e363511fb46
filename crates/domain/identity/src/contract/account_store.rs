//! Accounts.

use super::{Harness, id, random};
use crate::{
    Account, EmailAddress, Profile,
    model::{PasswordHash, Sex},
    ports::Inserted,
};
use amrutam_kernel::{
    AccountId, Actor, AggregateRef, AuditEntry, AuditEntryId, CorrelationId, Effects, EventEnvelope, EventId,
    Fingerprint, IdempotencyClaim, Outcome, Role, Sensitive, StoredAnswer,
};
use futures::{channel::oneshot, future::join_all};
use jiff::civil::date;
use uuid::Uuid;

fn account(harness: &dyn Harness) -> Account {
    let word = format!("w{:016x}", random());
    Account {
        id: AccountId::from_uuid(id(harness.now())),
        role: Role::Patient,
        email: Sensitive::new(format!("{word}@example.in").parse().unwrap()),
        password_hash: PasswordHash::from_phc(format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA${word}")),
        profile: Profile {
            full_name: Sensitive::new("Asha Nair".parse().unwrap()),
            phone: None,
            date_of_birth: None,
            sex: None,
            time_zone: "Asia/Kolkata".to_owned(),
        },
        created_at: harness.now(),
    }
}

fn effects(harness: &dyn Harness, about: AccountId) -> Effects {
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
        }],
        ..Effects::default()
    }
}

async fn on_record(harness: &dyn Harness, about: AccountId) -> (Vec<EventId>, Vec<AuditEntryId>) {
    (harness.announced(about.as_uuid()).await, harness.audited(&about.to_string()).await)
}

/// Absence is no error.
pub async fn accounts_that_are_not_there_read_as_absent(harness: &dyn Harness) {
    let nobody = account(harness);
    assert_eq!(harness.accounts().by_id(nobody.id).await.unwrap(), None);
    assert_eq!(harness.accounts().by_email(nobody.email.expose()).await.unwrap(), None);
}

/// With every field and without, in every role; the effects come with it.
pub async fn an_account_reads_back_whole(harness: &dyn Harness) {
    let store = harness.accounts();
    let mut bare = account(harness);
    bare.role = Role::Admin;
    let full = |sex, role| {
        let mut full = account(harness);
        full.role = role;
        full.profile = Profile {
            full_name: Sensitive::new("\u{0906}\u{0936}\u{093e} O'Neill-Nair".parse().unwrap()),
            phone: Some(Sensitive::new("+919876543210".to_owned())),
            date_of_birth: Some(Sensitive::new(date(1984, 2, 29))),
            sex: Some(Sensitive::new(sex)),
            time_zone: "America/St_Johns".to_owned(),
        };
        full
    };
    let all = [bare, full(Sex::Female, Role::Patient), full(Sex::Male, Role::Doctor), full(Sex::Other, Role::Admin)];
    for account in &all {
        let effects = effects(harness, account.id);
        assert_eq!(store.insert(account, &effects).await.unwrap(), Inserted::Created);
        assert_eq!(on_record(harness, account.id).await, (vec![effects.events[0].id], vec![effects.audit[0].id]));
    }
    for account in &all {
        assert_eq!(store.by_id(account.id).await.unwrap().as_ref(), Some(account));
        let spelled: EmailAddress = format!(" {} ", account.email.expose().as_str().to_uppercase()).parse().unwrap();
        assert_eq!(store.by_email(&spelled).await.unwrap().as_ref(), Some(account));
    }
}

/// The second one is told whose it is; nothing of it is stored, effects neither.
pub async fn an_address_belongs_to_one_account(harness: &dyn Harness) {
    let store = harness.accounts();
    let owner = account(harness);
    assert_eq!(store.insert(&owner, &Effects::default()).await.unwrap(), Inserted::Created);
    let second = Account { email: owner.email.clone(), role: Role::Doctor, ..account(harness) };
    let inserted = store.insert(&second, &effects(harness, second.id)).await.unwrap();
    assert_eq!(inserted, Inserted::EmailTaken(owner.id));
    assert_eq!(store.by_id(second.id).await.unwrap(), None);
    assert_eq!(store.by_email(owner.email.expose()).await.unwrap(), Some(owner));
    assert_eq!(on_record(harness, second.id).await, (vec![], vec![]));
}

/// [`Inserted::AlreadyAnswered`]: nothing of it is stored.
pub async fn an_answered_request_makes_no_account(harness: &dyn Harness) {
    let store = harness.accounts();
    let caller = account(harness);
    assert_eq!(store.insert(&caller, &Effects::default()).await.unwrap(), Inserted::Created);
    let claim = IdempotencyClaim {
        caller: caller.id,
        key: format!("k{:016x}", random()).parse().unwrap(),
        fingerprint: Fingerprint::of("POST", "/v1/admin/accounts", b"{}"),
    };
    let answer = StoredAnswer {
        status: 201,
        location: None,
        content_type: "application/json".to_owned(),
        etag: None,
        body: "{}".to_owned(),
    };
    for expected in [Inserted::Created, Inserted::AlreadyAnswered] {
        let made = account(harness);
        let effects = Effects { answer: Some((claim.clone(), answer.clone())), ..effects(harness, made.id) };
        assert_eq!(store.insert(&made, &effects).await.unwrap(), expected);
        let is_there = expected == Inserted::Created;
        assert_eq!(store.by_id(made.id).await.unwrap().is_some(), is_there);
        assert_eq!(on_record(harness, made.id).await.1.len(), usize::from(is_there));
    }
}

/// Many register one address at once: one account, and all others are told whose.
pub async fn one_address_has_one_winner(harness: &dyn Harness) {
    const MANY: usize = 24;
    let first = account(harness);
    let all: Vec<_> = (0..MANY).map(|_| Account { email: first.email.clone(), ..account(harness) }).collect();
    let mut results = Vec::new();
    for account in &all {
        let (store, account) = (harness.accounts(), account.clone());
        let effects = effects(harness, account.id);
        let (sender, receiver) = oneshot::channel();
        results.push(receiver);
        harness.spawn(Box::pin(async move {
            // Nobody waits any more only when the case has failed already.
            let _ = sender.send(store.insert(&account, &effects).await.unwrap());
        }));
    }
    let results: Vec<_> =
        join_all(results).await.into_iter().map(|r| r.expect("a task of the race panicked")).collect();
    let owner = harness.accounts().by_email(first.email.expose()).await.unwrap().unwrap();
    for (account, inserted) in all.iter().zip(results) {
        let won = account.id == owner.id;
        assert_eq!(inserted, if won { Inserted::Created } else { Inserted::EmailTaken(owner.id) });
        assert_eq!(harness.accounts().by_id(account.id).await.unwrap().is_some(), won);
        let (events, audit) = on_record(harness, account.id).await;
        assert_eq!((events.len(), audit.len()), if won { (1, 1) } else { (0, 0) });
    }
}

/// A log-in changes no account and is on the record all the same.
pub async fn account_effects_alone_are_committed(harness: &dyn Harness) {
    let about = AccountId::from_uuid(Uuid::from_u64_pair(random(), random()));
    let mut both = effects(harness, about);
    both.events.extend(effects(harness, about).events);
    harness.accounts().record(&both).await.unwrap();
    harness.accounts().record(&Effects::default()).await.unwrap();
    let events = both.events.iter().map(|event| event.id).collect();
    assert_eq!(on_record(harness, about).await, (events, vec![both.audit[0].id]));
}
