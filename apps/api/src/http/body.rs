//! Reading a JSON body: bounded in size and time, with a precise answer for everything that can be wrong with it.

use super::Fields;
use crate::{
    problem::{Code, FieldError, Problem},
    services::{Limits, Services},
};
use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    error::PayloadError,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap},
    web::{Bytes, BytesMut, Data},
};
use futures::{StreamExt, future::LocalBoxFuture};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeOwned, MapAccess, Unexpected, Visitor, value::MapAccessDeserializer},
};
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};
use std::{fmt, marker::PhantomData};

/// A body that is `T` in JSON, and the bytes it came in.
#[derive(Debug)]
pub(crate) struct Body<T> {
    /// As sent, for the fingerprint.
    pub(crate) raw: Bytes,
    /// What it says.
    pub(crate) value: T,
}

/// A body that need not be there: none at all says what an empty object does.
#[derive(Debug)]
pub(crate) struct MaybeBody<T> {
    /// As sent, for the fingerprint.
    pub(crate) raw: Bytes,
    /// What it says.
    pub(crate) value: T,
}

/// A body as it came, for who must see its very bytes before anything is made of them.
#[derive(Debug)]
pub(crate) struct RawBody(pub(crate) Bytes);

impl FromRequest for RawBody {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limits = limits(request);
        let length = content_length(request.headers());
        let payload = payload.take();
        Box::pin(async move { read(payload, length, limits?).await.map(Self) })
    }
}

/// A body that says nothing: none at all, or an empty object.
pub(crate) type NoBody = MaybeBody<Nothing>;

/// What an empty object is.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let head = limits(request).and_then(|limits| check_type(request.headers()).map(|()| limits));
        let length = content_length(request.headers());
        let payload = payload.take();
        Box::pin(async move {
            let raw = read(payload, length, head?).await?;
            let value = parse(&raw)?;
            Ok(Self { raw, value })
        })
    }
}

impl<T: DeserializeOwned + Default + 'static> FromRequest for MaybeBody<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limits = limits(request);
        let kind = check_type(request.headers());
        let length = content_length(request.headers());
        let payload = payload.take();
        Box::pin(async move {
            let raw = read(payload, length, limits?).await?;
            if raw.is_empty() {
                return Ok(Self { raw, value: T::default() });
            }
            kind?;
            let value = parse(&raw)?;
            Ok(Self { raw, value })
        })
    }
}

fn limits(request: &HttpRequest) -> Result<Limits, Problem> {
    let services = request.app_data::<Data<Services>>();
    services.map(|services| services.limits).ok_or_else(|| Problem::internal("no services"))
}

/// `application/json`, in UTF-8 if it says so, as it is: a compressed body could be far larger than it looks.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let unsupported =
        || Problem::new(Code::UnsupportedMediaType).detail("send application/json in UTF-8, not compressed").closing();
    let mut types = headers.get_all(CONTENT_TYPE);
    let (Some(kind), None) = (types.next(), types.next()) else { return Err(unsupported()) };
    let kind = kind.to_str().map_err(|_| unsupported())?;
    let mut parts = kind.split(';').map(str::trim);
    let json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let utf8 = parts.filter(|part| !part.is_empty()).all(|parameter| {
        let charset = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
        charset.is_none_or(|(_, value)| value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8"))
    });
    let plain = headers.get_all(CONTENT_ENCODING).all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if json && utf8 && plain { Ok(()) } else { Err(unsupported()) }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read(mut payload: Payload, length: Option<u64>, limits: Limits) -> Result<Bytes, Problem> {
    let too_large =
        || Problem::new(Code::PayloadTooLarge).detail(format!("at most {} bytes", limits.body_bytes)).closing();
    if length.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limits.body_bytes)) {
        return Err(too_large());
    }
    let all = async {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| unreadable(&error))?;
            if bytes.len() + chunk.len() > limits.body_bytes {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    };
    match tokio::time::timeout(limits.body_timeout, all).await {
        Ok(result) => result,
        Err(_) => Err(Problem::new(Code::RequestTimeout).detail("the body did not arrive in time").closing()),
    }
}

fn unreadable(error: &PayloadError) -> Problem {
    Problem::new(Code::MalformedBody).detail("the body can't be read").because(error).closing()
}

/// A struct that is written as a JSON object. Serde's own reading of structs takes arrays, too.
#[derive(Debug, Clone)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Only<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Only<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(Only(PhantomData)).map(Self)
    }
}

/// A whole number of any size. One beyond 64 bits becomes the nearest within, which is outside of every range we have: it
/// is a number, so it is no wrong type but a wrong value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Integer(pub(crate) i64);

/// 2 to the 63rd: from here on numbers don't fit, and have no fraction.
const BEYOND: f64 = 9_223_372_036_854_775_808.0;

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;

        impl Visitor<'_> for Whole {
            type Value = Integer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Integer, E> {
                Ok(Integer(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Integer, E> {
                Ok(Integer(i64::try_from(number).unwrap_or(i64::MAX)))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Integer, E> {
                if number >= BEYOND {
                    Ok(Integer(i64::MAX))
                } else if number <= -BEYOND {
                    Ok(Integer(i64::MIN))
                } else {
                    Err(E::invalid_type(Unexpected::Float(number), &self))
                }
            }
        }

        deserializer.deserialize_i64(Whole)
    }
}

/// The value, or what is wrong and where. Details never repeat what was sent: it may be about a person.
pub(crate) fn parse<T: DeserializeOwned>(raw: &[u8]) -> Result<T, Problem> {
    let text =
        std::str::from_utf8(raw).map_err(|_| Problem::new(Code::MalformedBody).detail("the body is not UTF-8"))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        explain(&pointer, error.inner())
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(Code::MalformedBody).detail(format!(
        "the body is not valid JSON (line {}, column {})",
        error.line(),
        error.column()
    ))
}

fn explain(pointer: &str, error: &serde_json::Error) -> Problem {
    if error.classify() != Category::Data {
        return malformed(error);
    }
    let text = error.to_string();
    let named = text.split('`').nth(1).unwrap_or_default();
    let inside = |name: &str| match pointer.rsplit_once('/') {
        Some((_, last)) if last == escape(name) => pointer.to_owned(),
        _ => format!("{pointer}/{}", escape(name)),
    };
    if text.starts_with("unknown field") {
        Problem::new(Code::UnknownField).detail("there is no such field").at(inside(named))
    } else if text.starts_with("missing field") {
        let mut fields = Fields::default();
        fields.refuse(inside(named), "required", "is required");
        fields.into_problem()
    } else if text.starts_with("duplicate field") {
        Problem::new(Code::MalformedBody).detail("a field is given twice").at(inside(named))
    } else {
        let expected = text.rsplit_once("expected ").map(|(_, rest)| rest.split(" at line ").next().unwrap_or(rest));
        let detail =
            expected.and_then(in_json).map_or("has the wrong type".to_owned(), |kind| format!("expected {kind}"));
        Problem::new(Code::InvalidType).error(FieldError {
            pointer: pointer.to_owned(),
            location: None,
            code: Code::InvalidType.as_str().into(),
            detail: detail.into(),
        })
    }
}

/// What JSON calls a type. Serde names those of Rust, too, which say nothing to a caller.
fn in_json(expected: &str) -> Option<&'static str> {
    match expected {
        "an object" | "a map" => Some("an object"),
        "a sequence" => Some("an array"),
        "a string" => Some("a string"),
        "a boolean" => Some("true or false"),
        "an integer" => Some("an integer"),
        _ => None,
    }
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let part = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => escape(key),
            Segment::Enum { variant } => escape(variant),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&part);
    }
    pointer
}

/// RFC 6901; and a name we did not choose is not repeated at length.
fn escape(name: &str) -> String {
    name.chars().take(64).collect::<String>().replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its type matters")]
        name: String,
        #[expect(dead_code, reason = "only its type matters")]
        fee: Option<Object<Fee>>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fee {
        #[expect(dead_code, reason = "only its type matters")]
        amount: Integer,
    }

    fn refused(raw: &[u8]) -> serde_json::Value {
        let problem = parse::<Outer>(raw).unwrap_err();
        let body: serde_json::Value = serde_json::from_str(&problem.render_for_tests()).unwrap();
        serde_json::json!([body["code"], body["errors"][0]["pointer"], body["errors"][0]["code"]])
    }

    #[test]
    fn everything_that_can_be_wrong_with_json_has_its_code_and_place() {
        let none = serde_json::Value::Null;
        let table: &[(&[u8], serde_json::Value)] = &[
            (b"", serde_json::json!(["malformed_body", none, none])),
            (b"{", serde_json::json!(["malformed_body", none, none])),
            (b"\xff\xfe", serde_json::json!(["malformed_body", none, none])),
            (b"{\"name\":\"a\xc3\x28\"}", serde_json::json!(["malformed_body", none, none])),
            (b"{\"name\":\"a\"} x", serde_json::json!(["malformed_body", none, none])),
            (b"{\"name\":\"a\",\"x\":1}", serde_json::json!(["unknown_field", "/x", "unknown_field"])),
            (
                b"{\"name\":\"a\",\"fee\":{\"amount\":1,\"y\":2}}",
                serde_json::json!(["unknown_field", "/fee/y", "unknown_field"]),
            ),
            (b"{}", serde_json::json!(["validation_failed", "/name", "required"])),
            (b"{\"name\":\"a\",\"fee\":{}}", serde_json::json!(["validation_failed", "/fee/amount", "required"])),
            (b"{\"name\":1}", serde_json::json!(["invalid_type", "/name", "invalid_type"])),
            (
                b"{\"name\":\"a\",\"fee\":{\"amount\":\"1\"}}",
                serde_json::json!(["invalid_type", "/fee/amount", "invalid_type"]),
            ),
            (
                b"{\"name\":\"a\",\"fee\":{\"amount\":1.5}}",
                serde_json::json!(["invalid_type", "/fee/amount", "invalid_type"]),
            ),
            (b"{\"name\":\"a\",\"name\":\"b\"}", serde_json::json!(["malformed_body", "/name", "malformed_body"])),
            (b"[]", serde_json::json!(["invalid_type", "", "invalid_type"])),
            (b"[\"a\", null]", serde_json::json!(["invalid_type", "", "invalid_type"])),
            (b"{\"name\":\"a\",\"fee\":[1]}", serde_json::json!(["invalid_type", "/fee", "invalid_type"])),
            (b"\"name\"", serde_json::json!(["invalid_type", "", "invalid_type"])),
            (b"{\"name\":\"a\",\"a/b~c\":1}", serde_json::json!(["unknown_field", "/a~1b~0c", "unknown_field"])),
        ];
        for (raw, expected) in table {
            assert_eq!(&refused(raw), expected, "{}", String::from_utf8_lossy(raw));
        }
    }

    #[test]
    fn a_number_out_of_range_is_a_number() {
        for (text, number) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("70000", Some(70_000)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", Some(i64::MAX)),
            ("99999999999999999999999", Some(i64::MAX)),
            ("-99999999999999999999999", Some(i64::MIN)),
            ("1e300", Some(i64::MAX)),
            ("1.5", None),
            ("1.0", None),
            ("\"1\"", None),
            ("true", None),
            ("null", None),
            ("[1]", None),
        ] {
            assert_eq!(serde_json::from_str::<Integer>(text).ok(), number.map(Integer), "{text}");
        }
    }

    #[test]
    fn details_name_types_as_json_does() {
        #[derive(Debug, serde::Deserialize)]
        struct Every {
            #[expect(dead_code, reason = "only its type matters")]
            integer: Option<Integer>,
            #[expect(dead_code, reason = "only its type matters")]
            byte: Option<u8>,
            #[expect(dead_code, reason = "only its type matters")]
            text: Option<String>,
            #[expect(dead_code, reason = "only its type matters")]
            list: Option<Vec<String>>,
            #[expect(dead_code, reason = "only its type matters")]
            object: Option<Object<Fee>>,
            #[expect(dead_code, reason = "only its type matters")]
            plain: Option<Fee>,
            #[expect(dead_code, reason = "only its type matters")]
            flag: Option<bool>,
        }
        for (raw, detail) in [
            ("{\"integer\":\"1\"}", "expected an integer"),
            ("{\"byte\":300}", "has the wrong type"),
            ("{\"text\":1}", "expected a string"),
            ("{\"list\":1}", "expected an array"),
            ("{\"object\":1}", "expected an object"),
            ("{\"plain\":1}", "has the wrong type"),
            ("{\"flag\":1}", "expected true or false"),
            ("1", "expected an object"),
        ] {
            let problem = parse::<Every>(raw.as_bytes()).unwrap_err();
            let body: serde_json::Value = serde_json::from_str(&problem.render_for_tests()).unwrap();
            assert_eq!(body["errors"][0]["detail"], detail, "{raw}");
        }
    }

    #[test]
    fn a_body_has_a_depth_that_ends() {
        #[derive(Debug, serde::Deserialize)]
        struct Free {
            #[expect(dead_code, reason = "only its type matters")]
            any: serde_json::Value,
        }
        let nested = |depth: usize| format!("{{\"any\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse::<Free>(nested(100).as_bytes()).is_ok());
        assert_eq!(parse::<Free>(nested(500).as_bytes()).unwrap_err().code(), Code::MalformedBody);
    }

    #[test]
    fn what_was_sent_is_not_repeated() {
        let problem = parse::<Outer>(b"{\"name\":\"a\",\"fee\":\"canary\"}").unwrap_err();
        assert!(!problem.render_for_tests().contains("canary"));
    }

    #[test]
    fn only_plain_json_in_utf8_is_taken() {
        let with = |kind: &str, coding: Option<&str>| {
            let mut headers = HeaderMap::new();
            let mut put = |name: HeaderName, value: &str| headers.append(name, HeaderValue::from_str(value).unwrap());
            put(CONTENT_TYPE, kind);
            if let Some(coding) = coding {
                put(CONTENT_ENCODING, coding);
            }
            check_type(&headers).is_ok()
        };
        for good in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""] {
            assert!(with(good, None), "{good}");
        }
        for bad in ["text/plain", "application/json; charset=latin1", "application/x-www-form-urlencoded", ""] {
            assert!(!with(bad, None), "{bad}");
        }
        assert!(!with("application/json", Some("gzip")));
        assert!(check_type(&HeaderMap::new()).is_err());
    }
}
