//! What the fake has beyond the suites: failures on demand, forgetting, and a look at the invariants.

use amrutam_booking::{
    model::{ConsultationStatus, Mode, PaymentsMode, Slot, SlotStatus},
    ports::{Changes, ConsultationStore, SlotLocks, SlotUpdate},
    use_cases::{Book, Booked, book},
};
use amrutam_kernel::{
    AccountId, Clock, CommitError, CorrelationId, Dependency, Effects, EventEnvelope, EventId, EventPublisher,
    Fingerprint, IdSource, IdempotencyClaim, MessageId, PortError, Recorded, Role, Sensitive, StoredAnswer,
};
use amrutam_memory::{Clinic, Fault, LockMode, ManualClock, RecordingMailer, RecordingPublisher, SeededIds};
use amrutam_notifications::{
    Mail,
    ports::{MailError, Mailer},
};
use jiff::SignedDuration;

/// A clinic where bookings wait to be paid, and a patient.
async fn clinic(payments: PaymentsMode) -> (Clinic, AccountId) {
    let mut clinic = Clinic::open("2026-11-23T03:30:00Z".parse().unwrap(), 7).await.unwrap();
    clinic.payments = payments;
    let patient = clinic.person(Role::Patient, "asha@amrutam.example").await.unwrap();
    (clinic, patient)
}

/// An open slot that has not begun.
async fn slot(clinic: &Clinic, number: usize) -> Slot {
    clinic.open_slots().await.unwrap()[number].clone()
}

async fn book_slot(clinic: &Clinic, patient: AccountId, slot: &Slot) -> Option<Booked> {
    let (doctor, slot) = (clinic.doctor, slot.id);
    let wanted = Book { doctor, slot, mode: Mode::Video, reason: None, for_dependent: None, idempotency: None };
    book(clinic.deps(), &clinic.patient(patient), wanted).await.ok().map(|(booked, _)| booked)
}

async fn commit(clinic: &Clinic, changes: Changes) -> Result<(), CommitError> {
    ConsultationStore::commit(&clinic.world, &changes).await
}

#[tokio::test]
async fn broken_worlds_are_told_from_sound_ones() {
    let (clinic, patient) = clinic(PaymentsMode::Required).await;
    let slot = slot(&clinic, 0).await;
    let booked = book_slot(&clinic, patient, &slot).await.unwrap();
    assert_eq!(clinic.world.violations(), Vec::<String>::new());
    // A slot given back under a live visit is what no use case does.
    let freed = SlotUpdate(booked.slot.freed());
    commit(&clinic, Changes { slots: vec![freed], ..Changes::default() }).await.unwrap();
    let found = clinic.world.violations();
    assert!(found.iter().any(|text| text.starts_with("I4")), "{found:?}");
    let other = clinic.person(Role::Patient, "ravi@amrutam.example").await.unwrap();
    let second = book_slot(&clinic, other, &slot).await.unwrap();
    assert_eq!(second.slot.status, SlotStatus::Booked);
    let found = clinic.world.violations();
    assert!(found.iter().any(|text| text.starts_with("I1")), "{found:?}");
}

#[tokio::test]
async fn commits_fail_as_told() {
    let (clinic, patient) = clinic(PaymentsMode::None).await;
    clinic.world.fail_next_commits([Fault::Stale, Fault::Busy, Fault::Stale]);
    let first = slot(&clinic, 0).await;
    assert!(book_slot(&clinic, patient, &first).await.is_some(), "decided anew until it worked");
    assert_eq!(clinic.pause.pauses().len(), 3);

    let second = slot(&clinic, 1).await;
    clinic.world.fail_next_commits([Fault::Unavailable]);
    assert!(book_slot(&clinic, patient, &second).await.is_none());
    assert_eq!(clinic.world.consultations().len(), 1, "nothing was committed");
    clinic.world.fail_next_commits([Fault::LostAnswer]);
    assert!(book_slot(&clinic, patient, &second).await.is_none());
    assert_eq!(clinic.world.consultations().len(), 2, "all was committed, and nobody told");

    let id = clinic.world.consultations()[0].id;
    clinic.world.set_away(true);
    let away = clinic.world.view(id).await;
    assert!(matches!(away, Err(PortError::Unavailable { dependency: Dependency::Database, .. })), "{away:?}");
    clinic.world.set_away(false);
    assert!(clinic.world.view(id).await.unwrap().is_some());
}

#[tokio::test]
async fn an_answer_is_forgotten_after_a_day() {
    let (clinic, patient) = clinic(PaymentsMode::None).await;
    let slot = slot(&clinic, 0).await.id;
    let claim = IdempotencyClaim {
        caller: patient,
        key: "once".parse().unwrap(),
        fingerprint: Fingerprint::of("POST", "/", b""),
    };
    let answer = |status: u16| StoredAnswer {
        status,
        location: None,
        content_type: "application/json".to_owned(),
        etag: None,
        body: "{}".to_owned(),
    };
    let answered = async |status: u16| {
        let effects = Effects { answer: Some((claim.clone(), answer(status))), ..Effects::default() };
        commit(&clinic, Changes { effects, ..Changes::default() }).await
    };
    let recorded = async || clinic.world.booking_snapshot(slot, patient, None, Some(&claim)).await.unwrap().recorded;
    answered(201).await.unwrap();
    clinic.clock.advance(SignedDuration::from_hours(24) - SignedDuration::from_micros(1));
    assert!(matches!(answered(200).await, Err(CommitError::AlreadyAnswered)));
    assert_eq!(recorded().await, Some(Recorded::Same(answer(201))));
    clinic.clock.advance(SignedDuration::from_micros(1));
    assert_eq!(recorded().await, None);
    answered(200).await.unwrap();
    assert_eq!(recorded().await, Some(Recorded::Same(answer(200))));
}

#[tokio::test]
async fn what_only_a_defect_can_break_is_a_defect() {
    let (clinic, patient) = clinic(PaymentsMode::Required).await;
    let booked = book_slot(&clinic, patient, &slot(&clinic, 0).await).await.unwrap();
    let bare = Slot { consultation: None, version: booked.slot.version + 1, ..booked.slot };
    let refused = commit(&clinic, Changes { slots: vec![SlotUpdate(bare)], ..Changes::default() }).await;
    assert!(matches!(refused, Err(CommitError::Port(PortError::Defect { .. }))), "{refused:?}");
    // A version without its line in the timeline.
    let after = booked.consultation.become_status(ConsultationStatus::Confirmed, clinic.clock.now()).unwrap();
    let refused = commit(&clinic, Changes { updated: vec![(after, 1)], ..Changes::default() }).await;
    assert!(matches!(refused, Err(CommitError::Port(PortError::Defect { .. }))), "{refused:?}");
    assert_eq!(clinic.world.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn locks_do_as_told() {
    let (clinic, patient) = clinic(PaymentsMode::None).await;
    for mode in [LockMode::AlwaysTaken, LockMode::Unavailable, LockMode::Working] {
        clinic.locks.set_mode(mode);
        let booked = book_slot(&clinic, patient, &slot(&clinic, 1).await).await;
        assert!(booked.is_some(), "{mode:?}: the database decides");
        assert_eq!(clinic.locks.held(), 0);
    }
    // An old holder's release takes nothing from a new one.
    let slot = slot(&clinic, 0).await.id;
    let old = clinic.locks.try_lock(slot).await;
    clinic.locks.expire_all();
    let new = clinic.locks.try_lock(slot).await;
    drop(old);
    assert_eq!(clinic.locks.held(), 1);
    drop(new);
    assert_eq!(clinic.locks.held(), 0);
}

#[tokio::test]
async fn the_outbox_is_drained_once_and_the_broker_fails_as_told() {
    let (clinic, patient) = clinic(PaymentsMode::None).await;
    clinic.world.drain_outbox();
    book_slot(&clinic, patient, &slot(&clinic, 0).await).await.unwrap();
    let events = clinic.world.drain_outbox();
    let types: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, ["consultation.requested.v1", "consultation.confirmed.v1"]);
    assert!(clinic.world.outbox().is_empty());

    let broker = RecordingPublisher::new();
    broker.fail_next(false);
    broker.fail_next(true);
    let ids = |events: &[EventEnvelope]| -> Vec<EventId> { events.iter().map(|event| event.id).collect() };
    for taken in [0, 1, 2] {
        assert_eq!(broker.publish(&events[0]).await.is_ok(), taken == 2);
        assert_eq!(ids(&broker.published()), vec![events[0].id; taken]);
    }
}

#[tokio::test]
async fn the_mail_server_fails_as_told() {
    let clock = ManualClock::at("2026-11-23T03:30:00Z".parse().unwrap());
    let ids = SeededIds::new(7);
    let mail = Mail {
        message: MessageId::from_uuid(ids.uuid_v7(clock.now())),
        correlation_id: CorrelationId::from(ids.uuid_v7(clock.now())),
        to: Sensitive::new("asha@example.in".to_owned()),
        to_name: Sensitive::new("Asha".to_owned()),
        subject: "Hello".to_owned(),
        body: Sensitive::new("Hello".to_owned()),
    };
    let server = RecordingMailer::new();
    server.fail_next(MailError::Transient("451".to_owned()), true);
    server.fail_next(MailError::Permanent("550".to_owned()), false);
    assert_eq!(server.send(&mail).await, Err(MailError::Transient("451".to_owned())));
    assert_eq!(server.send(&mail).await, Err(MailError::Permanent("550".to_owned())));
    assert_eq!(server.send(&mail).await, Ok(()));
    assert_eq!(server.sent(), [mail.clone(), mail]);
}
