//! An end of what is kept of the caller, and the report of it.

use super::shared::Time;
use crate::{
    http::{Body, Caller, Throttle, json_answer, path_id, to_the_end},
    problem::Problem,
    services::Services,
    settings::RouteClass,
};
use actix_web::{
    HttpResponse, get,
    http::StatusCode,
    post,
    web::{Data, Path},
};
use amrutam_kernel::{AccountId, Sensitive};
use amrutam_privacy::{
    model::{Erasure, ErasureState, Line},
    use_cases,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(erase).service(read);
}

/// One's own password, to be sure.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"password": "a long enough password"}))]
pub(crate) struct ErasureRequest {
    #[schema(value_type = String, format = Password)]
    password: Sensitive<String>,
}

/// What became of one thing, and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErasureLine, example = json!({
    "item": "payments", "fate": "kept", "count": null, "until": "2034-11-30T04:10:00.000000Z", "ground": "books_of_account",
    "source": "Companies Act 2013, s. 128(5): eight financial years"
}))]
pub(crate) struct LineView {
    /// `contact_details`, `identity`, `sign_in`, `exports`, `pending_messages`, `upcoming_visits`, `unheld_visits`, `clinical_record`, `payments`,
    /// `audit_trail`.
    item: &'static str,
    /// `erased`, `cancelled`, `kept`.
    fate: &'static str,
    /// How many, where they are counted.
    #[schema(required)]
    count: Option<u32>,
    /// Until when it is kept, where that is known.
    #[schema(required)]
    until: Option<Time>,
    /// Why, as a word: `right_to_erasure`, `medical_records_duty`, `books_of_account`, `accountability`, `legal_hold`.
    ground: String,
    /// The law or guideline.
    source: String,
}

/// What was erased, what is kept, until when and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Erasure, example = json!({
    "account_id": "019aaf00-0000-7000-8000-000000000002", "erased_at": "2026-11-30T04:10:00.000000Z", "state": "locked",
    "keep_until": "2033-11-30T04:10:00.000000Z", "destroyed_at": null, "rules": "retention-1", "report": []
}))]
pub(crate) struct ErasureView {
    #[schema(value_type = uuid::Uuid)]
    account_id: AccountId,
    erased_at: Time,
    /// `locked`, `destroying`, `destroyed`.
    state: &'static str,
    /// The clinical record is destroyed after this, unless a legal hold keeps it.
    keep_until: Time,
    #[schema(required)]
    destroyed_at: Option<Time>,
    /// The version of the rules it was decided by.
    rules: String,
    report: Vec<LineView>,
}

impl From<Line> for LineView {
    fn from(line: Line) -> Self {
        Self {
            item: line.item.as_str(),
            fate: line.fate.as_str(),
            count: line.count,
            until: line.until.map(Time),
            ground: line.why.ground,
            source: line.why.source,
        }
    }
}

impl From<Erasure> for ErasureView {
    fn from(erasure: Erasure) -> Self {
        Self {
            account_id: erasure.account,
            erased_at: Time(erasure.erased_at),
            state: erasure.state.as_str(),
            keep_until: Time(erasure.keep_until),
            destroyed_at: match erasure.state {
                ErasureState::Destroyed { at } => Some(Time(at)),
                ErasureState::Locked | ErasureState::Destroying => None,
            },
            rules: erasure.rules,
            report: erasure.report.into_iter().map(LineView::from).collect(),
        }
    }
}

/// Erases what is kept of the caller, at once; what a law asks us to keep is locked until its time is over, and then destroyed.
///
/// Visits ahead are called off as by the patient. Afterwards nobody logs in to the account, and its address may be registered anew.
/// The answer is the report: keep it, it can't be had again without a person's help.
#[utoipa::path(tag = "Privacy", operation_id = "erase_me", request_body = ErasureRequest, security(("bearer" = [])),
    extensions(("x-rate-limit" = json!(RouteClass::Reset))), responses(
    (status = 200, description = "Erased", body = ErasureView),
    (status = 403, description = "`forbidden`: for patients; `step_up_required`: who has a second factor shows it first"),
    (status = 409, description = "`visit_under_way`: possible again from `possible_from`"),
    (status = 422, description = "`wrong_password`"),
))]
#[post("/v1/me/erasure")]
async fn erase(
    caller: Caller,
    body: Body<ErasureRequest>,
    throttle: Throttle,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    throttle.count(caller.subject().as_deref()).await?;
    let password = body.value.password;
    let erased = to_the_end(async move { services.erase(&caller.0, &password).await }).await?;
    Ok(json_answer(StatusCode::OK, &ErasureView::from(erased)))
}

/// What was erased of an account, what is kept, until when and why.
#[utoipa::path(tag = "Privacy", operation_id = "read_erasure", security(("bearer" = [])),
    params(("account_id" = Uuid, Path, description = "Which account")), responses(
    (status = 200, description = "The erasure", body = ErasureView),
    (status = 403, description = "`forbidden`: for admins and auditors"),
    (status = 404, description = "`not_found`: nothing of it was erased"),
))]
#[get("/v1/admin/erasures/{account_id}")]
async fn read(caller: Caller, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let erasure = use_cases::read_erasure(services.erasures(), &caller.0, path_id(&path)?).await?;
    Ok(json_answer(StatusCode::OK, &ErasureView::from(erasure)))
}
