//! What a message is, when it is due, whether it is still true, what it says.

mod contact;
mod decision;
mod delivery;
mod letter;
mod message;
mod pages;
mod plan;
mod sms;
mod visit;

pub use contact::Contact;
pub use decision::{Decision, SkipReason, decide_at_send};
pub use delivery::{AfterFailure, FailureClass, after_failure, give_up_at};
pub use letter::{Letter, Mail, render};
pub use message::{Channel, MessageKind, ScheduledMessage, UnknownChannel, UnknownKind};
pub use pages::LinkPages;
pub use plan::{as_texts, plan};
pub use sms::{NoTemplate, SMS_TEXTS_VERSION, Sms, SmsKind, SmsTemplates, render_sms};
pub use visit::{UnknownMode, VisitFacts, VisitMode, VisitStatus};

#[cfg(test)]
pub(crate) mod tests;
