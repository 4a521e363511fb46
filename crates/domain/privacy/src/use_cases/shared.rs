//! What the use cases work with, and what each of them does.

use crate::{
    model::RetentionRules,
    ports::{DownloadTokens, ErasureStore, ExportStore, Passwords, SessionsEnded, Visits},
};
use amrutam_kernel::{
    AccountId, Action, AuditEntry, AuditEntryId, Clock, Context, Denial, Effects, EventId, IdSource, Outcome, Policy,
    Relation,
};
use jiff::{Timestamp, tz::TimeZone};

/// How often a change is decided anew when another one came in between.
pub(super) const ROUNDS: usize = 5;

/// What the use cases on exports work with.
#[derive(Clone, Copy)]
pub struct ExportDeps<'a> {
    /// Exports.
    pub store: &'a dyn ExportStore,
    /// Links to archives.
    pub tokens: &'a dyn DownloadTokens,
    /// Who may do what.
    pub policy: &'a dyn Policy,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids.
    pub ids: &'a dyn IdSource,
}

/// What the use cases on erasures and holds work with.
#[derive(Clone, Copy)]
pub struct ErasureDeps<'a> {
    /// Erasures.
    pub store: &'a dyn ErasureStore,
    /// Who may do what.
    pub policy: &'a dyn Policy,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids.
    pub ids: &'a dyn IdSource,
}

/// What erasing works with besides.
#[derive(Clone, Copy)]
pub struct EraseDeps<'a> {
    /// Erasures.
    pub core: ErasureDeps<'a>,
    /// Whether it is them.
    pub passwords: &'a dyn Passwords,
    /// Visits that are booked.
    pub visits: &'a dyn Visits,
    /// Told of sessions that end.
    pub sessions: &'a dyn SessionsEnded,
    /// How long what is kept.
    pub rules: &'a RetentionRules,
    /// The zone whose days are business days.
    pub zone: &'a TimeZone,
}

/// An entry of the record.
pub(super) struct Told<'a> {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) id: String,
    pub(super) about: Option<AccountId>,
    pub(super) context: &'a Context,
}

impl Told<'_> {
    pub(super) fn entry(self, ids: &dyn IdSource, outcome: Outcome, now: Timestamp) -> AuditEntry {
        let id = AuditEntryId::from_uuid(ids.uuid_v7(now));
        let entry = AuditEntry::new(id, now, self.context, self.name, self.kind, self.id, outcome);
        AuditEntry { patient: self.about, ..entry }
    }
}

pub(super) fn event_id(ids: &dyn IdSource, now: Timestamp) -> EventId {
    EventId::from_uuid(ids.uuid_v7(now))
}

pub(super) fn alone(entry: AuditEntry) -> Effects {
    Effects { audit: vec![entry], ..Effects::default() }
}

/// What the account is to the one who acts.
pub(super) fn relation_to(context: &Context, account: Option<AccountId>) -> Relation {
    let own = account.is_some() && context.actor.account() == account;
    if own { Relation::Own } else { Relation::None }
}

/// The policy's word and who asks, for what is one's own.
pub(super) fn decide_own(
    policy: &dyn Policy,
    context: &Context,
    action: Action,
    now: Timestamp,
) -> Result<AccountId, Denial> {
    policy.decide(context, action, Relation::Own, now)?;
    context.actor.account().ok_or(Denial::NotSignedIn)
}
