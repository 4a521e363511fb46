//! What every implementation of this domain's ports does, as tests. Memory and the real technologies pass the same ones.
//!
//! ```ignore
//! // Cargo.toml: amrutam-identity = { workspace = true, features = ["contract"] }
//! // `async fn harness() -> MyHarness`; one type implements every store, or each case sees what the others stored.
//! amrutam_identity::account_store_contract!(harness());
//! amrutam_identity::link_store_contract!(harness());
//! amrutam_identity::session_store_contract!(harness());
//! amrutam_identity::session_gate_contract!(harness());
//! amrutam_identity::factor_store_contract!(harness());
//! amrutam_identity::cached_gate_contract!(gates()); // `async fn gates() -> impl GateMaker`
//! amrutam_identity::password_hasher_contract!(hasher()); // `async fn hasher() -> Arc<dyn PasswordHasher>`
//! amrutam_identity::tokens_contract!(tokens()); // `async fn tokens() -> amrutam_identity::contract::Tokens`
//! amrutam_identity::totp_contract!(totp()); // `async fn totp() -> Arc<dyn Totp>`
//! amrutam_identity::link_tokens_contract!(links()); // `async fn links() -> amrutam_identity::contract::Links`
//! amrutam_identity::secret_source_contract!(secrets()); // `async fn secrets() -> Arc<dyn SecretSource>`
//! amrutam_identity::blind_index_contract!(indexes()); // `async fn indexes() -> amrutam_identity::contract::Indexes`
//! ```
//!
//! Every case makes its own accounts with addresses that are not repeated, so cases may run beside each other and over
//! again on one database.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a suite of tests, compiled for tests only"
)]

mod account_store;
mod cached_gate;
mod factor_store;
mod link_store;
mod password_hasher;
mod secrets;
mod session_gate;
mod session_store;
mod stage;
mod tokens;

pub use account_store::*;
pub use cached_gate::*;
pub use factor_store::*;
pub use link_store::*;
pub use password_hasher::*;
pub use secrets::*;
pub use session_gate::*;
pub use session_store::*;
pub use tokens::*;

use crate::ports::{AccountStore, FactorStore, LinkStore, SessionGate, SessionStore};
use amrutam_kernel::{AuditEntryId, EventId};
use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::Timestamp;
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};
use uuid::Uuid;

/// The world the stores' suites run in, and what their ports can't show. The stores are parts of one: what one has stored,
/// the others know.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Under test.
    fn accounts(&self) -> Arc<dyn AccountStore>;
    /// Under test.
    fn links(&self) -> Arc<dyn LinkStore>;
    /// Under test.
    fn sessions(&self) -> Arc<dyn SessionStore>;
    /// Under test, without a cache.
    fn gate(&self) -> Arc<dyn SessionGate>;
    /// Under test.
    fn factors(&self) -> Arc<dyn FactorStore>;
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
            an_update_stores_all_of_it
            an_update_from_another_version_stores_nothing
            one_version_has_one_successor
            a_link_pays_for_one_change
            an_update_voids_links_and_ends_sessions
        }
    };
}

/// Tests of a [`LinkStore`](crate::ports::LinkStore); takes a future that makes a [`Harness`](crate::contract::Harness).
#[macro_export]
macro_rules! link_store_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            a_link_is_found_by_its_digest_for_its_purpose
            only_the_newest_link_works
        }
    };
}

/// Tests of a [`SessionStore`](crate::ports::SessionStore); takes a future that makes a [`Harness`](crate::contract::Harness).
#[macro_export]
macro_rules! session_store_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            a_session_reads_back_whole
            a_session_needs_the_account_as_it_was
            a_token_is_exchanged_for_the_next
            a_spent_token_ends_its_session
            a_token_of_an_ended_session_is_not_exchanged
            one_token_is_exchanged_once
            live_sessions_are_listed_by_use
            live_sessions_are_paged_by_log_in
            a_session_ends_once
            all_sessions_but_one_end
            a_step_up_is_noted
        }
    };
}

/// Tests of a [`SessionGate`](crate::ports::SessionGate) on the stores; takes a future that makes a [`Harness`](crate::contract::Harness).
#[macro_export]
macro_rules! session_gate_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            the_gate_says_whose_a_session_is
            the_gate_knows_every_end
            the_gate_knows_the_second_factor
        }
    };
}

/// Tests of a [`FactorStore`](crate::ports::FactorStore); takes a future that makes a [`Harness`](crate::contract::Harness).
#[macro_export]
macro_rules! factor_store_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            an_account_without_a_factor_has_none
            a_factor_comes_into_force
            only_the_pending_factor_is_confirmed
            the_factor_in_force_stays_while_another_is_set_up
            a_step_is_accepted_once
            one_proof_has_one_taker
            a_recovery_code_works_once
            recovery_codes_are_replaced
            tries_are_claimed_one_at_a_time
            an_accepted_proof_takes_its_try_back
            a_removed_factor_is_gone
        }
    };
}

/// Tests of a [`SessionGate`](crate::ports::SessionGate) with a cache and its [`SessionNotices`](crate::ports::SessionNotices); takes a future that makes a
/// [`GateMaker`](crate::contract::GateMaker).
#[macro_export]
macro_rules! cached_gate_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            a_cached_state_is_the_state
            a_state_is_asked_for_once_in_a_while
            an_end_is_known_to_every_process_at_once
            a_change_is_known_to_every_process_at_once
            a_store_that_is_away_lets_nobody_in
        }
    };
}

/// Tests of a [`PasswordHasher`](crate::ports::PasswordHasher); takes a future that makes an `Arc<dyn PasswordHasher>`.
#[macro_export]
macro_rules! password_hasher_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            a_password_matches_its_hash_and_no_other
            a_hash_has_a_fresh_salt_and_hides_the_password
            without_a_hash_no_password_matches
        }
    };
}

/// Tests of a [`TokenIssuer`](crate::ports::TokenIssuer) and its [`TokenVerifier`](crate::ports::TokenVerifier); takes a future that makes
/// [`Tokens`](crate::contract::Tokens).
#[macro_export]
macro_rules! tokens_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            a_token_says_what_was_claimed
            a_token_is_in_force_until_it_ends
            an_altered_token_is_refused
            a_strangers_token_is_refused
            a_token_serves_one_purpose
            what_is_no_token_is_refused
        }
    };
}

/// Tests of a [`Totp`](crate::ports::Totp); takes a future that makes an `Arc<dyn Totp>`.
#[macro_export]
macro_rules! totp_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            codes_are_those_of_the_rfc
            an_enrolment_carries_the_secret
        }
    };
}

/// Tests of [`LinkTokens`](amrutam_kernel::LinkTokens); takes a future that makes [`Links`](crate::contract::Links).
#[macro_export]
macro_rules! link_tokens_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            a_links_token_follows_from_its_id
            a_links_token_is_nobody_elses
        }
    };
}

/// Tests of a [`SecretSource`](crate::ports::SecretSource); takes a future that makes an `Arc<dyn SecretSource>`.
#[macro_export]
macro_rules! secret_source_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            secrets_are_filled_and_differ
        }
    };
}

/// Tests of a [`BlindIndex`](amrutam_kernel::BlindIndex); takes a future that makes [`Indexes`](crate::contract::Indexes).
#[macro_export]
macro_rules! blind_index_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            a_digest_finds_its_value_and_no_other
        }
    };
}
