//! Erasures and holds.

use super::{Harness, effects, id, once};
use crate::{
    model::{Erasure, ErasureState, Export, Facts, HoldReference, LegalHold, RetentionRules, decide_erasure},
    ports::{ArchiveChange, ErasureChanges, ExportChanges, HoldOutcome},
};
use amrutam_kernel::{AccountId, CommitError, Effects, EventId, ExportId};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

async fn facts(harness: &dyn Harness, account: AccountId) -> Facts {
    harness.erasures().facts(account).await.unwrap().unwrap()
}

/// As a use case decides it, but for when the record may be destroyed.
fn changes(facts: &Facts, keep_until: Timestamp, now: Timestamp) -> ErasureChanges {
    let rules = RetentionRules::known().pop().unwrap();
    let erasure = decide_erasure(&rules, &TimeZone::UTC, facts, 0, now);
    ErasureChanges {
        erasure: Erasure { keep_until, ..erasure },
        account_version: facts.account_version,
        calendar_version: facts.calendar_version,
        effects: effects(now, facts.account.as_uuid()),
    }
}

async fn erased(harness: &dyn Harness, account: AccountId, keep_until: Timestamp) -> Erasure {
    let changes = changes(&facts(harness, account).await, keep_until, harness.now());
    harness.erasures().erase(&changes).await.unwrap();
    changes.erasure
}

fn hold(account: AccountId, now: Timestamp) -> LegalHold {
    LegalHold { account, reference: case(), placed_at: now, lifted_at: None }
}

fn case() -> HoldReference {
    "WP-2026/17".parse().unwrap()
}

/// Live visits, and when the last one that took place had ended.
pub async fn facts_tell_what_an_erasure_is_decided_on(harness: &dyn Harness) {
    let (account, visits) = harness.patient(&["confirmed", "in_progress", "completed", "cancelled"]).await;
    let found = facts(harness, account).await;
    let live: Vec<_> = found.live.iter().map(|visit| (visit.id, visit.begun)).collect();
    assert_eq!(live, [(visits[0], false), (visits[1], true)]);
    // They were written today, so they had ended by then.
    assert!(found.last_visit.is_some_and(|at| at <= harness.now() + SignedDuration::from_mins(5)));
    assert!(!found.on_hold);
    let (other, _) = harness.patient(&["cancelled"]).await;
    assert_eq!(facts(harness, other).await.last_visit, None);
    let nobody = AccountId::from_uuid(id(harness.now()));
    assert_eq!(harness.erasures().facts(nobody).await.unwrap(), None);
}

/// Contact details and exports go, the record opens to nobody, the rest is found by its id.
pub async fn an_erasure_closes_the_account_and_locks_the_record(harness: &dyn Harness) {
    let (store, now) = (harness.erasures(), harness.now());
    let (account, visits) = harness.patient(&["completed"]).await;
    let export = Export::new(ExportId::from_uuid(id(now)), account, now);
    let order = ExportChanges { export: export.clone(), archive: ArchiveChange::Stays, effects: Effects::default() };
    harness.exports().commit(&order).await.unwrap();
    assert!(harness.is_known(account).await && harness.opens(visits[0]).await);
    let erasure = erased(harness, account, now + SignedDuration::from_hours(24)).await;
    assert!(!harness.is_known(account).await && !harness.opens(visits[0]).await);
    assert_eq!(harness.announced(account.as_uuid()).await.len(), 1);
    assert_eq!(store.find(account).await.unwrap(), Some(erasure));
    assert_eq!(harness.exports().find(export.id).await.unwrap(), None);
    assert_eq!(store.facts(account).await.unwrap(), None);
}

/// The account or the calendar has moved; and twice is once.
pub async fn an_erasure_of_what_has_changed_does_nothing(harness: &dyn Harness) {
    let (store, now) = (harness.erasures(), harness.now());
    let (account, _) = harness.patient(&["cancelled"]).await;
    let right = changes(&facts(harness, account).await, now, now);
    for wrong in [
        ErasureChanges { account_version: right.account_version + 1, ..right.clone() },
        ErasureChanges { calendar_version: right.calendar_version + 1, ..right.clone() },
    ] {
        assert!(matches!(store.erase(&wrong).await, Err(CommitError::Stale)));
        assert!(harness.is_known(account).await);
        assert_eq!(store.find(account).await.unwrap(), None);
    }
    store.erase(&right).await.unwrap();
    assert!(matches!(store.erase(&right).await, Err(CommitError::Stale)));
}

/// What is refused at its end leaves everything as it was.
pub async fn an_erasure_is_whole_or_not_at_all(harness: &dyn Harness) {
    let (store, now) = (harness.erasures(), harness.now());
    let event = EventId::from_uuid(id(now));
    let (first, _) = harness.patient(&["cancelled"]).await;
    let marked = |changes: ErasureChanges, account: AccountId| ErasureChanges {
        effects: once(now, account.as_uuid(), event),
        ..changes
    };
    store.erase(&marked(changes(&facts(harness, first).await, now, now), first)).await.unwrap();
    let (second, visits) = harness.patient(&["completed"]).await;
    let again = marked(changes(&facts(harness, second).await, now, now), second);
    assert!(matches!(store.erase(&again).await, Err(CommitError::AlreadyHandled)));
    assert!(harness.is_known(second).await && harness.opens(visits[0]).await);
    assert!(harness.announced(second.as_uuid()).await.is_empty());
}

/// Those to marketing always, and all for visits that never took place unless a hold keeps them; the others are of the record.
pub async fn consents_go_with_what_they_were_for(harness: &dyn Harness) {
    let (store, now) = (harness.erasures(), harness.now());
    let agreeing = async || {
        let (account, visits) = harness.patient(&["completed", "cancelled"]).await;
        for visit in &visits {
            harness.agrees(account, *visit, &["teleconsultation", "marketing", "research"]).await.unwrap();
        }
        (account, visits)
    };
    let (account, visits) = agreeing().await;
    let (held, held_visits) = agreeing().await;
    let (_, others) = agreeing().await;
    erased(harness, account, now + SignedDuration::from_hours(24)).await;
    assert_eq!(harness.agreed(visits[0]).await, ["teleconsultation", "research"]);
    // What was decided before it comes too late.
    let late = harness.agrees(account, visits[0], &["marketing"]).await;
    assert!(matches!(late, Err(CommitError::Stale)), "{late:?}");
    assert_eq!(harness.agreed(visits[0]).await, ["teleconsultation", "research"]);
    assert!(harness.agreed(visits[1]).await.is_empty());
    store.place_hold(&hold(held, now), &Effects::default()).await.unwrap();
    erased(harness, held, now + SignedDuration::from_hours(24)).await;
    for visit in held_visits {
        assert_eq!(harness.agreed(visit).await, ["teleconsultation", "research"]);
    }
    for visit in others {
        assert_eq!(harness.agreed(visit).await, ["teleconsultation", "marketing", "research"]);
    }
}

/// Not before, and once.
pub async fn a_record_is_destroyed_when_its_time_is_over(harness: &dyn Harness) {
    let (store, now) = (harness.erasures(), harness.now());
    let until = now + SignedDuration::from_hours(24);
    let (account, visits) = harness.patient(&["completed"]).await;
    let erasure = erased(harness, account, until).await;
    let due = async |at| store.due(at, 1_000).await.unwrap().contains(&account);
    assert!(!due(now).await && due(until).await);
    assert_eq!(store.begin_destruction(account, now).await.unwrap(), None);
    let finish = async || store.finish_destruction(account, until, &Effects::default()).await;
    assert!(matches!(finish().await, Err(CommitError::Stale)), "nothing was begun");
    assert_eq!(store.begin_destruction(account, until).await.unwrap(), Some(vec![account]));
    assert_eq!(store.find(account).await.unwrap().unwrap().state, ErasureState::Destroying);
    assert!(due(until).await, "what was begun is to be finished");
    assert_eq!(store.begin_destruction(account, until).await.unwrap(), Some(vec![account]));
    finish().await.unwrap();
    let destroyed = Erasure { state: ErasureState::Destroyed { at: until }, ..erasure };
    assert_eq!(store.find(account).await.unwrap(), Some(destroyed));
    assert!(!due(until).await && !harness.opens(visits[0]).await);
    assert_eq!(store.begin_destruction(account, until).await.unwrap(), None);
    assert!(matches!(finish().await, Err(CommitError::Stale)));
}

/// Whom it kept to the end, and whom it had removed before: nothing is left of them but their keys.
pub async fn keys_end_with_those_of_everybody_the_account_kept(harness: &dyn Harness) {
    let (store, now) = (harness.erasures(), harness.now());
    let (account, _) = harness.patient(&["completed"]).await;
    let (other, _) = harness.patient(&["completed"]).await;
    harness.keeps(other, true).await;
    let mut whose = vec![account];
    for removed in [true, false, true] {
        whose.push(harness.keeps(account, removed).await);
    }
    whose.sort_unstable();
    erased(harness, account, now).await;
    // What was begun begins anew with all of them.
    for _ in 0..2 {
        let mut owners = store.begin_destruction(account, now).await.unwrap().unwrap();
        owners.sort_unstable();
        assert_eq!(owners, whose);
    }
    store.finish_destruction(account, now, &Effects::default()).await.unwrap();
}

/// Placed twice it is one; lifted, the record is due.
pub async fn a_hold_keeps_a_record_until_it_is_lifted(harness: &dyn Harness) {
    let (store, now) = (harness.erasures(), harness.now());
    let (account, _) = harness.patient(&["completed"]).await;
    let none = Effects::default();
    let nobody = AccountId::from_uuid(id(now));
    assert_eq!(store.place_hold(&hold(nobody, now), &none).await.unwrap(), HoldOutcome::Unknown);
    assert_eq!(store.lift_hold(account, &case(), now, &none).await.unwrap(), HoldOutcome::Unknown);
    for _ in 0..2 {
        assert_eq!(store.place_hold(&hold(account, now), &none).await.unwrap(), HoldOutcome::Done);
    }
    assert!(facts(harness, account).await.on_hold);
    erased(harness, account, now).await;
    let due = async || store.due(now, 1_000).await.unwrap().contains(&account);
    assert!(!due().await);
    assert_eq!(store.begin_destruction(account, now).await.unwrap(), None);
    assert_eq!(store.lift_hold(account, &case(), now, &none).await.unwrap(), HoldOutcome::Done);
    assert!(due().await);
    // Placed again, it keeps again.
    assert_eq!(store.place_hold(&hold(account, now), &none).await.unwrap(), HoldOutcome::Done);
    assert!(!due().await);
}

/// The keys may be gone already.
pub async fn a_hold_comes_too_late_once_destruction_has_begun(harness: &dyn Harness) {
    let (store, now) = (harness.erasures(), harness.now());
    let (account, _) = harness.patient(&["completed"]).await;
    erased(harness, account, now).await;
    store.begin_destruction(account, now).await.unwrap().unwrap();
    let place = async || store.place_hold(&hold(account, now), &Effects::default()).await.unwrap();
    assert_eq!(place().await, HoldOutcome::TooLate);
    store.finish_destruction(account, now, &Effects::default()).await.unwrap();
    assert_eq!(place().await, HoldOutcome::TooLate);
}
