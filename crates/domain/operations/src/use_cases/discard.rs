//! A dead letter is not to be handled any more.

use super::{Deps, Idempotent, requeue::act};
use crate::{
    LetterError,
    model::{DeadLetter, DiscardReason},
};
use amrutam_kernel::{Context, DeadLetterId, Effects, StoredAnswer};

/// Discards, for a reason. What is on its way again can't be discarded.
pub async fn discard(
    deps: Deps<'_>,
    context: &Context,
    id: DeadLetterId,
    reason: DiscardReason,
    idempotency: Option<Idempotent<'_, DeadLetter>>,
) -> Result<(DeadLetter, Option<StoredAnswer>), LetterError> {
    act(deps, context, id, "dead_letter.discard", idempotency, |letter| {
        Ok((letter.discarded(reason, deps.clock.now())?, Effects::default(), false))
    })
    .await
}
