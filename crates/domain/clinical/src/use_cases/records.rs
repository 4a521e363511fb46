//! A patient's record.

use super::Deps;
use crate::{
    ClinicalError, events,
    model::{BreakGlassReason, Subject},
    ports::{ClinicalChanges, RecordEntry},
};
use amrutam_kernel::{
    AccountId, Action, ConsultationId, Context, Denial, DependantId, Effects, Outcome, Page, PageRequest, PortError,
    Relation, Role, recorded,
};
use jiff::Timestamp;

/// A page of a patient's record, the latest visit first: to the patient, to a practitioner with a treating relation, and to any
/// practitioner who may practise today and breaks the glass, which is flagged and told to the patient. What is shown is on the
/// record before it leaves. With `dependant`, the record of a person whom that patient's account keeps, or kept: each record is opened by itself, and who treats
/// one of them reads no other's.
pub async fn read_records(
    deps: Deps<'_>,
    context: &Context,
    patient: AccountId,
    dependant: Option<DependantId>,
    break_glass: Option<BreakGlassReason>,
    page: PageRequest<(Timestamp, ConsultationId)>,
) -> Result<Page<RecordEntry, (Timestamp, ConsultationId)>, ClinicalError> {
    let now = deps.clock.now();
    let subject = match dependant {
        Some(dependant) => Subject::Dependant { keeper: patient, dependant },
        None => Subject::Account(patient),
    };
    let relation = if context.actor.is(patient, Role::Patient) {
        let theirs = match dependant {
            Some(dependant) => deps.store.kept(patient, dependant).await?.is_some(),
            None => true,
        };
        if theirs { Relation::Own } else { Relation::None }
    } else {
        match context.actor.account().filter(|_| context.actor.has_role(Role::Doctor)) {
            Some(doctor) => deps.treating(subject, doctor, now).await?,
            None => Relation::None,
        }
    };
    // Whoever treats the patient breaks no glass.
    let breaking = break_glass.filter(|_| relation == Relation::None);
    let action = if breaking.is_some() { Action::RecordBreakGlass } else { Action::RecordRead };
    let named = |of, outcome| {
        let entry = deps.entry(context, action.as_str(), of, Some(patient), outcome, now);
        if breaking.is_some() { entry.breaking_glass() } else { entry }
    };
    let whose = || dependant.map_or_else(|| patient.to_string(), |dependant| dependant.to_string());
    let entry = |outcome| named(("record", whose()), outcome);
    let decided = deps.policy.decide(context, action, relation, now).map(drop);
    let decided = match decided {
        // In an emergency, too, only those open it who may practise today.
        Ok(()) if breaking.is_some() && !deps.practises_today(context, now).await? => Err(Denial::Forbidden),
        decided => decided,
    };
    if let Err(denial) = decided {
        deps.record(vec![entry(Outcome::Denied)]).await?;
        return Err(denial.into());
    }
    let found = deps.store.records(subject, page).await?;
    if breaking.is_some() && found.items.is_empty() {
        // Nothing to see of somebody who may not even exist.
        deps.record(vec![entry(Outcome::Denied)]).await?;
        return Err(Denial::Hidden.into());
    }
    // The record that was opened, and each visit of it that is shown.
    let visit = |shown: &RecordEntry| named(("consultation", shown.consultation.to_string()), Outcome::Allowed);
    let audit = std::iter::once(entry(Outcome::Allowed)).chain(found.items.iter().map(visit)).collect();
    let mut effects = Effects { audit, ..Effects::default() };
    if let Some(reason) = breaking {
        effects.events.push(events::record_opened(deps.event_id(now), patient, reason, context, now));
    }
    recorded(deps.store.commit(&ClinicalChanges { effects, ..ClinicalChanges::default() }).await)?;
    Ok(found)
}

impl Deps<'_> {
    async fn practises_today(&self, context: &Context, now: Timestamp) -> Result<bool, PortError> {
        let Some(account) = context.actor.account() else { return Ok(false) };
        let profile = self.store.practitioner(account).await?;
        Ok(profile.is_some_and(|profile| profile.practises_on(self.zone.to_datetime(now).date())))
    }
}
