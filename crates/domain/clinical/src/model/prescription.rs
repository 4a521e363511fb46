//! A prescription: what it says, and its one state machine.

use super::{
    AushadhaKala, Circumstances, Condition, Course, Decision, Form, ItemCode, Mode, OverrideReason, Person, Pregnancy,
    RevokeReason, Rule, Subject, UnknownWord, VisitKind,
};
use amrutam_kernel::{ConsultationId, DoctorId, PrescriptionId, Sensitive};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A diagnosis: the text always, a code only when it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagnosis {
    /// In words.
    pub text: String,
    /// Yet to be made sure of.
    #[serde(default)]
    pub provisional: bool,
    /// National AYUSH Morbidity and Standardized Terminologies code.
    #[serde(default)]
    pub namaste_code: Option<String>,
    /// ICD-11, Traditional Medicine Module 2.
    #[serde(default)]
    pub icd11_tm2_code: Option<String>,
}

impl Diagnosis {
    /// For telling follow-ups from first visits.
    pub fn condition(&self) -> Condition {
        Condition::of(self.namaste_code.as_deref().unwrap_or(&self.text))
    }
}

/// What an Ayurvedic examination adds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AyurvedicFindings {
    /// Constitution.
    pub prakriti: String,
    /// Present imbalance.
    pub vikriti: String,
    /// Digestive fire.
    pub agni: String,
    /// Nature of the bowel.
    pub koshtha: String,
    /// Causes.
    pub nidana: String,
}

/// Why a caution was weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// Which rule spoke.
    pub rule: Rule,
    /// The practitioner's answer.
    pub reason: OverrideReason,
}

/// One medicine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrescribedItem {
    /// The formulary's code, when it is of the formulary.
    #[serde(default)]
    pub code: Option<ItemCode>,
    /// Its name.
    pub name: String,
    /// Its dosage form.
    pub form: Form,
    /// Strength, or the classical text it is made after.
    pub strength: String,
    /// Dose (matra), how often, how long, how much.
    #[serde(flatten)]
    pub course: StoredCourse,
    /// When, relative to food.
    pub kala: AushadhaKala,
    /// With what it is taken.
    pub anupana: String,
    /// What is wholesome with it.
    pub pathya: String,
    /// What is to be avoided with it.
    pub apathya: String,
    /// How to take it.
    pub instructions: String,
    /// The cautions that were weighed.
    #[serde(default)]
    pub acknowledged: Vec<Acknowledgement>,
}

/// A [`Course`] as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCourse {
    /// A single dose.
    pub dose: super::Measure,
    /// How often a day.
    pub times_per_day: u8,
    /// For how many days.
    pub days: u16,
    /// How much is dispensed.
    pub quantity: super::Measure,
}

impl From<StoredCourse> for Course {
    fn from(course: StoredCourse) -> Self {
        let StoredCourse { dose, times_per_day, days, quantity } = course;
        Self { dose, times_per_day, days, quantity }
    }
}

/// What the practitioner writes. What is empty is not said; [`missing_fields`](super::missing_fields) names what must be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrescriptionContent {
    /// Where the practitioner practises.
    pub practice_address: String,
    /// How the practitioner is reached.
    pub practice_contact: String,
    /// Where the patient lives.
    pub patient_address: String,
    /// In kilograms, where relevant.
    pub weight_kg: Option<super::Amount>,
    /// In centimetres, where relevant.
    pub height_cm: Option<super::Amount>,
    /// Whether the patient is pregnant.
    pub pregnancy: Option<Pregnancy>,
    /// What the patient came for.
    pub complaint: String,
    /// Relevant history.
    pub history: String,
    /// What was found.
    pub findings: String,
    /// What could not be examined this way.
    pub findings_limits: String,
    /// Tests done or asked for.
    pub investigations: String,
    /// What it is.
    pub diagnoses: Vec<Diagnosis>,
    /// The Ayurvedic examination.
    pub ayurveda: AyurvedicFindings,
    /// The medicines.
    pub items: Vec<PrescribedItem>,
    /// Diet, habits, warnings.
    pub advice: String,
    /// When to come again.
    pub follow_up_on: Option<Date>,
    /// To whom else.
    pub referral: String,
    /// The cautions about the whole that were weighed.
    pub acknowledged: Vec<Acknowledgement>,
}

impl PrescriptionContent {
    /// Whether anything is diagnosed.
    pub fn is_diagnosed(&self) -> bool {
        self.diagnoses.iter().any(|diagnosis| !diagnosis.text.trim().is_empty())
    }
}

/// The secret that a QR code carries and the public verification asks for: 26 of Crockford's base 32, 130 bits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerifyCode(String);

impl VerifyCode {
    const LENGTH: usize = 26;
    const ALPHABET: &'static [u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    /// From random bytes.
    pub fn from_random(bytes: [u8; 26]) -> Self {
        let letter = |byte: u8| Self::ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or(b'0');
        Self(bytes.iter().map(|byte| char::from(letter(*byte))).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256, under which it is found; the code itself is stored sealed.
    pub fn digest(&self) -> [u8; 32] {
        use sha2::{Digest, Sha256};
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for VerifyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyCode(..)")
    }
}

impl FromStr for VerifyCode {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let known = text.len() == Self::LENGTH && text.bytes().all(|byte| Self::ALPHABET.contains(&byte));
        if known { Ok(Self(text.to_owned())) } else { Err(UnknownWord("verification code")) }
    }
}

/// What a prescription says of its practitioner: as they were when they signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signatory {
    /// With title.
    pub name: String,
    /// Degrees.
    pub qualifications: Vec<String>,
    /// The registering council.
    pub council: String,
    /// Its number.
    pub registration: String,
    /// What they practise.
    pub system: super::System,
}

/// Everything that signing fixes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedFacts {
    /// When.
    pub signed_at: Timestamp,
    /// Who signed.
    pub signatory: Signatory,
    /// For whom.
    pub person: Person,
    /// The patient's age at the visit, in years.
    pub age_years: u16,
    /// When the visit began.
    pub visit_started_at: Timestamp,
    /// How the visit was held.
    pub mode: Mode,
    /// First or follow-up.
    pub kind: VisitKind,
    /// The rules that decided.
    pub ruleset: String,
    /// The formulary that was asked.
    pub formulary: String,
    /// What was decided of each item.
    pub decisions: Vec<Decision>,
    /// What the QR code carries for the online check.
    pub verify_code: String,
    /// SHA-256 in hex of what was signed, as it was written then: what is read back may be written in another way some day.
    pub content_sha256: String,
    /// For the offline check: a compact JWS over ids and that digest.
    pub jws: String,
}

/// Where a prescription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrescriptionStatus {
    /// Its author's alone; may change.
    Draft,
    /// In force, and never changed again.
    Signed,
    /// Another version is in force instead.
    Superseded,
    /// Taken back.
    Revoked,
}

impl PrescriptionStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Draft, Self::Signed, Self::Superseded, Self::Revoked];

    /// The word stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Signed => "signed",
            Self::Superseded => "superseded",
            Self::Revoked => "revoked",
        }
    }

    /// The arrows; there are no others.
    pub const fn can_become(self, to: Self) -> bool {
        matches!((self, to), (Self::Draft, Self::Signed) | (Self::Signed, Self::Superseded | Self::Revoked))
    }
}

impl fmt::Display for PrescriptionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PrescriptionStatus {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|status| status.as_str() == word).ok_or(UnknownWord("status of a prescription"))
    }
}

/// The state machine has no such arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a prescription that is {from} can't become {to}")]
pub struct InvalidChange {
    /// Where it stands.
    pub from: PrescriptionStatus,
    /// Where the act would lead.
    pub to: PrescriptionStatus,
}

/// What became of the printed document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentState {
    /// Not made yet, after so many tries.
    Awaited {
        /// Tries that failed.
        failures: u32,
    },
    /// Made; these are its bytes' SHA-256.
    Issued {
        /// SHA-256.
        sha256: [u8; 32],
        /// When.
        at: Timestamp,
    },
    /// Given to a person to look at.
    InReview,
}

/// A step of the one state machine.
#[derive(Debug, Clone)]
pub enum Change {
    /// The practitioner signs.
    Sign(Box<SignedFacts>),
    /// Another version was signed.
    Supersede,
    /// The practitioner takes it back.
    Revoke(RevokeReason),
}

/// One version of a visit's prescription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prescription {
    /// Its id.
    pub id: PrescriptionId,
    /// Of which visit.
    pub consultation: ConsultationId,
    /// Whose record it goes to.
    pub subject: Subject,
    /// Its author.
    pub doctor: DoctorId,
    /// Counts the visit's versions from 1.
    pub number: u32,
    /// Where it stands.
    pub status: PrescriptionStatus,
    /// What it says.
    pub content: Sensitive<PrescriptionContent>,
    /// What signing fixed.
    pub signed: Option<Sensitive<SignedFacts>>,
    /// Under which it is verified; SHA-256 of the code.
    pub code_digest: Option<[u8; 32]>,
    /// Why and when it was taken back.
    pub revoked: Option<(RevokeReason, Timestamp)>,
    /// Its document.
    pub document: DocumentState,
    /// Last change.
    pub updated_at: Timestamp,
    /// Rises by one with every change; with the number it is the [`PrescriptionTag`](super::PrescriptionTag).
    pub version: i64,
}

impl Prescription {
    /// The one transition function.
    pub fn change(&self, change: Change, now: Timestamp) -> Result<Self, InvalidChange> {
        let to = match &change {
            Change::Sign(_) => PrescriptionStatus::Signed,
            Change::Supersede => PrescriptionStatus::Superseded,
            Change::Revoke(_) => PrescriptionStatus::Revoked,
        };
        if !self.status.can_become(to) {
            return Err(InvalidChange { from: self.status, to });
        }
        let mut next = Self { status: to, updated_at: now, version: self.version + 1, ..self.clone() };
        match change {
            Change::Sign(facts) => {
                next.code_digest = facts.verify_code.parse().ok().map(|code: VerifyCode| code.digest());
                next.signed = Some(Sensitive::new(*facts));
            }
            Change::Revoke(reason) => next.revoked = Some((reason, now)),
            Change::Supersede => {}
        }
        Ok(next)
    }

    /// What it is for.
    pub fn conditions(&self) -> Vec<Condition> {
        let diagnoses = self.content.expose().diagnoses.iter();
        diagnoses.filter(|one| !one.text.trim().is_empty()).map(Diagnosis::condition).collect()
    }

    /// A draft with other content.
    pub fn rewritten(&self, content: PrescriptionContent, now: Timestamp) -> Result<Self, InvalidChange> {
        if self.status != PrescriptionStatus::Draft {
            return Err(InvalidChange { from: self.status, to: PrescriptionStatus::Draft });
        }
        Ok(Self { content: Sensitive::new(content), updated_at: now, version: self.version + 1, ..self.clone() })
    }
}

/// Under what circumstances an item of `content` is decided upon.
pub fn circumstances(
    content: &PrescriptionContent,
    mode: Mode,
    visit: VisitKind,
    age_years: Option<u16>,
    sex: Option<super::Sex>,
    system: super::System,
) -> Circumstances {
    // What is not said is not known, but of a man.
    let unsaid = if sex == Some(super::Sex::Male) { Pregnancy::No } else { Pregnancy::Unknown };
    let pregnancy = content.pregnancy.unwrap_or(unsaid);
    Circumstances { mode, visit, age_years, pregnancy, system, diagnosed: content.is_diagnosed() }
}
