//! Accounts: one's own, and those an admin makes.

use super::{
    auth::parse_password,
    shared::{RoleWord, SexWord, StaffRoleWord, Time},
};
use crate::{
    http::{Attempt, Body, Caller, Fields, JSON, entity_by_content, json, once},
    problem::Problem,
    services::Services,
};
use actix_web::{HttpRequest, HttpResponse, get, post, web::Data};
use amrutam_identity::{
    Account, EmailAddress, PersonName, Profile,
    model::Sex,
    use_cases::{self, NewStaff},
};
use amrutam_kernel::{AccountId, Idempotent, Role, Sensitive, StoredAnswer};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(me).service(create_account);
}

/// The caller's own account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account, example = json!({
    "id": "019aaf00-0000-7000-8000-000000000002", "role": "patient", "email": "asha.nair@example.in",
    "full_name": "Asha Nair", "phone": "+919812345678", "date_of_birth": "1990-04-12", "sex": "female",
    "time_zone": "Asia/Kolkata", "created_at": "2026-11-20T10:00:00.123456Z"
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
            created_at: Time(account.created_at),
        }
    }
}

/// An account for a doctor or an admin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "email": "vaidya.rao@example.in", "password": "a first password", "full_name": "Dr. Meera Rao", "role": "doctor"
}))]
pub(crate) struct CreateAccountRequest {
    #[schema(value_type = String, format = Email)]
    email: Sensitive<String>,
    /// 8 to 128 characters.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    password: Sensitive<String>,
    #[schema(value_type = String)]
    full_name: Sensitive<String>,
    /// Patients register themselves.
    #[schema(value_type = StaffRoleWord)]
    role: String,
    /// E.164.
    #[schema(value_type = Option<String>)]
    phone: Option<Sensitive<String>>,
    #[schema(value_type = Option<String>, format = Date)]
    date_of_birth: Option<Sensitive<String>>,
    #[schema(value_type = Option<SexWord>)]
    sex: Option<Sensitive<String>>,
    /// An IANA zone; that of the business unless said.
    time_zone: Option<String>,
}

/// An account that was made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatedAccount, example = json!({
    "id": "019aaf00-0000-7000-8000-000000000005", "role": "doctor", "email": "vaidya.rao@example.in",
    "full_name": "Dr. Meera Rao", "time_zone": "Asia/Kolkata"
}))]
pub(crate) struct CreatedAccountView {
    #[schema(value_type = uuid::Uuid)]
    id: AccountId,
    #[schema(value_type = RoleWord)]
    role: Role,
    email: String,
    full_name: String,
    time_zone: String,
}

/// The caller's own account.
#[utoipa::path(tag = "Accounts", operation_id = "me", security(("bearer" = [])), responses(
    (status = 200, description = "The account", body = AccountView),
))]
#[get("/v1/me")]
async fn me(caller: Caller, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let account = use_cases::who_am_i(services.identity(), &caller.0).await?;
    Ok(entity_by_content(&AccountView::from(account)))
}

/// An admin makes an account for a doctor or another admin.
#[utoipa::path(tag = "Administration", operation_id = "create_account", request_body = CreateAccountRequest,
    security(("bearer" = [])), params(("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 201, description = "Made", body = CreatedAccountView),
    (status = 403, description = "`forbidden`: only an admin makes accounts"),
    (status = 409, description = "`email_taken`, `idempotency_in_progress`"),
    (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
))]
#[post("/v1/admin/accounts")]
async fn create_account(
    caller: Caller,
    request: HttpRequest,
    body: Body<CreateAccountRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let command = body.value.parse(&services)?;
    let (role, email, profile) = (command.role, command.email.clone(), command.profile.clone());
    let render = |id: &AccountId| {
        let view = CreatedAccountView {
            id: *id,
            role,
            email: email.expose().as_str().to_owned(),
            full_name: profile.full_name.expose().as_str().to_owned(),
            time_zone: profile.time_zone.clone(),
        };
        StoredAnswer { status: 201, location: None, content_type: JSON.to_owned(), etag: None, body: json(&view) }
    };
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(|claim| Idempotent { claim, render: &render });
        match use_cases::create_staff(services.identity(), &caller.0, command, idempotency).await {
            Ok(id) => Attempt::Done(render(&id)),
            Err(error) => error.into(),
        }
    })
    .await
}

impl CreateAccountRequest {
    fn parse(self, services: &Services) -> Result<NewStaff, Problem> {
        let mut fields = Fields::default();
        let email = fields.parse::<EmailAddress>("/email", "invalid_email", self.email.expose());
        let password = parse_password(&mut fields, self.password);
        let role = fields.word::<Role>("/role", "doctor, admin", &self.role);
        fields.check(role != Some(Role::Patient), "/role", "unknown_value", "one of doctor, admin");
        let input = ProfileInput {
            full_name: self.full_name,
            phone: self.phone,
            date_of_birth: self.date_of_birth,
            sex: self.sex,
            time_zone: self.time_zone,
        };
        let profile = input.parse(&mut fields, services);
        match (email, password, role, profile) {
            (Some(email), Some(password), Some(role), Some(profile)) => {
                fields.finish()?;
                Ok(NewStaff { role, email: Sensitive::new(email), password, profile })
            }
            _ => Err(fields.into_problem()),
        }
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
        if let Some(phone) = &self.phone {
            fields.check(is_e164(phone.expose()), "/phone", "invalid_phone", "E.164, such as +919812345678");
        }
        let today = services.rules.business_day(services.clock.now());
        let date_of_birth = self.date_of_birth.and_then(|text| fields.date("/date_of_birth", text.expose()));
        let born = date_of_birth.is_none_or(|date| date <= today);
        fields.check(born, "/date_of_birth", "in_the_future", "not after today");
        let sex = self.sex.and_then(|text| parse_sex(fields, text.expose()));
        let time_zone = match &self.time_zone {
            Some(text) => fields.time_zone("/time_zone", text),
            None => services.rules.business_zone.iana_name().map(str::to_owned),
        };
        Some(Profile {
            full_name: Sensitive::new(full_name?),
            phone: self.phone,
            date_of_birth: date_of_birth.map(Sensitive::new),
            sex: sex.map(Sensitive::new),
            time_zone: time_zone?,
        })
    }
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
