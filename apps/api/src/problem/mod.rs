//! RFC 9457 problems: the one shape of every error.

mod clinical;
mod code;
mod identity;
mod mapping;
mod operations;
mod payments;
mod privacy;

pub(crate) use code::Code;

use crate::http::{RequestInfo, json};
use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{borrow::Cow, fmt};

/// The media type of problems.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
const TYPE_BASE: &str = "https://amrutam.example/problems/";

/// One invalid value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(example = json!({"pointer": "/fee/amount", "code": "out_of_range", "detail": "0 to 1000000000"}))]
pub(crate) struct FieldError {
    /// JSON Pointer (RFC 6901) into the body, or `/name` of a query parameter.
    pub(crate) pointer: String,
    /// `query` when the pointer names a query parameter.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<&'static str>,
    /// A stable word.
    pub(crate) code: Cow<'static, str>,
    /// In a sentence.
    pub(crate) detail: Cow<'static, str>,
}

/// A refusal or failure on its way to the caller. `Display` is for logs and shows no personal data.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    members: Vec<(&'static str, Value)>,
    retry_after: Option<u32>,
    allow: Option<String>,
    closes: bool,
    /// For the log, never for the caller.
    reason: Option<String>,
}

/// The body of every error answer (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "https://amrutam.example/problems/slot_unavailable",
    "title": "The slot is no longer available",
    "status": 409,
    "detail": "the slot is no longer available",
    "instance": "/v1/consultations",
    "code": "slot_unavailable",
    "correlation_id": "019390d2-7c7e-7b60-8f0a-5a1a5c7d2f10"
}))]
pub(crate) struct ProblemBody<'a> {
    /// A URI that names the kind of problem; it ends with `code`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// In a few words, the same for every occurrence.
    pub(crate) title: &'static str,
    /// The HTTP status.
    pub(crate) status: u16,
    /// About this occurrence.
    pub(crate) detail: &'a str,
    /// The path that was asked for.
    pub(crate) instance: &'a str,
    /// A stable word to act on.
    pub(crate) code: Code,
    /// To be named when asking for help; also in `X-Correlation-Id`.
    pub(crate) correlation_id: &'a str,
    /// Each invalid value, when values are invalid.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) errors: &'a [FieldError],
    /// More about some problems: `from` and `to` of `invalid_transition`, `possible_from` of `too_early`,
    /// `possible_until` of `too_late`.
    #[serde(flatten)]
    #[schema(ignore)]
    pub(crate) members: Map<String, Value>,
}

impl Problem {
    /// With the title for a detail.
    pub(crate) fn new(code: Code) -> Self {
        Self(Box::new(Inner {
            code,
            detail: code.title().into(),
            errors: Vec::new(),
            members: Vec::new(),
            retry_after: None,
            allow: None,
            closes: false,
            reason: None,
        }))
    }

    /// Ours to mend; `reason` goes to the log.
    pub(crate) fn internal(reason: impl fmt::Display) -> Self {
        Self::new(Code::Internal).because(reason)
    }

    /// A method that the resource does not have.
    pub(crate) fn method_not_allowed(allow: String) -> Self {
        let mut problem = Self::new(Code::MethodNotAllowed);
        problem.0.allow = Some(allow);
        problem
    }

    /// About this occurrence.
    pub(crate) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// An invalid value of the body, under the problem's own code.
    pub(crate) fn at(self, pointer: impl Into<String>) -> Self {
        let (code, detail) = (self.0.code.as_str(), self.0.detail.clone());
        self.error(FieldError { pointer: pointer.into(), location: None, code: code.into(), detail })
    }

    /// An invalid value.
    pub(crate) fn error(mut self, error: FieldError) -> Self {
        self.0.errors.push(error);
        self
    }

    /// Invalid values.
    pub(crate) fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// A member that only this kind of problem has.
    pub(crate) fn member(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.members.push((name, value.into()));
        self
    }

    /// When to come back.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// The connection can't be used any more: a part of the body was left unread.
    pub(crate) fn closing(mut self) -> Self {
        self.0.closes = true;
        self
    }

    /// For the log, never for the caller.
    pub(crate) fn because(mut self, reason: impl fmt::Display) -> Self {
        self.0.reason = Some(reason.to_string());
        self
    }

    /// What went wrong.
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    /// For the log.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// The answer's body.
    pub(crate) fn body(&self, info: &RequestInfo) -> String {
        self.render(&info.path, info.correlation_id.as_str())
    }

    /// With fixed words for what the edge knows.
    #[cfg(test)]
    pub(crate) fn render_for_tests(&self) -> String {
        self.render("/", "test")
    }

    fn render(&self, instance: &str, correlation_id: &str) -> String {
        let inner = &self.0;
        json(&ProblemBody {
            kind: format!("{TYPE_BASE}{}", inner.code.as_str()),
            title: inner.code.title(),
            status: inner.code.number(),
            detail: &inner.detail,
            instance,
            code: inner.code,
            correlation_id,
            errors: &inner.errors,
            members: inner.members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        })
    }

    /// The whole answer.
    pub(crate) fn response(&self, info: &RequestInfo) -> HttpResponse {
        self.with_body(self.body(info))
    }

    fn with_body(&self, body: String) -> HttpResponse {
        let mut response = HttpResponse::build(self.0.code.status());
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON)));
        if self.0.code.status() == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        if let Some(seconds) = self.0.retry_after {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if let Some(allow) = &self.0.allow {
            response.insert_header((ALLOW, allow.as_str()));
        }
        if self.0.closes {
            response.force_close();
        }
        response.body(body)
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code.as_str())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.code.status()
    }

    /// Without instance and correlation id: the edge, which knows them, renders it anew.
    fn error_response(&self) -> HttpResponse {
        self.with_body(self.render("", ""))
    }
}
