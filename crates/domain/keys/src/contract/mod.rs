//! What every implementation of this domain's ports does, as tests. Memory and the real technologies pass the same ones.
//!
//! ```ignore
//! // Cargo.toml: amrutam-keys = { workspace = true, features = ["contract"] }
//! amrutam_keys::key_store_contract!(store()); // `async fn store() -> Arc<dyn KeyStore>`
//! amrutam_keys::key_wrapper_contract!(wrappers()); // `async fn wrappers() -> MyWrappers`
//! ```
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a suite of tests, compiled for tests only")]

mod key_store;
mod key_wrapper;

pub use key_store::*;
pub use key_wrapper::*;

use crate::model::{DataKeyId, KekId};
use amrutam_kernel::AccountId;
use std::hash::{BuildHasher, RandomState};
use uuid::Uuid;

/// Never the same twice, in this process or another.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

fn owner() -> AccountId {
    AccountId::from_uuid(Uuid::from_u64_pair(random(), random()))
}

fn kek() -> KekId {
    format!("k{:016x}", random()).parse().unwrap()
}

fn first_of(owner: AccountId) -> DataKeyId {
    DataKeyId { owner, version: 1 }
}

/// Expands each case to a test.
#[doc(hidden)]
#[macro_export]
macro_rules! __key_contract_cases {
    ($harness:expr; $($case:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let harness = $harness.await;
            $crate::contract::$case(&harness).await;
        }
    )+};
}

/// Tests of a [`KeyStore`](crate::ports::KeyStore); takes a future that makes an `Arc<dyn KeyStore>`, or what dereferences
/// to one. They may share one store.
#[macro_export]
macro_rules! key_store_contract {
    ($store:expr) => {
        $crate::__key_contract_cases! { $store;
            a_key_is_made_once_and_found_as_it_was_stored
            of_several_first_keys_one_is_stored
            a_key_seals_so_many_and_no_more
            an_old_or_renewed_key_seals_no_more_and_is_still_found
            destroyed_keys_are_gone_and_no_others_come
            keys_are_wrapped_anew_where_they_are_as_they_were_read
            a_key_encryption_key_that_wraps_anything_is_not_retired
            nothing_is_wrapped_under_a_retired_key
            a_key_that_is_stored_meanwhile_is_counted_or_refused
        }
    };
}

/// Tests of a [`KeyWrapper`](crate::ports::KeyWrapper); takes a future that makes [`Wrappers`](crate::contract::Wrappers).
#[macro_export]
macro_rules! key_wrapper_contract {
    ($wrappers:expr) => {
        $crate::__key_contract_cases! { $wrappers;
            what_is_wrapped_unwraps_and_no_two_wrappings_are_alike
            a_wrapped_key_is_bound_to_its_owner_and_version
            any_changed_byte_of_a_wrapped_key_is_refused
            a_rotated_wrapper_unwraps_what_was_wrapped_before
            a_key_is_looked_up_by_its_name_alone
        }
    };
}
