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
        model::{EndReason, IdentityCheck},
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
            start(till.clinic.deps(), &doctor, till.visit, IdentityCheck::Asked, None).await.unwrap();
            let who = if by_doctor { &doctor } else { &patient };
            end(till.clinic.deps(), who, till.visit, reason, None).await.unwrap();
            till.relay().await;
            assert_eq!(till.clinic.world.consultations()[0].status.as_str(), "completed");
            let broken = matches!(reason, EndReason::TechnicalIssue | EndReason::DoctorLeft);
            let payment = till.payment();
            match (broken, by_doctor) {
                (false, _) => {
                    assert_eq!((payment.state, payment.reviews.len()), (MoneyState::Settled, 0), "{reason:?}");
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

/// Two captures go back, the second one fails after the first: the case is about both then, and says how much that is.
#[tokio::test]
async fn a_case_is_about_the_refunds_that_there_are_and_a_choice_about_no_others() {
    let mut till = Till::with_order().await;
    let order = till.payment().order_ref().unwrap().clone();
    till.clinic.gateway.set_refunds(RefundMode::Pending);
    till.clinic.gateway.pay(&order, rupees(100)).unwrap();
    till.clinic.gateway.pay(&order, rupees(50)).unwrap();
    till.notify().await;
    till.run().await;
    till.clinic.gateway.drain_notices();
    let refunds = till.clinic.gateway.refunds();
    let failed = |amount: i64| {
        let refund = refunds.iter().find(|refund| refund.amount == rupees(amount)).unwrap().clone();
        let state = amrutam_payments::model::RefundState::Failed { code: "bank_refused".to_owned() };
        WebhookNews::Refund(amrutam_payments::model::GatewayRefund { state, ..refund })
    };
    till.tell("evt_f1", failed(100)).await;
    till.relay().await;
    till.tell("evt_f2", failed(50)).await;
    till.relay().await;
    let amounts: Vec<_> = till
        .announced("payment.review_needed.v1")
        .iter()
        .map(|event| event.payload["amount"]["amount"].clone())
        .collect();
    assert_eq!(amounts, [10_000, 15_000]);
    assert_eq!(till.announced("payment.review_withdrawn.v1").len(), 1, "the first one is about too little");
    // Who answered the first had not seen the second.
    let (first, known) = (till.announced("payment.review_needed.v1")[0].clone(), till.payment());
    till.resolve_case(first, "paid_out_elsewhere").await;
    assert_eq!(till.payment(), known);
    // One more is under way, and not what the person is asked about.
    till.clinic.gateway.pay(&order, rupees(25)).unwrap();
    till.notify().await;
    till.run().await;
    till.clinic.gateway.drain_notices();
    till.resolve("paid_out_elsewhere").await;
    let paid = till.clinic.world.journals().into_iter().filter(|journal| journal.kind.as_str() == "paid_elsewhere");
    let paid: Vec<_> = paid.map(|journal| journal.lines()[0].amount).collect();
    assert_eq!(paid, [rupees(100), rupees(50)]);
    assert!(!till.payment().asks(ReviewReason::RefundFailed));
    // Stuck: as much as is stuck, not as much as the visit costs.
    till.pass(60 * 24 * 7 + 1);
    till.sweep().await;
    let needed = till.announced("payment.review_needed.v1").last().unwrap().payload.clone();
    assert_eq!((&needed["reason"], &needed["amount"]["amount"]), (&"refund_stuck".into(), &2_500.into()));
    assert_eq!(needed["tried"], serde_json::json!(["refund", "look"]));
}

/// A look that was given up is begun again at once, by the case or by its letter, also when no look is due any more; and a letter has
/// its own work done, no other.
#[tokio::test]
async fn what_was_given_up_is_tried_again_at_once_and_nothing_else() {
    use amrutam_memory::GatewayFault;
    use amrutam_payments::model::TaskKind;
    for (by_letter, days) in [(false, 0), (true, 0), (false, 7), (true, 7)] {
        let mut till = Till::with_order().await;
        till.clinic.gateway.fail_next_calls([GatewayFault::Rejected]);
        let (task, end) = till.run_next().await;
        assert!(task.kind == TaskKind::Poll && matches!(end, TaskEnd::Dead { .. }), "{end:?}");
        till.relay().await;
        assert_eq!(till.asked(), ["task_failed"]);
        assert_eq!(till.clinic.world.next_gateway_task_at(), None);
        till.pay();
        till.clinic.gateway.drain_notices();
        till.pass(days * 24 * 60);
        for refused in [true, false] {
            if by_letter {
                till.requeue(&task).await;
            } else {
                till.resolve("retry").await;
            }
            assert_eq!(
                till.announced("payment.review_withdrawn.v1").len(),
                usize::from(by_letter) * (2 - usize::from(refused))
            );
            till.clinic.gateway.fail_next_calls(refused.then_some(GatewayFault::Rejected));
            assert_eq!(till.run().await.len(), 1, "due at once");
            till.relay().await;
            assert_eq!(till.announced("payment.review_needed.v1").len(), 2, "{by_letter} {days}");
            assert_eq!(till.payment().reviews.len(), usize::from(refused), "{by_letter} {days}");
        }
        assert_eq!(till.payment().captures.len(), 1, "{by_letter} {days}");
        // Of a week ago, its slot is over.
        let expected = if days == 0 { "confirmed" } else { "expired" };
        assert_eq!(till.clinic.world.consultations()[0].status.as_str(), expected);
    }
    // Two refunds are refused, one letter is requeued.
    let mut till = Till::with_order().await;
    let order = till.payment().order_ref().unwrap().clone();
    till.clinic.gateway.pay(&order, rupees(100)).unwrap();
    till.clinic.gateway.pay(&order, rupees(50)).unwrap();
    till.notify().await;
    till.clinic.gateway.fail_next_calls([GatewayFault::Rejected, GatewayFault::Rejected]);
    let ran = till.run().await;
    till.relay().await;
    let failed = |till: &Till| till.payment().captures.iter().filter(|capture| capture.refund_failed()).count();
    assert_eq!(failed(&till), 2);
    till.requeue(&ran[0].0).await;
    assert_eq!(failed(&till), 1, "the letter's own");
}

impl Till {
    async fn requeue(&mut self, task: &GatewayTask) {
        let event = EventEnvelope {
            id: amrutam_kernel::EventId::from_uuid(amrutam_kernel::IdSource::uuid_v7(&self.clinic.ids, at(0))),
            event_type: "dead_letter.requeued.v1".to_owned(),
            payload: serde_json::json!({
                "source": "gateway_task", "subject_id": task.id, "kind": task.kind.as_str(), "consumer": "payments",
                "work": { "payment_id": task.payment, "key": task.key, "task": task.kind },
            }),
            ..self.announced[0].clone()
        };
        amrutam_payments::use_cases::handle(self.clinic.payment_deps(), &event).await.unwrap();
        self.relay().await;
    }
}
