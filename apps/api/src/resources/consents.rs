//! Consents to a visit, the adult beside a minor, and checking in.

use super::{clinical_dtos::text, shared::Time};
use crate::{
    http::{Body, Caller, Fields, Listing, NoBody, entity, json_answer, path_id},
    problem::Problem,
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    post, put,
    web::{Data, Path},
};
use amrutam_clinical::{
    model::{Consent, ConsentDecision, ConsentMethod, Guardian},
    use_cases::{self, GiveConsent},
};
use amrutam_kernel::{ConsentId, Sensitive};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(record).service(list).service(put_guardian).service(check_in);
}

/// What is said about a purpose.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"purpose": "recording", "decision": "given", "notice_version": "recording-1"}))]
pub(crate) struct ConsentRequest {
    /// `teleconsultation`, `record_sharing`, `recording`, `pharmacy_sharing`, `research`, `marketing`.
    purpose: String,
    /// `given` or `withdrawn`.
    decision: String,
    /// The notice that was shown; needed for giving. A withdrawal names one of that purpose, or none.
    notice_version: Option<String>,
    /// `in_app` unless said: `verbal`, `message`, `email`, `written`.
    method: Option<String>,
    /// What shows it, when the doctor records it: what was said, where the message is.
    #[schema(value_type = Option<String>)]
    evidence: Option<Sensitive<String>>,
}

/// A consent, or its withdrawal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Consent, example = json!({
    "id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e51", "purpose": "recording", "decision": "given", "notice_version": "recording-1",
    "method": "in_app", "at": "2026-11-30T04:00:00.000000Z"
}))]
pub(crate) struct ConsentView {
    #[schema(value_type = Uuid)]
    id: ConsentId,
    purpose: &'static str,
    decision: &'static str,
    notice_version: String,
    method: &'static str,
    at: Time,
}

impl From<&Consent> for ConsentView {
    fn from(consent: &Consent) -> Self {
        Self {
            id: consent.id,
            purpose: consent.purpose.as_str(),
            decision: consent.decision.as_str(),
            notice_version: consent.notice_version.clone(),
            method: consent.method.as_str(),
            at: Time(consent.at),
        }
    }
}

/// The adult beside a minor.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Guardian, example = json!({"name": "Ravi Rao", "relation": "father", "id_type": "pan", "id_last_four": "12A4"}))]
pub(crate) struct GuardianDto {
    name: String,
    /// `mother`, `father`, `grandparent`, `sibling`, `legal_guardian`, `other_relative`.
    relation: String,
    /// `aadhaar`, `pan`, `voter_id`, `passport`, `driving_licence`, `other`.
    id_type: String,
    /// The last four characters of the document's number; never more.
    id_last_four: String,
}

/// That the caller's side is there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Presence, example = json!({"side": "patient", "at": "2026-11-30T03:55:00.000000Z"}))]
pub(crate) struct PresenceView {
    /// `patient` or `doctor`.
    side: &'static str,
    at: Time,
}

/// Gives or withdraws a consent, by either side of the visit. Each is kept; the last one of a purpose holds.
#[utoipa::path(tag = "Clinical", operation_id = "record_consent", request_body = ConsentRequest, security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation")),
    responses(
    (status = 201, description = "Recorded", body = ConsentView),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`notice_outdated`: show the current notice first"),
    (status = 422, description = "`validation_failed`, `consent_evidence_required`"),
))]
#[post("/v1/consultations/{consultation_id}/consent")]
async fn record(
    caller: Caller,
    path: Path<String>,
    body: Body<ConsentRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let (id, said) = (path_id(&path)?, body.value.parse()?);
    let consent = use_cases::record_consent(services.clinical(), &caller.0, id, said).await?;
    Ok(json_answer(StatusCode::CREATED, &ConsentView::from(&consent)))
}

/// Every consent of the visit, in the order they were recorded.
#[utoipa::path(tag = "Clinical", operation_id = "list_consents", security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation")), responses(
    (status = 200, description = "All of them", body = Listing<ConsentView>),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`"),
))]
#[get("/v1/consultations/{consultation_id}/consent")]
async fn list(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let consents = use_cases::read_consents(services.clinical(), &caller.0, path_id(&path)?).await?;
    let items = consents.iter().map(ConsentView::from).collect();
    Ok(Listing { items, next_cursor: None }.respond(&request, ""))
}

/// Records the adult beside a minor, without whom the visit can't begin. Said again, it replaces what was said, which is kept.
#[utoipa::path(tag = "Clinical", operation_id = "record_guardian", request_body = GuardianDto, security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation")),
    responses(
    (status = 200, description = "Recorded", body = GuardianDto),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`visit_closed`: the visit is over"),
    (status = 422, description = "`validation_failed`"),
))]
#[put("/v1/consultations/{consultation_id}/guardian")]
async fn put_guardian(
    caller: Caller,
    path: Path<String>,
    body: Body<GuardianDto>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let (id, guardian) = (path_id(&path)?, body.value.parse()?);
    let recorded = use_cases::record_guardian(services.clinical(), &caller.0, id, guardian).await?;
    Ok(entity(StatusCode::OK, recorded.version, None, &GuardianDto::from(recorded.guardian.expose())))
}

/// Notes that the caller's side is there: the evidence by which an absence is decided. From 10 minutes before the visit.
#[utoipa::path(tag = "Clinical", operation_id = "check_in", security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation")),
    responses(
    (status = 200, description = "Noted", body = PresenceView),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`too_early`, `visit_closed`"),
))]
#[post("/v1/consultations/{consultation_id}/check-in")]
async fn check_in(
    caller: Caller,
    path: Path<String>,
    _body: NoBody,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let early = services.rules.start_early;
    let seen = use_cases::check_in(services.clinical(), &caller.0, path_id(&path)?, early).await?;
    Ok(json_answer(StatusCode::OK, &PresenceView { side: seen.side.as_str(), at: Time(seen.at) }))
}

impl ConsentRequest {
    fn parse(self) -> Result<GiveConsent, Problem> {
        let mut fields = Fields::default();
        let purpose = fields.parse("/purpose", "unknown_value", &self.purpose);
        let decision = fields.parse("/decision", "unknown_value", &self.decision);
        let method = self.method.as_deref().unwrap_or(ConsentMethod::InApp.as_str());
        let method = fields.parse("/method", "unknown_value", method);
        let named = self.notice_version.is_some() || decision == Some(ConsentDecision::Withdrawn);
        fields.check(named, "/notice_version", "required", "the notice that was shown");
        let notice_version = text(&mut fields, "/notice_version", self.notice_version.unwrap_or_default());
        let evidence =
            self.evidence.map(|evidence| Sensitive::new(text(&mut fields, "/evidence", evidence.into_exposed())));
        match (purpose, decision, method) {
            (Some(purpose), Some(decision), Some(method)) => {
                fields.finish()?;
                Ok(GiveConsent { purpose, decision, notice_version, method, evidence })
            }
            _ => Err(fields.into_problem()),
        }
    }
}

impl GuardianDto {
    fn parse(self) -> Result<Guardian, Problem> {
        let mut fields = Fields::default();
        let relation = fields.parse("/relation", "unknown_value", &self.relation);
        let id_type = fields.parse("/id_type", "unknown_value", &self.id_type);
        let name = text(&mut fields, "/name", self.name);
        fields.check(!name.trim().is_empty(), "/name", "required", "the adult's name");
        let four = self.id_last_four.len() == 4 && self.id_last_four.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fields.check(four, "/id_last_four", "out_of_range", "the last four letters or digits");
        match (relation, id_type) {
            (Some(relation), Some(id_type)) => {
                fields.finish()?;
                Ok(Guardian { name, relation, id_type, id_last_four: self.id_last_four })
            }
            _ => Err(fields.into_problem()),
        }
    }
}

impl From<&Guardian> for GuardianDto {
    fn from(guardian: &Guardian) -> Self {
        Self {
            name: guardian.name.clone(),
            relation: guardian.relation.as_str().to_owned(),
            id_type: guardian.id_type.as_str().to_owned(),
            id_last_four: guardian.id_last_four.clone(),
        }
    }
}
