//! The people whom accounts keep, and that their visits are theirs.

use super::{
    Harness,
    stage::{effects, id, note},
};
use crate::{
    model::{Dependant, DependantDetails, DependantRelation, Sex, Subject},
    ports::{ClinicalChanges, DependantChange},
};
use amrutam_kernel::{AccountId, CommitError, DependantId, Effects, Limit, PageRequest, Sensitive};
use jiff::SignedDuration;

#[track_caller]
fn stale(result: &Result<(), CommitError>) {
    assert!(matches!(result, Err(CommitError::Stale)), "{result:?}");
}

fn child(harness: &dyn Harness, keeper: AccountId, name: &str) -> Dependant {
    Dependant {
        id: DependantId::from_uuid(id(harness.now())),
        keeper,
        details: Sensitive::new(DependantDetails {
            full_name: name.to_owned(),
            date_of_birth: "2018-06-01".parse().unwrap(),
            sex: Some(Sex::Female),
            relation: DependantRelation::Child,
        }),
        added_at: harness.now(),
        updated_at: harness.now(),
        removed_at: None,
        version: 1,
    }
}

async fn add(harness: &dyn Harness, dependant: &Dependant, others: usize) -> Result<(), CommitError> {
    let change = DependantChange::Added { dependant: dependant.clone(), others };
    harness.clinical().commit_dependant(&change, &Effects::default()).await
}

async fn keeper(harness: &dyn Harness) -> AccountId {
    harness.visits(&["confirmed"]).await[0].patient
}

/// By version, by its keeper alone, with effects or not at all.
pub async fn a_dependant_is_read_back_and_changed_by_version(harness: &dyn Harness) {
    let store = harness.clinical();
    let (keeper, stranger) = (keeper(harness).await, keeper(harness).await);
    let first = child(harness, keeper, "काव्या");
    assert_eq!(store.kept(keeper, first.id).await.unwrap().undisclosed(), None);
    add(harness, &first, 0).await.unwrap();
    assert_eq!(store.kept(keeper, first.id).await.unwrap().undisclosed().unwrap().dependant, first);
    assert_eq!(store.kept(stranger, first.id).await.unwrap().undisclosed(), None, "another's is nobody");
    let other = DependantDetails { sex: None, ..first.details.expose().clone() };
    let second = first.changed(other, harness.now() + SignedDuration::from_secs(1));
    let taken = effects(harness, first.id.as_uuid());
    store.commit_dependant(&DependantChange::Changed(second.clone()), &taken).await.unwrap();
    assert_eq!(harness.announced(first.id.as_uuid()).await, [taken.events[0].id]);
    assert_eq!(harness.audited(&first.id.to_string()).await, [taken.audit[0].id]);
    let again = effects(harness, first.id.as_uuid());
    stale(&store.commit_dependant(&DependantChange::Changed(second.clone()), &again).await);
    assert_eq!(harness.announced(first.id.as_uuid()).await, [taken.events[0].id]);
    assert_eq!(store.kept(keeper, first.id).await.unwrap().undisclosed().unwrap().dependant, second);
}

/// Each account's own, in order.
pub async fn dependants_come_in_pages_by_when_they_were_added(harness: &dyn Harness) {
    let store = harness.clinical();
    let (keeper, stranger) = (keeper(harness).await, keeper(harness).await);
    let mut family = Vec::new();
    for (n, name) in (0_i64..).zip(["one", "two", "three"]) {
        let one = Dependant { added_at: harness.now() + SignedDuration::from_secs(n), ..child(harness, keeper, name) };
        add(harness, &one, family.len()).await.unwrap();
        family.push(one);
    }
    add(harness, &child(harness, stranger, "another's"), 0).await.unwrap();
    let two = Limit::new(2).unwrap();
    let first = store.dependants(keeper, PageRequest { limit: two, after: None }).await.unwrap().undisclosed();
    assert_eq!(first.items, family[..2]);
    let second = store.dependants(keeper, PageRequest { limit: two, after: first.next }).await.unwrap().undisclosed();
    assert_eq!((second.items, second.next), (family[2..].to_vec(), None));
    assert_eq!(store.count_kept(keeper).await.unwrap(), 3);
}

/// Two who are added at once have not both seen the same number.
pub async fn one_more_is_added_to_those_that_were_counted(harness: &dyn Harness) {
    let keeper = keeper(harness).await;
    stale(&add(harness, &child(harness, keeper, "one"), 1).await);
    add(harness, &child(harness, keeper, "one"), 0).await.unwrap();
    let (two, three) = (child(harness, keeper, "two"), child(harness, keeper, "three"));
    let (one, other) = futures::join!(add(harness, &two, 1), add(harness, &three, 1));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    assert_eq!(harness.clinical().count_kept(keeper).await.unwrap(), 2);
}

/// Who has had a visit stays to be read, who had none is gone; and the calendar's version rises.
pub async fn a_removal_is_for_the_calendar_that_was_read(harness: &dyn Harness) {
    let store = harness.clinical();
    let keeper = keeper(harness).await;
    let (treated, other) = (child(harness, keeper, "treated"), child(harness, keeper, "other"));
    add(harness, &treated, 0).await.unwrap();
    add(harness, &other, 1).await.unwrap();
    harness.visits_of(Some(treated.subject()), &["completed"]).await;
    let read = store.kept(keeper, treated.id).await.unwrap().undisclosed().unwrap();
    let unbooked = store.kept(keeper, other.id).await.unwrap().undisclosed().unwrap();
    assert_eq!((read.ever_booked, unbooked.ever_booked), (true, false));
    let removed = treated.removed(harness.now());
    let remove = async |dependant: &Dependant, calendar, forget| {
        let change = DependantChange::Removed { dependant: dependant.clone(), calendar, forget };
        store.commit_dependant(&change, &Effects::default()).await
    };
    stale(&remove(&removed, read.calendar + 1, false).await);
    remove(&removed, read.calendar, false).await.unwrap();
    stale(&remove(&other.removed(harness.now()), read.calendar, true).await);
    remove(&other.removed(harness.now()), read.calendar + 1, true).await.unwrap();
    assert_eq!(store.kept(keeper, treated.id).await.unwrap().undisclosed().unwrap().dependant, removed);
    assert_eq!(store.kept(keeper, other.id).await.unwrap().undisclosed(), None);
    assert_eq!(store.count_kept(keeper).await.unwrap(), 0);
    stale(
        &store.commit_dependant(&DependantChange::Changed(removed.removed(harness.now())), &Effects::default()).await,
    );
}

/// The person, what was before, who treats, the record: neither the keeper's nor another dependant's.
pub async fn a_dependants_visits_are_theirs_alone(harness: &dyn Harness) {
    let store = harness.clinical();
    let keepers = harness.visits(&["completed"]).await[0];
    let kept = child(harness, keepers.patient, "Kavya");
    let sibling = child(harness, keepers.patient, "Rohan");
    add(harness, &kept, 0).await.unwrap();
    add(harness, &sibling, 1).await.unwrap();
    let theirs = harness.visits_of(Some(kept.subject()), &["completed"]).await[0];
    let visit = store.visit(theirs.id).await.unwrap().unwrap();
    assert_eq!((visit.subject, visit.person.expose()), (kept.subject(), &kept.details.expose().person()));
    let written = crate::model::Note { subject: kept.subject(), ..note(&theirs, 1, "one") };
    store.commit(&ClinicalChanges { note: Some(written.clone()), ..ClinicalChanges::default() }).await.unwrap();
    let after = theirs.starts_at + SignedDuration::from_hours(1);
    let people = [kept.subject(), sibling.subject(), Subject::Account(keepers.patient)];
    let page = || PageRequest { limit: Limit::new(5).unwrap(), after: None };
    for (whose, count) in people.into_iter().zip([1, 0, 0]) {
        let earlier = store.earlier_visits(whose, theirs.doctor, theirs.starts_at, after).await.unwrap().undisclosed();
        assert_eq!(earlier.len(), count, "{whose:?}");
        let treated = store.last_treated(whose, theirs.doctor_account, harness.now(), after).await.unwrap();
        assert_eq!(treated.is_some(), count == 1, "{whose:?}");
    }
    for (whose, seen) in people.into_iter().zip([vec![theirs.id], vec![], vec![keepers.id]]) {
        let found = store.records(whose, page()).await.unwrap().undisclosed();
        assert_eq!(found.items.iter().map(|entry| entry.consultation).collect::<Vec<_>>(), seen, "{whose:?}");
    }
    assert_eq!(store.records(kept.subject(), page()).await.unwrap().undisclosed().items[0].note, Some(written));
}
