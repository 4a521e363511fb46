//! A doctor's absences.

use super::{
    availability::{OutsideRulesView, SlotChangesView, outside, slot_changes},
    shared::Time,
};
use crate::{
    http::{Attempt, Body, Caller, Fields, JSON, Listing, json, once, path_id},
    problem::Problem,
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, delete, get, post,
    web::{Data, Path},
};
use amrutam_booking::{
    model::TimeOff,
    use_cases::{self, AddedTimeOff},
};
use amrutam_kernel::{DoctorId, Idempotent, StoredAnswer, TimeOffId, TimeRange};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Longer ones end a practice rather than interrupt it.
const MAX_LENGTH: SignedDuration = SignedDuration::from_hours(24 * 366);
const MAX_NOTE_CHARS: usize = 500;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list).service(add).service(remove);
}

/// An absence.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": "2026-12-24T00:00:00+05:30", "to": "2026-12-27T00:00:00+05:30", "note": "Away"}))]
pub(crate) struct AddTimeOffRequest {
    #[schema(format = DateTime)]
    from: String,
    #[schema(format = DateTime)]
    to: String,
    /// For one's own use; nothing about patients.
    #[schema(max_length = 500)]
    note: Option<String>,
}

/// An absence.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimeOff, example = json!({
    "id": "019aaf00-0000-7000-8000-000000000006", "from": "2026-12-23T18:30:00.000000Z",
    "to": "2026-12-26T18:30:00.000000Z", "note": "Away"
}))]
pub(crate) struct TimeOffView {
    #[schema(value_type = Uuid)]
    id: TimeOffId,
    from: Time,
    to: Time,
    note: Option<String>,
}

/// An absence, and what it did to the slots.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AddedTimeOff, example = json!({
    "id": "019aaf00-0000-7000-8000-000000000006", "from": "2026-12-23T18:30:00.000000Z",
    "to": "2026-12-26T18:30:00.000000Z", "note": "Away", "slots": {"created": 0, "withdrawn": 24},
    "outside_rules": []
}))]
pub(crate) struct AddedTimeOffView {
    #[schema(value_type = Uuid)]
    id: TimeOffId,
    from: Time,
    to: Time,
    note: Option<String>,
    slots: SlotChangesView,
    /// Bookings inside the absence or otherwise outside the rules.
    outside_rules: Vec<OutsideRulesView>,
}

impl From<TimeOff> for TimeOffView {
    fn from(off: TimeOff) -> Self {
        Self { id: off.id, from: Time(off.range.start()), to: Time(off.range.end()), note: off.note }
    }
}

/// Absences that have not ended, by start.
#[utoipa::path(tag = "Availability", operation_id = "list_time_off", security(("bearer" = [])),
    params(("doctor_id" = Uuid, Path, description = "Which doctor")), responses(
    (status = 200, description = "All of them", body = Listing<TimeOffView>),
    (status = 403, description = "`forbidden`: for the doctor and admins"),
    (status = 404, description = "`not_found`"),
))]
#[get("/v1/doctors/{doctor_id}/time-off")]
async fn list(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let found = use_cases::list_time_off(services.availability(), &caller.0, path_id(&path)?).await?;
    let items = found.into_iter().map(TimeOffView::from).collect();
    Ok(Listing { items, next_cursor: None }.respond(&request, ""))
}

/// Adds an absence: open slots inside it vanish, booked ones are named.
#[utoipa::path(tag = "Availability", operation_id = "add_time_off", request_body = AddTimeOffRequest, security(("bearer" = [])),
    params(("doctor_id" = Uuid, Path, description = "Which doctor"),
        ("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 201, description = "Added", body = AddedTimeOffView, headers(("Location" = String, description = "The absence"))),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`idempotency_in_progress`"),
    (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
))]
#[post("/v1/doctors/{doctor_id}/time-off")]
async fn add(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: Body<AddTimeOffRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let doctor: DoctorId = path_id(&path)?;
    let (range, note) = body.value.parse()?;
    let render = |added: &AddedTimeOff| added_answer(doctor, added);
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(|claim| Idempotent { claim, render: &render });
        let (deps, context) = (services.availability(), &caller.0);
        match use_cases::add_time_off(deps, context, doctor, range, note, idempotency).await {
            Ok(added) => Attempt::Done(render(&added)),
            Err(error) => error.into(),
        }
    })
    .await
}

/// The answer to an absence, as it is kept.
fn added_answer(doctor: DoctorId, (off, state): &AddedTimeOff) -> StoredAnswer {
    let view = AddedTimeOffView {
        id: off.id,
        from: Time(off.range.start()),
        to: Time(off.range.end()),
        note: off.note.clone(),
        slots: slot_changes(state),
        outside_rules: outside(state),
    };
    StoredAnswer {
        status: 201,
        location: Some(format!("/v1/doctors/{doctor}/time-off/{}", off.id)),
        content_type: JSON.to_owned(),
        etag: None,
        body: json(&view),
    }
}

/// Ends an absence: its slots come back.
#[utoipa::path(tag = "Availability", operation_id = "remove_time_off", security(("bearer" = [])),
    params(("doctor_id" = Uuid, Path, description = "Which doctor"), ("time_off_id" = Uuid, Path, description = "Which absence")),
    responses(
    (status = 204, description = "Removed"),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`"),
))]
#[delete("/v1/doctors/{doctor_id}/time-off/{time_off_id}")]
async fn remove(
    caller: Caller,
    path: Path<(String, String)>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let (doctor, id) = (path_id(&path.0)?, path_id(&path.1)?);
    use_cases::remove_time_off(services.availability(), &caller.0, doctor, id).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl AddTimeOffRequest {
    fn parse(self) -> Result<(TimeRange, Option<String>), Problem> {
        let mut fields = Fields::default();
        let from = fields.time("/from", &self.from);
        let to = fields.time("/to", &self.to);
        let plain = |note: &String| note.chars().count() <= MAX_NOTE_CHARS && !note.chars().any(char::is_control);
        fields.check(
            self.note.as_ref().is_none_or(plain),
            "/note",
            "invalid",
            "at most 500 characters without control characters",
        );
        let (Some(from), Some(to)) = (from, to) else { return Err(fields.into_problem()) };
        let Some(range) = TimeRange::new(from, to) else {
            fields.refuse("/to", "not_after_from", "after from");
            return Err(fields.into_problem());
        };
        fields.check(to.duration_since(from) <= MAX_LENGTH, "/to", "out_of_range", "at most 366 days after from");
        fields.finish()?;
        Ok((range, self.note))
    }
}
