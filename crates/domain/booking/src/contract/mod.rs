//! What every implementation of this domain's ports does, as tests. Memory and the real technologies pass the same ones.
//!
//! An adapter's tests implement [`Harness`] and expand the suites, each case a `#[tokio::test]` of its own:
//!
//! ```ignore
//! // adapters/<technology>/tests/contract.rs; Cargo.toml: amrutam-booking = { workspace = true, features = ["contract"] }
//! async fn harness() -> MyHarness { /* a migrated database, one per call or one shared by all */ }
//! amrutam_booking::consultation_store_contract!(harness());
//! amrutam_booking::availability_store_contract!(harness());
//! amrutam_booking::directory_store_contract!(harness());
//! amrutam_booking::slot_locks_contract!(locks()); // `async fn locks() -> Arc<dyn SlotLocks>`
//! ```
//!
//! Every case makes its own accounts, practitioners and slots with ids and names that are not repeated, so cases may run
//! beside each other and over again on one database. Times lie within two months after [`Harness::now`].
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a suite of tests, compiled for tests only"
)]

mod availability_store;
mod consultation_lists;
mod consultation_store;
mod directory_store;
mod races;
pub mod seeds;
mod slot_locks;
mod stage;

pub use availability_store::*;
pub use consultation_lists::*;
pub use consultation_store::*;
pub use directory_store::*;
pub use races::*;
pub use slot_locks::*;

use crate::ports::{AvailabilityStore, ConsultationStore, DirectoryStore};
use amrutam_kernel::{AccountId, AuditEntryId, EventId, Role};
use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::Timestamp;
use std::sync::Arc;
use uuid::Uuid;

/// The world a suite runs in: the stores under test on one database, and what the ports can't do or show.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Under test.
    fn consultations(&self) -> Arc<dyn ConsultationStore>;
    /// Under test.
    fn availability(&self) -> Arc<dyn AvailabilityStore>;
    /// Under test.
    fn directory(&self) -> Arc<dyn DirectoryStore>;
    /// When the harness was made, the same at every call. By the wall clock, where the technology has a clock of its own: a
    /// real database has partitions around its own now only.
    fn now(&self) -> Timestamp;
    /// Stores an account with this id, this role and an address of its own.
    async fn insert_account(&self, id: AccountId, role: Role);
    /// Closes it.
    async fn close_account(&self, id: AccountId);
    /// The ids of the events in the outbox about this aggregate, in the order of announcement.
    async fn announced(&self, aggregate: Uuid) -> Vec<EventId>;
    /// The ids of the audit entries on this resource.
    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId>;
    /// Runs a task in parallel: `tokio::spawn(work)`.
    fn spawn(&self, work: BoxFuture<'static, ()>);
}

/// Expands each case to a test. `$harness` is a future that makes a [`Harness`](crate::contract::Harness).
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

/// Tests of a [`ConsultationStore`](crate::ports::ConsultationStore); takes a future that makes a
/// [`Harness`](crate::contract::Harness).
#[macro_export]
macro_rules! consultation_store_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            what_is_not_there_reads_as_absent
            a_booking_reads_back_whole
            every_word_of_a_consultation_reads_back
            a_slot_at_another_version_refuses_the_commit
            a_consultation_at_another_version_refuses_the_commit
            a_calendar_at_another_version_refuses_the_commit
            a_practitioner_at_another_version_refuses_the_commit
            an_id_beyond_the_calendar_reads_as_absent
            a_refused_commit_changes_nothing
            an_answer_is_kept_and_given_again
            a_claim_belongs_to_its_caller
            an_event_is_handled_once_by_each_consumer
            effects_alone_are_committed
            a_run_out_hold_gives_way_in_one_commit
            late_money_is_noted_or_brings_the_visit_back
            a_visit_moves_in_one_commit
            a_target_slot_is_read_with_its_occupant
            a_timeline_is_ordered_by_version
            a_list_shows_whose_it_is
            a_list_keeps_to_its_bounds
            a_lists_status_is_as_of_now
            a_list_is_paged_without_loss_or_repetition
            run_out_holds_are_found
            one_slot_has_one_winner
            one_calendar_has_one_winner
            one_consultation_has_one_winner
            one_claim_has_one_winner
            one_event_has_one_winner
            slots_named_in_any_order_do_not_deadlock
        }
    };
}

/// Tests of an [`AvailabilityStore`](crate::ports::AvailabilityStore); takes a future that makes a
/// [`Harness`](crate::contract::Harness).
#[macro_export]
macro_rules! availability_store_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            availability_begins_empty
            rules_and_absences_read_back
            absences_are_listed_until_they_end
            slots_are_made_and_listed_by_start
            every_commit_raises_the_availability_revision
            a_plan_is_made_on_one_state_of_the_profile
            availability_effects_alone_are_committed
            a_slot_taken_back_keeps_its_time
            availability_at_another_version_refuses_the_commit
            overlapping_slots_refuse_the_commit
            slots_may_touch_and_follow_withdrawn_ones
            a_withdrawn_slot_is_gone_from_the_lists
            a_slot_booked_meanwhile_is_not_withdrawn
            a_booked_slot_is_marked_and_unmarked
            a_slot_that_changed_is_not_marked
            open_slots_are_those_that_can_be_claimed
            open_slots_are_paged
            extension_is_due_when_slots_end_too_early
            one_availability_has_one_winner
            withdrawing_and_booking_exclude_each_other
        }
    };
}

/// Tests of a [`DirectoryStore`](crate::ports::DirectoryStore); takes a future that makes a [`Harness`](crate::contract::Harness).
#[macro_export]
macro_rules! directory_store_contract {
    ($harness:expr) => {
        $crate::__contract_cases! { $harness;
            a_profile_reads_back_whole
            a_profile_needs_a_doctors_account
            an_account_has_one_profile
            a_registration_is_in_the_directory_once
            a_profile_at_another_version_refuses_the_update
            an_answered_request_changes_no_profile
            directory_effects_alone_are_committed
            a_search_finds_only_those_who_take_bookings
            a_search_filters
            a_searched_text_is_taken_literally
            a_search_knows_who_has_open_slots
            a_search_is_sorted_and_paged_by_name
            a_search_is_sorted_and_paged_by_fee
            fees_are_compared_within_one_currency
            one_registration_has_one_winner
            one_account_has_one_winner
            one_profile_has_one_winner
        }
    };
}

/// Tests of [`SlotLocks`](crate::ports::SlotLocks); takes a future that makes an `Arc<dyn SlotLocks>`.
#[macro_export]
macro_rules! slot_locks_contract {
    ($locks:expr) => {
        $crate::__contract_cases! { $locks;
            a_locked_slot_is_taken
            a_released_lock_can_be_had_again
            a_dropped_lock_can_be_had_again
            of_many_one_has_the_lock
        }
    };
}
