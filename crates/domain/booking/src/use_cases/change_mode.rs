//! Either side changes how a visit is held.

use super::{
    Changed, Deps, Idempotent,
    act::{Act, act},
};
use crate::{
    ConsultationError, events,
    model::{ConsultationStatus, InvalidTransition, Mode},
};
use amrutam_kernel::{Action, ConsultationId, Context, StoredAnswer};

/// Goes on in another mode, while the visit is under way. Any mode will do, whatever the slot was offered in: who can't be seen any
/// more must still be heard (ours). What may be prescribed follows from the mode at signing, so this raises the consultation's version,
/// and what was decided on the one before is not stored.
pub async fn change_mode(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    mode: Mode,
    idempotency: Option<Idempotent<'_, Changed>>,
) -> Result<(Changed, Option<StoredAnswer>), ConsultationError> {
    let request = Act { id, action: Action::ConsultationMode, target: None, summary: None, idempotency };
    act(deps, context, request, |snapshot, _, record| {
        let before = &snapshot.consultation;
        let status = before.status_at(record.now);
        if status != ConsultationStatus::InProgress {
            return Err(InvalidTransition { from: status, to: status }.into());
        }
        if before.mode == mode {
            return Err(ConsultationError::SameMode);
        }
        let mut after = before.noted(record.now);
        after.mode = mode;
        record.version(context, &after, Some(before.status), events::MODE_CHANGED, mode.as_str());
        Ok(after)
    })
    .await
}
