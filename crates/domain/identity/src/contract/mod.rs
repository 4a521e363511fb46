//! What every implementation of this domain's ports does, as tests. Memory and the real technologies pass the same ones.
//!
//! ```ignore
//! // Cargo.toml: amrutam-identity = { workspace = true, features = ["contract"] }
//! amrutam_identity::account_store_contract!(harness()); // `async fn harness() -> MyHarness`
//! amrutam_identity::password_hasher_contract!(hasher()); // `async fn hasher() -> Arc<dyn PasswordHasher>`
//! amrutam_identity::tokens_contract!(tokens()); // `async fn tokens() -> amrutam_identity::contract::Tokens`
//! ```
//!
//! Every case makes its own accounts with addresses that are not repeated, so cases may run beside each other and over
//! again on one database.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a suite of tests, compiled for tests only"
)]

mod account_store;
mod password_hasher;
mod tokens;

pub use account_store::*;
pub use password_hasher::*;
pub use tokens::*;

use crate::ports::AccountStore;
use amrutam_kernel::{AuditEntryId, EventId};
use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::Timestamp;
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};
use uuid::Uuid;

/// The world the account store's suite runs in, and what its port can't show.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Under test.
    fn accounts(&self) -> Arc<dyn AccountStore>;
    /// When the harness was made, the same at every call. By the wall clock, where the technology has a clock of its own: a
    /// real database has partitions around its own now only.
    fn now(&self) -> Timestamp;
    /// The ids of the events in the outbox about this aggregate, in the order of announcement.
    async fn announced(&self, aggregate: Uuid) -> Vec<EventId>;
    /// The ids of the audit entries on this resource.
    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId>;
    /// Runs a task in parallel: `tokio::spawn(work)`.
    fn spawn(&self, work: BoxFuture<'static, ()>);
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

/// Tests of an [`AccountStore`](crate::ports::AccountStore); takes a future that makes a [`Harness`](crate::contract::Harness).
#[macro_export]
macro_rules! account_store_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            accounts_that_are_not_there_read_as_absent
            an_account_reads_back_whole
            an_address_belongs_to_one_account
            one_address_has_one_winner
            an_answered_request_makes_no_account
            account_effects_alone_are_committed
        }
    };
}

/// Tests of a [`PasswordHasher`](crate::ports::PasswordHasher); takes a future that makes an `Arc<dyn PasswordHasher>`.
#[macro_export]
macro_rules! password_hasher_contract {
    ($hasher:expr) => {
        $crate::__contract_cases! { $hasher;
            a_password_matches_its_hash_and_no_other
            a_hash_has_a_fresh_salt_and_hides_the_password
            without_a_hash_no_password_matches
        }
    };
}

/// Tests of a [`TokenIssuer`](crate::ports::TokenIssuer) and its [`TokenVerifier`](crate::ports::TokenVerifier); takes a future that
/// makes [`Tokens`](crate::contract::Tokens).
#[macro_export]
macro_rules! tokens_contract {
    ($tokens:expr) => {
        $crate::__contract_cases! { $tokens;
            a_token_says_what_was_claimed
            a_token_is_in_force_until_it_ends
            an_altered_token_is_refused
            a_strangers_token_is_refused
            what_is_no_token_is_refused
        }
    };
}
