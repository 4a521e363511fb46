//! Accounts.

use super::{Harness, random, stage::*};
use crate::{
    Account, EmailAddress, Profile,
    model::{AccountStatus, EndReason, PasswordHash, Sex},
    ports::{AccountChange, EndSessions, Inserted},
};
use amrutam_kernel::{CommitError, Effects, Fingerprint, IdempotencyClaim, LinkPurpose, Role, Sensitive, StoredAnswer};
use jiff::civil::date;

/// How many run a race.
const MANY: usize = 24;

fn change(account: &Account) -> AccountChange<'_> {
    AccountChange { account, spend: None, void_links: None, end_sessions: None }
}

fn next(account: &Account) -> Account {
    Account { version: account.version + 1, ..account.clone() }
}

/// Absence is no error.
pub async fn accounts_that_are_not_there_read_as_absent(harness: &dyn Harness) {
    let nobody = account(harness);
    assert_eq!(harness.accounts().by_id(nobody.id).await.unwrap().undisclosed(), None);
    assert_eq!(harness.accounts().by_email(nobody.email.expose()).await.unwrap().undisclosed(), None);
}

/// With every field and without, in every role; the link and the effects come with it.
pub async fn an_account_reads_back_whole(harness: &dyn Harness) {
    let store = harness.accounts();
    let mut invited = account(harness);
    invited.role = Role::Support;
    (invited.password_hash, invited.password_set_at) = (None, None);
    let full = |sex, role| {
        let mut full = account(harness);
        full.role = role;
        full.email_verified_at = Some(minutes(harness, 5));
        full.profile = Profile {
            full_name: Sensitive::new("\u{0906}\u{0936}\u{093e} O'Neill-Nair".parse().unwrap()),
            phone: Some(Sensitive::new("+919876543210".to_owned())),
            date_of_birth: Some(Sensitive::new(date(1984, 2, 29))),
            sex: Some(Sensitive::new(sex)),
            time_zone: "America/St_Johns".to_owned(),
        };
        full
    };
    let all = [
        invited,
        full(Sex::Female, Role::Patient),
        full(Sex::Male, Role::Doctor),
        full(Sex::Other, Role::Admin),
        full(Sex::Other, Role::Auditor),
    ];
    for account in &all {
        let (effects, link) = (effects(harness, account.id), link(harness, LinkPurpose::Invitation, account.id));
        assert_eq!(store.insert(account, Some(&link), &effects).await.unwrap(), Inserted::Created);
        assert_on_record(harness, account.id, &[&effects]).await;
        assert_eq!(harness.links().by_digest(link.purpose, &link.digest).await.unwrap(), Some(link));
    }
    for account in &all {
        assert_eq!(store.by_id(account.id).await.unwrap().undisclosed().as_ref(), Some(account));
        let spelled: EmailAddress = format!(" {} ", account.email.expose().as_str().to_uppercase()).parse().unwrap();
        assert_eq!(store.by_email(&spelled).await.unwrap().undisclosed().as_ref(), Some(account));
    }
}

/// The second one is told whose it is; nothing of it is stored, link and effects neither.
pub async fn an_address_belongs_to_one_account(harness: &dyn Harness) {
    let store = harness.accounts();
    let owner = stored(harness).await;
    let second = Account { email: owner.email.clone(), role: Role::Doctor, ..account(harness) };
    let link = link(harness, LinkPurpose::VerifyEmail, second.id);
    let inserted = store.insert(&second, Some(&link), &effects(harness, second.id)).await.unwrap();
    assert_eq!(inserted, Inserted::EmailTaken(owner.id));
    assert_eq!(store.by_id(second.id).await.unwrap().undisclosed(), None);
    assert_eq!(store.by_email(owner.email.expose()).await.unwrap().undisclosed(), Some(owner));
    assert_eq!(harness.links().by_digest(link.purpose, &link.digest).await.unwrap(), None);
    assert_on_record(harness, second.id, &[]).await;
}

/// [`Inserted::AlreadyAnswered`]: nothing of it is stored.
pub async fn an_answered_request_makes_no_account(harness: &dyn Harness) {
    let store = harness.accounts();
    let caller = account(harness);
    assert_eq!(store.insert(&caller, None, &Effects::default()).await.unwrap(), Inserted::Created);
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
        assert_eq!(store.insert(&made, None, &effects).await.unwrap(), expected);
        let is_there = expected == Inserted::Created;
        assert_eq!(store.by_id(made.id).await.unwrap().undisclosed().is_some(), is_there);
        assert_eq!(on_record(harness, made.id).await.1.len(), usize::from(is_there));
    }
}

/// Many register one address at once: one account, and all others are told whose.
pub async fn one_address_has_one_winner(harness: &dyn Harness) {
    let first = account(harness);
    let all: Vec<_> = (0..MANY).map(|_| Account { email: first.email.clone(), ..account(harness) }).collect();
    let runs = all.iter().map(|account| {
        let (store, account, effects) = (harness.accounts(), account.clone(), effects(harness, account.id));
        async move { store.insert(&account, None, &effects).await.unwrap() }
    });
    let results = race(harness, runs.collect()).await;
    let owner = harness.accounts().by_email(first.email.expose()).await.unwrap().undisclosed().unwrap();
    for (account, inserted) in all.iter().zip(results) {
        let won = account.id == owner.id;
        assert_eq!(inserted, if won { Inserted::Created } else { Inserted::EmailTaken(owner.id) });
        assert_eq!(harness.accounts().by_id(account.id).await.unwrap().undisclosed().is_some(), won);
        let (events, audit) = on_record(harness, account.id).await;
        assert_eq!((events.len(), audit.len()), if won { (1, 1) } else { (0, 0) });
    }
}

/// A log-in changes no account and is on the record all the same.
pub async fn account_effects_alone_are_committed(harness: &dyn Harness) {
    let about = stranger();
    let mut both = effects(harness, about);
    both.events.extend(effects(harness, about).events);
    harness.accounts().record(&both).await.unwrap();
    harness.accounts().record(&Effects::default()).await.unwrap();
    assert_on_record(harness, about, &[&both]).await;
}

/// Everything that may change does, in both ways of finding it; a closed account is there like any other.
pub async fn an_update_stores_all_of_it(harness: &dyn Harness) {
    let store = harness.accounts();
    let before = stored(harness).await;
    let profile = Profile {
        full_name: Sensitive::new("Another Name".parse().unwrap()),
        phone: Some(Sensitive::new("+4915112345678".to_owned())),
        date_of_birth: Some(Sensitive::new(date(2001, 12, 31))),
        sex: Some(Sensitive::new(Sex::Other)),
        time_zone: "Europe/Berlin".to_owned(),
    };
    let after = Account {
        status: AccountStatus::Deactivated,
        email_verified_at: Some(minutes(harness, 1)),
        password_hash: Some(PasswordHash::from_phc("$argon2id$other".to_owned())),
        password_set_at: Some(minutes(harness, 2)),
        profile,
        ..next(&before)
    };
    let first = effects(harness, before.id);
    assert_eq!(store.update(change(&after), &first).await.unwrap(), []);
    assert_eq!(store.by_id(before.id).await.unwrap().undisclosed().as_ref(), Some(&after));
    assert_eq!(store.by_email(before.email.expose()).await.unwrap().undisclosed().as_ref(), Some(&after));

    // And back: what was given is taken away again.
    let bare = Account { version: 3, ..before.clone() };
    let second = effects(harness, before.id);
    store.update(change(&bare), &second).await.unwrap();
    assert_eq!(store.by_id(before.id).await.unwrap().undisclosed(), Some(bare));
    assert_on_record(harness, before.id, &[&first, &second]).await;
}

/// Of an older version, of a later one, of nobody: nothing is stored, and nothing that goes with it.
pub async fn an_update_from_another_version_stores_nothing(harness: &dyn Harness) {
    let store = harness.accounts();
    let account = stored(harness).await;
    let link = issued(harness, LinkPurpose::ResetPassword, account.id).await;
    let (session, _) = opened(harness, account.id).await;
    for version in [0, 1, 3] {
        let other = Account { version, status: AccountStatus::Deactivated, ..account.clone() };
        let change = AccountChange {
            spend: Some((link.id, harness.now())),
            void_links: Some(harness.now()),
            end_sessions: Some(EndSessions { reason: EndReason::Deactivated, except: None, at: harness.now() }),
            ..change(&other)
        };
        let updated = store.update(change, &effects(harness, account.id)).await;
        assert!(matches!(updated, Err(CommitError::Stale)), "version {version}: {updated:?}");
    }
    let nobody = next(&super::stage::account(harness));
    assert!(matches!(store.update(change(&nobody), &Effects::default()).await, Err(CommitError::Stale)));
    assert_eq!(store.by_id(account.id).await.unwrap().undisclosed().as_ref(), Some(&account));
    assert_eq!(harness.links().by_digest(link.purpose, &link.digest).await.unwrap(), Some(link));
    assert_eq!(harness.sessions().by_id(session.id).await.unwrap(), Some(session));
    assert_on_record(harness, account.id, &[]).await;
}

/// Many changes of one version: one is stored.
pub async fn one_version_has_one_successor(harness: &dyn Harness) {
    let account = stored(harness).await;
    let runs = (0..MANY).map(|number| {
        let (store, effects) = (harness.accounts(), effects(harness, account.id));
        let hash = Some(PasswordHash::from_phc(format!("$argon2id${number}")));
        let after = Account { password_hash: hash, ..next(&account) };
        async move {
            let updated = store.update(change(&after), &effects).await;
            match updated {
                Ok(_) => Some(after),
                Err(CommitError::Stale | CommitError::Busy) => None,
                Err(error) => panic!("{error}"),
            }
        }
    });
    let winners: Vec<_> = race(harness, runs.collect()).await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(harness.accounts().by_id(account.id).await.unwrap().undisclosed().as_ref(), winners.first());
    let (events, audit) = on_record(harness, account.id).await;
    assert_eq!((events.len(), audit.len()), (1, 1));
}

/// And for one of its own account only.
pub async fn a_link_pays_for_one_change(harness: &dyn Harness) {
    let store = harness.accounts();
    let (owner, other) = (stored(harness).await, stored(harness).await);
    let link = issued(harness, LinkPurpose::VerifyEmail, owner.id).await;
    let at = minutes(harness, 3);

    let stolen = next(&other);
    let taken =
        store.update(AccountChange { spend: Some((link.id, at)), ..change(&stolen) }, &Effects::default()).await;
    assert!(matches!(taken, Err(CommitError::Stale)), "another's link: {taken:?}");

    let first = next(&owner);
    store.update(AccountChange { spend: Some((link.id, at)), ..change(&first) }, &Effects::default()).await.unwrap();
    let spent = harness.links().by_digest(link.purpose, &link.digest).await.unwrap();
    assert_eq!(spent.and_then(|link| link.spent_at), Some(at));

    let second = next(&first);
    let again = store
        .update(AccountChange { spend: Some((link.id, at)), ..change(&second) }, &effects(harness, owner.id))
        .await;
    assert!(matches!(again, Err(CommitError::Stale)), "a spent link: {again:?}");
    assert_eq!(store.by_id(owner.id).await.unwrap().undisclosed(), Some(first));
    assert_eq!(store.by_id(other.id).await.unwrap().undisclosed(), Some(other));
    assert_on_record(harness, owner.id, &[]).await;
}

/// All unspent links of the account are spent, its sessions end but for one, and nobody else's.
pub async fn an_update_voids_links_and_ends_sessions(harness: &dyn Harness) {
    let (account, other) = (stored(harness).await, stored(harness).await);
    let mut links = Vec::new();
    for purpose in LinkPurpose::ALL {
        links.push(issued(harness, purpose, account.id).await);
    }
    let others_link = issued(harness, LinkPurpose::ResetPassword, other.id).await;
    let (kept, _) = opened(harness, account.id).await;
    let (mut one, mut two) = (opened(harness, account.id).await.0, opened(harness, account.id).await.0);
    let (ended_before, others) = (opened(harness, account.id).await.0, opened(harness, other.id).await.0);
    let (before, at) = (minutes(harness, 1), minutes(harness, 2));
    harness.sessions().end(ended_before.id, before, EndReason::LoggedOut, &Effects::default()).await.unwrap();

    let after = next(&account);
    let end_sessions = Some(EndSessions { reason: EndReason::PasswordChanged, except: Some(kept.id), at });
    let change = AccountChange {
        spend: Some((links[1].id, minutes(harness, 1))),
        void_links: Some(at),
        end_sessions,
        ..change(&after)
    };
    let mut ended = harness.accounts().update(change, &Effects::default()).await.unwrap();
    ended.sort();
    let mut expected = vec![one.id, two.id];
    expected.sort();
    assert_eq!(ended, expected, "those that ended now");

    for (index, link) in links.iter().enumerate() {
        let spent_at = if index == 1 { minutes(harness, 1) } else { at };
        let read = harness.links().by_digest(link.purpose, &link.digest).await.unwrap();
        assert_eq!(read.and_then(|link| link.spent_at), Some(spent_at), "{}", link.purpose);
    }
    let read = harness.links().by_digest(others_link.purpose, &others_link.digest).await.unwrap();
    assert_eq!(read, Some(others_link));
    for session in [&mut one, &mut two] {
        session.ended = Some((at, EndReason::PasswordChanged));
    }
    let mut ended_before = ended_before;
    ended_before.ended = Some((before, EndReason::LoggedOut));
    for session in [kept, one, two, ended_before, others] {
        assert_eq!(harness.sessions().by_id(session.id).await.unwrap(), Some(session));
    }
}
