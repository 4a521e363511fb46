//! A payment gateway that takes no money.

use amrutam_kernel::{Clock, Money, PaymentId, TimeRange};
use amrutam_payments::{
    model::{
        Checkout, GatewayEventId, GatewayName, GatewayPayment, GatewayPaymentRef, GatewayRefund, NewOrder, NewRefund,
        Order, OrderRef, PaymentSighting, RefundState, SettledPage, Webhook, WebhookNews,
    },
    ports::{GatewayError, PaymentGateway, WebhookError, WebhookVerifier},
};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The header that carries the fake's signature.
pub const FAKE_SIGNATURE: &str = "x-fake-signature";
/// The header that carries when it was signed, in seconds since 1970.
pub const FAKE_SIGNED_AT: &str = "x-fake-signed-at";
/// Rows on a page of [`PaymentGateway::settled`]: few, so that there are several.
const PAGE: usize = 3;

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayFault {
    /// Nothing happens: the gateway is away.
    Away,
    /// Nothing happens: too many at once.
    Limited(Option<Duration>),
    /// Nothing happens, nor will it.
    Rejected,
    /// Nothing happens, and the caller can't know.
    LostRequest,
    /// It happens, and the caller can't know.
    LostAnswer,
    /// The caller can't know, and is told the same whenever it asks under that key again.
    Stored {
        /// Whether it happens.
        done: bool,
    },
    /// Nothing happens, and the answer makes no sense.
    Senseless,
}

/// What becomes of refunds when they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RefundMode {
    /// Done at once.
    #[default]
    AtOnce,
    /// Under way until [`FakeGateway::end_refunds`].
    Pending,
}

#[derive(Debug, Clone)]
struct StoredOrder {
    order: Order,
    payment: PaymentId,
    amount: Money,
}

#[derive(Debug, Default)]
struct State {
    orders: BTreeMap<String, StoredOrder>,
    payments: BTreeMap<GatewayPaymentRef, GatewayPayment>,
    refunds: BTreeMap<String, GatewayRefund>,
    mode: RefundMode,
    faults: VecDeque<GatewayFault>,
    always: Option<GatewayFault>,
    /// Keys to which a failure is repeated for ever.
    spent: BTreeSet<String>,
    keys_off: bool,
    notices: Vec<WebhookNews>,
    calls: Vec<&'static str>,
    numbered: u64,
}

impl State {
    fn next(&mut self, kind: &str) -> String {
        self.numbered += 1;
        format!("{kind}_{}", self.numbered)
    }
}

/// **The fake.** Keeps orders, payments and refunds as a gateway does, moves nothing in the world, and signs with a checksum
/// that anybody can forge. [`FakeGateway::pay`] is the patient's hand. What it would notify is collected: a test delivers it, or
/// not, once or often, in whatever order.
pub struct FakeGateway {
    name: GatewayName,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl FakeGateway {
    /// With nothing in it.
    pub fn new(name: GatewayName, clock: Arc<dyn Clock>) -> Self {
        Self { name, clock, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next calls go wrong like this, one after another.
    pub fn fail_next_calls(&self, faults: impl IntoIterator<Item = GatewayFault>) {
        self.lock().faults.extend(faults);
    }

    /// While away, every call is [`GatewayFault::Away`].
    pub fn set_away(&self, away: bool) {
        self.fail_always(away.then_some(GatewayFault::Away));
    }

    /// From now on every call goes wrong like this, or none does but for what was told of the next ones.
    pub fn fail_always(&self, fault: Option<GatewayFault>) {
        self.lock().always = fault;
    }

    /// It is there, and what was told to go wrong goes right.
    pub fn recover(&self) {
        let mut state = self.lock();
        state.always = None;
        state.faults.clear();
    }

    /// What becomes of refunds from now on.
    pub fn set_refunds(&self, mode: RefundMode) {
        self.lock().mode = mode;
    }

    /// A broken gateway: it heeds no idempotency key. For tests that show that they would notice.
    pub fn ignore_keys(&self) {
        self.lock().keys_off = true;
    }

    /// Somebody pays this order, whatever amount; nothing when there is no such order. A gateway takes money for an order that
    /// was paid before as well, when the two attempts ran beside each other.
    pub fn pay(&self, order: &OrderRef, amount: Money) -> Option<GatewayPaymentRef> {
        self.attempt(order, amount, PaymentSighting::Captured)
    }

    /// Somebody tries to pay this order, in vain.
    pub fn decline(&self, order: &OrderRef, code: &str) -> Option<GatewayPaymentRef> {
        let amount = self.lock().orders.values().find(|known| known.order.order == *order)?.amount;
        self.attempt(order, amount, PaymentSighting::Failed { code: code.to_owned() })
    }

    fn attempt(&self, order: &OrderRef, amount: Money, seen: PaymentSighting) -> Option<GatewayPaymentRef> {
        let mut state = self.lock();
        let payment = state.orders.values().find(|known| known.order.order == *order)?.payment;
        let reference: GatewayPaymentRef = state.next("pay").parse().ok()?;
        let paid = GatewayPayment {
            reference: reference.clone(),
            order: Some(order.clone()),
            payment: Some(payment),
            amount,
            refunded: Money::zero(amount.currency()),
            state: seen,
            at: self.clock.now(),
        };
        state.payments.insert(reference.clone(), paid.clone());
        state.notices.push(WebhookNews::Payment(paid));
        Some(reference)
    }

    /// Money that came for something that is not ours.
    pub fn pay_stranger(&self, amount: Money) -> Option<GatewayPaymentRef> {
        let mut state = self.lock();
        let reference: GatewayPaymentRef = state.next("pay").parse().ok()?;
        let refunded = Money::zero(amount.currency());
        let (order, payment, at) = (None, None, self.clock.now());
        let seen = PaymentSighting::Captured;
        let paid = GatewayPayment { reference: reference.clone(), order, payment, amount, refunded, state: seen, at };
        state.payments.insert(reference.clone(), paid.clone());
        state.notices.push(WebhookNews::Payment(paid));
        Some(reference)
    }

    /// Somebody at the gateway's dashboard gives back without us.
    pub fn refund_unasked(&self, of: &GatewayPaymentRef, amount: Money) {
        let mut state = self.lock();
        let key = state.next("dashboard");
        let made = make_refund(&mut state, of, amount, None, self.clock.now());
        if let Some(made) = made {
            state.notices.push(WebhookNews::Refund(made.clone()));
            state.refunds.insert(key, made);
        }
    }

    /// Forgets a payment, as if it had never been.
    pub fn lose(&self, reference: &GatewayPaymentRef) {
        self.lock().payments.remove(reference);
    }

    /// Ends every refund that is under way: done, or failed.
    pub fn end_refunds(&self, done: bool) {
        let mut state = self.lock();
        let mut ended = Vec::new();
        for refund in state.refunds.values_mut().filter(|refund| refund.state == RefundState::Pending) {
            let failed = RefundState::Failed { code: "bank_refused".to_owned() };
            refund.state = if done { RefundState::Processed } else { failed };
            ended.push(refund.clone());
        }
        for refund in ended {
            if !done && let Some(payment) = state.payments.get_mut(&refund.of) {
                payment.refunded = payment.refunded.minus(&refund.amount).unwrap_or(payment.refunded);
            }
            state.notices.push(WebhookNews::Refund(refund));
        }
    }

    /// Every refund that was done fails after all, its money back with the gateway, and is listed as of `listed_at`.
    pub fn return_refunds(&self, listed_at: Timestamp) {
        let mut state = self.lock();
        let State { refunds, payments, notices, .. } = &mut *state;
        for refund in refunds.values_mut().filter(|refund| refund.state == RefundState::Processed) {
            refund.state = RefundState::Failed { code: "lost_or_stolen".to_owned() };
            refund.at = listed_at;
            if let Some(payment) = payments.get_mut(&refund.of) {
                payment.refunded = payment.refunded.minus(&refund.amount).unwrap_or(payment.refunded);
                payment.state = PaymentSighting::Captured;
            }
            notices.push(WebhookNews::Refund(refund.clone()));
        }
    }

    /// No refund was ever made: all their money is with the gateway.
    pub fn forget_refunds(&self) {
        let mut state = self.lock();
        state.refunds.clear();
        for payment in state.payments.values_mut().filter(|payment| !payment.refunded.is_zero()) {
            payment.refunded = Money::zero(payment.amount.currency());
            payment.state = PaymentSighting::Captured;
        }
    }

    /// Takes out what it would notify, in order.
    pub fn drain_notices(&self) -> Vec<WebhookNews> {
        std::mem::take(&mut self.lock().notices)
    }

    /// Every payment, in any state.
    pub fn payments(&self) -> Vec<GatewayPayment> {
        self.lock().payments.values().cloned().collect()
    }

    /// Every refund, in any state.
    pub fn refunds(&self) -> Vec<GatewayRefund> {
        self.lock().refunds.values().cloned().collect()
    }

    /// Every order, oldest first.
    pub fn orders(&self) -> Vec<Order> {
        self.lock().orders.values().map(|stored| stored.order.clone()).collect()
    }

    /// The calls that were answered or went wrong, in order.
    pub fn calls(&self) -> Vec<&'static str> {
        self.lock().calls.clone()
    }

    /// The notification as it would be sent at `at`: headers and body.
    pub fn notification(
        &self,
        event: &GatewayEventId,
        news: &WebhookNews,
        at: Timestamp,
    ) -> (Vec<(String, String)>, Vec<u8>) {
        let (kind, value) = match news {
            WebhookNews::Payment(seen) => ("payment", serde_json::to_value(seen)),
            WebhookNews::Refund(seen) => ("refund", serde_json::to_value(seen)),
            WebhookNews::Ignored { kind } => ("other", serde_json::to_value(kind)),
        };
        let body = serde_json::json!({ "event": event, "kind": kind, "at": at, "data": value.unwrap_or_default() });
        let body = body.to_string().into_bytes();
        (Self::sign(&body, at), body)
    }

    /// The headers that make anything its notification.
    pub fn sign(body: &[u8], at: Timestamp) -> Vec<(String, String)> {
        let signed_at = at.as_second().to_string();
        let signature = checksum(&signed_at, body);
        vec![(FAKE_SIGNATURE.to_owned(), signature), (FAKE_SIGNED_AT.to_owned(), signed_at)]
    }

    fn call<T>(
        &self,
        name: &'static str,
        key: Option<&str>,
        act: impl FnOnce(&mut State) -> Result<T, GatewayError>,
    ) -> Result<T, GatewayError> {
        let mut state = self.lock();
        state.calls.push(name);
        let away = state.always == Some(GatewayFault::Away);
        if !away && key.is_some_and(|key| state.spent.contains(key)) {
            return Err(GatewayError::Spent { reason: "told to repeat it".to_owned() });
        }
        // Nothing is stored of a look: that fault waits for an act.
        let fits = |fault: &mut GatewayFault| key.is_some() || !matches!(fault, GatewayFault::Stored { .. });
        let fault = state.always.clone().or_else(|| state.faults.pop_front_if(fits));
        let unknown = || GatewayError::Unknown { reason: "told to lose it".to_owned() };
        match fault {
            Some(GatewayFault::Away) => Err(GatewayError::Unavailable { reason: "told to be away".to_owned() }),
            Some(GatewayFault::Limited(retry_after)) => Err(GatewayError::Limited { retry_after }),
            Some(GatewayFault::Rejected) => Err(GatewayError::Rejected { code: "told_to_refuse".to_owned() }),
            Some(GatewayFault::LostRequest) => Err(unknown()),
            Some(GatewayFault::Senseless) => Err(GatewayError::Senseless { reason: "told to babble".to_owned() }),
            Some(GatewayFault::LostAnswer) => act(&mut state).and_then(|_| Err(unknown())),
            Some(GatewayFault::Stored { done }) => {
                state.spent.extend(key.map(str::to_owned));
                if done { act(&mut state).and_then(|_| Err(unknown())) } else { Err(unknown()) }
            }
            None => act(&mut state),
        }
    }
}

impl std::fmt::Debug for FakeGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeGateway").field("name", &self.name).finish_non_exhaustive()
    }
}

fn make_refund(
    state: &mut State,
    of: &GatewayPaymentRef,
    amount: Money,
    key: Option<String>,
    at: Timestamp,
) -> Option<GatewayRefund> {
    let reference = state.next("refund").parse().ok()?;
    let mode = state.mode;
    let payment = state.payments.get_mut(of)?;
    let refunded = payment.refunded.plus(&amount).filter(|sum| sum.amount() <= payment.amount.amount())?;
    payment.refunded = refunded;
    if refunded == payment.amount {
        payment.state = PaymentSighting::Refunded;
    }
    let step = match mode {
        RefundMode::AtOnce => RefundState::Processed,
        RefundMode::Pending => RefundState::Pending,
    };
    Some(GatewayRefund { reference, of: of.clone(), amount, state: step, key, at })
}

#[async_trait]
impl PaymentGateway for FakeGateway {
    fn name(&self) -> &GatewayName {
        &self.name
    }

    async fn open_order(&self, order: &NewOrder<'_>) -> Result<Order, GatewayError> {
        self.call("open_order", Some(order.idempotency_key), |state| {
            let key = if state.keys_off { state.next("no_key") } else { order.idempotency_key.to_owned() };
            if let Some(known) = state.orders.get(&key) {
                let same = known.payment == order.payment && known.amount == order.amount;
                let rejected = || GatewayError::Rejected { code: "key_reused".to_owned() };
                return if same { Ok(known.order.clone()) } else { Err(rejected()) };
            }
            let Ok(reference) = state.next("order").parse::<OrderRef>() else {
                return Err(GatewayError::Senseless { reason: "no name for the order".to_owned() });
            };
            let checkout =
                Checkout { gateway: self.name.clone(), order: reference.clone(), key: "fake".to_owned(), url: None };
            let opened = Order { order: reference, checkout };
            let stored = StoredOrder { order: opened.clone(), payment: order.payment, amount: order.amount };
            state.orders.insert(key, stored);
            Ok(opened)
        })
    }

    async fn order_payments(&self, order: &OrderRef) -> Result<Vec<GatewayPayment>, GatewayError> {
        self.call("order_payments", None, |state| {
            Ok(state.payments.values().filter(|paid| paid.order.as_ref() == Some(order)).cloned().collect())
        })
    }

    async fn refund(&self, refund: &NewRefund<'_>) -> Result<GatewayRefund, GatewayError> {
        self.call("refund", Some(refund.idempotency_key), |state| {
            let key = if state.keys_off { state.next("no_key") } else { refund.idempotency_key.to_owned() };
            if let Some(known) = state.refunds.get(&key) {
                let same = known.of == *refund.of && known.amount == refund.amount;
                let rejected = || GatewayError::Rejected { code: "key_reused".to_owned() };
                return if same { Ok(known.clone()) } else { Err(rejected()) };
            }
            let told = (!state.keys_off).then(|| refund.key.to_owned());
            let made = make_refund(state, refund.of, refund.amount, told, self.clock.now());
            let made = made.ok_or_else(|| GatewayError::Rejected { code: "more_than_was_paid".to_owned() })?;
            state.refunds.insert(key, made.clone());
            state.notices.push(WebhookNews::Refund(made.clone()));
            Ok(made)
        })
    }

    async fn refunds_of(&self, payment: &GatewayPaymentRef) -> Result<Vec<GatewayRefund>, GatewayError> {
        self.call("refunds_of", None, |state| {
            Ok(state.refunds.values().filter(|refund| refund.of == *payment).cloned().collect())
        })
    }

    async fn settled(&self, range: TimeRange, cursor: Option<String>) -> Result<SettledPage, GatewayError> {
        self.call("settled", None, |state| {
            let from: usize = match cursor {
                None => 0,
                Some(text) => text.parse().map_err(|_| GatewayError::Rejected { code: "bad_cursor".to_owned() })?,
            };
            let paid: Vec<_> = state.payments.values().filter(|paid| range.contains(paid.at)).cloned().collect();
            let back: Vec<_> = state.refunds.values().filter(|refund| range.contains(refund.at)).cloned().collect();
            let next = (from + PAGE < paid.len().max(back.len())).then(|| (from + PAGE).to_string());
            let payments = paid.into_iter().skip(from).take(PAGE).collect();
            Ok(SettledPage { payments, refunds: back.into_iter().skip(from).take(PAGE).collect(), next })
        })
    }
}

/// No signature: whoever reads this can make it.
fn checksum(signed_at: &str, body: &[u8]) -> String {
    let fold = |sum: u64, byte: &u8| sum.rotate_left(5) ^ u64::from(*byte).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let sum = signed_at.as_bytes().iter().chain(body).fold(0x000A_321A_u64, fold);
    format!("{sum:016x}")
}

impl WebhookVerifier for FakeGateway {
    fn name(&self) -> &GatewayName {
        &self.name
    }

    fn verify(
        &self,
        headers: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Webhook, WebhookError> {
        let signature = headers(FAKE_SIGNATURE).ok_or(WebhookError::BadSignature)?;
        let signed_at = headers(FAKE_SIGNED_AT).ok_or(WebhookError::BadSignature)?;
        if checksum(&signed_at, body) != signature {
            return Err(WebhookError::BadSignature);
        }
        let seconds: i64 = signed_at.parse().map_err(|_| WebhookError::BadSignature)?;
        let age = now.duration_since(Timestamp::from_second(seconds).map_err(|_| WebhookError::Malformed)?);
        if age.abs() > SignedDuration::from_mins(5) {
            return Err(WebhookError::Stale);
        }
        read(body).ok_or(WebhookError::Malformed)
    }
}

fn read(body: &[u8]) -> Option<Webhook> {
    let mut body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let data = body.get_mut("data").map(serde_json::Value::take)?;
    let news = match body.get("kind")?.as_str()? {
        "payment" => WebhookNews::Payment(serde_json::from_value(data).ok()?),
        "refund" => WebhookNews::Refund(serde_json::from_value(data).ok()?),
        kind => WebhookNews::Ignored { kind: kind.to_owned() },
    };
    let event = body.get("event")?.as_str()?.parse().ok()?;
    let at = body.get("at").and_then(|at| at.as_str()).and_then(|at| at.parse().ok());
    Some(Webhook { event, at, news })
}
