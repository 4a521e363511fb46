//! One error per kind of use case, saying what the caller can do.

use crate::model::{BookingRefusal, InvalidPractitioner, InvalidRules, InvalidTransition, TimingRefusal};
use amrutam_kernel::{Denial, PortError, StoredAnswer};

/// Why nothing was booked.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The policy says no, which is on the record.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The rules refuse it; another slot may do.
    #[error(transparent)]
    Refused(#[from] BookingRefusal),
    /// Not an error to the caller: the request was answered before, and this is the answer.
    #[error("the request has been answered before")]
    Replay(StoredAnswer),
    /// The idempotency key belongs to another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The rows are being fought over; try again shortly.
    #[error("too many changes at once")]
    Contended,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why a consultation was not moved to another slot.
#[derive(Debug, thiserror::Error)]
pub enum RescheduleError {
    /// As for any act on a consultation.
    #[error(transparent)]
    Consultation(#[from] ConsultationError),
    /// The new slot can't be had.
    #[error(transparent)]
    Refused(#[from] BookingRefusal),
}

/// Why a consultation was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ConsultationError {
    /// Absent, or not this caller's to see.
    #[error("no such consultation")]
    NotFound,
    /// The policy says no, which is on the record.
    #[error(transparent)]
    Denied(Denial),
    /// The state machine has no such arrow.
    #[error(transparent)]
    InvalidTransition(#[from] InvalidTransition),
    /// Too early or too late.
    #[error(transparent)]
    Timing(#[from] TimingRefusal),
    /// It is held in that mode already.
    #[error("the visit is held in this mode already")]
    SameMode,
    /// The reason code is another side's.
    #[error("this reason is not one the caller can give")]
    ReasonNotYours,
    /// Answered before; this is the answer.
    #[error("the request has been answered before")]
    Replay(StoredAnswer),
    /// The idempotency key belongs to another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The rows are being fought over; try again shortly.
    #[error("too many changes at once")]
    Contended,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why an event was not handled.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// It does not say what it must: no try will succeed.
    #[error("the event does not name what it is about")]
    Malformed,
    /// The policy says no, which is on the record.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The rows are being fought over; try again shortly.
    #[error("too many changes at once")]
    Contended,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why the directory was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Absent, or not this caller's to see.
    #[error("no such practitioner")]
    NotFound,
    /// The policy says no, which is on the record.
    #[error(transparent)]
    Denied(Denial),
    /// A rule of the profile is broken.
    #[error(transparent)]
    Invalid(#[from] InvalidPractitioner),
    /// The account is no doctor's, is closed, or does not exist.
    #[error("the account is not a doctor's, or is closed")]
    NotADoctorsAccount,
    /// Nobody is listed whose account is closed.
    #[error("the practitioner's account is closed")]
    AccountClosed,
    /// The account has a profile already.
    #[error("the account has a profile already")]
    ProfileExists,
    /// The council's registration number is in the directory already.
    #[error("the registration number is in the directory already")]
    RegistrationTaken,
    /// The status has no such arrow.
    #[error("a practitioner who is {from} can't become {to}")]
    InvalidStatus {
        /// Where they are.
        from: &'static str,
        /// Where the act would lead.
        to: &'static str,
    },
    /// The registration is not valid today.
    #[error("the registration is not valid today")]
    RegistrationNotValid,
    /// The caller's copy is stale.
    #[error("the profile has changed since it was read")]
    Precondition,
    /// The rows are being fought over; try again shortly.
    #[error("too many changes at once")]
    Contended,
    /// The idempotency claim has an answer already: give that one.
    #[error("the request has been answered before")]
    AlreadyAnswered,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why availability was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum AvailabilityError {
    /// Absent, or not this caller's to see.
    #[error("no such practitioner or time off")]
    NotFound,
    /// The policy says no, which is on the record.
    #[error(transparent)]
    Denied(Denial),
    /// The rules contradict themselves; each problem is named.
    #[error(transparent)]
    Invalid(#[from] InvalidRules),
    /// The caller's copy is stale.
    #[error("the availability has changed since it was read")]
    Precondition,
    /// The idempotency claim has an answer already: give that one.
    #[error("the request has been answered before")]
    AlreadyAnswered,
    /// The rows are being fought over; try again shortly.
    #[error("too many changes at once")]
    Contended,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

macro_rules! hidden_is_absent {
    ($($error:ty),+) => {$(
        impl From<Denial> for $error {
            /// What is hidden from the caller can't be told from what does not exist.
            fn from(denial: Denial) -> Self {
                match denial {
                    Denial::Hidden => Self::NotFound,
                    told => Self::Denied(told),
                }
            }
        }
    )+};
}

hidden_is_absent!(ConsultationError, DirectoryError, AvailabilityError);
