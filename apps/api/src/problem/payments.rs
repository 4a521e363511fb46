//! From what the payments domain says to what the API says.

use super::{
    Code, Problem,
    mapping::{contended, replay_lost},
};
use crate::http::Attempt;
use amrutam_payments::{NewsError, PaymentError, ports::WebhookError};

impl From<PaymentError> for Problem {
    fn from(error: PaymentError) -> Self {
        match error {
            PaymentError::NotFound => Code::NotFound.into(),
            PaymentError::Denied(denial) => denial.into(),
            PaymentError::InvalidTransition(transition) => Self::new(Code::InvalidTransition)
                .detail(transition.to_string())
                .member("from", transition.from.as_str())
                .member("to", transition.to.as_str()),
            PaymentError::HoldEnded => Code::HoldEnded.into(),
            PaymentError::NotCancellable => Code::NotCancellable.into(),
            PaymentError::Replay(_) => replay_lost(),
            PaymentError::KeyReused => Code::IdempotencyKeyReused.into(),
            PaymentError::Contended => contended(),
            PaymentError::Port(error) => error.into(),
        }
    }
}

impl From<PaymentError> for Attempt {
    fn from(error: PaymentError) -> Self {
        match error {
            PaymentError::Replay(answer) => Self::Replayed(answer),
            other => Self::Refused(other.into()),
        }
    }
}

impl From<NewsError> for Problem {
    fn from(error: NewsError) -> Self {
        match error {
            NewsError::Malformed(_) => Self::new(Code::MalformedBody).detail("the notification makes no sense"),
            NewsError::Contended => contended(),
            NewsError::Port(error) => error.into(),
        }
    }
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        match error {
            // The same for all, so that nobody learns how far a forgery came.
            WebhookError::BadSignature | WebhookError::Stale => {
                Self::new(Code::InvalidSignature).detail("no notification of a gateway of ours, or too old")
            }
            WebhookError::Malformed => Self::new(Code::MalformedBody).detail("the notification makes no sense"),
        }
    }
}
