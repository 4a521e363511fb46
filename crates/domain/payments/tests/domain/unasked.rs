//! Refunds that the gateway made and nobody here asked for.

use super::*;
use crate::returned::balance;
use amrutam_kernel::TimeRange;
use amrutam_memory::RefundMode;
use amrutam_payments::{
    model::{Evidence, GatewayRefund, PaymentRules, Progress, RefundState, Review, ReviewReason},
    use_cases::reconcile,
};
use proptest::prelude::*;

fn refund(of: &GatewayPaymentRef, reference: &str, amount: i64) -> GatewayRefund {
    GatewayRefund {
        reference: reference.parse().unwrap(),
        of: of.clone(),
        amount: rupees(amount),
        state: RefundState::Processed,
        key: None,
        at: at(1),
    }
}

/// What a gateway says that tells of the sum alone (Stripe's `charge.refunded`).
fn sum(till: &Till, of: &GatewayPaymentRef, amount: i64) -> WebhookNews {
    let paid = till.clinic.gateway.payments().into_iter().find(|paid| paid.reference == *of).unwrap();
    WebhookNews::Payment(amrutam_payments::model::GatewayPayment { refunded: rupees(amount), ..paid })
}

fn asked(till: &Till) -> Vec<i64> {
    let of = till.payment().reviews.into_iter().filter(|review| review.reason == ReviewReason::ForeignRefund);
    of.map(|review| review.amount.unwrap().amount()).collect()
}

/// Who is asked about one is asked about both when there is a second: what they decide about the first question is too late.
#[tokio::test]
async fn a_second_refund_that_nobody_asked_for_is_asked_about_with_the_first() {
    let mut till = Till::paid().await;
    let of = till.payment().captures[0].reference.clone();
    for (event, name, amount) in [("e1", "r1", 10), ("e2", "r2", 20), ("e3", "r1", 10), ("e4", "r2", 20)] {
        till.tell(event, WebhookNews::Refund(refund(&of, name, amount))).await;
        till.relay().await;
    }
    let needed: Vec<EventEnvelope> = till.announced("payment.review_needed.v1").into_iter().cloned().collect();
    let amounts: Vec<_> = needed.iter().map(|event| event.payload["amount"]["amount"].as_i64().unwrap()).collect();
    assert_eq!(amounts, [1_000, 3_000]);
    till.resolve_case(needed[0].clone(), "write_off").await;
    assert_eq!(asked(&till), [3_000]);
    till.resolve_case(needed[1].clone(), "write_off").await;
    assert_eq!((till.payment().reviews.len(), till.payment().waiting.len()), (0, 0));
    assert_eq!(balance(&till, "write_offs").await, 3_000);
    till.tell("e5", WebhookNews::Refund(refund(&of, "r2", 20))).await;
    assert_eq!(asked(&till), [] as [i64; 0], "both are known");
}

/// A sum that has no name counts once: for the refund that it is of, and for none that comes later.
#[tokio::test]
async fn what_was_written_off_without_a_name_is_named_by_the_first_refund_that_it_is_of() {
    let mut till = Till::paid().await;
    let of = till.payment().captures[0].reference.clone();
    till.tell("e1", sum(&till, &of, 100)).await;
    till.relay().await;
    till.resolve("write_off").await;
    till.tell("e2", WebhookNews::Refund(refund(&of, "r1", 100))).await;
    till.tell("e3", WebhookNews::Refund(refund(&of, "r1", 100))).await;
    assert_eq!(asked(&till), [] as [i64; 0], "that is the one");
    till.tell("e4", WebhookNews::Refund(refund(&of, "r2", 100))).await;
    assert_eq!(asked(&till), [10_000], "and this another");
}

#[tokio::test]
async fn whoever_is_asked_about_a_sum_that_grows_is_asked_about_all_of_it() {
    let mut till = Till::paid().await;
    let of = till.payment().captures[0].reference.clone();
    for (event, amount) in [("e1", 100), ("e2", 250), ("e3", 250), ("e4", 100)] {
        till.tell(event, sum(&till, &of, amount)).await;
        till.relay().await;
    }
    assert_eq!(asked(&till), [25_000]);
    assert_eq!(till.announced("payment.review_needed.v1").len(), 2);
    assert_eq!(till.announced("payment.review_withdrawn.v1").len(), 1);
}

/// Paid out by hand after it had failed, and then made by the gateway after all: one loss, however often it is told of.
#[tokio::test]
async fn a_refund_that_was_made_beside_one_by_hand_is_written_off_once() {
    let mut till = Till::paid().await;
    till.clinic.gateway.set_refunds(RefundMode::Pending);
    crate::ladder::cancel_by_doctor(&till).await;
    till.relay().await;
    till.run().await;
    till.clinic.gateway.end_refunds(false);
    till.notify().await;
    till.relay().await;
    till.resolve("paid_out_elsewhere").await;
    let failed = till.clinic.gateway.refunds().remove(0);
    let done = GatewayRefund { state: RefundState::Processed, ..failed };
    for event in ["e1", "e2"] {
        till.tell(event, WebhookNews::Refund(done.clone())).await;
        till.relay().await;
    }
    assert_eq!(asked(&till), [49_900]);
    till.resolve("write_off").await;
    till.tell("e3", WebhookNews::Refund(done)).await;
    assert_eq!(asked(&till), [] as [i64; 0]);
    assert_eq!(balance(&till, "write_offs").await, 49_900);
}

#[tokio::test]
async fn nobody_is_asked_about_a_refund_that_came_to_nothing() {
    let mut till = Till::paid().await;
    let of = till.payment().captures[0].reference.clone();
    let failed = |reference, amount| GatewayRefund {
        state: RefundState::Failed { code: "bank_refused".to_owned() },
        ..refund(&of, reference, amount)
    };
    for (event, seen) in [("e1", refund(&of, "r1", 10)), ("e2", refund(&of, "r2", 20)), ("e3", failed("r2", 20))] {
        till.tell(event, WebhookNews::Refund(seen)).await;
    }
    till.tell("e4", WebhookNews::Refund(failed("r1", 10))).await;
    till.relay().await;
    assert_eq!((till.payment().reviews.len(), till.payment().waiting.len()), (0, 0));
    let (asked, moot) = (till.announced("payment.review_needed.v1"), till.announced("payment.review_withdrawn.v1"));
    assert_eq!((asked.len(), moot.len()), (3, 3), "about one, about both, about one");
}

/// A look that was under way when a person asked for one has not seen what they want to know.
#[tokio::test]
async fn a_look_answers_those_who_asked_before_it_began() {
    let till = Till::paid().await;
    let of = till.payment().captures[0].reference.clone();
    till.tell("e1", WebhookNews::Refund(refund(&of, "r1", 10))).await;
    let rules = PaymentRules::v1();
    let mut progress = Progress::of(till.payment(), &rules, at(2));
    progress.look_again(ReviewReason::ForeignRefund);
    let wanted: Vec<Review> = progress.payment.reviews.clone();
    progress.look(&[], &[], &[], &Evidence::Answer);
    assert_eq!(progress.payment.reviews, wanted, "it still waits");
    progress.look(&wanted, &[], &[], &Evidence::Answer);
    assert_eq!(progress.payment.reviews, []);
}

/// What happens to the refunds of one payment.
#[derive(Debug, Clone, Copy)]
enum Happens {
    /// Somebody makes one, at once or not, and what notifications say of it comes when it comes.
    Made { rupees: i64, mode: RefundMode },
    /// Any notification so far is told, and told again later or not.
    Told { which: proptest::sample::Index, again: bool },
    /// Those under way end.
    Ended { done: bool },
    /// A person works off a case.
    Decided,
    /// The visit is called off: ours comes beside them.
    CalledOff,
}

fn happens() -> impl Strategy<Value = Happens> {
    let mode = prop_oneof![Just(RefundMode::AtOnce), Just(RefundMode::Pending)];
    let made = (prop_oneof![Just(40), Just(70)], mode).prop_map(|(rupees, mode)| Happens::Made { rupees, mode });
    let told =
        (any::<proptest::sample::Index>(), any::<bool>()).prop_map(|(which, again)| Happens::Told { which, again });
    let ended = any::<bool>().prop_map(|done| Happens::Ended { done });
    prop_oneof![4 => made, 8 => told, 1 => ended, 2 => Just(Happens::Decided), 1 => Just(Happens::CalledOff)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is told of them, in whatever order, again or never: when people have worked off their cases, the books say what
    /// the gateway has.
    #[test]
    fn each_of_them_is_a_loss_once(history in proptest::collection::vec(happens(), 0..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (books, there, differences) = runtime.block_on(lived(&history));
        prop_assert_eq!((books, differences), (there, 0));
    }
}

/// What the books say the gateway has, what it has, and how often the daily comparison finds them to differ in the end.
async fn lived(history: &[Happens]) -> (i64, i64, usize) {
    let mut till = Till::paid().await;
    let of = till.payment().captures[0].reference.clone();
    let mut news = Vec::new();
    for (step, happens) in history.iter().enumerate() {
        match *happens {
            Happens::Made { rupees: amount, mode } => {
                till.clinic.gateway.set_refunds(mode);
                till.clinic.gateway.refund_unasked(&of, rupees(amount));
                news.extend(till.clinic.gateway.payments().into_iter().map(WebhookNews::Payment));
            }
            Happens::Told { .. } if news.is_empty() => {}
            Happens::Told { which, again } => {
                let which = which.index(news.len());
                let told: &WebhookNews = &news[which];
                till.tell(&format!("s{step}"), told.clone()).await;
                if !again {
                    news.swap_remove(which);
                }
            }
            Happens::Ended { done } => till.clinic.gateway.end_refunds(done),
            Happens::Decided => decided(&mut till).await,
            // Once, and before it begins.
            Happens::CalledOff => crate::ladder::try_cancel_by_doctor(&till).await.unwrap_or_default(),
        }
        till.relay().await;
        till.run().await;
        till.relay().await;
        news.extend(till.clinic.gateway.drain_notices());
    }
    till.clinic.gateway.end_refunds(true);
    let range = TimeRange::new(at(-60), at(60_000)).unwrap();
    let name = PaymentGateway::name(&*till.clinic.gateway).clone();
    for _ in 0..3 {
        reconcile(till.clinic.payment_deps(), &till.system(), &name, range).await.unwrap();
        till.relay().await;
        for _ in 0..100 {
            decided(&mut till).await;
        }
    }
    let last = reconcile(till.clinic.payment_deps(), &till.system(), &name, range).await.unwrap();
    let there = till.clinic.gateway.payments().into_iter().map(|paid| paid.amount.amount() - paid.refunded.amount());
    (balance(&till, "gateway_receivable:fake").await, there.sum(), last.differences)
}

/// A careful person: looks first, when no refund is under way, and decides when they are asked still.
async fn decided(till: &mut Till) {
    till.clinic.gateway.end_refunds(true);
    for choice in ["look_again", "write_off", "paid_out_elsewhere"] {
        let Some(review) = till.payment().reviews.first().cloned() else { return };
        if !review.reason.choices().iter().any(|offered| offered.as_str() == choice) {
            continue;
        }
        let about = |event: &&EventEnvelope| {
            event.payload["reason"] == review.reason.as_str() && event.aggregate.version == review.asked_version
        };
        let needed = till.announced("payment.review_needed.v1").into_iter().find(about).unwrap().clone();
        till.resolve_case(needed, choice).await;
        for _ in 0..3 {
            let next = till.clinic.world.next_gateway_task_at().map_or(at(0), |next| next.min(at(50_000)));
            till.clinic.clock.set(next.max(amrutam_kernel::Clock::now(&*till.clinic.clock)));
            till.run().await;
            till.relay().await;
        }
    }
}
