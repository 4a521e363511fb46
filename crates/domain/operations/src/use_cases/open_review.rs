//! What a domain can't finish becomes a case.

use super::{Deps, MAX_COMMITS, permit::Deed};
use crate::{
    OpenError, REVIEWS_CONSUMER,
    events::case_of,
    model::{Decider, ReviewCase},
};
use amrutam_kernel::{CommitError, Context, Effects, EventEnvelope, Handled, InboxMark, Outcome, ReviewCaseId};

/// Opens a case from `<domain>.review_needed.v1`. One of the same subject and reason that is still open, though it was asked for
/// earlier, is moot by that: the word that takes it back is on its way. None is opened beside one that was asked for later.
pub async fn open_review(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, OpenError> {
    let now = deps.clock.now();
    let case = case_of(event, ReviewCaseId::from_uuid(deps.ids.uuid_v7(now)), now)?;
    let context = Context::following("reviews", event);
    let deed = Deed { patient: case.patient, ..Deed::of_review("review.open", Some(case.id.as_uuid())) };
    let effects = Effects {
        audit: vec![deps.entry(&context, deed, Outcome::Allowed)],
        inbox: Some(InboxMark { consumer: REVIEWS_CONSUMER, event: event.id }),
        ..Effects::default()
    };
    make_room(deps, &context, &case).await?;
    match deps.reviews.open_review(&case, &effects).await {
        Ok(true) => Ok(Handled::Applied),
        Ok(false) => Ok(Handled::Ignored),
        Err(CommitError::AlreadyHandled) => Ok(Handled::Duplicate),
        Err(error) => Err(error.into()),
    }
}

/// What was asked earlier about the same is moot. An error rather than a case that is never opened, when others keep changing it.
async fn make_room(deps: Deps<'_>, context: &Context, case: &ReviewCase) -> Result<(), CommitError> {
    let by = Decider::stored(context.actor.to_string());
    for round in 1..=MAX_COMMITS {
        let before = deps.asked_until(&case.subject, &case.reason, case.asked_version - 1).await?;
        let Some(before) = before else { return Ok(()) };
        match deps.make_moot(context, &before, by.clone(), None).await {
            Ok(()) => return Ok(()),
            Err(error @ CommitError::Port(_)) => return Err(error),
            Err(_) => deps.step_aside(round).await,
        }
    }
    Err(CommitError::Busy)
}
