//! A person decides, or agrees with another one who did.

use super::{Deps, Idempotent, MAX_COMMITS, permit::Deed};
use crate::{
    ReviewError,
    events::resolved,
    model::{Decider, ReviewCase, ReviewRefusal, ReviewState},
};
use amrutam_kernel::{
    AccountId, Action, CommitError, Context, Effects, EventId, Outcome, PortError, Recorded, ReviewCaseId, SealPlace,
    Sensitive, StoredAnswer,
};
use uuid::Uuid;

/// One choice.
#[derive(Debug)]
pub struct Resolve<'a> {
    /// Of which case.
    pub id: ReviewCaseId,
    /// One of the case's choices.
    pub choice: String,
    /// Why, for the next one who looks; sealed.
    pub note: Option<Sensitive<String>>,
    /// The caller's name for the request.
    pub idempotency: Option<Idempotent<'a, ReviewCase>>,
}

/// Resolves a case: the choice is announced in the transaction that notes it, and the case's domain carries it out. One that
/// moves more than one person may only becomes the case's proposal; a second person resolves it by choosing the same, which
/// asks for the right to grant refunds and a second factor just shown, and is not the command line's to do.
pub async fn resolve(
    deps: Deps<'_>,
    context: &Context,
    command: Resolve<'_>,
) -> Result<(ReviewCase, Option<StoredAnswer>), ReviewError> {
    let deed = Deed::of_review("review.resolve", Some(command.id.as_uuid()));
    deps.permit::<ReviewError>(context, Action::OperationsManage, deed).await?;
    let claim = command.idempotency.as_ref().map(|idempotent| idempotent.claim);
    for round in 1..=MAX_COMMITS {
        let snapshot = deps.reviews.review(command.id, claim).await?.undisclosed().ok_or(ReviewError::NotFound)?;
        match snapshot.recorded {
            Some(Recorded::Same(answer)) => return Err(ReviewError::Replay(answer)),
            Some(Recorded::Other) => return Err(ReviewError::KeyReused),
            None => {}
        }
        let before = snapshot.found;
        let deed = Deed { patient: before.patient, ..deed };
        let now = deps.clock.now();
        let decided = before.decided(&command.choice, Decider::from(&context.actor), deps.limits, now);
        let case = match decided {
            Ok(case) => case,
            Err(refused) => {
                // The others are no refusals of the person.
                let (name, outcome) = match refused {
                    ReviewRefusal::OwnApproval => ("review.approve", Outcome::Denied),
                    _ => (deed.name, Outcome::Failed),
                };
                deps.tell(deps.entry(context, Deed { name, ..deed }, outcome)).await?;
                return Err(refused.into());
            }
        };
        let deed = match case.state {
            _ if case.is_approved() => Deed { name: "review.approve", ..deed },
            ReviewState::AwaitingApproval => Deed { name: "review.propose", ..deed },
            ReviewState::Open | ReviewState::Resolved => deed,
        };
        if case.is_approved() {
            deps.permit::<ReviewError>(context, Action::RefundApprove, deed).await?;
        }
        let case = note(deps, case, command.note.as_ref()).await?;
        let event = match case.state {
            ReviewState::Resolved => resolved(EventId::from_uuid(deps.ids.uuid_v7(now)), &case, context, now),
            ReviewState::Open | ReviewState::AwaitingApproval => None,
        };
        let effects = Effects {
            events: event.into_iter().collect(),
            audit: vec![deps.entry(context, deed, Outcome::Allowed)],
            answer: command.idempotency.as_ref().map(|idempotent| idempotent.answer(&case)),
            ..Effects::default()
        };
        match deps.reviews.put_review(&case, &effects).await {
            Ok(()) => return Ok((case, effects.answer.map(|(_, answer)| answer))),
            Err(CommitError::Port(error)) => return Err(error.into()),
            Err(_) => deps.step_aside(round).await,
        }
    }
    Err(ReviewError::Contended)
}

async fn note(deps: Deps<'_>, case: ReviewCase, note: Option<&Sensitive<String>>) -> Result<ReviewCase, ReviewError> {
    let Some(text) = note else { return Ok(case) };
    let column = if case.is_approved() { "sealed_approval_note" } else { "sealed_note" };
    let place = note_place(&case, column, case.version);
    let sealed = deps.sealer.seal(&place, text.expose().as_bytes()).await.map_err(PortError::from)?;
    Ok(case.noted(sealed))
}

/// Where a note lies: it opens in its own column of its own case, as of the version it was written with.
pub(super) fn note_place(case: &ReviewCase, column: &'static str, version: i64) -> SealPlace<'static> {
    let owner = case.patient.unwrap_or(AccountId::from_uuid(Uuid::nil()));
    SealPlace { schema: "public", table: "review_cases", column, row: case.id.as_uuid(), owner, version }
}
