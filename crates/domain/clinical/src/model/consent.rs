//! Consent, per purpose and with the notice shown; and who accompanies a minor.

use super::{ConsentDecision, ConsentMethod, ConsentPurpose, IdType, Kinship, RuleSet, Subject, Visit};
use amrutam_kernel::{AccountId, ConsentId, ConsultationId, Sensitive};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// What a patient is told before they consent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// For which purpose.
    pub purpose: ConsentPurpose,
    /// Kept with each consent given on it.
    pub version: String,
    /// In English.
    pub text: String,
    /// In Hindi.
    pub text_hi: String,
}

/// The notices shown now, one per purpose. A file that is not of the form can't be released: a test reads it.
pub fn notices() -> Vec<Notice> {
    serde_json::from_str(include_str!("../../data/notices-1.json")).unwrap_or_default()
}

/// A consent given or withdrawn. The last one of a purpose is what holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Its id.
    pub id: ConsentId,
    /// For which visit.
    pub consultation: ConsultationId,
    /// Whose.
    pub subject: Subject,
    /// For what.
    pub purpose: ConsentPurpose,
    /// Given or withdrawn.
    pub decision: ConsentDecision,
    /// The notice that was shown; none of a withdrawal that names none.
    pub notice_version: String,
    /// How it came about.
    pub method: ConsentMethod,
    /// What shows it, when somebody else recorded it: what was said, where the message is.
    pub evidence: Option<Sensitive<String>>,
    /// Who recorded it.
    pub recorded_by: AccountId,
    /// When.
    pub at: Timestamp,
}

/// Why a consent is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConsentRefusal {
    /// Another version of the notice is shown now: show that one first.
    #[error("the notice shown was not the current one")]
    NoticeOutdated,
    /// What another person records needs method and evidence: who said what, where.
    #[error("a consent recorded for somebody else needs its method and evidence")]
    EvidenceRequired,
    /// An implied consent follows from an act; nobody states it.
    #[error("an implied consent can't be stated")]
    NotToBeStated,
}

/// Whether a stated consent can be recorded: against the notice shown now, and with evidence when it is not the patient who states it.
pub fn check_consent(
    notices: &[Notice],
    purpose: ConsentPurpose,
    notice_version: &str,
    method: ConsentMethod,
    evidence: Option<&str>,
    by_patient: bool,
) -> Result<(), ConsentRefusal> {
    let current = notices.iter().any(|notice| notice.purpose == purpose && notice.version == notice_version);
    if !current {
        return Err(ConsentRefusal::NoticeOutdated);
    }
    check_method(method, evidence, by_patient)
}

fn check_method(method: ConsentMethod, evidence: Option<&str>, by_patient: bool) -> Result<(), ConsentRefusal> {
    if method == ConsentMethod::Implied {
        return Err(ConsentRefusal::NotToBeStated);
    }
    let shown = evidence.is_some_and(|text| !text.trim().is_empty());
    if !by_patient && (method == ConsentMethod::InApp || !shown) {
        return Err(ConsentRefusal::EvidenceRequired);
    }
    Ok(())
}

/// Whether a withdrawal can be recorded: it names a notice of its purpose that was shown, now or when something of `before` was recorded,
/// or none at all. How it came about is asked for as of what is given.
pub fn check_withdrawal(
    notices: &[Notice],
    before: &[Consent],
    purpose: ConsentPurpose,
    notice_version: &str,
    method: ConsentMethod,
    evidence: Option<&str>,
    by_patient: bool,
) -> Result<(), ConsentRefusal> {
    let shown = notices.iter().any(|notice| notice.purpose == purpose && notice.version == notice_version)
        || before.iter().any(|consent| consent.purpose == purpose && consent.notice_version == notice_version);
    if !notice_version.is_empty() && !shown {
        return Err(ConsentRefusal::NoticeOutdated);
    }
    check_method(method, evidence, by_patient)
}

/// What holds of a purpose: the last decision, of consents in the order they were recorded.
pub fn standing(consents: &[Consent], purpose: ConsentPurpose) -> Option<&Consent> {
    consents.iter().rev().find(|consent| consent.purpose == purpose)
}

/// The adult beside a minor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guardian {
    /// Their name.
    pub name: String,
    /// What they are to the minor.
    pub relation: Kinship,
    /// With what they identified themself.
    pub id_type: IdType,
    /// The last four characters of it; never more.
    pub id_last_four: String,
}

impl Guardian {
    /// Whether it is complete: a name, and exactly four letters or digits.
    pub fn is_complete(&self) -> bool {
        let four = self.id_last_four.len() == 4 && self.id_last_four.bytes().all(|byte| byte.is_ascii_alphanumeric());
        !self.name.trim().is_empty() && four
    }
}

/// Why a visit can't begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionRefusal {
    /// The patient is a minor, and no adult is recorded.
    #[error("the patient is under age: record the accompanying adult first")]
    GuardianRequired,
    /// The consent to the visit was withdrawn.
    #[error("the consent to the visit was withdrawn")]
    ConsentWithdrawn,
    /// They are said to know each other, and had no visit.
    #[error("no earlier visit of this patient with you was held: ask for name and age, or have a photo id shown")]
    NoEarlierVisit,
}

/// Whether the adult is recorded without whom a minor is neither seen nor prescribed for.
pub fn check_guardian(
    rules: &RuleSet,
    zone: &TimeZone,
    visit: &Visit,
    guardian: Option<&Guardian>,
) -> Result<(), AdmissionRefusal> {
    let beside = guardian.is_some_and(Guardian::is_complete);
    if visit.is_of_minor(rules, zone) && !beside { Err(AdmissionRefusal::GuardianRequired) } else { Ok(()) }
}

/// Whether a visit may begin. A consent that was never stated follows from the booking: it is recorded when this allows.
pub fn admit(
    rules: &RuleSet,
    zone: &TimeZone,
    visit: &Visit,
    consents: &[Consent],
    guardian: Option<&Guardian>,
) -> Result<(), AdmissionRefusal> {
    check_guardian(rules, zone, visit, guardian)?;
    match standing(consents, ConsentPurpose::Teleconsultation) {
        Some(consent) if consent.decision == ConsentDecision::Withdrawn => Err(AdmissionRefusal::ConsentWithdrawn),
        Some(_) | None => Ok(()),
    }
}
