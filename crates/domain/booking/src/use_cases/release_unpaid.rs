//! A visit can't be paid: its slot is offered again.

use super::{
    Deps,
    consume::{Decided, consume},
};
use crate::{
    ConsumeError, events,
    model::{CancelReason, ConsultationStatus},
};
use amrutam_kernel::{Action, EventEnvelope, Handled};

/// Handles `payment.failed.v1`: a visit that waits to be paid is called off by the system. One whose hold has run out expires
/// as any other; for all others it is too late, or too early, to fail.
pub async fn release_unpaid(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, ConsumeError> {
    consume(deps, event, Action::ConsultationRelease, |context, seen, record| {
        let (before, slot) = (&seen.snapshot.consultation, &seen.snapshot.slot);
        let waits = before.status_at(record.now) == ConsultationStatus::Pending;
        let cancelled = before.become_status(ConsultationStatus::Cancelled, record.now).ok().filter(|_| waits);
        let Some(mut after) = cancelled else { return Decided::Nothing };
        let reason = CancelReason::PaymentFailed;
        after.cancel_reason = Some(reason);
        record.version(context, &after, Some(before.status), events::CANCELLED, reason.as_str());
        record.slot(slot.freed());
        record.calendar(&seen.snapshot.calendar, &after);
        Decided::Changed(Box::new(after))
    })
    .await
}
