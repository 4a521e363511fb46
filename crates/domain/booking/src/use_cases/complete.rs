//! The practitioner ends the visit.

use super::{
    Changed, Deps, Idempotent,
    act::{Act, act},
};
use crate::{ConsultationError, events, model::ConsultationStatus};
use amrutam_kernel::{Action, ConsultationId, Context, StoredAnswer};

/// Completes a visit that is under way.
pub async fn complete(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    idempotency: Option<Idempotent<'_, Changed>>,
) -> Result<(Changed, Option<StoredAnswer>), ConsultationError> {
    let request = Act { id, action: Action::ConsultationComplete, target: None, idempotency };
    act(deps, context, request, |snapshot, _, record| {
        let before = &snapshot.consultation;
        let after = before.become_status(ConsultationStatus::Completed, record.now)?;
        record.version(context, &after, Some(before.status), events::COMPLETED, "completed");
        record.calendar(&snapshot.calendar, &after);
        Ok(after)
    })
    .await
}
