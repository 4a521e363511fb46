//! What every answer tells browsers, errors too: not to guess, not to frame, not to leak, not to come without TLS.

use super::cors::{AllowList, Cors};
use crate::tls::Tls;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Nothing of an answer is to be run, shown or framed.
const API_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
/// Swagger UI: everything from our own files; it styles its elements inline, and its icons are in its style sheet.
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// As the settings want it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Headers {
    /// Whose pages may call us.
    pub(crate) cors: AllowList,
    hsts: Option<HeaderValue>,
}

impl Headers {
    pub(crate) fn of(tls: &Tls, cors: &Cors) -> Self {
        // Over plain HTTP browsers pass it over, and a proxy's certificate may not be there yet.
        let said = tls.protects_callers() && tls.hsts_max_age_secs > 0;
        let hsts = said.then(|| format!("max-age={}; includeSubDomains", tls.hsts_max_age_secs));
        Self { cors: AllowList::of(cors), hsts: hsts.and_then(|hsts| HeaderValue::from_str(&hsts).ok()) }
    }

    /// Writes them into an answer.
    pub(crate) fn mark(&self, route: &str, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin"));
        // Pages on the allow-list fetch with CORS, which this does not hinder.
        headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
        let policy = if route.starts_with("/docs") { DOCS_POLICY } else { API_POLICY };
        headers.insert(CONTENT_SECURITY_POLICY, policy);
        if let Some(hsts) = &self.hsts {
            headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
        if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        self.cors.mark(origin, headers);
    }
}
