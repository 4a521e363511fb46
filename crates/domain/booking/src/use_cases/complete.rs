//! The practitioner ends the visit.

use super::{
    Changed, Deps,
    act::{Act, Side, act},
};
use crate::{ConsultationError, events, model::ConsultationStatus};
use amrutam_kernel::{ConsultationId, Context};

/// Completes a visit that is under way.
pub async fn complete(deps: Deps<'_>, context: &Context, id: ConsultationId) -> Result<Changed, ConsultationError> {
    let request = Act { id, action: "consultation.complete", target: None, idempotency: None };
    let (changed, _) = act(deps, context, request, |snapshot, side, record| {
        if !matches!(side, Side::Doctor | Side::System) {
            return Err(ConsultationError::NotAllowed);
        }
        let before = &snapshot.consultation;
        let after = before.become_status(ConsultationStatus::Completed, record.now)?;
        record.version(context, &after, Some(before.status), events::COMPLETED, "completed");
        record.calendar(&snapshot.calendar, &after);
        Ok(after)
    })
    .await?;
    Ok(changed)
}
