//! Alive, ready, documented.

use crate::{
    http::json,
    openapi,
    readiness::{ReadyReport, ReadyState},
    services::Services,
    settings::RouteClass,
};
use actix_web::{HttpRequest, HttpResponse, get, web::Data};
use serde_json::json;
use utoipa_actix_web::service_config::ServiceConfig;

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
    HttpResponse::Ok().json(json!({ "status": "alive" }))
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
    response.content_type("application/json").body(json(&report))
}

/// This document.
#[utoipa::path(tag = "Operations", operation_id = "openapi", responses(
    (status = 200, description = "OpenAPI 3.1", body = serde_json::Value),
    (status = 304, description = "Unchanged"),
))]
#[get("/openapi.json")]
async fn document(request: HttpRequest, document: Data<openapi::Document>) -> HttpResponse {
    let answer = HttpResponse::Ok().content_type("application/json").body(document.text.clone());
    crate::http::cacheable(&request, false, 60, answer)
}
