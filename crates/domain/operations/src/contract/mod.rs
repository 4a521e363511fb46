//! What every implementation of this domain's ports does, as tests. Memory and the real technologies pass the same ones.
//!
//! ```ignore
//! // Cargo.toml: amrutam-operations = { workspace = true, features = ["contract"] }
//! amrutam_operations::dead_letter_store_contract!(harness()); // `async fn harness() -> MyHarness`
//! amrutam_operations::review_store_contract!(harness());
//! ```
//!
//! The lists give whatever there is: **each call of `harness()` gives stores of its own**, such as a database cloned from a
//! migrated template.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a suite of tests, compiled for tests only"
)]

mod dead_letters;
mod reviews;

pub use dead_letters::*;
pub use reviews::*;

use crate::ports::{DeadLetterStore, ReviewStore};
use amrutam_kernel::{
    AccountId, Actor, AggregateRef, AuditEntry, AuditEntryId, CorrelationId, Effects, EventEnvelope, EventId,
    Fingerprint, IdempotencyClaim, Outcome, Purpose, Requeue, StoredAnswer, TraceParent,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};
use uuid::Uuid;

/// The world the suites run in, and what their ports can't show.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Under test. Empty.
    fn letters(&self) -> Arc<dyn DeadLetterStore>;
    /// Under test. Empty.
    fn reviews(&self) -> Arc<dyn ReviewStore>;
    /// The store's time, the same at every call.
    fn now(&self) -> Timestamp;
    /// The ids of the events in the outbox about this aggregate that go to everybody, in the order of announcement.
    async fn announced(&self, aggregate: Uuid) -> Vec<EventId>;
    /// The events that were handed out to one consumer alone, in order.
    async fn requeued(&self) -> Vec<(Requeue, EventId)>;
    /// The ids of the audit entries on this resource.
    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId>;
    /// Puts a message of that id into the store that was given up after some tries; its letter is there when this returns.
    async fn give_up_message(&self, id: Uuid);
    /// Of that message: whether it is due, and how often it was tried.
    async fn message(&self, id: Uuid) -> (bool, u32);
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

fn event(now: Timestamp) -> EventEnvelope {
    EventEnvelope {
        id: EventId::from_uuid(id(now)),
        event_type: "contract.happened.v1".to_owned(),
        aggregate: AggregateRef { kind: "contract".to_owned(), id: id(now), version: 1 },
        occurred_at: now,
        actor: "system:contract".to_owned(),
        correlation_id: CorrelationId::from(id(now)),
        trace_parent: Some(TraceParent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned())),
        payload: serde_json::json!({ "consultation_id": id(now) }),
    }
}

/// An event and an audit entry about that thing.
fn effects(now: Timestamp, about: Uuid) -> Effects {
    let event = event(now);
    let aggregate = AggregateRef { id: about, ..event.aggregate };
    let correlation_id = event.correlation_id.clone();
    Effects {
        events: vec![EventEnvelope { aggregate, ..event }],
        audit: vec![AuditEntry {
            id: AuditEntryId::from_uuid(id(now)),
            occurred_at: now,
            actor: Actor::System("contract"),
            action: "contract.act",
            resource_kind: "contract",
            resource_id: about.to_string(),
            patient: None,
            outcome: Outcome::Allowed,
            correlation_id,
            purpose: Purpose::Operation,
            origin: None,
            ruleset: None,
            break_glass: false,
        }],
        ..Effects::default()
    }
}

fn claim(now: Timestamp) -> IdempotencyClaim {
    IdempotencyClaim {
        caller: AccountId::from_uuid(id(now)),
        key: format!("key-{:x}", random()).parse().unwrap(),
        fingerprint: Fingerprint::of("POST", "/contract", b"{}"),
    }
}

fn answer() -> StoredAnswer {
    StoredAnswer {
        status: 200,
        location: None,
        content_type: "application/json".to_owned(),
        etag: Some("\"2\"".to_owned()),
        body: "{}".to_owned(),
    }
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

/// Tests of a [`DeadLetterStore`]; takes a future that makes a [`Harness`].
#[macro_export]
macro_rules! dead_letter_store_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            a_letter_reads_back_whole
            there_is_one_letter_for_one_piece_of_work
            a_letter_changes_only_from_the_version_that_was_read
            a_requeued_event_is_handed_out_with_the_change_or_not_at_all
            a_requeued_message_is_due_at_once
            a_task_that_is_given_up_is_a_letter_and_the_same_one_when_it_dies_again
            letters_are_listed_by_first_death_and_filtered
            an_answer_is_kept_with_the_change_of_a_letter
        }
    };
}

/// Tests of a [`ReviewStore`]; takes a future that makes a [`Harness`].
#[macro_export]
macro_rules! review_store_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            a_case_reads_back_whole_in_every_state
            one_trouble_has_one_open_case
            the_open_case_is_found_by_what_it_is_about
            an_event_opens_a_case_once
            a_case_changes_only_from_the_version_that_was_read
            of_many_who_resolve_one_does
            cases_are_listed_by_opening_and_filtered
            an_answer_is_kept_with_the_change_of_a_case
        }
    };
}
