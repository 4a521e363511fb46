//! Consultations: booking, reading, and the acts on them.

use super::{
    clinical_dtos::text,
    consultation_views::{ConsultationView, TimelineEntryView, booked_answer, changed_answer, etag, merged},
    payment_views::PaymentView,
    shared::{CancelReasonWord, EndReasonWord, IdentityWord, MODES, ModeWord, StatusWord},
};
use crate::{
    http::{
        Attempt, Body, Caller, Cursors, Fields, Listing, MaybeBody, NoBody, Paging, Query, entity, key_of, once,
        path_id,
    },
    problem::{Code, Problem},
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    post,
    web::{Data, Path},
};
use amrutam_booking::{
    model::{CancelReason, ConsultationStatus, EndReason, IdentityCheck, Mode, PaymentsMode},
    ports::ByStart,
    use_cases::{self, Access, Book, Booked, Cancel, Changed, Idempotent, ListFilter, Seen},
};
use amrutam_kernel::{
    Actor, ConsultationId, Context, DependantId, DoctorId, IdempotencyClaim, PageRequest, Role, Sensitive, Sight,
    SlotId, StoredAnswer,
};
use amrutam_payments::{
    PaymentError,
    use_cases::{read_payment, read_timeline as read_payment_steps},
};
use serde::Deserialize;
use std::str::FromStr;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

const MAX_REASON_CHARS: usize = 2_000;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(book)
        .service(list)
        .service(read)
        .service(timeline)
        .service(cancel)
        .service(reschedule)
        .service(start)
        .service(complete)
        .service(end)
        .service(change_mode)
        .service(no_show);
}

/// What a patient asks for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "doctor_id": "019aaf00-0000-7000-8000-000000000001", "slot_id": "019aaf00-0000-7000-8000-000000000003",
    "mode": "video", "reason": "Recurring headache"
}))]
pub(crate) struct BookRequest {
    #[schema(value_type = Uuid)]
    doctor_id: String,
    #[schema(value_type = Uuid)]
    slot_id: String,
    #[schema(value_type = ModeWord)]
    mode: String,
    /// In the patient's words; for the two sides only, and never in the answer to this request.
    #[schema(value_type = Option<String>, max_length = 2000)]
    reason: Option<Sensitive<String>>,
    /// Who is to be treated, when it is not the caller: a dependant that the account keeps.
    #[schema(value_type = Option<Uuid>)]
    for_dependent: Option<String>,
}

/// Why a visit is called off.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "patient_emergency"}))]
pub(crate) struct CancelRequest {
    #[schema(value_type = CancelReasonWord)]
    reason: String,
}

/// Where a visit is moved to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"slot_id": "019aaf00-0000-7000-8000-000000000004"}))]
pub(crate) struct RescheduleRequest {
    /// An open slot of the same doctor.
    #[schema(value_type = Uuid)]
    slot_id: String,
}

/// What is left to say of a visit.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"summary": "Dietary advice given; to come back in two weeks"}))]
pub(crate) struct CompleteRequest {
    /// For the two sides only, and never in the answer to this request.
    #[schema(value_type = Option<String>, max_length = 4000)]
    summary: Option<Sensitive<String>>,
}

/// How the doctor made sure of the patient's identity.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"identity": "photo_id"}))]
pub(crate) struct StartRequest {
    /// `asked` unless given.
    #[schema(value_type = Option<IdentityWord>)]
    identity: Option<String>,
}

/// Why a visit is over.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "technical_issue"}))]
pub(crate) struct EndRequest {
    #[schema(value_type = EndReasonWord)]
    reason: String,
}

/// How a visit goes on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"mode": "audio"}))]
pub(crate) struct ModeRequest {
    #[schema(value_type = ModeWord)]
    mode: String,
}

/// Which consultations.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConsultationQuery {
    /// In this status now.
    #[param(value_type = Option<StatusWord>)]
    status: Option<String>,
    /// Starting at or after.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Starting before.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// Page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Books a slot.
///
/// The slot, the consultation and this answer are stored in one transaction. Where visits are paid, the consultation is
/// `pending` and holds its slot for 15 minutes; where they are not (`payments.mode = none`), it becomes `pending` and
/// `confirmed` in that same transaction and is answered as `confirmed`.
#[utoipa::path(tag = "Consultations", operation_id = "book", request_body = BookRequest, security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "The caller's name for this request, 1 to 255 visible ASCII characters; kept 24 hours")),
    responses(
    (status = 201, description = "Booked", body = ConsultationView,
        headers(("Location" = String, description = "The consultation"))),
    (status = 400, description = "`idempotency_key_required`, `invalid_idempotency_key`, `malformed_body`, `invalid_type`, `unknown_field`"),
    (status = 403, description = "`forbidden`: only a patient books"),
    (status = 409, description = "`slot_unavailable`, `overlapping_consultation`, `too_many_unpaid_holds`, `doctor_not_available`, `idempotency_in_progress`"),
    (status = 422, description = "`validation_failed`, `slot_in_past`, `unknown_slot`, `slot_of_another_doctor`, `mode_not_offered`, `unknown_dependent`, `idempotency_key_reused`"),
))]
#[post("/v1/consultations")]
async fn book(
    caller: Caller,
    request: HttpRequest,
    body: Body<BookRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    key_of(request.headers())?.ok_or(Code::IdempotencyKeyRequired)?;
    let command = body.value.parse()?;
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(|claim| Idempotent { claim, render: &booked_answer });
        match use_cases::book(services.booking(), &caller.0, Book { idempotency, ..command }).await {
            Ok((booked, answer)) => Attempt::Done(answer.unwrap_or_else(|| booked_answer(&booked))),
            Err(error) => error.into(),
        }
    })
    .await
}

/// The caller's consultations by start: a patient's, a doctor's, or all of them without patients for an admin.
#[utoipa::path(tag = "Consultations", operation_id = "list_consultations", params(ConsultationQuery), security(("bearer" = [])),
    responses(
    (status = 200, description = "A page of consultations", body = Listing<ConsultationView>),
    (status = 422, description = "`validation_failed`"),
))]
#[get("/v1/consultations")]
async fn list(
    caller: Caller,
    request: HttpRequest,
    query: Query<ConsultationQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let cursors = query.value.cursors();
    let (filter, page) = query.value.parse(&cursors)?;
    let page = use_cases::list_consultations(services.booking(), &caller.0, filter, page).await?;
    let next_cursor = page.next.map(|key| cursors.text(key));
    let items = page.items.into_iter().map(ConsultationView::seen).collect();
    Ok(Listing { items, next_cursor }.respond(&request, &query.raw))
}

/// One consultation. The reason for the visit, its summary and who is treated are shown to its two sides; reason and summary to the
/// practitioner until they treat the patient no more.
#[utoipa::path(tag = "Consultations", operation_id = "read_consultation", security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation")), responses(
    (status = 200, description = "The consultation", body = ConsultationView),
    (status = 404, description = "`not_found`: absent, or not the caller's"),
))]
#[get("/v1/consultations/{consultation_id}")]
async fn read(caller: Caller, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    let is_open = !caller.0.actor.has_role(Role::Doctor)
        || amrutam_clinical::use_cases::is_open_to_side(services.clinical(), &caller.0, id).await?;
    let detail = if is_open { use_cases::Detail::Words } else { use_cases::Detail::Frame };
    let seen = use_cases::read_consultation(services.booking(), &caller.0, id, detail).await?;
    let (tag, payment) = (etag(&seen), payment_of(&services, &caller.0, &seen).await?);
    // Who is treated, when it is not the one who booked: to both sides.
    let dependent = match (seen.access, seen.view.consultation.dependant) {
        (Access::Full, Some(_)) => {
            Some(amrutam_clinical::use_cases::read_person(services.clinical(), &caller.0, id).await?)
        }
        _ => None,
    };
    Ok(entity(StatusCode::OK, tag, None, &ConsultationView::seen(seen).paid(payment).of_dependent(dependent)))
}

/// What the visit costs, for whom it is shown to. A doctor's visits are paid, but not by them.
async fn payment_of(services: &Services, context: &Context, seen: &Seen) -> Result<Option<PaymentView>, Problem> {
    if services.payments == PaymentsMode::None || matches!(context.actor, Actor::Account { role: Role::Doctor, .. }) {
        return Ok(None);
    }
    let id = seen.view.consultation.id;
    match read_payment(services.paying(), context, id).await {
        Ok(payment) => Ok(PaymentView::seen(&payment, id, context, services.clock.now())),
        Err(PaymentError::NotFound | PaymentError::Denied(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Every change of a consultation and of its payment, with its time, actor, cause and event.
#[utoipa::path(tag = "Consultations", operation_id = "read_timeline", security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation")), responses(
    (status = 200, description = "By time; each of the two by its version", body = Listing<TimelineEntryView>),
    (status = 404, description = "`not_found`: absent, or not the caller's"),
))]
#[get("/v1/consultations/{consultation_id}/timeline")]
async fn timeline(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id: ConsultationId = path_id(&path)?;
    let (visit, patient, access) = use_cases::read_timeline(services.booking(), &caller.0, id).await?;
    let sight = match access {
        Access::Full => Sight::Full,
        Access::Masked => Sight::Masked,
    };
    let steps = read_payment_steps(services.paying(), &caller.0, id, (patient, sight)).await?;
    let items = merged(visit, steps);
    Ok(Listing { items, next_cursor: None }.respond(&request, ""))
}

/// Calls a visit off before it begins. Its slot is offered again unless the reason is that the doctor won't be there.
#[utoipa::path(tag = "Consultations", operation_id = "cancel", request_body = CancelRequest, security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation"),
        ("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 200, description = "Cancelled", body = ConsultationView),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`invalid_transition`, `too_late`, `idempotency_in_progress`"),
    (status = 422, description = "`validation_failed`, `reason_not_allowed`, `idempotency_key_reused`"),
))]
#[post("/v1/consultations/{consultation_id}/cancel")]
async fn cancel(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: Body<CancelRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id: ConsultationId = path_id(&path)?;
    let reason = body.value.parse()?;
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(keeping_changed);
        acted(use_cases::cancel(services.booking(), &caller.0, Cancel { id, reason, idempotency }).await)
    })
    .await
}

/// Moves a visit that has not begun to another slot of the same doctor. It stays the same consultation.
#[utoipa::path(tag = "Consultations", operation_id = "reschedule", request_body = RescheduleRequest, security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation"),
        ("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 200, description = "Moved", body = ConsultationView),
    (status = 403, description = "`forbidden`: only the patient moves a visit"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`slot_unavailable`, `overlapping_consultation`, `doctor_not_available`, `invalid_transition`, `too_late`, `idempotency_in_progress`"),
    (status = 422, description = "`validation_failed`, `unknown_slot`, `slot_in_past`, `slot_of_another_doctor`, `mode_not_offered`, `idempotency_key_reused`"),
))]
#[post("/v1/consultations/{consultation_id}/reschedule")]
async fn reschedule(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: Body<RescheduleRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id: ConsultationId = path_id(&path)?;
    let to = body.value.parse()?;
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(keeping_changed);
        acted(use_cases::reschedule(services.booking(), &caller.0, id, to, idempotency).await)
    })
    .await
}

/// Renders a changed consultation to be kept under a claim.
fn keeping_changed(claim: &IdempotencyClaim) -> Idempotent<'_, Changed> {
    Idempotent { claim, render: &changed_answer }
}

/// How an act ended.
fn acted<E: Into<Attempt>>(result: Result<(Changed, Option<StoredAnswer>), E>) -> Attempt {
    match result {
        Ok((changed, answer)) => Attempt::Done(answer.unwrap_or_else(|| changed_answer(&changed))),
        Err(error) => error.into(),
    }
}

/// The doctor begins the visit, from 10 minutes before its slot until the slot's end, having made sure of the patient's identity.
#[utoipa::path(tag = "Consultations", operation_id = "start", request_body = Option<StartRequest>, security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation"),
        ("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 200, description = "In progress", body = ConsultationView),
    (status = 403, description = "`forbidden`: only the doctor"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`invalid_transition`, `too_early`, `too_late`, `guardian_required`, `consent_withdrawn`, `no_earlier_visit`, `idempotency_in_progress`"),
    (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
))]
#[post("/v1/consultations/{consultation_id}/start")]
async fn start(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: MaybeBody<StartRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    let identity = body.value.parse()?;
    if identity == IdentityCheck::Known {
        amrutam_clinical::use_cases::check_known(services.clinical(), &caller.0, id).await?;
    }
    // A minor's visit begins with an adult beside them; the consent that booking implies is recorded.
    amrutam_clinical::use_cases::admit(services.clinical(), &caller.0, id, services.rules.start_early).await?;
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(keeping_changed);
        acted(use_cases::start(services.booking(), &caller.0, id, identity, idempotency).await)
    })
    .await
}

/// The doctor completes the visit, with a summary if they like.
#[utoipa::path(tag = "Consultations", operation_id = "complete", request_body = Option<CompleteRequest>, security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation"),
        ("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 200, description = "Completed", body = ConsultationView),
    (status = 403, description = "`forbidden`: only the doctor"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`invalid_transition`, `idempotency_in_progress`"),
    (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
))]
#[post("/v1/consultations/{consultation_id}/complete")]
async fn complete(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: MaybeBody<CompleteRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    let summary = body.value.parse()?;
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(keeping_changed);
        acted(use_cases::complete(services.booking(), &caller.0, id, summary.as_ref(), idempotency).await)
    })
    .await
}

/// Either side ends the visit, at any time while it is under way. It has taken place; the reason is in the timeline.
#[utoipa::path(tag = "Consultations", operation_id = "end", request_body = EndRequest, security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation"),
        ("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 200, description = "Completed", body = ConsultationView),
    (status = 403, description = "`forbidden`: only the two sides"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`invalid_transition`, `idempotency_in_progress`"),
    (status = 422, description = "`validation_failed`, `reason_not_allowed`, `idempotency_key_reused`"),
))]
#[post("/v1/consultations/{consultation_id}/end")]
async fn end(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: Body<EndRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    let reason = body.value.parse()?;
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(keeping_changed);
        acted(use_cases::end(services.booking(), &caller.0, id, reason, idempotency).await)
    })
    .await
}

/// Either side goes on in another mode while the visit is under way: seeing, hearing or writing to each other.
///
/// Each change is an event and a line of the timeline. What may be prescribed follows from the mode in force when it is signed: run
/// the draft's dry run again.
#[utoipa::path(tag = "Consultations", operation_id = "change_mode", request_body = ModeRequest, security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation"),
        ("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 200, description = "Changed", body = ConsultationView),
    (status = 403, description = "`forbidden`: only the two sides"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`invalid_transition`: not under way; `same_mode`, `idempotency_in_progress`"),
    (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
))]
#[post("/v1/consultations/{consultation_id}/mode")]
async fn change_mode(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: Body<ModeRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    let mode = body.value.parse()?;
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(keeping_changed);
        acted(use_cases::change_mode(services.booking(), &caller.0, id, mode, idempotency).await)
    })
    .await
}

/// The side that came says that the other did not, from 10 minutes after the slot's start.
#[utoipa::path(tag = "Consultations", operation_id = "no_show", security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation"),
        ("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 200, description = "Recorded", body = ConsultationView),
    (status = 403, description = "`forbidden`: only the two sides"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`invalid_transition`, `too_early`, `other_side_present`, `not_checked_in`, `idempotency_in_progress`"),
    (status = 422, description = "`idempotency_key_reused`"),
))]
#[post("/v1/consultations/{consultation_id}/no-show")]
async fn no_show(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: NoBody,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let id = path_id(&path)?;
    // Who checked in is not absent, and who did not can't say so of the other.
    let grace = services.rules.no_show_grace;
    amrutam_clinical::use_cases::check_absence(services.clinical(), &caller.0, id, grace).await?;
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(keeping_changed);
        acted(use_cases::no_show(services.booking(), &caller.0, id, idempotency).await)
    })
    .await
}

impl BookRequest {
    fn parse<'a>(self) -> Result<Book<'a>, Problem> {
        let mut fields = Fields::default();
        let doctor = fields.id::<DoctorId>("/doctor_id", &self.doctor_id);
        let slot = fields.id::<SlotId>("/slot_id", &self.slot_id);
        let mode = fields.word::<Mode>("/mode", MODES, &self.mode);
        let for_dependent =
            fields.parse_optional::<DependantId>("/for_dependent", "invalid_id", self.for_dependent.as_deref());
        let fits = |reason: &Sensitive<String>| (1..=MAX_REASON_CHARS).contains(&reason.expose().chars().count());
        fields.check(self.reason.as_ref().is_none_or(fits), "/reason", "out_of_range", "1 to 2000 characters");
        match (doctor, slot, mode, for_dependent) {
            (Some(doctor), Some(slot), Some(mode), Some(for_dependent)) => {
                fields.finish()?;
                Ok(Book {
                    doctor,
                    slot,
                    mode,
                    reason: self.reason,
                    for_dependent,
                    idempotency: None::<Idempotent<'a, Booked>>,
                })
            }
            _ => Err(fields.into_problem()),
        }
    }
}

impl CompleteRequest {
    /// An empty one says nothing.
    fn parse(self) -> Result<Option<Sensitive<String>>, Problem> {
        let mut fields = Fields::default();
        let summary = self.summary.map(|summary| text(&mut fields, "/summary", summary.into_exposed()));
        fields.finish()?;
        Ok(summary.filter(|summary| !summary.trim().is_empty()).map(Sensitive::new))
    }
}

impl StartRequest {
    fn parse(&self) -> Result<IdentityCheck, Problem> {
        let Some(word) = &self.identity else { return Ok(IdentityCheck::default()) };
        let mut fields = Fields::default();
        let words = IdentityCheck::ALL.map(IdentityCheck::as_str).join(", ");
        fields.word("/identity", &words, word).ok_or_else(|| fields.into_problem())
    }
}

impl EndRequest {
    fn parse(&self) -> Result<EndReason, Problem> {
        let mut fields = Fields::default();
        let words = EndReason::ALL.map(EndReason::as_str).join(", ");
        fields.word("/reason", &words, &self.reason).ok_or_else(|| fields.into_problem())
    }
}

impl ModeRequest {
    fn parse(&self) -> Result<Mode, Problem> {
        let mut fields = Fields::default();
        fields.word("/mode", MODES, &self.mode).ok_or_else(|| fields.into_problem())
    }
}

/// One that a person can give.
struct PersonsReason(CancelReason);

impl FromStr for PersonsReason {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        word.parse().ok().filter(|reason: &CancelReason| reason.is_a_persons()).map(Self).ok_or(())
    }
}

impl CancelRequest {
    fn parse(&self) -> Result<CancelReason, Problem> {
        let mut fields = Fields::default();
        let words: Vec<_> = CancelReason::ALL.into_iter().filter(|reason| reason.is_a_persons()).collect();
        let words = words.into_iter().map(CancelReason::as_str).collect::<Vec<_>>().join(", ");
        let given = fields.word::<PersonsReason>("/reason", &words, &self.reason);
        given.map(|PersonsReason(reason)| reason).ok_or_else(|| fields.into_problem())
    }
}

impl RescheduleRequest {
    fn parse(&self) -> Result<SlotId, Problem> {
        let mut fields = Fields::default();
        fields.id("/slot_id", &self.slot_id).ok_or_else(|| fields.into_problem())
    }
}

type ConsultationPage = PageRequest<ByStart<ConsultationId>>;

impl ConsultationQuery {
    fn cursors(&self) -> Cursors {
        Cursors::new("consultations", &[self.status.as_deref(), self.from.as_deref(), self.to.as_deref()])
    }

    fn parse(&self, cursors: &Cursors) -> Result<(ListFilter, ConsultationPage), Problem> {
        let mut fields = Fields::of_query();
        let words = ConsultationStatus::ALL.map(ConsultationStatus::as_str).join(", ");
        let status = self.status.as_deref().and_then(|word| fields.word("/status", &words, word));
        let from = self.from.as_deref().and_then(|text| fields.time("/from", text));
        let to = self.to.as_deref().and_then(|text| fields.time("/to", text));
        let ordered = !matches!((from, to), (Some(from), Some(to)) if to <= from);
        fields.check(ordered, "/to", "not_after_from", "after from");
        let limit = Paging::limit(&mut fields, self.limit.as_deref());
        fields.finish()?;
        Ok((ListFilter { status, from, to }, PageRequest { limit, after: cursors.key(self.cursor.as_deref())? }))
    }
}
