//! One file per verb.

mod deliver_due;
mod plan_messages;

pub use deliver_due::{CONCURRENT_SENDS, DeliverySummary, SEND_BUDGET, deliver_due, lease_for};
pub use plan_messages::plan_messages;

use crate::{
    LinkPages, SmsTemplates,
    ports::{Contacts, Mailer, MessageStore, SmsSender, VisitReader},
};
use amrutam_kernel::{AuditTrail, Clock, IdSource};

/// The way out for texts to telephones.
#[derive(Clone, Copy)]
pub struct Texts<'a> {
    /// Who carries them.
    pub sender: &'a dyn SmsSender,
    /// The ids under which they are registered.
    pub templates: &'a SmsTemplates,
}

/// What the use cases of this domain work with.
#[derive(Clone, Copy)]
pub struct Deps<'a> {
    /// Messages.
    pub messages: &'a dyn MessageStore,
    /// Visits.
    pub visits: &'a dyn VisitReader,
    /// People.
    pub contacts: &'a dyn Contacts,
    /// Where it is put on the record that somebody's contact was read.
    pub trail: &'a dyn AuditTrail,
    /// The pages that mailed links open.
    pub pages: LinkPages<'a>,
    /// The way out for mails.
    pub mailer: &'a dyn Mailer,
    /// The way out for texts; nothing where none are sent.
    pub texts: Option<Texts<'a>>,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids and jitter.
    pub ids: &'a dyn IdSource,
}

#[cfg(test)]
mod tests;
