//! Consents, and the adult beside a minor.

use super::{
    Deps,
    frame::{Deed, again},
};
use crate::{
    ClinicalError,
    model::{
        Consent, ConsentDecision, ConsentMethod, ConsentPurpose, Guardian, Side, check_consent, check_withdrawal,
        notices,
    },
    ports::{ClinicalChanges, RecordedGuardian},
};
use amrutam_kernel::{AccountId, Action, ConsentId, ConsultationId, Context, Denial, Effects, Sensitive};

/// What is said about a purpose.
#[derive(Debug, Clone)]
pub struct GiveConsent {
    /// For what.
    pub purpose: ConsentPurpose,
    /// Given or withdrawn.
    pub decision: ConsentDecision,
    /// The notice that was shown.
    pub notice_version: String,
    /// How it came about.
    pub method: ConsentMethod,
    /// What shows it.
    pub evidence: Option<Sensitive<String>>,
}

fn account_of(context: &Context) -> Result<AccountId, ClinicalError> {
    context.actor.account().ok_or(ClinicalError::Denied(Denial::NotSignedIn))
}

/// Records a consent or its withdrawal, by the patient or for the patient by the practitioner. Of the
/// patient a withdrawal asks for no more than the purpose.
pub async fn record_consent(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    said: GiveConsent,
) -> Result<Consent, ClinicalError> {
    let name = match said.decision {
        ConsentDecision::Given => "consent.give",
        ConsentDecision::Withdrawn => "consent.withdraw",
    };
    let deed = Deed { action: Action::ConsentRecord, name };
    let done = put_consent(deps, context, deed, id, said).await;
    deps.told(context, name, id, done).await
}

async fn put_consent(
    deps: Deps<'_>,
    context: &Context,
    deed: Deed,
    id: ConsultationId,
    said: GiveConsent,
) -> Result<Consent, ClinicalError> {
    let mut round = 0;
    loop {
        round += 1;
        let (visit, side) = deps.open(context, deed, id).await?;
        let evidence = said.evidence.as_ref().map(|text| text.expose().as_str());
        let (purpose, version, by_patient) = (said.purpose, &*said.notice_version, side == Side::Patient);
        match said.decision {
            ConsentDecision::Given => {
                check_consent(&notices(), purpose, version, said.method, evidence, by_patient)?;
            }
            ConsentDecision::Withdrawn => {
                let before = deps.store.consents(id).await?.undisclosed();
                check_withdrawal(&notices(), &before, purpose, version, said.method, evidence, by_patient)?;
            }
        }
        let now = deps.clock.now();
        let consent = Consent {
            id: ConsentId::from_uuid(deps.ids.uuid_v7(now)),
            consultation: id,
            subject: visit.subject,
            purpose: said.purpose,
            decision: said.decision,
            notice_version: said.notice_version.clone(),
            method: said.method,
            evidence: said.evidence.clone(),
            recorded_by: account_of(context)?,
            at: now,
        };
        let effects = Effects { audit: vec![deps.done(context, deed.name, &visit, now)], ..Effects::default() };
        let changes = ClinicalChanges { consents: vec![consent.clone()], effects, ..ClinicalChanges::default() };
        match deps.store.commit(&changes).await {
            Ok(()) => return Ok(consent),
            Err(error) => again(error, round)?,
        }
    }
}

/// Every consent of a visit, in the order they were recorded.
pub async fn read_consents(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
) -> Result<Vec<Consent>, ClinicalError> {
    let deed = Deed { action: Action::ConsentRecord, name: "consent.read" };
    let (visit, _) = deps.open_record(context, deed, id).await?;
    let consents = deps.store.consents(id).await?;
    Ok(deps.show(consents, vec![deps.done(context, deed.name, &visit, deps.clock.now())]).await?)
}

/// Records the adult beside a minor, until the visit is over; said again, it is the next version, and what was said is kept.
pub async fn record_guardian(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    guardian: Guardian,
) -> Result<RecordedGuardian, ClinicalError> {
    let done = put_guardian(deps, context, id, guardian).await;
    deps.told(context, "guardian.record", id, done).await
}

async fn put_guardian(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    guardian: Guardian,
) -> Result<RecordedGuardian, ClinicalError> {
    let deed = Deed { action: Action::ConsentRecord, name: "guardian.record" };
    let mut round = 0;
    loop {
        round += 1;
        let (visit, _) = deps.open(context, deed, id).await?;
        if !guardian.is_complete() {
            return Err(ClinicalError::IncompleteGuardian);
        }
        let (before, now) = (deps.store.guardian(id).await?.undisclosed(), deps.clock.now());
        if visit.is_over(now) {
            return Err(ClinicalError::VisitClosed);
        }
        let next = RecordedGuardian {
            consultation: id,
            subject: visit.subject,
            guardian: Sensitive::new(guardian.clone()),
            version: before.map_or(0, |before| before.version) + 1,
        };
        let effects = Effects { audit: vec![deps.done(context, deed.name, &visit, now)], ..Effects::default() };
        let based_on = Some((visit.id, visit.version));
        let changes = ClinicalChanges { based_on, guardian: Some(next.clone()), effects, ..ClinicalChanges::default() };
        match deps.store.commit(&changes).await {
            Ok(()) => return Ok(next),
            Err(error) => again(error, round)?,
        }
    }
}
