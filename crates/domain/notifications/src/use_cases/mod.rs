//! One file per verb.

mod deliver_due;
mod plan_messages;

pub use deliver_due::{CONCURRENT_SENDS, DeliverySummary, SEND_BUDGET, deliver_due, lease_for};
pub use plan_messages::plan_messages;

use crate::{
    LinkPages,
    ports::{Contacts, Mailer, MessageStore, VisitReader},
};
use amrutam_kernel::{Clock, IdSource};

/// What the use cases of this domain work with.
#[derive(Clone, Copy)]
pub struct Deps<'a> {
    /// Messages.
    pub messages: &'a dyn MessageStore,
    /// Visits.
    pub visits: &'a dyn VisitReader,
    /// People.
    pub contacts: &'a dyn Contacts,
    /// The pages that mailed links open.
    pub pages: LinkPages<'a>,
    /// The way out.
    pub mailer: &'a dyn Mailer,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids and jitter.
    pub ids: &'a dyn IdSource,
}

#[cfg(test)]
mod tests;
