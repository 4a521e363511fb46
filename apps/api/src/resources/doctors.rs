//! The directory: finding doctors, making and changing profiles, listing and suspending them.

use super::{
    doctor_dtos::{
        CreateDoctorRequest, DoctorQuery, DoctorView, SpecializationView, UpdateDoctorRequest, UpdatedDoctorView,
    },
    shared::MODES,
};
use crate::{
    http::{
        Attempt, Body, Caller, Cursors, Fields, JSON, Listing, NoBody, Paging, Query, Visitor, cacheable, entity,
        if_match, json, once, path_id,
    },
    problem::Problem,
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    patch, post,
    web::{Data, Path},
};
use amrutam_booking::{
    DirectoryError,
    model::{Practitioner, SPECIALIZATIONS},
    ports::{DoctorFilter, DoctorSort},
    use_cases::{self, Access},
};
use amrutam_kernel::{Currency, DoctorId, Idempotent, Money, StoredAnswer, TimeRange};
use utoipa_actix_web::service_config::ServiceConfig;

/// How long others may keep what changes seldom, and what changes at any time.
const SPECIALIZATIONS_SECONDS: u32 = 3_600;
const DIRECTORY_SECONDS: u32 = 30;
const MAX_TEXT_CHARS: usize = 200;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_specializations)
        .service(search)
        .service(read)
        .service(create)
        .service(update)
        .service(verify)
        .service(suspend);
}

/// The branches of the art, by code.
#[utoipa::path(tag = "Directory", operation_id = "list_specializations", responses(
    (status = 200, description = "All of them", body = Listing<SpecializationView>),
    (status = 304, description = "Unchanged"),
))]
#[get("/v1/specializations")]
async fn list_specializations(request: HttpRequest, visitor: Visitor) -> HttpResponse {
    let items = SPECIALIZATIONS.iter();
    let items = items.map(|s| SpecializationView { code: s.code, name: s.name, description: s.description }).collect();
    let answer = Listing { items, next_cursor: None }.respond(&request, "");
    cacheable(&request, visitor.is_signed_in(), SPECIALIZATIONS_SECONDS, answer)
}

/// Finds listed doctors.
#[utoipa::path(tag = "Directory", operation_id = "search_doctors", params(DoctorQuery), responses(
    (status = 200, description = "A page of doctors", body = Listing<DoctorView>),
    (status = 304, description = "Unchanged"),
    (status = 422, description = "`validation_failed`"),
))]
#[get("/v1/doctors")]
async fn search(
    request: HttpRequest,
    visitor: Visitor,
    query: Query<DoctorQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let cursors = query.value.cursors();
    let filter = query.value.parse(&services, &cursors)?;
    let page = use_cases::search_doctors(services.directory(), &visitor.0, &filter).await?;
    let next_cursor = page.next.map(|key| cursors.doctor_text(key));
    let items = page.items.into_iter().map(DoctorView::from).collect();
    let answer = Listing { items, next_cursor }.respond(&request, &query.raw);
    Ok(cacheable(&request, visitor.is_signed_in(), DIRECTORY_SECONDS, answer))
}

/// One doctor: listed ones for everybody, others for themself and admins.
#[utoipa::path(tag = "Directory", operation_id = "read_doctor", params(("doctor_id" = Uuid, Path, description = "Which doctor")),
    responses(
    (status = 200, description = "The doctor", body = DoctorView),
    (status = 304, description = "Unchanged"),
    (status = 404, description = "`not_found`"),
))]
#[get("/v1/doctors/{doctor_id}")]
async fn read(
    request: HttpRequest,
    visitor: Visitor,
    path: Path<String>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let doctor = use_cases::read_doctor(services.directory(), &visitor.0, path_id(&path)?).await?;
    let answer = entity(StatusCode::OK, doctor.practitioner.version, None, &DoctorView::from(doctor));
    Ok(cacheable(&request, visitor.is_signed_in(), DIRECTORY_SECONDS, answer))
}

/// A doctor applies, or an admin makes a profile for a doctor's account. It is public once an admin has verified it.
#[utoipa::path(tag = "Directory", operation_id = "create_doctor", request_body = CreateDoctorRequest, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 201, description = "Made; `applied` until verified", body = DoctorView,
        headers(("Location" = String, description = "The profile"))),
    (status = 403, description = "`forbidden`"),
    (status = 409, description = "`profile_exists`, `registration_taken`, `idempotency_in_progress`"),
    (status = 422, description = "`validation_failed`, `not_a_doctors_account`, `idempotency_key_reused`"),
))]
#[post("/v1/doctors")]
async fn create(
    caller: Caller,
    request: HttpRequest,
    body: Body<CreateDoctorRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let profile = body.value.parse()?;
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(|claim| Idempotent { claim, render: &made });
        done(use_cases::create_profile(services.directory(), &caller.0, profile, idempotency).await, made)
    })
    .await
}

/// The doctor or an admin changes the profile.
#[utoipa::path(tag = "Directory", operation_id = "update_doctor", request_body = UpdateDoctorRequest, security(("bearer" = [])),
    params(("doctor_id" = Uuid, Path, description = "Which doctor"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read; a stale one is refused")),
    responses(
    (status = 200, description = "Changed; a new zone, other modes or other days of registration change the slots at once", body = UpdatedDoctorView),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`"),
    (status = 412, description = "`precondition_failed`"),
    (status = 422, description = "`validation_failed`"),
))]
#[patch("/v1/doctors/{doctor_id}")]
async fn update(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: Body<UpdateDoctorRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id: DoctorId = path_id(&path)?;
    let change = body.value.parse()?;
    let versions = if_match(&request);
    let (directory, schedule) = (services.directory(), services.availability());
    let changed = use_cases::update_profile(directory, schedule, &caller.0, id, versions.as_deref(), change).await?;
    let version = changed.practitioner.version;
    Ok(entity(StatusCode::OK, version, None, &UpdatedDoctorView::from(changed)))
}

/// An admin has checked the documents: the doctor is listed.
#[utoipa::path(tag = "Administration", operation_id = "verify_doctor", security(("bearer" = [])),
    params(("doctor_id" = Uuid, Path, description = "Which doctor"),
        ("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 200, description = "Listed", body = DoctorView),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`invalid_transition`, `registration_not_valid`, `idempotency_in_progress`"),
    (status = 422, description = "`idempotency_key_reused`"),
    (status = 503, description = "`contended`"),
))]
#[post("/v1/admin/doctors/{doctor_id}/verify")]
async fn verify(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: NoBody,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(|claim| Idempotent { claim, render: &changed });
        done(use_cases::verify(services.directory(), &caller.0, id, idempotency).await, changed)
    })
    .await
}

/// An admin takes a doctor out of the directory: no new bookings; booked visits stay.
#[utoipa::path(tag = "Administration", operation_id = "suspend_doctor", security(("bearer" = [])),
    params(("doctor_id" = Uuid, Path, description = "Which doctor"),
        ("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 200, description = "Suspended", body = DoctorView),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`invalid_transition`, `idempotency_in_progress`"),
    (status = 422, description = "`idempotency_key_reused`"),
    (status = 503, description = "`contended`"),
))]
#[post("/v1/admin/doctors/{doctor_id}/suspend")]
async fn suspend(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: NoBody,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(|claim| Idempotent { claim, render: &changed });
        done(use_cases::suspend(services.directory(), &caller.0, id, idempotency).await, changed)
    })
    .await
}

/// Whoever may make or change a profile sees all of it.
fn kept(status: StatusCode, location: Option<String>, doctor: &Practitioner) -> StoredAnswer {
    StoredAnswer {
        status: status.as_u16(),
        location,
        content_type: JSON.to_owned(),
        etag: Some(format!("\"{}\"", doctor.version)),
        body: json(&DoctorView::of(doctor.clone(), Access::Full)),
    }
}

/// How a change ended. What is committed with it was rendered the same way.
fn done(result: Result<Practitioner, DirectoryError>, render: impl FnOnce(&Practitioner) -> StoredAnswer) -> Attempt {
    match result {
        Ok(doctor) => Attempt::Done(render(&doctor)),
        Err(error) => error.into(),
    }
}

fn made(doctor: &Practitioner) -> StoredAnswer {
    kept(StatusCode::CREATED, Some(format!("/v1/doctors/{}", doctor.id)), doctor)
}

fn changed(doctor: &Practitioner) -> StoredAnswer {
    kept(StatusCode::OK, None, doctor)
}

impl DoctorQuery {
    fn cursors(&self) -> Cursors {
        let filters = [
            &self.q,
            &self.specialization,
            &self.language,
            &self.mode,
            &self.max_fee,
            &self.currency,
            &self.available_from,
            &self.available_to,
            &self.sort,
        ];
        Cursors::new("doctors", &filters.map(|filter| filter.as_deref()))
    }

    fn parse(&self, services: &Services, cursors: &Cursors) -> Result<DoctorFilter, Problem> {
        let mut fields = Fields::of_query();
        for (pointer, text) in
            [("/q", &self.q), ("/specialization", &self.specialization), ("/language", &self.language)]
        {
            let fits = text.as_ref().is_none_or(|text| text.chars().count() <= MAX_TEXT_CHARS);
            fields.check(fits, pointer, "too_long", "at most 200 characters");
        }
        let mode = self.mode.as_deref().and_then(|word| fields.word("/mode", MODES, word));
        let currency = self.currency.as_deref().and_then(|code| fields.parse("/currency", "unknown_value", code));
        let currency = currency.unwrap_or(Currency::Inr);
        let max_fee = self.max_fee.as_deref().and_then(|text| {
            let fee = text.parse().ok().and_then(|amount| Money::new(amount, currency).ok());
            fields.check(fee.is_some(), "/max_fee", "out_of_range", "minor units, from 0");
            fee
        });
        let sort = match self.sort.as_deref() {
            None | Some("name") => DoctorSort::Name,
            Some("fee") => DoctorSort::Fee(currency),
            Some(_) => {
                fields.refuse("/sort", "unknown_value", "one of name, fee");
                DoctorSort::Name
            }
        };
        let available = self.available(&mut fields);
        let now = services.clock.now();
        let limit = Paging::limit(&mut fields, self.limit.as_deref());
        fields.finish()?;
        Ok(DoctorFilter {
            text: self.q.clone().filter(|text| !text.trim().is_empty()),
            specialization: self.specialization.clone(),
            language: self.language.clone(),
            mode,
            max_fee,
            available,
            sort,
            limit,
            after: cursors.doctor_key(self.cursor.as_deref())?,
            today: services.rules.business_day(now),
            now,
        })
    }

    fn available(&self, fields: &mut Fields) -> Option<TimeRange> {
        let (from, to) = match (&self.available_from, &self.available_to) {
            (None, None) => return None,
            (Some(from), Some(to)) => (from, to),
            (Some(_), None) => {
                fields.refuse("/available_to", "required", "goes with available_from");
                return None;
            }
            (None, Some(_)) => {
                fields.refuse("/available_from", "required", "goes with available_to");
                return None;
            }
        };
        let from = fields.time("/available_from", from);
        let to = fields.time("/available_to", to);
        let (Some(from), Some(to)) = (from, to) else { return None };
        let range = TimeRange::new(from, to);
        fields.check(range.is_some(), "/available_to", "not_after_from", "after available_from");
        range
    }
}
