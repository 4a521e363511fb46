//! What callers see and may do.

use super::*;
use amrutam_kernel::{
    Clock, Denial, Fingerprint, IdSource, IdempotencyClaim, Idempotent, Outcome, Sight, StoredAnswer,
};
use amrutam_payments::{
    PaymentError,
    model::MoneyState,
    use_cases::{Retried, SeenPayment, preview_cancellation, read_payment, read_timeline, retry_payment},
};

fn account(till: &Till, id: AccountId, role: Role) -> Context {
    till.clinic.context(Actor::Account { id, role })
}

fn begun(retried: &Retried) -> &Payment {
    match &retried.payment {
        SeenPayment::Begun(payment) => payment,
        SeenPayment::Expected(_) => unreachable!("it has begun"),
    }
}

#[tokio::test]
async fn a_payment_is_its_patients_and_those_who_run_the_place() {
    let till = Till::with_order().await;
    let (asha, stranger) = (till.clinic.patient(till.patient), AccountId::from_uuid(till.clinic.ids.uuid_v7(at(0))));
    let read = async |who: &Context| read_payment(till.clinic.payment_deps(), who, till.visit).await;
    let Ok(SeenPayment::Begun(seen)) = read(&asha).await else { panic!("the patient's own") };
    assert!(seen.checkout_at(at(1)).is_some() && seen.checkout_at(at(15)).is_none(), "while the slot is held");
    for role in [Role::Support, Role::Admin, Role::Auditor] {
        assert!(read(&account(&till, stranger, role)).await.is_ok(), "{role}");
    }
    assert!(matches!(read(&till.clinic.patient(stranger)).await, Err(PaymentError::NotFound)));
    let doctor = account(&till, till.clinic.doctor_account, Role::Doctor);
    assert!(matches!(read(&doctor).await, Err(PaymentError::Denied(Denial::Forbidden))));
    let unknown = ConsultationId::from_uuid(till.clinic.ids.uuid_v7(at(0)));
    assert!(matches!(read_payment(till.clinic.payment_deps(), &asha, unknown).await, Err(PaymentError::NotFound)));
    let audit = till.clinic.world.audit();
    let looks: Vec<_> =
        audit.iter().filter(|entry| entry.action == "payment.read").map(|entry| entry.outcome).collect();
    assert_eq!(looks.iter().filter(|outcome| **outcome == Outcome::Allowed).count(), 4);
    assert_eq!(looks.iter().filter(|outcome| **outcome == Outcome::Denied).count(), 3);
}

#[tokio::test]
async fn the_steps_of_a_payment_in_its_visits_timeline_are_a_look_at_the_payment() {
    let till = Till::with_order().await;
    let doctor = account(&till, till.clinic.doctor_account, Role::Doctor);
    let looks = |till: &Till| {
        let about = till.clinic.world.audit().into_iter().filter(|entry| entry.action == "payment.inspect");
        about.map(|entry| (entry.actor.account(), entry.resource_id, entry.patient, entry.outcome)).collect::<Vec<_>>()
    };
    let read = async |sight| {
        read_timeline(till.clinic.payment_deps(), &doctor, till.visit, (till.patient, sight)).await.unwrap()
    };
    let (full, masked) = (read(Sight::Full).await, read(Sight::Masked).await);
    assert_eq!(full.len(), masked.len());
    assert!(masked.iter().all(|step| step.actor.starts_with("system:") || !step.actor.contains(':')));
    let look = (Some(till.clinic.doctor_account), till.visit.to_string(), Some(till.patient), Outcome::Allowed);
    assert_eq!(looks(&till), [look.clone(), look.clone()]);

    let unpaid = ConsultationId::from_uuid(till.clinic.ids.uuid_v7(at(0)));
    let none = read_timeline(till.clinic.payment_deps(), &doctor, unpaid, (till.patient, Sight::Full)).await.unwrap();
    assert_eq!((none, looks(&till).len()), (vec![], 2), "what is not there is not seen");
}

#[tokio::test]
async fn a_payment_is_expected_before_it_begins() {
    let mut clinic = Clinic::open_for(at(0), 7, 2).await.unwrap();
    clinic.payments = PaymentsMode::Required;
    let patient = clinic.person(Role::Patient, "asha@amrutam.example").await.unwrap();
    let slot = clinic.open_slots().await.unwrap()[3].id;
    let wanted =
        Book { doctor: clinic.doctor, slot, mode: Mode::Video, reason: None, for_dependent: None, idempotency: None };
    let visit = book(clinic.deps(), &clinic.patient(patient), wanted).await.unwrap().0.consultation.id;
    let seen = read_payment(clinic.payment_deps(), &clinic.patient(patient), visit).await.unwrap();
    assert!(matches!(&seen, SeenPayment::Expected(facts) if facts.fee == rupees(499)), "{seen:?}");
    let retry = async |who: &Context| retry_payment(clinic.payment_deps(), who, visit, None).await;
    let (retried, _) = retry(&clinic.patient(patient)).await.unwrap();
    assert_eq!(retried.payment, seen, "its owner is told to wait, and not that there is nothing");
    let stranger = clinic.patient(AccountId::from_uuid(clinic.ids.uuid_v7(at(0))));
    assert!(matches!(retry(&stranger).await, Err(PaymentError::NotFound)));
    clinic.clock.advance(SignedDuration::from_mins(15));
    assert!(matches!(retry(&clinic.patient(patient)).await, Err(PaymentError::HoldEnded)));
}

#[tokio::test]
async fn paying_again_goes_to_the_same_order_while_the_slot_is_held() {
    let till = Till::with_order().await;
    let asha = till.clinic.patient(till.patient);
    let claim = IdempotencyClaim {
        caller: till.patient,
        key: "key-1".parse().unwrap(),
        fingerprint: Fingerprint::of("POST", "/v1/consultations/x/payment/retry", b""),
    };
    let render = |retried: &Retried| StoredAnswer {
        status: 200,
        location: None,
        content_type: "application/json".to_owned(),
        etag: None,
        body: begun(retried).order_ref().unwrap().to_string(),
    };
    let retry = async |who: &Context| {
        let idempotency = Some(Idempotent { claim: &claim, render: &render });
        retry_payment(till.clinic.payment_deps(), who, till.visit, idempotency).await
    };
    let (retried, answer) = retry(&asha).await.unwrap();
    assert_eq!(begun(&retried).order, till.payment().order);
    let again = retry(&asha).await;
    assert!(matches!(again, Err(PaymentError::Replay(same)) if Some(&same) == answer.as_ref()));
    assert_eq!(till.clinic.gateway.orders().len(), 1);

    let fresh = async |who: &Context| retry_payment(till.clinic.payment_deps(), who, till.visit, None).await;
    let stranger = till.clinic.patient(AccountId::from_uuid(till.clinic.ids.uuid_v7(at(0))));
    assert!(matches!(fresh(&stranger).await, Err(PaymentError::NotFound)));
    assert!(matches!(fresh(&account(&till, till.patient, Role::Admin)).await, Err(PaymentError::Denied(_))));
    till.pass(15);
    assert!(matches!(fresh(&asha).await, Err(PaymentError::HoldEnded)));
    till.pay();
    till.notify().await;
    let paid = fresh(&asha).await;
    assert!(matches!(&paid, Err(PaymentError::InvalidTransition(why)) if why.from == MoneyState::Captured), "{paid:?}");
}

#[tokio::test]
async fn a_preview_is_for_those_who_can_call_off() {
    let till = Till::paid().await;
    let preview = async |who: &Context| preview_cancellation(till.clinic.payment_deps(), who, till.visit).await;
    let stranger = AccountId::from_uuid(till.clinic.ids.uuid_v7(at(0)));
    assert!(matches!(preview(&till.clinic.patient(stranger)).await, Err(PaymentError::NotFound)));
    assert!(matches!(preview(&account(&till, stranger, Role::Support)).await, Err(PaymentError::Denied(_))));
    let admin = preview(&account(&till, stranger, Role::Admin)).await.unwrap();
    assert_eq!((admin.by.as_str(), admin.refund), ("system", rupees(499)));
    // Paid, and booking has not confirmed yet: nobody has been promised anything.
    let unconfirmed = Till::with_order().await;
    unconfirmed.pay();
    unconfirmed.notify().await;
    let asha = unconfirmed.clinic.patient(unconfirmed.patient);
    let seen = preview_cancellation(unconfirmed.clinic.payment_deps(), &asha, unconfirmed.visit).await.unwrap();
    assert_eq!((seen.paid, seen.refund), (rupees(499), rupees(499)));
    let unpaid = Till::with_order().await;
    let asha = unpaid.clinic.patient(unpaid.patient);
    let seen = preview_cancellation(unpaid.clinic.payment_deps(), &asha, unpaid.visit).await.unwrap();
    assert!(seen.paid.is_zero() && seen.refund.is_zero() && seen.fee.is_zero());
    assert_eq!(seen.as_of, unpaid.clinic.clock.now());
    unpaid.pass(15);
    let seen = preview_cancellation(unpaid.clinic.payment_deps(), &asha, unpaid.visit).await;
    assert!(matches!(seen, Err(PaymentError::NotCancellable)), "its hold is over: {seen:?}");
    till.clinic.clock.set(till.payment().visit.starts_at);
    let seen = preview(&till.clinic.patient(till.patient)).await;
    assert!(matches!(seen, Err(PaymentError::NotCancellable)), "it has begun: {seen:?}");
}
