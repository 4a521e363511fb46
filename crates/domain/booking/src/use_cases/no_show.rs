//! One side did not come.

use super::{
    Changed, Deps, Idempotent,
    act::{Act, Side, act},
};
use crate::{ConsultationError, events, model::ConsultationStatus};
use amrutam_kernel::{Action, ConsultationId, Context, StoredAnswer};

/// Marks the absence of the side that did not join, said by the side that did, from ten minutes after the slot's start.
/// The cause in the timeline tells who was absent.
pub async fn no_show(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    idempotency: Option<Idempotent<'_, Changed>>,
) -> Result<(Changed, Option<StoredAnswer>), ConsultationError> {
    let request = Act { id, action: Action::ConsultationNoShow, target: None, summary: None, idempotency };
    act(deps, context, request, |snapshot, side, record| {
        let cause = match side {
            Side::Doctor | Side::Outside => "patient_absent",
            Side::Patient => "doctor_absent",
        };
        let before = &snapshot.consultation;
        let after = before.become_status(ConsultationStatus::NoShow, record.now)?;
        before.check_no_show(record.rules, record.now)?;
        record.version(context, &after, Some(before.status), events::NO_SHOW, cause);
        record.calendar(&snapshot.calendar, &after);
        Ok(after)
    })
    .await
}
