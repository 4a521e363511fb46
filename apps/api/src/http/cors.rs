//! Which web pages' scripts may call the API (CORS).
//!
//! Not actix-cors: it stands around the edge, so its preflights would have no correlation id, log line or metric, and an
//! answer that leaves the edge as an error (a time-out, a panic) would lack the fields that let a script read it.

use actix_web::{
    HttpResponse,
    dev::ServiceRequest,
    http::{
        Method,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap,
            HeaderValue, ORIGIN, VARY,
        },
    },
};
use amrutam_settings::{Problems, Validate};
use serde::{Deserialize, Serialize};
use url::Url;

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// What our routes read of a request.
const REQUEST_FIELDS: &str =
    "authorization, content-type, idempotency-key, if-match, if-none-match, traceparent, x-correlation-id";
/// What our answers say beyond the fields that every script may read.
const ANSWER_FIELDS: &str =
    "etag, idempotency-replayed, link, location, ratelimit, ratelimit-policy, retry-after, x-correlation-id";

/// Section `cors`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// Origins whose pages may call the API, as browsers write them: `https://app.example.org`. None unless given.
    pub origins: Vec<String>,
    /// How long a browser may remember that it may.
    pub max_age_secs: u32,
}

impl Default for Cors {
    fn default() -> Self {
        Self { origins: Vec::new(), max_age_secs: 600 }
    }
}

impl Validate for Cors {
    fn validate(&self, problems: &mut Problems) {
        for origin in &self.origins {
            problems.check(
                is_origin(origin),
                "origins",
                "each as browsers write it: https://app.example.org, no wildcard",
            );
        }
        // Chromium heeds no more than two hours.
        problems.check(self.max_age_secs <= 7_200, "max_age_secs", "at most 7200 seconds");
    }
}

/// What production asks for beyond.
pub(crate) struct ProductionCors<'a>(pub(crate) &'a Cors);

impl Validate for ProductionCors<'_> {
    fn validate(&self, problems: &mut Problems) {
        let secure = self.0.origins.iter().all(|origin| origin.starts_with("https://"));
        problems.check(secure, "origins", "production trusts no page that came over plain HTTP");
    }
}

/// Browsers compare and send one spelling only: no path, no default port, the host in lower case and ASCII.
fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "https" | "http") && url.origin().ascii_serialization() == text && !text.contains('*')
    })
}

/// The origins there are. Tokens come in `Authorization`, never in cookies, so no origin is allowed credentials.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllowList {
    origins: Vec<HeaderValue>,
    max_age_secs: u32,
}

impl AllowList {
    pub(crate) fn of(settings: &Cors) -> Self {
        let origins = settings.origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
        Self { origins, max_age_secs: settings.max_age_secs }
    }

    /// The answer to a browser that asks before it sends what a form could not. From an origin that is not on the list
    /// it is a request like any other, and refused as one.
    pub(crate) fn preflight(&self, request: &ServiceRequest) -> Option<HttpResponse> {
        let asks = request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let origin = origin(request.headers())?;
        if !asks || !self.origins.contains(origin) {
            return None;
        }
        let mut answer = HttpResponse::NoContent();
        answer
            .insert_header((ACCESS_CONTROL_ALLOW_METHODS, METHODS))
            .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_FIELDS))
            .insert_header((ACCESS_CONTROL_MAX_AGE, self.max_age_secs));
        Some(answer.finish())
    }

    /// Lets the script that asked read the answer, and keeps caches from giving it to the page of another origin.
    pub(crate) fn mark(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        headers.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin.filter(|origin| self.origins.contains(origin)) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(ANSWER_FIELDS));
        }
    }
}

/// Where the request's page is from, if the request has one such field.
pub(crate) fn origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut sent = headers.get_all(ORIGIN);
    match (sent.next(), sent.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_do() {
        for good in ["https://app.amrutam.example", "https://app.amrutam.example:8443", "http://localhost:3000"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "null",
            "https://*",
            "https://*.amrutam.example",
            "https://app.amrutam.example/",
            "https://app.amrutam.example/path",
            "https://app.amrutam.example:443",
            "https://App.amrutam.example",
            "https://user@app.amrutam.example",
            "app.amrutam.example",
            "ftp://app.amrutam.example",
            "file:///index.html",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
