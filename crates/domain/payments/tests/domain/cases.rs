//! What a person is asked, what they answer, and what comes of it.

use super::*;
use amrutam_memory::RefundMode;
use amrutam_payments::{
    model::{MoneyState, ReviewReason},
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
