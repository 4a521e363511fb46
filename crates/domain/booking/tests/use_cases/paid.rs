//! Visits that are paid before they are confirmed: what booking makes of what payments announces.

use super::*;
use amrutam_booking::{
    ConsumeError,
    model::{CancelReason, ConsultationStatus, PaymentsMode, PractitionerDetails, SlotStatus, TimelineKind},
    ports::ConsultationStore,
    use_cases::{Cancel, cancel, expire_holds, handle, reschedule, suspend, update_profile},
};
use amrutam_kernel::{
    Actor, AggregateRef, Clock, Currency, EventEnvelope, EventId, Handled, IdSource, Money, PaymentId,
};
use amrutam_memory::Fault;
use jiff::SignedDuration;

async fn paid_clinic() -> Clinic {
    let mut clinic = clinic().await;
    clinic.payments = PaymentsMode::Required;
    clinic
}

fn payment_event(clinic: &Clinic, event_type: &str, id: ConsultationId) -> EventEnvelope {
    let now = clinic.clock.now();
    EventEnvelope {
        id: EventId::from_uuid(clinic.ids.uuid_v7(now)),
        event_type: event_type.to_owned(),
        aggregate: AggregateRef { kind: "payment".to_owned(), id: id.as_uuid(), version: 3 },
        occurred_at: now,
        actor: "system:payments".to_owned(),
        correlation_id: "flow-1".parse().unwrap(),
        trace_parent: None,
        payload: serde_json::json!({ "payment_id": id, "consultation_id": id, "something_new": [] }),
    }
}

async fn captured(clinic: &Clinic, id: ConsultationId) -> Handled {
    handle(clinic.deps(), &payment_event(clinic, "payment.captured.v1", id)).await.unwrap()
}

async fn failed(clinic: &Clinic, id: ConsultationId) -> Handled {
    handle(clinic.deps(), &payment_event(clinic, "payment.failed.v1", id)).await.unwrap()
}

fn status(clinic: &Clinic, id: ConsultationId) -> ConsultationStatus {
    clinic.world.consultations().into_iter().find(|visit| visit.id == id).unwrap().status
}

async fn causes(clinic: &Clinic, id: ConsultationId) -> Vec<(TimelineKind, String)> {
    let timeline = clinic.world.timeline(id).await.unwrap();
    timeline.judge(|timeline| timeline.iter().map(|entry| (entry.kind, entry.cause.clone())).collect())
}

fn changed(cause: &str) -> (TimelineKind, String) {
    (TimelineKind::StatusChanged, cause.to_owned())
}

fn pass(clinic: &Clinic, minutes: i64) {
    clinic.clock.advance(SignedDuration::from_mins(minutes));
}

async fn sweep(clinic: &Clinic) {
    expire_holds(clinic.deps(), &clinic.context(Actor::System("hold-sweeper")), 100).await.unwrap();
}

#[tokio::test]
async fn a_visit_names_its_payment_and_waits_for_it() {
    let clinic = paid_clinic().await;
    let asha = patient(&clinic, "asha").await;
    let booked = book_slot(&clinic, asha, slot(&clinic, 2).await).await.unwrap();
    let visit = booked.consultation;
    assert_eq!(visit.status, ConsultationStatus::Pending);
    assert_eq!(visit.payment(PaymentsMode::Required), Some(PaymentId::of(visit.id)));
    let [event] = clinic.world.outbox().try_into().unwrap();
    let payload = &event.payload;
    assert_eq!(payload["payment_id"], serde_json::json!(visit.id));
    assert_eq!(payload["fee"], serde_json::json!({ "amount": 49_900, "currency": "INR" }));
    assert_eq!(payload["hold_expires_at"], serde_json::json!(visit.hold_expires_at));
    assert_eq!((&payload["by"], &payload["from"]), (&serde_json::json!("patient"), &serde_json::json!(null)));
    assert_eq!(captured(&clinic, visit.id).await, Handled::Applied);
    assert_eq!(status(&clinic, visit.id), ConsultationStatus::Confirmed);
    assert_eq!(causes(&clinic, visit.id).await, [changed("booked"), changed("paid")]);
    assert_sound(&clinic);
}

#[tokio::test]
async fn what_costs_nothing_is_confirmed_at_once() {
    let clinic = paid_clinic().await;
    let asha = patient(&clinic, "asha").await;
    let doctor = clinic.context(Actor::Account { id: clinic.doctor_account, role: Role::Doctor });
    let free = |details| PractitionerDetails { fee: Money::zero(Currency::Inr), ..details };
    let (directory, schedule) = (clinic.directory(), clinic.availability());
    update_profile(directory, schedule, &doctor, clinic.doctor, None, free).await.unwrap();
    let visit = book_slot(&clinic, asha, slot(&clinic, 2).await).await.unwrap().consultation;
    assert_eq!(visit.status, ConsultationStatus::Confirmed);
    assert!(
        clinic
            .world
            .outbox()
            .iter()
            .all(|event| event.payload.get("payment_id").is_none_or(serde_json::Value::is_null))
    );
    assert_sound(&clinic);
}

#[tokio::test]
async fn the_same_news_again_does_nothing() {
    let clinic = paid_clinic().await;
    let id = booked(&clinic, patient(&clinic, "asha").await, 2).await;
    let event = payment_event(&clinic, "payment.captured.v1", id);
    clinic.world.fail_next_commits([Fault::Unavailable]);
    assert!(matches!(handle(clinic.deps(), &event).await, Err(ConsumeError::Port(_))));
    clinic.world.fail_next_commits([Fault::Stale, Fault::Busy, Fault::LostAnswer]);
    assert!(handle(clinic.deps(), &event).await.is_err(), "committed, and the answer lost");
    assert_eq!(handle(clinic.deps(), &event).await.unwrap(), Handled::Duplicate);
    // Announced again by another event: the visit is as it should be.
    assert_eq!(captured(&clinic, id).await, Handled::Ignored);
    assert_eq!(clinic.world.consultations()[0].version, 2);
    assert_sound(&clinic);
}

#[tokio::test]
async fn late_money_brings_the_visit_back_while_its_slot_is_free() {
    for swept in [false, true] {
        let clinic = paid_clinic().await;
        let asha = patient(&clinic, "asha").await;
        let id = booked(&clinic, asha, 2).await;
        pass(&clinic, 20);
        if swept {
            sweep(&clinic).await;
            assert_eq!(status(&clinic, id), ConsultationStatus::Expired);
        }
        assert_eq!(captured(&clinic, id).await, Handled::Applied);
        assert_eq!(status(&clinic, id), ConsultationStatus::Confirmed, "swept: {swept}");
        assert_sound(&clinic);
    }
}

#[tokio::test]
async fn late_money_finds_the_slot_gone_once_and_for_all() {
    let clinic = paid_clinic().await;
    let (asha, ravi) = (patient(&clinic, "asha").await, patient(&clinic, "ravi").await);
    let slot_id = slot(&clinic, 2).await;
    let id = book_slot(&clinic, asha, slot_id).await.unwrap().consultation.id;
    pass(&clinic, 20);
    let other = book_slot(&clinic, ravi, slot_id).await.unwrap().consultation.id;
    assert_eq!(captured(&clinic, id).await, Handled::Applied);
    let noted = (TimelineKind::Noted, "late_payment".to_owned());
    assert_eq!(causes(&clinic, id).await, [changed("booked"), changed("hold_expired"), noted]);
    let last = clinic.world.outbox().pop().unwrap();
    assert_eq!((last.event_type.as_str(), last.aggregate.version), ("consultation.unconfirmable.v1", 3));
    // The slot is free again, and the money announced again: it has been declined.
    let ravis = clinic.patient(ravi);
    let command = Cancel { id: other, reason: CancelReason::PatientOther, idempotency: None };
    cancel(clinic.deps(), &ravis, command).await.unwrap();
    assert_eq!(captured(&clinic, id).await, Handled::Ignored);
    assert_eq!(status(&clinic, id), ConsultationStatus::Expired);
    assert_sound(&clinic);
}

#[tokio::test]
async fn late_money_takes_over_a_hold_that_has_run_out_as_well() {
    let clinic = paid_clinic().await;
    let (asha, ravi) = (patient(&clinic, "asha").await, patient(&clinic, "ravi").await);
    let slot_id = slot(&clinic, 5).await;
    let id = book_slot(&clinic, asha, slot_id).await.unwrap().consultation.id;
    pass(&clinic, 16);
    let other = book_slot(&clinic, ravi, slot_id).await.unwrap().consultation.id;
    pass(&clinic, 16);
    assert_eq!(captured(&clinic, id).await, Handled::Applied);
    assert_eq!(status(&clinic, id), ConsultationStatus::Confirmed);
    assert_eq!(status(&clinic, other), ConsultationStatus::Expired);
    assert_sound(&clinic);
    assert_eq!(captured(&clinic, other).await, Handled::Applied);
    assert_eq!(status(&clinic, other), ConsultationStatus::Expired, "now that one came too late");
    assert_sound(&clinic);
}

#[tokio::test]
async fn late_money_is_declined_when_the_doctor_takes_no_bookings() {
    let clinic = paid_clinic().await;
    let asha = patient(&clinic, "asha").await;
    let id = booked(&clinic, asha, 2).await;
    pass(&clinic, 20);
    sweep(&clinic).await;
    let admin = clinic.context(Actor::System("test"));
    suspend(clinic.directory(), &admin, clinic.doctor, None).await.unwrap();
    assert_eq!(captured(&clinic, id).await, Handled::Applied);
    assert_eq!(status(&clinic, id), ConsultationStatus::Expired);
    assert_eq!(clinic.world.outbox().pop().unwrap().event_type, "consultation.unconfirmable.v1");
    assert_sound(&clinic);
}

#[tokio::test]
async fn money_for_a_visit_that_is_over_is_declined_and_one_in_time_is_not() {
    let clinic = paid_clinic().await;
    let id = booked(&clinic, patient(&clinic, "asha").await, 0).await;
    // Begun, unpaid, and nobody else has had the slot.
    pass(&clinic, 40);
    assert_eq!(captured(&clinic, id).await, Handled::Applied);
    assert_eq!(status(&clinic, id), ConsultationStatus::Confirmed);
    let over = booked(&clinic, patient(&clinic, "ravi").await, 1).await;
    pass(&clinic, 300);
    assert_eq!(captured(&clinic, over).await, Handled::Applied);
    assert_eq!(status(&clinic, over), ConsultationStatus::Expired);
    assert_sound(&clinic);
}

#[tokio::test]
async fn what_can_not_be_paid_gives_its_slot_back() {
    let clinic = paid_clinic().await;
    let asha = patient(&clinic, "asha").await;
    let slot_id = slot(&clinic, 2).await;
    let id = book_slot(&clinic, asha, slot_id).await.unwrap().consultation.id;
    assert_eq!(failed(&clinic, id).await, Handled::Applied);
    let visit = clinic.world.consultations().remove(0);
    assert_eq!((visit.status, visit.cancel_reason), (ConsultationStatus::Cancelled, Some(CancelReason::PaymentFailed)));
    assert_eq!(causes(&clinic, id).await, [changed("booked"), changed("payment_failed")]);
    let slots = clinic.world.slots();
    assert_eq!(slots.iter().find(|slot| slot.id == slot_id).unwrap().status, SlotStatus::Open);
    assert_sound(&clinic);
    // Money that comes all the same is payments' to give back: the visit was called off.
    assert_eq!(captured(&clinic, id).await, Handled::Ignored);
    // What is paid, over or gone by the clock does not fail.
    let paid = booked(&clinic, asha, 2).await;
    captured(&clinic, paid).await;
    assert_eq!(failed(&clinic, paid).await, Handled::Ignored);
    let ran_out = booked(&clinic, asha, 3).await;
    pass(&clinic, 20);
    assert_eq!(failed(&clinic, ran_out).await, Handled::Ignored);
    assert_sound(&clinic);
}

async fn ruled(clinic: &Clinic, id: ConsultationId, cause: &str) -> Handled {
    let mut event = payment_event(clinic, "payment.ruled.v1", id);
    event.payload["cause"] = serde_json::json!(cause);
    handle(clinic.deps(), &event).await.unwrap()
}

#[tokio::test]
async fn what_a_person_had_given_back_does_not_take_place() {
    for cause in ["refund_full", "refund_by_policy"] {
        for paid in [true, false] {
            let clinic = paid_clinic().await;
            let asha = patient(&clinic, "asha").await;
            let slot_id = slot(&clinic, 2).await;
            let id = book_slot(&clinic, asha, slot_id).await.unwrap().consultation.id;
            if paid {
                captured(&clinic, id).await;
            }
            assert_eq!(ruled(&clinic, id, cause).await, Handled::Applied);
            let visit = clinic.world.consultations().remove(0);
            assert_eq!(
                (visit.status, visit.cancel_reason),
                (ConsultationStatus::Cancelled, Some(CancelReason::Refunded))
            );
            let slots = clinic.world.slots();
            assert_eq!(slots.iter().find(|slot| slot.id == slot_id).unwrap().status, SlotStatus::Open);
            // The news of the money comes after that of the ruling, or again.
            assert_eq!(captured(&clinic, id).await, Handled::Ignored);
            assert_eq!(ruled(&clinic, id, cause).await, Handled::Ignored);
            assert_eq!(status(&clinic, id), ConsultationStatus::Cancelled);
            assert_sound(&clinic);
        }
    }
}

#[tokio::test]
async fn money_given_back_brings_no_expired_visit_back() {
    for swept in [false, true] {
        let clinic = paid_clinic().await;
        let id = booked(&clinic, patient(&clinic, "asha").await, 2).await;
        pass(&clinic, 20);
        if swept {
            sweep(&clinic).await;
        }
        assert_eq!(ruled(&clinic, id, "refund_full").await, Handled::Applied);
        let noted = (TimelineKind::Noted, "refunded".to_owned());
        assert_eq!(causes(&clinic, id).await, [changed("booked"), changed("hold_expired"), noted]);
        assert_eq!(captured(&clinic, id).await, Handled::Ignored, "its slot is free, and yet");
        assert_eq!(ruled(&clinic, id, "refund_full").await, Handled::Ignored);
        assert_eq!(status(&clinic, id), ConsultationStatus::Expired);
        assert_sound(&clinic);
    }
}

#[tokio::test]
async fn a_ruling_ends_a_visit_under_way_and_changes_none_that_is_over() {
    use amrutam_booking::{
        model::IdentityCheck,
        use_cases::{complete, start},
    };
    let clinic = paid_clinic().await;
    let asha = patient(&clinic, "asha").await;
    let doctor = clinic.context(Actor::Account { id: clinic.doctor_account, role: Role::Doctor });
    for held in [true, false] {
        let id = booked(&clinic, asha, 2).await;
        captured(&clinic, id).await;
        let visit = clinic.world.consultations().into_iter().find(|visit| visit.id == id).unwrap();
        clinic.clock.set(visit.range.start());
        start(clinic.deps(), &doctor, id, IdentityCheck::Asked, None).await.unwrap();
        if held {
            complete(clinic.deps(), &doctor, id, None, None).await.unwrap();
        }
        let handled = ruled(&clinic, id, "refund_full").await;
        assert_eq!(handled, if held { Handled::Ignored } else { Handled::Applied });
        let cause = causes(&clinic, id).await.pop().unwrap();
        assert_eq!(cause, changed(if held { "completed" } else { "refunded" }));
        assert_eq!(status(&clinic, id), ConsultationStatus::Completed);
        assert_sound(&clinic);
    }
}

#[tokio::test]
async fn other_rulings_are_no_business_of_bookings() {
    let clinic = paid_clinic().await;
    let id = booked(&clinic, patient(&clinic, "asha").await, 2).await;
    captured(&clinic, id).await;
    for cause in ["mark_earned", "write_off"] {
        assert_eq!(ruled(&clinic, id, cause).await, Handled::Ignored);
    }
    // Money that nobody has claimed.
    let mut event = payment_event(&clinic, "payment.ruled.v1", id);
    event.payload = serde_json::json!({ "payment_id": id, "cause": "refund_full", "gateway_payment": "pay_1" });
    assert_eq!(handle(clinic.deps(), &event).await.unwrap(), Handled::Ignored);
    assert!(clinic.world.inbox().iter().any(|(_, marked)| *marked == event.id));
    event.payload = serde_json::json!({ "consultation_id": id });
    assert!(matches!(handle(clinic.deps(), &event).await, Err(ConsumeError::Malformed)));
    assert_eq!(status(&clinic, id), ConsultationStatus::Confirmed);
}

#[tokio::test]
async fn nobody_gives_the_reason_that_is_payments() {
    let clinic = paid_clinic().await;
    let asha = patient(&clinic, "asha").await;
    let id = booked(&clinic, asha, 2).await;
    let admin = clinic.person(Role::Admin, "admin@amrutam.example").await.unwrap();
    for actor in [
        Actor::Account { id: asha, role: Role::Patient },
        Actor::Account { id: clinic.doctor_account, role: Role::Doctor },
        Actor::Account { id: admin, role: Role::Admin },
    ] {
        for reason in [CancelReason::PaymentFailed, CancelReason::Refunded] {
            let command = Cancel { id, reason, idempotency: None };
            let refused = cancel(clinic.deps(), &clinic.context(actor), command).await;
            assert!(matches!(refused, Err(amrutam_booking::ConsultationError::ReasonNotYours)), "{actor}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn a_visit_that_moved_while_unpaid_is_confirmed_where_it_is() {
    let clinic = paid_clinic().await;
    let asha = patient(&clinic, "asha").await;
    let id = booked(&clinic, asha, 2).await;
    let to = slot(&clinic, 3).await;
    reschedule(clinic.deps(), &clinic.patient(asha), id, to, None).await.unwrap();
    captured(&clinic, id).await;
    let visit = clinic.world.consultations().remove(0);
    assert_eq!((visit.status, visit.slot), (ConsultationStatus::Confirmed, to));
    assert_sound(&clinic);
}

#[tokio::test]
async fn news_without_a_visit_is_told_apart() {
    let clinic = paid_clinic().await;
    let unknown = ConsultationId::from_uuid(clinic.ids.uuid_v7(clinic.clock.now()));
    assert_eq!(captured(&clinic, unknown).await, Handled::Ignored);
    let event = EventEnvelope {
        payload: serde_json::json!({ "consultation_id": "x" }),
        ..payment_event(&clinic, "payment.captured.v1", unknown)
    };
    assert!(matches!(handle(clinic.deps(), &event).await, Err(ConsumeError::Malformed)));
}
