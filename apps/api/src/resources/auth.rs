//! Registering and logging in.

use super::{accounts::ProfileInput, shared::RoleWord};
use crate::{
    http::{Body, Fields, RequestInfo, Throttle, cacheable, json},
    problem::Problem,
    services::Services,
    settings::RouteClass,
};
use actix_web::{HttpRequest, HttpResponse, get, http::header::LOCATION, post, web::Data};
use amrutam_identity::{EmailAddress, NewPassword, use_cases};
use amrutam_kernel::{AccountId, Actor, Context, Role, Sensitive};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Keys change rarely, and a new one is published before it signs.
const JWKS_SECONDS: u32 = 300;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(register).service(log_in).service(jwks);
}

/// What a person gives to open an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "email": "asha.nair@example.in", "password": "a long enough password", "full_name": "Asha Nair",
    "phone": "+919812345678", "date_of_birth": "1990-04-12", "sex": "female", "time_zone": "Asia/Kolkata"
}))]
pub(crate) struct RegisterRequest {
    #[schema(value_type = String, format = Email)]
    email: Sensitive<String>,
    /// 8 to 128 characters; length is the only rule.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    password: Sensitive<String>,
    /// 1 to 200 characters of any script.
    #[schema(value_type = String)]
    full_name: Sensitive<String>,
    /// E.164.
    #[schema(value_type = Option<String>)]
    phone: Option<Sensitive<String>>,
    #[schema(value_type = Option<String>, format = Date)]
    date_of_birth: Option<Sensitive<String>>,
    #[schema(value_type = Option<super::shared::SexWord>)]
    sex: Option<Sensitive<String>>,
    /// An IANA zone; that of the business unless said.
    time_zone: Option<String>,
}

/// The answer to a registration: the same whether or not the address was known before.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Registered, example = json!({
    "id": "019aaf00-0000-7000-8000-000000000002", "role": "patient", "email": "asha.nair@example.in",
    "full_name": "Asha Nair", "time_zone": "Asia/Kolkata"
}))]
pub(crate) struct RegisteredView {
    #[schema(value_type = uuid::Uuid)]
    id: AccountId,
    #[schema(value_type = RoleWord)]
    role: Role,
    email: String,
    full_name: String,
    time_zone: String,
}

/// What a person logs in with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "asha.nair@example.in", "password": "a long enough password"}))]
pub(crate) struct LogInRequest {
    #[schema(value_type = String, format = Email)]
    email: Sensitive<String>,
    #[schema(value_type = String, format = Password)]
    password: Sensitive<String>,
}

/// A token for `Authorization: Bearer`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token, example = json!({"access_token": "eyJ...", "token_type": "Bearer", "expires_in": 900}))]
pub(crate) struct TokenView {
    access_token: String,
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
}

/// Opens a patient's account.
///
/// An address that is known already gets the same answer, and its owner a mail.
#[utoipa::path(tag = "Accounts", operation_id = "register", request_body = RegisterRequest,
    extensions(("x-rate-limit" = json!(RouteClass::Register))), responses(
    (status = 201, description = "Registered, unless the address was known already", body = RegisteredView,
        headers(("Location" = String, description = "Where the account is read once logged in"))),
    (status = 422, description = "`validation_failed`"),
))]
#[post("/v1/auth/register")]
async fn register(
    request: HttpRequest,
    throttle: Throttle,
    body: Body<RegisterRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let context = anonymous(&request)?;
    let command = body.value.parse(&services)?;
    throttle.count(Some(command.email.expose().as_str())).await?;
    let (email, profile) = (command.email.expose().as_str().to_owned(), command.profile.clone());
    let registered = use_cases::register(services.identity(), &context, command).await?;
    let view = RegisteredView {
        id: registered.account,
        role: Role::Patient,
        email,
        full_name: profile.full_name.expose().as_str().to_owned(),
        time_zone: profile.time_zone,
    };
    Ok(HttpResponse::Created().insert_header((LOCATION, "/v1/me")).content_type("application/json").body(json(&view)))
}

/// Logs in.
///
/// A wrong password and an unknown address take the same time and get the same answer.
#[utoipa::path(tag = "Accounts", operation_id = "log_in", request_body = LogInRequest,
    extensions(("x-rate-limit" = json!(RouteClass::Login))), responses(
    (status = 200, description = "Logged in", body = TokenView),
    (status = 401, description = "`invalid_credentials`"),
    (status = 422, description = "`validation_failed`: a field is missing"),
))]
#[post("/v1/auth/login")]
async fn log_in(
    request: HttpRequest,
    throttle: Throttle,
    body: Body<LogInRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let context = anonymous(&request)?;
    let email = body.value.email.expose().parse::<EmailAddress>().ok().map(Sensitive::new);
    throttle.count(email.as_ref().map(|email| email.expose().as_str())).await?;
    let command = use_cases::LogIn { email, password: body.value.password };
    let logged_in = use_cases::log_in(services.identity(), &*services.issuer, &context, command).await?;
    if let Some(info) = RequestInfo::of(&request) {
        info.actor.set(Some(Actor::Account { id: logged_in.claims.account, role: logged_in.claims.role }));
    }
    let view = TokenView {
        access_token: logged_in.access_token.into_exposed(),
        token_type: "Bearer",
        expires_in: logged_in.claims.issued_at.until(logged_in.claims.expires_at).map_or(0, |span| span.get_seconds()),
    };
    Ok(HttpResponse::Ok().content_type("application/json").body(json(&view)))
}

/// The public keys that access tokens are signed with (RFC 7517).
#[utoipa::path(tag = "Accounts", operation_id = "jwks", responses(
    (status = 200, description = "A JWK set", body = serde_json::Value, example = json!({"keys": [
        {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "2026-11-22", "n": "u1W...", "e": "AQAB"}
    ]})),
    (status = 304, description = "Unchanged"),
))]
#[get("/.well-known/jwks.json")]
async fn jwks(request: HttpRequest, services: Data<Services>) -> HttpResponse {
    cacheable(&request, false, JWKS_SECONDS, HttpResponse::Ok().json(&services.jwks))
}

/// Logging in and registering are for nobody in particular: a token that is sent along means nothing.
fn anonymous(request: &HttpRequest) -> Result<Context, Problem> {
    let info = RequestInfo::of(request).ok_or_else(|| Problem::internal("the edge was not passed"))?;
    Ok(info.context(Actor::Anonymous))
}

impl RegisterRequest {
    fn parse(self, services: &Services) -> Result<use_cases::Register, Problem> {
        let mut fields = Fields::default();
        let email = fields.parse::<EmailAddress>("/email", "invalid_email", self.email.expose());
        let password = parse_password(&mut fields, self.password);
        let input = ProfileInput {
            full_name: self.full_name,
            phone: self.phone,
            date_of_birth: self.date_of_birth,
            sex: self.sex,
            time_zone: self.time_zone,
        };
        let profile = input.parse(&mut fields, services);
        match (email, password, profile) {
            (Some(email), Some(password), Some(profile)) => {
                fields.finish()?;
                Ok(use_cases::Register { email: Sensitive::new(email), password, profile })
            }
            _ => Err(fields.into_problem()),
        }
    }
}

/// A password somebody wants to use from now on.
pub(super) fn parse_password(fields: &mut Fields, password: Sensitive<String>) -> Option<NewPassword> {
    NewPassword::parse(password).map_err(|error| fields.refuse("/password", "invalid_password", error.to_string())).ok()
}
