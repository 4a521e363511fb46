//! A patient's record.

use super::clinical_views::RecordEntryView;
use crate::{
    http::{Caller, Cursors, Fields, Listing, Paging, Query, path_id},
    problem::{Code, Problem},
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, get,
    http::header::HeaderMap,
    web::{Data, Path},
};
use amrutam_clinical::{model::BreakGlassReason, use_cases};
use amrutam_kernel::{DependantId, PageRequest};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

const BREAK_GLASS: &str = "x-break-glass-reason";

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list);
}

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RecordQuery {
    /// The record of a dependant of that patient, instead of the patient's own.
    #[param(value_type = Option<Uuid>)]
    dependant: Option<String>,
    /// Page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A patient's visits with their notes and signed prescriptions, the latest first.
///
/// For the patient, and for a doctor who treats them. With `dependant`, the record of a person whose visits the patient's account books: for
/// the patient, and for a doctor who treats that person. Any other doctor may open it in an emergency with `X-Break-Glass-Reason` and a second
/// factor just shown; that is flagged and told to the patient.
#[utoipa::path(tag = "Clinical", operation_id = "read_records", security(("bearer" = [])),
    params(("patient_id" = Uuid, Path, description = "Whose"), RecordQuery,
        ("X-Break-Glass-Reason" = Option<String>, Header, description = "`emergency`, `patient_incapacitated`, `covering_care`, `legal_duty`")),
    responses(
    (status = 200, description = "A page", body = Listing<RecordEntryView>),
    (status = 403, description = "`forbidden`, `step_up_required`"),
    (status = 404, description = "`not_found`: absent, or not the caller's to see"),
    (status = 422, description = "`validation_failed`, `invalid_break_glass_reason`"),
))]
#[get("/v1/patients/{patient_id}/records")]
async fn list(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    query: Query<RecordQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let cursors = Cursors::new("records", &[Some(path.as_str()), query.value.dependant.as_deref()]);
    let mut fields = Fields::of_query();
    let dependant = query.value.dependant.as_deref().and_then(|text| fields.id::<DependantId>("/dependant", text));
    let limit = Paging::limit(&mut fields, query.value.limit.as_deref());
    fields.finish()?;
    let page = PageRequest { limit, after: cursors.key(query.value.cursor.as_deref())? };
    let (patient, glass) = (path_id(&path)?, break_glass(request.headers())?);
    let found = use_cases::read_records(services.clinical(), &caller.0, patient, dependant, glass, page).await?;
    let next_cursor = found.next.map(|key| cursors.text(key));
    let items = found.items.iter().map(RecordEntryView::from).collect();
    Ok(Listing { items, next_cursor }.respond(&request, &query.raw))
}

fn break_glass(headers: &HeaderMap) -> Result<Option<BreakGlassReason>, Problem> {
    let Some(sent) = headers.get(BREAK_GLASS) else { return Ok(None) };
    let reason = sent.to_str().ok().and_then(|word| word.parse().ok());
    reason.map(Some).ok_or_else(|| Code::InvalidBreakGlassReason.into())
}
