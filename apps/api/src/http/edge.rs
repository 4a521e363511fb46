//! The outermost layer: names the flow, bounds it in time, survives it, answers errors in one shape, and tells of it once.

use super::{RequestInfo, answer::JSON, cors, idempotency::key_of, unread::Unread};
use crate::{
    problem::{Code, PROBLEM_JSON, Problem},
    services::Services,
};
use actix_web::{
    Error, HttpMessage, HttpResponse, ResponseError,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        ConnectionType, Method, StatusCode,
        header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::{Bytes, Data},
};
use amrutam_kernel::{Actor, CorrelationId, TraceParent};
use futures::FutureExt;
use metrics::{counter, gauge, histogram};
use std::{
    cell::Cell,
    fmt,
    panic::AssertUnwindSafe,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tracing::Instrument;

static CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACE_PARENT: &str = "traceparent";
/// What no route matched has one name, or a scanner could make as many time series as it likes.
const UNMATCHED: &str = "unmatched";
/// nginx' number for a caller who left before the answer.
const CLIENT_GONE: u16 = 499;

/// Wraps every request.
pub(crate) async fn edge(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(services) = request.app_data::<Data<Services>>().cloned() else {
        return Err(Problem::internal("no services").into());
    };
    let method = request.method().clone();
    if method == Method::HEAD {
        // Routed as what it asks for the head of; the answer's body is left out at the end.
        request.head_mut().method = Method::GET;
    }
    let correlation_id = correlation_id(&request, &services);
    let route = pattern(&request).unwrap_or_else(|| UNMATCHED.to_owned());
    let span = tracing::info_span!("request", %correlation_id, %method, route);
    let incoming = trace_parent(request.headers());
    if let Some(parent) = &incoming {
        amrutam_telemetry::set_parent(&span, parent);
    }
    let trace_parent = span.in_scope(amrutam_telemetry::current_trace_parent).or(incoming);
    let client = services.quotas.proxies.client(request.peer_addr().map(|peer| peer.ip()), request.headers());
    let info = Rc::new(RequestInfo::new(correlation_id, trace_parent, client.network(), request.path().to_owned()));
    info.head_only.set(method == Method::HEAD);
    let unread = Unread::share(&mut request);
    let origin = cors::origin(request.headers()).cloned();
    let told = Told::begin(method, route, Rc::clone(&info), span.clone(), unread, origin);

    if let Err(problem) = admissible(&request, &services) {
        let response = request.into_response(problem.response(&info));
        return Ok(told.finish(response, &services, Some(&problem)));
    }
    if let Some(allowed) = services.headers.cors.preflight(&request) {
        return Ok(told.finish(request.into_response(allowed), &services, None));
    }
    request.extensions_mut().insert(Rc::clone(&info));
    let work = async {
        let _under_way = services.beat.set_out().await;
        next.call(request).await
    };
    let work = AssertUnwindSafe(work).catch_unwind();
    let outcome = tokio::time::timeout(services.limits.request_timeout, work).instrument(span).await;
    // Without its request there is no way back through the framework but an error that is an answer already.
    let problem = match outcome {
        Ok(Ok(Ok(response))) => {
            let response = response.map_into_boxed_body();
            let problem = problem_of(&response);
            let response = match &problem {
                Some(problem) => response.into_response(problem.response(&info)),
                None => response,
            };
            return Ok(told.finish(response, &services, problem.as_ref()));
        }
        Ok(Ok(Err(error))) => problem_of_error(&error),
        Ok(Err(_)) => Problem::internal("a handler panicked"),
        Err(_) => Problem::new(Code::Timeout)
            .detail("the request took too long; try again")
            .retry_after(1)
            .because("time-out"),
    };
    Err(told.fail(&problem, &services).into())
}

fn correlation_id(request: &ServiceRequest, services: &Services) -> CorrelationId {
    let mut sent = request.headers().get_all(&CORRELATION_ID);
    let sane = match (sent.next(), sent.next()) {
        (Some(one), None) => one.to_str().ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    sane.unwrap_or_else(|| services.ids.uuid_v7(services.clock.now()).into())
}

/// Only the form of version 00; anything else begins a trace of its own.
fn trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    let text = headers.get(TRACE_PARENT)?.to_str().ok()?;
    let parts: Vec<_> = text.split('-').map(str::len).collect();
    let hex = text.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    (parts == [2, 32, 16, 2] && hex && text.starts_with("00-")).then(|| TraceParent(text.to_owned()))
}

/// What is wrong with a head whatever it asks for.
fn admissible(request: &ServiceRequest, services: &Services) -> Result<(), Problem> {
    let headers = request.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if headers.len() > services.limits.headers || bytes + request.uri().to_string().len() > services.limits.header_bytes
    {
        return Err(Problem::new(Code::HeadersTooLarge).closing());
    }
    if request.method() == Method::POST { key_of(headers).map(drop) } else { Ok(()) }
}

/// The problem of an answer that is an error, unless it is one already.
fn problem_of(response: &ServiceResponse<BoxBody>) -> Option<Problem> {
    let status = response.status();
    if let Some(error) = response.response().error() {
        return Some(problem_of_error(error));
    }
    // JSON is our own: a problem that was kept, or `/readyz`. The framework's and the pages' errors are plain text.
    let ours =
        |kind: &HeaderValue| [PROBLEM_JSON, JSON].iter().any(|ours| kind.as_bytes().starts_with(ours.as_bytes()));
    if !(status.is_client_error() || status.is_server_error()) || response.headers().get(CONTENT_TYPE).is_some_and(ours)
    {
        return None;
    }
    let allow = response.headers().get(ALLOW).and_then(|allow| allow.to_str().ok());
    Some(match allow {
        Some(allow) if status == StatusCode::METHOD_NOT_ALLOWED => Problem::method_not_allowed(allow.to_owned()),
        _ => Problem::new(Code::of_status(status)),
    })
}

fn problem_of_error(error: &Error) -> Problem {
    match error.as_error::<Problem>() {
        Some(problem) => problem.clone(),
        None => {
            let code = Code::of_status(error.as_response_error().status_code());
            Problem::new(code).because(error)
        }
    }
}

/// What is told of a request when it ends, however it ends.
struct Told {
    method: Method,
    route: String,
    info: Rc<RequestInfo>,
    span: tracing::Span,
    unread: Option<Unread>,
    origin: Option<HeaderValue>,
    started: Instant,
    ended: bool,
}

/// The route's template, found as the router finds it: in the decoded path. `%6Cogin` is `login` to both.
pub(crate) fn pattern(request: &ServiceRequest) -> Option<String> {
    request.resource_map().match_pattern(request.match_info().as_str())
}

impl Told {
    fn begin(
        method: Method,
        route: String,
        info: Rc<RequestInfo>,
        span: tracing::Span,
        unread: Option<Unread>,
        origin: Option<HeaderValue>,
    ) -> Self {
        gauge!("http_requests_in_flight").increment(1.0);
        Self { method, route, info, span, unread, origin, started: Instant::now(), ended: false }
    }

    fn finish(
        mut self,
        response: ServiceResponse<BoxBody>,
        services: &Services,
        problem: Option<&Problem>,
    ) -> ServiceResponse<BoxBody> {
        let (request, response) = response.into_parts();
        ServiceResponse::new(request, self.end(response, services, problem))
    }

    fn fail(mut self, problem: &Problem, services: &Services) -> Failed {
        let response = self.end(problem.response(&self.info), services, Some(problem));
        Failed { status: response.status(), response: Cell::new(Some(response)) }
    }

    fn end(&mut self, mut response: HttpResponse, services: &Services, problem: Option<&Problem>) -> HttpResponse {
        let bytes = match response.body().size() {
            BodySize::Sized(bytes) => bytes,
            BodySize::None | BodySize::Stream => 0,
        };
        self.tell(response.status().as_u16(), bytes, problem);
        self.mark(response.headers_mut(), services);
        if services.readiness.is_draining() {
            // Kept-alive connections move to another instance, instead of being cut when this one ends. A header set by
            // hand would be dropped: actix writes this one itself.
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        if self.method == Method::HEAD {
            response = response.map_body(|_, body| BoxBody::new(HeadOnly(body.size())));
        }
        Unread::hold(self.unread.as_ref(), response)
    }

    fn mark(&self, headers: &mut HeaderMap, services: &Services) {
        if let Ok(id) = HeaderValue::from_str(self.info.correlation_id.as_str()) {
            headers.insert(CORRELATION_ID.clone(), id);
        }
        if let Some(limits) = self.info.limits.get() {
            limits.mark(headers);
        }
        services.headers.mark(&self.route, self.origin.as_ref(), headers);
    }

    fn tell(&mut self, status: u16, bytes: u64, problem: Option<&Problem>) {
        self.ended = true;
        let elapsed = self.started.elapsed();
        self.count(status, elapsed);
        let _in_span = self.span.enter();
        if let Some(problem) = problem
            && let Some(reason) = problem.reason()
        {
            let (code, correlation_id) = (problem.code().as_str(), &self.info.correlation_id);
            if status >= 500 && problem.code() == Code::Internal {
                tracing::error!(code, reason, %correlation_id, "a request failed");
            } else {
                tracing::warn!(code, reason, %correlation_id, "a request failed");
            }
        }
        self.log(status, bytes, elapsed);
    }

    fn log(&self, status: u16, bytes: u64, elapsed: Duration) {
        let actor = self.info.actor.get().unwrap_or(Actor::Anonymous);
        tracing::info!(
            target: "http",
            method = %self.method,
            route = self.route,
            status,
            duration_ms = elapsed.as_secs_f64() * 1_000.0,
            correlation_id = %self.info.correlation_id,
            actor = actor.role_word(),
            account_id = actor.account().map(tracing::field::display),
            bytes,
            "request"
        );
    }

    fn count(&self, status: u16, elapsed: Duration) {
        let labels = [
            ("method", method_word(&self.method).to_owned()),
            ("route", self.route.clone()),
            ("status", status.to_string()),
        ];
        counter!("http_requests_total", &labels).increment(1);
        histogram!("http_request_duration_seconds", &labels).record(elapsed.as_secs_f64());
    }
}

/// A caller can make up methods, as they can paths.
fn method_word(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        gauge!("http_requests_in_flight").decrement(1.0);
        if !self.ended {
            let elapsed = self.started.elapsed();
            self.count(CLIENT_GONE, elapsed);
            let _in_span = self.span.enter();
            self.log(CLIENT_GONE, 0, elapsed);
        }
    }
}

/// The body of an answer to `HEAD`: as long as that to `GET` would be, and not sent.
struct HeadOnly(BodySize);

impl MessageBody for HeadOnly {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}

/// A finished answer that has to travel as an error.
struct Failed {
    status: StatusCode,
    response: Cell<Option<HttpResponse>>,
}

impl fmt::Debug for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed").field("status", &self.status).finish_non_exhaustive()
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answered with {}", self.status)
    }
}

impl ResponseError for Failed {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.response.take().unwrap_or_else(|| HttpResponse::new(self.status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_trace_is_continued() {
        let with = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(TRACE_PARENT), HeaderValue::from_str(text).unwrap());
            trace_parent(&headers).is_some()
        };
        assert!(with("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for bad in [
            "",
            "00-0af7-b7ad-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        ] {
            assert!(!with(bad), "{bad}");
        }
    }
}
