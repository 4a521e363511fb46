//! Passwords, and what is done with a link from a mail.

use super::{auth::anonymous, shared::parse_password};
use crate::{
    http::{Body, Caller, Fields, NoBody, Throttle, to_the_end},
    problem::Problem,
    services::Services,
    settings::RouteClass,
};
use actix_web::{HttpRequest, HttpResponse, post, web::Data};
use amrutam_identity::{EmailAddress, NewPassword, use_cases};
use amrutam_kernel::Sensitive;
use serde::Deserialize;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// No answer comes sooner: a link for a known address takes a millisecond more to write than its absence.
const FORGETTING: Duration = Duration::from_millis(100);

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(forget).service(reset).service(accept).service(change).service(verify).service(request_verification);
}

/// Whose password is forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "asha.nair@example.in"}))]
pub(crate) struct ForgetPasswordRequest {
    #[schema(value_type = String, format = Email)]
    email: Sensitive<String>,
}

/// A link's token, and the password from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "AZqvAAAA...", "password": "another long password"}))]
pub(crate) struct SetPasswordRequest {
    /// What follows `#token=` in the mail's link.
    #[schema(value_type = String)]
    token: Sensitive<String>,
    /// 8 to 128 characters, not known from breaches.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    password: Sensitive<String>,
}

/// A link's token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "AZqvAAAA..."}))]
pub(crate) struct VerifyEmailRequest {
    /// What follows `#token=` in the mail's link.
    #[schema(value_type = String)]
    token: Sensitive<String>,
}

/// The present password and the next.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"current_password": "a long enough password", "new_password": "another long password"}))]
pub(crate) struct ChangePasswordRequest {
    #[schema(value_type = String, format = Password)]
    current_password: Sensitive<String>,
    /// 8 to 128 characters, not known from breaches.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    new_password: Sensitive<String>,
}

/// Has a link mailed that sets a new password. The answer is the same whether or not the address is known.
#[utoipa::path(tag = "Accounts", operation_id = "forget_password", request_body = ForgetPasswordRequest,
    extensions(("x-rate-limit" = json!(RouteClass::Reset))), responses(
    (status = 202, description = "Taken note of"),
    (status = 422, description = "`validation_failed`: the field is missing"),
))]
#[post("/v1/auth/password/forgot")]
async fn forget(
    request: HttpRequest,
    body: Body<ForgetPasswordRequest>,
    throttle: Throttle,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let context = anonymous(&request)?;
    let email = body.value.email.expose().parse::<EmailAddress>().ok().map(Sensitive::new);
    throttle.count(email.as_ref().map(|email| email.expose().as_str())).await?;
    let noted = use_cases::forget_password(services.links(), &context, email.as_ref());
    let (noted, ()) = futures::join!(noted, services.pause.pause(FORGETTING));
    noted?;
    Ok(HttpResponse::Accepted().finish())
}

/// Sets a new password with the link from a mail, and ends all sessions.
#[utoipa::path(tag = "Accounts", operation_id = "reset_password", request_body = SetPasswordRequest,
    extensions(("x-rate-limit" = json!(RouteClass::Reset))), responses(
    (status = 204, description = "Set"),
    (status = 422, description = "`invalid_link`; `validation_failed`"),
))]
#[post("/v1/auth/password/reset")]
async fn reset(
    request: HttpRequest,
    body: Body<SetPasswordRequest>,
    throttle: Throttle,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let context = anonymous(&request)?;
    throttle.count(None).await?;
    let (token, password) = body.value.parse()?;
    let work = async move { use_cases::reset_password(services.links(), &context, &token, &password).await };
    to_the_end(work).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// An invited doctor or member of staff sets the first password, and with it opens the account.
#[utoipa::path(tag = "Accounts", operation_id = "accept_invitation", request_body = SetPasswordRequest,
    extensions(("x-rate-limit" = json!(RouteClass::Reset))), responses(
    (status = 204, description = "The account is open: log in"),
    (status = 422, description = "`invalid_link`; `validation_failed`"),
))]
#[post("/v1/auth/invitation/accept")]
async fn accept(
    request: HttpRequest,
    body: Body<SetPasswordRequest>,
    throttle: Throttle,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let context = anonymous(&request)?;
    throttle.count(None).await?;
    let (token, password) = body.value.parse()?;
    use_cases::accept_invitation(services.links(), &context, &token, &password).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Sets another password, and ends every other session.
#[utoipa::path(tag = "Accounts", operation_id = "change_password", request_body = ChangePasswordRequest,
    security(("bearer" = [])), extensions(("x-rate-limit" = json!(RouteClass::Reset))), responses(
    (status = 204, description = "Set"),
    (status = 422, description = "`wrong_password`; `validation_failed`"),
))]
#[post("/v1/me/password")]
async fn change(
    caller: Caller,
    body: Body<ChangePasswordRequest>,
    throttle: Throttle,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    throttle.count(caller.subject().as_deref()).await?;
    let mut fields = Fields::default();
    let Some(new) = parse_password(&mut fields, "/new_password", body.value.new_password) else {
        return Err(fields.into_problem());
    };
    let command = use_cases::ChangePassword { current: body.value.current_password, new };
    to_the_end(async move { use_cases::change_password(services.sessions(), &caller.0, command).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Takes note that the address of an account is its owner's.
#[utoipa::path(tag = "Accounts", operation_id = "verify_email", request_body = VerifyEmailRequest,
    extensions(("x-rate-limit" = json!(RouteClass::Reset))), responses(
    (status = 204, description = "Verified"),
    (status = 422, description = "`invalid_link`"),
))]
#[post("/v1/auth/email/verify")]
async fn verify(
    request: HttpRequest,
    body: Body<VerifyEmailRequest>,
    throttle: Throttle,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let context = anonymous(&request)?;
    throttle.count(None).await?;
    use_cases::verify_email(services.links(), &context, &body.value.token).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Has the link mailed once more; the one before is void. Does nothing when the address is verified.
#[utoipa::path(tag = "Accounts", operation_id = "request_email_verification", security(("bearer" = [])),
    extensions(("x-rate-limit" = json!(RouteClass::Reset))), responses(
    (status = 202, description = "Taken note of"),
))]
#[post("/v1/me/email/verification")]
async fn request_verification(
    caller: Caller,
    _body: NoBody,
    throttle: Throttle,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    throttle.count(caller.subject().as_deref()).await?;
    use_cases::request_verification(services.links(), &caller.0).await?;
    Ok(HttpResponse::Accepted().finish())
}

impl SetPasswordRequest {
    fn parse(self) -> Result<(Sensitive<String>, NewPassword), Problem> {
        let mut fields = Fields::default();
        match parse_password(&mut fields, "/password", self.password) {
            Some(password) => Ok((self.token, password)),
            None => Err(fields.into_problem()),
        }
    }
}
