//! What a person is asked, what they answer, and what comes of it.

use super::*;
use amrutam_memory::RefundMode;
use amrutam_payments::{
    model::{MoneyState, RefundReason, ReviewReason},
    use_cases::sweep_deadlines,
};

impl Till {
    async fn sweep(&mut self) {
        sweep_deadlines(self.clinic.payment_deps(), &self.system(), 10).await.unwrap();
        self.relay().await;
    }

    fn asked(&self) -> Vec<String> {
        let needed = self.announced("payment.review_needed.v1");
        needed.iter().map(|event| event.payload["reason"].as_str().unwrap().to_owned()).collect()
    }
}

/// Its case is closed by the answer; the next one is opened when booking has had its time again.
#[tokio::test]
async fn money_that_is_announced_again_is_waited_for_again() {
    let mut till = Till::with_order().await;
    till.pay();
    till.notify().await;
    // Booking hears nothing.
    let lost = till.clinic.world.drain_outbox();
    assert!(lost.iter().any(|event| event.event_type == "payment.captured.v1"));
    till.pass(61);
    sweep_deadlines(till.clinic.payment_deps(), &till.system(), 10).await.unwrap();
    let asked = till.clinic.world.drain_outbox();
    till.announced.extend(asked);
    assert_eq!(till.asked(), ["not_confirmed"]);
    let needed = till.announced[till.announced.len() - 1].clone();
    let event = EventEnvelope {
        id: amrutam_kernel::EventId::from_uuid(amrutam_kernel::IdSource::uuid_v7(&till.clinic.ids, at(0))),
        event_type: "review.resolved.v1".to_owned(),
        payload: serde_json::json!({
            "case": needed.id, "kind": "payment", "choice": "confirm_again", "reason": "not_confirmed",
            "subject": { "kind": needed.aggregate.kind, "id": needed.aggregate.id },
        }),
        ..needed
    };
    amrutam_payments::use_cases::handle(till.clinic.payment_deps(), &event).await.unwrap();
    let again: Vec<_> = till.clinic.world.drain_outbox().into_iter().map(|event| event.event_type).collect();
    assert_eq!(again, ["payment.captured.v1"], "and nobody is asked in the same breath");
    assert!(!till.payment().asks(ReviewReason::NotConfirmed));
    till.pass(59);
    assert_eq!(sweep_deadlines(till.clinic.payment_deps(), &till.system(), 10).await.unwrap(), 0, "not yet");
    till.pass(1);
    assert_eq!(sweep_deadlines(till.clinic.payment_deps(), &till.system(), 10).await.unwrap(), 1);
    assert!(till.payment().asks(ReviewReason::NotConfirmed));
}

/// A look answers the question, or asks it anew; nothing is asked before it has been.
#[tokio::test]
async fn a_look_at_the_gateway_comes_before_the_next_question() {
    for ends in [true, false] {
        let mut till = Till::paid().await;
        till.clinic.gateway.set_refunds(RefundMode::Pending);
        crate::ladder::cancel_by_doctor(&till).await;
        till.relay().await;
        till.run().await;
        till.clinic.gateway.drain_notices();
        till.pass(60 * 24 * 7 + 1);
        till.sweep().await;
        assert_eq!(till.asked(), ["refund_stuck"]);
        till.resolve("look_again").await;
        assert_eq!(till.asked(), ["refund_stuck"], "not before the look");
        if ends {
            till.clinic.gateway.end_refunds(true);
            till.clinic.gateway.drain_notices();
        }
        let ran = till.run().await;
        assert_eq!((ran.len(), ran[0].0.kind.as_str()), (1, "poll"));
        till.relay().await;
        let (state, asked) = if ends { (MoneyState::Refunded, 1) } else { (MoneyState::Refunding, 2) };
        assert_eq!((till.payment().state, till.asked().len()), (state, asked));
        assert_eq!(till.payment().asks(ReviewReason::RefundStuck), !ends);
        assert!(till.announced("payment.review_withdrawn.v1").is_empty(), "the answer closed its case");
    }
}

/// Who ends a visit because the technology failed or the practitioner is gone says that it did not take place as it should.
#[tokio::test]
async fn a_visit_that_is_broken_off_is_not_earned() {
    use amrutam_booking::{
        model::EndReason,
        use_cases::{end, start},
    };
    for reason in EndReason::ALL {
        for by_doctor in [true, false] {
            if !by_doctor && !reason.is_patients() {
                continue;
            }
            let mut till = Till::paid().await;
            let doctor = till.clinic.context(Actor::Account { id: till.clinic.doctor_account, role: Role::Doctor });
            let patient = till.clinic.patient(till.patient);
            till.pass(115);
            start(till.clinic.deps(), &doctor, till.visit, None).await.unwrap();
            let who = if by_doctor { &doctor } else { &patient };
            end(till.clinic.deps(), who, till.visit, reason, None).await.unwrap();
            till.relay().await;
            assert_eq!(till.clinic.world.consultations()[0].status.as_str(), "completed");
            let broken = matches!(reason, EndReason::TechnicalIssue | EndReason::DoctorLeft);
            let payment = till.payment();
            match (broken, by_doctor) {
                (false, _) => {
                    assert_eq!((payment.state, payment.reviews.len()), (MoneyState::Settled, 0), "{reason:?}")
                }
                (true, true) => {
                    let refund = payment.captures[0].refund.as_ref().unwrap();
                    assert_eq!((refund.amount, refund.reason), (rupees(499), RefundReason::VisitBrokenOff));
                    assert_eq!(payment.state, MoneyState::Refunding, "{reason:?}");
                }
                (true, false) => {
                    assert_eq!((payment.state, till.asked()), (MoneyState::Captured, vec!["broken_off".to_owned()]));
                    let needed = till.announced("payment.review_needed.v1")[0].payload.clone();
                    let offered: Vec<_> =
                        needed["choices"].as_array().unwrap().iter().map(|one| &one["choice"]).collect();
                    assert_eq!(offered, ["mark_earned", "refund_full"]);
                    assert_eq!(needed["amount"]["amount"], 49_900);
                    let earned = reason == EndReason::DoctorLeft;
                    till.resolve(if earned { "mark_earned" } else { "refund_full" }).await;
                    let state = if earned { MoneyState::Settled } else { MoneyState::Refunding };
                    assert_eq!((till.payment().state, till.payment().reviews.len()), (state, 0));
                    assert_eq!(till.clinic.world.consultations()[0].status.as_str(), "completed");
                }
            }
        }
    }
}
