//! A practitioner's account is closed.

use super::*;
use amrutam_booking::{
    DirectoryError,
    model::{ConsultationStatus, IdentityCheck, PaymentsMode, PractitionerStatus},
    ports::DirectoryStore,
    use_cases::{account_closed, start, suspend, verify},
};
use amrutam_identity::{
    Account,
    model::AccountStatus,
    ports::{AccountChange, AccountStore},
};
use amrutam_kernel::{Actor, AggregateRef, Clock, Effects, EventEnvelope, EventId, Handled, IdSource};
use amrutam_memory::Fault;
use jiff::SignedDuration;

fn closed(clinic: &Clinic, account: AccountId) -> EventEnvelope {
    let now = clinic.clock.now();
    EventEnvelope {
        id: EventId::from_uuid(clinic.ids.uuid_v7(now)),
        event_type: "account.deactivated.v1".to_owned(),
        aggregate: AggregateRef { kind: "account".to_owned(), id: account.as_uuid(), version: 0 },
        occurred_at: now,
        actor: format!("doctor:{account}"),
        correlation_id: "flow-1".parse().unwrap(),
        trace_parent: None,
        payload: serde_json::json!({ "account_id": account, "something_new": [] }),
    }
}

async fn close(clinic: &Clinic, event: &EventEnvelope) -> Result<Handled, amrutam_booking::ConsumeError> {
    account_closed(clinic.deps(), clinic.directory(), event).await
}

fn statuses(clinic: &Clinic) -> Vec<ConsultationStatus> {
    let mut visits = clinic.world.consultations();
    visits.sort_by_key(|visit| visit.range.start());
    visits.iter().map(|visit| visit.status).collect()
}

#[tokio::test]
async fn nobody_books_a_practitioner_who_has_left_and_whoever_has_is_told() {
    use ConsultationStatus::{Cancelled, InProgress};
    let clinic = clinic().await;
    let (asha, ravi) = (patient(&clinic, "asha").await, patient(&clinic, "ravi").await);
    let under_way = booked(&clinic, asha, 0).await;
    booked(&clinic, asha, 1).await;
    booked(&clinic, ravi, 3).await;
    let doctor = clinic.context(Actor::Account { id: clinic.doctor_account, role: Role::Doctor });
    let begins = clinic.world.consultations().into_iter().find(|visit| visit.id == under_way).unwrap().range.start();
    clinic.clock.set(begins);
    start(clinic.deps(), &doctor, under_way, IdentityCheck::Asked, None).await.unwrap();
    clinic.world.drain_outbox();

    let event = closed(&clinic, clinic.doctor_account);
    let told_at = clinic.clock.now();
    assert_eq!(close(&clinic, &event).await.unwrap(), Handled::Applied);
    assert!(
        clinic.clock.now().duration_since(told_at) >= SignedDuration::from_secs(10),
        "bookings under way are waited for"
    );
    assert_eq!(statuses(&clinic), [InProgress, Cancelled, Cancelled]);
    let profile = DirectoryStore::by_id(&clinic.world, clinic.doctor).await.unwrap().unwrap();
    assert_eq!(profile.status, PractitionerStatus::Suspended);
    let told = clinic.world.drain_outbox();
    let told: Vec<_> = told.iter().filter(|event| event.event_type == "consultation.cancelled.v1").collect();
    assert_eq!(told.len(), 2);
    for event in &told {
        assert_eq!((&event.payload["by"], &event.payload["cause"]), (&"system".into(), &"doctor_unavailable".into()));
        assert_eq!(event.correlation_id.as_str(), "flow-1");
    }
    assert!(clinic.open_slots().await.map_or(true, |slots| slots.is_empty()), "nothing is offered");
    assert_sound(&clinic);

    let account = AccountStore::by_id(&clinic.world, clinic.doctor_account).await.unwrap().undisclosed().unwrap();
    let account = Account { status: AccountStatus::Deactivated, version: account.version + 1, ..account };
    let change = AccountChange { account: &account, spend: None, void_links: None, end_sessions: None };
    AccountStore::update(&clinic.world, change, &Effects::default()).await.unwrap();
    let again = verify(clinic.directory(), &directory::admin(&clinic).await, clinic.doctor, None).await;
    assert!(matches!(again, Err(DirectoryError::AccountClosed)), "{again:?}");
    assert_eq!(close(&clinic, &event).await.unwrap(), Handled::Applied, "told again, it is as it is");
    assert!(clinic.world.drain_outbox().is_empty());
}

#[tokio::test]
async fn whoever_dies_in_the_middle_goes_on_where_it_was() {
    let clinic = clinic().await;
    for (number, name) in ["asha", "ravi", "mira"].into_iter().enumerate() {
        let who = patient(&clinic, name).await;
        booked(&clinic, who, number).await;
    }
    let event = closed(&clinic, clinic.doctor_account);
    // It dies after each of its commits: the profile's, three visits', the mark's.
    for step in 1..=5 {
        clinic.world.fail_next_commits([Fault::LostAnswer]);
        assert!(close(&clinic, &event).await.is_err(), "step {step}");
    }
    assert_eq!(close(&clinic, &event).await.unwrap(), Handled::Applied);
    assert!(statuses(&clinic).iter().all(|status| *status == ConsultationStatus::Cancelled));
    let told = clinic.world.drain_outbox();
    assert_eq!(told.iter().filter(|event| event.event_type == "consultation.cancelled.v1").count(), 3, "once each");
    assert_sound(&clinic);
}

#[tokio::test]
async fn a_profile_that_is_suspended_already_and_an_account_without_one_are_no_trouble() {
    let mut clinic = clinic().await;
    clinic.payments = PaymentsMode::Required;
    let asha = patient(&clinic, "asha").await;
    booked(&clinic, asha, 0).await;
    let operator = clinic.context(Actor::System("test"));
    suspend(clinic.directory(), &operator, clinic.doctor, None).await.unwrap();
    assert_eq!(close(&clinic, &closed(&clinic, asha)).await.unwrap(), Handled::Ignored);
    assert_eq!(statuses(&clinic), [ConsultationStatus::Pending]);
    let event = closed(&clinic, clinic.doctor_account);
    assert_eq!(close(&clinic, &event).await.unwrap(), Handled::Applied);
    assert_eq!(statuses(&clinic), [ConsultationStatus::Cancelled]);
    clinic.clock.advance(SignedDuration::from_mins(60));
    assert_sound(&clinic);
}
