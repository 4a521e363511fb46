//! The practitioner begins the visit.

use super::{
    Changed, Deps, Idempotent,
    act::{Act, act},
};
use crate::{
    ConsultationError, events,
    model::{ConsultationStatus, IdentityCheck},
};
use amrutam_kernel::{Action, ConsultationId, Context, Denial, StoredAnswer};

/// Starts a confirmed visit, from ten minutes before its slot until the slot's end, by a practitioner who is listed and
/// registered that day and who has made sure of the patient's `identity`.
pub async fn start(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    identity: IdentityCheck,
    idempotency: Option<Idempotent<'_, Changed>>,
) -> Result<(Changed, Option<StoredAnswer>), ConsultationError> {
    let request = Act { id, action: Action::ConsultationStart, target: None, summary: None, idempotency };
    act(deps, context, request, |snapshot, _, record| {
        let before = &snapshot.consultation;
        let after = before.become_status(ConsultationStatus::InProgress, record.now)?;
        before.check_start(record.rules, record.now)?;
        let today = record.rules.business_day(record.now);
        if !snapshot.doctor.practises_on(today) {
            return Err(Denial::Forbidden.into());
        }
        record.based_on(&snapshot.doctor);
        record.version(context, &after, Some(before.status), events::STARTED, identity.cause());
        record.calendar(&snapshot.calendar, &after);
        Ok(after)
    })
    .await
}
