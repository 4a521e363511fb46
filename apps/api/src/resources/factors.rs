//! The second factor: setting it up, showing it again, removing it.

use super::auth::factor;
use crate::{
    http::{Body, Caller, NoBody, Throttle, json, to_the_end},
    problem::Problem,
    services::Services,
    settings::RouteClass,
};
use actix_web::{HttpResponse, delete, post, web::Data};
use amrutam_identity::{
    ports::Enrolment,
    use_cases::{self, RecoveryCodes, RemoveTotp},
};
use amrutam_kernel::Sensitive;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(begin).service(confirm).service(remove).service(regenerate).service(step_up);
}

/// What an authenticator is told. Shown once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TotpEnrolment, example = json!({
    "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    "otpauth_uri": "otpauth://totp/Amrutam:asha.nair%40example.in?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Amrutam",
    "qr_svg": "<svg xmlns=\"http://www.w3.org/2000/svg\">...</svg>"
}))]
pub(crate) struct EnrolmentView {
    /// Base32, to be typed.
    secret: String,
    otpauth_uri: String,
    /// The URI as a QR code.
    qr_svg: String,
}

/// Shown once; each is good once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecoveryCodes, example = json!({"recovery_codes": ["ABCD-EFGH-IJKL-MNOP-QRST-UVWX"]}))]
pub(crate) struct RecoveryCodesView {
    recovery_codes: Vec<String>,
}

impl From<RecoveryCodes> for RecoveryCodesView {
    fn from(RecoveryCodes(codes): RecoveryCodes) -> Self {
        Self { recovery_codes: codes.into_iter().map(Sensitive::into_exposed).collect() }
    }
}

/// The authenticator's first code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "287082"}))]
pub(crate) struct ConfirmTotpRequest {
    #[schema(value_type = String)]
    code: Sensitive<String>,
}

/// The password, and `code` or `recovery_code`, one of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"password": "a long enough password", "code": "287082"}))]
pub(crate) struct RemoveTotpRequest {
    #[schema(value_type = String, format = Password)]
    password: Sensitive<String>,
    #[schema(value_type = Option<String>)]
    code: Option<Sensitive<String>>,
    #[schema(value_type = Option<String>)]
    recovery_code: Option<Sensitive<String>>,
}

/// `code` or `recovery_code`, one of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "287082"}))]
pub(crate) struct StepUpRequest {
    #[schema(value_type = Option<String>)]
    code: Option<Sensitive<String>>,
    #[schema(value_type = Option<String>)]
    recovery_code: Option<Sensitive<String>>,
}

/// Begins to set up an authenticator, in place of one there may be (which asks for its code, not older than 5 minutes).
#[utoipa::path(tag = "Accounts", operation_id = "begin_totp", security(("bearer" = [])), responses(
    (status = 200, description = "What the authenticator is told; nothing changes until it is confirmed, within 15 minutes", body = EnrolmentView),
    (status = 403, description = "`step_up_required`"),
))]
#[post("/v1/me/mfa/totp")]
async fn begin(caller: Caller, _body: NoBody, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let Enrolment { secret, otpauth_uri, qr_svg } = use_cases::begin_totp(services.sessions(), &caller.0).await?;
    let view = EnrolmentView {
        secret: secret.into_exposed(),
        otpauth_uri: otpauth_uri.into_exposed(),
        qr_svg: qr_svg.into_exposed(),
    };
    Ok(HttpResponse::Ok().content_type("application/json").body(json(&view)))
}

/// Confirms it with its first code. From now on a log-in takes two steps.
#[utoipa::path(tag = "Accounts", operation_id = "confirm_totp", request_body = ConfirmTotpRequest, security(("bearer" = [])),
    extensions(("x-rate-limit" = json!(RouteClass::Mfa))), responses(
    (status = 200, description = "In force, with ten codes for the day the authenticator is lost", body = RecoveryCodesView),
    (status = 403, description = "`step_up_required`"),
    (status = 409, description = "`second_factor_not_begun`"),
    (status = 422, description = "`invalid_code`"),
))]
#[post("/v1/me/mfa/totp/confirm")]
async fn confirm(
    caller: Caller,
    body: Body<ConfirmTotpRequest>,
    throttle: Throttle,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    throttle.count(caller.subject().as_deref()).await?;
    let code = body.value.code;
    let codes = to_the_end(async move { use_cases::confirm_totp(services.sessions(), &caller.0, &code).await }).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(json(&RecoveryCodesView::from(codes))))
}

/// Removes the second factor and its recovery codes.
#[utoipa::path(tag = "Accounts", operation_id = "remove_totp", request_body = RemoveTotpRequest, security(("bearer" = [])),
    extensions(("x-rate-limit" = json!(RouteClass::Mfa))), responses(
    (status = 204, description = "Removed"),
    (status = 409, description = "`second_factor_not_enrolled`"),
    (status = 422, description = "`wrong_password`, `invalid_code`, `validation_failed`"),
))]
#[delete("/v1/me/mfa/totp")]
async fn remove(
    caller: Caller,
    body: Body<RemoveTotpRequest>,
    throttle: Throttle,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    throttle.count(caller.subject().as_deref()).await?;
    let RemoveTotpRequest { password, code, recovery_code } = body.value;
    let command = RemoveTotp { password, factor: factor(code, recovery_code)? };
    to_the_end(async move { use_cases::remove_totp(services.sessions(), &caller.0, command).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ten new recovery codes in place of those before.
#[utoipa::path(tag = "Accounts", operation_id = "regenerate_recovery_codes", security(("bearer" = [])), responses(
    (status = 200, description = "The new ones", body = RecoveryCodesView),
    (status = 403, description = "`step_up_required`"),
    (status = 409, description = "`second_factor_not_enrolled`"),
))]
#[post("/v1/me/mfa/recovery-codes")]
async fn regenerate(caller: Caller, _body: NoBody, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let codes = use_cases::regenerate_recovery_codes(services.sessions(), &caller.0).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(json(&RecoveryCodesView::from(codes))))
}

/// Shows the second factor again, for what asks for one younger than 5 minutes.
#[utoipa::path(tag = "Accounts", operation_id = "step_up", request_body = StepUpRequest, security(("bearer" = [])),
    extensions(("x-rate-limit" = json!(RouteClass::Mfa))), responses(
    (status = 204, description = "Seen"),
    (status = 409, description = "`second_factor_not_enrolled`"),
    (status = 422, description = "`invalid_code`, `validation_failed`"),
))]
#[post("/v1/me/mfa/step-up")]
async fn step_up(
    caller: Caller,
    body: Body<StepUpRequest>,
    throttle: Throttle,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    throttle.count(caller.subject().as_deref()).await?;
    let factor = factor(body.value.code, body.value.recovery_code)?;
    to_the_end(async move { use_cases::step_up(services.sessions(), &caller.0, &factor).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}
