//! Money for a visit came: the visit takes place, if it still can.

use super::{
    Deps,
    consume::{Decided, Seen, consume},
    record::Recorder,
};
use crate::{
    ConsumeError, events,
    model::{Consultation, ConsultationStatus, refuse_late_payment},
};
use amrutam_kernel::{Action, Context, EventEnvelope, Handled};

/// Handles `payment.captured.v1`.
///
/// A visit that waits is confirmed. One whose hold has run out is, too, as long as its slot can still be had. If not, that is
/// noted and announced, and payments gives the money back. A visit is declined once: money that is announced again does
/// not bring back what was declined. A visit that was called off needs nothing: payments has heard of it.
pub async fn confirm_paid(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, ConsumeError> {
    consume(deps, event, Action::ConsultationConfirm, |context, seen, record| {
        let visit = &seen.snapshot.consultation;
        match visit.status {
            ConsultationStatus::Pending | ConsultationStatus::Expired if !seen.declined => {
                confirm(context, seen, record)
                    .unwrap_or_else(|| Decided::Changed(Box::new(decline(context, seen, record, "late_payment"))))
            }
            ConsultationStatus::Pending
            | ConsultationStatus::Expired
            | ConsultationStatus::Confirmed
            | ConsultationStatus::InProgress
            | ConsultationStatus::Completed
            | ConsultationStatus::Cancelled
            | ConsultationStatus::NoShow => Decided::Nothing,
        }
    })
    .await
}

fn confirm(context: &Context, seen: &Seen, record: &mut Recorder<'_>) -> Option<Decided> {
    let snapshot = &seen.snapshot;
    let (before, slot) = (&snapshot.consultation, &snapshot.slot);
    refuse_late_payment(before, slot, &snapshot.doctor, &snapshot.calendar, record.rules, record.now).ok()?;
    let after = before.become_status(ConsultationStatus::Confirmed, record.now).ok()?;
    // The slot may have gone to another booking whose hold has run out by now.
    if let Some(held) = snapshot.occupant.as_ref().filter(|held| held.id != before.id) {
        record.expire(held);
    }
    record.version(context, &after, Some(before.status), events::CONFIRMED, "paid");
    record.slot(slot.booked_by(after.id, None));
    record.calendar(&snapshot.calendar, &after);
    Some(Decided::Changed(Box::new(after)))
}

/// Too late: a hold that still stands in the books ends, and then it is noted that the money found no visit, and why.
pub(super) fn decline(context: &Context, seen: &Seen, record: &mut Recorder<'_>, why: &str) -> Consultation {
    let (mut visit, slot) = (seen.snapshot.consultation.clone(), &seen.snapshot.slot);
    if let Ok(expired) = visit.become_status(ConsultationStatus::Expired, record.now) {
        record.version(context, &expired, Some(visit.status), events::EXPIRED, "hold_expired");
        if slot.consultation == Some(visit.id) {
            record.slot(slot.freed());
        }
        record.calendar(&seen.snapshot.calendar, &expired);
        visit = expired;
    }
    let noted = visit.noted(record.now);
    record.version(context, &noted, Some(visit.status), events::UNCONFIRMABLE, why);
    noted
}
