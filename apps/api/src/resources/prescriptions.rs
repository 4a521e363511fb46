//! Prescriptions: drafts, dry runs, signing, the document, the public check.

use super::{
    clinical_dtos::{ItemDto, PrescriptionDto, SignatoryView},
    clinical_views::{PrescriptionView, SeenPrescriptionView, value},
    shared::Time,
};
use crate::{
    http::{Body, Caller, MaybeBody, NoBody, Visitor, entity, if_match, json_answer, path_id},
    problem::{Code, Problem},
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, get,
    http::{
        StatusCode,
        header::{CONTENT_DISPOSITION, ETAG},
    },
    post, put,
    web::{Data, Path},
};
use amrutam_clinical::{
    model::{Decision, Finding, PrescribedItem, PrescriptionTag, RevokeReason},
    use_cases::{self, Assessment, Verified},
};
use amrutam_kernel::PrescriptionId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(read)
        .service(put_draft)
        .service(dry_run)
        .service(sign)
        .service(revoke)
        .service(read_document)
        .service(verify);
}

/// Why a signed prescription is taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "medication_error"}))]
pub(crate) struct RevokeRequest {
    /// `wrong_patient`, `medication_error`, `adverse_reaction`, `diagnosis_changed`, `patient_request`, `other`.
    reason: String,
}

/// One rule that speaks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Finding, example = json!({
    "rule": "list_a", "reason": "list A is prescribed at a first_visit by video only",
    "source": "Telemedicine Practice Guidelines 2020, 3.7.1.4, List A", "unavailable": false
}))]
pub(crate) struct FindingView {
    rule: &'static str,
    reason: String,
    /// Where the rule comes from.
    source: String,
    /// A check that could not run.
    unavailable: bool,
}

/// What the rules say of one item.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ItemAssessment, example = json!({"index": 0, "verdict": "allow", "findings": []}))]
pub(crate) struct ItemAssessmentView {
    index: usize,
    /// `allow`; `allow_with_caution`: each finding must be acknowledged with a reason; `deny`.
    verdict: &'static str,
    findings: Vec<FindingView>,
}

/// Something that must still be said.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MissingField, example = json!({"pointer": "/complaint", "detail": "the complaint"}))]
pub(crate) struct MissingView {
    pointer: String,
    detail: &'static str,
}

/// What the rules would say if the draft were signed now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Assessment, example = json!({
    "ruleset": "prescribing-1", "formulary": "ayurveda-1", "visit_kind": "first_visit", "items": [], "checks": [], "missing": []
}))]
pub(crate) struct AssessmentView {
    ruleset: String,
    formulary: String,
    /// `first_visit` or `follow_up`, as computed.
    visit_kind: &'static str,
    items: Vec<ItemAssessmentView>,
    /// About the whole; each must be acknowledged.
    checks: Vec<FindingView>,
    missing: Vec<MissingView>,
}

/// A prescription that is genuine, with what a pharmacist needs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VerifiedPrescription, example = json!({
    "prescription_id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e50", "status": "signed", "signed_at": "2026-11-30T04:20:00.000000Z",
    "signatory": {"name": "Vaidya Meera Nair", "qualifications": ["BAMS"], "council": "NCISM", "registration_number": "KL-4711",
                  "system": "ayurveda"},
    "patient_initials": "A.R.", "items": [], "content_sha256": "00", "document_sha256": null
}))]
pub(crate) struct VerifiedView {
    #[schema(value_type = Uuid)]
    prescription_id: PrescriptionId,
    /// `signed`: in force; `superseded` or `revoked`: not to be dispensed.
    status: &'static str,
    signed_at: Time,
    signatory: SignatoryView,
    patient_initials: String,
    #[schema(value_type = Vec<ItemDto>)]
    items: Vec<Value>,
    /// As the QR code's signature covers it.
    content_sha256: String,
    #[schema(required)]
    document_sha256: Option<String>,
}

/// The draft, to its author alone, and the last signed version.
#[utoipa::path(tag = "Clinical", operation_id = "read_prescription", security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation")), responses(
    (status = 200, description = "What there is for the caller", body = SeenPrescriptionView),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`"),
))]
#[get("/v1/consultations/{consultation_id}/prescription")]
async fn read(caller: Caller, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let seen = use_cases::read_prescription(services.clinical(), &caller.0, path_id(&path)?).await?;
    let tag = seen.draft.as_ref().or(seen.signed.as_ref()).map_or(PrescriptionTag::NONE, PrescriptionTag::of);
    Ok(entity(StatusCode::OK, tag, None, &SeenPrescriptionView::from(&seen)))
}

/// Writes the draft; when a version is in force, the draft of the next one.
#[utoipa::path(tag = "Clinical", operation_id = "draft_prescription", request_body = PrescriptionDto, security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation"),
        ("If-Match" = Option<String>, Header, description = "The draft's `ETag`; without a draft that of the last version, or `\"0\"`. A stale one is refused")),
    responses(
    (status = 200, description = "Written", body = PrescriptionView),
    (status = 403, description = "`forbidden`: only the doctor"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`visit_closed`: not begun, or too long over"),
    (status = 412, description = "`precondition_failed`"),
    (status = 422, description = "`validation_failed`"),
))]
#[put("/v1/consultations/{consultation_id}/prescription")]
async fn put_draft(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: Body<PrescriptionDto>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let (id, content, seen) = (path_id(&path)?, body.value.parse()?, if_match(&request));
    let draft = use_cases::put_draft(services.clinical(), &caller.0, id, content, seen.as_deref()).await?;
    Ok(entity(StatusCode::OK, PrescriptionTag::of(&draft), None, &PrescriptionView::from(&draft)))
}

/// What the rules would say of a draft that is sent, or of the stored one, if it were signed now. Nothing changes.
#[utoipa::path(tag = "Clinical", operation_id = "dry_run_prescription", request_body = Option<PrescriptionDto>, security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation")), responses(
    (status = 200, description = "Each item's verdict with its reasons, and what is missing", body = AssessmentView),
    (status = 403, description = "`forbidden`: only the doctor"),
    (status = 404, description = "`not_found`"),
    (status = 422, description = "`validation_failed`, `unknown_formulary_item`"),
))]
#[post("/v1/consultations/{consultation_id}/prescription/dry-run")]
async fn dry_run(
    caller: Caller,
    path: Path<String>,
    body: MaybeBody<PrescriptionDto>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let content = if body.raw.is_empty() { None } else { Some(body.value.parse()?) };
    let assessment = use_cases::dry_run(services.clinical(), &caller.0, path_id(&path)?, content).await?;
    Ok(json_answer(StatusCode::OK, &AssessmentView::from(assessment)))
}

/// Signs the draft, with a second factor just shown. What was in force before is superseded. The document follows.
#[utoipa::path(tag = "Clinical", operation_id = "sign_prescription", security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation"),
        ("If-Match" = Option<String>, Header, description = "The draft's `ETag`: what is signed is what was seen")),
    responses(
    (status = 200, description = "Signed", body = PrescriptionView),
    (status = 403, description = "`forbidden`, `step_up_required`"),
    (status = 404, description = "`not_found`: also without a draft"),
    (status = 409, description = "`visit_closed`; `guardian_required`: the patient is a minor"),
    (status = 412, description = "`precondition_failed`"),
    (status = 422, description = "`prescription_incomplete`: each field that is missing is named; `prescription_refused`: each rule that denies, each caution nobody answered; `unknown_formulary_item`"),
))]
#[post("/v1/consultations/{consultation_id}/prescription/sign")]
async fn sign(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    _body: NoBody,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let (id, seen) = (path_id(&path)?, if_match(&request));
    let signed = use_cases::sign(services.clinical(), &caller.0, id, seen.as_deref()).await?;
    Ok(entity(StatusCode::OK, PrescriptionTag::of(&signed), None, &PrescriptionView::from(&signed)))
}

/// Takes the version in force back.
#[utoipa::path(tag = "Clinical", operation_id = "revoke_prescription", request_body = RevokeRequest, security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation")), responses(
    (status = 200, description = "Revoked", body = PrescriptionView),
    (status = 204, description = "Revoked, by a practitioner who treats the patient no more: nothing of it is shown"),
    (status = 403, description = "`forbidden`, `step_up_required`"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`invalid_transition`"),
    (status = 422, description = "`validation_failed`"),
))]
#[post("/v1/consultations/{consultation_id}/prescription/revoke")]
async fn revoke(
    caller: Caller,
    path: Path<String>,
    body: Body<RevokeRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let mut fields = crate::http::Fields::default();
    let reason: Option<RevokeReason> = fields.parse("/reason", "unknown_value", &body.value.reason);
    let reason = reason.ok_or_else(|| fields.into_problem())?;
    let revoked = use_cases::revoke(services.clinical(), &caller.0, path_id(&path)?, reason).await?;
    Ok(match revoked {
        Some(revoked) => entity(StatusCode::OK, PrescriptionTag::of(&revoked), None, &PrescriptionView::from(&revoked)),
        None => HttpResponse::NoContent().finish(),
    })
}

/// The document of the last signed version, byte for byte as it was issued.
#[utoipa::path(tag = "Clinical", operation_id = "prescription_document", security(("bearer" = [])),
    params(("consultation_id" = Uuid, Path, description = "Which consultation")), responses(
    (status = 200, description = "PDF", content_type = "application/pdf", body = Vec<u8>, example = json!("%PDF-1.7")),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`"),
    (status = 409, description = "`document_not_ready`: come back shortly"),
))]
#[get("/v1/consultations/{consultation_id}/prescription.pdf")]
async fn read_document(caller: Caller, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let (signed, document) = use_cases::read_document(services.clinical(), &caller.0, path_id(&path)?).await?;
    Ok(HttpResponse::Ok()
        .insert_header((ETAG, format!("\"{}\"", signed.id)))
        .insert_header((CONTENT_DISPOSITION, format!("inline; filename=\"prescription-{}.pdf\"", signed.id)))
        .content_type("application/pdf")
        .body(document.bytes.into_exposed()))
}

/// Whether a printed prescription is genuine and in force. The code is on the paper; nothing of the patient but initials is shown.
#[utoipa::path(tag = "Clinical", operation_id = "verify_prescription",
    params(("code" = String, Path, description = "As printed beside the QR code")), responses(
    (status = 200, description = "Genuine", body = VerifiedView),
    (status = 404, description = "`not_found`: no prescription has this code"),
))]
#[get("/v1/prescriptions/verify/{code}")]
async fn verify(visitor: Visitor, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let code = path.parse().map_err(|_| Problem::from(Code::NotFound))?;
    let verified = use_cases::verify(services.clinical(), &visitor.0, &code).await?;
    Ok(json_answer(StatusCode::OK, &VerifiedView::from(verified)))
}

impl From<&Finding> for FindingView {
    fn from(finding: &Finding) -> Self {
        Self {
            rule: finding.rule.as_str(),
            reason: finding.reason.clone(),
            source: finding.source.clone(),
            unavailable: finding.unavailable,
        }
    }
}

impl From<Assessment> for AssessmentView {
    fn from(assessment: Assessment) -> Self {
        let item = |item: &use_cases::ItemAssessment| {
            let (verdict, findings) = match &item.decision {
                Decision::Allow => ("allow", &[][..]),
                Decision::AllowWithCaution { cautions } => ("allow_with_caution", &cautions[..]),
                Decision::Deny { denials } => ("deny", &denials[..]),
            };
            let findings = findings.iter().map(FindingView::from).collect();
            ItemAssessmentView { index: item.index, verdict, findings }
        };
        let missing = assessment.missing.into_iter();
        Self {
            ruleset: assessment.ruleset,
            formulary: assessment.formulary,
            visit_kind: assessment.kind.as_str(),
            items: assessment.items.iter().map(item).collect(),
            checks: assessment.checks.iter().map(FindingView::from).collect(),
            missing: missing.map(|one| MissingView { pointer: one.field, detail: one.what }).collect(),
        }
    }
}

impl From<Verified> for VerifiedView {
    fn from(verified: Verified) -> Self {
        let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        // Why a caution was weighed is between doctor and patient.
        let item = |item: &PrescribedItem| {
            let mut item = value(item);
            if let Some(fields) = item.as_object_mut() {
                fields.remove("acknowledged");
            }
            item
        };
        Self {
            prescription_id: verified.prescription,
            status: verified.status.as_str(),
            signed_at: Time(verified.signed_at),
            signatory: SignatoryView::from(&verified.signatory),
            patient_initials: verified.initials,
            items: verified.items.iter().map(item).collect(),
            content_sha256: verified.content_sha256,
            document_sha256: verified.document_sha256.map(hex),
        }
    }
}
