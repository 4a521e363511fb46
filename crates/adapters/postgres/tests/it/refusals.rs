//! Effects that are refused after the unit of work has written: all of it is taken back.

use crate::support::{World, booking, id, now};
use amrutam_booking::ports::{AvailabilityStore, Changes, ConsultationStore, DirectoryStore};
use amrutam_identity::ports::AccountStore;
use amrutam_kernel::{
    AuditEntry, AuditEntryId, CommitError, Context, CorrelationId, Effects, EventId, InboxMark, Outcome, PortError,
    TimeRange, recorded,
};
use jiff::ToSpan;

#[tokio::test(flavor = "multi_thread")]
async fn a_handled_event_changes_nothing_a_second_time() {
    let world = World::new();
    let doctor = world.doctor().await;
    let slot = world.slots(1).await.remove(0);
    let mark = InboxMark { consumer: "test", event: EventId::from_uuid(id(now())) };
    let effects = Effects { inbox: Some(mark), ..Effects::default() };
    DirectoryStore::record(&world.store, &effects).await.unwrap();
    let handled =
        |result: Result<(), CommitError>| assert!(matches!(result, Err(CommitError::AlreadyHandled)), "{result:?}");

    let mut renamed = doctor.clone();
    renamed.details.bio = "Another".to_owned();
    renamed.version += 1;
    handled(DirectoryStore::update(&world.store, &renamed, &effects).await);
    assert_eq!(DirectoryStore::by_id(&world.store, doctor.id).await.unwrap(), Some(doctor.clone()));

    let range = TimeRange::new(now() + 24.hours(), now() + 25.hours()).unwrap();
    let mut changes = world.making(doctor.id, vec![range]).await;
    changes.effects = effects.clone();
    handled(AvailabilityStore::commit(&world.store, &changes).await);
    let all = TimeRange::new(now(), now() + 48.hours()).unwrap();
    assert_eq!(AvailabilityStore::slots(&world.store, doctor.id, all).await.unwrap(), []);
    assert_eq!(world.store.load(doctor.id, now()).await.unwrap().unwrap().version, 0);

    let mut changes = booking(&slot, world.patient().await);
    changes.effects.inbox = effects.inbox;
    handled(ConsultationStore::commit(&world.store, &changes).await);
    assert_eq!(world.slot(slot.id).await, slot);
}

/// Nobody goes on as if it were on the record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_put_on_the_record_in_time_is_unavailable() {
    let world = World::with(|settings| settings.lock_timeout_ms = 50);
    let entry = AuditEntry::new(
        AuditEntryId::from_uuid(id(now())),
        now(),
        &Context::of_system("test", CorrelationId::from(id(now()))),
        "consultation.read",
        "consultation",
        "x".to_owned(),
        Outcome::Allowed,
    );
    let effects = Effects { audit: vec![entry], ..Effects::default() };
    let owner = world.db.owner().await;
    owner.run("BEGIN; LOCK TABLE audit_intake IN ACCESS EXCLUSIVE MODE").await;
    let alone = Changes { effects: effects.clone(), ..Changes::default() };
    let results = [
        AccountStore::record(&world.accounts, &effects).await,
        DirectoryStore::record(&world.store, &effects).await,
        AvailabilityStore::record(&world.store, &effects).await,
        recorded(ConsultationStore::commit(&world.store, &alone).await),
    ];
    for result in results {
        assert!(matches!(result, Err(PortError::Unavailable { .. })), "{result:?}");
    }
    owner.run("ROLLBACK").await;
    AccountStore::record(&world.accounts, &effects).await.unwrap();
    assert_eq!(world.db.app().await.count("SELECT count(*) FROM audit_entries WHERE resource_id = 'x'").await, 1);
}
