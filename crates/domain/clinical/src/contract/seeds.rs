//! Consents and people whom accounts keep as the stores take them, without the way that leads there: for the suites of domains that look
//! at what becomes of them.

use super::stage::id;
use crate::{
    model::{
        Consent, ConsentDecision, ConsentMethod, ConsentPurpose, Dependant, DependantDetails, DependantRelation,
        Subject,
    },
    ports::{ClinicalChanges, ClinicalStore, DependantChange, DependantStore},
};
use amrutam_kernel::{AccountId, CommitError, ConsentId, ConsultationId, DependantId, Effects, Sensitive};
use jiff::Timestamp;

/// Stores consents of that person's to these purposes, given at that visit in that order, with what shows them.
pub async fn agree(
    store: &dyn ClinicalStore,
    subject: Subject,
    visit: ConsultationId,
    purposes: &[&str],
    now: Timestamp,
) -> Result<(), CommitError> {
    let consent = |purpose: ConsentPurpose| Consent {
        id: ConsentId::from_uuid(id(now)),
        consultation: visit,
        subject,
        purpose,
        decision: ConsentDecision::Given,
        notice_version: format!("{}-1", purpose.as_str()),
        method: ConsentMethod::Verbal,
        evidence: Some(Sensitive::new("said yes".to_owned())),
        recorded_by: subject.keeper(),
        at: now,
    };
    let consents = purposes.iter().map(|purpose| consent(purpose.parse().unwrap())).collect();
    store.commit(&ClinicalChanges { consents, ..ClinicalChanges::default() }).await
}

/// To which purposes there is a consent, in the order in which they were stored.
pub async fn agreed(store: &dyn ClinicalStore, visit: ConsultationId) -> Vec<&'static str> {
    store.consents(visit).await.unwrap().undisclosed().into_iter().map(|consent| consent.purpose.as_str()).collect()
}

/// Stores somebody whom that account keeps.
pub async fn keep(store: &dyn DependantStore, keeper: AccountId, now: Timestamp) -> Dependant {
    let dependant = Dependant {
        id: DependantId::from_uuid(id(now)),
        keeper,
        details: Sensitive::new(DependantDetails {
            full_name: "Kavya Nair".to_owned(),
            date_of_birth: "2018-06-01".parse().unwrap(),
            sex: None,
            relation: DependantRelation::Child,
        }),
        added_at: now,
        updated_at: now,
        removed_at: None,
        version: 1,
    };
    let others = store.count_kept(keeper).await.unwrap();
    let change = DependantChange::Added { dependant: dependant.clone(), others };
    store.commit_dependant(&change, &Effects::default()).await.unwrap();
    dependant
}

/// The account keeps them no more. Nothing is left of whom no visit names.
pub async fn remove(store: &dyn DependantStore, dependant: &Dependant, now: Timestamp) {
    let kept = store.kept(dependant.keeper, dependant.id).await.unwrap().undisclosed().unwrap();
    let forget = !kept.ever_booked;
    let change = DependantChange::Removed { dependant: kept.dependant.removed(now), calendar: kept.calendar, forget };
    store.commit_dependant(&change, &Effects::default()).await.unwrap();
}
