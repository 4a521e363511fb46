//! A copy of everything that is held of the caller.

use super::shared::Time;
use crate::{
    http::{Attempt, Caller, NoBody, Query, RequestInfo, json, json_answer, once, path_id, to_the_end},
    problem::{Code, Problem},
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, get,
    http::{StatusCode, header::CONTENT_DISPOSITION},
    post,
    web::{Data, Path},
};
use amrutam_kernel::{ExportId, Idempotent, Sensitive, StoredAnswer};
use amrutam_privacy::{
    model::{Export, ExportState},
    use_cases::{self, SeenExport},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(request_export).service(read).service(content);
}

/// A link to the archive. Whoever follows it is signed in as its owner; it gives the archive once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DownloadLink, example = json!({
    "href": "/v1/me/export/019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e4f/content?token=eyJ0eXAi...", "expires_at": "2026-11-30T04:15:00.000000Z"
}))]
pub(crate) struct LinkView {
    href: String,
    /// Ask for the export again for another link.
    expires_at: Time,
}

/// A copy of everything that is held of the caller.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Export, example = json!({
    "id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e4f", "state": "ready", "requested_at": "2026-11-30T04:10:00.000000Z",
    "changed_at": "2026-11-30T04:10:02.000000Z", "bytes": 48213, "failure": null, "kept_until": "2026-12-01T04:10:02.000000Z",
    "download": null
}))]
pub(crate) struct ExportView {
    #[schema(value_type = uuid::Uuid)]
    id: ExportId,
    /// `preparing`, `ready`, `downloaded`, `expired`, `failed`.
    state: &'static str,
    requested_at: Time,
    changed_at: Time,
    /// Of the archive.
    #[schema(required)]
    bytes: Option<u64>,
    /// `too_large`, `not_made`.
    #[schema(required)]
    failure: Option<&'static str>,
    /// When the archive is deleted if nobody takes it.
    #[schema(required)]
    kept_until: Option<Time>,
    #[schema(required)]
    download: Option<LinkView>,
}

impl ExportView {
    fn of(export: &Export, state: ExportState) -> Self {
        let (bytes, failure) = match state {
            ExportState::Ready { bytes, .. } => (Some(bytes), None),
            ExportState::Failed(reason) => (None, Some(reason.as_str())),
            ExportState::Preparing | ExportState::Downloaded | ExportState::Expired => (None, None),
        };
        Self {
            id: export.id,
            state: state.as_str(),
            requested_at: Time(export.requested_at),
            changed_at: Time(export.changed_at),
            bytes,
            failure,
            kept_until: bytes.and(export.open_until()).map(Time),
            download: None,
        }
    }
}

impl From<SeenExport> for ExportView {
    fn from(seen: SeenExport) -> Self {
        let link = seen.link.map(|(token, expires_at)| LinkView {
            href: format!("{}/content?token={}", location(seen.export.id), token.into_exposed()),
            expires_at: Time(expires_at),
        });
        Self { download: link, ..Self::of(&seen.export, seen.state) }
    }
}

fn location(id: ExportId) -> String {
    format!("/v1/me/export/{id}")
}

fn ordered(export: &Export) -> StoredAnswer {
    StoredAnswer {
        status: 202,
        location: Some(location(export.id)),
        content_type: "application/json".to_owned(),
        etag: None,
        body: json(&ExportView::of(export, export.state)),
    }
}

/// Asks for a copy of everything that is held of the caller, as one ZIP file. While one is open, that one is the answer.
#[utoipa::path(tag = "Privacy", operation_id = "request_export", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")), responses(
    (status = 202, description = "It is being made, or waits: see `Location`", body = ExportView),
    (status = 403, description = "`step_up_required`: who has a second factor shows it first"),
    (status = 409, description = "`idempotency_in_progress`"),
    (status = 422, description = "`idempotency_key_reused`"),
))]
#[post("/v1/me/export")]
async fn request_export(
    caller: Caller,
    request: HttpRequest,
    body: NoBody,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(|claim| Idempotent { claim, render: &ordered });
        match use_cases::request_export(services.exporting(), &caller.0, idempotency).await {
            Ok((export, answer)) => Attempt::Done(answer.unwrap_or_else(|| ordered(&export))),
            Err(error) => error.into(),
        }
    })
    .await
}

/// How the caller's copy stands; when it is ready, with a link that is good for five minutes and gives the archive once.
#[utoipa::path(tag = "Privacy", operation_id = "read_export", security(("bearer" = [])),
    params(("export_id" = Uuid, Path, description = "Which export")), responses(
    (status = 200, description = "The export", body = ExportView),
    (status = 404, description = "`not_found`: absent, or not the caller's"),
))]
#[get("/v1/me/export/{export_id}")]
async fn read(caller: Caller, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let seen = use_cases::read_export(services.exporting(), &caller.0, path_id(&path)?).await?;
    Ok(json_answer(StatusCode::OK, &ExportView::from(seen)))
}

/// What a link carries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DownloadQuery {
    /// From the link.
    #[param(value_type = Option<String>)]
    token: Option<Sensitive<String>>,
}

/// The archive, once: it is deleted before it leaves. There is no `HEAD` of it: whoever only looks takes nothing.
#[utoipa::path(tag = "Privacy", operation_id = "download_export", security(("bearer" = [])),
    params(("export_id" = Uuid, Path, description = "Which export"), DownloadQuery), responses(
    (status = 200, description = "ZIP", content_type = "application/zip", body = Vec<u8>, example = json!("PK")),
    (status = 404, description = "`not_found`: absent, not the caller's, or the link is none of ours or too old"),
    (status = 405, description = "`method_not_allowed`: also `HEAD`"),
    (status = 409, description = "`export_not_ready`: come back shortly"),
    (status = 410, description = "`export_gone`: it was given away, or ran out"),
))]
#[get("/v1/me/export/{export_id}/content")]
async fn content(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    query: Query<DownloadQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    if RequestInfo::of(&request).is_some_and(|info| info.head_only.get()) {
        return Err(Problem::method_not_allowed("GET".to_owned()));
    }
    let (id, token) = (path_id(&path)?, query.value.token.ok_or(Code::NotFound)?);
    let taken =
        to_the_end(async move { use_cases::download(services.exporting(), &caller.0, id, &token).await }).await?;
    let (export, bytes) = taken;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"amrutam-{}.zip\"", export.id)))
        .content_type("application/zip")
        .body(bytes.into_exposed()))
}
