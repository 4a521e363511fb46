//! What the clinical domain says, as the API says it.

use super::{
    Code, FieldError, Problem,
    mapping::{contended, replay_lost},
};
use crate::http::{Attempt, rfc3339};
use amrutam_clinical::{
    ClinicalError, Objection,
    model::{AdmissionRefusal, ConsentRefusal, DependantRefusal, InvalidChange, Missing, NoShowRefusal},
};

impl From<ClinicalError> for Problem {
    fn from(error: ClinicalError) -> Self {
        match error {
            ClinicalError::NotFound => Code::NotFound.into(),
            ClinicalError::Denied(denial) => denial.into(),
            ClinicalError::Precondition => Code::PreconditionFailed.into(),
            ClinicalError::PreconditionRequired => Code::PreconditionRequired.into(),
            ClinicalError::Note(refusal) => Self::new(Code::NoteNotOpen).detail(refusal.to_string()),
            ClinicalError::Consent(refusal) => refusal.into(),
            ClinicalError::IncompleteGuardian => Self::new(Code::ValidationFailed).detail(error.to_string()),
            ClinicalError::Admission(refusal) => refusal.into(),
            ClinicalError::NoShow(refusal) => refusal.into(),
            ClinicalError::Dependant(refusal) => refusal.into(),
            ClinicalError::AlreadyAnswered => replay_lost(),
            ClinicalError::TooEarly { from } => {
                Self::new(Code::TooEarly).detail(error.to_string()).member("possible_from", rfc3339(from))
            }
            ClinicalError::VisitClosed => Code::VisitClosed.into(),
            ClinicalError::Change(change) => change.into(),
            ClinicalError::Incomplete(missing) => incomplete(missing),
            ClinicalError::Objections(objections) => refused(objections),
            ClinicalError::UnknownItem { index } => {
                Self::new(Code::UnknownFormularyItem).at(format!("/items/{index}/code"))
            }
            ClinicalError::DocumentAwaited => Self::new(Code::DocumentNotReady).retry_after(2),
            ClinicalError::Contended => contended(),
            ClinicalError::Port(error) => error.into(),
        }
    }
}

impl From<ConsentRefusal> for Problem {
    fn from(refusal: ConsentRefusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            ConsentRefusal::NoticeOutdated => Self::new(Code::NoticeOutdated).detail(detail),
            ConsentRefusal::EvidenceRequired => Self::new(Code::ConsentEvidenceRequired).detail(detail).at("/evidence"),
            ConsentRefusal::NotToBeStated => Self::new(Code::ValidationFailed).detail(detail).at("/method"),
        }
    }
}

impl From<AdmissionRefusal> for Problem {
    fn from(refusal: AdmissionRefusal) -> Self {
        let code = match refusal {
            AdmissionRefusal::GuardianRequired => Code::GuardianRequired,
            AdmissionRefusal::ConsentWithdrawn => Code::ConsentWithdrawn,
            AdmissionRefusal::NoEarlierVisit => Code::NoEarlierVisit,
        };
        Self::new(code).detail(refusal.to_string())
    }
}

impl From<ClinicalError> for Attempt {
    fn from(error: ClinicalError) -> Self {
        match error {
            ClinicalError::AlreadyAnswered => Self::Answered,
            error => Self::Refused(error.into()),
        }
    }
}

impl From<DependantRefusal> for Problem {
    fn from(refusal: DependantRefusal) -> Self {
        let code = match refusal {
            DependantRefusal::TooMany => Code::TooManyDependants,
            DependantRefusal::VisitAhead => Code::DependantHasVisits,
        };
        Self::new(code).detail(refusal.to_string())
    }
}

impl From<NoShowRefusal> for Problem {
    fn from(refusal: NoShowRefusal) -> Self {
        let code = match refusal {
            NoShowRefusal::OtherSidePresent => Code::OtherSidePresent,
            NoShowRefusal::NotThereYourself => Code::NotCheckedIn,
            NoShowRefusal::TooEarly => Code::TooEarly,
        };
        Self::new(code).detail(refusal.to_string())
    }
}

impl From<InvalidChange> for Problem {
    fn from(change: InvalidChange) -> Self {
        Self::new(Code::InvalidTransition)
            .detail(change.to_string())
            .member("from", change.from.as_str())
            .member("to", change.to.as_str())
    }
}

fn incomplete(missing: Vec<Missing>) -> Problem {
    let errors = missing.into_iter().map(|one| FieldError {
        pointer: one.field,
        location: None,
        code: "missing".into(),
        detail: one.what.into(),
    });
    Problem::new(Code::PrescriptionIncomplete).errors(errors.collect())
}

fn refused(objections: Vec<Objection>) -> Problem {
    let errors = objections.into_iter().map(|one| {
        let answer = if one.answerable { " (acknowledge it with a reason)" } else { "" };
        FieldError {
            pointer: one.pointer,
            location: None,
            code: one.rule.as_str().into(),
            detail: format!("{}{answer}. {}", one.reason, one.source).into(),
        }
    });
    Problem::new(Code::PrescriptionRefused).errors(errors.collect())
}
