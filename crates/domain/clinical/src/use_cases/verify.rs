//! Anybody who holds a prescription verifies it.

use super::Deps;
use crate::{
    ClinicalError,
    model::{DocumentState, PrescribedItem, Prescription, PrescriptionStatus, Signatory, VerifyCode},
};
use amrutam_kernel::{Context, Outcome, Personal, PrescriptionId, RecordRef};
use jiff::Timestamp;

/// What a pharmacist needs to hold against the paper, and no more of the patient than initials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Which.
    pub prescription: PrescriptionId,
    /// Signed, superseded or revoked.
    pub status: PrescriptionStatus,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// By whom.
    pub signatory: Signatory,
    /// The patient's initials.
    pub initials: String,
    /// The medicines: name, form, strength, quantity.
    pub items: Vec<PrescribedItem>,
    /// SHA-256 of the signed content, as the QR code's signature covers it.
    pub content_sha256: String,
    /// SHA-256 of the document, once it is made.
    pub document_sha256: Option<[u8; 32]>,
}

/// One in somebody's hand: of several of one visit the record says which.
struct Held(Prescription);

impl Personal for Held {
    fn records(&self) -> Vec<RecordRef> {
        vec![RecordRef { kind: "prescription", id: self.0.id.to_string() }]
    }
}

/// The prescription of that code. The look is on the record.
pub async fn verify(deps: Deps<'_>, context: &Context, code: &VerifyCode) -> Result<Verified, ClinicalError> {
    let (found, now) = (deps.store.by_code(code.digest()).await?, deps.clock.now());
    let entry = |found: &Held| {
        let (of, patient) = (("prescription", found.0.id.to_string()), Some(found.0.subject.keeper()));
        deps.entry(context, "prescription.verify", of, patient, Outcome::Allowed, now)
    };
    let found = found.some().ok_or(ClinicalError::NotFound)?.map(Held);
    let entries = vec![found.judge(entry)];
    let Held(found) = deps.show(found, entries).await?;
    let facts = found.signed.as_ref().ok_or(ClinicalError::NotFound)?.expose();
    let initials = facts.person.name.split_whitespace().filter_map(|word| word.chars().next());
    Ok(Verified {
        prescription: found.id,
        status: found.status,
        signed_at: facts.signed_at,
        signatory: facts.signatory.clone(),
        initials: initials.map(|letter| format!("{letter}.")).collect(),
        items: found.content.expose().items.clone(),
        content_sha256: facts.content_sha256.clone(),
        document_sha256: match found.document {
            DocumentState::Issued { sha256, .. } => Some(sha256),
            DocumentState::Awaited { .. } | DocumentState::InReview => None,
        },
    })
}
