//! Review cases: what a saga can't finish, to be resolved by a person.

use super::shared::{Fee, ReviewStateWord, StatusWord, Time, TimelineKindWord, TimelineSubjectWord};
use crate::{
    http::{Attempt, Body, Caller, Cursors, Fields, JSON, Listing, Paging, Query, entity, json, once, path_id},
    problem::Problem,
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    post,
    web::{Data, Path},
};
use amrutam_kernel::{
    AccountId, ConsultationId, EventId, Idempotent, PageRequest, ReviewCaseId, Sensitive, StoredAnswer,
};
use amrutam_operations::{
    ReviewError,
    model::{ApprovalLimits, Attempts, Decider, Decision, HistoryEntry, ReviewCase, ReviewState},
    ports::{ByTime, ReviewFilter},
    use_cases::{self, Resolve, SeenReview},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

const MAX_NOTE_CHARS: usize = 1_000;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list).service(read).service(resolve);
}

/// What a case is about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReviewSubject)]
pub(crate) struct SubjectView {
    /// `payment`, `consultation`.
    kind: String,
    id: Uuid,
}

/// One way to resolve a case.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReviewChoice)]
pub(crate) struct ChoiceView {
    choice: String,
    /// What it moves; `null` when it moves no money.
    amount: Option<Fee>,
    /// Whether a second person must agree.
    needs_approval: bool,
}

/// What was chosen.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReviewResolution)]
pub(crate) struct ResolutionView {
    choice: String,
    amount: Option<Fee>,
    /// `admin:<id>`, or `system:<name>` for the operator's command line; the role alone for support.
    decided_by: String,
    decided_at: Time,
    approved_by: Option<String>,
    approved_at: Option<Time>,
    /// Of a single case only, not for support.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_note: Option<String>,
}

/// One change of the visit that a case belongs to, or one step of its payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReviewTimelineEntry)]
pub(crate) struct HistoryView {
    #[schema(value_type = TimelineSubjectWord)]
    about: &'static str,
    /// Of what it is about: rises by one with each.
    version: i64,
    at: Time,
    #[schema(value_type = TimelineKindWord)]
    kind: String,
    /// Of a consultation: its status before.
    #[schema(value_type = Option<StatusWord>)]
    from: Option<String>,
    /// Of a consultation: its status after.
    #[schema(value_type = Option<StatusWord>)]
    to: Option<String>,
    /// Of a payment: how much is meant, when an amount is.
    amount: Option<Fee>,
    /// Of a payment, what proves it: `webhook:<id>`, `answer`, `list`, `visit:<event id>`, `case:<id>`, `request`, `clock`.
    evidence: Option<String>,
    /// A person by role alone, a part of the system by its name.
    actor: String,
    cause: String,
    #[schema(value_type = Uuid)]
    event_id: EventId,
}

/// How often something was asked of the payment's gateway, and what came of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReviewAttempts)]
pub(crate) struct AttemptsView {
    /// `open_order`, `refund`, `poll`.
    task: String,
    /// `live`, `done`, `dead`.
    state: String,
    /// How often it was begun.
    begun: u32,
    /// What went wrong the last time that something did.
    last_error: Option<String>,
    /// When it is due again, while it is.
    due_at: Option<Time>,
    ended_at: Option<Time>,
}

/// Something that needs a person's decision.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Review, example = json!({
    "id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e71", "kind": "payment",
    "subject": {"kind": "payment", "id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e4f"}, "patient_id": null,
    "consultation_id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e4f", "reason": "refund_failed",
    "amount": {"amount": 49900, "currency": "INR"},
    "choices": [{"choice": "retry", "amount": null, "needs_approval": false},
                {"choice": "look_again", "amount": null, "needs_approval": false},
                {"choice": "paid_out_elsewhere", "amount": {"amount": 49900, "currency": "INR"}, "needs_approval": false}],
    "tried": ["refund"], "state": "open", "resolution": null, "opened_at": "2026-11-23T03:30:09.000000Z",
    "opened_by_event": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e50", "correlation_id": "checkout-42",
    "updated_at": "2026-11-23T03:30:09.000000Z", "version": 1
}))]
pub(crate) struct ReviewView {
    #[schema(value_type = Uuid)]
    id: ReviewCaseId,
    /// The domain that asks.
    kind: String,
    subject: SubjectView,
    /// Not for support.
    #[schema(value_type = Option<Uuid>)]
    patient_id: Option<AccountId>,
    #[schema(value_type = Option<Uuid>)]
    consultation_id: Option<ConsultationId>,
    /// Why the domain can't go on.
    reason: String,
    amount: Option<Fee>,
    /// What can be done.
    choices: Vec<ChoiceView>,
    /// What the domain does by itself before a person is asked for this reason.
    tried: Vec<String>,
    #[schema(value_type = ReviewStateWord)]
    state: &'static str,
    /// What was chosen, or proposed while it awaits approval.
    resolution: Option<ResolutionView>,
    /// Lists are in this order.
    opened_at: Time,
    #[schema(value_type = Uuid)]
    opened_by_event: EventId,
    correlation_id: String,
    updated_at: Time,
    /// Rises by one per change.
    version: i64,
    /// What happened to its visit and its payment, by time. Of a single case only.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<Vec<HistoryView>>,
    /// What was really asked of the payment's gateway, by beginning. Of a single case only.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptsView>>,
}

impl ReviewView {
    fn of(case: &ReviewCase, limits: &ApprovalLimits, shows_people: bool) -> Self {
        let who = |decider: &Decider| if shows_people { decider.as_str() } else { decider.role() }.to_owned();
        let resolution = |decision: &Decision| ResolutionView {
            choice: decision.choice.to_string(),
            amount: decision.moves.map(Fee::from),
            decided_by: who(&decision.decided_by),
            decided_at: Time(decision.decided_at),
            approved_by: decision.approval.as_ref().map(|approval| who(&approval.by)),
            approved_at: decision.approval.as_ref().map(|approval| Time(approval.at)),
            note: None,
            approval_note: None,
        };
        let choices = case.choices.iter().map(|choice| ChoiceView {
            choice: choice.word.to_string(),
            amount: choice.moves.map(Fee::from),
            needs_approval: limits.asks_two(choice.moves),
        });
        Self {
            id: case.id,
            kind: case.kind.to_string(),
            subject: SubjectView { kind: case.subject.kind.to_string(), id: case.subject.id },
            patient_id: case.patient.filter(|_| shows_people),
            consultation_id: case.consultation,
            reason: case.reason.to_string(),
            amount: case.amount.map(Fee::from),
            choices: choices.collect(),
            tried: case.tried.iter().map(ToString::to_string).collect(),
            state: case.state.as_str(),
            resolution: case.decision.as_ref().map(resolution),
            opened_at: Time(case.opened_at),
            opened_by_event: case.opened_by_event,
            correlation_id: case.correlation_id.to_string(),
            updated_at: Time(case.updated_at),
            version: case.version,
            timeline: None,
            attempts: None,
        }
    }

    fn seen(seen: SeenReview, limits: &ApprovalLimits) -> Self {
        let mut view = Self::of(&seen.case, limits, seen.shows_people);
        if let Some(resolution) = &mut view.resolution {
            resolution.note = seen.note.map(Sensitive::into_exposed);
            resolution.approval_note = seen.approval_note.map(Sensitive::into_exposed);
        }
        view.timeline = Some(seen.history.into_iter().map(HistoryView::from).collect());
        view.attempts = Some(seen.attempts.into_iter().map(AttemptsView::from).collect());
        view
    }
}

impl From<HistoryEntry> for HistoryView {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            about: entry.about.as_str(),
            version: entry.version,
            at: Time(entry.at),
            kind: entry.kind,
            from: entry.from,
            to: entry.to,
            amount: entry.amount.map(Fee::from),
            evidence: entry.evidence,
            actor: entry.actor,
            cause: entry.cause,
            event_id: entry.event,
        }
    }
}

impl From<Attempts> for AttemptsView {
    fn from(made: Attempts) -> Self {
        Self {
            task: made.task,
            state: made.state,
            begun: made.begun,
            last_error: made.last_error,
            due_at: made.due_at.map(Time),
            ended_at: made.ended_at.map(Time),
        }
    }
}

/// Which cases.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReviewQuery {
    /// In this state.
    #[param(value_type = Option<ReviewStateWord>)]
    state: Option<String>,
    /// Of this domain.
    #[param(max_length = 64)]
    kind: Option<String>,
    /// Page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What is to be done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"choice": "retry"}))]
pub(crate) struct ResolveRequest {
    /// One of the case's choices.
    #[schema(max_length = 64)]
    choice: String,
    /// Why, for the next one who looks. Kept sealed.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1000)]
    note: Option<Sensitive<String>>,
}

/// Review cases, oldest first.
#[utoipa::path(tag = "Operations", operation_id = "list_reviews", params(ReviewQuery), security(("bearer" = [])),
    responses(
    (status = 200, description = "A page of cases", body = Listing<ReviewView>),
    (status = 422, description = "`validation_failed`"),
))]
#[get("/v1/admin/reviews")]
async fn list(
    caller: Caller,
    request: HttpRequest,
    query: Query<ReviewQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let cursors = query.value.cursors();
    let (filter, page) = query.value.parse(&cursors)?;
    let (page, shows_people) = use_cases::list_reviews(services.operations(), &caller.0, &filter, page).await?;
    let next_cursor = page.next.map(|key| cursors.text(key));
    let view = |case: &ReviewCase| ReviewView::of(case, &services.approval, shows_people);
    Ok(Listing { items: page.items.iter().map(view).collect(), next_cursor }.respond(&request, &query.raw))
}

/// One case: why, what was tried, what happened to the visit, what can be done.
#[utoipa::path(tag = "Operations", operation_id = "read_review", security(("bearer" = [])),
    params(("review_id" = Uuid, Path, description = "Which case")), responses(
    (status = 200, description = "The case", body = ReviewView),
    (status = 404, description = "`not_found`"),
))]
#[get("/v1/admin/reviews/{review_id}")]
async fn read(caller: Caller, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let seen = use_cases::read_review(services.operations(), &caller.0, path_id(&path)?).await?;
    let version = seen.case.version;
    Ok(entity(StatusCode::OK, version, None, &ReviewView::seen(seen, &services.approval)))
}

/// Resolves a case: the choice is carried out by the domain that asked.
///
/// A choice whose `needs_approval` is true becomes the case's proposal (`awaiting_approval`) and is carried out when another
/// admin chooses the same, here, with their own second factor just shown. Any other choice takes the place of the proposal.
#[utoipa::path(tag = "Operations", operation_id = "resolve_review", request_body = ResolveRequest,
    security(("bearer" = [])),
    params(("review_id" = Uuid, Path, description = "Which case"),
        ("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 200, description = "Resolved, or awaiting another admin's approval", body = ReviewView),
    (status = 403, description = "`own_approval`: another admin must approve; `forbidden`: only an admin resolves; `step_up_required`"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`invalid_transition`: it is resolved; `idempotency_in_progress`"),
    (status = 422, description = "`choice_not_offered`, `validation_failed`, `idempotency_key_reused`"),
))]
#[post("/v1/admin/reviews/{review_id}/resolve")]
async fn resolve(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: Body<ResolveRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    let (choice, note) = body.value.parse()?;
    let render = |case: &ReviewCase| answer(case, &services.approval);
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(|claim| Idempotent { claim, render: &render });
        let command = Resolve { id, choice, note, idempotency };
        match use_cases::resolve(services.operations(), &caller.0, command).await {
            Ok((case, kept)) => Attempt::Done(kept.unwrap_or_else(|| render(&case))),
            Err(error) => ReviewError::into(error),
        }
    })
    .await
}

/// Without notes: it may be kept for a replay.
fn answer(case: &ReviewCase, limits: &ApprovalLimits) -> StoredAnswer {
    StoredAnswer {
        status: 200,
        location: None,
        content_type: JSON.to_owned(),
        etag: Some(format!("\"{}\"", case.version)),
        body: json(&ReviewView::of(case, limits, true)),
    }
}

impl ResolveRequest {
    fn parse(self) -> Result<(String, Option<Sensitive<String>>), Problem> {
        let mut fields = Fields::default();
        let fits = |note: &Sensitive<String>| (1..=MAX_NOTE_CHARS).contains(&note.expose().chars().count());
        fields.check(self.note.as_ref().is_none_or(fits), "/note", "out_of_range", "1 to 1000 characters");
        fields.finish()?;
        Ok((self.choice, self.note))
    }
}

impl ReviewQuery {
    fn cursors(&self) -> Cursors {
        Cursors::new("reviews", &[self.state.as_deref(), self.kind.as_deref()])
    }

    fn parse(&self, cursors: &Cursors) -> Result<(ReviewFilter, PageRequest<ByTime<ReviewCaseId>>), Problem> {
        let mut fields = Fields::of_query();
        let words = ReviewState::ALL.map(ReviewState::as_str).join(", ");
        let state = self.state.as_deref().and_then(|word| fields.word("/state", &words, word));
        let kind = fields.parse_optional("/kind", "invalid", self.kind.as_deref()).flatten();
        let limit = Paging::limit(&mut fields, self.limit.as_deref());
        fields.finish()?;
        Ok((ReviewFilter { state, kind }, PageRequest { limit, after: cursors.key(self.cursor.as_deref())? }))
    }
}
