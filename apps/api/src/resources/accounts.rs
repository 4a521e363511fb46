//! The caller's own account.

use super::shared::{RoleWord, SexWord, Time, kept, present};
use crate::{
    http::{Body, Caller, Fields, Throttle, entity, if_match, to_the_end},
    problem::Problem,
    services::Services,
    settings::RouteClass,
};
use actix_web::{HttpRequest, HttpResponse, get, http::StatusCode, patch, post, web::Data};
use amrutam_identity::{
    Account, PersonName, Profile,
    model::Sex,
    use_cases::{self, Deactivate},
};
use amrutam_kernel::{AccountId, Role, Sensitive};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(me).service(update).service(deactivate);
}

/// The caller's own account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account, example = json!({
    "id": "019aaf00-0000-7000-8000-000000000002", "role": "patient", "email": "asha.nair@example.in",
    "full_name": "Asha Nair", "phone": "+919812345678", "date_of_birth": "1990-04-12", "sex": "female",
    "time_zone": "Asia/Kolkata", "email_verified": true, "created_at": "2026-11-20T10:00:00.123456Z"
}))]
pub(crate) struct AccountView {
    #[schema(value_type = uuid::Uuid)]
    id: AccountId,
    #[schema(value_type = RoleWord)]
    role: Role,
    email: String,
    full_name: String,
    phone: Option<String>,
    #[schema(format = Date)]
    date_of_birth: Option<String>,
    #[schema(value_type = Option<SexWord>)]
    sex: Option<Sex>,
    time_zone: String,
    /// Whether the owner has followed the link that was mailed there.
    email_verified: bool,
    created_at: Time,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        let profile = account.profile;
        Self {
            id: account.id,
            role: account.role,
            email: account.email.expose().as_str().to_owned(),
            full_name: profile.full_name.expose().as_str().to_owned(),
            phone: profile.phone.map(Sensitive::into_exposed),
            date_of_birth: profile.date_of_birth.map(|date| date.expose().to_string()),
            sex: profile.sex.map(Sensitive::into_exposed),
            time_zone: profile.time_zone,
            email_verified: account.email_verified_at.is_some(),
            created_at: Time(account.created_at),
        }
    }
}

/// What changes of one's own profile: a field that is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"phone": "+919812345678", "time_zone": "Asia/Dubai"}))]
pub(crate) struct UpdateAccountRequest {
    /// 1 to 200 characters of any script.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    full_name: Option<Option<Sensitive<String>>>,
    /// E.164; `null` clears it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    phone: Option<Option<Sensitive<String>>>,
    /// `null` clears it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = Date)]
    date_of_birth: Option<Option<Sensitive<String>>>,
    /// `null` clears it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<SexWord>)]
    sex: Option<Option<Sensitive<String>>>,
    /// An IANA zone.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    time_zone: Option<Option<String>>,
}

/// One's own password, to be sure.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"password": "a long enough password"}))]
pub(crate) struct DeactivateRequest {
    #[schema(value_type = String, format = Password)]
    password: Sensitive<String>,
}

/// The caller's own account.
#[utoipa::path(tag = "Accounts", operation_id = "me", security(("bearer" = [])), responses(
    (status = 200, description = "The account", body = AccountView),
))]
#[get("/v1/me")]
async fn me(caller: Caller, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let account = use_cases::who_am_i(services.identity(), &caller.0).await?;
    Ok(shown(account))
}

/// Changes one's own profile.
#[utoipa::path(tag = "Accounts", operation_id = "update_me", request_body = UpdateAccountRequest, security(("bearer" = [])),
    params(("If-Match" = Option<String>, Header, description = "The `ETag` of what was read")), responses(
    (status = 200, description = "The account as it is now", body = AccountView),
    (status = 412, description = "`precondition_failed`: read it again"),
    (status = 422, description = "`validation_failed`"),
))]
#[patch("/v1/me")]
async fn update(
    request: HttpRequest,
    caller: Caller,
    body: Body<UpdateAccountRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let change = body.value.parse(&services)?;
    let versions = if_match(&request);
    let account = use_cases::update_profile(services.identity(), &caller.0, versions.as_deref(), change).await?;
    Ok(shown(account))
}

/// Closes one's own account: every session ends, and nobody logs in any more. What the law asks us to keep is kept.
#[utoipa::path(tag = "Accounts", operation_id = "deactivate_me", request_body = DeactivateRequest, security(("bearer" = [])),
    extensions(("x-rate-limit" = json!(RouteClass::Reset))), responses(
    (status = 204, description = "Closed"),
    (status = 422, description = "`wrong_password`"),
))]
#[post("/v1/me/deactivate")]
async fn deactivate(
    caller: Caller,
    body: Body<DeactivateRequest>,
    throttle: Throttle,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    throttle.count(caller.subject().as_deref()).await?;
    let account = caller.account()?;
    let command = Deactivate { account, password: Some(body.value.password) };
    to_the_end(async move { use_cases::deactivate(services.sessions(), &caller.0, command).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn shown(account: Account) -> HttpResponse {
    entity(StatusCode::OK, account.version, None, &AccountView::from(account))
}

impl UpdateAccountRequest {
    /// The change, or every value that has no sense by itself.
    fn parse(self, services: &Services) -> Result<impl Fn(Profile) -> Profile + Send + Sync, Problem> {
        let mut fields = Fields::default();
        let full_name = kept(&mut fields, "/full_name", self.full_name);
        let full_name =
            full_name.and_then(|name| fields.parse::<PersonName>("/full_name", "invalid_name", name.expose()));
        let phone = self.phone.map(|phone| phone.and_then(|phone| parse_phone(&mut fields, phone)));
        let date_of_birth =
            self.date_of_birth.map(|date| date.and_then(|date| parse_birth(&mut fields, date.expose(), services)));
        let sex = self.sex.map(|sex| sex.and_then(|sex| parse_sex(&mut fields, sex.expose())));
        let time_zone = kept(&mut fields, "/time_zone", self.time_zone);
        let time_zone = time_zone.and_then(|zone| fields.time_zone("/time_zone", &zone));
        fields.finish()?;
        Ok(move |stored: Profile| Profile {
            full_name: full_name.clone().map_or(stored.full_name, Sensitive::new),
            phone: phone.clone().unwrap_or(stored.phone),
            date_of_birth: date_of_birth.map_or(stored.date_of_birth, |date| date.map(Sensitive::new)),
            sex: sex.map_or(stored.sex, |sex| sex.map(Sensitive::new)),
            time_zone: time_zone.clone().unwrap_or(stored.time_zone),
        })
    }
}

/// What a person says about themself, as sent.
pub(super) struct ProfileInput {
    pub(super) full_name: Sensitive<String>,
    pub(super) phone: Option<Sensitive<String>>,
    pub(super) date_of_birth: Option<Sensitive<String>>,
    pub(super) sex: Option<Sensitive<String>>,
    pub(super) time_zone: Option<String>,
}

impl ProfileInput {
    pub(super) fn parse(self, fields: &mut Fields, services: &Services) -> Option<Profile> {
        let full_name = fields.parse::<PersonName>("/full_name", "invalid_name", self.full_name.expose());
        let phone = self.phone.and_then(|phone| parse_phone(fields, phone));
        let date_of_birth = self.date_of_birth.and_then(|text| parse_birth(fields, text.expose(), services));
        let sex = self.sex.and_then(|text| parse_sex(fields, text.expose()));
        let time_zone = match &self.time_zone {
            Some(text) => fields.time_zone("/time_zone", text),
            None => services.rules.business_zone.iana_name().map(str::to_owned),
        };
        Some(Profile {
            full_name: Sensitive::new(full_name?),
            phone,
            date_of_birth: date_of_birth.map(Sensitive::new),
            sex: sex.map(Sensitive::new),
            time_zone: time_zone?,
        })
    }
}

fn parse_phone(fields: &mut Fields, phone: Sensitive<String>) -> Option<Sensitive<String>> {
    let fits = is_e164(phone.expose());
    fields.check(fits, "/phone", "invalid_phone", "E.164, such as +919812345678");
    fits.then_some(phone)
}

pub(super) fn parse_birth(fields: &mut Fields, text: &str, services: &Services) -> Option<Date> {
    let date = fields.date("/date_of_birth", text)?;
    let born = date <= services.rules.business_day(services.clock.now());
    fields.check(born, "/date_of_birth", "in_the_future", "not after today");
    born.then_some(date)
}

fn is_e164(phone: &str) -> bool {
    phone.strip_prefix('+').is_some_and(|digits| {
        (8..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

fn parse_sex(fields: &mut Fields, word: &str) -> Option<Sex> {
    match word {
        "female" => Some(Sex::Female),
        "male" => Some(Sex::Male),
        "other" => Some(Sex::Other),
        _ => {
            fields.refuse("/sex", "unknown_value", "one of female, male, other");
            None
        }
    }
}
