//! Messages to people: what is said, when, and how often it is tried.
//!
//! The crate decides; what it needs from the world it names as [`ports`]. An event is turned into scheduled messages
//! ([`use_cases::plan_messages`]); due messages are claimed, decided upon again from the current state of the visit and
//! sent ([`use_cases::deliver_due`]).
//!
//! **The guarantee:** a message is never lost, and is sent once; at most once more when the process dies between sending
//! and settling, and at most once more when the mail server's answer is lost. All copies carry one Message-ID.
//!
//! To add a message: a [`MessageKind`], the event it follows from in [`model::plan`], when it is still true in
//! [`model::decide_at_send`], its words in `model/letter.rs`; for a text to telephones as well, an [`SmsKind`] and its
//! registered words in `model/sms.rs`.
//!
//! ```
//! use amrutam_notifications::{MessageKind, VisitStatus};
//!
//! assert_eq!(MessageKind::Reminder1h.as_str(), "reminder_1h");
//! assert_eq!("reminder_1h".parse(), Ok(MessageKind::Reminder1h));
//! // Nothing is said of a state this crate has no message for.
//! assert_eq!(VisitStatus::from_word("in_progress"), VisitStatus::Other);
//! ```
#![deny(missing_docs)]

#[cfg(feature = "contract")]
pub mod contract;
mod error;
mod events;
pub mod model;
pub mod ports;
pub mod use_cases;

pub use error::{MalformedEvent, MalformedPayload, PlanError};
pub use events::{
    CONSULTATION_CANCELLED, CONSULTATION_CONFIRMED, CONSULTATION_EXPIRED, CONSULTATION_RESCHEDULED,
    CONSULTATION_UNCONFIRMABLE, CONSUMER, EMAIL_VERIFICATION_REQUESTED, INVITED, PASSWORD_CHANGED,
    PASSWORD_RESET_REQUESTED, PAYMENT_REFUNDED, RECORD_OPENED, REGISTRATION_REPEATED, SECOND_FACTOR_CHANGED,
    SESSION_REVOKED,
};
pub use model::{
    Channel, Contact, LinkPages, Mail, MessageKind, ScheduledMessage, SkipReason, Sms, SmsKind, SmsTemplates,
    UnknownChannel, UnknownKind, UnknownMode, VisitFacts, VisitMode, VisitStatus,
};
