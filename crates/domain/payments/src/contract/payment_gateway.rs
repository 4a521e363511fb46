//! The gateway: what is asked twice happens once, what is unknown says so.

use crate::ports::{
    GatewayError, GatewayPayment, GatewayPaymentRef, GatewayRefund, NewOrder, NewRefund, Order, OrderRef,
    PaymentGateway, PaymentSighting, RefundState,
};
use amrutam_kernel::{Currency, Money, PaymentId, TimeRange};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

/// A gateway with a payer's hand and a saboteur's.
#[async_trait]
pub trait GatewayHarness: Send + Sync {
    /// Under test.
    fn gateway(&self) -> Arc<dyn PaymentGateway>;
    /// By the gateway's clock.
    fn now(&self) -> Timestamp;
    /// Somebody pays this order.
    async fn pay(&self, order: &OrderRef, amount: Money) -> GatewayPaymentRef;
    /// Somebody tries in vain.
    async fn decline(&self, order: &OrderRef) -> GatewayPaymentRef;
    /// The next call that changes something is done, and its answer is lost.
    async fn lose_next_answer(&self);
    /// From now on the gateway can't be reached, or can.
    async fn set_away(&self, away: bool);
}

fn uuid() -> uuid::Uuid {
    let [high, low] = [RandomState::new().hash_one(0), RandomState::new().hash_one(0)];
    uuid::Uuid::from_u64_pair(high, low)
}

fn rupees(amount: i64) -> Money {
    Money::new(amount * 100, Currency::Inr).unwrap()
}

/// A visit's order, and the key it is asked with.
struct Wanted {
    payment: PaymentId,
    key: String,
    expires_at: Timestamp,
}

impl Wanted {
    fn new(harness: &dyn GatewayHarness) -> Self {
        let payment = PaymentId::from_uuid(uuid());
        let expires_at = harness.now() + SignedDuration::from_mins(15);
        Self { payment, key: format!("{payment}:open"), expires_at }
    }

    fn of(&self, amount: Money) -> NewOrder<'_> {
        NewOrder { payment: self.payment, amount, idempotency_key: &self.key, expires_at: self.expires_at }
    }
}

/// An order that was paid.
struct Paid {
    gateway: Arc<dyn PaymentGateway>,
    payment: PaymentId,
    order: OrderRef,
    reference: GatewayPaymentRef,
}

impl Paid {
    async fn new(harness: &dyn GatewayHarness, amount: Money) -> Self {
        let (gateway, wanted) = (harness.gateway(), Wanted::new(harness));
        let Order { order, .. } = gateway.open_order(&wanted.of(amount)).await.unwrap();
        let reference = harness.pay(&order, amount).await;
        Self { gateway, payment: wanted.payment, order, reference }
    }

    async fn refund(&self, key: &str, amount: Money) -> Result<GatewayRefund, GatewayError> {
        let key = format!("{}:{key}", self.payment);
        let refund = NewRefund { payment: self.payment, of: &self.reference, amount, idempotency_key: &key };
        self.gateway.refund(&refund).await
    }

    async fn refunds(&self) -> Vec<GatewayRefund> {
        self.gateway.refunds_of(&self.reference).await.unwrap()
    }

    async fn seen(&self) -> GatewayPayment {
        let seen = self.gateway.order_payments(&self.order).await.unwrap();
        seen.into_iter().find(|seen| seen.reference == self.reference).unwrap()
    }
}

/// However often it is asked for. Another key is another order; the same key with another amount is refused.
pub async fn an_order_is_opened_once_per_key(harness: &dyn GatewayHarness) {
    let (gateway, wanted) = (harness.gateway(), Wanted::new(harness));
    let first = gateway.open_order(&wanted.of(rupees(499))).await.unwrap();
    assert_eq!(first.checkout.order, first.order);
    assert_eq!(&first.checkout.gateway, gateway.name());
    assert_eq!(gateway.open_order(&wanted.of(rupees(499))).await, Ok(first.clone()));
    let dearer = gateway.open_order(&wanted.of(rupees(500))).await;
    assert!(matches!(dearer, Err(GatewayError::Rejected { .. })), "{dearer:?}");
    let other = Wanted { key: format!("{}:again", wanted.payment), ..wanted };
    assert_ne!(gateway.open_order(&other.of(rupees(499))).await.unwrap().order, first.order);
}

/// Each try to pay it, in its own state.
pub async fn an_order_shows_who_tried_to_pay_it(harness: &dyn GatewayHarness) {
    let (gateway, wanted) = (harness.gateway(), Wanted::new(harness));
    let Order { order, .. } = gateway.open_order(&wanted.of(rupees(499))).await.unwrap();
    assert_eq!(gateway.order_payments(&order).await, Ok(vec![]));
    let declined = harness.decline(&order).await;
    let paid = harness.pay(&order, rupees(499)).await;
    let seen = gateway.order_payments(&order).await.unwrap();
    assert_eq!(seen.len(), 2, "{seen:?}");
    for one in &seen {
        assert_eq!((one.order.as_ref(), one.amount), (Some(&order), rupees(499)));
        assert!(one.payment.is_none_or(|payment| payment == wanted.payment));
        match &one.state {
            PaymentSighting::Failed { code } => assert!(one.reference == declined && !code.is_empty()),
            PaymentSighting::Captured => assert!(one.reference == paid && one.refunded.amount() == 0),
            other => panic!("{other:?}"),
        }
    }
}

/// Once per key, in parts, and never more than came.
pub async fn money_goes_back_once_per_key(harness: &dyn GatewayHarness) {
    let paid = Paid::new(harness, rupees(499)).await;
    assert_eq!(paid.refunds().await, vec![]);
    let first = paid.refund("first", rupees(99)).await.unwrap();
    assert_eq!((&first.of, first.amount), (&paid.reference, rupees(99)));
    assert!(matches!(first.state, RefundState::Pending | RefundState::Processed));
    let again = paid.refund("first", rupees(99)).await.unwrap();
    assert_eq!(again.reference, first.reference);
    assert_eq!(paid.seen().await.refunded, rupees(99));
    assert_eq!(paid.seen().await.state, PaymentSighting::Captured);
    for (key, amount) in [("first", 98), ("second", 401)] {
        let refused = paid.refund(key, rupees(amount)).await;
        assert!(matches!(refused, Err(GatewayError::Rejected { .. })), "{key}: {refused:?}");
    }
    paid.refund("third", rupees(400)).await.unwrap();
    let refunds = paid.refunds().await;
    let keys: BTreeSet<_> = refunds.iter().filter_map(|refund| refund.idempotency_key.clone()).collect();
    assert_eq!(refunds.len(), 2);
    assert_eq!(keys, BTreeSet::from(["first", "third"].map(|key| format!("{}:{key}", paid.payment))));
    assert_eq!((paid.seen().await.refunded, paid.seen().await.state), (rupees(499), PaymentSighting::Refunded));
}

/// A lost answer is no answer, and asking again with the same key does no harm.
pub async fn a_lost_answer_is_unknown_and_asking_again_is_safe(harness: &dyn GatewayHarness) {
    let (gateway, wanted) = (harness.gateway(), Wanted::new(harness));
    harness.lose_next_answer().await;
    let lost = gateway.open_order(&wanted.of(rupees(499))).await;
    assert!(matches!(lost, Err(GatewayError::Unknown { .. })), "{lost:?}");
    let opened = gateway.open_order(&wanted.of(rupees(499))).await.unwrap();
    assert_eq!(gateway.open_order(&wanted.of(rupees(499))).await.unwrap().order, opened.order);

    let paid = Paid::new(harness, rupees(499)).await;
    harness.lose_next_answer().await;
    let lost = paid.refund("all", rupees(499)).await;
    assert!(matches!(lost, Err(GatewayError::Unknown { .. })), "{lost:?}");
    let [found] = paid.refunds().await.try_into().unwrap();
    assert_eq!(paid.refund("all", rupees(499)).await.unwrap().reference, found.reference);
    assert_eq!(paid.refunds().await.len(), 1);
}

/// While it can't be reached, nothing happens and that is known.
pub async fn nothing_happens_while_it_is_away(harness: &dyn GatewayHarness) {
    let paid = Paid::new(harness, rupees(499)).await;
    let wanted = Wanted::new(harness);
    harness.set_away(true).await;
    let away = |error: GatewayError| assert!(matches!(error, GatewayError::Unavailable { .. }), "{error:?}");
    away(paid.gateway.open_order(&wanted.of(rupees(499))).await.unwrap_err());
    away(paid.gateway.order_payments(&paid.order).await.unwrap_err());
    away(paid.refund("all", rupees(499)).await.unwrap_err());
    away(paid.gateway.refunds_of(&paid.reference).await.unwrap_err());
    harness.set_away(false).await;
    assert_eq!(paid.refunds().await, vec![]);
    paid.refund("all", rupees(499)).await.unwrap();
}

/// Page by page, each payment and refund of the range once, and none outside of it.
pub async fn what_moved_is_listed_once(harness: &dyn GatewayHarness) {
    let mut paid = Vec::new();
    for nth in 0..4 {
        let one = Paid::new(harness, rupees(499)).await;
        if nth % 2 == 0 {
            one.refund("part", rupees(100)).await.unwrap();
        }
        paid.push(one);
    }
    let hour = SignedDuration::from_hours(1);
    let gateway = harness.gateway();
    let list = async |start, end| {
        let range = TimeRange::new(start, end).unwrap();
        let (mut payments, mut refunds, mut cursor) = (Vec::new(), Vec::new(), None);
        loop {
            let page = gateway.settled(range, cursor).await.unwrap();
            payments.extend(page.payments);
            refunds.extend(page.refunds);
            cursor = page.next;
            if cursor.is_none() {
                return (payments, refunds);
            }
        }
    };
    let (payments, refunds) = list(harness.now() - hour, harness.now() + hour).await;
    for (nth, one) in paid.iter().enumerate() {
        let of_this = payments.iter().filter(|seen| seen.reference == one.reference);
        assert_eq!(of_this.count(), 1);
        assert_eq!(refunds.iter().filter(|refund| refund.of == one.reference).count(), 1 - nth % 2);
    }
    let (before, after) = (harness.now() - hour * 3, harness.now() + hour * 2);
    assert_eq!(list(before, harness.now() - hour * 2).await, (vec![], vec![]));
    assert_eq!(list(after, harness.now() + hour * 3).await, (vec![], vec![]));
}

/// Expands the suite, each case a test of its own. `$harness` is an expression that is awaited for it.
#[macro_export]
macro_rules! payment_gateway_contract {
    ($harness:expr) => {
        $crate::payment_gateway_contract! { @cases $harness;
            an_order_is_opened_once_per_key,
            an_order_shows_who_tried_to_pay_it,
            money_goes_back_once_per_key,
            a_lost_answer_is_unknown_and_asking_again_is_safe,
            nothing_happens_while_it_is_away,
            what_moved_is_listed_once,
        }
    };
    (@cases $harness:expr; $($case:ident,)+) => {$(
        #[tokio::test]
        async fn $case() {
            let harness = $harness.await;
            $crate::contract::$case(&harness).await;
        }
    )+};
}
