//! One file per verb.

mod admit;
mod assess;
mod consent;
mod dependants;
mod document;
mod draft;
mod formulary;
mod frame;
mod identify;
mod note;
mod presence;
mod read;
mod records;
mod revoke;
mod sign;
mod verify;

pub use admit::{admit, check_absence};
pub use assess::{Assessment, ItemAssessment, dry_run};
pub use consent::{GiveConsent, read_consents, record_consent, record_guardian};
pub use dependants::{add_dependant, list_dependants, read_dependant, read_person, remove_dependant, update_dependant};
pub use document::{IssuerDeps, MAX_FAILURES, issue_document};
pub use draft::put_draft;
pub use formulary::{FoundItems, search_formulary};
pub use identify::check_known;
pub use note::{add_to_note, read_note, write_note};
pub use presence::check_in;
pub use read::{SeenPrescription, is_open_to_side, read_document, read_prescription};
pub use records::read_records;
pub use revoke::revoke;
pub use sign::sign;
pub use verify::{Verified, verify};

use crate::{
    model::RuleSet,
    ports::{ClinicalStore, FormularyStore, PrescriptionSigner, Printer, VerifyCodes},
};
use amrutam_kernel::{Clock, Dependency, IdSource, Policy, PortError};
use jiff::{Timestamp, tz::TimeZone};

/// What the use cases work with.
#[derive(Clone, Copy)]
pub struct Deps<'a> {
    /// The record.
    pub store: &'a dyn ClinicalStore,
    /// The formulary.
    pub formularies: &'a dyn FormularyStore,
    /// Signs for the offline check.
    pub signer: &'a dyn PrescriptionSigner,
    /// Codes for the online check.
    pub codes: &'a dyn VerifyCodes,
    /// What can be printed can be signed.
    pub printer: &'a dyn Printer,
    /// Who may do what.
    pub policy: &'a dyn Policy,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids.
    pub ids: &'a dyn IdSource,
    /// The zone whose days are business days.
    pub zone: &'a TimeZone,
}

impl Deps<'_> {
    /// The rules in force at an instant.
    pub(crate) fn rules_at(&self, at: Timestamp) -> Result<&'static RuleSet, PortError> {
        RuleSet::in_force(self.zone.to_datetime(at).date())
            .ok_or_else(|| PortError::defect(Dependency::Database, "no set of prescribing rules is in force"))
    }
}
