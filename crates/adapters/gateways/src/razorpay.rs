//! Razorpay: orders, payments, refunds (<https://razorpay.com/docs/api>).
//!
//! A visit's order is found by its `receipt`, our payment's id; what it was asked with is in its `notes`. Nothing personal
//! goes there, and of what comes back only ids, amounts, states and codes are read: a payment carries its payer's data.

use crate::{
    Circuit, InvalidGatewaySettings, Network,
    caller::{Caller, Dialect, word},
};
use amrutam_kernel::{Clock, Currency, Money, PaymentId, TimeRange};
use amrutam_payments::ports::{
    Checkout, GatewayError, GatewayName, GatewayPayment, GatewayPaymentRef, GatewayRefund, NewOrder, NewRefund, Order,
    OrderRef, PaymentGateway, PaymentSighting, RefundState, SettledPage,
};
use async_trait::async_trait;
use data_encoding::{BASE64, HEXLOWER};
use hyper::header::HeaderName;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What the port calls it.
pub(crate) const NAME: &str = "razorpay";
const JSON: &str = "application/json";
const REFUND_KEY: HeaderName = HeaderName::from_static("x-refund-idempotency");
/// What one list gives at most.
const PAGE: usize = 100;
/// Of one receipt or one payment there are never so many.
const MOST_PAGES: usize = 10;
/// Razorpay gives an authorized payment at least 12 minutes to be captured by itself.
const SHORTEST_CAPTURE_MINUTES: i64 = 12;

/// How a merchant calls Razorpay.
#[derive(Debug, Clone)]
pub struct RazorpaySettings {
    /// Where; `https://api.razorpay.com`.
    pub network: Network,
    /// The public key id, `rzp_live_...`.
    pub key_id: String,
    /// Its secret.
    pub key_secret: SecretString,
    /// A page to pay an order on, with `{order}` for its name. Razorpay's own checkout runs in the client's page and needs
    /// none.
    pub checkout_url: Option<String>,
}

/// Razorpay over HTTP.
pub struct Razorpay {
    name: GatewayName,
    caller: Caller,
    key_id: String,
    checkout_url: Option<String>,
    clock: Arc<dyn Clock>,
}

impl Razorpay {
    /// Checks the settings; connects when first asked.
    pub fn new(
        settings: &RazorpaySettings,
        circuit: Circuit,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidGatewaySettings> {
        let (id, secret) = (&settings.key_id, settings.key_secret.expose_secret());
        // A colon would be the end of the user's name.
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_graphic() && b != b':') || secret.is_empty() {
            return Err(InvalidGatewaySettings::Key);
        }
        if settings.checkout_url.as_ref().is_some_and(|url| !url.contains("{order}") || !url.starts_with("http")) {
            return Err(InvalidGatewaySettings::CheckoutUrl);
        }
        let authorization = format!("Basic {}", BASE64.encode(format!("{id}:{secret}").as_bytes())).into();
        let dialect = Dialect { destination: NAME, header: None, error_code, repeated: None };
        Ok(Self {
            name: NAME.parse().map_err(|_| InvalidGatewaySettings::Key)?,
            caller: Caller::new(dialect, &settings.network, &authorization, circuit, Arc::clone(&clock))?,
            key_id: id.clone(),
            checkout_url: settings.checkout_url.clone(),
            clock,
        })
    }

    fn opened(&self, order: OrderRef) -> Order {
        let url = self.checkout_url.as_ref().map(|url| url.replace("{order}", order.as_str()));
        let checkout = Checkout { gateway: self.name.clone(), order: order.clone(), key: self.key_id.clone(), url };
        Order { order, checkout }
    }

    /// The order that was opened under this key, if one was.
    async fn find_order(&self, new: &NewOrder<'_>) -> Result<Option<OrderRef>, GatewayError> {
        for page in 0..MOST_PAGES {
            let skip = page * PAGE;
            let path = format!("/v1/orders?receipt={}&count={PAGE}&skip={skip}", new.payment);
            let found: Collection<OrderEntity> = self.caller.look(&path).await?;
            let last = found.items.len() < PAGE;
            let ours = |order: &OrderEntity| note(&order.notes, KEY) == Some(new.key);
            if let Some(order) = found.items.into_iter().find(ours) {
                let same = order.amount == new.amount.amount() && order.currency == new.amount.currency().code();
                let mismatch = || GatewayError::Rejected { code: "order_differs".to_owned() };
                return if same { reference(order.id).map(Some) } else { Err(mismatch()) };
            }
            if last {
                return Ok(None);
            }
        }
        Ok(None)
    }

    async fn page<T: for<'de> Deserialize<'de>>(
        &self,
        what: &str,
        range: TimeRange,
        skip: usize,
    ) -> Result<Vec<T>, GatewayError> {
        // Whole seconds, both ends inside; what lies outside of the range is left out by the caller.
        let (from, to) = (range.start().as_second(), range.end().as_second());
        let path = format!("/v1/{what}?from={from}&to={to}&count={PAGE}&skip={skip}");
        Ok(self.caller.look::<Collection<T>>(&path).await?.items)
    }
}

#[async_trait]
impl PaymentGateway for Razorpay {
    fn name(&self) -> &GatewayName {
        &self.name
    }

    /// Orders know no idempotency key. So a look first; two calls at one time could still open two orders, which our task's
    /// lease prevents.
    async fn open_order(&self, order: &NewOrder<'_>) -> Result<Order, GatewayError> {
        if let Some(open) = self.find_order(order).await? {
            return Ok(self.opened(open));
        }
        let minutes = order.expires_at.duration_since(self.clock.now()).as_secs() / 60;
        let body = json!({
            "amount": order.amount.amount(),
            "currency": order.amount.currency().code(),
            "receipt": order.payment.to_string(),
            "notes": { PAYMENT: order.payment.to_string(), KEY: order.key },
            "payment": {
                "capture": "automatic",
                "capture_options": {
                    "automatic_expiry_period": minutes.max(SHORTEST_CAPTURE_MINUTES),
                    "refund_speed": "normal",
                },
            },
        });
        let opened: OrderEntity = self.caller.act("/v1/orders", JSON, None, body.to_string()).await?;
        Ok(self.opened(reference(opened.id)?))
    }

    async fn order_payments(&self, order: &OrderRef) -> Result<Vec<GatewayPayment>, GatewayError> {
        let path = format!("/v1/orders/{}/payments", segment(order.as_str())?);
        let found: Collection<PaymentEntity> = self.caller.look(&path).await?;
        Ok(readable(found.items, PaymentEntity::read))
    }

    async fn refund(&self, refund: &NewRefund<'_>) -> Result<GatewayRefund, GatewayError> {
        let path = format!("/v1/payments/{}/refund", segment(refund.of.as_str())?);
        let body = json!({
            "amount": refund.amount.amount(),
            "speed": "normal",
            "notes": { PAYMENT: refund.payment.to_string(), KEY: refund.key },
        });
        let key = refund_key(refund.idempotency_key);
        let made: RefundEntity = self.caller.act(&path, JSON, Some((REFUND_KEY, &key)), body.to_string()).await?;
        made.read().ok_or_else(|| senseless("the refund that was made"))
    }

    async fn refunds_of(&self, payment: &GatewayPaymentRef) -> Result<Vec<GatewayRefund>, GatewayError> {
        let mut refunds = Vec::new();
        for page in 0..MOST_PAGES {
            let (payment, skip) = (segment(payment.as_str())?, page * PAGE);
            let path = format!("/v1/payments/{payment}/refunds?count={PAGE}&skip={skip}");
            let found: Collection<RefundEntity> = self.caller.look(&path).await?;
            let last = found.items.len() < PAGE;
            refunds.extend(readable(found.items, RefundEntity::read));
            if last {
                break;
            }
        }
        Ok(refunds)
    }

    /// Payments first, then refunds; a page is a hundred of either.
    async fn settled(&self, range: TimeRange, cursor: Option<String>) -> Result<SettledPage, GatewayError> {
        let (refunds, skip) = match cursor.as_deref() {
            None => (false, 0),
            Some(cursor) => read_cursor(cursor)?,
        };
        let mut page = SettledPage { payments: Vec::new(), refunds: Vec::new(), next: None };
        let full = if refunds {
            let found: Vec<RefundEntity> = self.page("refunds", range, skip).await?;
            let full = found.len() == PAGE;
            page.refunds = readable(found, RefundEntity::read);
            page.refunds.retain(|refund| range.contains(refund.at));
            full
        } else {
            let found: Vec<PaymentEntity> = self.page("payments", range, skip).await?;
            let full = found.len() == PAGE;
            page.payments = readable(found, PaymentEntity::read);
            page.payments.retain(|payment| range.contains(payment.at));
            full
        };
        page.next = match (refunds, full) {
            (true, false) => None,
            (false, false) => Some("refunds:0".to_owned()),
            (true, true) => Some(format!("refunds:{}", skip + PAGE)),
            (false, true) => Some(format!("payments:{}", skip + PAGE)),
        };
        Ok(page)
    }
}

const PAYMENT: &str = "payment";
const KEY: &str = "key";

#[derive(Deserialize)]
struct Collection<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct OrderEntity {
    id: String,
    amount: i64,
    currency: String,
    #[serde(default)]
    notes: Value,
}

/// What is read of a payment; its payer's address, number and account stay where they are.
#[derive(Deserialize)]
pub(crate) struct PaymentEntity {
    id: String,
    amount: i64,
    currency: String,
    status: String,
    order_id: Option<String>,
    #[serde(default)]
    amount_refunded: Option<i64>,
    #[serde(default)]
    notes: Value,
    error_code: Option<String>,
    error_reason: Option<String>,
    created_at: i64,
}

#[derive(Deserialize)]
pub(crate) struct RefundEntity {
    id: String,
    amount: i64,
    currency: String,
    payment_id: String,
    status: String,
    #[serde(default)]
    notes: Value,
    created_at: i64,
}

impl PaymentEntity {
    /// Nothing when it is none of ours: an amount or a currency we never ask for, a state we have never heard of.
    pub(crate) fn read(self) -> Option<GatewayPayment> {
        let code = || {
            let said = [&self.error_reason, &self.error_code];
            said.into_iter().flatten().find_map(|code| word(code)).unwrap_or_else(|| "failed".to_owned())
        };
        let state = match self.status.as_str() {
            "created" | "authorized" => PaymentSighting::Authorized,
            "captured" => PaymentSighting::Captured,
            "refunded" => PaymentSighting::Refunded,
            "failed" => PaymentSighting::Failed { code: code() },
            _ => return None,
        };
        Some(GatewayPayment {
            reference: self.id.try_into().ok()?,
            order: self.order_id.map(OrderRef::try_from).transpose().ok()?,
            payment: note(&self.notes, PAYMENT).and_then(|id| id.parse::<PaymentId>().ok()),
            amount: money(self.amount, &self.currency)?,
            refunded: money(self.amount_refunded.unwrap_or(0), &self.currency)?,
            state,
            at: Timestamp::from_second(self.created_at).ok()?,
        })
    }
}

impl RefundEntity {
    pub(crate) fn read(self) -> Option<GatewayRefund> {
        let state = match self.status.as_str() {
            "pending" => RefundState::Pending,
            "processed" => RefundState::Processed,
            "failed" => RefundState::Failed { code: "failed".to_owned() },
            _ => return None,
        };
        Some(GatewayRefund {
            reference: self.id.try_into().ok()?,
            of: self.payment_id.try_into().ok()?,
            amount: money(self.amount, &self.currency)?,
            state,
            key: note(&self.notes, KEY).map(str::to_owned),
            at: Timestamp::from_second(self.created_at).ok()?,
        })
    }
}

/// Notes are an object, or an empty list when there are none.
fn note<'a>(notes: &'a Value, name: &str) -> Option<&'a str> {
    notes.get(name).and_then(Value::as_str)
}

pub(crate) fn money(amount: i64, currency: &str) -> Option<Money> {
    let currency: Currency = currency.parse().ok()?;
    Money::new(amount, currency).ok()
}

/// The entries that can be read. What can't was not asked for by us, and must not hide the others.
pub(crate) fn readable<T, U>(items: Vec<T>, read: impl Fn(T) -> Option<U>) -> Vec<U> {
    let count = items.len();
    let read: Vec<_> = items.into_iter().filter_map(read).collect();
    if read.len() < count {
        tracing::warn!(left_out = count - read.len(), "a gateway lists what is none of ours");
    }
    read
}

fn reference(id: String) -> Result<OrderRef, GatewayError> {
    id.try_into().map_err(|_| senseless("the order's name"))
}

pub(crate) fn senseless(what: &str) -> GatewayError {
    GatewayError::Senseless { reason: what.to_owned() }
}

/// A name as a part of a path. Gateways' names are letters, digits and underscores; whatever else came in stays out of URLs.
pub(crate) fn segment(name: &str) -> Result<&str, GatewayError> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if plain { Ok(name) } else { Err(GatewayError::Rejected { code: "unfit_reference".to_owned() }) }
}

/// As Razorpay wants a key: 10 characters at least, letters, digits, hyphens, underscores. Else its digest.
fn refund_key(key: &str) -> String {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if (10..=64).contains(&key.len()) && key.bytes().all(allowed) {
        key.to_owned()
    } else {
        HEXLOWER.encode(&Sha256::digest(key.as_bytes()))
    }
}

/// Whether refunds, and from which on.
fn read_cursor(cursor: &str) -> Result<(bool, usize), GatewayError> {
    let read = || {
        let (what, skip) = cursor.split_once(':')?;
        let refunds = match what {
            "payments" => false,
            "refunds" => true,
            _ => return None,
        };
        Some((refunds, skip.parse().ok()?))
    };
    read().ok_or_else(|| GatewayError::Rejected { code: "unknown_cursor".to_owned() })
}

fn error_code(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        code: String,
        reason: Option<String>,
    }
    let Inner { code, reason } = serde_json::from_slice::<Refusal>(body).ok()?.error;
    Some(reason.filter(|reason| !matches!(reason.as_str(), "NA" | "")).unwrap_or(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_fits_the_gateway_and_stays_one_key() {
        assert_eq!(refund_key("refund-0123"), "refund-0123");
        for key in ["short", "has:colon:and:more", "नमस्ते", &"x".repeat(65)] {
            let made = refund_key(key);
            assert_eq!(made.len(), 64);
            assert_eq!(made, refund_key(key));
        }
        assert_ne!(refund_key("a:b"), refund_key("a:c"));
    }

    #[test]
    fn what_is_none_of_ours_hides_nothing() {
        let payment = |currency: &str, status: &str| {
            let json = json!({"id": "pay_1", "amount": 100, "currency": currency, "status": status, "order_id": null,
                "notes": [], "error_code": null, "error_reason": null, "created_at": 1_700_000_000});
            serde_json::from_value::<PaymentEntity>(json).unwrap()
        };
        let all = vec![payment("INR", "captured"), payment("JPY", "captured"), payment("INR", "eaten")];
        assert_eq!(readable(all, PaymentEntity::read).len(), 1);
    }

    #[test]
    fn a_refusal_has_a_code() {
        let body = |reason: &str| json!({"error": {"code": "BAD_REQUEST_ERROR", "reason": reason}}).to_string();
        assert_eq!(error_code(body("NA").as_bytes()).as_deref(), Some("BAD_REQUEST_ERROR"));
        assert_eq!(error_code(body("input_validation_failed").as_bytes()).as_deref(), Some("input_validation_failed"));
        assert_eq!(error_code(b"<html>"), None);
    }

    #[test]
    fn names_stay_in_their_part_of_the_path() {
        assert!(segment("order_DESp9bgForNoUd").is_ok());
        for name in ["../refunds", "a/b", "a?b", "a#b", "a%2fb"] {
            assert!(segment(name).is_err(), "{name}");
        }
    }
}
