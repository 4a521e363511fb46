//! From what the domains say to what the API says: the one place, exhaustive, so that a new refusal does not compile until
//! it has an answer.

use super::{Code, FieldError, Problem};
use crate::http::{Attempt, rfc3339};
use amrutam_booking::{
    AvailabilityError, BookError, ConsultationError, DirectoryError, RescheduleError,
    model::{BookingRefusal, InvalidPractitioner, InvalidRules, InvalidTransition, TimingRefusal},
};
use amrutam_kernel::PortError;

/// Long enough for a breaker's probe or a reconnection, short enough for a person who waits.
const RETRY_SECONDS: u32 = 1;

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        match &error {
            PortError::Unavailable { dependency, reason } => Self::new(Code::DependencyUnavailable)
                .detail(format!("the {dependency} is unavailable; try again shortly"))
                .retry_after(RETRY_SECONDS)
                .because(format_args!("{error}: {reason}")),
            PortError::Defect { reason, .. } => Self::internal(format_args!("{error}: {reason}")),
        }
    }
}

pub(super) fn contended() -> Problem {
    Problem::new(Code::Contended).detail("too many changes at once; try again shortly").retry_after(RETRY_SECONDS)
}

pub(super) fn replay_lost() -> Problem {
    Problem::internal("an answer to be replayed was treated as an error")
}

/// Where in the body the values stand that a slot's refusal is about.
struct Pointers {
    doctor: &'static str,
    mode: &'static str,
}

fn refusal(refusal: BookingRefusal, pointers: &Pointers) -> Problem {
    let (code, pointer) = match refusal {
        BookingRefusal::UnknownSlot => (Code::UnknownSlot, Some("/slot_id")),
        BookingRefusal::SlotOfAnotherDoctor => (Code::SlotOfAnotherDoctor, Some(pointers.doctor)),
        BookingRefusal::SlotInThePast => (Code::SlotInPast, Some("/slot_id")),
        BookingRefusal::ModeNotOffered => (Code::ModeNotOffered, Some(pointers.mode)),
        BookingRefusal::UnknownDependent => (Code::UnknownDependent, Some("/for_dependent")),
        BookingRefusal::SlotUnavailable => (Code::SlotUnavailable, None),
        BookingRefusal::DoctorNotAvailable => (Code::DoctorNotAvailable, None),
        BookingRefusal::OverlappingConsultation => (Code::OverlappingConsultation, None),
        BookingRefusal::TooManyUnpaidHolds => (Code::TooManyUnpaidHolds, None),
    };
    let problem = Problem::new(code).detail(refusal.to_string());
    match pointer {
        Some(pointer) => problem.at(pointer),
        None => problem,
    }
}

impl From<BookError> for Problem {
    fn from(error: BookError) -> Self {
        match error {
            BookError::Denied(denial) => denial.into(),
            BookError::Refused(refused) => refusal(refused, &Pointers { doctor: "/doctor_id", mode: "/mode" }),
            BookError::Replay(_) => replay_lost(),
            BookError::KeyReused => Code::IdempotencyKeyReused.into(),
            BookError::Contended => contended(),
            BookError::Port(error) => error.into(),
        }
    }
}

impl From<RescheduleError> for Problem {
    fn from(error: RescheduleError) -> Self {
        match error {
            RescheduleError::Consultation(error) => error.into(),
            RescheduleError::Refused(refused) => refusal(refused, &Pointers { doctor: "/slot_id", mode: "/slot_id" }),
        }
    }
}

impl From<ConsultationError> for Problem {
    fn from(error: ConsultationError) -> Self {
        match error {
            ConsultationError::NotFound => Code::NotFound.into(),
            ConsultationError::Denied(denial) => denial.into(),
            ConsultationError::InvalidTransition(transition) => transition.into(),
            ConsultationError::Timing(refusal) => refusal.into(),
            ConsultationError::SameMode => Self::new(Code::SameMode).detail(error.to_string()),
            ConsultationError::ReasonNotYours => Self::new(Code::ReasonNotAllowed).at("/reason"),
            ConsultationError::Replay(_) => replay_lost(),
            ConsultationError::KeyReused => Code::IdempotencyKeyReused.into(),
            ConsultationError::Contended => contended(),
            ConsultationError::Port(error) => error.into(),
        }
    }
}

impl From<InvalidTransition> for Problem {
    fn from(transition: InvalidTransition) -> Self {
        let detail = if transition.from == transition.to {
            format!("not possible for a consultation that is {}", transition.from)
        } else {
            transition.to_string()
        };
        Self::new(Code::InvalidTransition)
            .detail(detail)
            .member("from", transition.from.as_str())
            .member("to", transition.to.as_str())
    }
}

impl From<TimingRefusal> for Problem {
    fn from(refusal: TimingRefusal) -> Self {
        match refusal {
            TimingRefusal::TooEarly { from } => {
                Self::new(Code::TooEarly).detail(refusal.to_string()).member("possible_from", rfc3339(from))
            }
            TimingRefusal::TooLate { until } => {
                Self::new(Code::TooLate).detail(refusal.to_string()).member("possible_until", rfc3339(until))
            }
        }
    }
}

impl From<InvalidPractitioner> for Problem {
    fn from(invalid: InvalidPractitioner) -> Self {
        Self::new(Code::ValidationFailed).error(FieldError {
            pointer: format!("/{}", invalid.field),
            location: None,
            code: "invalid".into(),
            detail: invalid.problem.into(),
        })
    }
}

impl From<InvalidRules> for Problem {
    fn from(invalid: InvalidRules) -> Self {
        let errors = invalid.problems.iter().map(|problem| FieldError {
            // A problem of the list as a whole names no field.
            pointer: if problem.field.is_empty() {
                "/rules".to_owned()
            } else {
                format!("/rules/{}/{}", problem.index, problem.field)
            },
            location: None,
            code: problem.code.into(),
            detail: problem.detail.into(),
        });
        Self::new(Code::ValidationFailed).errors(errors.collect())
    }
}

impl From<DirectoryError> for Problem {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::NotFound => Code::NotFound.into(),
            DirectoryError::Denied(denial) => denial.into(),
            DirectoryError::Invalid(invalid) => invalid.into(),
            DirectoryError::NotADoctorsAccount => Self::new(Code::NotADoctorsAccount).at("/account_id"),
            DirectoryError::ProfileExists => Code::ProfileExists.into(),
            DirectoryError::RegistrationTaken => Code::RegistrationTaken.into(),
            DirectoryError::InvalidStatus { from, to } => Self::new(Code::InvalidTransition)
                .detail(format!("a doctor who is {from} can't become {to}"))
                .member("from", from)
                .member("to", to),
            DirectoryError::AccountClosed => {
                Self::new(Code::InvalidTransition).detail("the doctor's account is closed").member("to", "listed")
            }
            DirectoryError::RegistrationNotValid => Code::RegistrationNotValid.into(),
            DirectoryError::Precondition => Code::PreconditionFailed.into(),
            DirectoryError::Contended => contended(),
            DirectoryError::AlreadyAnswered => replay_lost(),
            DirectoryError::Port(error) => error.into(),
        }
    }
}

impl From<AvailabilityError> for Problem {
    fn from(error: AvailabilityError) -> Self {
        match error {
            AvailabilityError::NotFound => Code::NotFound.into(),
            AvailabilityError::Denied(denial) => denial.into(),
            AvailabilityError::Invalid(invalid) => invalid.into(),
            AvailabilityError::Precondition => Code::PreconditionFailed.into(),
            AvailabilityError::AlreadyAnswered => replay_lost(),
            AvailabilityError::Contended => contended(),
            AvailabilityError::Port(error) => error.into(),
        }
    }
}

impl From<BookError> for Attempt {
    fn from(error: BookError) -> Self {
        match error {
            BookError::Replay(answer) => Self::Replayed(answer),
            other => Self::Refused(other.into()),
        }
    }
}

impl From<ConsultationError> for Attempt {
    fn from(error: ConsultationError) -> Self {
        match error {
            ConsultationError::Replay(answer) => Self::Replayed(answer),
            other => Self::Refused(other.into()),
        }
    }
}

impl From<RescheduleError> for Attempt {
    fn from(error: RescheduleError) -> Self {
        match error {
            RescheduleError::Consultation(error) => error.into(),
            other @ RescheduleError::Refused(_) => Self::Refused(other.into()),
        }
    }
}

impl From<DirectoryError> for Attempt {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::AlreadyAnswered => Self::Answered,
            other => Self::Refused(other.into()),
        }
    }
}

impl From<AvailabilityError> for Attempt {
    fn from(error: AvailabilityError) -> Self {
        match error {
            AvailabilityError::AlreadyAnswered => Self::Answered,
            other => Self::Refused(other.into()),
        }
    }
}
