//! Accounts of doctors and staff, and what an administrator does with others' accounts.

use super::{
    accounts::ProfileInput,
    shared::{RoleWord, SexWord, StaffRoleWord, parse_password},
};
use crate::{
    http::{Attempt, Body, Caller, Fields, JSON, NoBody, json, once, path_id, to_the_end},
    problem::Problem,
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, post,
    web::{Data, Path},
};
use amrutam_identity::{
    EmailAddress,
    use_cases::{self, Deactivate, Invite, NewStaff},
};
use amrutam_kernel::{AccountId, Idempotent, Role, Sensitive, StoredAnswer};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

const STAFF_ROLES: &str = "doctor, admin, auditor, support";

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(invite).service(create_account).service(deactivate).service(log_out).service(remove_factor);
}

/// Who is invited.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "vaidya.rao@example.in", "full_name": "Dr. Meera Rao", "role": "doctor"}))]
pub(crate) struct InviteRequest {
    #[schema(value_type = String, format = Email)]
    email: Sensitive<String>,
    #[schema(value_type = String)]
    full_name: Sensitive<String>,
    /// Patients register themselves.
    #[schema(value_type = StaffRoleWord)]
    role: String,
    /// E.164.
    #[schema(value_type = Option<String>)]
    phone: Option<Sensitive<String>>,
    /// An IANA zone; that of the business unless said.
    time_zone: Option<String>,
}

/// An account for a doctor or for staff, with a first password.
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

/// An account that was made. No contact details: the answer may be kept for a replay.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatedAccount, example = json!({"id": "019aaf00-0000-7000-8000-000000000005", "role": "doctor"}))]
pub(crate) struct CreatedAccountView {
    #[schema(value_type = uuid::Uuid)]
    id: AccountId,
    #[schema(value_type = RoleWord)]
    role: Role,
}

/// Invites a doctor or a member of staff: a mailed link, good for 7 days, sets the password and opens the account.
///
/// Inviting an invited person again mails a new link; the one before is void.
#[utoipa::path(tag = "Administration", operation_id = "invite", request_body = InviteRequest,
    security(("bearer" = [])), params(("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 201, description = "Invited", body = CreatedAccountView),
    (status = 403, description = "`forbidden`: only an admin invites; `step_up_required`"),
    (status = 409, description = "`email_taken`, `idempotency_in_progress`"),
    (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
))]
#[post("/v1/admin/invitations")]
async fn invite(
    caller: Caller,
    request: HttpRequest,
    body: Body<InviteRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let command = body.value.parse(&services)?;
    let render = created(command.role);
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(|claim| Idempotent { claim, render: &render });
        match use_cases::invite(services.links(), &caller.0, command, idempotency).await {
            Ok(id) => Attempt::Done(render(&id)),
            Err(error) => error.into(),
        }
    })
    .await
}

/// Makes an account with a first password, usable at once: for moving people from elsewhere. Others are invited.
#[utoipa::path(tag = "Administration", operation_id = "create_account", request_body = CreateAccountRequest,
    security(("bearer" = [])), params(("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 201, description = "Made", body = CreatedAccountView),
    (status = 403, description = "`forbidden`: only an admin makes accounts; `step_up_required`"),
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
    let render = created(command.role);
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(|claim| Idempotent { claim, render: &render });
        match use_cases::create_staff(services.identity(), &caller.0, command, idempotency).await {
            Ok(id) => Attempt::Done(render(&id)),
            Err(error) => error.into(),
        }
    })
    .await
}

/// Closes somebody's account: every session ends, and nobody logs in any more.
#[utoipa::path(tag = "Administration", operation_id = "deactivate_account", security(("bearer" = [])),
    params(("account_id" = Uuid, Path, description = "Whose")), responses(
    (status = 204, description = "Closed"),
    (status = 403, description = "`forbidden`, `step_up_required`"),
    (status = 404, description = "`not_found`"),
    (status = 422, description = "`wrong_password`: one's own account is closed at `/v1/me/deactivate`"),
))]
#[post("/v1/admin/accounts/{account_id}/deactivate")]
async fn deactivate(
    caller: Caller,
    path: Path<String>,
    _body: NoBody,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let command = Deactivate { account: path_id(&path)?, password: None };
    to_the_end(async move { use_cases::deactivate(services.sessions(), &caller.0, command).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ends all sessions of somebody's account.
#[utoipa::path(tag = "Administration", operation_id = "log_out_account", security(("bearer" = [])),
    params(("account_id" = Uuid, Path, description = "Whose")), responses(
    (status = 204, description = "Ended"),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`"),
))]
#[post("/v1/admin/accounts/{account_id}/logout-all")]
async fn log_out(
    caller: Caller,
    path: Path<String>,
    _body: NoBody,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let account = path_id(&path)?;
    to_the_end(async move { use_cases::end_sessions_of(services.sessions(), &caller.0, account).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Removes the second factor and the recovery codes of somebody who has lost them.
///
/// Its owner is told by mail. Make sure first that it is they who ask: from then on the password is enough, until they set up
/// another one.
#[utoipa::path(tag = "Administration", operation_id = "remove_factor_of_account", security(("bearer" = [])),
    params(("account_id" = Uuid, Path, description = "Whose")), responses(
    (status = 204, description = "Removed"),
    (status = 403, description = "`forbidden`: only support and admins; `step_up_required`"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`second_factor_not_enrolled`"),
))]
#[post("/v1/admin/accounts/{account_id}/mfa/remove")]
async fn remove_factor(
    caller: Caller,
    path: Path<String>,
    _body: NoBody,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    use_cases::end_factor(services.sessions(), &caller.0, path_id(&path)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The answer to be given, now and when it is replayed.
fn created(role: Role) -> impl Fn(&AccountId) -> StoredAnswer + Send + Sync {
    move |id| {
        let body = json(&CreatedAccountView { id: *id, role });
        StoredAnswer { status: 201, location: None, content_type: JSON.to_owned(), etag: None, body }
    }
}

fn parse_staff_role(fields: &mut Fields, word: &str) -> Option<Role> {
    let role = fields.word::<Role>("/role", STAFF_ROLES, word)?;
    if role == Role::Patient {
        fields.refuse("/role", "unknown_value", format!("one of {STAFF_ROLES}"));
        return None;
    }
    Some(role)
}

impl InviteRequest {
    fn parse(self, services: &Services) -> Result<Invite, Problem> {
        let mut fields = Fields::default();
        let email = fields.parse::<EmailAddress>("/email", "invalid_email", self.email.expose());
        let role = parse_staff_role(&mut fields, &self.role);
        let (full_name, phone, time_zone) = (self.full_name, self.phone, self.time_zone);
        let input = ProfileInput { full_name, phone, date_of_birth: None, sex: None, time_zone };
        let profile = input.parse(&mut fields, services);
        match (email, role, profile) {
            (Some(email), Some(role), Some(profile)) => {
                fields.finish()?;
                Ok(Invite { role, email: Sensitive::new(email), profile })
            }
            _ => Err(fields.into_problem()),
        }
    }
}

impl CreateAccountRequest {
    fn parse(self, services: &Services) -> Result<NewStaff, Problem> {
        let mut fields = Fields::default();
        let email = fields.parse::<EmailAddress>("/email", "invalid_email", self.email.expose());
        let password = parse_password(&mut fields, "/password", self.password);
        let role = parse_staff_role(&mut fields, &self.role);
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
