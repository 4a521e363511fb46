//! Errors in the gateway's own form.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;

/// What the gateway answers instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    description: String,
    field: Option<&'static str>,
    retry_after: Option<String>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, description: impl Into<String>) -> Self {
        Self { status, code, description: description.into(), field: None, retry_after: None }
    }

    pub(super) fn bad_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST_ERROR", description)
    }

    pub(super) fn field(field: &'static str, description: impl Into<String>) -> Self {
        Self { field: Some(field), ..Self::bad_request(description) }
    }

    /// The gateway answers so, with 400, for what does not exist.
    pub(super) fn no_such_id() -> Self {
        Self::bad_request("The id provided does not exist")
    }

    pub(super) fn no_such_url() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BAD_REQUEST_ERROR", "The requested URL was not found on the server.")
    }

    pub(super) fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "BAD_REQUEST_ERROR", "Authentication failed")
    }

    pub(super) fn limited(retry_after: Option<String>) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "BAD_REQUEST_ERROR", "Request failed: too many requests");
        Self { retry_after, ..error }
    }

    pub(super) fn scripted(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let code = match status.as_u16() {
            502..=504 => "GATEWAY_ERROR",
            500.. => "SERVER_ERROR",
            _ => "BAD_REQUEST_ERROR",
        };
        Self::new(status, code, "We are facing some trouble completing your request at the moment.")
    }

    pub(super) fn description(&self) -> &str {
        &self.description
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.code, self.description)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut error = json!({
            "code": self.code, "description": self.description, "source": "NA", "step": "NA", "reason": "NA",
            "metadata": {},
        });
        if let (Some(field), Some(error)) = (self.field, error.as_object_mut()) {
            error.insert("field".to_owned(), json!(field));
        }
        let mut response = HttpResponse::build(self.status);
        if let Some(after) = &self.retry_after {
            response.insert_header(("Retry-After", after.as_str()));
        }
        response.json(json!({ "error": error }))
    }
}
