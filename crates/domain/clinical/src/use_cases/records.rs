//! A patient's record.

use super::Deps;
use crate::{
    ClinicalError, events,
    model::{BreakGlassReason, is_treating},
    ports::{ClinicalChanges, RecordEntry},
};
use amrutam_kernel::{
    AccountId, Action, ConsultationId, Context, Denial, Effects, Outcome, Page, PageRequest, Relation, Role, recorded,
};
use jiff::{SignedDuration, Timestamp};

/// How long before a visit its practitioner may read what was before. (ours)
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// A page of a patient's record, the latest visit first: to the patient, to a practitioner with a treating relation, and to any
/// practitioner who breaks the glass, which is flagged and told to the patient. What is shown is on the record before it leaves.
pub async fn read_records(
    deps: Deps<'_>,
    context: &Context,
    patient: AccountId,
    break_glass: Option<BreakGlassReason>,
    page: PageRequest<(Timestamp, ConsultationId)>,
) -> Result<Page<RecordEntry, (Timestamp, ConsultationId)>, ClinicalError> {
    let now = deps.clock.now();
    let rules = deps.rules_at(now)?;
    let relation = if context.actor.is(patient, Role::Patient) {
        Relation::Own
    } else {
        match context.actor.account().filter(|_| context.actor.has_role(Role::Doctor)) {
            Some(doctor) => match deps.store.last_treated(patient, doctor, now + AHEAD).await? {
                Some(ended) if is_treating(&rules, ended, now) => Relation::Treating,
                Some(_) | None => Relation::None,
            },
            None => Relation::None,
        }
    };
    // Whoever treats the patient breaks no glass.
    let breaking = break_glass.filter(|_| relation == Relation::None);
    let action = if breaking.is_some() { Action::RecordBreakGlass } else { Action::RecordRead };
    let entry = |outcome| {
        let entry = deps.entry(context, action.as_str(), ("record", patient.to_string()), Some(patient), outcome, now);
        if breaking.is_some() { entry.breaking_glass() } else { entry }
    };
    if let Err(denial) = deps.policy.decide(context, action, relation, now) {
        deps.record(vec![entry(Outcome::Denied)]).await?;
        return Err(denial.into());
    }
    let found = deps.store.records(patient, page).await?;
    if breaking.is_some() && found.items.is_empty() {
        // Nothing to see of somebody who may not even exist.
        deps.record(vec![entry(Outcome::Denied)]).await?;
        return Err(Denial::Hidden.into());
    }
    let mut effects = Effects { audit: vec![entry(Outcome::Allowed)], ..Effects::default() };
    if let Some(reason) = breaking {
        effects.events.push(events::record_opened(deps.event_id(now), patient, reason, context, now));
    }
    recorded(deps.store.commit(&ClinicalChanges { effects, ..ClinicalChanges::default() }).await)?;
    Ok(found)
}
