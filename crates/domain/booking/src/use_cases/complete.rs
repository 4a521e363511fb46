//! The visit ends.

use super::{
    Changed, Deps, Idempotent,
    act::{Act, Side, act},
};
use crate::{
    ConsultationError, events,
    model::{ConsultationStatus, EndReason},
};
use amrutam_kernel::{Action, ConsultationId, Context, Sensitive, StoredAnswer};

/// Completes a visit that is under way, by its practitioner, whose summary is sealed and kept with it.
pub async fn complete(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    summary: Option<&Sensitive<String>>,
    idempotency: Option<Idempotent<'_, Changed>>,
) -> Result<(Changed, Option<StoredAnswer>), ConsultationError> {
    let request = Act { id, action: Action::ConsultationComplete, target: None, summary, idempotency };
    act(deps, context, request, |snapshot, _, record| {
        let before = &snapshot.consultation;
        let after = before.become_status(ConsultationStatus::Completed, record.now)?;
        record.version(context, &after, Some(before.status), events::COMPLETED, "completed");
        record.calendar(&snapshot.calendar, &after);
        Ok(after)
    })
    .await
}

/// Ends a visit that is under way, by either side at any time; why is in the timeline, or, when it is a judgement on the patient's health,
/// sealed in place of a summary. It has taken place.
pub async fn end(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    reason: EndReason,
    idempotency: Option<Idempotent<'_, Changed>>,
) -> Result<(Changed, Option<StoredAnswer>), ConsultationError> {
    let judgement = (!reason.is_patients()).then(|| Sensitive::new(reason.as_str().to_owned()));
    let request = Act { id, action: Action::ConsultationEnd, target: None, summary: judgement.as_ref(), idempotency };
    act(deps, context, request, |snapshot, side, record| {
        let before = &snapshot.consultation;
        let after = before.become_status(ConsultationStatus::Completed, record.now)?;
        if side == Side::Patient && !reason.is_patients() {
            return Err(ConsultationError::ReasonNotYours);
        }
        record.version(context, &after, Some(before.status), events::COMPLETED, reason.cause());
        record.calendar(&snapshot.calendar, &after);
        Ok(after)
    })
    .await
}
