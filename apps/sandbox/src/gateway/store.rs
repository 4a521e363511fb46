//! The gateway's books, in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rand::Rng as _;
use rand::distr::Alphanumeric;
use serde_json::{Value, json};

use super::error::ApiError;
use super::model::{Delivery, Event, Order, OrderTally, Payment, PaymentStatus, PaymentTally, Refund, RefundStatus};
use super::table::Table;
use crate::clock;

/// Least amount of a payment or refund, in minor units.
const LEAST: i64 = 100;
/// What one list gives at most.
const PAGE: usize = 100;

#[derive(Debug, Default)]
struct State {
    orders: Table<Order>,
    payments: Table<Payment>,
    refunds: Table<Refund>,
    events: Table<Event>,
    payments_of: HashMap<String, Vec<String>>,
    refunds_of: HashMap<String, Vec<String>>,
    /// What was asked under a refund's idempotency key, and what was made.
    keys: HashMap<String, (NewRefund, String)>,
    held: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    state: Mutex<State>,
}

/// What an order is made of.
#[derive(Debug, Clone)]
pub(super) struct NewOrder {
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) receipt: Option<String>,
    pub(super) notes: Value,
}

/// What a refund is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewRefund {
    pub(super) payment: String,
    pub(super) amount: Option<i64>,
    pub(super) receipt: Option<String>,
    pub(super) notes: Value,
}

/// Which rows of a list, newest first. Times in seconds, both ends inside.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
    pub(super) count: Option<usize>,
    pub(super) skip: Option<usize>,
}

/// News for the event queue: name and entities.
pub(super) type News = (&'static str, Vec<(&'static str, Value)>);

impl State {
    fn payments_of(&self, order: &str) -> Vec<&Payment> {
        self.payments_of.get(order).into_iter().flatten().filter_map(|id| self.payments.get(id)).collect()
    }

    fn refunds_of(&self, payment: &str) -> Vec<&Refund> {
        self.refunds_of.get(payment).into_iter().flatten().filter_map(|id| self.refunds.get(id)).collect()
    }

    fn refunded(&self, payment: &str) -> (usize, i64) {
        let alive = || self.refunds_of(payment).into_iter().filter(|refund| refund.status != RefundStatus::Failed);
        (alive().count(), alive().map(|refund| refund.amount).sum())
    }

    fn order_json(&self, order: &Order) -> Value {
        order.json(&self.payments_of(&order.id))
    }

    fn payment_json(&self, payment: &Payment) -> Value {
        payment.json(self.refunded(&payment.id).1)
    }

    fn tally(&self, order: &Order) -> OrderTally {
        let payments: Vec<_> = self
            .payments_of(&order.id)
            .into_iter()
            .map(|payment| {
                let (refunds, refunded) = self.refunded(&payment.id);
                let (id, status) = (payment.id.clone(), payment.status);
                PaymentTally { id, status, amount: payment.amount, captures: payment.captures, refunds, refunded }
            })
            .collect();
        OrderTally {
            id: order.id.clone(),
            receipt: order.receipt.clone(),
            amount: order.amount,
            captures: payments.iter().map(|payment| payment.captures).sum(),
            captured: payments.iter().map(|payment| payment.amount * i64::from(payment.captures)).sum(),
            refunds: payments.iter().map(|payment| payment.refunds).sum(),
            refunded: payments.iter().map(|payment| payment.refunded).sum(),
            payments,
        }
    }
}

impl Store {
    pub(super) fn create_order(&self, new: NewOrder) -> Result<Value, ApiError> {
        if new.amount < LEAST {
            return Err(ApiError::field("amount", "Order amount less than minimum amount allowed"));
        }
        if new.currency.len() != 3 || !new.currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(ApiError::field("currency", "Currency is not supported"));
        }
        if new.receipt.as_ref().is_some_and(|receipt| receipt.chars().count() > 40) {
            return Err(ApiError::field("receipt", "The receipt may not be greater than 40 characters."));
        }
        let (id, created_at) = (name("order_"), seconds());
        let NewOrder { amount, currency, receipt, notes } = new;
        let order = Order { id: id.clone(), amount, currency, receipt, notes, created_at };
        let mut state = self.lock();
        let json = order.json(&[]);
        state.orders.add(&id, order);
        Ok(json)
    }

    pub(super) fn order(&self, id: &str) -> Result<Value, ApiError> {
        let state = self.lock();
        state.orders.get(id).map(|order| state.order_json(order)).ok_or_else(ApiError::no_such_id)
    }

    pub(super) fn orders(&self, receipt: Option<&str>, window: &Window) -> Result<Value, ApiError> {
        let state = self.lock();
        let wanted = |order: &&Order| receipt.is_none() || order.receipt.as_deref() == receipt;
        let rows = state.orders.rows.iter().filter(wanted);
        collection(rows, |order| order.created_at, window, |order| state.order_json(order))
    }

    pub(super) fn order_payments(&self, id: &str) -> Result<Value, ApiError> {
        let state = self.lock();
        state.orders.get(id).ok_or_else(ApiError::no_such_id)?;
        Ok(items(state.payments_of(id).into_iter().rev().map(|payment| state.payment_json(payment)).collect()))
    }

    pub(super) fn payment(&self, id: &str) -> Result<Value, ApiError> {
        let state = self.lock();
        state.payments.get(id).map(|payment| state.payment_json(payment)).ok_or_else(ApiError::no_such_id)
    }

    pub(super) fn payments(&self, window: &Window) -> Result<Value, ApiError> {
        let state = self.lock();
        let rows = state.payments.rows.iter();
        collection(rows, |payment| payment.created_at, window, |payment| state.payment_json(payment))
    }

    pub(super) fn refund(&self, id: &str) -> Result<Value, ApiError> {
        self.lock().refunds.get(id).map(Refund::json).ok_or_else(ApiError::no_such_id)
    }

    pub(super) fn refunds(&self, payment: Option<&str>, window: &Window) -> Result<Value, ApiError> {
        let state = self.lock();
        if let Some(id) = payment {
            state.payments.get(id).ok_or_else(ApiError::no_such_id)?;
        }
        let wanted = |refund: &&Refund| payment.is_none_or(|payment| refund.payment == payment);
        collection(state.refunds.rows.iter().filter(wanted), |refund| refund.created_at, window, Refund::json)
    }

    /// The payer begins to pay. Nothing is told of that.
    pub(super) fn begin_payment(&self, order: &str, amount: Option<i64>) -> Result<String, ApiError> {
        let mut state = self.lock();
        let order = state.orders.get(order).ok_or_else(ApiError::no_such_id)?.clone();
        let id = name("pay_");
        let payment = Payment {
            id: id.clone(),
            order: order.id.clone(),
            amount: amount.unwrap_or(order.amount),
            currency: order.currency,
            status: PaymentStatus::Created,
            captures: 0,
            error_code: None,
            created_at: seconds(),
        };
        state.payments.add(&id, payment);
        state.payments_of.entry(order.id).or_default().push(id.clone());
        Ok(id)
    }

    /// Moves a payment; what it already is it stays, without news.
    pub(super) fn move_payment(&self, id: &str, to: PaymentStatus, code: &str) -> Result<Vec<News>, ApiError> {
        let mut state = self.lock();
        let payment = state.payments.get_mut(id).ok_or_else(ApiError::no_such_id)?;
        let was = payment.status;
        let moved = match (was, to) {
            (from, to) if from == to => return Ok(Vec::new()),
            // A late authorization: the bank said no, or nothing, and then yes.
            (PaymentStatus::Created | PaymentStatus::Failed, PaymentStatus::Authorized | PaymentStatus::Captured)
            | (PaymentStatus::Created, PaymentStatus::Failed)
            | (PaymentStatus::Authorized, PaymentStatus::Captured | PaymentStatus::Failed) => to,
            _ => return Err(ApiError::bad_request("This payment has already been captured")),
        };
        payment.status = moved;
        payment.error_code = (moved == PaymentStatus::Failed).then(|| code.to_owned());
        payment.captures += u32::from(moved == PaymentStatus::Captured);
        let payment = payment.clone();
        let entity = state.payment_json(&payment);
        let mut news: Vec<News> = Vec::new();
        if matches!(was, PaymentStatus::Created | PaymentStatus::Failed) && moved != PaymentStatus::Failed {
            let mut authorized = entity.clone();
            if let Some(fields) = authorized.as_object_mut() {
                fields.insert("status".to_owned(), json!("authorized"));
                fields.insert("captured".to_owned(), json!(false));
            }
            news.push(("payment.authorized", vec![("payment", authorized)]));
        }
        match moved {
            PaymentStatus::Captured => {
                news.push(("payment.captured", vec![("payment", entity.clone())]));
                if let Some(order) = state.orders.get(&payment.order) {
                    news.push(("order.paid", vec![("payment", entity), ("order", state.order_json(order))]));
                }
            }
            PaymentStatus::Failed => news.push(("payment.failed", vec![("payment", entity)])),
            PaymentStatus::Created | PaymentStatus::Authorized | PaymentStatus::Refunded => {}
        }
        Ok(news)
    }

    /// The merchant takes the money of an authorized payment.
    pub(super) fn capture(&self, id: &str, amount: i64) -> Result<(Value, Vec<News>), ApiError> {
        let payment = self.lock().payments.get(id).cloned().ok_or_else(ApiError::no_such_id)?;
        if payment.amount != amount {
            let description = "Capture amount must be equal to the amount authorized";
            return Err(ApiError::field("amount", description));
        }
        if payment.status != PaymentStatus::Authorized {
            return Err(ApiError::bad_request("Only payments which have been authorized can be captured"));
        }
        let news = self.move_payment(id, PaymentStatus::Captured, "")?;
        Ok((self.payment(id)?, news))
    }

    /// Makes a refund, or finds the one made under the same key.
    pub(super) fn create_refund(
        &self,
        key: Option<&str>,
        new: NewRefund,
        status: RefundStatus,
    ) -> Result<(Value, Vec<News>), ApiError> {
        let mut state = self.lock();
        if let Some(key) = key {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            if key.len() < 10 || !key.bytes().all(allowed) {
                return Err(ApiError::bad_request("The idempotency key must be at least 10 characters."));
            }
            match state.keys.get(key) {
                Some((asked, made)) if *asked == new => {
                    let made = state.refunds.get(made).map(Refund::json).ok_or_else(ApiError::no_such_id)?;
                    return Ok((made, Vec::new()));
                }
                Some(_) => {
                    let description = "Different request with the same idempotency key has already been processed.";
                    return Err(ApiError::bad_request(description));
                }
                None => {}
            }
        }
        let payment = state.payments.get(&new.payment).ok_or_else(ApiError::no_such_id)?.clone();
        let (_, before) = state.refunded(&payment.id);
        match payment.status {
            PaymentStatus::Captured => {}
            PaymentStatus::Refunded => {
                return Err(ApiError::bad_request("The payment has been fully refunded already"));
            }
            PaymentStatus::Created | PaymentStatus::Authorized | PaymentStatus::Failed => {
                return Err(ApiError::bad_request("The payment status should be captured for action to be taken"));
            }
        }
        let amount = new.amount.unwrap_or(payment.amount - before);
        if amount < LEAST {
            return Err(ApiError::field("amount", "The amount must be at least INR 1.00"));
        }
        if before + amount > payment.amount {
            return Err(ApiError::bad_request("The total refund amount is greater than the refund payment amount"));
        }
        let id = name("rfnd_");
        let refund = Refund {
            id: id.clone(),
            payment: payment.id.clone(),
            amount,
            currency: payment.currency.clone(),
            status: RefundStatus::Pending,
            receipt: new.receipt.clone(),
            notes: new.notes.clone(),
            created_at: seconds(),
        };
        if let Some(key) = key {
            state.keys.insert(key.to_owned(), (new, id.clone()));
        }
        state.refunds_of.entry(payment.id.clone()).or_default().push(id.clone());
        state.refunds.add(&id, refund.clone());
        drop(state);
        let mut news = vec![self.refund_news("refund.created", &id)?];
        news.extend(self.move_refund(&id, status)?);
        Ok((self.refund(&id)?, news))
    }

    /// Moves a refund on its way; news only when it moved.
    pub(super) fn move_refund(&self, id: &str, to: RefundStatus) -> Result<Vec<News>, ApiError> {
        let mut state = self.lock();
        let refund = state.refunds.get_mut(id).ok_or_else(ApiError::no_such_id)?;
        let name = match (refund.status, to) {
            (from, to) if from == to => "",
            (RefundStatus::Pending, RefundStatus::Processed) => "refund.processed",
            // Also after "processed": the payer's bank may send the money back.
            (_, RefundStatus::Failed) => "refund.failed",
            _ => return Err(ApiError::bad_request("The refund is not pending")),
        };
        refund.status = to;
        let payment = refund.payment.clone();
        let (_, refunded) = state.refunded(&payment);
        if let Some(payment) = state.payments.get_mut(&payment) {
            let all = refunded >= payment.amount;
            payment.status = if all { PaymentStatus::Refunded } else { PaymentStatus::Captured };
        }
        drop(state);
        if name.is_empty() { Ok(Vec::new()) } else { Ok(vec![self.refund_news(name, id)?]) }
    }

    fn refund_news(&self, name: &'static str, id: &str) -> Result<News, ApiError> {
        let state = self.lock();
        let refund = state.refunds.get(id).ok_or_else(ApiError::no_such_id)?;
        let payment = state.payments.get(&refund.payment).ok_or_else(ApiError::no_such_id)?;
        Ok((name, vec![("refund", refund.json()), ("payment", state.payment_json(payment))]))
    }

    /// Keeps an event; gives its id.
    pub(super) fn record(&self, (event, entities): News) -> String {
        let (id, created_at) = (name("evt_"), seconds());
        let contains: Vec<_> = entities.iter().map(|(name, _)| *name).collect();
        let payload: serde_json::Map<_, _> =
            entities.iter().map(|(name, entity)| ((*name).to_owned(), json!({ "entity": entity }))).collect();
        let body = json!({
            "entity": "event", "account_id": "acc_sandbox0000000", "event": event, "contains": contains,
            "payload": payload, "created_at": created_at,
        });
        let body = Bytes::from(body.to_string());
        let kept = Event { id: id.clone(), name: event, body, created_at, deliveries: Vec::new() };
        self.lock().events.add(&id, kept);
        id
    }

    pub(super) fn hold(&self, event: String) {
        self.lock().held.push(event);
    }

    pub(super) fn take_held(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().held)
    }

    pub(super) fn event(&self, id: &str) -> Option<Event> {
        self.lock().events.get(id).cloned()
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.lock().events.rows.clone()
    }

    pub(super) fn delivered(&self, event: &str, delivery: Delivery) {
        if let Some(event) = self.lock().events.get_mut(event) {
            event.deliveries.push(delivery);
        }
    }

    pub(super) fn tallies(&self, receipt: Option<&str>) -> Vec<OrderTally> {
        let state = self.lock();
        let wanted = |order: &&Order| receipt.is_none() || order.receipt.as_deref() == receipt;
        state.orders.rows.iter().filter(wanted).map(|order| state.tally(order)).collect()
    }

    pub(super) fn tally(&self, order: &str) -> Option<OrderTally> {
        let state = self.lock();
        state.orders.get(order).map(|order| state.tally(order))
    }

    pub(super) fn clear(&self) {
        *self.lock() = State::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn items(items: Vec<Value>) -> Value {
    json!({ "entity": "collection", "count": items.len(), "items": Value::Array(items) })
}

fn collection<'a, T: 'a>(
    rows: impl DoubleEndedIterator<Item = &'a T>,
    at: impl Fn(&T) -> i64,
    window: &Window,
    show: impl Fn(&T) -> Value,
) -> Result<Value, ApiError> {
    let count = window.count.unwrap_or(10);
    if !(1..=PAGE).contains(&count) {
        return Err(ApiError::field("count", "The count may not be greater than 100."));
    }
    let inside = |row: &&T| {
        let at = at(row);
        window.from.is_none_or(|from| at >= from) && window.to.is_none_or(|to| at <= to)
    };
    Ok(items(rows.rev().filter(inside).skip(window.skip.unwrap_or(0)).take(count).map(show).collect()))
}

/// Random, so that what outlives the sandbox never meets the id of another life.
fn name(prefix: &str) -> String {
    let mut rng = rand::rng();
    let random: String = (0..14).map(|_| char::from(rng.sample(Alphanumeric))).collect();
    format!("{prefix}{random}")
}

pub(super) fn seconds() -> i64 {
    clock::now().as_second()
}
