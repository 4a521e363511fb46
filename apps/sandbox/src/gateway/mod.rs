//! The payment gateway: speaks Razorpay's dialect, moves no money.
//!
//! `api` answers the calls of a merchant's server, on a listener of its own (`serve`), where the checkout page is
//! too; `control` is for tests and people, on the sandbox's HTTP listener, and works also while the gateway plays dead.
//! `store` keeps the books; the `courier` tells events by signed webhooks, at least once. The [`Behaviour`] says what
//! goes wrong. One [`Gateway`] holds all of it together.

mod api;
mod behaviour;
pub(crate) mod control;
pub(crate) mod courier;
mod error;
mod model;
mod page;
pub(crate) mod serve;
mod store;
mod table;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub use self::behaviour::{Behaviour, Call, Fault, InvalidBehaviour, Tamper, Webhooks};
pub use self::model::{Delivery, OrderTally, PAYER_CONTACT, PAYER_EMAIL, PaymentStatus, PaymentTally, RefundStatus};

use self::behaviour::{Script, Telling};
use self::courier::Job;
use self::error::ApiError;
use self::store::{News, Store};
use crate::settings::GatewaySettings;

/// Why a payment fails, unless said otherwise.
const DECLINED: &str = "BAD_REQUEST_ERROR";

/// Everything the gateway knows, shared by its handlers, its control and its courier.
#[derive(Debug)]
pub struct Gateway {
    key_id: String,
    key_secret: String,
    webhook: Mutex<Webhook>,
    store: Store,
    script: Script,
    calls: Mutex<BTreeMap<Call, u64>>,
    jobs: mpsc::UnboundedSender<Job>,
}

/// Where events are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Nowhere when absent.
    pub url: Option<String>,
    /// What the signature is made with.
    pub secret: String,
}

/// How a payment goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pay {
    /// What becomes of it.
    pub outcome: PaymentStatus,
    /// Only after so long; until then it is `created`.
    #[serde(default)]
    pub after_ms: u64,
    /// Another amount than the order's.
    #[serde(default)]
    pub amount: Option<i64>,
    /// The error code of one that fails.
    #[serde(default)]
    pub error_code: Option<String>,
}

/// What happened since the start or since everything was forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GatewayStats {
    /// Authenticated calls, by kind.
    pub calls: BTreeMap<Call, u64>,
    /// Orders made.
    pub orders: usize,
    /// How often money was captured.
    pub captures: u64,
    /// Refunds that did not fail.
    pub refunds: usize,
    /// Payments captured more than once, and orders with more than one captured payment.
    pub double_captures: usize,
    /// Payments of which more went back than came.
    pub over_refunds: usize,
}

impl Gateway {
    /// The gateway, and what its courier works on.
    pub(crate) fn new(settings: &GatewaySettings) -> (Self, mpsc::UnboundedReceiver<Job>) {
        let (jobs, received) = mpsc::unbounded_channel();
        let gateway = Self {
            key_id: settings.key_id.clone(),
            key_secret: settings.key_secret.clone(),
            webhook: Mutex::new(Webhook { url: settings.webhook_url.clone(), secret: settings.webhook_secret.clone() }),
            store: Store::default(),
            script: Script::default(),
            calls: Mutex::default(),
            jobs,
        };
        (gateway, received)
    }

    /// How the gateway behaves now; what counts down is what is left.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        self.script.get()
    }

    /// Replaces the behaviour.
    ///
    /// # Errors
    /// When a field is out of its range; the behaviour is then as before.
    pub fn behave(&self, behaviour: Behaviour) -> Result<(), InvalidBehaviour> {
        self.script.set(behaviour)
    }

    /// Where events are told.
    #[must_use]
    pub fn webhook(&self) -> Webhook {
        self.webhook.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells events elsewhere from now on, also those that are tried again.
    pub fn set_webhook(&self, webhook: Webhook) {
        *self.webhook.lock().unwrap_or_else(PoisonError::into_inner) = webhook;
    }

    /// The payer pays, or does not. Gives the payment's id. An order that is paid can be paid again: that happens.
    ///
    /// # Errors
    /// A sentence, when there is no such order.
    pub fn pay(&self, order: &str, pay: &Pay) -> Result<String, String> {
        let words = |error: ApiError| error.description().to_owned();
        let payment = self.store.begin_payment(order, pay.amount).map_err(words)?;
        let code = pay.error_code.as_deref().unwrap_or(DECLINED);
        self.move_payment(&payment, pay.outcome, code, pay.after_ms)?;
        Ok(payment)
    }

    /// Moves a payment, now or later.
    ///
    /// # Errors
    /// A sentence, when there is no such payment or it can't move there.
    pub fn move_payment(&self, id: &str, to: PaymentStatus, code: &str, after_ms: u64) -> Result<(), String> {
        if after_ms > 0 {
            let act = courier::Act::MovePayment { id: id.to_owned(), to, code: code.to_owned() };
            self.enqueue(Job::Later { delay: Duration::from_millis(after_ms), act });
            return Ok(());
        }
        let news = self.store.move_payment(id, to, code).map_err(|error| error.description().to_owned())?;
        self.tell(news);
        Ok(())
    }

    /// Moves a refund, now or later.
    ///
    /// # Errors
    /// A sentence, when there is no such refund or it can't move there.
    pub fn move_refund(&self, id: &str, to: RefundStatus, after_ms: u64) -> Result<(), String> {
        if after_ms > 0 {
            let act = courier::Act::MoveRefund { id: id.to_owned(), to };
            self.enqueue(Job::Later { delay: Duration::from_millis(after_ms), act });
            return Ok(());
        }
        let news = self.store.move_refund(id, to).map_err(|error| error.description().to_owned())?;
        self.tell(news);
        Ok(())
    }

    /// Lets the events go that were held back, one after the other; gives how many.
    pub fn release(&self, reversed: bool) -> usize {
        let mut events = self.store.take_held();
        if reversed {
            events.reverse();
        }
        let count = events.len();
        self.enqueue(Job::TellInTurn(events));
        count
    }

    /// Tells a past event once more, altered or not, without retries. Says whether there is such an event.
    pub fn resend(&self, event: &str, tamper: Tamper) -> bool {
        let known = self.store.event(event).is_some();
        if known {
            let delay = Duration::ZERO;
            self.enqueue(Job::Tell { event: event.to_owned(), tamper, delay, retry: None });
        }
        known
    }

    /// The newest event's id.
    #[must_use]
    pub fn last_event(&self) -> Option<String> {
        self.store.events().pop().map(|event| event.id)
    }

    /// What was effectively done, per order; of one receipt, or of all.
    #[must_use]
    pub fn tallies(&self, receipt: Option<&str>) -> Vec<OrderTally> {
        self.store.tallies(receipt)
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> GatewayStats {
        let tallies = self.tallies(None);
        let payments = || tallies.iter().flat_map(|order| &order.payments);
        GatewayStats {
            calls: self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            orders: tallies.len(),
            captures: tallies.iter().map(|order| u64::from(order.captures)).sum(),
            refunds: tallies.iter().map(|order| order.refunds).sum(),
            double_captures: tallies.iter().filter(|order| order.captures > 1).count(),
            over_refunds: payments()
                .filter(|payment| payment.refunded > payment.amount * i64::from(payment.captures))
                .count(),
        }
    }

    /// Forgets orders, payments, refunds, events and counts; the behaviour stays.
    pub fn clear(&self) {
        self.store.clear();
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn count(&self, call: Call) {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(call).or_default() += 1;
    }

    fn tell(&self, news: Vec<News>) {
        for one in news {
            let event = self.store.record(one);
            match self.script.tell() {
                Telling::Lose => {}
                Telling::Hold => self.store.hold(event),
                Telling::Send(how) => {
                    let (tamper, delay) = (how.tamper, Duration::from_millis(how.delay_ms));
                    let retry = Some(Duration::from_millis(how.retry_ms));
                    for _ in 0..how.copies {
                        self.enqueue(Job::Tell { event: event.clone(), tamper, delay, retry });
                    }
                }
            }
        }
    }

    fn enqueue(&self, job: Job) {
        // Nobody receives only while the sandbox stops.
        drop(self.jobs.send(job));
    }
}
