//! The practitioner takes a signed prescription back.

use super::{
    Deps,
    frame::{Deed, again},
};
use crate::{
    ClinicalError, events,
    model::{Change, InvalidChange, Prescription, PrescriptionStatus, RevokeReason},
    ports::ClinicalChanges,
};
use amrutam_kernel::{Action, ConsultationId, Context, Effects};

/// Revokes the version in force, with a coded reason. The document stays readable, and says so when it is verified. Nothing of it is
/// given to whoever may read the patient's record no more: taking back what could harm is theirs still.
pub async fn revoke(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    reason: RevokeReason,
) -> Result<Option<Prescription>, ClinicalError> {
    let done = take_back(deps, context, id, reason).await;
    deps.told(context, "prescription.revoke", id, done).await
}

async fn take_back(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    reason: RevokeReason,
) -> Result<Option<Prescription>, ClinicalError> {
    let deed = Deed { action: Action::PrescriptionSign, name: "prescription.revoke" };
    let mut round = 0;
    loop {
        round += 1;
        let (visit, side) = deps.open(context, deed, id).await?;
        let closed = deps.closed_to(context, &visit, side).await?.is_some();
        let now = deps.clock.now();
        let all = deps.store.prescriptions(id).await?.undisclosed();
        let Some(last) = all.iter().max_by_key(|one| (one.status == PrescriptionStatus::Signed, one.number)) else {
            return Err(ClinicalError::NotFound);
        };
        if last.status == PrescriptionStatus::Draft {
            return Err(InvalidChange { from: last.status, to: PrescriptionStatus::Revoked }.into());
        }
        let revoked = last.change(Change::Revoke(reason), now)?;
        let event = events::prescription_event(events::REVOKED, deps.event_id(now), &revoked, context, now);
        let audit = vec![deps.done(context, deed.name, &visit, now)];
        let effects = Effects { events: vec![event], audit, ..Effects::default() };
        let changes = ClinicalChanges { prescriptions: vec![revoked.clone()], effects, ..ClinicalChanges::default() };
        match deps.store.commit(&changes).await {
            Ok(()) => return Ok(Some(revoked).filter(|_| !closed)),
            Err(error) => again(error, round)?,
        }
    }
}
