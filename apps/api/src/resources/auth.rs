//! Registering, logging in, staying logged in, logging out.

use super::{
    accounts::ProfileInput,
    shared::{RoleWord, parse_password},
};
use crate::{
    http::{Body, Caller, Fields, NoBody, RequestInfo, Throttle, cacheable, json, to_the_end},
    problem::Problem,
    services::Services,
    settings::RouteClass,
};
use actix_web::{
    HttpRequest, HttpResponse, get,
    http::header::{LOCATION, USER_AGENT},
    post,
    web::Data,
};
use amrutam_identity::{
    EmailAddress,
    model::{RefreshToken, SessionLabel},
    use_cases::{self, LoggedIn, Tokens, TypedFactor},
};
use amrutam_kernel::{AccountId, Actor, Context, Role, Sensitive};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// A new key is published twice as long before it signs.
const JWKS_SECONDS: u32 = 300;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(register)
        .service(log_in)
        .service(second_step)
        .service(refresh)
        .service(log_out)
        .service(log_out_everywhere)
        .service(jwks);
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
    /// 8 to 128 characters, not known from breaches, not made of one's own name or address.
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

/// The second step: `code` or `recovery_code`, one of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"mfa_token": "eyJ...", "code": "287082"}))]
pub(crate) struct SecondStepRequest {
    #[schema(value_type = String)]
    mfa_token: Sensitive<String>,
    /// From the authenticator.
    #[schema(value_type = Option<String>)]
    code: Option<Sensitive<String>>,
    /// From the list that was shown once.
    #[schema(value_type = Option<String>)]
    recovery_code: Option<Sensitive<String>>,
}

/// What is exchanged for a new pair.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"refresh_token": "AZqv..."}))]
pub(crate) struct RefreshRequest {
    #[schema(value_type = String)]
    refresh_token: Sensitive<String>,
}

/// A pair of tokens.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tokens, example = json!({
    "access_token": "eyJ...", "token_type": "Bearer", "expires_in": 900, "refresh_token": "AZqv..."
}))]
pub(crate) struct TokensView {
    /// For `Authorization: Bearer`.
    access_token: String,
    token_type: &'static str,
    /// Seconds until the access token ends.
    expires_in: i64,
    /// Good for one `POST /v1/auth/refresh`.
    refresh_token: String,
}

/// The password was right; now the second factor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SecondStepWanted, example = json!({"mfa_required": true, "mfa_token": "eyJ...", "expires_in": 300}))]
pub(crate) struct SecondStepView {
    /// `true`.
    mfa_required: bool,
    /// For `POST /v1/auth/mfa`.
    mfa_token: String,
    /// Seconds until it ends.
    expires_in: i64,
}

/// A log-in's answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = LoggedIn, example = json!({
    "access_token": "eyJ...", "token_type": "Bearer", "expires_in": 900, "refresh_token": "AZqv..."
}))]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum LoggedInView {
    /// In.
    Tokens(TokensView),
    /// Half way.
    SecondStep(SecondStepView),
}

/// Opens a patient's account.
///
/// An address that is known already gets the same answer, and its owner a mail.
#[utoipa::path(tag = "Accounts", operation_id = "register", request_body = RegisterRequest,
    extensions(("x-rate-limit" = json!(RouteClass::Register))), responses(
    (status = 201, description = "Registered, unless the address was known already", body = RegisteredView,
        headers(("Location" = String, description = "Where the account is read once logged in"))),
    (status = 422, description = "`validation_failed`; a password's own codes are `invalid_password` and `breached_password`"),
))]
#[post("/v1/auth/register")]
async fn register(
    request: HttpRequest,
    body: Body<RegisterRequest>,
    throttle: Throttle,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let context = anonymous(&request)?;
    let command = body.value.parse(&services)?;
    throttle.count(Some(command.email.expose().as_str())).await?;
    let (email, profile) = (command.email.expose().as_str().to_owned(), command.profile.clone());
    let registered = use_cases::register(services.links(), &context, command).await?;
    let view = RegisteredView {
        id: registered.account,
        role: Role::Patient,
        email,
        full_name: profile.full_name.expose().as_str().to_owned(),
        time_zone: profile.time_zone,
    };
    Ok(HttpResponse::Created().insert_header((LOCATION, "/v1/me")).content_type("application/json").body(json(&view)))
}

/// Logs in: with the password alone, or half way where the account has a second factor.
///
/// A wrong password and an unknown or unverified address take the same time and get the same answer.
#[utoipa::path(tag = "Accounts", operation_id = "log_in", request_body = LogInRequest,
    extensions(("x-rate-limit" = json!(RouteClass::Login))), responses(
    (status = 200, description = "Logged in, or half way", body = LoggedInView),
    (status = 401, description = "`invalid_credentials`"),
    (status = 422, description = "`validation_failed`: a field is missing"),
))]
#[post("/v1/auth/login")]
async fn log_in(
    request: HttpRequest,
    body: Body<LogInRequest>,
    throttle: Throttle,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let context = anonymous(&request)?;
    let email = body.value.email.expose().parse::<EmailAddress>().ok().map(Sensitive::new);
    throttle.count(email.as_ref().map(|email| email.expose().as_str())).await?;
    let command = use_cases::LogIn { email, password: body.value.password, label: label(&request) };
    match use_cases::log_in(services.sessions(), &context, command).await? {
        LoggedIn::In(tokens) => Ok(signed_in(&request, *tokens)),
        LoggedIn::SecondFactor { mfa_token, claims } => {
            let expires_in = seconds(claims.issued_at, claims.expires_at);
            let view = SecondStepView { mfa_required: true, mfa_token: mfa_token.into_exposed(), expires_in };
            Ok(HttpResponse::Ok().content_type("application/json").body(json(&view)))
        }
    }
}

/// The second step of a log-in.
#[utoipa::path(tag = "Accounts", operation_id = "log_in_second_step", request_body = SecondStepRequest,
    extensions(("x-rate-limit" = json!(RouteClass::Mfa))), responses(
    (status = 200, description = "Logged in", body = TokensView),
    (status = 401, description = "`invalid_credentials`: the code is wrong or was used; `invalid_mfa_token`: log in again"),
    (status = 422, description = "`validation_failed`: not one of the two"),
))]
#[post("/v1/auth/mfa")]
async fn second_step(
    request: HttpRequest,
    body: Body<SecondStepRequest>,
    throttle: Throttle,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let context = anonymous(&request)?;
    let SecondStepRequest { mfa_token, code, recovery_code } = body.value;
    let factor = factor(code, recovery_code)?;
    let claims = services.verifier.verify_mfa(mfa_token.expose(), services.clock.now()).ok();
    // A recovery code can't be guessed, so whoever knows the password must not be able to use up its tries: the address alone counts.
    let guessable = matches!(factor, TypedFactor::Code(_));
    let subject = claims.filter(|_| guessable).map(|claims| claims.account.to_string());
    throttle.count(subject.as_deref()).await?;
    let command = use_cases::SecondStep { mfa_token, factor, label: label(&request) };
    Ok(signed_in(&request, use_cases::second_factor(services.sessions(), &context, command).await?))
}

/// Exchanges a refresh token for a new pair.
///
/// Each is good once. One that comes a second time ends the session for everybody who holds its tokens.
#[utoipa::path(tag = "Accounts", operation_id = "refresh", request_body = RefreshRequest,
    extensions(("x-rate-limit" = json!(RouteClass::Refresh))), responses(
    (status = 200, description = "A new pair", body = TokensView),
    (status = 401, description = "`session_revoked`: it came twice; `invalid_refresh_token`"),
    (status = 422, description = "`validation_failed`: the field is missing"),
))]
#[post("/v1/auth/refresh")]
async fn refresh(
    request: HttpRequest,
    body: Body<RefreshRequest>,
    throttle: Throttle,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let context = anonymous(&request)?;
    let token = body.value.refresh_token;
    let session = RefreshToken::parse(&token).and_then(|token| token.claimed_session());
    throttle.count(session.map(|session| session.to_string()).as_deref()).await?;
    let work = async move { use_cases::refresh(services.sessions(), &context, &token).await };
    Ok(signed_in(&request, to_the_end(work).await?))
}

/// Ends this session: its access token is refused from the next request on, everywhere.
#[utoipa::path(tag = "Accounts", operation_id = "log_out", security(("bearer" = [])), responses(
    (status = 204, description = "Ended"),
))]
#[post("/v1/auth/logout")]
async fn log_out(caller: Caller, _body: NoBody, services: Data<Services>) -> Result<HttpResponse, Problem> {
    to_the_end(async move { use_cases::log_out(services.sessions(), &caller.0).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ends all sessions of the account, this one too.
#[utoipa::path(tag = "Accounts", operation_id = "log_out_everywhere", security(("bearer" = [])), responses(
    (status = 204, description = "Ended"),
))]
#[post("/v1/auth/logout-all")]
async fn log_out_everywhere(caller: Caller, _body: NoBody, services: Data<Services>) -> Result<HttpResponse, Problem> {
    to_the_end(async move { use_cases::log_out_everywhere(services.sessions(), &caller.0).await }).await?;
    Ok(HttpResponse::NoContent().finish())
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
    cacheable(&request, false, JWKS_SECONDS, HttpResponse::Ok().json((services.jwks)()))
}

/// For nobody in particular: a token that is sent along means nothing.
pub(super) fn anonymous(request: &HttpRequest) -> Result<Context, Problem> {
    let info = RequestInfo::of(request).ok_or_else(|| Problem::internal("the edge was not passed"))?;
    Ok(info.anonymous())
}

/// What is shown as the second factor.
pub(super) fn factor(
    code: Option<Sensitive<String>>,
    recovery_code: Option<Sensitive<String>>,
) -> Result<TypedFactor, Problem> {
    match (code, recovery_code) {
        (Some(code), None) => Ok(TypedFactor::Code(code)),
        (None, Some(code)) => Ok(TypedFactor::RecoveryCode(code)),
        _ => {
            let mut fields = Fields::default();
            fields.refuse("/code", "required", "code or recovery_code, one of them");
            Err(fields.into_problem())
        }
    }
}

/// Which program, for the list of sessions.
fn label(request: &HttpRequest) -> SessionLabel {
    let agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    SessionLabel::new(agent.unwrap_or_default())
}

fn signed_in(request: &HttpRequest, tokens: Tokens) -> HttpResponse {
    let Tokens { access_token, claims, refresh_token } = tokens;
    if let Some(info) = RequestInfo::of(request) {
        info.actor.set(Some(Actor::Account { id: claims.account, role: claims.role }));
    }
    let view = TokensView {
        access_token: access_token.into_exposed(),
        token_type: "Bearer",
        expires_in: seconds(claims.issued_at, claims.expires_at),
        refresh_token: refresh_token.into_exposed(),
    };
    HttpResponse::Ok().content_type("application/json").body(json(&view))
}

fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs()
}

impl RegisterRequest {
    fn parse(self, services: &Services) -> Result<use_cases::Register, Problem> {
        let mut fields = Fields::default();
        let email = fields.parse::<EmailAddress>("/email", "invalid_email", self.email.expose());
        let password = parse_password(&mut fields, "/password", self.password);
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
