//! The words every domain of Amrutam shares, and nothing more: ids, time, money, who acts,
//! what is announced, what is recorded.
//!
//! A domain crate builds on these and on nothing else of ours. Add a word here only when two
//! domains must mean the same thing by it.
//!
//! ```
//! use amrutam_kernel::{Currency, Money};
//!
//! let fee = Money::new(49_900, Currency::Inr)?;
//! assert_eq!(fee.to_string(), "499.00 INR");
//! # Ok::<(), amrutam_kernel::InvalidMoney>(())
//! ```
#![deny(missing_docs)]

mod access;
mod actor;
mod audit;
mod audit_actions;
mod blind_index;
mod context;
mod dead_letter;
mod effects;
mod event;
mod idempotency;
mod ids;
mod limits;
mod links;
mod messaging;
mod money;
mod network;
mod page;
mod port_error;
mod retry;
mod sealing;
mod sensitive;
mod time;
mod trail;

pub use access::{Action, Denial, Policy, Relation, STEP_UP_LIFETIME, SecondFactor, Sight, SignIn};
pub use actor::{Actor, Role, UnknownRole};
pub use audit::{AuditEntry, Outcome, Purpose, is_audit_word, is_object_id};
pub use audit_actions::AUDIT_ACTIONS;
pub use blind_index::BlindIndex;
pub use context::{Context, CorrelationId, InvalidCorrelationId, TraceParent};
pub use dead_letter::{DeadLetterOffice, DeadMessage, DeadSource, GivenUp, Requeue, UnknownSource};
pub use effects::{CommitError, Effects, InboxMark, recorded};
pub use event::{AggregateRef, EventEnvelope};
pub use idempotency::{
    Fingerprint, IdempotencyClaim, IdempotencyKey, Idempotent, InvalidIdempotencyKey, Recorded, StoredAnswer,
};
pub use ids::{
    AccountId, AuditEntryId, ConsentId, ConsultationId, DeadLetterId, DependantId, DoctorId, EventId, ExportId,
    GatewayTaskId, InvalidId, JournalId, LinkId, MessageId, PaymentId, PrescriptionId, ReviewCaseId, SessionId, SlotId,
    TimeOffId,
};
pub use limits::{LimitDecision, LimitKey, LimitPolicy, LimitState, RateLimit, RateLimiter};
pub use links::{LinkPurpose, LinkTokens, UnknownPurpose};
pub use messaging::{EventHandler, EventPublisher, Handled, HandlerError, RedeliveryLedger};
pub use money::{Currency, InvalidMoney, Money, UnknownCurrency};
pub use network::Network;
pub use page::{InvalidCursor, Limit, Page, PageRequest};
pub use port_error::{Dependency, PortError};
pub use retry::RetryPolicy;
pub use sealing::{MAX_SEALED_PLAIN, SealError, SealPlace, Sealer};
pub use sensitive::Sensitive;
pub use time::{Clock, IdSource, Pause, TimeRange, truncate_to_micros};
pub use trail::{AuditTrail, Personal, RecordRef, Unrecorded, failed_on_record};
