//! What every use case here does: ask the policy, put it on the record, commit, or begin again.

use super::Deps;
use crate::{
    ClinicalError,
    model::{NOT_BEGUN, Side, Subject, Visit, is_treating},
    ports::ClinicalChanges,
};
use amrutam_kernel::{
    AccountId, Action, AuditEntry, AuditEntryId, CommitError, ConsultationId, Context, Denial, Effects, EventId,
    Outcome, Personal, PortError, Relation, Role, Unrecorded, failed_on_record, recorded,
};
use jiff::{SignedDuration, Timestamp};

/// How often a commit that met a change is decided anew before the caller is asked to come back.
pub(super) const MAX_COMMITS: u32 = 5;

/// How long before a visit its practitioner may read what was before. (ours)
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// What is done, to what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deed {
    pub(super) action: Action,
    /// The name on the record, which may say more than the policy needs to know.
    pub(super) name: &'static str,
}

impl From<Action> for Deed {
    fn from(action: Action) -> Self {
        Self { action, name: action.as_str() }
    }
}

/// On which side of the visit the one who acts stands.
pub(super) fn side_of(context: &Context, visit: &Visit) -> Option<Side> {
    if context.actor.is(visit.subject.keeper(), Role::Patient) {
        Some(Side::Patient)
    } else if context.actor.is(visit.practitioner.account, Role::Doctor) {
        Some(Side::Doctor)
    } else {
        None
    }
}

impl Deps<'_> {
    pub(super) fn entry(
        &self,
        context: &Context,
        name: &'static str,
        (kind, id): (&'static str, String),
        patient: Option<AccountId>,
        outcome: Outcome,
        now: Timestamp,
    ) -> AuditEntry {
        let entry_id = AuditEntryId::from_uuid(self.ids.uuid_v7(now));
        let entry = AuditEntry::new(entry_id, now, context, name, kind, id, outcome);
        AuditEntry { patient, ..entry }
    }

    /// About a visit.
    pub(super) fn done(&self, context: &Context, name: &'static str, visit: &Visit, now: Timestamp) -> AuditEntry {
        let patient = Some(visit.subject.keeper());
        self.entry(context, name, ("consultation", visit.id.to_string()), patient, Outcome::Allowed, now)
    }

    pub(super) fn event_id(&self, now: Timestamp) -> EventId {
        EventId::from_uuid(self.ids.uuid_v7(now))
    }

    /// The visit, when the one who acts stands on a side of it and may do this; a denial is on the record when this returns.
    pub(super) async fn open(
        &self,
        context: &Context,
        deed: impl Into<Deed> + Send,
        id: ConsultationId,
    ) -> Result<(Visit, Side), ClinicalError> {
        let (deed, now) = (deed.into(), self.clock.now());
        let visit = self.store.visit(id).await?;
        let side = visit.as_ref().and_then(|visit| side_of(context, visit));
        let relation = if side.is_some() { Relation::Own } else { Relation::None };
        let decided = self.policy.decide(context, deed.action, relation, now);
        let decided = match decided {
            // Not even its existence is for everybody to know.
            Err(Denial::Forbidden) if self.is_hidden(context, relation, now) => Err(Denial::Hidden),
            decided => decided,
        };
        match (decided, visit, side) {
            (Ok(_), Some(visit), Some(side)) => Ok((visit, side)),
            (decided, visit, _) => {
                let denial = decided.err().unwrap_or(Denial::Hidden);
                let patient = visit.map(|visit| visit.subject.keeper());
                let (kind, id) = ("consultation", id.to_string());
                self.record(vec![self.entry(context, deed.name, (kind, id), patient, Outcome::Denied, now)]).await?;
                Err(denial.into())
            }
        }
    }

    /// The same for what was written at the visit. Once it is over its practitioner reads that as whoever treats the patient does: until
    /// the relation has ended.
    pub(super) async fn open_record(
        &self,
        context: &Context,
        deed: impl Into<Deed> + Send,
        id: ConsultationId,
    ) -> Result<(Visit, Side), ClinicalError> {
        let deed = deed.into();
        let (visit, side) = self.open(context, deed, id).await?;
        if let Some(denial) = self.closed_to(context, &visit, side).await? {
            let entry = self.done(context, deed.name, &visit, self.clock.now());
            self.record(vec![AuditEntry { outcome: Outcome::Denied, ..entry }]).await?;
            return Err(denial.into());
        }
        Ok((visit, side))
    }

    /// Why what was written at the visit is closed to this side of it.
    pub(super) async fn closed_to(
        &self,
        context: &Context,
        visit: &Visit,
        side: Side,
    ) -> Result<Option<Denial>, PortError> {
        let now = self.clock.now();
        if side == Side::Patient || !visit.is_over(now) {
            return Ok(None);
        }
        let relation = self.treating(visit.subject, visit.practitioner.account, now).await?;
        Ok(self.policy.decide(context, Action::RecordRead, relation, now).err())
    }

    /// What the practitioner with that account is to that person.
    pub(super) async fn treating(
        &self,
        subject: Subject,
        doctor: AccountId,
        now: Timestamp,
    ) -> Result<Relation, PortError> {
        let treated = self.store.last_treated(subject, doctor, now - NOT_BEGUN, now + AHEAD).await?;
        let rules = self.rules_at(now)?;
        Ok(if treated.is_some_and(|ended| is_treating(rules, ended, now)) {
            Relation::Treating
        } else {
            Relation::None
        })
    }

    fn is_hidden(&self, context: &Context, relation: Relation, now: Timestamp) -> bool {
        self.policy.decide(context, Action::ConsultationRead, relation, now) == Err(Denial::Hidden)
    }

    /// Audit entries in a unit of their own. What they tell of must not go on unless they are on the record.
    pub(super) async fn record(&self, audit: Vec<AuditEntry>) -> Result<(), PortError> {
        if audit.is_empty() {
            return Ok(());
        }
        self.record_all(Effects { audit, ..Effects::default() }).await
    }

    /// The same with the events that tell of it.
    pub(super) async fn record_all(&self, effects: Effects) -> Result<(), PortError> {
        recorded(self.store.commit(&ClinicalChanges { effects, ..ClinicalChanges::default() }).await)
    }

    /// What was read, when these entries are on the record.
    pub(super) async fn show<T: Personal>(&self, read: Unrecorded<T>, audit: Vec<AuditEntry>) -> Result<T, PortError> {
        read.release_by(audit, async |audit| self.record(audit).await).await
    }

    /// What became of an act on a visit: one that was allowed and refused all the same is on the record when this returns.
    pub(super) async fn told<T>(
        &self,
        context: &Context,
        name: &'static str,
        id: ConsultationId,
        done: Result<T, ClinicalError>,
    ) -> Result<T, ClinicalError> {
        failed_on_record(done, ClinicalError::is_failure, async || {
            let patient = self.store.visit(id).await?.map(|visit| visit.subject.keeper());
            let of = ("consultation", id.to_string());
            let entry = self.entry(context, name, of, patient, Outcome::Failed, self.clock.now());
            Ok(self.record(vec![entry]).await?)
        })
        .await
    }
}

/// Whether to begin again after a commit that was not taken.
pub(super) fn again(error: CommitError, round: u32) -> Result<(), ClinicalError> {
    match error {
        CommitError::Port(error) => Err(error.into()),
        CommitError::Stale | CommitError::Busy | CommitError::AlreadyAnswered | CommitError::AlreadyHandled => {
            if round < MAX_COMMITS { Ok(()) } else { Err(ClinicalError::Contended) }
        }
    }
}

/// Whether the version the caller has is the stored one; without a claim there is nothing to compare.
pub(super) fn check_version(claimed: Option<&[i64]>, stored: i64) -> Result<(), ClinicalError> {
    check_any(claimed, &[stored])
}

/// The same, where several stand for what is stored.
pub(super) fn check_any<T: PartialEq>(claimed: Option<&[T]>, stored: &[T]) -> Result<(), ClinicalError> {
    match claimed {
        Some(versions) if !versions.iter().any(|one| stored.contains(one)) => Err(ClinicalError::Precondition),
        Some(_) | None => Ok(()),
    }
}
