//! What every implementation of this domain's stores does, as tests. Memory and PostgreSQL pass the same ones.
//!
//! An adapter's tests implement [`Harness`] and expand the suite with `amrutam_clinical::clinical_store_contract!(harness())`. Every
//! case makes its own people and visits, so cases may run beside each other and over again on one database.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a suite of tests, compiled for tests only")]

mod dependants;
mod prescriptions;
mod record;
pub mod seeds;
mod stage;

pub use dependants::*;
pub use prescriptions::*;
pub use record::*;

use crate::{
    model::Subject,
    ports::{ClinicalStore, FormularyStore},
};
use amrutam_kernel::{AccountId, AuditEntryId, ConsultationId, DoctorId, EventId};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use uuid::Uuid;

/// A visit that a harness has made.
#[derive(Debug, Clone, Copy)]
pub struct MadeVisit {
    /// The consultation.
    pub id: ConsultationId,
    /// Its patient.
    pub patient: AccountId,
    /// Its practitioner.
    pub doctor: DoctorId,
    /// The practitioner's account.
    pub doctor_account: AccountId,
    /// When it begins; it lasts half an hour.
    pub starts_at: Timestamp,
    /// The consultation's version.
    pub version: i64,
}

/// The world a suite runs in: the stores under test on one database, and what the ports can't do or show.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Under test.
    fn clinical(&self) -> Arc<dyn ClinicalStore>;
    /// Under test.
    fn formularies(&self) -> Arc<dyn FormularyStore>;
    /// When the harness was made, the same at every call.
    fn now(&self) -> Timestamp;
    /// Makes `count` visits of one new patient with one new practitioner, an hour apart from tomorrow on, each in the status it goes
    /// through `confirmed` and `in_progress` to: the status of the `n`th is the `n`th of `statuses`.
    async fn visits(&self, statuses: &[&str]) -> Vec<MadeVisit> {
        self.visits_of(None, statuses).await
    }
    /// As [`Harness::visits`], of that person, who is there already.
    async fn visits_of(&self, whom: Option<Subject>, statuses: &[&str]) -> Vec<MadeVisit>;
    /// The ids of the events in the outbox about this aggregate.
    async fn announced(&self, aggregate: Uuid) -> Vec<EventId>;
    /// The ids of the audit entries on this resource.
    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId>;
}

/// Expands each case to a test. `$harness` is a future that makes a [`Harness`](crate::contract::Harness).
#[macro_export]
macro_rules! clinical_store_contract {
    ($harness:expr) => {
        $crate::__clinical_cases! { $harness;
            a_visit_is_read_with_its_people
            notes_have_versions_and_the_last_is_read
            a_visit_that_changed_meanwhile_takes_nothing
            consents_are_read_in_order_with_their_evidence
            a_consent_that_follows_from_none_comes_after_none
            a_guardian_is_replaced_by_version
            presence_is_kept
            earlier_visits_tell_what_they_were_for
            a_treating_relation_is_read_from_visits
            records_come_in_pages_the_latest_first
            a_formulary_never_changes_under_its_version
            a_draft_is_written_signed_and_found_by_its_code
            a_stale_prescription_takes_nothing
            a_visit_has_one_draft_and_one_in_force
            a_document_is_kept_byte_for_byte
            effects_are_all_or_nothing
            a_dependant_is_read_back_and_changed_by_version
            dependants_come_in_pages_by_when_they_were_added
            one_more_is_added_to_those_that_were_counted
            a_removal_is_for_the_calendar_that_was_read
            a_dependants_visits_are_theirs_alone
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __clinical_cases {
    ($harness:expr; $($case:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let harness = $harness.await;
            $crate::contract::$case(&harness).await;
        }
    )+};
}
