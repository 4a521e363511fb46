//! Writing answers.

use super::RequestInfo;
use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH, IF_NONE_MATCH, LINK, LOCATION, VARY},
    },
};
use amrutam_kernel::StoredAnswer;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::str::FromStr;

pub(crate) const JSON: &str = "application/json";

/// Said of a request that brought an answer for the second time.
const REPLAYED: &str = "idempotency-replayed";

/// UTC with microseconds.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    format!("{at:.6}")
}

/// Compact JSON. What we send has text keys and finite numbers, so it can always be written.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned())
}

/// One page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Listing<T> {
    /// In the list's stable order.
    pub(crate) items: Vec<T>,
    /// For `cursor`; `null` on the last page.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

impl<T: Serialize> Listing<T> {
    /// The answer, with the next page's link.
    pub(crate) fn respond(&self, request: &HttpRequest, query: &str) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        if let Some(link) = self.next_cursor.as_ref().and_then(|cursor| next_link(request.path(), query, cursor)) {
            response.insert_header((LINK, link));
        }
        response.content_type(JSON).body(json(self))
    }
}

/// The `Link` to what follows.
pub(crate) fn next_link(path: &str, query: &str, cursor: &str) -> Option<HeaderValue> {
    let mut next = url::form_urlencoded::Serializer::new(String::new());
    next.extend_pairs(url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "cursor"));
    next.append_pair("cursor", cursor);
    HeaderValue::from_str(&format!("<{path}?{}>; rel=\"next\"", next.finish())).ok()
}

/// A single resource with its version as the strong `ETag`.
pub(crate) fn entity<T: Serialize>(
    status: StatusCode,
    version: impl std::fmt::Display,
    location: Option<String>,
    body: &T,
) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.insert_header((ETAG, format!("\"{version}\"")));
    if let Some(location) = location {
        response.insert_header((LOCATION, location));
    }
    response.content_type(JSON).body(json(body))
}

/// What is no resource with a version.
pub(crate) fn json_answer<T: Serialize>(status: StatusCode, body: &T) -> HttpResponse {
    HttpResponse::build(status).content_type(JSON).body(json(body))
}

/// Makes a public answer cacheable for a short while, with `304` for those who have it. Answers to signed-in callers are
/// left alone: the edge marks them `no-store`.
pub(crate) fn cacheable(request: &HttpRequest, signed_in: bool, max_age: u32, response: HttpResponse) -> HttpResponse {
    if signed_in {
        return response;
    }
    let (mut response, body) = response.into_parts();
    let Ok(bytes) = actix_web::body::MessageBody::try_into_bytes(body) else {
        return response.set_body(actix_web::body::BoxBody::new(()));
    };
    let etag = content_tag(&bytes);
    let known = has_tag(request, &etag);
    let headers = response.headers_mut();
    if let (Ok(etag), Ok(cache)) =
        (HeaderValue::from_str(&etag), HeaderValue::from_str(&format!("public, max-age={max_age}")))
    {
        headers.insert(ETAG, etag);
        headers.insert(CACHE_CONTROL, cache);
        headers.insert(VARY, HeaderValue::from_static("authorization"));
    }
    if known {
        headers.remove(CONTENT_TYPE);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response.set_body(actix_web::body::BoxBody::new(()));
    }
    response.set_body(actix_web::body::BoxBody::new(bytes))
}

fn has_tag(request: &HttpRequest, etag: &str) -> bool {
    let mut sent = request
        .headers()
        .get_all(IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    // The weak comparison is the right one here (RFC 9110, 13.1.2).
    sent.any(|tag| matches!(tag.trim(), "*") || tag.trim().trim_start_matches("W/") == etag)
}

/// The versions of which a caller says to have one, when they say so. A tag that is none of ours names no version; when no
/// other does, the use case refuses the list after it has looked who asks.
pub(crate) fn if_match<T: FromStr>(request: &HttpRequest) -> Option<Vec<T>> {
    let sent: Vec<&[u8]> = request.headers().get_all(IF_MATCH).map(HeaderValue::as_bytes).collect();
    if sent.is_empty() || sent == [b"*"] {
        return None;
    }
    // The strong comparison: a weak tag matches nothing (RFC 9110, 13.1.1).
    let version = |tag: &str| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok();
    let lists = sent.iter().filter_map(|list| std::str::from_utf8(list).ok());
    Some(lists.flat_map(|list| list.split(',')).filter_map(version).collect())
}

/// A strong tag.
fn content_tag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest.get(..15).unwrap_or_default()))
}

/// The first answer to an idempotent request, or the same again.
pub(crate) fn stored(answer: StoredAnswer, replayed: bool) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.content_type(answer.content_type);
    if let Some(location) = answer.location {
        response.insert_header((LOCATION, location));
    }
    if let Some(etag) = answer.etag {
        response.insert_header((ETAG, etag));
    }
    if replayed {
        response.insert_header((REPLAYED, "true"));
    }
    response.body(answer.body)
}

impl super::RequestInfo {
    /// A refusal as an answer that can be kept.
    pub(crate) fn keep(&self, problem: &crate::problem::Problem) -> StoredAnswer {
        let info: &RequestInfo = self;
        StoredAnswer {
            status: problem.code().number(),
            location: None,
            content_type: crate::problem::PROBLEM_JSON.to_owned(),
            etag: None,
            body: problem.body(info),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn times_go_out_in_utc_with_microseconds() {
        let at: Timestamp = "2026-11-23T09:00:00+05:30".parse().unwrap();
        assert_eq!(rfc3339(at), "2026-11-23T03:30:00.000000Z");
    }

    #[test]
    fn the_link_keeps_the_filters_and_replaces_the_cursor() {
        let link = next_link("/v1/doctors", "q=a%20b&cursor=old&limit=2", "new").unwrap();
        assert_eq!(link, "</v1/doctors?q=a+b&limit=2&cursor=new>; rel=\"next\"");
    }

    #[test]
    fn a_precondition_is_a_version_everything_or_nothing_we_have() {
        let with = |values: &[&str]| {
            let request =
                values.iter().fold(TestRequest::get(), |request, value| request.append_header((IF_MATCH, *value)));
            if_match::<i64>(&request.to_http_request())
        };
        assert_eq!(with(&[]), None);
        assert_eq!(with(&["*"]), None);
        assert_eq!(with(&["\"7\""]), Some(vec![7]));
        for list in [&["\"7\", \"8\""][..], &["\"7\",\"8\""], &["\"7\"", "\"8\""], &["\"x\", W/\"9\", \"7\", \"8\""]] {
            assert_eq!(with(list), Some(vec![7, 8]), "{list:?}");
        }
        for bad in [&["7"][..], &["W/\"7\""], &["\"x\""], &[""], &["*", "*"], &["*, \"x\""]] {
            assert_eq!(with(bad), Some(vec![]), "{bad:?}");
        }
    }

    #[test]
    fn a_public_answer_is_not_sent_to_those_who_have_it() {
        let answer = || HttpResponse::Ok().content_type(JSON).body("{}");
        let first = cacheable(&TestRequest::get().to_http_request(), false, 30, answer());
        let etag = first.headers().get(ETAG).unwrap().to_str().unwrap().to_owned();
        assert_eq!(first.headers().get(CACHE_CONTROL).unwrap(), "public, max-age=30");
        let again = TestRequest::get().insert_header((IF_NONE_MATCH, format!("\"x\", W/{etag}"))).to_http_request();
        assert_eq!(cacheable(&again, false, 30, answer()).status(), StatusCode::NOT_MODIFIED);
        assert!(cacheable(&again, true, 30, answer()).headers().get(ETAG).is_none());
    }
}
