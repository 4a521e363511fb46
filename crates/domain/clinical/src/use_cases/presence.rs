//! A side checks in.

use super::{
    Deps,
    frame::{Deed, again},
};
use crate::{
    ClinicalError,
    model::{Presence, VisitStatus},
    ports::ClinicalChanges,
};
use amrutam_kernel::{Action, ConsultationId, Context, Effects};
use jiff::SignedDuration;

/// Notes that the caller's side is there, from `early` before the visit until its end. Every call is noted: it is the evidence by
/// which a no-show is decided.
pub async fn check_in(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    early: SignedDuration,
) -> Result<Presence, ClinicalError> {
    let done = note_presence(deps, context, id, early).await;
    deps.told(context, "consultation.check_in", id, done).await
}

async fn note_presence(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    early: SignedDuration,
) -> Result<Presence, ClinicalError> {
    let deed = Deed { action: Action::ConsentRecord, name: "consultation.check_in" };
    let mut round = 0;
    loop {
        round += 1;
        let (visit, side) = deps.open(context, deed, id).await?;
        let now = deps.clock.now();
        let from = visit.range.start() - early;
        if now < from {
            return Err(ClinicalError::TooEarly { from });
        }
        if !matches!(visit.status, VisitStatus::Confirmed | VisitStatus::InProgress) || visit.range.end() <= now {
            return Err(ClinicalError::VisitClosed);
        }
        let presence = Presence { side, at: now };
        let effects = Effects { audit: vec![deps.done(context, deed.name, &visit, now)], ..Effects::default() };
        let changes = ClinicalChanges { presence: Some((id, presence)), effects, ..ClinicalChanges::default() };
        match deps.store.commit(&changes).await {
            Ok(()) => return Ok(presence),
            Err(error) => again(error, round)?,
        }
    }
}
