//! What a domain asked came about by itself: nobody need decide any more.

use super::{Deps, MAX_COMMITS, permit::Deed};
use crate::{OpenError, REVIEWS_CONSUMER, events::withdrawn, model::Decider};
use amrutam_kernel::{CommitError, Context, Effects, EventEnvelope, Handled, InboxMark, Outcome};

/// Resolves the open case that `<domain>.review_withdrawn.v1` names as moot, in the domain's name. Nothing is announced: the domain
/// has nothing to carry out. A case that a person resolved meanwhile stays as it is.
pub async fn withdraw_review(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, OpenError> {
    let (subject, reason) = withdrawn(event)?;
    let context = Context::following("reviews", event);
    let inbox = Some(InboxMark { consumer: REVIEWS_CONSUMER, event: event.id });
    for round in 1..=MAX_COMMITS {
        let open = deps.reviews.open_review_about(&subject, &reason).await.map_err(CommitError::from)?;
        let moot = open.and_then(|case| case.moot(Decider::stored(event.actor.clone()), deps.clock.now()));
        let Some(case) = moot else {
            let effects = Effects { inbox, ..Effects::default() };
            deps.reviews.put_on_record(&effects).await.map_err(CommitError::from)?;
            return Ok(Handled::Ignored);
        };
        let deed = Deed { patient: case.patient, ..Deed::of_review("review.withdraw", Some(case.id.as_uuid())) };
        let audit = vec![deps.entry(&context, deed, Outcome::Allowed)];
        let effects = Effects { audit, inbox: inbox.clone(), ..Effects::default() };
        match deps.reviews.put_review(&case, &effects).await {
            Ok(()) => return Ok(Handled::Applied),
            Err(CommitError::AlreadyHandled) => return Ok(Handled::Duplicate),
            Err(error @ CommitError::Port(_)) => return Err(error.into()),
            Err(_) => deps.step_aside(round).await,
        }
    }
    Err(CommitError::Busy.into())
}
