//! A person had a visit's money given back: the visit does not take place.

use super::{
    Deps,
    confirm_paid::decline,
    consume::{Decided, consume, ignored},
};
use crate::{
    ConsumeError, events,
    model::{CancelReason, ConsultationStatus},
};
use amrutam_kernel::{Action, EventEnvelope, Handled};

/// Handles `payment.ruled.v1`, of which only the rulings that give money back concern a visit.
///
/// One that is to come is called off, and its slot offered again. One whose hold has run out is declined as if its money had come
/// too late, so that the news of that money, should it come after this, does not bring it back. One under way ends. What is over
/// stays as it is, and a ruling on money that nobody has claimed is about no visit.
pub async fn call_off_ruled(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, ConsumeError> {
    let ruling = event.payload.get("cause").and_then(serde_json::Value::as_str).ok_or(ConsumeError::Malformed)?;
    let about_visit = event.payload.get("consultation_id").is_some_and(|id| !id.is_null());
    if !about_visit || !matches!(ruling, "refund_full" | "refund_by_policy") {
        return ignored(deps, event).await;
    }
    let cause = CancelReason::Refunded.as_str();
    consume(deps, event, Action::ConsultationRelease, |context, seen, record| {
        let (before, slot) = (&seen.snapshot.consultation, &seen.snapshot.slot);
        match before.status_at(record.now) {
            ConsultationStatus::Pending | ConsultationStatus::Confirmed => {
                let Ok(mut after) = before.become_status(ConsultationStatus::Cancelled, record.now) else {
                    return Decided::Nothing;
                };
                after.cancel_reason = Some(CancelReason::Refunded);
                record.version(context, &after, Some(before.status), events::CANCELLED, cause);
                record.slot(slot.freed());
                record.calendar(&seen.snapshot.calendar, &after);
                Decided::Changed(Box::new(after))
            }
            ConsultationStatus::Expired if !seen.declined => {
                Decided::Changed(Box::new(decline(context, seen, record, cause)))
            }
            ConsultationStatus::InProgress => {
                let Ok(after) = before.become_status(ConsultationStatus::Completed, record.now) else {
                    return Decided::Nothing;
                };
                record.version(context, &after, Some(before.status), events::COMPLETED, cause);
                record.calendar(&seen.snapshot.calendar, &after);
                Decided::Changed(Box::new(after))
            }
            ConsultationStatus::Expired
            | ConsultationStatus::Completed
            | ConsultationStatus::Cancelled
            | ConsultationStatus::NoShow => Decided::Nothing,
        }
    })
    .await
}
