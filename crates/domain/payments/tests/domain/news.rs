//! News from the gateway and from booking, in whatever order, and what it comes to.

use super::*;
use amrutam_payments::model::{
    Evidence, GatewayPayment, GatewayRefund, GatewayRefundRef, MoneyState, Parties, PaymentRules, PaymentSighting,
    Progress, RefundState, Side, Visit, VisitFate,
};
use amrutam_payments::use_cases::{reconcile, sweep_deadlines};
use proptest::prelude::*;

#[tokio::test]
async fn a_visit_is_paid_confirmed_held_and_earned() {
    use amrutam_booking::{
        model::IdentityCheck,
        use_cases::{complete, start},
    };
    let mut till = Till::paid().await;
    assert_eq!(till.clinic.world.consultations()[0].status.as_str(), "confirmed");
    let doctor = till.clinic.context(Actor::Account { id: till.clinic.doctor_account, role: Role::Doctor });
    till.pass(115);
    start(till.clinic.deps(), &doctor, till.visit, IdentityCheck::Asked, None).await.unwrap();
    complete(till.clinic.deps(), &doctor, till.visit, None, None).await.unwrap();
    till.relay().await;
    assert_eq!(till.payment().state, MoneyState::Settled);
    let balances = till.clinic.payment_deps().store.balances().await.unwrap();
    let balance = |account: &str| balances.get(&(account.to_owned(), Currency::Inr)).copied();
    assert_eq!((balance("fees_earned"), balance("patient_deposits")), (Some(-49_900), Some(0)));
    let steps = till.clinic.payment_deps().store.timeline(till.payment().id).await.unwrap().undisclosed();
    let kinds: Vec<_> = steps.iter().map(|step| (step.version, step.kind.as_str())).collect();
    assert_eq!(kinds, [(1, "created"), (2, "order_opened"), (3, "captured"), (4, "settled")]);
    let proofs: Vec<_> = steps.iter().map(|step| step.evidence.to_string()).collect();
    assert!(proofs[0].starts_with("visit:") && proofs[1] == "answer" && proofs[2].starts_with("webhook:"));
    for event in till.announced.iter().filter(|event| event.event_type.starts_with("payment.")) {
        assert!(!event.payload.to_string().contains("asha"), "{event:?}");
    }
}

#[tokio::test]
async fn a_notification_told_again_changes_nothing_and_a_lost_one_is_made_up_for() {
    let mut till = Till::with_order().await;
    till.pay();
    let news = till.clinic.gateway.drain_notices().remove(0);
    assert_eq!(till.tell("evt_1", news.clone()).await, WebhookOutcome::Applied);
    assert_eq!(till.tell("evt_1", news.clone()).await, WebhookOutcome::Duplicate);
    let before = till.payment();
    assert_eq!(till.tell("evt_2", news).await, WebhookOutcome::Applied, "under another name, yet nothing new");
    assert_eq!(till.payment(), before);
    assert_eq!(till.tell("evt_3", WebhookNews::Ignored { kind: "x".to_owned() }).await, WebhookOutcome::Ignored);

    till = Till::with_order().await;
    till.pay();
    till.clinic.gateway.drain_notices();
    till.pass(1);
    till.run().await;
    till.relay().await;
    assert_eq!(till.clinic.world.consultations()[0].status.as_str(), "confirmed");
}

#[tokio::test]
async fn three_attempts_that_fail_release_the_slot_however_often_each_is_told() {
    let mut till = Till::with_order().await;
    let order = till.payment().order_ref().unwrap().clone();
    for attempt in 1..=3 {
        assert_eq!(till.payment().state, MoneyState::Pending);
        till.clinic.gateway.decline(&order, "card_declined").unwrap();
        let news = till.clinic.gateway.drain_notices().remove(0);
        for copy in 0..3 {
            till.tell(&format!("evt_{attempt}_{copy}"), news.clone()).await;
        }
    }
    till.relay().await;
    assert_eq!(till.payment().state, MoneyState::Failed);
    assert_eq!(till.announced("payment.attempt_failed.v1").len(), 3);
    assert_eq!(till.clinic.world.consultations()[0].status.as_str(), "cancelled");
    // Money that comes all the same goes back.
    till.pay();
    till.notify().await;
    till.relay().await;
    till.run().await;
    assert_eq!((till.payment().state, till.payment().refunded()), (MoneyState::Refunded, rupees(499)));
}

#[tokio::test]
async fn what_is_paid_twice_or_wrongly_goes_back_whole() {
    let mut till = Till::with_order().await;
    let order = till.payment().order_ref().unwrap().clone();
    till.clinic.gateway.pay(&order, rupees(100)).unwrap();
    till.pay();
    till.pay();
    till.notify().await;
    till.relay().await;
    till.run().await;
    till.notify().await;
    till.relay().await;
    assert_eq!(till.payment().state, MoneyState::Captured);
    let mut back: Vec<_> = till.clinic.gateway.refunds().iter().map(|refund| refund.amount).collect();
    back.sort_by_key(Money::amount);
    assert_eq!(back, [rupees(100), rupees(499)]);
    assert_eq!(till.clinic.world.consultations()[0].status.as_str(), "confirmed");
}

#[tokio::test]
async fn money_of_nobodys_is_booked_and_before_a_person_once() {
    let mut till = Till::open().await;
    till.clinic.gateway.pay_stranger(rupees(10)).unwrap();
    let news = till.clinic.gateway.drain_notices().remove(0);
    assert_eq!(till.tell("evt_x", news.clone()).await, WebhookOutcome::Unknown);
    assert_eq!(till.tell("evt_x", news.clone()).await, WebhookOutcome::Duplicate);
    assert_eq!(till.tell("evt_y", news).await, WebhookOutcome::Applied);
    let name = PaymentGateway::name(&*till.clinic.gateway).clone();
    let range = amrutam_kernel::TimeRange::new(at(-60), at(600)).unwrap();
    let again = reconcile(till.clinic.payment_deps(), &till.system(), &name, range).await.unwrap();
    assert_eq!(again.differences, 0, "it is on our books");
    till.relay().await;
    let cases = till.announced("payment.review_needed.v1");
    assert_eq!(cases.len(), 1);
    assert_eq!(cases[0].payload["reason"], "unknown_payment");
    assert!(cases[0].payload["gateway_payment"].is_string() && cases[0].payload.get("patient_id").is_none());
    let offered: Vec<_> = cases[0].payload["choices"].as_array().unwrap().iter().collect();
    let moved = serde_json::json!({ "amount": 1_000, "currency": "INR" });
    let choice = |word: &str| serde_json::json!({ "choice": word, "amount": moved });
    assert_eq!(offered, [&choice("refund_full"), &choice("write_off")], "each performs something, and says how much");
    let balances = till.clinic.payment_deps().store.balances().await.unwrap();
    assert_eq!(balances.get(&("gateway_receivable:fake".to_owned(), Currency::Inr)), Some(&1_000));
    assert_eq!(balances.get(&("unclaimed_receipts".to_owned(), Currency::Inr)), Some(&-1_000));
}

#[tokio::test]
async fn money_of_nobodys_goes_back_when_a_person_says_so() {
    let mut till = Till::open().await;
    let of = till.clinic.gateway.pay_stranger(rupees(10)).unwrap();
    till.notify().await;
    till.relay().await;
    till.resolve("refund_full").await;
    assert!(till.clinic.gateway.refunds().is_empty(), "not in the transaction that decides");
    till.run().await;
    till.notify().await;
    till.relay().await;
    let refunds = till.clinic.gateway.refunds();
    assert_eq!((refunds.len(), &refunds[0].of, refunds[0].amount), (1, &of, rupees(10)));
    // Decided twice, it goes back once.
    till.resolve("refund_full").await;
    till.resolve("write_off").await;
    till.run().await;
    assert_eq!(till.clinic.gateway.refunds().len(), 1);
    let balances = till.clinic.payment_deps().store.balances().await.unwrap();
    assert!(balances.values().all(|balance| *balance == 0), "{balances:?}");
    let name = PaymentGateway::name(&*till.clinic.gateway).clone();
    let range = amrutam_kernel::TimeRange::new(at(-60), at(600)).unwrap();
    let again = reconcile(till.clinic.payment_deps(), &till.system(), &name, range).await.unwrap();
    assert_eq!(again.differences, 0);
}

#[tokio::test]
async fn money_of_nobodys_can_be_written_off_on_the_books() {
    let mut till = Till::open().await;
    till.clinic.gateway.pay_stranger(rupees(10)).unwrap();
    till.notify().await;
    till.relay().await;
    till.resolve("write_off").await;
    till.resolve("refund_full").await;
    till.run().await;
    assert!(till.clinic.gateway.refunds().is_empty());
    let balances = till.clinic.payment_deps().store.balances().await.unwrap();
    let balance = |account: &str| balances.get(&(account.to_owned(), Currency::Inr)).copied();
    assert_eq!(balance("unclaimed_receipts"), Some(0));
    assert_eq!((balance("gateway_receivable:fake"), balance("write_offs")), (Some(1_000), Some(-1_000)));
    assert_eq!(till.announced("payment.settled.v1").len(), 1);
}

/// The gateway tells of money under no name of ours, and later our order shows it: it stays where it is booked.
#[tokio::test]
async fn money_that_is_booked_as_nobodys_is_not_booked_twice() {
    let mut till = Till::with_order().await;
    till.pay();
    let WebhookNews::Payment(seen) = till.clinic.gateway.drain_notices().remove(0) else { unreachable!("a payment") };
    let nameless = amrutam_payments::model::GatewayPayment { order: None, payment: None, ..seen };
    assert_eq!(till.tell("evt_x", WebhookNews::Payment(nameless.clone())).await, WebhookOutcome::Unknown);
    let (task, _) = till.run_next().await;
    assert_eq!(task.kind.as_str(), "poll");
    till.relay().await;
    let named = amrutam_payments::model::GatewayPayment { order: till.payment().order_ref().cloned(), ..nameless };
    assert_eq!(till.tell("evt_y", WebhookNews::Payment(named)).await, WebhookOutcome::Applied);
    assert!(till.payment().captures.is_empty());
    let balances = till.clinic.payment_deps().store.balances().await.unwrap();
    assert_eq!(balances.get(&("gateway_receivable:fake".to_owned(), Currency::Inr)), Some(&49_900));
}

#[tokio::test]
async fn a_refund_that_nobody_asked_for_is_before_a_person_and_can_be_written_off() {
    let mut till = Till::paid().await;
    let of = till.payment().captures[0].reference.clone();
    till.clinic.gateway.refund_unasked(&of, rupees(499));
    till.notify().await;
    till.relay().await;
    let needed = till.announced("payment.review_needed.v1");
    assert_eq!((needed.len(), &needed[0].payload["reason"]), (1, &serde_json::json!("foreign_refund")));
    till.resolve("write_off").await;
    let balances = till.clinic.payment_deps().store.balances().await.unwrap();
    assert_eq!(balances.get(&("gateway_receivable:fake".to_owned(), Currency::Inr)), Some(&0));
    assert_eq!(balances.get(&("write_offs".to_owned(), Currency::Inr)), Some(&49_900));
    // The list tells it again: it is settled.
    let range = amrutam_kernel::TimeRange::new(at(-60), at(600)).unwrap();
    let name = PaymentGateway::name(&*till.clinic.gateway).clone();
    reconcile(till.clinic.payment_deps(), &till.system(), &name, range).await.unwrap();
    assert!(!till.payment().asks(amrutam_payments::model::ReviewReason::ForeignRefund));
}

/// As Razorpay tells it, whose payment says nothing of what was given back: two on the dashboard, of which a person has seen one.
#[tokio::test]
async fn a_refund_that_is_written_off_covers_no_other() {
    let mut till = Till::paid().await;
    let foreign = |reference: &str| GatewayRefund {
        reference: reference.parse().unwrap(),
        of: till.payment().captures[0].reference.clone(),
        amount: rupees(100),
        state: RefundState::Processed,
        key: None,
        at: at(2),
    };
    let (first, second) = (foreign("rfnd_a"), foreign("rfnd_b"));
    till.tell("evt_a", WebhookNews::Refund(first.clone())).await;
    till.relay().await;
    till.resolve("write_off").await;
    till.tell("evt_a2", WebhookNews::Refund(first)).await;
    assert!(!till.payment().asks(amrutam_payments::model::ReviewReason::ForeignRefund), "it is known");
    till.tell("evt_b", WebhookNews::Refund(second)).await;
    till.relay().await;
    assert!(till.payment().asks(amrutam_payments::model::ReviewReason::ForeignRefund));
    till.resolve("write_off").await;
    let balances = till.clinic.payment_deps().store.balances().await.unwrap();
    assert_eq!(balances.get(&("write_offs".to_owned(), Currency::Inr)), Some(&20_000));
}

#[tokio::test]
async fn reconciliation_tells_each_difference_and_takes_over_what_is_missing_here() {
    let mut till = Till::with_order().await;
    let range = amrutam_kernel::TimeRange::new(at(-60), at(6_000)).unwrap();
    let name = PaymentGateway::name(&*till.clinic.gateway).clone();
    till.pay();
    till.clinic.gateway.drain_notices();
    till.clinic.gateway.pay_stranger(rupees(10)).unwrap();
    let found = reconcile(till.clinic.payment_deps(), &till.system(), &name, range).await.unwrap();
    assert_eq!(found.differences, 2, "{found:?}");
    till.relay().await;
    assert_eq!(till.clinic.world.consultations()[0].status.as_str(), "confirmed");
    let reasons: Vec<_> =
        till.announced("payment.review_needed.v1").iter().map(|event| event.payload["reason"].clone()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    let ours = till.payment().captures[0].reference.clone();
    till.clinic.gateway.lose(&ours);
    let found = reconcile(till.clinic.payment_deps(), &till.system(), &name, range).await.unwrap();
    assert_eq!(found.differences, 1, "ours that is missing there; the stranger's is on our books: {found:?}");
    assert!(till.payment().asks(amrutam_payments::model::ReviewReason::MissingThere));
}

#[tokio::test]
async fn a_paid_visit_without_an_outcome_is_before_a_person_who_decides() {
    for (choice, state) in [("mark_earned", MoneyState::Settled), ("refund_full", MoneyState::Refunding)] {
        let mut till = Till::paid().await;
        till.pass(60 * 24);
        assert_eq!(sweep_deadlines(till.clinic.payment_deps(), &till.system(), 10).await.unwrap(), 0, "not yet");
        till.pass(60 * 24);
        assert_eq!(sweep_deadlines(till.clinic.payment_deps(), &till.system(), 10).await.unwrap(), 1);
        assert_eq!(sweep_deadlines(till.clinic.payment_deps(), &till.system(), 10).await.unwrap(), 0, "once");
        till.relay().await;
        till.resolve(choice).await;
        assert_eq!(till.payment().state, state);
        assert_eq!(till.payment().reviews, []);
        // What was given back does not take place, and payments takes that as it takes any other end.
        let visit = till.clinic.world.consultations().remove(0);
        let taken_place = state == MoneyState::Settled;
        assert_eq!(visit.status.as_str(), if taken_place { "confirmed" } else { "cancelled" });
        assert_eq!(
            visit.cancel_reason.map(amrutam_booking::model::CancelReason::as_str),
            (!taken_place).then_some("refunded")
        );
        assert_eq!(till.payment().visit.version, visit.version);
        assert_eq!(till.announced("payment.refund_decided.v1").len(), usize::from(!taken_place));
    }
}

/// The broker was away: a person is asked whether the visit takes place, and then booking confirms it after all.
#[tokio::test]
async fn what_comes_about_by_itself_is_asked_no_longer_and_a_late_answer_moves_nothing() {
    for choice in ["refund_full", "confirm_again"] {
        let mut till = Till::with_order().await;
        till.pay();
        till.notify().await;
        let kept = till.clinic.world.drain_outbox();
        till.pass(61);
        assert_eq!(sweep_deadlines(till.clinic.payment_deps(), &till.system(), 10).await.unwrap(), 1);
        let asked = till.clinic.world.drain_outbox();
        till.announced.extend(asked);
        for event in &kept {
            amrutam_booking::use_cases::handle(till.clinic.deps(), event).await.unwrap();
        }
        till.relay().await;
        assert_eq!(till.clinic.world.consultations()[0].status.as_str(), "confirmed");
        let withdrawn = till.announced("payment.review_withdrawn.v1");
        assert_eq!((withdrawn.len(), &withdrawn[0].payload["reason"]), (1, &serde_json::json!("not_confirmed")));
        assert_eq!((&*withdrawn[0].actor, withdrawn[0].payload.get("choices")), ("system:payments", None));
        let before = till.payment();
        till.resolve(choice).await;
        assert_eq!(till.payment(), before, "{choice}: the visit is confirmed");
        assert_eq!(before.state, MoneyState::Captured);
    }
}

/// The answer closes its case itself.
#[tokio::test]
async fn what_a_person_has_answered_is_not_withdrawn() {
    let mut till = Till::paid().await;
    till.pass(60 * 48);
    sweep_deadlines(till.clinic.payment_deps(), &till.system(), 10).await.unwrap();
    till.relay().await;
    till.resolve("mark_earned").await;
    assert_eq!(till.payment().state, MoneyState::Settled);
    assert!(till.announced("payment.review_withdrawn.v1").is_empty());
}

/// All that can be known of one payment: a capture, a failed attempt, the visit's history.
fn capture(n: usize, amount: i64) -> GatewayPayment {
    GatewayPayment {
        reference: format!("pay_{n}").parse().unwrap(),
        order: None,
        payment: None,
        amount: rupees(amount),
        refunded: rupees(0),
        state: PaymentSighting::Captured,
        at: at(1),
    }
}

#[derive(Debug, Clone)]
enum News {
    Paid(usize, i64),
    Failed(usize),
    Visit(i64, VisitFate),
}

fn fates() -> impl Strategy<Value = Vec<VisitFate>> {
    let end = prop_oneof![
        Just(VisitFate::Completed),
        Just(VisitFate::BrokenOff { by: Side::Doctor, at: at(610) }),
        Just(VisitFate::BrokenOff { by: Side::Patient, at: at(610) }),
        Just(VisitFate::NoShow { absent: Side::Patient }),
        Just(VisitFate::NoShow { absent: Side::Doctor }),
        Just(VisitFate::Cancelled { by: Side::Patient, at: at(60), unpaid: false }),
        Just(VisitFate::Cancelled { by: Side::Patient, at: at(500), unpaid: false }),
        Just(VisitFate::Cancelled { by: Side::Doctor, at: at(500), unpaid: false }),
    ];
    prop_oneof![
        end.prop_map(|end| vec![VisitFate::Confirmed, end]),
        Just(vec![VisitFate::Confirmed]),
        Just(vec![VisitFate::Expired, VisitFate::Unconfirmable]),
        Just(vec![VisitFate::Expired, VisitFate::Confirmed]),
        Just(vec![VisitFate::Cancelled { by: Side::Patient, at: at(5), unpaid: true }]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// In whatever order and however often it is told, the same knowledge leads to the same end, and every prefix balances.
    #[test]
    fn the_order_in_which_news_comes_does_not_matter(
        fates in fates(),
        paid in proptest::collection::vec(prop_oneof![Just(499_i64), Just(499), Just(100)], 0..3),
        failures in 0_usize..2,
        seed in any::<u64>(),
        repeats in 0_usize..4,
    ) {
        // Only money brings a visit back that has expired.
        let back = fates == [VisitFate::Expired, VisitFate::Confirmed];
        let paid: Vec<_> = paid.into_iter().chain(back.then_some(499)).collect();
        let mut news: Vec<News> = fates.into_iter().zip(2..).map(|(fate, version)| News::Visit(version, fate)).collect();
        news.extend(paid.iter().enumerate().map(|(n, amount)| News::Paid(n, *amount)));
        news.extend((10..10 + failures).map(News::Failed));
        let straight = ends(&news);
        let mut shuffled = news.clone();
        let mut state = seed | 1;
        let mut below = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % bound
        };
        for _ in 0..repeats {
            let again = shuffled[below(shuffled.len())].clone();
            shuffled.push(again);
        }
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, below(at + 1));
        }
        prop_assert_eq!(ends(&shuffled), straight, "{:?}", shuffled);
    }
}

/// Where the money stands in the end, and what is given back of each capture: by reference, so that which of two equal
/// captures came first makes no difference but for which of them pays.
fn ends(news: &[News]) -> (MoneyState, Vec<i64>, i64) {
    let mut payment = begun();
    let rules = PaymentRules::v1();
    let evidence = Evidence::Answer;
    let mut moved = 0;
    for (n, one) in news.iter().enumerate() {
        let now = at(600) + SignedDuration::from_secs(i64::try_from(n).unwrap());
        let mut progress = Progress::of(payment.clone(), &rules, now);
        match one {
            News::Paid(n, amount) => progress.see_payment(&capture(*n, *amount), &evidence),
            News::Failed(n) => {
                let state = PaymentSighting::Failed { code: "declined".to_owned() };
                progress.see_payment(&GatewayPayment { state, ..capture(*n, 499) }, &evidence);
            }
            News::Visit(version, fate) => progress.see_visit(visit(*version, *fate), &evidence),
        }
        let steps = i64::try_from(progress.steps.len()).unwrap();
        assert_eq!(progress.payment.version, payment.version + steps, "one version for each step");
        moved += progress.moves.iter().map(|(moved, _)| moved.lines().len()).sum::<usize>() % 2;
        payment = progress.payment;
    }
    assert_eq!(moved, 0);
    let refund =
        |capture: &amrutam_payments::model::Capture| capture.refund.as_ref().map_or(0, |refund| refund.amount.amount());
    let mut back: Vec<_> = payment.captures.iter().map(refund).collect();
    back.sort_unstable();
    // A visit that ended, or was given up, before money was seen: which of the two was noted first is history.
    let state = match payment.state {
        MoneyState::Failed | MoneyState::Cancelled => MoneyState::Cancelled,
        state => state,
    };
    (state, back, payment.captures.iter().map(|capture| capture.amount.amount()).sum())
}

fn visit(version: i64, fate: VisitFate) -> Visit {
    Visit { version, starts_at: at(600), ends_at: at(630), least_notice: None, hold_until: None, fate }
}

fn begun() -> Payment {
    use amrutam_kernel::DoctorId;
    use uuid::Uuid;
    let consultation = ConsultationId::from_uuid(Uuid::nil());
    let payment = Payment {
        id: PaymentId::of(consultation),
        parties: Some(Parties {
            consultation,
            patient: AccountId::from_uuid(Uuid::nil()),
            doctor: DoctorId::from_uuid(Uuid::nil()),
        }),
        amount: rupees(499),
        gateway: "fake".parse().unwrap(),
        state: MoneyState::Created,
        visit: Visit { hold_until: Some(at(15)), ..visit(1, VisitFate::Open) },
        order: None,
        order_opened_at: None,
        failed_attempts: Vec::new(),
        captures: Vec::new(),
        announced_at: None,
        ruling: None,
        reviews: Vec::new(),
        waiting: Vec::new(),
        look_at: None,
        created_at: at(0),
        updated_at: at(0),
        version: 0,
        revision: 0,
    };
    Progress::begun(payment, &PaymentRules::v1(), at(0), &Evidence::Clock).payment
}

#[test]
fn a_refund_is_monotone_whatever_the_gateway_says_afterwards() {
    let rules = PaymentRules::v1();
    let evidence = Evidence::Answer;
    let mut progress = Progress::of(begun(), &rules, at(1));
    progress.see_payment(&capture(1, 499), &evidence);
    progress.see_visit(visit(2, VisitFate::Unconfirmable), &evidence);
    let key = progress.payment.refund_key(0, 0);
    let refund = |state, reference: &str| GatewayRefund {
        reference: reference.parse::<GatewayRefundRef>().unwrap(),
        of: "pay_1".parse().unwrap(),
        amount: rupees(499),
        state,
        key: Some(key.clone()),
        at: at(2),
    };
    progress.see_refund(&refund(RefundState::Pending, "r"), &evidence);
    assert_eq!(progress.payment.state, MoneyState::Refunding);
    progress.see_refund(&refund(RefundState::Processed, "r"), &evidence);
    for late in [RefundState::Pending, RefundState::Processed] {
        progress.see_refund(&refund(late, "r"), &evidence);
        assert_eq!((progress.payment.state, progress.payment.reviews.len()), (MoneyState::Refunded, 0));
    }
    progress.see_refund(&refund(RefundState::Processed, "another"), &evidence);
    assert!(progress.payment.asks(amrutam_payments::model::ReviewReason::ForeignRefund), "a second one");
}
