//! Notes of a visit: SOAP, and what an Ayurvedic examination adds. Every version is kept; after the visit there are addenda only.

use super::{AyurvedicFindings, Condition, Diagnosis, Subject, VisitStatus};
use amrutam_kernel::{ConsultationId, Sensitive};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is written. What is empty is not said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoteContent {
    /// What the patient says.
    pub subjective: String,
    /// What is found.
    pub objective: String,
    /// What it is taken for.
    pub assessment: String,
    /// What is done.
    pub plan: String,
    /// The Ayurvedic examination.
    pub ayurveda: AyurvedicFindings,
    /// The eightfold examination (ashtavidha pariksha): pulse, urine, stool, tongue, voice, touch, eyes, build.
    pub ashtavidha_pariksha: String,
    /// Stages of the disease (samprapti).
    pub samprapti: String,
    /// What it is.
    pub diagnoses: Vec<Diagnosis>,
    /// The practitioner's word that this is to be treated as a first visit although it continues an earlier one.
    pub treat_as_first_visit: bool,
}

/// Something added after the visit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addendum {
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: String,
}

/// The notes of a visit, in one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Of which visit.
    pub consultation: ConsultationId,
    /// Whose record it goes to.
    pub subject: Subject,
    /// What is written.
    pub content: Sensitive<NoteContent>,
    /// What was added after the visit.
    pub addenda: Sensitive<Vec<Addendum>>,
    /// When this version was written.
    pub written_at: Timestamp,
    /// From 1; the `ETag`.
    pub version: i64,
}

/// Why notes are not written now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteRefusal {
    /// The visit has not begun.
    #[error("the visit has not begun")]
    NotBegun,
    /// It is over: what is written stays, and addenda are made.
    #[error("the visit is over: make an addendum")]
    Closed,
    /// It is under way: addenda come after it.
    #[error("the visit is under way: write the note itself")]
    Open,
}

impl Note {
    /// The version after `before` with other content, while the visit is under way.
    pub fn write(
        before: Option<&Self>,
        visit: &super::Visit,
        content: NoteContent,
        now: Timestamp,
    ) -> Result<Self, NoteRefusal> {
        match visit.status {
            VisitStatus::InProgress => {}
            VisitStatus::Completed => return Err(NoteRefusal::Closed),
            VisitStatus::Confirmed | VisitStatus::Other => return Err(NoteRefusal::NotBegun),
        }
        Ok(Self {
            consultation: visit.id,
            subject: visit.subject,
            content: Sensitive::new(content),
            addenda: Sensitive::new(Vec::new()),
            written_at: now,
            version: before.map_or(0, |note| note.version) + 1,
        })
    }

    /// The version after `before` with something added, once the visit is over.
    pub fn add(before: Option<&Self>, visit: &super::Visit, text: String, now: Timestamp) -> Result<Self, NoteRefusal> {
        match visit.status {
            VisitStatus::Completed => {}
            VisitStatus::InProgress => return Err(NoteRefusal::Open),
            VisitStatus::Confirmed | VisitStatus::Other => return Err(NoteRefusal::NotBegun),
        }
        let mut addenda = before.map(|note| note.addenda.expose().clone()).unwrap_or_default();
        addenda.push(Addendum { at: now, text });
        Ok(Self {
            consultation: visit.id,
            subject: visit.subject,
            content: before.map_or_else(Sensitive::default, |note| note.content.clone()),
            addenda: Sensitive::new(addenda),
            written_at: now,
            version: before.map_or(0, |note| note.version) + 1,
        })
    }

    /// What the visit was for, as far as it says.
    pub fn conditions(&self) -> Vec<Condition> {
        let diagnoses = self.content.expose().diagnoses.iter();
        diagnoses.filter(|one| !one.text.trim().is_empty()).map(Diagnosis::condition).collect()
    }
}
