//! What payment gateways tell us.

use crate::{
    http::{JSON, RawBody, RequestInfo},
    problem::{Code, Problem},
    services::Services,
    settings::RouteClass,
};
use actix_web::{
    HttpRequest, HttpResponse, post,
    web::{Data, Path},
};
use amrutam_crash::Point;
use amrutam_kernel::{Actor, Context};
use amrutam_payments::{
    ports::{WebhookError, WebhookVerifier},
    use_cases::{WebhookOutcome, record_webhook},
};
use std::sync::Arc;
use utoipa_actix_web::service_config::ServiceConfig;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(receive);
}

/// A notification of a payment gateway. Its signature is checked over the raw body before anything of it is read; it is
/// taken over once, however often and in whatever order it comes, in one transaction and without asking the gateway.
#[utoipa::path(tag = "Webhooks", operation_id = "receive_webhook", extensions(("x-rate-limit" = json!(RouteClass::Webhooks))),
    params(("gateway" = String, Path, description = "`razorpay`, `stripe`")),
    request_body(content = serde_json::Value, content_type = "application/json", description = "The gateway's"),
    responses(
    (status = 200, description = "On the record: `applied`, `duplicate`, `ignored`, `unknown_payment`", body = serde_json::Value,
        example = json!({"outcome": "applied"})),
    (status = 400, description = "`malformed_body`: signed, and yet not understood"),
    (status = 401, description = "`invalid_signature`: forged, altered or too old"),
    (status = 404, description = "`not_found`: no such gateway"),
    (status = 413, description = "`payload_too_large`"),
))]
#[post("/v1/webhooks/payments/{gateway}")]
async fn receive(
    request: HttpRequest,
    path: Path<String>,
    body: RawBody,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let verifier = verifier(&services, &path).ok_or(Code::NotFound)?;
    let webhook = verifier.verify(&|name| header(&request, name), &body.0, services.clock.now());
    let webhook = webhook.map_err(|error| {
        let label = match error {
            WebhookError::BadSignature => "bad_signature",
            WebhookError::Stale => "stale",
            WebhookError::Malformed => "malformed",
        };
        count(verifier, label);
        Problem::from(error)
    })?;
    amrutam_crash::here(Point::WebhookReceived);
    let outcome = record_webhook(services.paying(), &context(&request)?, verifier.name(), &webhook).await?;
    amrutam_crash::here(Point::WebhookCommitted);
    let word = match outcome {
        WebhookOutcome::Applied => "applied",
        WebhookOutcome::Duplicate => "duplicate",
        WebhookOutcome::Ignored => "ignored",
        WebhookOutcome::Unknown => "unknown_payment",
    };
    count(verifier, word);
    Ok(HttpResponse::Ok().content_type(JSON).body(format!(r#"{{"outcome":"{word}"}}"#)))
}

fn verifier<'a>(services: &'a Services, name: &str) -> Option<&'a Arc<dyn WebhookVerifier>> {
    services.webhooks.iter().find(|verifier| verifier.name().as_str() == name)
}

/// The one header of that name. Two of them could be read differently by two parties: then there is none.
fn header(request: &HttpRequest, name: &str) -> Option<String> {
    let mut sent = request.headers().get_all(name);
    match (sent.next(), sent.next()) {
        (Some(value), None) => value.to_str().ok().map(str::to_owned),
        _ => None,
    }
}

fn context(request: &HttpRequest) -> Result<Context, Problem> {
    let info = RequestInfo::of(request).ok_or_else(|| Problem::internal("a request without its info"))?;
    Ok(info.context(Actor::System("webhooks"), None))
}

fn count(verifier: &Arc<dyn WebhookVerifier>, outcome: &'static str) {
    let gateway = verifier.name().to_string();
    metrics::counter!("amrutam_webhooks_total", "gateway" => gateway, "outcome" => outcome).increment(1);
}
