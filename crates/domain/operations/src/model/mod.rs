//! The words of this domain, and its decisions.

mod approval;
mod code;
mod dead_letter;
mod history;
mod review;

pub use approval::ApprovalLimits;
pub use code::{Code, InvalidCode};
pub use dead_letter::{DeadLetter, DiscardReason, InvalidTransition, LetterAct, LetterState, Payload, UnknownWord};
pub(crate) use history::merged;
pub use history::{Attempts, HistoryEntry, HistorySubject};
pub use review::{
    Approval, Choice, Decider, Decision, ReviewAct, ReviewCase, ReviewRefusal, ReviewState, SealedNote, Subject,
};
