//! Where an account is signed in.

use super::shared::Time;
use crate::{
    http::{Caller, Cursors, Fields, Listing, Paging, Query, path_id, to_the_end},
    problem::Problem,
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, delete, get,
    web::{Data, Path},
};
use amrutam_identity::{model::Session, use_cases};
use amrutam_kernel::{PageRequest, SessionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list).service(end);
}

/// One log-in of the caller's account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session, example = json!({
    "id": "019aaf00-0000-7000-8000-00000000000a", "current": true, "label": "Mozilla/5.0 (Android 16; Mobile)",
    "created_at": "2026-11-20T10:00:00.123456Z", "last_used_at": "2026-11-22T08:15:00.000000Z",
    "expires_at": "2026-12-22T08:15:00.000000Z", "second_factor_at": null
}))]
pub(crate) struct SessionView {
    #[schema(value_type = uuid::Uuid)]
    id: SessionId,
    /// Whether it is the one that asks.
    current: bool,
    /// The program's own word for itself.
    label: String,
    created_at: Time,
    /// When tokens were last issued for it.
    last_used_at: Time,
    /// When it ends unless it is used before.
    expires_at: Time,
    /// When a second factor was last shown in it.
    second_factor_at: Option<Time>,
}

impl SessionView {
    fn of(session: &Session, current: Option<SessionId>) -> Self {
        Self {
            id: session.id,
            current: current == Some(session.id),
            label: session.label.as_str().to_owned(),
            created_at: Time(session.created_at),
            last_used_at: Time(session.last_used_at),
            expires_at: Time(session.idle_expires_at.min(session.expires_at)),
            second_factor_at: session.second_factor_at.map(Time),
        }
    }
}

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionQuery {
    /// Page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Where the caller is signed in, the newest log-in first.
#[utoipa::path(tag = "Accounts", operation_id = "list_sessions", params(SessionQuery), security(("bearer" = [])),
    responses(
    (status = 200, description = "A page of them", body = Listing<SessionView>),
    (status = 422, description = "`validation_failed`"),
))]
#[get("/v1/me/sessions")]
async fn list(
    caller: Caller,
    request: HttpRequest,
    query: Query<SessionQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let cursors = Cursors::new("sessions", &[]);
    let mut fields = Fields::of_query();
    let limit = Paging::limit(&mut fields, query.value.limit.as_deref());
    fields.finish()?;
    let after = cursors.key(query.value.cursor.as_deref())?;
    let page = use_cases::list_sessions(services.sessions(), &caller.0, PageRequest { limit, after }).await?;
    let current = caller.0.sign_in.map(|sign_in| sign_in.session);
    let next_cursor = page.next.map(|key| cursors.text(key));
    let items = page.items.iter().map(|session| SessionView::of(session, current)).collect();
    Ok(Listing { items, next_cursor }.respond(&request, &query.raw))
}

/// Ends one of them. Support and administrators end all of somebody's at `/v1/admin/accounts/{account_id}/logout-all`.
#[utoipa::path(tag = "Accounts", operation_id = "end_session", security(("bearer" = [])),
    params(("session_id" = Uuid, Path, description = "Which one")), responses(
    (status = 204, description = "Ended"),
    (status = 404, description = "`not_found`: not the caller's, or over already"),
))]
#[delete("/v1/me/sessions/{session_id}")]
async fn end(caller: Caller, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let session = path_id(&path)?;
    to_the_end(async move { use_cases::end_session(services.sessions(), &caller.0, session).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}
