//! The rows of the clinical record, between their sealed form and the domain's values.

use crate::{
    dependants::DependantRow,
    effects::{EffectRows, hex, unhex},
    error::unreadable,
    vault::{Unopened, Vault, unless_erased},
};
use amrutam_clinical::{
    model::{
        Addendum, Consent, ConsentDecision, ConsentMethod, ConsentPurpose, DocumentState, Guardian, Mode, Note,
        NoteContent, Person, Practitioner, Prescription, PrescriptionContent, PrescriptionStatus, RevokeReason, Side,
        SignedFacts, Subject, System, Visit, VisitStatus,
    },
    ports::{ClinicalChanges, Document, RecordedGuardian},
};
use amrutam_kernel::{
    AccountId, ConsentId, ConsultationId, DependantId, DoctorId, PortError, PrescriptionId, SealPlace, Sensitive,
    TimeRange,
};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// As `to_jsonb` writes a `bytea`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl TryFrom<String> for Bytes {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        text.strip_prefix("\\x").and_then(unhex).map(Self).ok_or("not a bytea")
    }
}

pub(crate) fn place(
    table: &'static str,
    column: &'static str,
    row: Uuid,
    subject: Subject,
    version: i64,
) -> SealPlace<'static> {
    SealPlace { schema: "phi", table, column, row, owner: subject.key_owner(), version }
}

pub(crate) async fn seal<T: Serialize>(vault: &Vault, place: &SealPlace<'_>, value: &T) -> Result<String, PortError> {
    let plain = serde_json::to_vec(value).map_err(|_| unreadable("a clinical value can't be written"))?;
    vault.seal(place, &plain).await
}

async fn open<T: DeserializeOwned>(vault: &Vault, place: &SealPlace<'_>, sealed: &Bytes) -> Result<T, Unopened> {
    let plain = vault.open(place, &sealed.0).await?;
    // Not the parser's own error: some repeat what they were given.
    Ok(serde_json::from_slice(&plain).map_err(|_| unreadable("what was sealed is not of its form"))?)
}

/// Whose a row is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Whose {
    patient_id: AccountId,
    dependant_id: Option<DependantId>,
}

impl From<Subject> for Whose {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::Account(account) => Self { patient_id: account, dependant_id: None },
            Subject::Dependant { keeper, dependant } => Self { patient_id: keeper, dependant_id: Some(dependant) },
        }
    }
}

impl From<Whose> for Subject {
    fn from(whose: Whose) -> Self {
        match whose.dependant_id {
            None => Self::Account(whose.patient_id),
            Some(dependant) => Self::Dependant { keeper: whose.patient_id, dependant },
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct VisitRow {
    consultation: ConsultationRow,
    doctor: DoctorRow,
    /// Who is treated, when it is not the one who booked.
    pub(crate) dependant: Option<DependantRow>,
}

#[derive(Debug, Deserialize)]
struct ConsultationRow {
    id: ConsultationId,
    patient_id: AccountId,
    dependant_id: Option<DependantId>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    mode: Mode,
    status: String,
    updated_at: Timestamp,
    version: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DoctorRow {
    id: DoctorId,
    account_id: AccountId,
    full_name: String,
    system: System,
    council: String,
    registration_number: String,
    registered_on: Option<Date>,
    valid_until: Option<Date>,
    qualifications: Vec<String>,
    status: String,
}

impl From<DoctorRow> for Practitioner {
    fn from(row: DoctorRow) -> Self {
        Self {
            id: row.id,
            account: row.account_id,
            name: row.full_name,
            qualifications: row.qualifications,
            council: row.council,
            registration: row.registration_number,
            system: row.system,
            listed: row.status == "listed",
            registered_on: row.registered_on,
            valid_until: row.valid_until,
        }
    }
}

impl VisitRow {
    pub(crate) fn subject(&self) -> Subject {
        let (patient_id, dependant_id) = (self.consultation.patient_id, self.consultation.dependant_id);
        Whose { patient_id, dependant_id }.into()
    }

    pub(crate) fn visit(self, person: Person) -> Result<Visit, PortError> {
        let subject = self.subject();
        let Self { consultation, doctor, dependant: _ } = self;
        let range = TimeRange::new(consultation.starts_at, consultation.ends_at);
        Ok(Visit {
            id: consultation.id,
            subject,
            person: Sensitive::new(person),
            practitioner: doctor.into(),
            range: range.ok_or_else(|| unreadable("a visit ends after it begins"))?,
            mode: consultation.mode,
            status: VisitStatus::from_word(&consultation.status),
            version: consultation.version,
            changed_at: consultation.updated_at,
        })
    }
}

/// What is sealed of a note.
#[derive(Debug, Serialize, Deserialize)]
struct NoteText {
    content: NoteContent,
    addenda: Vec<Addendum>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct NoteRow {
    consultation_id: ConsultationId,
    version: i64,
    #[serde(flatten)]
    whose: Whose,
    written_at: Timestamp,
    sealed: Bytes,
}

impl NoteRow {
    pub(crate) async fn open(self, vault: &Vault) -> Result<Note, Unopened> {
        let subject = self.whose.into();
        let place = place("note_versions", "sealed", self.consultation_id.as_uuid(), subject, self.version);
        let text: NoteText = open(vault, &place, &self.sealed).await?;
        Ok(Note {
            consultation: self.consultation_id,
            subject,
            content: Sensitive::new(text.content),
            addenda: Sensitive::new(text.addenda),
            written_at: self.written_at,
            version: self.version,
        })
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct ConsentRow {
    id: ConsentId,
    consultation_id: ConsultationId,
    #[serde(flatten)]
    whose: Whose,
    purpose: ConsentPurpose,
    decision: ConsentDecision,
    notice_version: String,
    method: ConsentMethod,
    evidence: Option<Bytes>,
    recorded_by: AccountId,
    at: Timestamp,
}

impl ConsentRow {
    pub(crate) async fn open(self, vault: &Vault) -> Result<Consent, PortError> {
        let subject = self.whose.into();
        let place = place("consents", "evidence", self.id.as_uuid(), subject, 1);
        let evidence = match &self.evidence {
            // What was decided is not sealed, and stays.
            Some(sealed) => unless_erased(open(vault, &place, sealed).await)?.map(Sensitive::new),
            None => None,
        };
        Ok(Consent {
            id: self.id,
            consultation: self.consultation_id,
            subject,
            purpose: self.purpose,
            decision: self.decision,
            notice_version: self.notice_version,
            method: self.method,
            evidence,
            recorded_by: self.recorded_by,
            at: self.at,
        })
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct GuardianRow {
    consultation_id: ConsultationId,
    version: i64,
    #[serde(flatten)]
    whose: Whose,
    sealed: Bytes,
}

impl GuardianRow {
    pub(crate) async fn open(self, vault: &Vault) -> Result<RecordedGuardian, Unopened> {
        let subject = self.whose.into();
        let place = place("guardians", "sealed", self.consultation_id.as_uuid(), subject, self.version);
        let guardian: Guardian = open(vault, &place, &self.sealed).await?;
        let guardian = Sensitive::new(guardian);
        Ok(RecordedGuardian { consultation: self.consultation_id, subject, guardian, version: self.version })
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct PresenceRow {
    pub(crate) side: Side,
    pub(crate) at: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PrescriptionRow {
    id: PrescriptionId,
    consultation_id: ConsultationId,
    #[serde(flatten)]
    whose: Whose,
    doctor_id: DoctorId,
    number: u32,
    status: PrescriptionStatus,
    version: i64,
    content: Bytes,
    signed: Option<Bytes>,
    code_digest: Option<Bytes>,
    revoke_reason: Option<Bytes>,
    revoked_at: Option<Timestamp>,
    document_state: String,
    document_failures: u32,
    document_sha256: Option<Bytes>,
    document_at: Option<Timestamp>,
    updated_at: Timestamp,
}

fn digest(bytes: Option<Bytes>) -> Result<Option<[u8; 32]>, PortError> {
    bytes.map(|Bytes(bytes)| bytes.try_into().map_err(|_| unreadable("a digest has 32 bytes"))).transpose()
}

impl PrescriptionRow {
    pub(crate) async fn open(self, vault: &Vault) -> Result<Prescription, Unopened> {
        let subject = self.whose.into();
        let place = |column| place("prescriptions", column, self.id.as_uuid(), subject, self.version);
        let content: PrescriptionContent = open(vault, &place("content"), &self.content).await?;
        let signed: Option<SignedFacts> = match &self.signed {
            Some(sealed) => Some(open(vault, &place("signed"), sealed).await?),
            None => None,
        };
        let reason: Option<RevokeReason> = match &self.revoke_reason {
            Some(sealed) => Some(open(vault, &place("revoke_reason"), sealed).await?),
            None => None,
        };
        let document = match (&*self.document_state, digest(self.document_sha256)?, self.document_at) {
            ("issued", Some(sha256), Some(at)) => DocumentState::Issued { sha256, at },
            ("awaited", None, _) => DocumentState::Awaited { failures: self.document_failures },
            ("in_review", None, _) => DocumentState::InReview,
            _ => return Err(unreadable("a document's state is none there is").into()),
        };
        Ok(Prescription {
            id: self.id,
            consultation: self.consultation_id,
            subject,
            doctor: self.doctor_id,
            number: self.number,
            status: self.status,
            content: Sensitive::new(content),
            signed: signed.map(Sensitive::new),
            code_digest: digest(self.code_digest)?,
            revoked: reason.zip(self.revoked_at),
            document,
            updated_at: self.updated_at,
            version: self.version,
        })
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct DocumentRow {
    prescription_id: PrescriptionId,
    consultation_id: ConsultationId,
    #[serde(flatten)]
    whose: Whose,
    sealed: Bytes,
}

impl DocumentRow {
    pub(crate) async fn open(self, vault: &Vault) -> Result<Document, Unopened> {
        let subject = self.whose.into();
        let place = place("documents", "sealed", self.prescription_id.as_uuid(), subject, 1);
        let bytes = Sensitive::new(vault.open(&place, &self.sealed.0).await?);
        Ok(Document { prescription: self.prescription_id, consultation: self.consultation_id, subject, bytes })
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct EarlierRow {
    pub(crate) consultation: ConsultationId,
    pub(crate) starts_at: Timestamp,
    pub(crate) note: Option<NoteRow>,
    pub(crate) prescriptions: Vec<PrescriptionRow>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RecordRow {
    pub(crate) consultation: ConsultationId,
    pub(crate) starts_at: Timestamp,
    pub(crate) doctor: DoctorId,
    pub(crate) doctor_account: AccountId,
    pub(crate) sharing: Option<ConsentDecision>,
    pub(crate) doctor_name: String,
    pub(crate) council: String,
    pub(crate) registration: String,
    pub(crate) note: Option<NoteRow>,
    pub(crate) summary: Option<SummaryRow>,
    pub(crate) prescriptions: Vec<PrescriptionRow>,
}

/// What the practitioner wrote at the end, as booking has sealed it.
#[derive(Debug, Deserialize)]
pub(crate) struct SummaryRow {
    consultation_id: ConsultationId,
    #[serde(flatten)]
    whose: Whose,
    sealed: Bytes,
}

impl SummaryRow {
    pub(crate) async fn open(self, vault: &Vault) -> Result<String, Unopened> {
        let place = place("visit_summaries", "sealed", self.consultation_id.as_uuid(), self.whose.into(), 1);
        vault.open_text(&place, &self.sealed.0).await
    }
}

/// The argument of `commit_clinical`.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeRows<'a> {
    based_on: Option<BasedOn>,
    notes: Vec<NewNote>,
    consents: Vec<NewConsent<'a>>,
    consents_read: Option<ConsentsRead>,
    guardians: Vec<NewGuardian>,
    presence: Vec<NewPresence>,
    prescriptions: Vec<NewPrescription>,
    documents: Vec<NewDocument>,
    effects: EffectRows<'a>,
}

#[derive(Debug, Serialize)]
struct BasedOn {
    id: ConsultationId,
    version: i64,
}

#[derive(Debug, Serialize)]
struct ConsentsRead {
    id: ConsultationId,
    count: usize,
}

#[derive(Debug, Serialize)]
struct NewNote {
    consultation_id: ConsultationId,
    version: i64,
    #[serde(flatten)]
    whose: Whose,
    written_at: Timestamp,
    sealed: String,
}

#[derive(Debug, Serialize)]
struct NewConsent<'a> {
    id: ConsentId,
    consultation_id: ConsultationId,
    #[serde(flatten)]
    whose: Whose,
    purpose: ConsentPurpose,
    decision: ConsentDecision,
    notice_version: &'a str,
    method: ConsentMethod,
    evidence: Option<String>,
    recorded_by: AccountId,
    at: Timestamp,
}

#[derive(Debug, Serialize)]
struct NewGuardian {
    consultation_id: ConsultationId,
    version: i64,
    #[serde(flatten)]
    whose: Whose,
    sealed: String,
}

#[derive(Debug, Serialize)]
struct NewPresence {
    consultation_id: ConsultationId,
    side: Side,
    at: Timestamp,
}

#[derive(Debug, Serialize)]
struct NewPrescription {
    id: PrescriptionId,
    consultation_id: ConsultationId,
    #[serde(flatten)]
    whose: Whose,
    doctor_id: DoctorId,
    number: u32,
    status: PrescriptionStatus,
    version: i64,
    content: String,
    signed: Option<String>,
    code_digest: Option<String>,
    revoke_reason: Option<String>,
    revoked_at: Option<Timestamp>,
    document_state: &'static str,
    document_failures: u32,
    document_sha256: Option<String>,
    document_at: Option<Timestamp>,
    updated_at: Timestamp,
}

#[derive(Debug, Serialize)]
struct NewDocument {
    prescription_id: PrescriptionId,
    #[serde(flatten)]
    whose: Whose,
    sealed: String,
}

impl<'a> ChangeRows<'a> {
    pub(crate) async fn of(
        changes: &'a ClinicalChanges,
        effects: EffectRows<'a>,
        vault: &Vault,
    ) -> Result<Self, PortError> {
        let mut rows = Self {
            based_on: changes.based_on.map(|(id, version)| BasedOn { id, version }),
            notes: Vec::new(),
            consents: Vec::new(),
            consents_read: changes.consents_read.map(|(id, count)| ConsentsRead { id, count }),
            guardians: Vec::new(),
            presence: Vec::new(),
            prescriptions: Vec::new(),
            documents: Vec::new(),
            effects,
        };
        if let Some(note) = &changes.note {
            rows.notes.push(NewNote::of(note, vault).await?);
        }
        for consent in &changes.consents {
            rows.consents.push(NewConsent::of(consent, vault).await?);
        }
        if let Some(guardian) = &changes.guardian {
            rows.guardians.push(NewGuardian::of(guardian, vault).await?);
        }
        if let Some((consultation_id, presence)) = changes.presence {
            rows.presence.push(NewPresence { consultation_id, side: presence.side, at: presence.at });
        }
        for prescription in &changes.prescriptions {
            rows.prescriptions.push(NewPrescription::of(prescription, vault).await?);
        }
        if let Some(document) = &changes.document {
            let place = place("documents", "sealed", document.prescription.as_uuid(), document.subject, 1);
            let sealed = vault.seal(&place, document.bytes.expose()).await?;
            let whose = document.subject.into();
            rows.documents.push(NewDocument { prescription_id: document.prescription, whose, sealed });
        }
        Ok(rows)
    }
}

impl NewNote {
    async fn of(note: &Note, vault: &Vault) -> Result<Self, PortError> {
        let place = place("note_versions", "sealed", note.consultation.as_uuid(), note.subject, note.version);
        let text = NoteText { content: note.content.expose().clone(), addenda: note.addenda.expose().clone() };
        Ok(Self {
            consultation_id: note.consultation,
            version: note.version,
            whose: note.subject.into(),
            written_at: note.written_at,
            sealed: seal(vault, &place, &text).await?,
        })
    }
}

impl<'a> NewConsent<'a> {
    async fn of(consent: &'a Consent, vault: &Vault) -> Result<Self, PortError> {
        let place = place("consents", "evidence", consent.id.as_uuid(), consent.subject, 1);
        let evidence = match &consent.evidence {
            Some(text) => Some(seal(vault, &place, text.expose()).await?),
            None => None,
        };
        Ok(Self {
            id: consent.id,
            consultation_id: consent.consultation,
            whose: consent.subject.into(),
            purpose: consent.purpose,
            decision: consent.decision,
            notice_version: &consent.notice_version,
            method: consent.method,
            evidence,
            recorded_by: consent.recorded_by,
            at: consent.at,
        })
    }
}

impl NewGuardian {
    async fn of(recorded: &RecordedGuardian, vault: &Vault) -> Result<Self, PortError> {
        let row = recorded.consultation.as_uuid();
        let place = place("guardians", "sealed", row, recorded.subject, recorded.version);
        Ok(Self {
            consultation_id: recorded.consultation,
            version: recorded.version,
            whose: recorded.subject.into(),
            sealed: seal(vault, &place, recorded.guardian.expose()).await?,
        })
    }
}

impl NewPrescription {
    async fn of(one: &Prescription, vault: &Vault) -> Result<Self, PortError> {
        let place = |column| place("prescriptions", column, one.id.as_uuid(), one.subject, one.version);
        let signed = match &one.signed {
            Some(facts) => Some(seal(vault, &place("signed"), facts.expose()).await?),
            None => None,
        };
        let revoke_reason = match &one.revoked {
            Some((reason, _)) => Some(seal(vault, &place("revoke_reason"), reason).await?),
            None => None,
        };
        let (document_state, document_failures, document) = match one.document {
            DocumentState::Awaited { failures } => ("awaited", failures, None),
            DocumentState::Issued { sha256, at } => ("issued", 0, Some((sha256, at))),
            DocumentState::InReview => ("in_review", 0, None),
        };
        let (document_sha256, document_at) = document.map(|(sha256, at)| (hex(&sha256), at)).unzip();
        Ok(Self {
            id: one.id,
            consultation_id: one.consultation,
            whose: one.subject.into(),
            doctor_id: one.doctor,
            number: one.number,
            status: one.status,
            version: one.version,
            content: seal(vault, &place("content"), one.content.expose()).await?,
            signed,
            code_digest: one.code_digest.map(|digest| hex(&digest)),
            revoke_reason,
            revoked_at: one.revoked.map(|(_, at)| at),
            document_state,
            document_failures,
            document_sha256,
            document_at,
            updated_at: one.updated_at,
        })
    }
}
