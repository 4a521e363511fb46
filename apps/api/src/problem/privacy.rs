//! What the privacy domain says, as the API says it.

use super::{Code, Problem, mapping::replay_lost};
use crate::http::{Attempt, rfc3339};
use amrutam_privacy::{EraseError, ErasureReadError, ExportError};

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::NotFound => Code::NotFound.into(),
            ExportError::Denied(denial) => denial.into(),
            ExportError::NotReady => Self::new(Code::ExportNotReady).retry_after(2),
            ExportError::Gone => Code::ExportGone.into(),
            ExportError::Replay(_) | ExportError::AlreadyAnswered => replay_lost(),
            ExportError::KeyReused => Code::IdempotencyKeyReused.into(),
            ExportError::Port(error) => error.into(),
        }
    }
}

impl From<ExportError> for Attempt {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Replay(answer) => Self::Replayed(answer),
            ExportError::AlreadyAnswered => Self::Answered,
            other => Self::Refused(other.into()),
        }
    }
}

impl From<EraseError> for Problem {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::Denied(denial) => denial.into(),
            EraseError::WrongPassword => Self::new(Code::WrongPassword).at("/password"),
            EraseError::UnderWay(under_way) => Self::new(Code::VisitUnderWay)
                .detail(under_way.to_string())
                .member("possible_from", rfc3339(under_way.until)),
            EraseError::Port(error) => error.into(),
        }
    }
}

impl From<ErasureReadError> for Problem {
    fn from(error: ErasureReadError) -> Self {
        match error {
            ErasureReadError::NotFound => Code::NotFound.into(),
            ErasureReadError::Denied(denial) => denial.into(),
            ErasureReadError::Port(error) => error.into(),
        }
    }
}
