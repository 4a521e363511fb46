//! What every implementation of this domain's ports does, as tests. Memory and the real technologies pass the same ones.
//!
//! ```ignore
//! // Cargo.toml: amrutam-payments = { workspace = true, features = ["contract"] }
//! amrutam_payments::payment_store_contract!(harness()); // `async fn harness() -> MyHarness`
//! amrutam_payments::payment_gateway_contract!(till()); // `async fn till() -> MyTill`
//! amrutam_payments::webhook_verifier_contract!(sender()); // `async fn sender() -> MySender`
//! ```
//!
//! Whoever claims gets whatever is due: **each call of `harness()` gives a store of its own**, such as a database cloned
//! from a migrated template. A till may be shared: every case opens orders of its own.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a suite of tests, compiled for tests only"
)]

mod gateway;
mod payment_store;
mod stage;
mod tasks;
mod webhooks;

pub use gateway::*;
pub use payment_store::*;
pub use tasks::*;
pub use webhooks::*;

use crate::{
    model::{GatewayPaymentRef, OrderRef, WebhookNews},
    ports::{PaymentGateway, PaymentStore, WebhookVerifier},
};
use amrutam_kernel::{AccountId, AuditEntryId, ConsultationId, DoctorId, EventId, Money};
use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};
use uuid::Uuid;

/// The world the payment store's suite runs in, and what its port can't show.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Under test. Empty: nothing in it is due.
    fn payments(&self) -> Arc<dyn PaymentStore>;
    /// The store's time, give or take what the case has taken so far. By the wall clock, where the technology has a clock
    /// of its own: a real database has partitions around its own now only.
    fn now(&self) -> Timestamp;
    /// Lets time pass for the store: its clock goes on, or what waits in it comes so much nearer.
    async fn pass(&self, time: SignedDuration);
    /// A visit that is there, with its patient and its practitioner: another at every call.
    async fn visit(&self) -> (ConsultationId, AccountId, DoctorId);
    /// The ids of the events in the outbox about this aggregate, in the order of announcement.
    async fn announced(&self, aggregate: Uuid) -> Vec<EventId>;
    /// The ids of the audit entries on this resource.
    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId>;
    /// Runs a task in parallel: `tokio::spawn(work)`.
    fn spawn(&self, work: BoxFuture<'static, ()>);
}

/// A gateway with somebody who pays: a sandbox, or the fake.
#[async_trait]
pub trait Till: Send + Sync {
    /// Under test.
    fn gateway(&self) -> Arc<dyn PaymentGateway>;
    /// By the gateway's clock.
    fn now(&self) -> Timestamp;
    /// The patient pays the order in full; the gateway's name for the payment.
    async fn pay(&self, order: &OrderRef, amount: Money) -> GatewayPaymentRef;
    /// The patient tries to, in vain.
    async fn fail(&self, order: &OrderRef) -> GatewayPaymentRef;
    /// The gateway is away until told otherwise.
    async fn away(&self, away: bool);
    /// The next call has its effect, and its answer is lost.
    async fn lose_next_answer(&self);
    /// The next call is refused as one too many, with this many seconds to wait.
    async fn limit_next(&self, seconds: u32);
}

/// Somebody who can sign what a gateway would send.
pub trait Sender: Send + Sync {
    /// Under test.
    fn verifier(&self) -> Arc<dyn WebhookVerifier>;
    /// Header fields by lower-case name, and the body, of a notification sent at `at` that says a payment was captured; each
    /// `number` another one.
    fn captured(&self, number: u32, at: Timestamp) -> (Vec<(String, String)>, Vec<u8>);
    /// The same for a refund that was made.
    fn refunded(&self, number: u32, at: Timestamp) -> (Vec<(String, String)>, Vec<u8>);
    /// The same for a kind we have no use for.
    fn other(&self, number: u32, at: Timestamp) -> (Vec<(String, String)>, Vec<u8>);
    /// Signs any body.
    fn signed(&self, body: &[u8], at: Timestamp) -> Vec<(String, String)>;
    /// What [`Sender::captured`] says, as it is to be read.
    fn captured_news(&self, number: u32, at: Timestamp) -> WebhookNews;
    /// Whether the signature carries its time: then an old one is refused.
    fn signs_its_time(&self) -> bool;
}

/// Never the same twice, in this process or another.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// A UUIDv7 of that time.
fn id(at: Timestamp) -> Uuid {
    let [high, low] = [random().to_be_bytes(), random().to_be_bytes()];
    let bytes: Vec<u8> = high.into_iter().chain(low).take(10).collect();
    let millis = u64::try_from(at.as_millisecond()).unwrap();
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes.try_into().unwrap()).into_uuid()
}

/// Expands each case to a test.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_cases {
    ($harness:expr; $($case:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let harness = $harness.await;
            $crate::contract::$case(&harness).await;
        }
    )+};
}

/// Tests of a [`PaymentStore`](crate::ports::PaymentStore); takes a future that makes a [`Harness`](crate::contract::Harness).
#[macro_export]
macro_rules! payment_store_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            a_payment_that_is_not_there_reads_as_absent
            a_payment_reads_back_whole
            every_state_of_money_and_visit_reads_back
            a_payment_is_found_by_each_of_its_names
            a_payment_is_made_once
            unclaimed_money_is_kept_like_any_other
            a_payment_at_another_revision_refuses_the_commit
            a_refused_payment_commit_changes_nothing
            a_notification_is_taken_over_once
            an_event_moves_money_once
            an_answer_about_money_is_kept
            payment_effects_alone_are_committed
            steps_are_ordered_by_version
            journals_add_up_and_balance
            payments_that_are_overdue_are_found
            captures_and_refunds_are_listed_by_time
            one_payment_has_one_winner
            one_creation_has_one_winner
            one_notification_has_one_winner
            a_task_is_claimed_when_due_earliest_first
            a_claimed_task_is_nobody_elses_until_its_lease_ends
            a_tasks_ends_are_kept
            a_tries_number_is_kept_by_its_end
            only_a_renewal_is_counted_as_one
            an_end_by_a_lapsed_claim_is_refused
            a_live_task_stands_for_another_of_its_key
            a_task_that_is_over_makes_room_for_another
            tasks_are_read_with_their_payment
            of_many_who_claim_each_task_has_one
        }
    };
}

/// Tests of a [`PaymentGateway`](crate::ports::PaymentGateway); takes a future that makes a [`Till`](crate::contract::Till).
#[macro_export]
macro_rules! payment_gateway_contract {
    ($till:expr) => {
        $crate::__contract_cases! { $till;
            an_order_is_opened_once_per_key
            a_payment_is_seen_by_its_order
            a_failed_attempt_is_seen_with_its_code
            a_refund_is_made_once_per_key
            more_than_was_paid_is_not_given_back
            an_order_that_is_not_there_is_refused_or_empty
            a_gateway_that_is_away_says_so
            a_lost_answer_is_unknown_and_the_key_tells
            a_limit_says_how_long_to_wait
            everything_settled_is_listed_page_by_page
        }
    };
}

/// Tests of a [`WebhookVerifier`](crate::ports::WebhookVerifier); takes a future that makes a [`Sender`](crate::contract::Sender).
#[macro_export]
macro_rules! webhook_verifier_contract {
    ($sender:expr) => {
        $crate::__contract_cases! { $sender;
            a_genuine_notification_is_read
            a_notification_keeps_its_name_and_others_have_others
            one_bit_more_or_less_is_forged
            without_a_signature_nothing_is_believed
            an_old_signature_is_stale
            a_kind_of_no_use_is_ignored
            what_is_signed_and_makes_no_sense_is_malformed
        }
    };
}
