//! Notes of a visit.

use super::{
    clinical_dtos::{NoteDto, text},
    clinical_views::NoteView,
};
use crate::{
    http::{Body, Caller, Fields, entity, if_match, path_id},
    problem::Problem,
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    post, put,
    web::{Data, Path},
};
use amrutam_clinical::use_cases;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(read).service(write).service(add);
}

/// Something to add after the visit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"text": "Better by evening"}))]
pub(crate) struct AddendumRequest {
    text: String,
}

/// The last version of the notes, for either side of the visit. The look is on the record.
#[utoipa::path(tag = "Clinical", operation_id = "read_notes", security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation")), responses(
    (status = 200, description = "The notes", body = NoteView),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`: absent, not the caller's, or nothing written yet"),
))]
#[get("/v1/consultations/{consultation_id}/notes")]
async fn read(caller: Caller, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let note = use_cases::read_note(services.clinical(), &caller.0, path_id(&path)?).await?;
    Ok(entity(StatusCode::OK, note.version, None, &NoteView::from(&note)))
}

/// Replaces the notes while the visit is under way. Every version is kept.
#[utoipa::path(tag = "Clinical", operation_id = "write_notes", request_body = NoteDto, security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read; a stale one is refused")),
    responses(
    (status = 200, description = "Written", body = NoteView),
    (status = 403, description = "`forbidden`: only the doctor"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`note_not_open`: the visit has not begun, or is over"),
    (status = 412, description = "`precondition_failed`"),
    (status = 422, description = "`validation_failed`"),
))]
#[put("/v1/consultations/{consultation_id}/notes")]
async fn write(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: Body<NoteDto>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let (id, content, versions) = (path_id(&path)?, body.value.parse()?, if_match(&request));
    let note = use_cases::write_note(services.clinical(), &caller.0, id, content, versions.as_deref()).await?;
    Ok(entity(StatusCode::OK, note.version, None, &NoteView::from(&note)))
}

/// Adds to the notes once the visit is over.
#[utoipa::path(tag = "Clinical", operation_id = "add_to_notes", request_body = AddendumRequest, security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation"),
        ("If-Match" = String, Header, description = "The `ETag` that was read, `\"0\"` where nothing is written yet; a stale one is refused. So what is sent twice is added once")),
    responses(
    (status = 200, description = "Added", body = NoteView),
    (status = 403, description = "`forbidden`: only the doctor"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`note_not_open`: the visit is not over"),
    (status = 412, description = "`precondition_failed`"),
    (status = 422, description = "`validation_failed`"),
    (status = 428, description = "`precondition_required`"),
))]
#[post("/v1/consultations/{consultation_id}/notes/addenda")]
async fn add(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: Body<AddendumRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::default();
    let added = text(&mut fields, "/text", body.value.text);
    fields.check(!added.trim().is_empty(), "/text", "out_of_range", "something to add");
    fields.finish()?;
    let (id, versions) = (path_id(&path)?, if_match(&request));
    let note = use_cases::add_to_note(services.clinical(), &caller.0, id, added, versions.as_deref()).await?;
    Ok(entity(StatusCode::OK, note.version, None, &NoteView::from(&note)))
}
