//! Sessions and refresh tokens.

use super::{Harness, stage::*};
use crate::{
    Account,
    model::{AccountStatus, EndReason, Session},
    ports::{AccountChange, EndSessions, Presented, Rotated, Rotation, StoredRefresh},
};
use amrutam_kernel::{CommitError, Effects, SessionId};
use jiff::{SignedDuration, Timestamp};

/// How many run a race.
const MANY: usize = 16;

async fn rotate(
    harness: &dyn Harness,
    session: &Session,
    presented: &StoredRefresh,
    next: &StoredRefresh,
    at: Timestamp,
) -> Rotated {
    let used = session.clone().used(at);
    let rotation = Rotation { presented: &presented.digest, next, session: &used };
    harness.sessions().rotate(rotation, &Effects::default(), (at, &Effects::default())).await.unwrap()
}

/// With every field and without; its first token leads to it.
pub async fn a_session_reads_back_whole(harness: &dyn Harness) {
    let (store, account) = (harness.sessions(), stored(harness).await);
    let mut bare = session(harness, account.id, harness.now());
    bare.label = crate::model::SessionLabel::default();
    let mut full = session(harness, account.id, minutes(harness, 1));
    full.second_factor_at = Some(minutes(harness, 2));
    let mut all = Vec::new();
    for session in [bare, full] {
        let (first, effects) = (refresh(1, session.created_at), effects(harness, account.id));
        store.open(&session, &first, account.password_set_at, &effects).await.unwrap();
        assert_eq!(store.by_id(session.id).await.unwrap().as_ref(), Some(&session));
        let presented = Presented { session, generation: 1, spent: false };
        assert_eq!(store.by_refresh(&first.digest).await.unwrap(), Some(presented));
        all.push(effects);
    }
    assert_on_record(harness, account.id, &[&all[0], &all[1]]).await;
    assert_eq!(store.by_id(SessionId::from_uuid(stranger().as_uuid())).await.unwrap(), None);
    assert_eq!(store.by_refresh(&digest()).await.unwrap(), None);
}

/// Opened for whom it was checked that the password is theirs: not for a closed account, and not after a new password.
pub async fn a_session_needs_the_account_as_it_was(harness: &dyn Harness) {
    let (store, account) = (harness.sessions(), stored(harness).await);
    let refused = async |password_set_at| {
        let (session, first) = (session(harness, account.id, harness.now()), refresh(1, harness.now()));
        let opened = store.open(&session, &first, password_set_at, &effects(harness, account.id)).await;
        assert!(matches!(opened, Err(CommitError::Stale)), "{opened:?}");
        assert_eq!(store.by_id(session.id).await.unwrap(), None);
        assert_eq!(store.by_refresh(&first.digest).await.unwrap(), None);
        assert_on_record(harness, account.id, &[]).await;
    };
    refused(None).await;
    refused(Some(minutes(harness, -1))).await;
    let closed = Account { status: AccountStatus::Deactivated, version: account.version + 1, ..account.clone() };
    let change = AccountChange { account: &closed, spend: None, void_links: None, end_sessions: None };
    harness.accounts().update(change, &Effects::default()).await.unwrap();
    refused(account.password_set_at).await;
}

/// The next one is good, the session's times of use move and nothing else of it.
pub async fn a_token_is_exchanged_for_the_next(harness: &dyn Harness) {
    let (store, account) = (harness.sessions(), stored(harness).await);
    let (session, first) = opened(harness, account.id).await;
    let (bystander, others) = opened(harness, account.id).await;
    let (at, next) = (minutes(harness, 20), refresh(2, minutes(harness, 20)));
    let used = session.clone().used(at);
    let (done, reused) = (effects(harness, account.id), effects(harness, account.id));
    let rotation = Rotation { presented: &first.digest, next: &next, session: &used };
    assert_eq!(store.rotate(rotation, &done, (at, &reused)).await.unwrap(), Rotated::Rotated);
    assert_on_record(harness, account.id, &[&done]).await;
    assert_eq!(store.by_id(session.id).await.unwrap().as_ref(), Some(&used));
    let of = |generation, spent| Some(Presented { session: used.clone(), generation, spent });
    assert_eq!(store.by_refresh(&first.digest).await.unwrap(), of(1, true));
    assert_eq!(store.by_refresh(&next.digest).await.unwrap(), of(2, false));
    let untouched = Presented { session: bystander, generation: 1, spent: false };
    assert_eq!(store.by_refresh(&others.digest).await.unwrap(), Some(untouched));
    assert_eq!(rotate(harness, &used, &next, &refresh(3, at), at).await, Rotated::Rotated);
}

/// The other effects are stored, the next token is not, and no token of the session is exchanged any more.
pub async fn a_spent_token_ends_its_session(harness: &dyn Harness) {
    let (store, account) = (harness.sessions(), stored(harness).await);
    let (session, first) = opened(harness, account.id).await;
    let (bystander, _) = opened(harness, account.id).await;
    let (at, second) = (minutes(harness, 1), refresh(2, minutes(harness, 1)));
    assert_eq!(rotate(harness, &session, &first, &second, at).await, Rotated::Rotated);

    let (later, third) = (minutes(harness, 2), refresh(2, minutes(harness, 2)));
    let (done, reused) = (effects(harness, account.id), effects(harness, account.id));
    let (used_at, used_later) = (session.clone().used(at), session.clone().used(later));
    let rotation = Rotation { presented: &first.digest, next: &third, session: &used_later };
    assert_eq!(store.rotate(rotation, &done, (later, &reused)).await.unwrap(), Rotated::Reused);
    assert_on_record(harness, account.id, &[&reused]).await;
    let ended = Session { ended: Some((later, EndReason::TokenReused)), ..used_at };
    assert_eq!(store.by_id(session.id).await.unwrap(), Some(ended));
    assert_eq!(store.by_refresh(&third.digest).await.unwrap(), None);
    for presented in [&first, &second] {
        assert_eq!(rotate(harness, &session, presented, &refresh(3, later), later).await, Rotated::Ended);
    }
    assert_eq!(store.by_id(bystander.id).await.unwrap(), Some(bystander));
}

/// Nor one that nobody issued: nothing is stored, the effects neither.
pub async fn a_token_of_an_ended_session_is_not_exchanged(harness: &dyn Harness) {
    let (store, account) = (harness.sessions(), stored(harness).await);
    let (session, first) = opened(harness, account.id).await;
    store.end(session.id, minutes(harness, 1), EndReason::LoggedOut, &Effects::default()).await.unwrap();
    let before = store.by_id(session.id).await.unwrap();
    for presented in [first, refresh(1, harness.now())] {
        let (at, next, effects) = (minutes(harness, 2), refresh(2, harness.now()), effects(harness, account.id));
        let used = session.clone().used(at);
        let rotation = Rotation { presented: &presented.digest, next: &next, session: &used };
        assert_eq!(store.rotate(rotation, &effects, (at, &effects)).await.unwrap(), Rotated::Ended);
        assert_eq!(store.by_refresh(&next.digest).await.unwrap(), None);
    }
    assert_eq!(store.by_id(session.id).await.unwrap(), before);
    assert_on_record(harness, account.id, &[]).await;
}

/// Two holders of one token: one exchanges it, the next ends the session, whoever they are.
pub async fn one_token_is_exchanged_once(harness: &dyn Harness) {
    let account = stored(harness).await;
    let (session, first) = opened(harness, account.id).await;
    let at = minutes(harness, 1);
    let runs = (0..MANY).map(|_| {
        let (store, used) = (harness.sessions(), session.clone().used(at));
        let (next, done, reused) = (refresh(2, at), effects(harness, account.id), effects(harness, account.id));
        async move {
            let rotation = Rotation { presented: &first.digest, next: &next, session: &used };
            store.rotate(rotation, &done, (at, &reused)).await.unwrap()
        }
    });
    let results = race(harness, runs.collect()).await;
    let count = |wanted| results.iter().filter(|result| **result == wanted).count();
    assert_eq!((count(Rotated::Rotated), count(Rotated::Reused), count(Rotated::Ended)), (1, 1, MANY - 2));
    let ended = harness.sessions().by_id(session.id).await.unwrap().unwrap().ended;
    assert_eq!(ended, Some((at, EndReason::TokenReused)));
    let (events, audit) = on_record(harness, account.id).await;
    assert_eq!((events.len(), audit.len()), (2, 2), "one exchange, one end");
}

/// Last used first; not those that are over, by whatever end, nor another's.
pub async fn live_sessions_are_listed_by_use(harness: &dyn Harness) {
    let (store, account, other) = (harness.sessions(), stored(harness).await, stored(harness).await);
    let (old, old_token) = opened(harness, account.id).await;
    let (new, _) = opened(harness, account.id).await;
    let (ended, _) = opened(harness, account.id).await;
    opened(harness, other.id).await;
    store.end(ended.id, harness.now(), EndReason::Ended, &Effects::default()).await.unwrap();
    let at = minutes(harness, 9);
    assert_eq!(rotate(harness, &old, &old_token, &refresh(2, at), at).await, Rotated::Rotated);
    let old = old.used(at);
    assert_eq!(store.live(account.id, at).await.unwrap(), [old.clone(), new.clone()]);
    let idle = new.idle_expires_at;
    assert_eq!(store.live(account.id, idle - SignedDuration::from_micros(1)).await.unwrap().len(), 2);
    assert_eq!(store.live(account.id, idle).await.unwrap().as_slice(), std::slice::from_ref(&old));
    assert_eq!(store.live(account.id, old.idle_expires_at).await.unwrap(), []);
    assert_eq!(store.live(stranger(), at).await.unwrap(), []);
}

/// The newest log-in first, whatever was used meanwhile: each live one once, on one page.
pub async fn live_sessions_are_paged_by_log_in(harness: &dyn Harness) {
    let (store, account, other) = (harness.sessions(), stored(harness).await, stored(harness).await);
    let mut expected = Vec::new();
    let mut first = None;
    for _ in 0..5 {
        let (session, token) = opened(harness, account.id).await;
        expected.push((session.created_at, session.id));
        first.get_or_insert((session, token));
    }
    expected.sort_unstable_by(|one, other| other.cmp(one));
    let (ended, _) = opened(harness, account.id).await;
    store.end(ended.id, harness.now(), EndReason::Ended, &Effects::default()).await.unwrap();
    opened(harness, other.id).await;
    let now = harness.now();
    let limit = amrutam_kernel::Limit::new(2).unwrap();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page =
            store.page(account.id, now, amrutam_kernel::PageRequest { limit, after }).await.unwrap().undisclosed();
        assert!(page.items.len() <= 2);
        seen.extend(page.items.iter().map(|session| (session.created_at, session.id)));
        if seen.len() == 2 {
            let (session, token) = first.take().unwrap();
            let at = minutes(harness, 9);
            assert_eq!(rotate(harness, &session, &token, &refresh(2, at), at).await, Rotated::Rotated);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, expected);
}

/// The second time nothing is stored.
pub async fn a_session_ends_once(harness: &dyn Harness) {
    let (store, account) = (harness.sessions(), stored(harness).await);
    let (session, _) = opened(harness, account.id).await;
    let (first, second) = (effects(harness, account.id), effects(harness, account.id));
    let at = minutes(harness, 1);
    assert!(store.end(session.id, at, EndReason::LoggedOut, &first).await.unwrap());
    assert!(!store.end(session.id, minutes(harness, 2), EndReason::Ended, &second).await.unwrap());
    let nobody = SessionId::from_uuid(stranger().as_uuid());
    assert!(!store.end(nobody, at, EndReason::Ended, &second).await.unwrap());
    let ended = Session { ended: Some((at, EndReason::LoggedOut)), ..session };
    assert_eq!(store.by_id(ended.id).await.unwrap(), Some(ended));
    assert_on_record(harness, account.id, &[&first]).await;
}

/// Each reason reads back; those that had ended keep theirs; the effects are stored even when nothing was left.
pub async fn all_sessions_but_one_end(harness: &dyn Harness) {
    let (store, account, other) = (harness.sessions(), stored(harness).await, stored(harness).await);
    let (others, _) = opened(harness, other.id).await;
    let (kept, _) = opened(harness, account.id).await;
    let mut all = Vec::new();
    for reason in EndReason::ALL {
        let (session, _) = opened(harness, account.id).await;
        let end = EndSessions { reason, except: Some(kept.id), at: minutes(harness, 1) };
        let effects = effects(harness, account.id);
        assert_eq!(store.end_all(account.id, end, &effects).await.unwrap(), [session.id]);
        let ended = Session { ended: Some((minutes(harness, 1), reason)), ..session };
        assert_eq!(store.by_id(ended.id).await.unwrap(), Some(ended));
        all.push(effects);
    }
    let last = effects(harness, account.id);
    let end = EndSessions { reason: EndReason::LoggedOut, except: None, at: minutes(harness, 2) };
    assert_eq!(store.end_all(account.id, end, &last).await.unwrap(), [kept.id]);
    let none = effects(harness, account.id);
    assert_eq!(store.end_all(account.id, end, &none).await.unwrap(), []);
    all.extend([last, none]);
    assert_on_record(harness, account.id, &all.iter().collect::<Vec<_>>()).await;
    assert_eq!(store.by_id(others.id).await.unwrap(), Some(others));
}

/// In this session, no other.
pub async fn a_step_up_is_noted(harness: &dyn Harness) {
    let (store, account) = (harness.sessions(), stored(harness).await);
    let (session, bystander) = (opened(harness, account.id).await.0, opened(harness, account.id).await.0);
    for minute in [1, 2] {
        let (at, effects) = (minutes(harness, minute), effects(harness, account.id));
        store.step_up(session.id, at, &effects).await.unwrap();
        assert_eq!(store.by_id(session.id).await.unwrap().unwrap().second_factor_at, Some(at));
        let (events, audit) = on_record(harness, account.id).await;
        assert!(events.contains(&effects.events[0].id) && audit.contains(&effects.audit[0].id));
    }
    assert_eq!(store.by_id(bystander.id).await.unwrap(), Some(bystander));
}
