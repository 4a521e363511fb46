//! The frame of every act on a consultation: load, ask the policy, decide, commit, or begin again.

use super::{
    Deps,
    book::summary_place,
    permit::{Asking, Deed, Target},
    record::{Recorder, audit_entry},
};
use crate::{ConsultationError, RescheduleError, model::Consultation, ports::ConsultationSnapshot};
use amrutam_kernel::{
    AccountId, Action, Actor, AuditEntry, CommitError, ConsultationId, Context, Denial, Idempotent, Outcome, PortError,
    Recorded, Role, Sensitive, SlotId, StoredAnswer,
};
use std::time::Duration;

/// How often a commit that met a change is decided anew before the caller is asked to come back.
const MAX_COMMITS: u32 = 10;

/// A consultation after an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// As it stands now.
    pub consultation: Consultation,
    /// How much of it whoever acted sees.
    pub access: Access,
}

/// On which side of a consultation the caller stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Patient,
    Doctor,
    /// On neither: whom the policy lets act all the same.
    Outside,
}

/// How much the caller sees of what is about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everything: it is their own, or they are the other side of it.
    Full,
    /// Without whom it is about, and without what they said.
    Masked,
}

impl Side {
    pub(super) fn of(actor: &Actor, patient: AccountId, doctor: AccountId) -> Self {
        if actor.is(patient, Role::Patient) {
            Self::Patient
        } else if actor.is(doctor, Role::Doctor) {
            Self::Doctor
        } else {
            Self::Outside
        }
    }
}

impl Deps<'_> {
    pub(super) fn asking<'a>(&'a self, context: &'a Context) -> Asking<'a> {
        Asking { policy: self.policy, ids: self.ids, context, now: self.clock.now() }
    }

    /// Asks the policy; a denial is on the record when this returns.
    pub(super) async fn permit<E: From<Denial> + From<PortError>>(
        &self,
        context: &Context,
        deed: impl Into<Deed> + Send,
        target: Target,
    ) -> Result<Access, E> {
        let (asking, deed) = (self.asking(context), deed.into());
        match asking.ask(deed, &target) {
            Ok(access) => Ok(access),
            Err(denial) => {
                record_alone(*self, asking.denied(deed, target)).await?;
                Err(denial.into())
            }
        }
    }
}

/// How an act fails.
pub(super) trait Refusal: From<ConsultationError> {
    /// Whether the policy refuses it, not the state of things: that goes on the record.
    fn is_denial(&self) -> bool;
}

impl Refusal for ConsultationError {
    fn is_denial(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::ReasonNotYours)
    }
}

impl Refusal for RescheduleError {
    fn is_denial(&self) -> bool {
        matches!(self, Self::Consultation(error) if error.is_denial())
    }
}

/// What is acted on, and how.
pub(super) struct Act<'a> {
    pub(super) id: ConsultationId,
    pub(super) action: Action,
    pub(super) target: Option<SlotId>,
    /// What the practitioner writes about the visit; sealed before it is stored.
    pub(super) summary: Option<&'a Sensitive<String>>,
    pub(super) idempotency: Option<Idempotent<'a, Changed>>,
}

/// Runs an act. `decide` gets the snapshot, the caller's side and a recorder; it records slots, calendar and versions and
/// returns the consultation as it stands after. It may run several times.
pub(super) async fn act<E: Refusal>(
    deps: Deps<'_>,
    context: &Context,
    act: Act<'_>,
    decide: impl Fn(&ConsultationSnapshot, Side, &mut Recorder<'_>) -> Result<Consultation, E> + Send + Sync,
) -> Result<(Changed, Option<StoredAnswer>), E> {
    let claim = act.idempotency.as_ref().map(|idempotent| idempotent.claim);
    for round in 1..=MAX_COMMITS {
        let snapshot =
            deps.store.consultation_snapshot(act.id, act.target, claim).await.map_err(ConsultationError::from)?;
        let sides = snapshot.as_ref().map(|found| (found.consultation.patient, found.doctor.account));
        let target = deps.asking(context).visit(act.id, sides);
        let access = deps.permit::<ConsultationError>(context, act.action, target).await?;
        let Some(snapshot) = snapshot else { return Err(ConsultationError::NotFound.into()) };
        match &snapshot.recorded {
            Some(Recorded::Same(answer)) => return Err(ConsultationError::Replay(answer.clone()).into()),
            Some(Recorded::Other) => return Err(ConsultationError::KeyReused.into()),
            None => {}
        }
        let before = &snapshot.consultation;
        let side = Side::of(&context.actor, before.patient, snapshot.doctor.account);
        let mut record = Recorder::new(deps, deps.clock.now());
        let after = match decide(&snapshot, side, &mut record) {
            Ok(after) => after,
            Err(refused) => {
                let outcome = if refused.is_denial() { Outcome::Denied } else { Outcome::Failed };
                refuse_on_record(deps, context, act.action.as_str(), before, outcome)
                    .await
                    .map_err(ConsultationError::from)?;
                return Err(refused);
            }
        };
        record.audit(context, act.action.as_str(), &after, Outcome::Allowed);
        record.changes.updated.push((after.clone(), before.version));
        let mut changes = record.changes;
        if let Some(summary) = act.summary {
            let sealed = deps.sealer.seal(&summary_place(&after), summary.expose().as_bytes()).await;
            let sealed = sealed.map_err(PortError::from).map_err(ConsultationError::from)?;
            changes.summaries.push((after.id, sealed));
        }
        let changed = Changed { consultation: after, access };
        changes.effects.answer = act.idempotency.as_ref().map(|idempotent| idempotent.answer(&changed));
        match deps.store.commit(&changes).await {
            Ok(()) => return Ok((changed, changes.effects.answer.map(|(_, answer)| answer))),
            Err(CommitError::Port(error)) => return Err(ConsultationError::from(error).into()),
            Err(
                CommitError::Stale | CommitError::Busy | CommitError::AlreadyAnswered | CommitError::AlreadyHandled,
            ) => {
                let millis = 1 + deps.ids.below(25 * u64::from(round.min(4)));
                deps.pause.pause(Duration::from_millis(millis)).await;
            }
        }
    }
    Err(ConsultationError::Contended.into())
}

/// What the table can't know of, and what the state of things refuses: on the record as well, in a transaction of its own.
async fn refuse_on_record(
    deps: Deps<'_>,
    context: &Context,
    action: &'static str,
    consultation: &Consultation,
    outcome: Outcome,
) -> Result<(), PortError> {
    let entry = audit_entry(deps.ids, context, deps.clock.now(), action, consultation, outcome);
    record_alone(deps, vec![entry]).await
}

/// Audit entries by themselves. What they tell of must not go on unless they are on the record.
pub(super) async fn record_alone(deps: Deps<'_>, audit: Vec<AuditEntry>) -> Result<(), PortError> {
    if audit.is_empty() { Ok(()) } else { deps.store.record(audit).await }
}
