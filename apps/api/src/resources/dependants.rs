//! The people whose visits the caller's account books.

use super::{
    accounts::parse_birth,
    shared::{DependantRelationWord, SexWord, Time, kept, present},
};
use crate::{
    http::{
        Attempt, Body, Caller, Cursors, Fields, JSON, Listing, Paging, Query, entity, if_match, json, once, path_id,
    },
    problem::Problem,
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, delete, get,
    http::StatusCode,
    patch, post,
    web::{Data, Path},
};
use amrutam_clinical::{
    model::{Dependant, DependantDetails, DependantRelation, Sex},
    use_cases,
};
use amrutam_identity::PersonName;
use amrutam_kernel::{DependantId, Idempotent, PageRequest, Sensitive, StoredAnswer};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

const SEXES: &str = "female, male, other";

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(add).service(list).service(read).service(update).service(remove);
}

/// A person to be kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"full_name": "Kavya Nair", "date_of_birth": "2018-06-01", "sex": "female", "relation": "child"}))]
pub(crate) struct AddDependantRequest {
    /// 1 to 200 characters of any script.
    #[schema(value_type = String)]
    full_name: Sensitive<String>,
    #[schema(value_type = String, format = Date)]
    date_of_birth: Sensitive<String>,
    #[schema(value_type = Option<SexWord>)]
    sex: Option<Sensitive<String>>,
    /// What they are to the caller.
    #[schema(value_type = DependantRelationWord)]
    relation: String,
}

/// What changes about them: a field that is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"full_name": "Kavya S. Nair"}))]
pub(crate) struct UpdateDependantRequest {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    full_name: Option<Option<Sensitive<String>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = Date)]
    date_of_birth: Option<Option<Sensitive<String>>>,
    /// `null` clears it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<SexWord>)]
    sex: Option<Option<Sensitive<String>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<DependantRelationWord>)]
    relation: Option<Option<String>>,
}

/// A person whose visits the caller's account books.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Dependant, example = json!({
    "id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e55", "full_name": "Kavya Nair", "date_of_birth": "2018-06-01", "sex": "female",
    "relation": "child", "added_at": "2026-11-30T04:00:00.000000Z", "updated_at": "2026-11-30T04:00:00.000000Z"
}))]
pub(crate) struct DependantView {
    #[schema(value_type = Uuid)]
    id: DependantId,
    full_name: String,
    #[schema(format = Date)]
    date_of_birth: String,
    #[schema(required, value_type = Option<SexWord>)]
    sex: Option<&'static str>,
    #[schema(value_type = DependantRelationWord)]
    relation: &'static str,
    added_at: Time,
    updated_at: Time,
}

/// That a person is kept. Who it is says `GET`: an answer that is kept for its `Idempotency-Key` holds no personal data.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AddedDependant, example = json!({
    "id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e55", "added_at": "2026-11-30T04:00:00.000000Z"
}))]
pub(crate) struct AddedDependantView {
    #[schema(value_type = Uuid)]
    id: DependantId,
    added_at: Time,
}

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DependantQuery {
    /// Page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl From<&Dependant> for DependantView {
    fn from(dependant: &Dependant) -> Self {
        let details = dependant.details.expose();
        Self {
            id: dependant.id,
            full_name: details.full_name.clone(),
            date_of_birth: details.date_of_birth.to_string(),
            sex: details.sex.map(Sex::as_str),
            relation: details.relation.as_str(),
            added_at: Time(dependant.added_at),
            updated_at: Time(dependant.updated_at),
        }
    }
}

fn added_answer(dependant: &Dependant) -> StoredAnswer {
    StoredAnswer {
        status: 201,
        location: Some(format!("/v1/me/dependants/{}", dependant.id)),
        content_type: JSON.to_owned(),
        etag: Some(format!("\"{}\"", dependant.version)),
        body: json(&AddedDependantView { id: dependant.id, added_at: Time(dependant.added_at) }),
    }
}

/// Adds a person whose visits the account books. They have a record, and a key, of their own. An account keeps ten at most.
#[utoipa::path(tag = "Accounts", operation_id = "add_dependant", request_body = AddDependantRequest, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "The caller's name for this request")),
    responses(
    (status = 201, description = "Added", body = AddedDependantView, headers(("Location" = String, description = "The dependant"))),
    (status = 403, description = "`forbidden`: for patients"),
    (status = 409, description = "`too_many_dependants`, `idempotency_in_progress`"),
    (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
))]
#[post("/v1/me/dependants")]
async fn add(
    caller: Caller,
    request: HttpRequest,
    body: Body<AddDependantRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let details = body.value.parse(&services)?;
    once(&services, &request, &caller.0, &body.raw, async |claim| {
        let idempotency = claim.map(|claim| Idempotent { claim, render: &added_answer });
        match use_cases::add_dependant(services.clinical(), &caller.0, details, idempotency).await {
            Ok((dependant, answer)) => Attempt::Done(answer.unwrap_or_else(|| added_answer(&dependant))),
            Err(error) => error.into(),
        }
    })
    .await
}

/// Whom the account keeps, by when they were added.
#[utoipa::path(tag = "Accounts", operation_id = "list_dependants", params(DependantQuery), security(("bearer" = [])),
    responses(
    (status = 200, description = "A page", body = Listing<DependantView>),
    (status = 403, description = "`forbidden`: for patients"),
    (status = 422, description = "`validation_failed`"),
))]
#[get("/v1/me/dependants")]
async fn list(
    caller: Caller,
    request: HttpRequest,
    query: Query<DependantQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let cursors = Cursors::new("dependants", &[]);
    let mut fields = Fields::of_query();
    let limit = Paging::limit(&mut fields, query.value.limit.as_deref());
    fields.finish()?;
    let page = PageRequest { limit, after: cursors.key(query.value.cursor.as_deref())? };
    let found = use_cases::list_dependants(services.clinical(), &caller.0, page).await?;
    let next_cursor = found.next.map(|key| cursors.text(key));
    let items = found.items.iter().map(DependantView::from).collect();
    Ok(Listing { items, next_cursor }.respond(&request, &query.raw))
}

/// One of them.
#[utoipa::path(tag = "Accounts", operation_id = "read_dependant", security(("bearer" = [])),
    params(("dependant_id" = Uuid, Path, description = "Who")), responses(
    (status = 200, description = "Who they are", body = DependantView),
    (status = 403, description = "`forbidden`: for patients"),
    (status = 404, description = "`not_found`: absent, or not the caller's"),
))]
#[get("/v1/me/dependants/{dependant_id}")]
async fn read(caller: Caller, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let found = use_cases::read_dependant(services.clinical(), &caller.0, path_id(&path)?).await?;
    Ok(shown(&found))
}

/// Changes who they are.
#[utoipa::path(tag = "Accounts", operation_id = "update_dependant", request_body = UpdateDependantRequest, security(("bearer" = [])),
    params(("dependant_id" = Uuid, Path, description = "Who"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what was read")),
    responses(
    (status = 200, description = "As they are now", body = DependantView),
    (status = 403, description = "`forbidden`: for patients"),
    (status = 404, description = "`not_found`"),
    (status = 412, description = "`precondition_failed`: read it again"),
    (status = 422, description = "`validation_failed`"),
))]
#[patch("/v1/me/dependants/{dependant_id}")]
async fn update(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: Body<UpdateDependantRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let (id, change, versions) = (path_id(&path)?, body.value.parse(&services)?, if_match(&request));
    let found = use_cases::update_dependant(services.clinical(), &caller.0, id, versions.as_deref(), change).await?;
    Ok(shown(&found))
}

/// Keeps them no more, once no visit of theirs is to come. The record of their visits stays; who never had one is forgotten.
#[utoipa::path(tag = "Accounts", operation_id = "remove_dependant", security(("bearer" = [])),
    params(("dependant_id" = Uuid, Path, description = "Who"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what was read")),
    responses(
    (status = 204, description = "Removed"),
    (status = 403, description = "`forbidden`: for patients"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`dependant_has_visits`"),
    (status = 412, description = "`precondition_failed`: read it again"),
))]
#[delete("/v1/me/dependants/{dependant_id}")]
async fn remove(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let (id, versions) = (path_id(&path)?, if_match(&request));
    use_cases::remove_dependant(services.clinical(), &caller.0, id, versions.as_deref()).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn shown(dependant: &Dependant) -> HttpResponse {
    entity(StatusCode::OK, dependant.version, None, &DependantView::from(dependant))
}

fn parse_name(fields: &mut Fields, text: &str) -> Option<String> {
    let name = fields.parse::<PersonName>("/full_name", "invalid_name", text);
    name.map(|name| name.as_str().to_owned())
}

fn parse_relation(fields: &mut Fields, word: &str) -> Option<DependantRelation> {
    let words: Vec<_> = DependantRelation::ALL.iter().map(|relation| relation.as_str()).collect();
    fields.word("/relation", &words.join(", "), word)
}

impl AddDependantRequest {
    fn parse(self, services: &Services) -> Result<DependantDetails, Problem> {
        let mut fields = Fields::default();
        let full_name = parse_name(&mut fields, self.full_name.expose());
        let date_of_birth = parse_birth(&mut fields, self.date_of_birth.expose(), services);
        let sex = self.sex.map(|sex| fields.word::<Sex>("/sex", SEXES, sex.expose()));
        let relation = parse_relation(&mut fields, &self.relation);
        match (full_name, date_of_birth, relation) {
            (Some(full_name), Some(date_of_birth), Some(relation)) => {
                fields.finish()?;
                Ok(DependantDetails { full_name, date_of_birth, sex: sex.flatten(), relation })
            }
            _ => Err(fields.into_problem()),
        }
    }
}

impl UpdateDependantRequest {
    fn parse(
        self,
        services: &Services,
    ) -> Result<impl Fn(DependantDetails) -> DependantDetails + Send + Sync + use<>, Problem> {
        let mut fields = Fields::default();
        let full_name = kept(&mut fields, "/full_name", self.full_name);
        let full_name = full_name.and_then(|name| parse_name(&mut fields, name.expose()));
        let date_of_birth = kept(&mut fields, "/date_of_birth", self.date_of_birth);
        let date_of_birth = date_of_birth.and_then(|date| parse_birth(&mut fields, date.expose(), services));
        let sex = self.sex.map(|sex| sex.and_then(|sex| fields.word::<Sex>("/sex", SEXES, sex.expose())));
        let relation = kept(&mut fields, "/relation", self.relation);
        let relation = relation.and_then(|word| parse_relation(&mut fields, &word));
        fields.finish()?;
        Ok(move |stored: DependantDetails| DependantDetails {
            full_name: full_name.clone().unwrap_or(stored.full_name),
            date_of_birth: date_of_birth.unwrap_or(stored.date_of_birth),
            sex: sex.unwrap_or(stored.sex),
            relation: relation.unwrap_or(stored.relation),
        })
    }
}
