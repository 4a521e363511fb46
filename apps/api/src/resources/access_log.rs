//! Who opened the caller's own record, in plain words, and objections to it.

use super::shared::Time;
use crate::{
    http::{Body, Caller, Cursors, Fields, Listing, Paging, Query, path_id, to_the_end},
    problem::Problem,
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, get, post,
    web::{Data, Path},
};
use amrutam_audit::{
    model::Placed,
    use_cases::{self, ObjectionReason},
};
use amrutam_kernel::{AccountId, AuditEntryId, PageRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list).service(raise);
}

/// One access to the caller's data.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Access, example = json!({
    "id": "019aaf00-0000-7000-8000-00000000000b", "at": "2026-11-22T08:15:00.123456Z", "what": "A doctor saw one of your visits.",
    "by_you": false, "role": "doctor", "action": "consultation.read", "resource_kind": "consultation",
    "resource_id": "019aaf00-0000-7000-8000-000000000007", "outcome": "allowed", "emergency": false
}))]
pub(crate) struct AccessView {
    #[schema(value_type = uuid::Uuid)]
    id: AuditEntryId,
    at: Time,
    /// In plain words.
    what: String,
    /// Whether the caller did it themselves.
    by_you: bool,
    /// In which role it was done.
    role: String,
    /// `noun.verb`.
    action: String,
    resource_kind: String,
    resource_id: String,
    /// `allowed`, `denied`, `failed`.
    outcome: String,
    /// Whether an emergency was declared.
    emergency: bool,
}

impl AccessView {
    fn of(Placed { entry, .. }: Placed, reader: AccountId) -> Self {
        Self {
            what: entry.in_plain_words(reader),
            by_you: entry.actor_id == Some(reader),
            id: entry.id,
            at: Time(entry.occurred_at),
            role: entry.role,
            action: entry.action,
            resource_kind: entry.resource_kind,
            resource_id: entry.resource_id,
            outcome: entry.outcome,
            emergency: entry.break_glass,
        }
    }
}

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccessQuery {
    /// Page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Who opened the caller's record, newest first; an access shows about a second after it was made.
#[utoipa::path(tag = "Audit", operation_id = "list_own_accesses", params(AccessQuery), security(("bearer" = [])), responses(
    (status = 200, description = "A page of accesses", body = Listing<AccessView>),
    (status = 422, description = "`validation_failed`"),
))]
#[get("/v1/me/access-log")]
async fn list(
    caller: Caller,
    request: HttpRequest,
    query: Query<AccessQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let cursors = Cursors::new("access-log", &[]);
    let mut fields = Fields::of_query();
    let limit = Paging::limit(&mut fields, query.value.limit.as_deref());
    fields.finish()?;
    let after = cursors.key(query.value.cursor.as_deref())?;
    let reader = caller.account()?;
    let page = use_cases::access_log(services.audit(), &caller.0, PageRequest { limit, after }).await?;
    let next_cursor = page.next.map(|key| cursors.text(key));
    let items = page.items.into_iter().map(|placed| AccessView::of(placed, reader)).collect();
    Ok(Listing { items, next_cursor }.respond(&request, &query.raw))
}

/// Why somebody objects to an access.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum ObjectionReasonWord {
    /// `unknown_person`
    UnknownPerson,
    /// `no_occasion`
    NoOccasion,
    /// `not_agreed`
    NotAgreed,
    /// `other`
    Other,
}

/// An objection.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "no_occasion"}))]
pub(crate) struct ObjectionRequest {
    /// A person asks for the rest.
    #[schema(value_type = ObjectionReasonWord)]
    reason: String,
}

/// Objects to an access: a person will look at it.
#[utoipa::path(tag = "Audit", operation_id = "object_to_access", request_body = ObjectionRequest, security(("bearer" = [])),
    params(("event_id" = Uuid, Path, description = "Which access")), responses(
    (status = 202, description = "A person will look at it"),
    (status = 404, description = "`not_found`: absent, or not about the caller"),
    (status = 409, description = "`objection_raised`: raised before"),
    (status = 422, description = "`validation_failed`"),
))]
#[post("/v1/me/access-log/{event_id}/objection")]
async fn raise(
    caller: Caller,
    path: Path<String>,
    body: Body<ObjectionRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let (id, reason) = (path_id(&path)?, body.value.parse()?);
    to_the_end(async move { use_cases::object(services.audit(), &caller.0, id, reason).await }).await?;
    Ok(HttpResponse::Accepted().finish())
}

impl ObjectionRequest {
    fn parse(&self) -> Result<ObjectionReason, Problem> {
        let found = ObjectionReason::ALL.into_iter().find(|reason| reason.as_str() == self.reason);
        found.ok_or_else(|| {
            let mut fields = Fields::default();
            let words = ObjectionReason::ALL.map(ObjectionReason::as_str).join(", ");
            fields.refuse("/reason", "unknown_value", words);
            fields.into_problem()
        })
    }
}
