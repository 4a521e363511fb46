//! A dead letter begins afresh.

use super::{Deps, Idempotent, MAX_COMMITS, permit::Deed};
use crate::{
    LetterError,
    events::letter_requeued,
    model::{DeadLetter, Payload},
    ports::LetterChange,
};
use amrutam_kernel::{
    Action, CommitError, Context, DeadLetterId, DeadSource, Effects, EventId, IdempotencyClaim, Outcome, Recorded,
    StoredAnswer, failed_on_record,
};

/// Requeues: the work begins again with all its tries, an event at its consumer alone. Safe to repeat.
pub async fn requeue(
    deps: Deps<'_>,
    context: &Context,
    id: DeadLetterId,
    idempotency: Option<Idempotent<'_, DeadLetter>>,
) -> Result<(DeadLetter, Option<StoredAnswer>), LetterError> {
    act(deps, context, id, "dead_letter.requeue", idempotency, |letter| {
        if matches!(letter.payload, Payload::Sealed(_)) {
            return Err(LetterError::Unreadable);
        }
        let now = deps.clock.now();
        let requeued = letter.requeued(now)?;
        // Other sources are made due by the store itself.
        let events = if letter.source == DeadSource::GatewayTask {
            vec![letter_requeued(EventId::from_uuid(deps.ids.uuid_v7(now)), &requeued, context, now)]
        } else {
            Vec::new()
        };
        Ok((requeued, Effects { events, ..Effects::default() }, true))
    })
    .await
}

/// The frame of every act on a letter. `decide` gives the letter as it becomes, effects, and whether its work begins again.
pub(super) async fn act(
    deps: Deps<'_>,
    context: &Context,
    id: DeadLetterId,
    name: &'static str,
    idempotency: Option<Idempotent<'_, DeadLetter>>,
    decide: impl Fn(&DeadLetter) -> Result<(DeadLetter, Effects, bool), LetterError> + Send + Sync,
) -> Result<(DeadLetter, Option<StoredAnswer>), LetterError> {
    let deed = Deed::of_letter(name, Some(id.as_uuid()));
    deps.permit::<LetterError>(context, Action::OperationsManage, deed).await?;
    let claim: Option<&IdempotencyClaim> = idempotency.as_ref().map(|idempotent| idempotent.claim);
    for round in 1..=MAX_COMMITS {
        let snapshot = deps.letters.letter(id, claim).await?.undisclosed().ok_or(LetterError::NotFound)?;
        match snapshot.recorded {
            Some(Recorded::Same(answer)) => return Err(LetterError::Replay(answer)),
            Some(Recorded::Other) => return Err(LetterError::KeyReused),
            None => {}
        }
        let failed = async || Ok(deps.tell(deps.entry(context, deed, Outcome::Failed)).await?);
        let (letter, mut effects, requeue) = failed_on_record(decide(&snapshot.found), |_| true, failed).await?;
        effects.audit.push(deps.entry(context, deed, Outcome::Allowed));
        effects.answer = idempotency.as_ref().map(|idempotent| idempotent.answer(&letter));
        match deps.letters.put_letter(LetterChange { letter: &letter, requeue }, &effects).await {
            Ok(()) => return Ok((letter, effects.answer.map(|(_, answer)| answer))),
            Err(CommitError::Port(error)) => return Err(error.into()),
            Err(_) => deps.step_aside(round).await,
        }
    }
    Err(LetterError::Contended)
}
