//! What the domain needs from the world. `adapters/postgres` and `adapters/memory` implement the stores and pass their contract
//! suites; what is clinical is sealed by the store that keeps it, and never leaves it in clear but through these values.

use crate::model::{
    Consent, ConsentDecision, Dependant, EarlierVisit, Formulary, Guardian, Note, Practitioner, Prescription, Presence,
    SignedFacts, StandingVisit, Subject, VerifyCode, Visit,
};
use amrutam_kernel::{
    AccountId, CommitError, ConsultationId, DependantId, DoctorId, Effects, Page, PageRequest, PortError,
    PrescriptionId, Sensitive, Unrecorded,
};
use async_trait::async_trait;
use jiff::{Timestamp, civil::Date};

/// The adult beside a minor, as recorded for a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedGuardian {
    /// Which visit.
    pub consultation: ConsultationId,
    /// Whose record it goes to.
    pub subject: Subject,
    /// The adult.
    pub guardian: Sensitive<Guardian>,
    /// Rises by one with every change.
    pub version: i64,
}

/// The printed prescription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Of which one.
    pub prescription: PrescriptionId,
    /// Of which visit.
    pub consultation: ConsultationId,
    /// Whose record it goes to.
    pub subject: Subject,
    /// PDF.
    pub bytes: Sensitive<Vec<u8>>,
}

/// Everything one use case changes: one transaction, all or nothing. Of a patient whose record is locked by an erasure nothing that
/// was said at a visit is taken: [`CommitError::Stale`].
#[derive(Debug, Clone, Default)]
pub struct ClinicalChanges {
    /// The visit that was decided on, in the version that was read. [`CommitError::Stale`] when it has changed.
    pub based_on: Option<(ConsultationId, i64)>,
    /// The next version of a note. Stale unless the stored one is `version - 1` (0 when there is none).
    pub note: Option<Note>,
    /// Consents given and withdrawn.
    pub consents: Vec<Consent>,
    /// How many consents of a visit were read, when what is said follows from them. Stale when another was recorded since.
    pub consents_read: Option<(ConsultationId, usize)>,
    /// The next version of who accompanies a minor. Stale unless the stored one is `version - 1`.
    pub guardian: Option<RecordedGuardian>,
    /// Who was seen there.
    pub presence: Option<(ConsultationId, Presence)>,
    /// Next versions of prescriptions, in this order. Stale unless the stored one is `version - 1`. A visit has at most one draft
    /// and one in force.
    pub prescriptions: Vec<Prescription>,
    /// A document, written once.
    pub document: Option<Document>,
    /// Events, audit, inbox.
    pub effects: Effects,
}

/// One visit in a patient's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordEntry {
    /// Which visit.
    pub consultation: ConsultationId,
    /// When it began.
    pub starts_at: Timestamp,
    /// With whom.
    pub doctor: DoctorId,
    /// The account that acts for them.
    pub doctor_account: AccountId,
    /// What was last said of showing it to other practitioners, as of when the rest was read.
    pub sharing: Option<ConsentDecision>,
    /// Their name.
    pub doctor_name: String,
    /// Their council and number.
    pub doctor_registration: (String, String),
    /// The last version of the notes.
    pub note: Option<Note>,
    /// Every version of the prescription that was signed.
    pub prescriptions: Vec<Prescription>,
    /// What the practitioner wrote when completing it.
    pub summary: Option<Sensitive<String>>,
    /// What was written is left out of it. A store leaves out nothing.
    pub withheld: bool,
}

impl RecordEntry {
    /// Whether a practitioner who treats the patient is shown what was written: by themself, or with the patient's consent to share it.
    pub fn is_open_to(&self, doctor_account: AccountId) -> bool {
        self.doctor_account == doctor_account || self.sharing == Some(ConsentDecision::Given)
    }

    /// Without what was written.
    #[must_use]
    pub fn withholding(self) -> Self {
        Self { note: None, prescriptions: Vec::new(), summary: None, withheld: true, ..self }
    }
}

/// A dependant, with what their removal is decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// As stored; also one who is kept no more.
    pub dependant: Dependant,
    /// Their visits in the keeper's calendar.
    pub visits: Vec<StandingVisit>,
    /// The version of that calendar; 0 when there is none.
    pub calendar: i64,
    /// Whether any visit was ever booked for them, whatever became of it.
    pub ever_booked: bool,
}

/// What changes about the people an account keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DependantChange {
    /// One more. [`CommitError::Stale`] unless the account keeps so many others.
    Added {
        /// Who.
        dependant: Dependant,
        /// How many others.
        others: usize,
    },
    /// The next version. Stale unless the stored one is `version - 1`.
    Changed(Dependant),
    /// Kept no more, in the next version. Stale unless the keeper's calendar is of that version, which rises: a booking that was decided
    /// before is decided anew.
    Removed {
        /// Who.
        dependant: Dependant,
        /// The calendar's version that was read.
        calendar: i64,
        /// No record names them: nothing is left of them but their keys, which end with the keeper's.
        forget: bool,
    },
}

/// People whom an account keeps, by when they were added.
pub type DependantPage = Page<Dependant, (Timestamp, DependantId)>;

/// Visits of a record, the latest first.
pub type RecordPage = Page<RecordEntry, (Timestamp, ConsultationId)>;

/// The people whom accounts keep. Who they are comes out [`Unrecorded`].
#[async_trait]
pub trait DependantStore: Send + Sync {
    /// One of that account's, also when it keeps them no more.
    async fn kept(&self, keeper: AccountId, id: DependantId) -> Result<Unrecorded<Option<Kept>>, PortError>;
    /// How many the account keeps now.
    async fn count_kept(&self, keeper: AccountId) -> Result<usize, PortError>;
    /// Those the account keeps now, by when they were added.
    async fn dependants(
        &self,
        keeper: AccountId,
        page: PageRequest<(Timestamp, DependantId)>,
    ) -> Result<Unrecorded<DependantPage>, PortError>;
    /// Commits a change with its effects in one transaction, or nothing.
    async fn commit_dependant(&self, change: &DependantChange, effects: &Effects) -> Result<(), CommitError>;
}

/// The clinical record, and what it is decided on. What was said at a visit comes out [`Unrecorded`]: it is on the record before it is
/// shown.
#[async_trait]
pub trait ClinicalStore: DependantStore {
    /// The visit as it is now.
    async fn visit(&self, id: ConsultationId) -> Result<Option<Visit>, PortError>;
    /// The visits of that patient with that practitioner that took place and began in `since..before`, with what they were for.
    async fn earlier_visits(
        &self,
        subject: Subject,
        doctor: DoctorId,
        since: Timestamp,
        before: Timestamp,
    ) -> Result<Unrecorded<Vec<EarlierVisit>>, PortError>;
    /// When the practitioner with that account last treated that person, or will within the day: the latest end among the visits
    /// under way, completed, or confirmed to begin before `soon` and to end after `since`.
    async fn last_treated(
        &self,
        subject: Subject,
        doctor_account: AccountId,
        since: Timestamp,
        soon: Timestamp,
    ) -> Result<Option<Timestamp>, PortError>;
    /// The practitioner with that account, whether they are listed or not.
    async fn practitioner(&self, account: AccountId) -> Result<Option<Practitioner>, PortError>;
    /// The last version of a visit's notes.
    async fn note(&self, id: ConsultationId) -> Result<Unrecorded<Option<Note>>, PortError>;
    /// A visit's consents, in the order they were recorded.
    async fn consents(&self, id: ConsultationId) -> Result<Unrecorded<Vec<Consent>>, PortError>;
    /// Who accompanies a minor.
    async fn guardian(&self, id: ConsultationId) -> Result<Unrecorded<Option<RecordedGuardian>>, PortError>;
    /// Who was seen there.
    async fn presence(&self, id: ConsultationId) -> Result<Vec<Presence>, PortError>;
    /// Every version of a visit's prescription, by number.
    async fn prescriptions(&self, id: ConsultationId) -> Result<Unrecorded<Vec<Prescription>>, PortError>;
    /// One version.
    async fn prescription(&self, id: PrescriptionId) -> Result<Unrecorded<Option<Prescription>>, PortError>;
    /// The one with that code.
    async fn by_code(&self, digest: [u8; 32]) -> Result<Unrecorded<Option<Prescription>>, PortError>;
    /// The exact bytes that were issued.
    async fn document(&self, id: PrescriptionId) -> Result<Unrecorded<Option<Document>>, PortError>;
    /// That person's visits that took place or are under way, the latest first; those of others whom the same account keeps are not
    /// among them.
    async fn records(
        &self,
        subject: Subject,
        page: PageRequest<(Timestamp, ConsultationId)>,
    ) -> Result<Unrecorded<RecordPage>, PortError>;
    /// Commits all of `changes` in one transaction, or nothing.
    async fn commit(&self, changes: &ClinicalChanges) -> Result<(), CommitError>;
}

/// What became of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// Stored.
    New,
    /// The same version with the same rows is there already.
    Known,
    /// Another formulary of that version is there: a changed one needs a version of its own.
    VersionTaken,
}

/// Versions of the formulary.
#[async_trait]
pub trait FormularyStore: Send + Sync {
    /// The version that holds on `day`: of those in force, the one that came last.
    async fn in_force(&self, day: Date) -> Result<Option<Formulary>, PortError>;
    /// Stores a version.
    async fn import(&self, formulary: &Formulary, effects: &Effects) -> Result<Imported, PortError>;
}

/// What the offline check proves: ids and a digest, nothing of the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedClaims {
    /// Which version of which prescription.
    pub prescription: PrescriptionId,
    /// Of which visit.
    pub consultation: ConsultationId,
    /// For the online check.
    pub code: VerifyCode,
    /// The practitioner's council and number.
    pub registration: (String, String),
    /// When.
    pub signed_at: Timestamp,
    /// SHA-256 of the signed content, in hex.
    pub content_sha256: String,
}

/// Signs what can be verified by whoever knows the published keys.
pub trait PrescriptionSigner: Send + Sync {
    /// A compact JWS over the claims.
    fn sign(&self, claims: &SignedClaims) -> Result<String, PortError>;
}

/// Where verification codes come from.
pub trait VerifyCodes: Send + Sync {
    /// A new one, unguessable.
    fn verify_code(&self) -> VerifyCode;
}

/// Why a document was not made. Without personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the document can't be made: {0}")]
pub struct RenderError(pub String);

/// Knows what can be printed.
pub trait Printer: Send + Sync {
    /// Whether there is a letter for every character of it.
    fn is_printable(&self, text: &str) -> bool;
}

/// Makes the printed prescription.
pub trait PrescriptionRenderer: Send + Sync {
    /// PDF of a signed one. The same prescription gives the same bytes.
    fn render(&self, prescription: &Prescription, facts: &SignedFacts) -> Result<Vec<u8>, RenderError>;
}
