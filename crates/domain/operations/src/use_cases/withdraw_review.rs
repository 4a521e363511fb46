//! What a domain asked came about by itself: nobody need decide any more.

use super::{Deps, MAX_COMMITS, permit::Deed};
use crate::{
    OpenError, REVIEWS_CONSUMER,
    events::withdrawn,
    model::{Code, Decider, ReviewCase, Subject},
};
use amrutam_kernel::{CommitError, Context, Effects, EventEnvelope, Handled, InboxMark, Outcome};

/// Resolves the open case that `<domain>.review_withdrawn.v1` names as moot, in the domain's name. Nothing is announced: the domain
/// has nothing to carry out. A case that a person resolved meanwhile stays as it is, and so does one that was asked for later: the
/// word is late then, and the case that it was about is gone.
pub async fn withdraw_review(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, OpenError> {
    let (subject, reason) = withdrawn(event)?;
    let context = Context::following("reviews", event);
    let inbox = Some(InboxMark { consumer: REVIEWS_CONSUMER, event: event.id });
    for round in 1..=MAX_COMMITS {
        let asked = deps.asked_until(&subject, &reason, event.aggregate.version).await?;
        let Some(asked) = asked else {
            let effects = Effects { inbox, ..Effects::default() };
            deps.reviews.put_on_record(&effects).await.map_err(CommitError::from)?;
            return Ok(Handled::Ignored);
        };
        match deps.make_moot(&context, &asked, Decider::stored(event.actor.clone()), inbox.clone()).await {
            Ok(()) => return Ok(Handled::Applied),
            Err(CommitError::AlreadyHandled) => return Ok(Handled::Duplicate),
            Err(error @ CommitError::Port(_)) => return Err(error.into()),
            Err(_) => deps.step_aside(round).await,
        }
    }
    Err(CommitError::Busy.into())
}

impl Deps<'_> {
    /// The open case about this, when it was asked for by that version of what asks.
    pub(super) async fn asked_until(
        &self,
        subject: &Subject,
        reason: &Code,
        version: i64,
    ) -> Result<Option<ReviewCase>, CommitError> {
        let open = self.reviews.open_review_about(subject, reason).await?.undisclosed();
        Ok(open.filter(|case| case.asked_version <= version))
    }

    /// Resolves the case without anything to carry out.
    pub(super) async fn make_moot(
        &self,
        context: &Context,
        case: &ReviewCase,
        by: Decider,
        inbox: Option<InboxMark>,
    ) -> Result<(), CommitError> {
        let Some(case) = case.moot(by, self.clock.now()) else { return Ok(()) };
        let deed = Deed { patient: case.patient, ..Deed::of_review("review.withdraw", Some(case.id.as_uuid())) };
        let audit = vec![self.entry(context, deed, Outcome::Allowed)];
        self.reviews.put_review(&case, &Effects { audit, inbox, ..Effects::default() }).await
    }
}
