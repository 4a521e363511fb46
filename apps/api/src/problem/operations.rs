//! What the operations domain says, as what the API says. Exhaustive, like its neighbours.

use super::{
    Code, Problem,
    mapping::{contended, replay_lost},
};
use crate::http::Attempt;
use amrutam_operations::{
    LetterError, ReviewError,
    model::{InvalidTransition, ReviewRefusal, ReviewState},
};

impl From<InvalidTransition> for Problem {
    fn from(transition: InvalidTransition) -> Self {
        Self::new(Code::InvalidTransition)
            .detail(transition.to_string())
            .member("from", transition.from.as_str())
            .member("to", transition.to.as_str())
    }
}

impl From<LetterError> for Problem {
    fn from(error: LetterError) -> Self {
        match error {
            LetterError::NotFound => Code::NotFound.into(),
            LetterError::Denied(denial) => denial.into(),
            LetterError::InvalidTransition(transition) => transition.into(),
            LetterError::Unreadable => Self::new(Code::NotRequeueable).detail(LetterError::Unreadable.to_string()),
            LetterError::Replay(_) => replay_lost(),
            LetterError::KeyReused => Code::IdempotencyKeyReused.into(),
            LetterError::Contended => contended(),
            LetterError::Port(error) => error.into(),
        }
    }
}

impl From<ReviewRefusal> for Problem {
    fn from(refusal: ReviewRefusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            ReviewRefusal::Resolved => {
                let resolved = ReviewState::Resolved.as_str();
                Self::new(Code::InvalidTransition).detail(text).member("from", resolved).member("to", resolved)
            }
            ReviewRefusal::NotOffered { offered } => {
                let words: Vec<_> = offered.iter().map(amrutam_operations::model::Code::as_str).collect();
                Self::new(Code::ChoiceNotOffered).detail(format!("one of {}", words.join(", "))).at("/choice")
            }
            ReviewRefusal::OwnApproval => Self::new(Code::OwnApproval).detail(text),
        }
    }
}

impl From<ReviewError> for Problem {
    fn from(error: ReviewError) -> Self {
        match error {
            ReviewError::NotFound => Code::NotFound.into(),
            ReviewError::Denied(denial) => denial.into(),
            ReviewError::Refused(refusal) => refusal.into(),
            ReviewError::Replay(_) => replay_lost(),
            ReviewError::KeyReused => Code::IdempotencyKeyReused.into(),
            ReviewError::Contended => contended(),
            ReviewError::Port(error) => error.into(),
        }
    }
}

impl From<LetterError> for Attempt {
    fn from(error: LetterError) -> Self {
        match error {
            LetterError::Replay(answer) => Self::Replayed(answer),
            other => Self::Refused(other.into()),
        }
    }
}

impl From<ReviewError> for Attempt {
    fn from(error: ReviewError) -> Self {
        match error {
            ReviewError::Replay(answer) => Self::Replayed(answer),
            other => Self::Refused(other.into()),
        }
    }
}
