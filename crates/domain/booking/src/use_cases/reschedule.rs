//! A patient moves a visit to another slot of the same practitioner.

use super::{
    Changed, Deps, Idempotent,
    act::{Act, act},
};
use crate::{
    ConsultationError, RescheduleError, events,
    model::{BookingRefusal, ConsultationStatus, InvalidTransition, refuse_move},
    ports::LockOutcome,
};
use amrutam_kernel::{Action, ConsultationId, Context, SlotId, StoredAnswer};

/// Moves a visit that has not begun: the same consultation, both slots in one transaction.
///
/// The new slot's lock is tried once, as a filter like any booking's; the database decides.
pub async fn reschedule(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    to: SlotId,
    idempotency: Option<Idempotent<'_, Changed>>,
) -> Result<(Changed, Option<StoredAnswer>), RescheduleError> {
    let lock = match deps.locks.try_lock(to).await {
        LockOutcome::Held(lock) => Some(lock),
        LockOutcome::Taken | LockOutcome::Unavailable => None,
    };
    let request = Act { id, action: Action::ConsultationReschedule, target: Some(to), summary: None, idempotency };
    let result = act(deps, context, request, |snapshot, _, record| {
        let before = &snapshot.consultation;
        let status = before.status_at(record.now);
        if !matches!(status, ConsultationStatus::Pending | ConsultationStatus::Confirmed) {
            return Err(ConsultationError::from(InvalidTransition { from: status, to: status }).into());
        }
        before.check_before_start(record.now).map_err(ConsultationError::from)?;
        let Some((target, occupant)) = &snapshot.target else { return Err(BookingRefusal::UnknownSlot.into()) };
        record.based_on(&snapshot.doctor);
        refuse_move(before, target, &snapshot.doctor, &snapshot.calendar, record.rules, record.now)?;
        if let Some(held) = occupant {
            record.expire(held);
        }
        let after = before.moved_to(target, &context.actor, record.now);
        record.version(context, &after, Some(before.status), events::RESCHEDULED, "rescheduled");
        record.slot(snapshot.slot.freed());
        record.slot(target.booked_by(after.id, after.hold_expires_at));
        record.calendar(&snapshot.calendar, &after);
        Ok(after)
    })
    .await;
    if let Some(lock) = lock {
        lock.release();
    }
    result
}
