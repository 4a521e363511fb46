//! What every implementation of this domain's stores does, as tests. Memory and PostgreSQL pass the same ones.
//!
//! An adapter's tests implement [`Harness`] and expand the suite with `amrutam_privacy::privacy_store_contract!(harness())`. Every case
//! makes its own people, so cases may run beside each other and over again on one database.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a suite of tests, compiled for tests only")]

mod erasures;
mod exports;

pub use erasures::*;
pub use exports::*;

use crate::ports::{ErasureStore, ExportStore, Holdings};
use amrutam_kernel::{
    AccountId, AggregateRef, AuditEntry, AuditEntryId, CommitError, ConsultationId, Context, CorrelationId, Effects,
    EventEnvelope, EventId, InboxMark, Outcome,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};
use uuid::Uuid;

/// The world a suite runs in: the stores under test on one database, and what the ports can't do or show.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Under test.
    fn exports(&self) -> Arc<dyn ExportStore>;
    /// Under test.
    fn holdings(&self) -> Arc<dyn Holdings>;
    /// Under test.
    fn erasures(&self) -> Arc<dyn ErasureStore>;
    /// When the harness was made, the same at every call.
    fn now(&self) -> Timestamp;
    /// Makes a patient with a visit in each of these statuses, an hour apart from tomorrow on.
    async fn patient(&self, statuses: &[&str]) -> (AccountId, Vec<ConsultationId>);
    /// Stores that patient's consents to these purposes at that visit, if they are taken.
    async fn agrees(&self, patient: AccountId, visit: ConsultationId, purposes: &[&str]) -> Result<(), CommitError>;
    /// To which purposes there is a consent at that visit, in the order in which they were stored.
    async fn agreed(&self, visit: ConsultationId) -> Vec<&'static str>;
    /// Makes a person whom that account keeps, or kept until they were `removed`, and says whose their keys are. No visit is theirs.
    async fn keeps(&self, keeper: AccountId, removed: bool) -> AccountId;
    /// Whether the account's contact details are there.
    async fn is_known(&self, account: AccountId) -> bool;
    /// Whether the visit opens to whoever treats.
    async fn opens(&self, visit: ConsultationId) -> bool;
    /// The ids of the events in the outbox about this aggregate.
    async fn announced(&self, aggregate: Uuid) -> Vec<EventId>;
}

/// Expands each case to a test. `$harness` is a future that makes a [`Harness`](crate::contract::Harness).
#[macro_export]
macro_rules! privacy_store_contract {
    ($harness:expr) => {
        $crate::__privacy_cases! { $harness;
            a_person_has_one_open_export
            an_archive_is_kept_whole_and_given_away_once
            what_is_over_is_due
            what_is_gathered_names_its_records
            facts_tell_what_an_erasure_is_decided_on
            an_erasure_closes_the_account_and_locks_the_record
            an_erasure_of_what_has_changed_does_nothing
            an_erasure_is_whole_or_not_at_all
            consents_go_with_what_they_were_for
            a_record_is_destroyed_when_its_time_is_over
            keys_end_with_those_of_everybody_the_account_kept
            a_hold_keeps_a_record_until_it_is_lifted
            a_hold_comes_too_late_once_destruction_has_begun
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __privacy_cases {
    ($harness:expr; $($case:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let harness = $harness.await;
            $crate::contract::$case(&harness).await;
        }
    )+};
}

/// Never the same twice, in this process or another.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// A UUIDv7 of `at`.
fn id(at: Timestamp) -> Uuid {
    let [high, low] = [random().to_be_bytes(), random().to_be_bytes()];
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&high);
    bytes[8..].copy_from_slice(&low[..2]);
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(at.as_millisecond()).unwrap(), &bytes).into_uuid()
}

fn effects(now: Timestamp, aggregate: Uuid) -> Effects {
    let context = Context::of_system("tests", CorrelationId::from(id(now)));
    let entry_id = AuditEntryId::from_uuid(id(now));
    let object = aggregate.to_string();
    Effects {
        events: vec![EventEnvelope {
            id: EventId::from_uuid(id(now)),
            event_type: "export.requested.v1".to_owned(),
            aggregate: AggregateRef { kind: "export".to_owned(), id: aggregate, version: 1 },
            occurred_at: now,
            actor: "system:tests".to_owned(),
            correlation_id: context.correlation_id.clone(),
            trace_parent: None,
            payload: serde_json::json!({}),
        }],
        audit: vec![AuditEntry::new(entry_id, now, &context, "export.request", "export", object, Outcome::Allowed)],
        ..Effects::default()
    }
}

/// The same, refused when it is committed a second time.
fn once(now: Timestamp, aggregate: Uuid, event: EventId) -> Effects {
    Effects { inbox: Some(InboxMark { consumer: "tests", event }), ..effects(now, aggregate) }
}
