//! Talking to the API.

use super::{SOON, eventually};
use reqwest::{
    Method, RequestBuilder,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;
use std::time::Duration;

/// How long a connection is kept for the next request. Below what the API and the sandbox keep an idle one: a request
/// that crosses their closing on the way has no answer.
const KEPT: Duration = Duration::from_secs(3);

/// A caller of one API process, signed in or not.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    /// Nobody in particular.
    pub fn new(base: &str) -> Self {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(40))
            .pool_idle_timeout(KEPT)
            .redirect(reqwest::redirect::Policy::none());
        Self { http: http.build().expect("a client"), base: base.to_owned(), token: None }
    }

    /// The same with a token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same place, as nobody in particular.
    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// The same caller at another process.
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// Where it asks.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Its token.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Any method.
    pub fn call(&self, method: &str, path: &str) -> Call {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let call = self.http.request(method, format!("{}{path}", self.base));
        Call(match &self.token {
            Some(token) => call.bearer_auth(token),
            None => call,
        })
    }

    /// GET.
    pub fn get(&self, path: &str) -> Call {
        self.call("GET", path)
    }

    /// POST with a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.call("POST", path).json(body)
    }

    /// PUT with a JSON body.
    pub fn put(&self, path: &str, body: &Value) -> Call {
        self.call("PUT", path).json(body)
    }
}

/// A request in the making.
pub struct Call(RequestBuilder);

impl Call {
    /// One more header field.
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        Self(self.0.header(name, HeaderValue::from_bytes(value.as_ref()).expect("a value")))
    }

    /// The caller's name for this request.
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// A JSON body.
    pub fn json(self, body: &Value) -> Self {
        Self(self.0.json(body))
    }

    /// Any body, without a type.
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.body(body))
    }

    /// The answer; no answer fails the test.
    pub async fn send(self) -> Reply {
        self.try_send().await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// The answer, asked for again while the service says that it is too busy. For what only prepares a test.
    pub async fn patiently(self) -> Reply {
        eventually("an answer", SOON, async || {
            let reply = Self(self.0.try_clone().expect("a body in memory")).send().await;
            (reply.status != 503).then_some(reply)
        })
        .await
    }

    /// The answer, if there is one. A connection that the client opened to have one in store, and on which nothing was
    /// asked in time, is closed with a 408 without a body; when the first request crosses it on the way, it was not
    /// read and is sent again (RFC 9110, section 15.5.9).
    pub async fn try_send(self) -> Result<Reply, reqwest::Error> {
        let again = self.0.try_clone();
        let reply = Reply::of(self.0.send().await?).await?;
        match again {
            Some(again) if reply.status == 408 && reply.body.is_empty() => Reply::of(again.send().await?).await,
            _ => Ok(reply),
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

impl Reply {
    async fn of(response: reqwest::Response) -> Result<Self, reqwest::Error> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, body: response.bytes().await?.to_vec() })
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header field, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A problem's code, empty when it is none.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// The body of a refusal that must be this one, in the shape of every refusal.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{}", self.text());
        self.assert_is_problem();
        body
    }

    /// RFC 9457 with our members.
    #[track_caller]
    pub fn assert_is_problem(&self) {
        let body = self.json();
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        assert_eq!(body["status"], self.status);
        for member in ["type", "title", "detail", "instance", "code", "correlation_id"] {
            assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "no {member}: {body}");
        }
        assert!(body["type"].as_str().unwrap().ends_with(&format!("/{}", body["code"].as_str().unwrap())), "{body}");
        assert_eq!(body["correlation_id"], self.header("x-correlation-id"), "{body}");
        if self.status == 401 {
            assert_eq!(self.header("www-authenticate"), "Bearer");
        }
        if self.status == 503 {
            assert!(self.header("retry-after").parse::<u32>().is_ok(), "503 without Retry-After");
        }
    }
}
