//! What must be there before a visit begins, and before an absence is stated.

use super::{
    Deps,
    frame::{again, side_of},
};
use crate::{
    ClinicalError,
    model::{
        self, Consent, ConsentDecision, ConsentMethod, ConsentPurpose, NoShowRefusal, Side, VisitStatus,
        decide_no_show, notices, standing,
    },
    ports::ClinicalChanges,
};
use amrutam_kernel::{Action, ConsentId, ConsultationId, Context, Effects};
use jiff::SignedDuration;

/// Whether the visit may begin: of a minor with an adult beside them, and not against a consent that was withdrawn. The consent that
/// follows from the booking is recorded, from `early` before the visit until its end: at other times nothing begins, as its own rules
/// say. Whose visit it is not hears nothing here: beginning it asks the policy.
pub async fn admit(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    early: SignedDuration,
) -> Result<(), ClinicalError> {
    let done = admit_visit(deps, context, id, early).await;
    deps.told(context, Action::ConsultationStart.as_str(), id, done).await
}

async fn admit_visit(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    early: SignedDuration,
) -> Result<(), ClinicalError> {
    let mut round = 0;
    loop {
        round += 1;
        let Some(visit) = deps.store.visit(id).await? else { return Ok(()) };
        if side_of(context, &visit) != Some(Side::Doctor) || visit.status != VisitStatus::Confirmed {
            return Ok(());
        }
        let now = deps.clock.now();
        if now < visit.range.start() - early || visit.range.end() <= now {
            return Ok(());
        }
        let consents = deps.store.consents(id).await?.undisclosed();
        let guardian = deps.store.guardian(id).await?.undisclosed();
        let guardian = guardian.as_ref().map(|recorded| recorded.guardian.expose());
        model::admit(deps.rules_at(now)?, deps.zone, &visit, &consents, guardian)?;
        if standing(&consents, ConsentPurpose::Teleconsultation).is_some() {
            return Ok(());
        }
        let shown = notices().into_iter().find(|notice| notice.purpose == ConsentPurpose::Teleconsultation);
        let implied = Consent {
            id: ConsentId::from_uuid(deps.ids.uuid_v7(now)),
            consultation: id,
            subject: visit.subject,
            purpose: ConsentPurpose::Teleconsultation,
            decision: ConsentDecision::Given,
            notice_version: shown.map(|notice| notice.version).unwrap_or_default(),
            method: ConsentMethod::Implied,
            evidence: None,
            // The one who booked.
            recorded_by: visit.subject.keeper(),
            at: now,
        };
        let effects = Effects { audit: vec![deps.done(context, "consent.give", &visit, now)], ..Effects::default() };
        // A withdrawal that comes meanwhile is the patient's word: nothing is implied over it.
        let consents_read = Some((id, consents.len()));
        let changes = ClinicalChanges { consents: vec![implied], consents_read, effects, ..ClinicalChanges::default() };
        match deps.store.commit(&changes).await {
            Ok(()) => return Ok(()),
            Err(error) => again(error, round)?,
        }
    }
}

/// Whether the absence of the other side may be stated by what was seen: not of one who checked in, and only by one who did: money
/// follows from it.
pub async fn check_absence(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    grace: SignedDuration,
) -> Result<(), ClinicalError> {
    let done = absence_stands(deps, context, id, grace).await;
    deps.told(context, Action::ConsultationNoShow.as_str(), id, done).await
}

async fn absence_stands(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    grace: SignedDuration,
) -> Result<(), ClinicalError> {
    let Some(visit) = deps.store.visit(id).await? else { return Ok(()) };
    let Some(claimant) = side_of(context, &visit) else { return Ok(()) };
    if visit.status != VisitStatus::Confirmed {
        return Ok(());
    }
    let (seen, now) = (deps.store.presence(id).await?, deps.clock.now());
    match decide_no_show(&seen, claimant, visit.range.start(), grace, now) {
        Err(refused @ (NoShowRefusal::OtherSidePresent | NoShowRefusal::NotThereYourself)) => Err(refused.into()),
        // Too early is said by the visit's own rules.
        Ok(_) | Err(NoShowRefusal::TooEarly) => Ok(()),
    }
}
