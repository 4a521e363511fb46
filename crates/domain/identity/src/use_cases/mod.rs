//! One file per verb.

mod create_staff;
mod log_in;
mod register;
mod who_am_i;

pub use create_staff::{NewStaff, create_staff};
pub use log_in::{ACCESS_TOKEN_LIFETIME, LogIn, LoggedIn, log_in};
pub use register::{Register, Registered, register};
pub use who_am_i::who_am_i;

use crate::ports::{AccountStore, PasswordHasher};
use amrutam_kernel::{AuditEntry, AuditEntryId, Clock, Context, IdSource, Outcome};
use jiff::Timestamp;

/// What the use cases of this domain work with.
#[derive(Clone, Copy)]
pub struct Deps<'a> {
    /// Accounts.
    pub accounts: &'a dyn AccountStore,
    /// Passwords.
    pub hasher: &'a dyn PasswordHasher,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids.
    pub ids: &'a dyn IdSource,
}

impl Deps<'_> {
    fn audit(
        &self,
        context: &Context,
        now: Timestamp,
        action: &'static str,
        account: Option<amrutam_kernel::AccountId>,
        outcome: Outcome,
    ) -> AuditEntry {
        AuditEntry {
            id: AuditEntryId::from_uuid(self.ids.uuid_v7(now)),
            occurred_at: now,
            actor: context.actor,
            action,
            resource_kind: "account",
            resource_id: account.map(|id| id.to_string()).unwrap_or_default(),
            patient: account,
            outcome,
            correlation_id: context.correlation_id.clone(),
        }
    }
}
