//! Either side, or an admin, calls a visit off.

use super::{
    Changed, Deps, Idempotent,
    act::{Act, Side, act},
};
use crate::{
    ConsultationError, events,
    model::{CancelReason, ConsultationStatus},
};
use amrutam_kernel::{Action, ConsultationId, Context, StoredAnswer};

/// What is asked for.
#[derive(Debug)]
pub struct Cancel<'a> {
    /// Which.
    pub id: ConsultationId,
    /// Why.
    pub reason: CancelReason,
    /// The caller's key.
    pub idempotency: Option<Idempotent<'a, Changed>>,
}

/// Cancels a visit that has not begun. Its slot is offered again unless the reason is that the practitioner won't be there.
pub async fn cancel(
    deps: Deps<'_>,
    context: &Context,
    command: Cancel<'_>,
) -> Result<(Changed, Option<StoredAnswer>), ConsultationError> {
    let reason = command.reason;
    let request = Act {
        id: command.id,
        action: Action::ConsultationCancel,
        target: None,
        summary: None,
        idempotency: command.idempotency,
    };
    act(deps, context, request, |snapshot, side, record| {
        let may_say_so = match side {
            Side::Patient => reason.is_patients(),
            Side::Doctor => reason.is_doctors(),
            Side::Outside => reason.is_a_persons(),
        };
        let before = &snapshot.consultation;
        let mut after = before.become_status(ConsultationStatus::Cancelled, record.now)?;
        before.check_before_start(record.now)?;
        if !may_say_so {
            return Err(ConsultationError::ReasonNotYours);
        }
        after.cancel_reason = Some(reason);
        record.version(context, &after, Some(before.status), events::CANCELLED, reason.as_str());
        let slot = &snapshot.slot;
        record.slot(if reason.leaves_slot_open() { slot.freed() } else { slot.taken_back() });
        record.calendar(&snapshot.calendar, &after);
        Ok(after)
    })
    .await
}
