//! Whether a practitioner can know a patient.

use super::{Deps, frame::side_of};
use crate::{
    ClinicalError,
    model::{AdmissionRefusal, Side, VisitStatus},
};
use amrutam_kernel::{Action, ConsultationId, Context};
use jiff::Timestamp;

/// Whether the practitioner can say before the visit that they know who is treated: they have held a visit of theirs. What is held stays
/// so: nothing that begins by this can turn out wrong. Whose visit it is not hears nothing here, as in [`super::admit`].
pub async fn check_known(deps: Deps<'_>, context: &Context, id: ConsultationId) -> Result<(), ClinicalError> {
    let done = have_met(deps, context, id).await;
    deps.told(context, Action::ConsultationStart.as_str(), id, done).await
}

async fn have_met(deps: Deps<'_>, context: &Context, id: ConsultationId) -> Result<(), ClinicalError> {
    let Some(visit) = deps.store.visit(id).await? else { return Ok(()) };
    if side_of(context, &visit) != Some(Side::Doctor) || visit.status != VisitStatus::Confirmed {
        return Ok(());
    }
    let (doctor, starts_at) = (visit.practitioner.id, visit.range.start());
    let held = deps.store.earlier_visits(visit.subject, doctor, Timestamp::UNIX_EPOCH, starts_at).await?;
    if held.judge(Vec::is_empty) { Err(AdmissionRefusal::NoEarlierVisit.into()) } else { Ok(()) }
}
