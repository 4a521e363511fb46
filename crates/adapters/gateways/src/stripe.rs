//! Stripe: payment intents, charges, refunds (<https://docs.stripe.com/api>).
//!
//! An intent is an order; each try to pay it is a charge, and a charge is what is given back. Our payment's id is in the
//! intent's metadata, which Stripe copies to its charges; nothing personal goes there, and of what comes back only ids,
//! amounts, states and codes are read.

use crate::{
    Circuit, InvalidGatewaySettings, Network,
    caller::{Caller, Dialect, word},
    razorpay::{readable, segment, senseless},
};
use amrutam_kernel::{Clock, Currency, Money, PaymentId, TimeRange};
use amrutam_payments::ports::{
    Checkout, GatewayError, GatewayName, GatewayPayment, GatewayPaymentRef, GatewayRefund, NewOrder, NewRefund, Order,
    OrderRef, PaymentGateway, PaymentSighting, RefundState, SettledPage,
};
use async_trait::async_trait;
use hyper::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};
use url::form_urlencoded;

/// What the port calls it.
pub(crate) const NAME: &str = "stripe";
const FORM: &str = "application/x-www-form-urlencoded";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Stripe answers a key for a day at least as it did first, with its failures as well (<https://docs.stripe.com/api/idempotent_requests>).
const REPEATED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// The version of the API that this was written for, whatever the account's default is.
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("stripe-version"), HeaderValue::from_static("2024-06-20"));
/// What one list gives at most.
const PAGE: usize = 100;
/// Of one intent or one charge there are never so many.
const MOST_PAGES: usize = 10;
const LONGEST_KEY: usize = 255;

/// How a merchant calls Stripe.
#[derive(Debug, Clone)]
pub struct StripeSettings {
    /// Where; `https://api.stripe.com`.
    pub network: Network,
    /// `sk_live_...`, or a restricted key for payment intents, charges and refunds.
    pub secret_key: SecretString,
}

/// Stripe over HTTP.
pub struct Stripe {
    name: GatewayName,
    caller: Caller,
}

impl Stripe {
    /// Checks the settings; connects when first asked.
    pub fn new(
        settings: &StripeSettings,
        circuit: Circuit,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidGatewaySettings> {
        let key = settings.secret_key.expose_secret();
        if key.is_empty() {
            return Err(InvalidGatewaySettings::Key);
        }
        let authorization = format!("Bearer {key}").into();
        let dialect = Dialect { destination: NAME, header: Some(VERSION), error_code, repeated: Some(REPEATED) };
        Ok(Self {
            name: NAME.parse().map_err(|_| InvalidGatewaySettings::Key)?,
            caller: Caller::new(dialect, &settings.network, &authorization, circuit, clock)?,
        })
    }

    async fn page<T: for<'de> Deserialize<'de>>(
        &self,
        what: &str,
        filter: &[(&str, &str)],
        after: Option<&str>,
    ) -> Result<List<T>, GatewayError> {
        let limit = PAGE.to_string();
        let mut query = filter.to_vec();
        query.push(("limit", &limit));
        query.extend(after.map(|after| ("starting_after", after)));
        self.caller.look(&format!("/v1/{what}?{}", form(&query))).await
    }

    async fn all<T: for<'de> Deserialize<'de> + Named>(
        &self,
        what: &str,
        filter: &[(&str, &str)],
    ) -> Result<Vec<T>, GatewayError> {
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let after = all.last().map(|last: &T| last.name().to_owned());
            let page: List<T> = self.page(what, filter, after.as_deref()).await?;
            let last = !page.has_more || page.data.is_empty();
            all.extend(page.data);
            if last {
                break;
            }
        }
        Ok(all)
    }
}

#[async_trait]
impl PaymentGateway for Stripe {
    fn name(&self) -> &GatewayName {
        &self.name
    }

    async fn open_order(&self, order: &NewOrder<'_>) -> Result<Order, GatewayError> {
        let (amount, payment) = (order.amount.amount().to_string(), order.payment.to_string());
        let currency = order.amount.currency().code().to_ascii_lowercase();
        let body = form(&[
            ("amount", &amount),
            ("currency", &currency),
            ("automatic_payment_methods[enabled]", "true"),
            ("capture_method", "automatic"),
            ("metadata[payment]", &payment),
            ("metadata[key]", order.key),
        ]);
        let key = (IDEMPOTENCY_KEY, fitting(order.idempotency_key)?);
        let intent: Intent = self.caller.act("/v1/payment_intents", FORM, Some(key), body).await?;
        let order: OrderRef = intent.id.try_into().map_err(|_| senseless("the intent's name"))?;
        let key = intent.client_secret;
        let checkout = Checkout { gateway: self.name.clone(), order: order.clone(), key, url: None };
        Ok(Order { order, checkout })
    }

    async fn order_payments(&self, order: &OrderRef) -> Result<Vec<GatewayPayment>, GatewayError> {
        let charges = self.all("charges", &[("payment_intent", segment(order.as_str())?)]).await?;
        Ok(readable(charges, Charge::read))
    }

    async fn refund(&self, refund: &NewRefund<'_>) -> Result<GatewayRefund, GatewayError> {
        let body = form(&[
            ("charge", refund.of.as_str()),
            ("amount", &refund.amount.amount().to_string()),
            ("metadata[payment]", &refund.payment.to_string()),
            ("metadata[key]", refund.key),
        ]);
        let key = (IDEMPOTENCY_KEY, fitting(refund.idempotency_key)?);
        let made: RefundObject = self.caller.act("/v1/refunds", FORM, Some(key), body).await?;
        made.read().ok_or_else(|| senseless("the refund that was made"))
    }

    async fn refunds_of(&self, payment: &GatewayPaymentRef) -> Result<Vec<GatewayRefund>, GatewayError> {
        let refunds = self.all("refunds", &[("charge", segment(payment.as_str())?)]).await?;
        Ok(readable(refunds, RefundObject::read))
    }

    /// Charges first, then refunds; a page is a hundred of either.
    async fn settled(&self, range: TimeRange, cursor: Option<String>) -> Result<SettledPage, GatewayError> {
        let (from, to) = (range.start().as_second().to_string(), range.end().as_second().to_string());
        let filter = [("created[gte]", from.as_str()), ("created[lte]", to.as_str())];
        let mut page = SettledPage { payments: Vec::new(), refunds: Vec::new(), next: None };
        let (what, after) = match cursor.as_deref() {
            None => (CHARGES, None),
            Some(cursor) => read_cursor(cursor)?,
        };
        let more = if what == CHARGES {
            let found: List<Charge> = self.page(what, &filter, after).await?;
            let more = found.next();
            page.payments = readable(found.data, Charge::read);
            page.payments.retain(|payment| range.contains(payment.at));
            more
        } else {
            let found: List<RefundObject> = self.page(what, &filter, after).await?;
            let more = found.next();
            page.refunds = readable(found.data, RefundObject::read);
            page.refunds.retain(|refund| range.contains(refund.at));
            more
        };
        page.next = match more {
            Some(last) => Some(format!("{what}:{last}")),
            None if what == CHARGES => Some(format!("{REFUNDS}:")),
            None => None,
        };
        Ok(page)
    }
}

const CHARGES: &str = "charges";
const REFUNDS: &str = "refunds";

/// What can be said where the next page of a list begins.
trait Named {
    fn name(&self) -> &str;
}

#[derive(Deserialize)]
struct List<T> {
    data: Vec<T>,
    has_more: bool,
}

impl<T: Named> List<T> {
    /// The last entry's name, when there are more.
    fn next(&self) -> Option<String> {
        self.data.last().filter(|_| self.has_more).map(|last| last.name().to_owned())
    }
}

#[derive(Deserialize)]
struct Intent {
    id: String,
    client_secret: String,
}

type Metadata = BTreeMap<String, String>;

/// What is read of a charge; its payer's name, address and card stay where they are.
#[derive(Deserialize)]
pub(crate) struct Charge {
    id: String,
    amount: i64,
    amount_refunded: i64,
    currency: String,
    status: String,
    captured: bool,
    refunded: bool,
    payment_intent: Option<String>,
    failure_code: Option<String>,
    #[serde(default)]
    metadata: Metadata,
    created: i64,
}

#[derive(Deserialize)]
pub(crate) struct RefundObject {
    id: String,
    amount: i64,
    currency: String,
    charge: Option<String>,
    status: Option<String>,
    failure_reason: Option<String>,
    #[serde(default)]
    metadata: Metadata,
    created: i64,
}

impl Named for Charge {
    fn name(&self) -> &str {
        &self.id
    }
}

impl Named for RefundObject {
    fn name(&self) -> &str {
        &self.id
    }
}

impl Charge {
    /// Nothing when it is none of ours.
    pub(crate) fn read(self) -> Option<GatewayPayment> {
        let code = || self.failure_code.as_deref().and_then(word).unwrap_or_else(|| "failed".to_owned());
        let state = match self.status.as_str() {
            "succeeded" if self.refunded => PaymentSighting::Refunded,
            "succeeded" if self.captured => PaymentSighting::Captured,
            "succeeded" | "pending" => PaymentSighting::Authorized,
            "failed" => PaymentSighting::Failed { code: code() },
            _ => return None,
        };
        Some(GatewayPayment {
            reference: self.id.try_into().ok()?,
            order: self.payment_intent.map(OrderRef::try_from).transpose().ok()?,
            payment: self.metadata.get("payment").and_then(|id| id.parse::<PaymentId>().ok()),
            amount: money(self.amount, &self.currency)?,
            refunded: money(self.amount_refunded, &self.currency)?,
            state,
            at: Timestamp::from_second(self.created).ok()?,
        })
    }
}

impl RefundObject {
    /// Nothing when it is none of ours.
    pub(crate) fn read(self) -> Option<GatewayRefund> {
        let code = || self.failure_reason.as_deref().and_then(word);
        let state = match self.status.as_deref()? {
            "pending" | "requires_action" => RefundState::Pending,
            "succeeded" => RefundState::Processed,
            "failed" => RefundState::Failed { code: code().unwrap_or_else(|| "failed".to_owned()) },
            "canceled" => RefundState::Failed { code: code().unwrap_or_else(|| "canceled".to_owned()) },
            _ => return None,
        };
        Some(GatewayRefund {
            reference: self.id.try_into().ok()?,
            of: self.charge?.try_into().ok()?,
            amount: money(self.amount, &self.currency)?,
            state,
            key: self.metadata.get("key").cloned(),
            at: Timestamp::from_second(self.created).ok()?,
        })
    }
}

/// Stripe writes currencies in lower case.
fn money(amount: i64, currency: &str) -> Option<Money> {
    let currency: Currency = currency.to_ascii_uppercase().parse().ok()?;
    Money::new(amount, currency).ok()
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn fitting(key: &str) -> Result<&str, GatewayError> {
    let fits = (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    if fits { Ok(key) } else { Err(GatewayError::Rejected { code: "unfit_idempotency_key".to_owned() }) }
}

/// Which list, and after which entry.
fn read_cursor(cursor: &str) -> Result<(&'static str, Option<&str>), GatewayError> {
    let unknown = || GatewayError::Rejected { code: "unknown_cursor".to_owned() };
    let (what, after) = cursor.split_once(':').ok_or_else(unknown)?;
    let what = [CHARGES, REFUNDS].into_iter().find(|known| *known == what).ok_or_else(unknown)?;
    Ok((what, Some(segment(after)?).filter(|after| !after.is_empty())))
}

fn error_code(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        code: Option<String>,
        #[serde(rename = "type")]
        kind: Option<String>,
    }
    let Inner { code, kind } = serde_json::from_slice::<Refusal>(body).ok()?.error;
    code.or(kind)
}

#[cfg(test)]
mod tests;
