//! A patient's record.

use super::Deps;
use crate::{
    ClinicalError, events,
    model::{BreakGlassReason, Subject},
    ports::{RecordEntry, RecordPage},
};
use amrutam_kernel::{
    AccountId, Action, ConsultationId, Context, Denial, DependantId, Effects, Outcome, Page, PageRequest, PortError,
    Relation, Role,
};
use jiff::Timestamp;

/// A page of a patient's record, the latest visit first: to the patient, to a practitioner with a treating relation, and to any
/// practitioner who may practise today and breaks the glass, which is flagged and told to the patient. What is shown is on the
/// record before it leaves. What another practitioner wrote is withheld from one who treats the patient, unless the patient agreed to
/// share that visit's record or the glass is broken. With `dependant`, the record of a person whom that patient's account keeps, or
/// kept: each record is opened by itself, and who treats one of them reads no other's.
pub async fn read_records(
    deps: Deps<'_>,
    context: &Context,
    patient: AccountId,
    dependant: Option<DependantId>,
    break_glass: Option<BreakGlassReason>,
    page: PageRequest<(Timestamp, ConsultationId)>,
) -> Result<RecordPage, ClinicalError> {
    let now = deps.clock.now();
    let subject = match dependant {
        Some(dependant) => Subject::Dependant { keeper: patient, dependant },
        None => Subject::Account(patient),
    };
    let relation = if context.actor.is(patient, Role::Patient) {
        let theirs = match dependant {
            Some(dependant) => deps.store.kept(patient, dependant).await?.judge(Option::is_some),
            None => true,
        };
        if theirs { Relation::Own } else { Relation::None }
    } else {
        match context.actor.account().filter(|_| context.actor.has_role(Role::Doctor)) {
            Some(doctor) => deps.treating(subject, doctor, now).await?,
            None => Relation::None,
        }
    };
    let action = |breaking| if breaking { Action::RecordBreakGlass } else { Action::RecordRead };
    let named = |breaking, of, outcome| {
        let entry = deps.entry(context, action(breaking).as_str(), of, Some(patient), outcome, now);
        if breaking { entry.breaking_glass() } else { entry }
    };
    let whose = || dependant.map_or_else(|| patient.to_string(), |dependant| dependant.to_string());
    let entry = |breaking, outcome| named(breaking, ("record", whose()), outcome);
    let permit = async |breaking| -> Result<(), ClinicalError> {
        let decided = deps.policy.decide(context, action(breaking), relation, now).map(drop);
        let decided = match decided {
            // In an emergency, too, only those open it who may practise today.
            Ok(()) if breaking && !deps.practises_today(context, now).await? => Err(Denial::Forbidden),
            decided => decided,
        };
        if let Err(denial) = decided {
            deps.record(vec![entry(breaking, Outcome::Denied)]).await?;
            return Err(denial.into());
        }
        Ok(())
    };
    let mut breaking = break_glass.is_some() && relation == Relation::None;
    permit(breaking).await?;
    let mut found = deps.store.records(subject, page).await?;
    if breaking && found.judge(|found| found.items.is_empty()) {
        // Nothing to see of somebody who may not even exist.
        deps.record(vec![entry(breaking, Outcome::Denied)]).await?;
        return Err(Denial::Hidden.into());
    }
    if let Some(doctor) = context.actor.account().filter(|_| relation == Relation::Treating) {
        let is_closed = |shown: &RecordEntry| !shown.is_open_to(doctor);
        // Whoever treats the patient breaks the glass for nothing else.
        if break_glass.is_some() && found.judge(|found| found.items.iter().any(is_closed)) {
            breaking = true;
            permit(breaking).await?;
        } else {
            let shown = |one| if is_closed(&one) { one.withholding() } else { one };
            found = found.map(|page| Page { items: page.items.into_iter().map(shown).collect(), ..page });
        }
    }
    // The record that was opened, and each visit of it that is shown.
    let visit =
        |shown: &RecordEntry| named(breaking, ("consultation", shown.consultation.to_string()), Outcome::Allowed);
    let shown: Vec<_> = found.judge(|found| found.items.iter().filter(|one| !one.withheld).map(visit).collect());
    let audit = std::iter::once(entry(breaking, Outcome::Allowed)).chain(shown).collect();
    let told = break_glass.filter(|_| breaking);
    let told = told.map(|reason| events::record_opened(deps.event_id(now), patient, reason, context, now));
    let record = async |audit| {
        deps.record_all(Effects { audit, events: told.into_iter().collect(), ..Effects::default() }).await
    };
    Ok(found.release_by(audit, record).await?)
}

impl Deps<'_> {
    async fn practises_today(&self, context: &Context, now: Timestamp) -> Result<bool, PortError> {
        let Some(account) = context.actor.account() else { return Ok(false) };
        let profile = self.store.practitioner(account).await?;
        Ok(profile.is_some_and(|profile| profile.practises_on(self.zone.to_datetime(now).date())))
    }
}
