//! The practitioner ends the visit.

use super::{
    Changed, Deps, Idempotent,
    act::{Act, Side, act},
};
use crate::{ConsultationError, events, model::ConsultationStatus};
use amrutam_kernel::{ConsultationId, Context, StoredAnswer};

/// Completes a visit that is under way.
pub async fn complete(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    idempotency: Option<Idempotent<'_, Changed>>,
) -> Result<(Changed, Option<StoredAnswer>), ConsultationError> {
    let request = Act { id, action: "consultation.complete", target: None, idempotency };
    act(deps, context, request, |snapshot, side, record| {
        if !matches!(side, Side::Doctor | Side::System) {
            return Err(ConsultationError::NotAllowed);
        }
        let before = &snapshot.consultation;
        let after = before.become_status(ConsultationStatus::Completed, record.now)?;
        record.version(context, &after, Some(before.status), events::COMPLETED, "completed");
        record.calendar(&snapshot.calendar, &after);
        Ok(after)
    })
    .await
}
