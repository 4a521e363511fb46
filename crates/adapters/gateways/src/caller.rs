//! Calls to a gateway's HTTP API: bounded in time and size, no redirects, every failure classified.

use crate::{Circuit, circuit::Pass};
use amrutam_kernel::Clock;
use amrutam_payments::ports::GatewayError;
use amrutam_tls::Trust;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, Error as ClientError, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use metrics::histogram;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use url::{Host, Url};

/// A page of a hundred payments has about 200 KiB.
const MAX_ANSWER: usize = 2 * 1024 * 1024;
/// A third of the call's time at most, so that a dead address is told from a slow answer.
const CONNECT_SHARE: u32 = 3;
const MAX_IDLE: usize = 8;
/// Below the minute after which servers and the boxes between forget a connection.
const MAX_IDLE_TIME: Duration = Duration::from_secs(30);
/// Whoever asks us to wait longer is taken at this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
const WHO_WE_ARE: HeaderValue = HeaderValue::from_static("amrutam/1");

/// How a gateway is reached.
#[derive(Debug, Clone)]
pub struct Network {
    /// `https://host[:port][/path]`, up to what the API's own paths begin with. `http://` for loopback addresses, or when
    /// `plain_allowed`.
    pub base_url: String,
    /// Bound on one call, in milliseconds: 100 to 30,000. Specified: 5,000.
    pub timeout_ms: u64,
    /// Allows `http://` to anywhere. For trying only: keys can be read on the way.
    pub plain_allowed: bool,
    /// Whom we believe to be the gateway.
    pub trust: Trust,
}

/// Why there is no gateway of these settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGatewaySettings {
    /// Not such a URL.
    #[error("base_url is https://host[:port][/path], without credentials, query and fragment")]
    BaseUrl,
    /// Keys could be read on the way.
    #[error("base_url is not encrypted")]
    Unencrypted,
    /// Out of range.
    #[error("timeout_ms is from 100 to 30000")]
    Timeout,
    /// Empty, or no header can carry it.
    #[error("a key or secret is empty or has characters that it can't have")]
    Key,
    /// Not a page.
    #[error("checkout_url is a URL with {{order}} where the order's name goes")]
    CheckoutUrl,
    /// There is none to verify notifications with.
    #[error("webhook_secrets has none")]
    NoWebhookSecret,
    /// The cryptography has none of rustls' protocol versions.
    #[error("TLS can't be set up")]
    Tls,
}

/// Whether the call only looks: when its answer is lost, nothing is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Look,
    Act,
}

/// One gateway's API.
pub(crate) struct Caller {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    headers: HeaderMap,
    timeout: Duration,
    circuit: Circuit,
    clock: Arc<dyn Clock>,
    destination: &'static str,
    /// Finds the gateway's word for an error in its answer.
    error_code: fn(&[u8]) -> Option<String>,
    /// On an answer that the gateway has given before to the same key.
    repeated: Option<HeaderName>,
}

/// What makes one gateway's API different from another's.
pub(crate) struct Dialect {
    /// What metrics call it.
    pub(crate) destination: &'static str,
    /// On every call, beside the authorization.
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
    /// Finds the gateway's word for an error in its answer.
    pub(crate) error_code: fn(&[u8]) -> Option<String>,
    /// The header that is `true` on an answer that is stored and repeated.
    pub(crate) repeated: Option<HeaderName>,
}

impl Caller {
    pub(crate) fn new(
        dialect: Dialect,
        network: &Network,
        authorization: &SecretString,
        circuit: Circuit,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidGatewaySettings> {
        let Dialect { destination, header, error_code, repeated } = dialect;
        if !(100..=30_000).contains(&network.timeout_ms) {
            return Err(InvalidGatewaySettings::Timeout);
        }
        let timeout = Duration::from_millis(network.timeout_ms);
        let tls = network.trust.client_config().map_err(|_| InvalidGatewaySettings::Tls)?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeout / CONNECT_SHARE));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(MAX_IDLE_TIME)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        let mut authorization =
            HeaderValue::from_str(authorization.expose_secret()).map_err(|_| InvalidGatewaySettings::Key)?;
        authorization.set_sensitive(true);
        let mut headers: HeaderMap = header.into_iter().collect();
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(USER_AGENT, WHO_WE_ARE);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let base = base_url(&network.base_url, network.plain_allowed)?;
        Ok(Self { client, base, headers, timeout, circuit, clock, destination, error_code, repeated })
    }

    /// `GET`.
    pub(crate) async fn look<T: DeserializeOwned>(&self, path: &str) -> Result<T, GatewayError> {
        let request = self.request(Method::GET, path, Bytes::new())?;
        self.call(Kind::Look, request).await
    }

    /// `POST`, which the gateway does once for a key.
    pub(crate) async fn act<T: DeserializeOwned>(
        &self,
        path: &str,
        content_type: &'static str,
        key: Option<(HeaderName, &str)>,
        body: String,
    ) -> Result<T, GatewayError> {
        let mut request = self.request(Method::POST, path, Bytes::from(body))?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some((name, key)) = key {
            let key = HeaderValue::from_str(key).map_err(|_| unfit())?;
            request.headers_mut().insert(name, key);
        }
        self.call(Kind::Act, request).await
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, GatewayError> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.base)).body(Full::new(body));
        let mut request = request.map_err(|_| unfit())?;
        request.headers_mut().clone_from(&self.headers);
        Ok(request)
    }

    async fn call<T: DeserializeOwned>(&self, kind: Kind, request: Request<Full<Bytes>>) -> Result<T, GatewayError> {
        let begun = Instant::now();
        let pass = self.circuit.enter(self.timeout / 2).await.map_err(|open| away(open.to_string()))?;
        let left = self.timeout.saturating_sub(begun.elapsed());
        let outcome = match timeout(left, self.exchange(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Lost::Sent(format!("no answer within {} ms", self.timeout.as_millis()))),
        };
        let result = self.understand(kind, outcome, pass);
        let word = match &result {
            Ok(_) => "ok",
            Err(GatewayError::Rejected { .. }) => "rejected",
            Err(GatewayError::Limited { .. }) => "limited",
            Err(GatewayError::Unavailable { .. }) => "unavailable",
            Err(GatewayError::Spent { .. }) => "spent",
            Err(GatewayError::Unknown { .. } | GatewayError::Senseless { .. }) => "unknown",
        };
        histogram!("amrutam_gateway_call_seconds", "gateway" => self.destination, "outcome" => word)
            .record(begun.elapsed().as_secs_f64());
        result
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Lost> {
        let response = self.client.request(request).await.map_err(|error| lost(&error))?;
        let (parts, body): (_, Incoming) = Response::into_parts(response);
        match Limited::new(body, MAX_ANSWER).collect().await {
            Ok(body) => Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes() }),
            Err(error) if error.is::<LengthLimitError>() => Err(Lost::Sent("the answer is too long".to_owned())),
            Err(_) => Err(Lost::Sent("the answer was cut short".to_owned())),
        }
    }

    fn understand<T: DeserializeOwned>(
        &self,
        kind: Kind,
        outcome: Result<Answer, Lost>,
        pass: Pass<'_>,
    ) -> Result<T, GatewayError> {
        let in_doubt = |reason: String| match kind {
            Kind::Look => away(reason),
            Kind::Act => GatewayError::Unknown { reason },
        };
        let answer = match outcome {
            Ok(answer) => answer,
            Err(lost) => {
                pass.failed();
                return Err(match lost {
                    Lost::Unsent(reason) => away(reason),
                    Lost::Sent(reason) => in_doubt(reason),
                });
            }
        };
        let status = answer.status;
        let repeated = self.repeated.as_ref().and_then(|name| answer.headers.get(name));
        if status.is_server_error() && repeated.is_some_and(|value| value == "true") {
            // What it said then says nothing of how it is now, neither good nor bad.
            drop(pass);
            return Err(GatewayError::Spent { reason: format!("{}", status.as_u16()) });
        }
        pass.ended(!status.is_server_error());
        match status {
            _ if status.is_success() => serde_json::from_slice(&answer.body)
                // It is there and has answered. Asked again it says the same for ever: the tries of a look end as well.
                .map_err(|_| GatewayError::Senseless { reason: format!("to {}", status.as_u16()) }),
            StatusCode::TOO_MANY_REQUESTS => {
                Err(GatewayError::Limited { retry_after: retry_after(&answer.headers, self.clock.now()) })
            }
            // Ours to mend, and no fault of what was asked: it is asked again when the key is right.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(away(format!("the gateway refuses our key ({})", status.as_u16())))
            }
            // RFC 9110: it can't handle the request now.
            StatusCode::SERVICE_UNAVAILABLE => Err(away("the gateway says 503".to_owned())),
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT => {
                Err(in_doubt(format!("the gateway says {}", status.as_u16())))
            }
            _ if status.is_client_error() => {
                let code = (self.error_code)(&answer.body).and_then(|code| word(&code));
                Err(GatewayError::Rejected { code: code.unwrap_or_else(|| format!("http_{}", status.as_u16())) })
            }
            // A redirect is followed by nobody: the key is for this host alone.
            _ => Err(in_doubt(format!("the gateway says {}", status.as_u16()))),
        }
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Why there is no answer.
enum Lost {
    /// No connection: the gateway has heard nothing.
    Unsent(String),
    /// It may have heard all of it.
    Sent(String),
}

fn lost(error: &ClientError) -> Lost {
    // The innermost cause says most: `invalid peer certificate`, `connection refused`.
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let reason = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    if error.is_connect() {
        Lost::Unsent(format!("no connection: {reason}"))
    } else {
        Lost::Sent(format!("the connection broke: {reason}"))
    }
}

fn away(reason: String) -> GatewayError {
    GatewayError::Unavailable { reason }
}

/// What we would send is no HTTP: no gateway will ever get it.
fn unfit() -> GatewayError {
    GatewayError::Rejected { code: "unfit_request".to_owned() }
}

/// A gateway's code, as one: a text that is none may hold anything.
pub(crate) fn word(text: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    ((1..=64).contains(&text.len()) && text.bytes().all(allowed)).then(|| text.to_ascii_lowercase())
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            date.duration_since(now).max(SignedDuration::ZERO).unsigned_abs()
        }
    };
    Some(asked.min(LONGEST_RETRY_AFTER))
}

/// Without a slash at its end.
fn base_url(text: &str, plain_allowed: bool) -> Result<String, InvalidGatewaySettings> {
    let url = Url::parse(text).map_err(|_| InvalidGatewaySettings::BaseUrl)?;
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !bare || url.fragment().is_some() || url.host_str().is_none_or(str::is_empty) {
        return Err(InvalidGatewaySettings::BaseUrl);
    }
    let here = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if here || plain_allowed => {}
        "http" => return Err(InvalidGatewaySettings::Unencrypted),
        _ => return Err(InvalidGatewaySettings::BaseUrl),
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        let now = "2026-11-30T09:00:00Z".parse().unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            ("0", Some(0)),
            ("999999999", Some(86_400)),
            ("Mon, 30 Nov 2026 09:01:30 GMT", Some(90)),
            ("Mon, 30 Nov 2026 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn keys_go_over_tls_or_nowhere() {
        for (url, expected) in [
            ("https://api.example/", Ok("https://api.example")),
            ("https://api.example:8443/razor/", Ok("https://api.example:8443/razor")),
            ("http://127.0.0.1:80/", Ok("http://127.0.0.1")),
            ("http://[::1]:1", Ok("http://[::1]:1")),
            ("http://localhost:1", Ok("http://localhost:1")),
            ("http://api.example", Err(InvalidGatewaySettings::Unencrypted)),
            ("http://localhost.example", Err(InvalidGatewaySettings::Unencrypted)),
            ("https://user@api.example", Err(InvalidGatewaySettings::BaseUrl)),
            ("https://api.example/?x", Err(InvalidGatewaySettings::BaseUrl)),
            ("https://api.example/#x", Err(InvalidGatewaySettings::BaseUrl)),
            ("ftp://127.0.0.1", Err(InvalidGatewaySettings::BaseUrl)),
            ("api.example", Err(InvalidGatewaySettings::BaseUrl)),
        ] {
            assert_eq!(base_url(url, false), expected.map(str::to_owned), "{url}");
        }
        assert_eq!(base_url("http://sandbox:8026", true), Ok("http://sandbox:8026".to_owned()));
    }

    #[test]
    fn a_sentence_is_no_code() {
        assert_eq!(word("BAD_REQUEST_ERROR").as_deref(), Some("bad_request_error"));
        for text in ["", "Your card ending 4242", "a@b.example", &"x".repeat(65)] {
            assert_eq!(word(text), None, "{text}");
        }
    }
}
