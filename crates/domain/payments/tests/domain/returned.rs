//! Refunds that the gateway had made, and whose money came back to it.

use super::*;
use amrutam_kernel::TimeRange;
use amrutam_memory::RefundMode;
use amrutam_payments::{
    model::{GatewayRefund, MoneyState, RefundState, RefundStep, ReviewReason},
    use_cases::reconcile,
};

pub(crate) async fn balance(till: &Till, account: &str) -> i64 {
    let balances = till.clinic.payment_deps().store.balances().await.unwrap();
    assert_eq!(balances.values().sum::<i64>(), 0, "{balances:?}");
    balances.get(&(account.to_owned(), Currency::Inr)).copied().unwrap_or(0)
}

/// Called off by the doctor, and given back.
async fn given_back() -> Till {
    let mut till = Till::paid().await;
    till.clinic.gateway.set_refunds(RefundMode::AtOnce);
    crate::ladder::cancel_by_doctor(&till).await;
    till.relay().await;
    till.run().await;
    till.notify().await;
    till.relay().await;
    assert_eq!((till.payment().state, till.payment().refunded()), (MoneyState::Refunded, rupees(499)));
    assert_eq!(balance(&till, "gateway_receivable:fake").await, 0);
    till
}

/// As Stripe tells it: `refund.failed` after `succeeded`.
#[tokio::test]
async fn what_came_back_is_owed_again_and_old_news_of_it_changes_nothing() {
    let mut till = given_back().await;
    let made = till.clinic.gateway.refunds().remove(0);
    let failed = GatewayRefund { state: RefundState::Failed { code: "lost_or_stolen".to_owned() }, ..made.clone() };
    till.tell("evt_back", WebhookNews::Refund(failed.clone())).await;
    till.relay().await;
    assert_eq!((till.payment().state, till.payment().refunded()), (MoneyState::RefundFailed, rupees(0)));
    assert!(till.payment().asks(ReviewReason::RefundFailed));
    assert_eq!(till.announced("payment.refund_failed.v1")[0].payload["cause"], "lost_or_stolen");
    assert_eq!(balance(&till, "gateway_receivable:fake").await, 49_900);
    assert_eq!(balance(&till, "refunds_payable").await, -49_900);
    let known = till.payment();
    for (event, late) in [("evt_old", &made), ("evt_again", &failed)] {
        till.tell(event, WebhookNews::Refund(late.clone())).await;
        assert_eq!(till.payment(), known, "{event}");
    }
    // The gateway's list says what its notification said.
    till.clinic.gateway.return_refunds(at(0));
    till.clinic.gateway.drain_notices();
    till.resolve("retry").await;
    till.tell("evt_older", WebhookNews::Refund(made)).await;
    assert_eq!(
        till.payment().captures[0].refund.as_ref().unwrap().step,
        RefundStep::Asked,
        "the new one is to be made"
    );
    till.run().await;
    till.relay().await;
    assert_eq!((till.payment().state, till.payment().refunded()), (MoneyState::Refunded, rupees(499)));
    assert_eq!((till.clinic.gateway.refunds().len(), till.payment().reviews.len()), (2, 0));
    assert_eq!(balance(&till, "gateway_receivable:fake").await, 0);
    assert_eq!(balance(&till, "refunds_payable").await, 0);
}

/// Its notification was lost: the daily comparison finds it, in the day's list or beside it.
#[tokio::test]
async fn reconciliation_finds_what_came_back() {
    for listed in [true, false] {
        let mut till = given_back().await;
        till.clinic.gateway.return_refunds(if listed { at(0) } else { at(-600) });
        till.clinic.gateway.drain_notices();
        let range = TimeRange::new(at(-60), at(6_000)).unwrap();
        let name = PaymentGateway::name(&*till.clinic.gateway).clone();
        let found = reconcile(till.clinic.payment_deps(), &till.system(), &name, range).await.unwrap();
        assert_eq!(found.differences, 1, "{found:?}");
        till.relay().await;
        assert_eq!(till.payment().state, MoneyState::RefundFailed, "listed: {listed}");
        assert!(!till.payment().asks(ReviewReason::MissingThere));
        let again = reconcile(till.clinic.payment_deps(), &till.system(), &name, range).await.unwrap();
        assert_eq!(again.differences, 0);
    }
}

/// Two refunds of one visit are missing: one case after another, each about its own.
#[tokio::test]
async fn each_difference_has_a_case_of_its_own() {
    let mut till = Till::paid().await;
    till.clinic.gateway.set_refunds(RefundMode::AtOnce);
    let order = till.payment().order_ref().unwrap().clone();
    till.clinic.gateway.pay(&order, rupees(200)).unwrap();
    till.notify().await;
    crate::ladder::cancel_by_doctor(&till).await;
    till.relay().await;
    till.run().await;
    till.relay().await;
    assert_eq!(balance(&till, "gateway_receivable:fake").await, 0);
    let range = TimeRange::new(at(-60), at(6_000)).unwrap();
    let name = PaymentGateway::name(&*till.clinic.gateway).clone();
    till.clinic.gateway.forget_refunds();
    // As often as it is compared until somebody has time.
    for _ in 0..2 {
        let found = reconcile(till.clinic.payment_deps(), &till.system(), &name, range).await.unwrap();
        assert_eq!(found.differences, 2);
        till.relay().await;
    }
    let mut amounts = Vec::new();
    for cases in [1, 2] {
        let needed = till.announced("payment.review_needed.v1");
        assert_eq!(needed.len(), cases);
        let payload = &needed.last().unwrap().payload;
        assert_eq!(payload["reason"], "refund_missing_there");
        amounts.push(payload["amount"]["amount"].as_i64().unwrap());
        till.resolve("retry").await;
        till.run().await;
        till.relay().await;
    }
    amounts.sort_unstable();
    assert_eq!(amounts, [20_000, 49_900]);
    assert_eq!(till.announced("payment.review_needed.v1").len(), 2);
    assert_eq!((till.payment().reviews.len(), till.payment().waiting.len()), (0, 0));
    assert_eq!(till.clinic.gateway.refunds().len(), 2);
    assert_eq!(balance(&till, "gateway_receivable:fake").await, 0);
}

/// Our books have it, the gateway has never heard of it: what is owed is owed still, and not a loss of ours.
#[tokio::test]
async fn a_refund_that_is_missing_at_the_gateway_is_made_again() {
    let mut till = given_back().await;
    let range = TimeRange::new(at(-60), at(6_000)).unwrap();
    let name = PaymentGateway::name(&*till.clinic.gateway).clone();
    till.clinic.gateway.forget_refunds();
    let found = reconcile(till.clinic.payment_deps(), &till.system(), &name, range).await.unwrap();
    assert_eq!(found.differences, 1);
    till.relay().await;
    let needed = till.announced("payment.review_needed.v1").last().unwrap().payload.clone();
    assert_eq!(needed["reason"], "refund_missing_there");
    assert_eq!(
        needed["choices"],
        serde_json::json!([{ "choice": "retry", "amount": rupees(499) }]),
        "it is money that moves"
    );
    till.resolve("retry").await;
    assert_eq!(till.payment().state, MoneyState::Refunding);
    assert_eq!(balance(&till, "refunds_payable").await, -49_900);
    till.run().await;
    till.relay().await;
    assert_eq!((till.payment().state, till.payment().reviews.len()), (MoneyState::Refunded, 0));
    assert_eq!(till.clinic.gateway.refunds().len(), 1);
    for account in ["gateway_receivable:fake", "refunds_payable", "write_offs"] {
        assert_eq!(balance(&till, account).await, 0, "{account}");
    }
    let again = reconcile(till.clinic.payment_deps(), &till.system(), &name, range).await.unwrap();
    assert_eq!(again.differences, 0);
}
