//! Dead letters: work that no try helped, to be requeued or discarded.

use super::shared::{DeadLetterStateWord, DeadSourceWord, DiscardReasonWord, Time};
use crate::{
    http::{Attempt, Body, Caller, Cursors, Fields, JSON, Listing, NoBody, Paging, Query, entity, json, once, path_id},
    problem::Problem,
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    post,
    web::{Data, Path},
};
use amrutam_kernel::{DeadLetterId, DeadSource, IdempotencyClaim, Idempotent, PageRequest, StoredAnswer};
use amrutam_operations::{
    LetterError,
    model::{DeadLetter, DiscardReason, LetterState, Payload},
    ports::{ByTime, LetterFilter},
    use_cases::{self, SeenLetter},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list).service(read).service(requeue).service(discard);
}

/// Work that no try helped.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter, example = json!({
    "id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e61", "source": "event", "consumer": "notifications",
    "subject_id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e50", "kind": "consultation.confirmed.v1", "state": "dead",
    "error": "for good: the payload of consultation.confirmed.v1 is not what its schema says", "attempts": 6, "deaths": 1,
    "requeues": 0, "discard_reason": null, "correlation_id": "checkout-42",
    "first_failed_at": "2026-11-23T03:30:00.000000Z", "opened_at": "2026-11-23T03:30:09.000000Z",
    "died_at": "2026-11-23T03:30:09.000000Z", "updated_at": "2026-11-23T03:30:09.000000Z", "version": 1
}))]
pub(crate) struct DeadLetterView {
    #[schema(value_type = Uuid)]
    id: DeadLetterId,
    #[schema(value_type = DeadSourceWord)]
    source: &'static str,
    /// Whose work it is: the consumer of an event, `mail` for messages.
    consumer: String,
    /// The event's, message's or task's id.
    subject_id: Uuid,
    /// The event's type, the message's or task's kind; `unreadable` when the body was no event.
    kind: String,
    #[schema(value_type = DeadLetterStateWord)]
    state: &'static str,
    /// What went wrong last.
    error: String,
    /// How often it was tried, since it was last requeued.
    attempts: u32,
    /// How often it has died.
    deaths: u32,
    /// How often it was requeued.
    requeues: u32,
    #[schema(value_type = Option<DiscardReasonWord>)]
    discard_reason: Option<&'static str>,
    correlation_id: Option<String>,
    first_failed_at: Time,
    /// When it died first; lists are in this order.
    opened_at: Time,
    /// When it died last.
    died_at: Time,
    updated_at: Time,
    /// Rises by one per change.
    version: i64,
    /// What it says: ids and codes. Of a single one only, not for support, and never of what can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    payload: Option<serde_json::Value>,
    /// Its header fields. With the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<String, String>>,
}

impl DeadLetterView {
    fn of(letter: &DeadLetter) -> Self {
        Self {
            id: letter.id,
            source: letter.source.as_str(),
            consumer: letter.consumer.clone(),
            subject_id: letter.subject,
            kind: letter.kind.clone(),
            state: letter.state.as_str(),
            error: letter.error.clone(),
            attempts: letter.attempts,
            deaths: letter.deaths,
            requeues: letter.requeues,
            discard_reason: letter.discard_reason.map(DiscardReason::as_str),
            correlation_id: letter.correlation_id.as_ref().map(ToString::to_string),
            first_failed_at: Time(letter.first_failed_at),
            opened_at: Time(letter.opened_at),
            died_at: Time(letter.died_at),
            updated_at: Time(letter.updated_at),
            version: letter.version,
            payload: None,
            headers: None,
        }
    }

    fn seen(seen: &SeenLetter) -> Self {
        let view = Self::of(&seen.letter);
        let payload = match &seen.letter.payload {
            _ if !seen.shows_payload => return view,
            Payload::Event(event) => serde_json::to_value(event).ok(),
            Payload::Task(about) => Some(about.clone()),
            Payload::Sealed(_) => None,
        };
        Self { payload, headers: Some(seen.letter.headers.clone()), ..view }
    }
}

/// Which dead letters.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeadLetterQuery {
    /// In this state.
    #[param(value_type = Option<DeadLetterStateWord>)]
    state: Option<String>,
    /// Of this consumer.
    #[param(max_length = 64)]
    consumer: Option<String>,
    /// Of this kind of work.
    #[param(value_type = Option<DeadSourceWord>)]
    source: Option<String>,
    /// Page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Why it need not be handled any more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "handled_by_hand"}))]
pub(crate) struct DiscardRequest {
    #[schema(value_type = DiscardReasonWord)]
    reason: String,
}

/// Dead letters by their first death, oldest first, without what they say.
#[utoipa::path(tag = "Operations", operation_id = "list_dead_letters", params(DeadLetterQuery), security(("bearer" = [])),
    responses(
    (status = 200, description = "A page of dead letters", body = Listing<DeadLetterView>),
    (status = 422, description = "`validation_failed`"),
))]
#[get("/v1/admin/dead-letters")]
async fn list(
    caller: Caller,
    request: HttpRequest,
    query: Query<DeadLetterQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let cursors = query.value.cursors();
    let (filter, page) = query.value.parse(&cursors)?;
    let page = use_cases::list_letters(services.operations(), &caller.0, &filter, page).await?;
    let next_cursor = page.next.map(|key| cursors.text(key));
    let items = page.items.iter().map(DeadLetterView::of).collect();
    Ok(Listing { items, next_cursor }.respond(&request, &query.raw))
}

/// One dead letter.
#[utoipa::path(tag = "Operations", operation_id = "read_dead_letter", security(("bearer" = [])),
    params(("dead_letter_id" = Uuid, Path, description = "Which one")), responses(
    (status = 200, description = "The dead letter", body = DeadLetterView),
    (status = 404, description = "`not_found`"),
))]
#[get("/v1/admin/dead-letters/{dead_letter_id}")]
async fn read(caller: Caller, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let seen = use_cases::read_letter(services.operations(), &caller.0, path_id(&path)?).await?;
    Ok(entity(StatusCode::OK, seen.letter.version, None, &DeadLetterView::seen(&seen)))
}

/// Begins a dead letter afresh, with all its tries: an event at its consumer alone, a message at once.
///
/// Safe to repeat: what was applied is not applied twice.
#[utoipa::path(tag = "Operations", operation_id = "requeue_dead_letter", security(("bearer" = [])),
    params(("dead_letter_id" = Uuid, Path, description = "Which one"),
        ("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 200, description = "On its way", body = DeadLetterView),
    (status = 403, description = "`forbidden`: only an admin requeues; `step_up_required`"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`invalid_transition`: it is settled or discarded; `not_requeueable`: it can't be read; `idempotency_in_progress`"),
    (status = 422, description = "`idempotency_key_reused`"),
))]
#[post("/v1/admin/dead-letters/{dead_letter_id}/requeue")]
async fn requeue(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: NoBody,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        acted(use_cases::requeue(services.operations(), &caller.0, id, claim.map(keeping)).await)
    })
    .await
}

/// Says why a dead letter is not to be handled any more.
#[utoipa::path(tag = "Operations", operation_id = "discard_dead_letter", request_body = DiscardRequest,
    security(("bearer" = [])),
    params(("dead_letter_id" = Uuid, Path, description = "Which one"),
        ("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 200, description = "Discarded", body = DeadLetterView),
    (status = 403, description = "`forbidden`: only an admin discards; `step_up_required`"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`invalid_transition`: it is not dead; `idempotency_in_progress`"),
    (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
))]
#[post("/v1/admin/dead-letters/{dead_letter_id}/discard")]
async fn discard(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: Body<DiscardRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    let reason = body.value.parse()?;
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        acted(use_cases::discard(services.operations(), &caller.0, id, reason, claim.map(keeping)).await)
    })
    .await
}

fn answer(letter: &DeadLetter) -> StoredAnswer {
    StoredAnswer {
        status: 200,
        location: None,
        content_type: JSON.to_owned(),
        etag: Some(format!("\"{}\"", letter.version)),
        body: json(&DeadLetterView::of(letter)),
    }
}

fn keeping(claim: &IdempotencyClaim) -> Idempotent<'_, DeadLetter> {
    Idempotent { claim, render: &answer }
}

fn acted(result: Result<(DeadLetter, Option<StoredAnswer>), LetterError>) -> Attempt {
    match result {
        Ok((letter, kept)) => Attempt::Done(kept.unwrap_or_else(|| answer(&letter))),
        Err(error) => error.into(),
    }
}

impl DiscardRequest {
    fn parse(&self) -> Result<DiscardReason, Problem> {
        let mut fields = Fields::default();
        let words = DiscardReason::ALL.map(DiscardReason::as_str).join(", ");
        fields.word("/reason", &words, &self.reason).ok_or_else(|| fields.into_problem())
    }
}

impl DeadLetterQuery {
    fn cursors(&self) -> Cursors {
        Cursors::new("dead-letters", &[self.state.as_deref(), self.consumer.as_deref(), self.source.as_deref()])
    }

    fn parse(&self, cursors: &Cursors) -> Result<(LetterFilter, PageRequest<ByTime<DeadLetterId>>), Problem> {
        let mut fields = Fields::of_query();
        let words = LetterState::ALL.map(LetterState::as_str).join(", ");
        let state = self.state.as_deref().and_then(|word| fields.word("/state", &words, word));
        let words = DeadSource::ALL.map(DeadSource::as_str).join(", ");
        let source = self.source.as_deref().and_then(|word| fields.word("/source", &words, word));
        let is_name = |name: &String| {
            (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let named = self.consumer.as_ref().is_none_or(is_name);
        fields.check(named, "/consumer", "invalid", "1 to 64 letters, digits and '-'");
        let limit = Paging::limit(&mut fields, self.limit.as_deref());
        fields.finish()?;
        let filter = LetterFilter { state, consumer: self.consumer.clone(), source };
        Ok((filter, PageRequest { limit, after: cursors.key(self.cursor.as_deref())? }))
    }
}
