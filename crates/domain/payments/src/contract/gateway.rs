//! A gateway and somebody who pays.

use super::{
    Till, id,
    stage::{rupees, word},
};
use crate::model::{GatewayPayment, NewOrder, NewRefund, Order, PaymentSighting, RefundState};
use crate::ports::GatewayError;
use amrutam_kernel::{ConsultationId, Money, PaymentId, TimeRange};
use jiff::SignedDuration;
use std::{collections::BTreeSet, time::Duration};

fn payment(till: &dyn Till) -> PaymentId {
    PaymentId::of(ConsultationId::from_uuid(id(till.now())))
}

async fn open(till: &dyn Till, payment: PaymentId, amount: Money, key: &str) -> Result<Order, GatewayError> {
    let expires_at = till.now() + SignedDuration::from_mins(15);
    till.gateway().open_order(&NewOrder { payment, amount, key, idempotency_key: key, expires_at }).await
}

async fn opened(till: &dyn Till, amount: Money) -> (PaymentId, Order) {
    let payment = payment(till);
    (payment, open(till, payment, amount, &word("or")).await.unwrap())
}

async fn one_payment(till: &dyn Till, order: &Order) -> GatewayPayment {
    let mut seen = till.gateway().order_payments(&order.order).await.unwrap();
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0)
}

/// However often it is asked for.
pub async fn an_order_is_opened_once_per_key(till: &dyn Till) {
    let payment = payment(till);
    let key = word("or");
    let first = open(till, payment, rupees(499), &key).await.unwrap();
    assert_eq!(first.checkout.order, first.order);
    assert_eq!(&first.checkout.gateway, till.gateway().name());
    assert!(!first.checkout.key.is_empty(), "a client needs a key to pay with");
    assert_eq!(open(till, payment, rupees(499), &key).await.unwrap().order, first.order);
    let other = open(till, payment, rupees(499), &word("or")).await.unwrap();
    assert_ne!(other.order, first.order);
    assert_eq!(till.gateway().order_payments(&first.order).await.unwrap(), []);
}

/// Captured, with its amount and whose it is.
pub async fn a_payment_is_seen_by_its_order(till: &dyn Till) {
    let (_, order) = opened(till, rupees(499)).await;
    let reference = till.pay(&order.order, rupees(499)).await;
    let seen = one_payment(till, &order).await;
    assert_eq!((seen.reference, seen.state), (reference, PaymentSighting::Captured));
    assert_eq!((seen.amount, seen.order), (rupees(499), Some(order.order)));
    assert!(seen.refunded.is_zero());
}

/// And a later one beside it is captured.
pub async fn a_failed_attempt_is_seen_with_its_code(till: &dyn Till) {
    let (_, order) = opened(till, rupees(499)).await;
    let failed = till.fail(&order.order).await;
    let seen = one_payment(till, &order).await;
    assert_eq!(seen.reference, failed);
    assert!(matches!(&seen.state, PaymentSighting::Failed { code } if !code.is_empty()), "{seen:?}");
    let paid = till.pay(&order.order, rupees(499)).await;
    let seen = till.gateway().order_payments(&order.order).await.unwrap();
    let captured = seen.iter().find(|seen| seen.state == PaymentSighting::Captured).map(|seen| &seen.reference);
    assert_eq!(captured, Some(&paid));
}

/// However often it is asked for, in whole or in part.
pub async fn a_refund_is_made_once_per_key(till: &dyn Till) {
    let gateway = till.gateway();
    let (payment, order) = opened(till, rupees(499)).await;
    let of = till.pay(&order.order, rupees(499)).await;
    let key = word("rf");
    let renewed = format!("{key}~1");
    let refund = NewRefund { payment, of: &of, amount: rupees(100), key: &key, idempotency_key: &renewed };
    let first = gateway.refund(&refund).await.unwrap();
    assert!(!matches!(first.state, RefundState::Failed { .. }), "{first:?}");
    assert_eq!((&first.of, first.amount), (&of, rupees(100)));
    assert_eq!(gateway.refund(&refund).await.unwrap().reference, first.reference);
    let all = gateway.refunds_of(&of).await.unwrap();
    assert_eq!(all.iter().map(|refund| &refund.reference).collect::<Vec<_>>(), [&first.reference]);
    assert_eq!(all[0].key.as_deref(), Some(key.as_str()), "a refund tells by which key it is known");
    assert_eq!(one_payment(till, &order).await.refunded, rupees(100));
    let other = &*word("rf");
    let rest = NewRefund { amount: rupees(399), key: other, idempotency_key: other, ..refund };
    gateway.refund(&rest).await.unwrap();
    let seen = one_payment(till, &order).await;
    assert_eq!((seen.refunded, seen.state), (rupees(499), PaymentSighting::Refunded));
}

/// Refused for good, and nothing goes back.
pub async fn more_than_was_paid_is_not_given_back(till: &dyn Till) {
    let (payment, order) = opened(till, rupees(499)).await;
    let of = till.pay(&order.order, rupees(499)).await;
    let key = &*word("rf");
    let refund = NewRefund { payment, of: &of, amount: rupees(500), key, idempotency_key: key };
    let refused = till.gateway().refund(&refund).await;
    assert!(matches!(&refused, Err(GatewayError::Rejected { code }) if !code.is_empty()), "{refused:?}");
    assert!(one_payment(till, &order).await.refunded.is_zero());
}

/// Never taken for a gateway that is away: that would be tried for ever.
pub async fn an_order_that_is_not_there_is_refused_or_empty(till: &dyn Till) {
    let unknown = "order_ThatNeverWas00".parse().unwrap();
    match till.gateway().order_payments(&unknown).await {
        Err(GatewayError::Rejected { .. }) => {}
        Ok(seen) => assert_eq!(seen, []),
        other => panic!("{other:?}"),
    }
}

/// And does what is asked when it is back.
pub async fn a_gateway_that_is_away_says_so(till: &dyn Till) {
    let payment = payment(till);
    let key = word("or");
    till.away(true).await;
    let refused = open(till, payment, rupees(499), &key).await;
    till.away(false).await;
    assert!(
        matches!(refused, Err(GatewayError::Unavailable { .. } | GatewayError::Unknown { .. })),
        "to be tried again: {refused:?}"
    );
    open(till, payment, rupees(499), &key).await.unwrap();
}

/// The same key finds what was done.
pub async fn a_lost_answer_is_unknown_and_the_key_tells(till: &dyn Till) {
    let gateway = till.gateway();
    let (payment, order) = opened(till, rupees(499)).await;
    let of = till.pay(&order.order, rupees(499)).await;
    let key = word("rf");
    let refund = NewRefund { payment, of: &of, amount: rupees(499), key: &key, idempotency_key: &key };
    till.lose_next_answer().await;
    let lost = gateway.refund(&refund).await;
    assert!(matches!(lost, Err(GatewayError::Unknown { .. })), "{lost:?}");
    let made = gateway.refunds_of(&of).await.unwrap();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(gateway.refund(&refund).await.unwrap().reference, made[0].reference);
    assert_eq!(gateway.refunds_of(&of).await.unwrap().len(), 1);
}

/// As long as the gateway says.
pub async fn a_limit_says_how_long_to_wait(till: &dyn Till) {
    till.limit_next(7).await;
    let limited = open(till, payment(till), rupees(499), &word("or")).await;
    let expected = GatewayError::Limited { retry_after: Some(Duration::from_secs(7)) };
    assert_eq!(limited, Err(expected));
}

/// Each payment and refund of the range once.
pub async fn everything_settled_is_listed_page_by_page(till: &dyn Till) {
    let gateway = till.gateway();
    let from = till.now() - SignedDuration::from_mins(1);
    let (mut paid, mut refunded) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..5 {
        let (payment, order) = opened(till, rupees(499)).await;
        let of = till.pay(&order.order, rupees(499)).await;
        let key = &*word("rf");
        let refund = NewRefund { payment, of: &of, amount: rupees(9), key, idempotency_key: key };
        refunded.insert(gateway.refund(&refund).await.unwrap().reference);
        paid.insert(of);
    }
    let range = TimeRange::new(from, till.now() + SignedDuration::from_mins(1)).unwrap();
    let (mut payments, mut refunds, mut cursor) = (Vec::new(), Vec::new(), None);
    loop {
        let page = gateway.settled(range, cursor).await.unwrap();
        payments.extend(page.payments.into_iter().map(|seen| seen.reference));
        refunds.extend(page.refunds.into_iter().map(|seen| seen.reference));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let (distinct_payments, distinct_refunds) =
        (payments.iter().cloned().collect::<BTreeSet<_>>(), refunds.iter().cloned().collect::<BTreeSet<_>>());
    assert_eq!((payments.len(), refunds.len()), (distinct_payments.len(), distinct_refunds.len()), "repetitions");
    assert!(paid.is_subset(&distinct_payments) && refunded.is_subset(&distinct_refunds));
    let before = TimeRange::new(from - SignedDuration::from_hours(2), from - SignedDuration::from_hours(1)).unwrap();
    let page = gateway.settled(before, None).await.unwrap();
    assert!(page.payments.iter().all(|seen| !paid.contains(&seen.reference)));
}
