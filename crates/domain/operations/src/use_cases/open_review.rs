//! What a domain can't finish becomes a case.

use super::Deps;
use crate::{OpenError, REVIEWS_CONSUMER, events::case_of};
use amrutam_kernel::{CommitError, Context, Effects, EventEnvelope, Handled, InboxMark, Outcome, ReviewCaseId};

use super::permit::Deed;

/// Opens a case from `<domain>.review_needed.v1`; none while one of the same subject and reason is open.
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
    match deps.reviews.open_review(&case, &effects).await {
        Ok(true) => Ok(Handled::Applied),
        Ok(false) => Ok(Handled::Ignored),
        Err(CommitError::AlreadyHandled) => Ok(Handled::Duplicate),
        Err(error) => Err(error.into()),
    }
}
