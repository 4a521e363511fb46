use super::*;
use amrutam_booking::{
    ConsultationError, RescheduleError,
    model::{
        BookingRefusal, CancelReason, ConsultationStatus, EndReason, IdentityCheck, InvalidTransition, PaymentsMode,
        SlotStatus, TimelineKind, TimingRefusal,
    },
    ports::ConsultationStore,
    use_cases::{
        Access, Cancel, Detail, cancel, change_mode, complete, end, expire_holds, list_consultations, no_show,
        read_consultation, reschedule, start,
    },
};
use amrutam_kernel::{Actor, Context, Denial, Limit, Outcome, PageRequest, PortError, Role};
use amrutam_memory::Fault;
use jiff::SignedDuration;

fn doctor(clinic: &Clinic) -> Context {
    clinic.context(Actor::Account { id: clinic.doctor_account, role: Role::Doctor })
}

async fn cancel_as(
    clinic: &Clinic,
    who: &Context,
    id: ConsultationId,
    reason: CancelReason,
) -> Result<(), ConsultationError> {
    cancel(clinic.deps(), who, Cancel { id, reason, idempotency: None }).await.map(drop)
}

async fn status_of_slot(clinic: &Clinic, id: SlotId) -> SlotStatus {
    clinic.world.slots().into_iter().find(|slot| slot.id == id).unwrap().status
}

#[tokio::test]
async fn a_cancelled_slot_is_offered_again_unless_the_doctor_will_not_be_there() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    let slot_id = slot(&clinic, 2).await;
    let id = book_slot(&clinic, asha, slot_id).await.unwrap().consultation.id;
    cancel_as(&clinic, &clinic.patient(asha), id, CancelReason::PatientImproved).await.unwrap();
    assert_eq!(status_of_slot(&clinic, slot_id).await, SlotStatus::Open);

    let id = book_slot(&clinic, asha, slot_id).await.unwrap().consultation.id;
    cancel_as(&clinic, &doctor(&clinic), id, CancelReason::DoctorUnavailable).await.unwrap();
    assert_eq!(status_of_slot(&clinic, slot_id).await, SlotStatus::Blocked);
    // Nor is it when the slots are planned anew.
    let range = clinic.world.slots().into_iter().find(|slot| slot.id == slot_id).unwrap().range;
    let system = clinic.context(Actor::System("horizon"));
    amrutam_booking::use_cases::extend_horizon(clinic.availability(), &system, clinic.doctor).await.unwrap();
    assert!(clinic.open_slots().await.unwrap().iter().all(|slot| !slot.range.overlaps(&range)));
    let twice = cancel_as(&clinic, &doctor(&clinic), id, CancelReason::DoctorUnavailable).await;
    assert!(matches!(twice, Err(ConsultationError::InvalidTransition(_))));
    assert_sound(&clinic);
}

#[tokio::test]
async fn each_side_gives_its_own_reasons() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    let id = booked(&clinic, asha, 2).await;
    let patients = cancel_as(&clinic, &clinic.patient(asha), id, CancelReason::DoctorOther).await;
    let technical = cancel_as(&clinic, &clinic.patient(asha), id, CancelReason::TechnicalIssue).await;
    assert!(matches!(technical, Err(ConsultationError::ReasonNotYours)), "the doctor's to give: {technical:?}");
    let doctors = cancel_as(&clinic, &doctor(&clinic), id, CancelReason::PatientOther).await;
    assert!(matches!(
        (patients, doctors),
        (Err(ConsultationError::ReasonNotYours), Err(ConsultationError::ReasonNotYours))
    ));
    let audit = clinic.world.audit();
    let denied = audit.iter().filter(|entry| entry.action == "consultation.cancel" && entry.outcome == Outcome::Denied);
    assert_eq!(denied.count(), 3);
}

#[tokio::test]
async fn a_visit_moves_with_both_slots_and_keeps_its_id() {
    let clinic = clinic().await;
    let (asha, ravi) = (patient(&clinic, "asha").await, patient(&clinic, "ravi").await);
    let (from, to) = (slot(&clinic, 2).await, slot(&clinic, 4).await);
    let id = book_slot(&clinic, asha, from).await.unwrap().consultation.id;
    let (moved, _) = reschedule(clinic.deps(), &clinic.patient(asha), id, to, None).await.unwrap();
    assert_eq!((moved.consultation.id, moved.consultation.slot), (id, to));
    assert_eq!(status_of_slot(&clinic, from).await, SlotStatus::Open);
    assert_eq!(status_of_slot(&clinic, to).await, SlotStatus::Booked);
    assert_eq!(clinic.world.outbox().last().unwrap().event_type, "consultation.rescheduled.v1");

    let other = booked(&clinic, ravi, 0).await;
    let taken = reschedule(clinic.deps(), &clinic.patient(ravi), other, to, None).await;
    assert!(matches!(taken, Err(RescheduleError::Refused(BookingRefusal::SlotUnavailable))));
    let itself = reschedule(clinic.deps(), &clinic.patient(asha), id, to, None).await;
    assert!(matches!(itself, Err(RescheduleError::Refused(BookingRefusal::SlotUnavailable))));
    assert_sound(&clinic);
}

#[tokio::test]
async fn a_visit_starts_and_ends_when_it_may() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    let id = booked(&clinic, asha, 2).await;
    let visit = clinic.world.view(id).await.unwrap().map(|found| found.judge(Clone::clone)).unwrap().consultation;
    let early = start(clinic.deps(), &doctor(&clinic), id, IdentityCheck::Asked, None).await;
    assert!(matches!(early, Err(ConsultationError::Timing(TimingRefusal::TooEarly { .. }))));
    clinic.clock.set(visit.range.start() - SignedDuration::from_mins(10));
    let patients = start(clinic.deps(), &clinic.patient(asha), id, IdentityCheck::Asked, None).await;
    assert!(matches!(patients, Err(ConsultationError::Denied(Denial::Forbidden))));
    let denied = clinic.world.audit().pop().unwrap();
    assert_eq!((denied.action, denied.outcome, denied.patient), ("consultation.start", Outcome::Denied, Some(asha)));
    start(clinic.deps(), &doctor(&clinic), id, IdentityCheck::Asked, None).await.unwrap();
    complete(clinic.deps(), &doctor(&clinic), id, None, None).await.unwrap();
    let after = cancel_as(&clinic, &clinic.patient(asha), id, CancelReason::PatientOther).await;
    assert!(matches!(after, Err(ConsultationError::InvalidTransition(_))));
    assert_sound(&clinic);
}

#[tokio::test]
async fn how_the_patients_identity_was_made_sure_of_is_told_with_the_start() {
    for (way, word) in [
        (IdentityCheck::default(), "identity_asked"),
        (IdentityCheck::PhotoId, "identity_photo_id"),
        (IdentityCheck::Known, "identity_known"),
    ] {
        let clinic = clinic().await;
        let id = booked(&clinic, patient(&clinic, "asha").await, 2).await;
        let visit = clinic.world.view(id).await.unwrap().unwrap().judge(|view| view.consultation.range);
        clinic.clock.set(visit.start());
        start(clinic.deps(), &doctor(&clinic), id, way, None).await.unwrap();
        let line = clinic.world.timeline(id).await.unwrap().judge(|timeline| timeline.last().cloned().unwrap());
        assert_eq!((line.to, line.cause.as_str()), (ConsultationStatus::InProgress, word));
        let event = clinic.world.outbox().pop().unwrap();
        assert_eq!((event.event_type.as_str(), &event.payload["cause"]), ("consultation.started.v1", &word.into()));
    }
}

/// A visit under way, of Asha's.
async fn begun(clinic: &Clinic) -> (AccountId, ConsultationId) {
    let asha = patient(clinic, "asha").await;
    let id = booked(clinic, asha, 2).await;
    let visit = clinic.world.view(id).await.unwrap().unwrap().judge(|view| view.consultation.range);
    clinic.clock.set(visit.start());
    start(clinic.deps(), &doctor(clinic), id, IdentityCheck::Asked, None).await.unwrap();
    (asha, id)
}

#[tokio::test]
async fn either_side_goes_on_in_another_mode_while_the_visit_is_under_way() {
    let clinic = clinic().await;
    let other = booked(&clinic, patient(&clinic, "ravi").await, 4).await;
    let early = change_mode(clinic.deps(), &doctor(&clinic), other, Mode::Audio, None).await;
    let confirmed = ConsultationStatus::Confirmed;
    let refused = InvalidTransition { from: confirmed, to: confirmed };
    assert!(matches!(early, Err(ConsultationError::InvalidTransition(why)) if why == refused));
    let (asha, id) = begun(&clinic).await;
    let same = change_mode(clinic.deps(), &clinic.patient(asha), id, Mode::Video, None).await;
    assert!(matches!(same, Err(ConsultationError::SameMode)));
    let (audio, _) = change_mode(clinic.deps(), &clinic.patient(asha), id, Mode::Audio, None).await.unwrap();
    let (chat, _) = change_mode(clinic.deps(), &doctor(&clinic), id, Mode::Chat, None).await.unwrap();
    assert_eq!((audio.consultation.mode, chat.consultation.mode), (Mode::Audio, Mode::Chat));
    assert_eq!(chat.consultation.status, ConsultationStatus::InProgress);
    let timeline = clinic.world.timeline(id).await.unwrap().judge(Clone::clone);
    let told: Vec<_> =
        timeline.iter().rev().take(2).map(|line| (line.kind, line.cause.as_str(), line.version)).collect();
    assert_eq!(told, [(TimelineKind::ModeChanged, "chat", 5), (TimelineKind::ModeChanged, "audio", 4)]);
    let announced = clinic.world.outbox();
    let modes: Vec<_> = announced.iter().filter(|event| event.event_type == "consultation.mode_changed.v1").collect();
    assert_eq!(modes.iter().map(|event| &event.payload["mode"]).collect::<Vec<_>>(), ["audio", "chat"]);
    complete(clinic.deps(), &doctor(&clinic), id, None, None).await.unwrap();
    let late = change_mode(clinic.deps(), &doctor(&clinic), id, Mode::Video, None).await;
    assert!(matches!(late, Err(ConsultationError::InvalidTransition(_))));
    assert_sound(&clinic);
}

#[tokio::test]
async fn either_side_ends_a_visit_with_a_reason_of_theirs() {
    let clinic = clinic().await;
    let (asha, id) = begun(&clinic).await;
    let judged = end(clinic.deps(), &clinic.patient(asha), id, EndReason::EmergencyReferral, None).await;
    assert!(matches!(judged, Err(ConsultationError::ReasonNotYours)));
    let (ended, _) = end(clinic.deps(), &clinic.patient(asha), id, EndReason::PatientLeft, None).await.unwrap();
    assert_eq!(ended.consultation.status, ConsultationStatus::Completed);
    let last = clinic.world.timeline(id).await.unwrap().judge(Clone::clone).pop().unwrap();
    assert_eq!((last.cause.as_str(), last.actor), ("patient_left", format!("patient:{asha}")));
    let event = clinic.world.outbox().pop().unwrap();
    assert_eq!(
        (event.event_type.as_str(), &event.payload["cause"]),
        ("consultation.completed.v1", &"patient_left".into())
    );
    let again = end(clinic.deps(), &doctor(&clinic), id, EndReason::EmergencyReferral, None).await;
    assert!(matches!(again, Err(ConsultationError::InvalidTransition(_))));
    assert_sound(&clinic);
}

#[tokio::test]
async fn a_judgement_on_the_patients_health_is_sealed_and_told_to_the_two_sides_alone() {
    for reason in [EndReason::EmergencyReferral, EndReason::NeedsVisitInPerson] {
        let clinic = clinic().await;
        let (asha, id) = begun(&clinic).await;
        end(clinic.deps(), &doctor(&clinic), id, reason, None).await.unwrap();
        let last = clinic.world.timeline(id).await.unwrap().judge(Clone::clone).pop().unwrap();
        assert_eq!(last.cause, "ended");
        let event = clinic.world.outbox().pop().unwrap();
        assert_eq!(
            (event.event_type.as_str(), &event.payload["cause"]),
            ("consultation.completed.v1", &"ended".into())
        );
        assert!(!format!("{:?}{:?}", clinic.world.outbox(), clinic.world.audit()).contains(reason.as_str()));
        for side in [clinic.patient(asha), doctor(&clinic)] {
            let seen = read_consultation(clinic.deps(), &side, id, Detail::Words).await.unwrap();
            assert_eq!(seen.summary.unwrap().expose(), reason.as_str());
            let frame = read_consultation(clinic.deps(), &side, id, Detail::Frame).await.unwrap();
            assert!(frame.summary.is_none() && frame.reason.is_none());
        }
    }
}

#[tokio::test]
async fn a_summary_is_for_the_two_sides_alone_and_in_nothing_that_is_told() {
    let clinic = clinic().await;
    let (asha, id) = begun(&clinic).await;
    let summary = Sensitive::new("pitta is calmer".to_owned());
    let patients = complete(clinic.deps(), &clinic.patient(asha), id, Some(&summary), None).await;
    assert!(matches!(patients, Err(ConsultationError::Denied(Denial::Forbidden))));
    complete(clinic.deps(), &doctor(&clinic), id, Some(&summary), None).await.unwrap();
    for side in [clinic.patient(asha), doctor(&clinic)] {
        let seen = read_consultation(clinic.deps(), &side, id, Detail::Words).await.unwrap();
        assert_eq!(seen.summary.unwrap().expose(), "pitta is calmer");
    }
    let admin = clinic.person(Role::Admin, "admin@amrutam.example").await.unwrap();
    let admin = clinic.context(Actor::Account { id: admin, role: Role::Admin });
    assert!(read_consultation(clinic.deps(), &admin, id, Detail::Words).await.unwrap().summary.is_none());
    let sealed = clinic.world.sealed_summary(id).await.unwrap().unwrap();
    let told = format!("{:?} {:?} {:?}", clinic.world.outbox(), clinic.world.audit(), String::from_utf8_lossy(&sealed));
    assert!(!told.contains("pitta"), "{told}");
}

#[tokio::test]
async fn an_absence_counts_after_ten_minutes_for_the_side_that_did_not_come() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    let id = booked(&clinic, asha, 2).await;
    let visit = clinic.world.view(id).await.unwrap().map(|found| found.judge(Clone::clone)).unwrap().consultation;
    clinic.clock.set(visit.range.start() + SignedDuration::from_mins(9));
    assert!(no_show(clinic.deps(), &doctor(&clinic), id, None).await.is_err());
    clinic.clock.set(visit.range.start() + SignedDuration::from_mins(10));
    no_show(clinic.deps(), &clinic.patient(asha), id, None).await.unwrap();
    assert_eq!(clinic.world.timeline(id).await.unwrap().judge(Clone::clone).pop().unwrap().cause, "doctor_absent");
    assert_sound(&clinic);
}

#[tokio::test]
async fn a_visit_does_not_exist_for_others_and_their_look_is_on_the_record() {
    let clinic = clinic().await;
    let (asha, ravi) = (patient(&clinic, "asha").await, patient(&clinic, "ravi").await);
    let id = booked(&clinic, asha, 2).await;
    let denied = read_consultation(clinic.deps(), &clinic.patient(ravi), id, Detail::Words).await;
    assert!(matches!(denied, Err(ConsultationError::NotFound)));
    assert_eq!(clinic.world.audit().pop().unwrap().outcome, Outcome::Denied);

    let own = read_consultation(clinic.deps(), &clinic.patient(asha), id, Detail::Words).await.unwrap();
    assert_eq!(own.reason.unwrap().expose(), "headache");
    let admin = clinic.person(Role::Admin, "admin@amrutam.example").await.unwrap();
    let admin = clinic.context(Actor::Account { id: admin, role: Role::Admin });
    let masked = read_consultation(clinic.deps(), &admin, id, Detail::Words).await.unwrap();
    assert_eq!((masked.access, masked.reason), (Access::Masked, None));
}

#[tokio::test]
async fn a_list_names_every_visit_it_shows_in_the_audit() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    let ids = [booked(&clinic, asha, 2).await, booked(&clinic, asha, 4).await];
    let page = PageRequest { limit: Limit::default(), after: None };
    let listed = list_consultations(clinic.deps(), &doctor(&clinic), Default::default(), page).await.unwrap();
    assert_eq!(listed.items.len(), 2);
    let audit = clinic.world.audit();
    for id in ids {
        assert!(audit.iter().any(|entry| entry.action == "consultation.list" && entry.resource_id == id.to_string()));
    }
}

#[tokio::test]
async fn the_sweeper_gives_slots_back_and_leaves_running_holds_alone() {
    let mut clinic = clinic().await;
    clinic.payments = PaymentsMode::Required;
    let (asha, ravi) = (patient(&clinic, "asha").await, patient(&clinic, "ravi").await);
    let early = slot(&clinic, 2).await;
    book_slot(&clinic, asha, early).await.unwrap();
    clinic.clock.advance(SignedDuration::from_mins(10));
    let late = slot(&clinic, 3).await;
    book_slot(&clinic, ravi, late).await.unwrap();
    clinic.clock.advance(SignedDuration::from_mins(5));
    let system = clinic.context(Actor::System("hold-sweeper"));
    assert_eq!(expire_holds(clinic.deps(), &system, 100).await.unwrap(), 1);
    assert_eq!(expire_holds(clinic.deps(), &system, 100).await.unwrap(), 0);
    assert_eq!(status_of_slot(&clinic, early).await, SlotStatus::Open);
    assert_eq!(status_of_slot(&clinic, late).await, SlotStatus::Booked);
    assert!(clinic.open_slots().await.unwrap().iter().any(|slot| slot.id == early));
    let statuses: Vec<_> = clinic.world.consultations().into_iter().map(|visit| visit.status).collect();
    assert_eq!(statuses, [ConsultationStatus::Expired, ConsultationStatus::Pending]);
    assert_sound(&clinic);
}

#[tokio::test]
async fn a_visit_that_can_not_be_expired_does_not_stand_before_the_others() {
    let mut clinic = clinic().await;
    clinic.payments = PaymentsMode::Required;
    let asha = patient(&clinic, "asha").await;
    for n in 0..3 {
        booked(&clinic, asha, n).await;
    }
    clinic.clock.advance(SignedDuration::from_mins(20));
    let system = clinic.context(Actor::System("hold-sweeper"));
    clinic.world.fail_next_commits([Fault::Defect]);
    let swept = expire_holds(clinic.deps(), &system, 100).await;
    assert!(matches!(swept, Err(PortError::Defect { .. })), "it is told");
    let expired = clinic.world.consultations().into_iter().filter(|visit| visit.status == ConsultationStatus::Expired);
    assert_eq!(expired.count(), 2);
    clinic.world.fail_next_commits([Fault::Unavailable]);
    assert!(matches!(expire_holds(clinic.deps(), &system, 100).await, Err(PortError::Unavailable { .. })));
}

#[tokio::test]
async fn who_looks_is_on_the_record_or_sees_nothing() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    let id = booked(&clinic, asha, 2).await;
    let page = PageRequest { limit: Limit::default(), after: None };
    for fault in [Fault::Busy, Fault::Stale] {
        clinic.world.fail_next_commits([fault]);
        let read = read_consultation(clinic.deps(), &clinic.patient(asha), id, Detail::Words).await;
        assert!(matches!(read, Err(ConsultationError::Port(PortError::Unavailable { .. }))), "{fault:?}");
        clinic.world.fail_next_commits([fault]);
        let list = list_consultations(clinic.deps(), &clinic.patient(asha), Default::default(), page).await;
        assert!(matches!(list, Err(ConsultationError::Port(PortError::Unavailable { .. }))), "{fault:?}");
        clinic.world.fail_next_commits([fault]);
        let denied = start(clinic.deps(), &clinic.patient(asha), id, IdentityCheck::Asked, None).await;
        assert!(matches!(denied, Err(ConsultationError::Port(PortError::Unavailable { .. }))), "{fault:?}");
    }
}
