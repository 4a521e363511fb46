//! What every implementation of this domain's ports does, as tests. Memory and the real technologies pass the same ones.
//!
//! ```ignore
//! // Cargo.toml: amrutam-notifications = { workspace = true, features = ["contract"] }
//! amrutam_notifications::message_store_contract!(harness()); // `async fn harness() -> MyHarness`
//! amrutam_notifications::readers_contract!(readers()); // `async fn readers() -> MyReaders`
//! amrutam_notifications::redelivery_ledger_contract!(ledger()); // `async fn ledger() -> Arc<dyn RedeliveryLedger>`
//! ```
//!
//! Whoever claims gets whatever is due: **each call of `harness()` gives a store of its own**, such as a database cloned
//! from a migrated template, or the cases run one after another.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a suite of tests, compiled for tests only"
)]

mod message_store;
mod readers;
mod redelivery_ledger;

pub use message_store::*;
pub use readers::*;
pub use redelivery_ledger::*;

use crate::{
    Contact, VisitFacts,
    ports::{Contacts, MessageStore, VisitReader},
};
use amrutam_kernel::{AccountId, AuditEntryId, ConsultationId, EventId, MessageId};
use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};
use uuid::Uuid;

/// The world the message store's suite runs in, and what its port can't show.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Under test. Empty: nothing in it is due.
    fn messages(&self) -> Arc<dyn MessageStore>;
    /// The store's time, give or take what the case has taken so far. By the wall clock, where the technology has a clock
    /// of its own: a real database has partitions around its own now only.
    fn now(&self) -> Timestamp;
    /// Lets time pass for the store: its clock goes on, or what waits in it comes so much nearer.
    async fn pass(&self, time: SignedDuration);
    /// The ids of the events in the outbox about this aggregate, in the order of announcement.
    async fn announced(&self, aggregate: Uuid) -> Vec<EventId>;
    /// The ids of the audit entries on this resource.
    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId>;
    /// The dead letters about this message, each as `consumer: error`.
    async fn dead_letters(&self, message: MessageId) -> Vec<String>;
    /// Runs a task in parallel: `tokio::spawn(work)`.
    fn spawn(&self, work: BoxFuture<'static, ()>);
}

/// The world the readers' suite runs in: visits and people, put there through the ports of their own domains.
#[async_trait]
pub trait Readers: Send + Sync {
    /// Under test.
    fn visits(&self) -> Arc<dyn VisitReader>;
    /// Under test.
    fn contacts(&self) -> Arc<dyn Contacts>;
    /// Stores a visit in each of booking's states: its id, booking's word for the state, and what is expected to be read.
    async fn visits_in_every_state(&self) -> Vec<(ConsultationId, &'static str, VisitFacts)>;
    /// Where what is planned for these people goes.
    fn messages(&self) -> Arc<dyn MessageStore>;
    /// Stores a person: their id, and what is expected to be read.
    async fn person(&self) -> (AccountId, Contact);
    /// From now on that person has this number, or none.
    async fn have_number(&self, id: AccountId, number: Option<&str>);
    /// Closes the account of that person.
    async fn close(&self, id: AccountId);
    /// When the harness was made, the same at every call.
    fn now(&self) -> Timestamp;
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

/// Tests of a [`MessageStore`](crate::ports::MessageStore); takes a future that makes a [`Harness`](crate::contract::Harness).
#[macro_export]
macro_rules! message_store_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            a_planned_message_reads_back_whole
            a_message_planned_twice_is_one
            planning_handles_its_event_once
            only_due_messages_are_claimed_earliest_first
            a_claimed_message_is_nobody_elses_until_its_lease_ends
            a_settled_message_is_done_with
            what_is_given_up_lies_among_the_dead_letters
            a_message_to_be_retried_is_due_again
            a_message_that_may_have_been_sent_says_so
            only_the_last_attempt_settles
            one_message_has_one_claimant
            one_plan_has_one_winner
        }
    };
}

/// Tests of a [`VisitReader`](crate::ports::VisitReader), of [`Contacts`](crate::ports::Contacts), and of what planning knows of
/// them; takes a future that makes [`Readers`](crate::contract::Readers).
#[macro_export]
macro_rules! readers_contract {
    ($readers:expr) => {
        $crate::__contract_cases! { $readers;
            a_visit_is_read_as_it_is_now
            a_person_is_read_as_they_are_now
            who_has_no_number_is_planned_no_text_that_goes_out_at_once
        }
    };
}

/// Tests of a [`RedeliveryLedger`](amrutam_kernel::RedeliveryLedger); takes a future that makes an
/// `Arc<dyn RedeliveryLedger>`.
#[macro_export]
macro_rules! redelivery_ledger_contract {
    ($ledger:expr) => {
        $crate::__contract_cases! { $ledger;
            beginnings_are_counted_by_consumer_and_event
            beginnings_at_once_are_all_counted
        }
    };
}
