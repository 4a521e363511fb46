//! The practitioner begins the visit.

use super::{
    Changed, Deps, Idempotent,
    act::{Act, Side, act},
};
use crate::{
    ConsultationError, events,
    model::{ConsultationStatus, PractitionerStatus},
};
use amrutam_kernel::{ConsultationId, Context, StoredAnswer};

/// Starts a confirmed visit, from ten minutes before its slot until the slot's end, by a practitioner who is listed and
/// registered that day.
pub async fn start(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    idempotency: Option<Idempotent<'_, Changed>>,
) -> Result<(Changed, Option<StoredAnswer>), ConsultationError> {
    let request = Act { id, action: "consultation.start", target: None, if_version: None, idempotency };
    act(deps, context, request, |snapshot, side, record| {
        if !matches!(side, Side::Doctor | Side::System) {
            return Err(ConsultationError::NotAllowed);
        }
        let before = &snapshot.consultation;
        let after = before.become_status(ConsultationStatus::InProgress, record.now)?;
        before.check_start(record.rules, record.now)?;
        let today = record.rules.business_day(record.now);
        let registered = snapshot.doctor.valid_until.is_none_or(|last| today <= last);
        if snapshot.doctor.status != PractitionerStatus::Listed || !registered {
            return Err(ConsultationError::NotAllowed);
        }
        record.version(context, &after, Some(before.status), events::STARTED, "started");
        record.calendar(&snapshot.calendar, &after);
        Ok(after)
    })
    .await
}
