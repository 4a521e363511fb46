//! What a visit costs: reading it, paying again, and what calling it off would give back.

use super::payment_views::{CancellationView, InspectedPayment, PaymentView, retried_answer};
use crate::{
    http::{Attempt, Caller, NoBody, json, key_of, once, path_id},
    problem::{Code, Problem},
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, get, post,
    web::{Data, Path},
};
use amrutam_kernel::{ConsultationId, Idempotent};
use amrutam_payments::use_cases::{inspect_payment, preview_cancellation, read_payment, retry_payment};
use utoipa_actix_web::service_config::ServiceConfig;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(read).service(retry).service(preview).service(inspect);
}

/// A visit's payment. `created` until its order is open at the gateway, which takes a moment: ask again for the checkout.
#[utoipa::path(tag = "Payments", operation_id = "read_payment", security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation")), responses(
    (status = 200, description = "The payment", body = PaymentView),
    (status = 403, description = "`forbidden`: a doctor's visits are paid, but not by them"),
    (status = 404, description = "`not_found`: absent, not the caller's, or a visit that costs nothing"),
))]
#[get("/v1/consultations/{consultation_id}/payment")]
async fn read(caller: Caller, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let id: ConsultationId = path_id(&path)?;
    let seen = read_payment(services.paying(), &caller.0, id).await?;
    let view = PaymentView::seen(&seen, id, &caller.0, services.clock.now()).ok_or(Code::NotFound)?;
    Ok(HttpResponse::Ok().content_type("application/json").body(json(&view)))
}

/// Another try to pay. The order that is open takes it: nothing is opened twice, and the answer says how to pay.
#[utoipa::path(tag = "Payments", operation_id = "retry_payment", security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation"),
        ("Idempotency-Key" = String, Header, description = "The caller's name for this request, 1 to 255 visible ASCII characters; kept 24 hours")),
    responses(
    (status = 200, description = "How to pay", body = PaymentView),
    (status = 400, description = "`idempotency_key_required`, `invalid_idempotency_key`"),
    (status = 403, description = "`forbidden`: only the patient pays"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`invalid_transition`: it is paid, or failed for good; `hold_ended`; `idempotency_in_progress`"),
    (status = 422, description = "`idempotency_key_reused`"),
))]
#[post("/v1/consultations/{consultation_id}/payment/retry")]
async fn retry(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: NoBody,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    key_of(request.headers())?.ok_or(Code::IdempotencyKeyRequired)?;
    let id: ConsultationId = path_id(&path)?;
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let render = |retried: &_| retried_answer(retried, id, &caller.0, services.clock.now());
        let idempotency = claim.map(|claim| Idempotent { claim, render: &render });
        match retry_payment(services.paying(), &caller.0, id, idempotency).await {
            Ok((retried, answer)) => Attempt::Done(answer.unwrap_or_else(|| render(&retried))),
            Err(error) => error.into(),
        }
    })
    .await
}

/// What would go back if the caller called the visit off now: computed as the refund itself is.
#[utoipa::path(tag = "Payments", operation_id = "preview_cancellation", security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation")), responses(
    (status = 200, description = "What would go back", body = CancellationView),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`not_cancellable`: it has begun, or is over"),
))]
#[get("/v1/consultations/{consultation_id}/cancellation")]
async fn preview(caller: Caller, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let preview = preview_cancellation(services.paying(), &caller.0, path_id(&path)?).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(json(&CancellationView::from(preview))))
}

/// One payment as those who run the place see it: what the gateway calls its money, what goes back, what a person is asked, and
/// everything that happened. Also of money that nobody has claimed, which no visit leads to.
#[utoipa::path(tag = "Operations", operation_id = "inspect_payment", security(("bearer" = [])),
    params(("payment_id" = Uuid, Path, description = "Which payment: a consultation's id, or the subject of a review case")),
    responses(
    (status = 200, description = "The payment", body = InspectedPayment),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`"),
))]
#[get("/v1/admin/payments/{payment_id}")]
async fn inspect(caller: Caller, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let (payment, timeline) = inspect_payment(services.paying(), &caller.0, path_id(&path)?).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(json(&InspectedPayment::of(&payment, timeline))))
}
