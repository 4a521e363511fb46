use super::*;
use amrutam_booking::{
    model::{BookingRefusal, CancelReason, ConsultationStatus, PaymentsMode, SlotStatus},
    ports::ConsultationStore,
    use_cases::{Cancel, cancel},
};
use amrutam_kernel::{Actor, Denial, Outcome, PortError, Role};
use amrutam_memory::{Fault, LockMode};
use jiff::SignedDuration;

#[tokio::test]
async fn a_booking_is_confirmed_announced_audited_and_its_reason_sealed() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    let booked = book_slot(&clinic, asha, slot(&clinic, 0).await).await.unwrap();

    assert_eq!(booked.consultation.status, ConsultationStatus::Confirmed);
    assert_eq!((booked.consultation.version, booked.slot.status), (2, SlotStatus::Booked));
    let types: Vec<_> = clinic.world.outbox().into_iter().map(|e| (e.event_type, e.aggregate.version)).collect();
    let expected = [("consultation.requested.v1".to_owned(), 1), ("consultation.confirmed.v1".to_owned(), 2)];
    assert_eq!(types, expected);
    let timeline = clinic.world.timeline(booked.consultation.id).await.unwrap().judge(Clone::clone);
    let causes: Vec<_> = timeline.iter().map(|entry| (entry.version, entry.cause.as_str())).collect();
    assert_eq!(causes, [(1, "booked"), (2, "payment_not_required")]);
    let entry = clinic.world.audit().pop().unwrap();
    assert_eq!((entry.action, entry.patient, entry.outcome), ("consultation.book", Some(asha), Outcome::Allowed));
    let sealed = clinic.world.sealed_reason(booked.consultation.id).await.unwrap().unwrap();
    assert_ne!(sealed, b"headache");
    assert!(clinic.world.outbox().iter().all(|event| !event.payload.to_string().contains("headache")));
    assert_sound(&clinic);
}

#[tokio::test]
async fn a_visit_that_nobody_ended_leaves_the_calendar_a_day_later() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    let slots = clinic.open_slots().await.unwrap();
    let forgotten = book_slot(&clinic, asha, slots[0].id).await.unwrap().consultation;
    let (day, last) = (SignedDuration::from_hours(24), slots.last().unwrap().id);
    for (since_its_end, named) in [(day, 2), (day + SignedDuration::from_secs(1), 1)] {
        clinic.clock.set(forgotten.range.end() + since_its_end);
        let booked = book_slot(&clinic, asha, last).await.unwrap().consultation.id;
        let snapshot = clinic.world.booking_snapshot(last, asha, None, None).await.unwrap();
        assert_eq!(snapshot.calendar.live.len(), named, "{since_its_end}");
        assert_sound(&clinic);
        let command = Cancel { id: booked, reason: CancelReason::PatientOther, idempotency: None };
        let context = clinic.context(Actor::Account { id: asha, role: Role::Patient });
        cancel(clinic.deps(), &context, command).await.unwrap();
    }
}

#[tokio::test]
async fn who_comes_second_is_told_that_the_slot_is_gone() {
    let clinic = clinic().await;
    let (asha, ravi) = (patient(&clinic, "asha").await, patient(&clinic, "ravi").await);
    let slot = slot(&clinic, 0).await;
    book_slot(&clinic, asha, slot).await.unwrap();
    let refused = book_slot(&clinic, ravi, slot).await;
    assert!(matches!(refused, Err(BookError::Refused(BookingRefusal::SlotUnavailable))), "{refused:?}");
    let tried = clinic.world.audit().into_iter().find(|entry| entry.outcome == Outcome::Failed).unwrap();
    assert_eq!((tried.action, tried.patient, tried.resource_id), ("consultation.book", Some(ravi), slot.to_string()));
    assert_sound(&clinic);
}

#[tokio::test]
async fn the_same_key_gives_the_same_answer_and_has_one_effect() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    let slot = slot(&clinic, 0).await;
    let claim = claim(asha, "key-1", "body");
    let (_, answer) = book_with_key(&clinic, asha, slot, &claim).await.unwrap();
    let again = book_with_key(&clinic, asha, slot, &claim).await;
    assert!(matches!(again, Err(BookError::Replay(same)) if Some(&same) == answer.as_ref()));
    let other = book_with_key(&clinic, asha, slot, &super::claim(asha, "key-1", "another body")).await;
    assert!(matches!(other, Err(BookError::KeyReused)));
    assert_eq!(clinic.world.consultations().len(), 1);
    assert_sound(&clinic);
}

#[tokio::test]
async fn after_an_answer_that_was_lost_the_same_key_tells() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    let slot = slot(&clinic, 0).await;
    let claim = claim(asha, "key-1", "body");
    clinic.world.fail_next_commits([Fault::LostAnswer]);
    let lost = book_with_key(&clinic, asha, slot, &claim).await;
    assert!(matches!(lost, Err(BookError::Port(PortError::Unavailable { .. }))));
    let told = book_with_key(&clinic, asha, slot, &claim).await;
    assert!(matches!(told, Err(BookError::Replay(_))), "{told:?}");
    assert_eq!(clinic.world.consultations().len(), 1);
    assert_sound(&clinic);
}

#[tokio::test]
async fn without_a_commit_nothing_is_left_and_the_same_key_books() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    let slot = slot(&clinic, 0).await;
    let claim = claim(asha, "key-1", "body");
    clinic.world.fail_next_commits([Fault::Unavailable]);
    assert!(book_with_key(&clinic, asha, slot, &claim).await.is_err());
    assert!(clinic.world.consultations().is_empty() && clinic.world.outbox().is_empty());
    book_with_key(&clinic, asha, slot, &claim).await.unwrap();
    assert_sound(&clinic);
}

#[tokio::test]
async fn a_commit_that_met_a_change_is_decided_anew_and_not_for_ever() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    clinic.world.fail_next_commits([Fault::Stale, Fault::Busy, Fault::Stale]);
    book_slot(&clinic, asha, slot(&clinic, 0).await).await.unwrap();
    clinic.world.fail_next_commits([Fault::Busy; 100]);
    let contended = book_slot(&clinic, asha, slot(&clinic, 3).await).await;
    assert!(matches!(contended, Err(BookError::Contended)));
    assert_sound(&clinic);
}

#[tokio::test]
async fn a_lock_that_is_away_or_never_given_back_does_not_keep_a_free_slot_from_being_booked() {
    for mode in [LockMode::Unavailable, LockMode::AlwaysTaken] {
        let clinic = clinic().await;
        let asha = patient(&clinic, "asha").await;
        let slot = slot(&clinic, 0).await;
        clinic.locks.set_mode(mode);
        book_slot(&clinic, asha, slot).await.unwrap();
        let waited: std::time::Duration = clinic.pause.pauses().into_iter().sum();
        assert!(waited.as_millis() <= 260, "waited {waited:?} for a lock");
    }
}

#[tokio::test]
async fn only_a_patient_books_and_the_refusal_is_on_the_record() {
    let clinic = clinic().await;
    let doctor = clinic.context(Actor::Account { id: clinic.doctor_account, role: Role::Doctor });
    let refused = book(clinic.deps(), &doctor, wanted(&clinic, slot(&clinic, 0).await)).await;
    assert!(matches!(refused, Err(BookError::Denied(Denial::Forbidden))));
    let entry = clinic.world.audit().pop().unwrap();
    assert_eq!((entry.action, entry.outcome), ("consultation.book", Outcome::Denied));
}

#[tokio::test]
async fn a_hold_keeps_others_out_until_it_has_run_out() {
    let mut clinic = clinic().await;
    clinic.payments = PaymentsMode::Required;
    let (asha, ravi) = (patient(&clinic, "asha").await, patient(&clinic, "ravi").await);
    let slot = slot(&clinic, 3).await;
    let held = book_slot(&clinic, asha, slot).await.unwrap().consultation;
    assert_eq!(held.status, ConsultationStatus::Pending);

    clinic.clock.advance(SignedDuration::from_mins(15) - SignedDuration::from_micros(1));
    assert!(book_slot(&clinic, ravi, slot).await.is_err());
    clinic.clock.set(held.hold_expires_at.unwrap());
    let taken = book_slot(&clinic, ravi, slot).await.unwrap().consultation;

    let expired =
        clinic.world.view(held.id).await.unwrap().map(|found| found.judge(Clone::clone)).unwrap().consultation;
    assert_eq!(expired.status, ConsultationStatus::Expired);
    assert_eq!(taken.patient, ravi);
    let last = clinic.world.timeline(held.id).await.unwrap().judge(Clone::clone).pop().unwrap();
    assert_eq!((last.cause.as_str(), last.actor.as_str()), ("hold_expired", "system:hold-expiry"));
    // The claimant's flow, whose name is the client's choice, is nowhere in what is kept about the other patient.
    let claimants = clinic.world.timeline(taken.id).await.unwrap().judge(Clone::clone).pop().unwrap().correlation_id;
    assert_ne!(last.correlation_id, claimants);
    let about = clinic.world.audit().into_iter().filter(|entry| entry.patient == Some(asha));
    assert!(about.into_iter().all(|entry| entry.correlation_id != claimants));
    assert_sound(&clinic);
}

#[tokio::test]
async fn a_patient_holds_at_most_three_unpaid_slots_and_is_nowhere_twice() {
    let mut clinic = clinic().await;
    clinic.payments = PaymentsMode::Required;
    let asha = patient(&clinic, "asha").await;
    for n in 0..3 {
        booked(&clinic, asha, n).await;
    }
    let fourth = book_slot(&clinic, asha, slot(&clinic, 1).await).await;
    assert!(matches!(fourth, Err(BookError::Refused(BookingRefusal::TooManyUnpaidHolds))), "{fourth:?}");
    clinic.clock.advance(SignedDuration::from_mins(16));
    booked(&clinic, asha, 5).await;
    assert_sound(&clinic);
}
