//! Looking at review cases. Every look is on the record before anything is shown.

use super::{Deps, permit::Deed, resolve::note_place};
use crate::{
    ReviewError,
    model::{Attempts, HistoryEntry, ReviewCase, SealedNote, merged},
    ports::{ByTime, ReviewFilter},
};
use amrutam_kernel::{
    Action, Context, Dependency, Outcome, Page, PageRequest, PaymentId, PortError, ReviewCaseId, SealError, Sensitive,
    Sight, Unrecorded, failed_on_record,
};

/// A case as one caller sees it.
#[derive(Debug, Clone)]
pub struct SeenReview {
    /// The case.
    pub case: ReviewCase,
    /// What happened to its visit and its payment, as far as it has them, by time.
    pub history: Vec<HistoryEntry>,
    /// What was asked of the payment's gateway, and how often.
    pub attempts: Vec<Attempts>,
    /// Whether to show whom it is about and who decided.
    pub shows_people: bool,
    /// What whoever decided noted.
    pub note: Option<Sensitive<String>>,
    /// What whoever approved noted.
    pub approval_note: Option<Sensitive<String>>,
}

/// One case, with what happened to its visit and its payment.
pub async fn read_review(deps: Deps<'_>, context: &Context, id: ReviewCaseId) -> Result<SeenReview, ReviewError> {
    let deed = Deed::of_review("review.read", Some(id.as_uuid()));
    let sight = deps.permit::<ReviewError>(context, Action::OperationsRead, deed).await?;
    let case = deps.reviews.review(id, None).await?.some().ok_or(ReviewError::NotFound)?;
    let case = case.map(|snapshot| snapshot.found);
    let (patient, visit, payment) = case.judge(|case| (case.patient, case.consultation, payment_of(case)));
    let visit = match visit {
        Some(visit) => deps.history.history(visit).await?,
        None => Unrecorded::new(Vec::new()),
    };
    let payment = match payment {
        Some(payment) => deps.history.payment_history(payment).await?,
        None => Unrecorded::new((Vec::new(), Vec::new())),
    };
    let deed = Deed { patient, ..deed };
    let found = case.and(visit.and(payment));
    let (case, (visit, (steps, attempts))) =
        deps.shown(vec![deps.entry(context, deed, Outcome::Allowed)], found).await?;
    let history = merged(visit, steps);
    let shows_people = sight == Sight::Full;
    let decision = case.decision.as_ref().filter(|_| shows_people);
    let note = decision.and_then(|decision| decision.note.as_ref());
    let approval_note = decision.and_then(|decision| decision.approval.as_ref()?.note.as_ref());
    let notes = async {
        let note = open(deps, &case, "sealed_note", note).await?;
        Ok((note, open(deps, &case, "sealed_approval_note", approval_note).await?))
    };
    let failed = async || deps.tell(deps.entry(context, deed, Outcome::Failed)).await;
    let (note, approval_note) = failed_on_record::<_, PortError, _>(notes.await, |_| true, failed).await?;
    Ok(SeenReview { case, history, attempts, shows_people, note, approval_note })
}

/// Money that nobody claims is a payment without a visit.
fn payment_of(case: &ReviewCase) -> Option<PaymentId> {
    let own = (case.subject.kind.as_str() == "payment").then(|| PaymentId::from_uuid(case.subject.id));
    own.or(case.consultation.map(PaymentId::of))
}

async fn open(
    deps: Deps<'_>,
    case: &ReviewCase,
    column: &'static str,
    note: Option<&SealedNote>,
) -> Result<Option<Sensitive<String>>, PortError> {
    let Some(note) = note else { return Ok(None) };
    let plain = match deps.sealer.open(&note_place(case, column, note.version), &note.sealed).await {
        // The patient's record is gone, and what was written about it with it.
        Err(SealError::Erased) => return Ok(None),
        opened => opened?,
    };
    let text = String::from_utf8(plain).map_err(|error| PortError::defect(Dependency::Database, error))?;
    Ok(Some(Sensitive::new(text)))
}

/// A page of cases, oldest first, and whether to show whom they are about.
pub async fn list_reviews(
    deps: Deps<'_>,
    context: &Context,
    filter: &ReviewFilter,
    page: PageRequest<ByTime<ReviewCaseId>>,
) -> Result<(Page<ReviewCase, ByTime<ReviewCaseId>>, bool), ReviewError> {
    let deed = Deed::of_review("review.list", None);
    let sight = deps.permit::<ReviewError>(context, Action::OperationsRead, deed).await?;
    let page = deps.reviews.reviews(filter, page).await?;
    let named = |case: &ReviewCase| (case.id.as_uuid(), case.patient);
    let page = deps.shown_list(context, deed, page, named).await?;
    Ok((page, sight == Sight::Full))
}
