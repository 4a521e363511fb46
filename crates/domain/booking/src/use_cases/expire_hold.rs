//! The sweeper: pending consultations whose hold ran out give their slots back.
//!
//! Nothing depends on it for correctness: a hold is compared with the clock whenever its slot is claimed.

use super::{
    Deps,
    act::{Act, act},
};
use crate::{
    ConsultationError, events,
    model::{ConsultationStatus, InvalidTransition},
};
use amrutam_kernel::{Action, ConsultationId, Context, PortError};

/// Expires one pending consultation whose hold has run out.
pub async fn expire_hold(deps: Deps<'_>, context: &Context, id: ConsultationId) -> Result<(), ConsultationError> {
    let request = Act { id, action: Action::ConsultationExpire, target: None, summary: None, idempotency: None };
    act(deps, context, request, |snapshot, _, record| {
        let before = &snapshot.consultation;
        // A hold that still runs is no business of the sweeper's.
        if before.status_at(record.now) != ConsultationStatus::Expired {
            return Err(InvalidTransition { from: before.status, to: ConsultationStatus::Expired }.into());
        }
        let after = before.become_status(ConsultationStatus::Expired, record.now)?;
        record.version(context, &after, Some(before.status), events::EXPIRED, "hold_expired");
        if snapshot.slot.consultation == Some(before.id) {
            record.slot(snapshot.slot.freed());
        }
        record.calendar(&snapshot.calendar, &after);
        Ok(after)
    })
    .await
    .map(drop)
}

/// Expires up to `limit` holds and says how many. One that somebody else has dealt with meanwhile is passed over, and so is
/// one that can't be read or written: it is told when all others are done.
pub async fn expire_holds(deps: Deps<'_>, context: &Context, limit: u16) -> Result<usize, PortError> {
    let (mut expired, mut defect) = (0, None);
    for id in deps.store.expired_holds(deps.clock.now(), limit).await? {
        match expire_hold(deps, context, id).await {
            Ok(()) => expired += 1,
            Err(ConsultationError::Port(error @ PortError::Unavailable { .. })) => return Err(error),
            Err(ConsultationError::Port(error @ PortError::Defect { .. })) => defect = Some(error),
            Err(_) => {}
        }
    }
    defect.map_or(Ok(expired), Err)
}
