//! Alive, ready, documented.

use crate::{
    http::json,
    openapi,
    readiness::{ReadyReport, ReadyState},
    services::Services,
    settings::RouteClass,
};
use actix_web::{HttpRequest, HttpResponse, get, http::header::RETRY_AFTER, web::Data};
use utoipa_actix_web::service_config::ServiceConfig;

/// As long as what was learned about a dependency is told again.
const READY_SECONDS: u32 = 1;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(healthz).service(readyz).service(document);
}

/// The process runs.
#[utoipa::path(tag = "Operations", operation_id = "healthz", extensions(("x-rate-limit" = json!(RouteClass::Health))), responses(
    (status = 200, description = "The process runs", body = serde_json::Value, example = json!({"status": "alive"})),
))]
#[get("/healthz")]
async fn healthz() -> HttpResponse {
    alive()
}

/// Also on the internal listener.
pub(crate) fn alive() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(r#"{"status":"alive"}"#)
}

/// Whether to send requests here: each dependency with its state, at most a second old.
#[utoipa::path(tag = "Operations", operation_id = "readyz", extensions(("x-rate-limit" = json!(RouteClass::Health))), responses(
    (status = 200, description = "Booking works; what does not is named", body = ReadyReport),
    (status = 503, description = "Booking does not work, or the process is about to end", body = ReadyReport, content_type = "application/json"),
))]
#[get("/readyz")]
async fn readyz(services: Data<Services>) -> HttpResponse {
    let report = services.readiness.report().await;
    let mut response = match report.status {
        ReadyState::Ready | ReadyState::Degraded => HttpResponse::Ok(),
        ReadyState::Unavailable => HttpResponse::ServiceUnavailable(),
    };
    if report.status == ReadyState::Unavailable {
        response.insert_header((RETRY_AFTER, READY_SECONDS));
    }
    response.content_type("application/json").body(json(&report))
}

/// This document.
#[utoipa::path(tag = "Operations", operation_id = "openapi", responses(
    (status = 200, description = "OpenAPI 3.1", body = serde_json::Value,
        example = json!({"openapi": "3.1.0", "info": {"title": "Amrutam API"}, "paths": {}})),
    (status = 304, description = "Unchanged"),
))]
#[get("/openapi.json")]
async fn document(request: HttpRequest, document: Data<openapi::Document>) -> HttpResponse {
    let answer = HttpResponse::Ok().content_type("application/json").body(document.text.clone());
    crate::http::cacheable(&request, false, 60, answer)
}
