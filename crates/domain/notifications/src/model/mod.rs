//! What a message is, when it is due, whether it is still true, what it says.

mod contact;
mod decision;
mod delivery;
mod letter;
mod message;
mod pages;
mod plan;
mod visit;

pub use contact::Contact;
pub use decision::{Decision, SkipReason, decide_at_send};
pub use delivery::{AfterFailure, FailureClass, after_failure, give_up_at};
pub use letter::{Letter, Mail, render};
pub use message::{MessageKind, ScheduledMessage, UnknownKind};
pub use pages::LinkPages;
pub use plan::plan;
pub use visit::{UnknownMode, VisitFacts, VisitMode, VisitStatus};

#[cfg(test)]
pub(crate) mod tests;
