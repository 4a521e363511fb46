//! Asking the policy. What it denies is on the record, in a transaction of its own, before the caller hears of it.

use super::{Access, act::Side};
use crate::model::{BookingRules, Practitioner};
use amrutam_kernel::{
    AccountId, Action, AuditEntry, AuditEntryId, ConsultationId, Context, Denial, DoctorId, IdSource, Outcome, Policy,
    Relation, Role, Sight,
};
use jiff::Timestamp;
use std::fmt;

/// What is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deed {
    /// What the policy is asked for.
    action: Action,
    /// The name on the record, which may say more than the policy needs to know.
    pub(super) name: &'static str,
}

impl Deed {
    pub(super) const fn named(action: Action, name: &'static str) -> Self {
        Self { action, name }
    }
}

impl From<Action> for Deed {
    fn from(action: Action) -> Self {
        Self::named(action, action.as_str())
    }
}

/// What it is done to; also something that does not exist, so that the answer is the same as for what belongs to others.
#[derive(Debug)]
pub(super) struct Target {
    relation: Relation,
    /// Not even its existence is the caller's to know: not for their role is not said of it.
    hidden: bool,
    kind: &'static str,
    id: String,
    patient: Option<AccountId>,
}

impl Target {
    /// Nothing single: a list, or what is yet to be made.
    pub(super) fn new(kind: &'static str, relation: Relation) -> Self {
        Self { relation, hidden: false, kind, id: String::new(), patient: None }
    }

    /// One whose existence is no secret, or not looked up before the policy is asked.
    pub(super) fn named(kind: &'static str, id: impl fmt::Display, relation: Relation) -> Self {
        Self { id: id.to_string(), ..Self::new(kind, relation) }
    }
}

/// Who asks, and what answers.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) policy: &'a dyn Policy,
    pub(super) ids: &'a dyn IdSource,
    pub(super) context: &'a Context,
    pub(super) now: Timestamp,
}

impl Asking<'_> {
    /// A consultation, with its patient and its practitioner's account when there is one.
    pub(super) fn visit(self, id: ConsultationId, sides: Option<(AccountId, AccountId)>) -> Target {
        let own = |(patient, doctor)| Side::of(&self.context.actor, patient, doctor) != Side::Outside;
        let relation = own_if(sides.is_some_and(own));
        let hidden = self.decide(Action::ConsultationRead, relation) == Err(Denial::Hidden);
        let patient = sides.map(|(patient, _)| patient);
        Target { relation, hidden, kind: "consultation", id: id.to_string(), patient }
    }

    /// A practitioner: their profile, their calendar.
    pub(super) fn doctor(self, id: DoctorId, found: Option<&Practitioner>, rules: &BookingRules) -> Target {
        let relation = found.map_or(Relation::None, |found| self.relation_to(found));
        let public = found.is_some_and(|found| found.is_public_on(rules.business_day(self.now)));
        let hidden = !public && self.decide(Action::DoctorRead, relation).is_err();
        Target { hidden, id: id.to_string(), ..Target::new("doctor", relation) }
    }

    /// How much of a profile the caller sees beyond what is public.
    pub(super) fn reading(self, practitioner: &Practitioner) -> Result<Access, Denial> {
        self.decide(Action::DoctorRead, self.relation_to(practitioner))
    }

    fn relation_to(self, practitioner: &Practitioner) -> Relation {
        own_if(self.context.actor.is(practitioner.account, Role::Doctor))
    }

    /// How much of it is seen by doing it.
    pub(super) fn ask(self, deed: Deed, target: &Target) -> Result<Access, Denial> {
        match self.decide(deed.action, target.relation) {
            Err(Denial::Forbidden) if target.hidden => Err(Denial::Hidden),
            decided => decided,
        }
    }

    /// What goes on the record of a denial.
    pub(super) fn denied(self, deed: Deed, target: Target) -> Vec<AuditEntry> {
        let id = AuditEntryId::from_uuid(self.ids.uuid_v7(self.now));
        let (kind, resource) = (target.kind, target.id);
        let entry = AuditEntry::new(id, self.now, self.context, deed.name, kind, resource, Outcome::Denied);
        vec![AuditEntry { patient: target.patient, ..entry }]
    }

    fn decide(self, action: Action, relation: Relation) -> Result<Access, Denial> {
        match self.policy.decide(self.context, action, relation, self.now)? {
            Sight::Full => Ok(Access::Full),
            Sight::Masked => Ok(Access::Masked),
            // Nothing here is a number over many.
            Sight::Aggregated => Err(Denial::Forbidden),
        }
    }
}

pub(super) fn own_if(own: bool) -> Relation {
    if own { Relation::Own } else { Relation::None }
}
