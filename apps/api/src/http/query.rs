//! Reading a query string.

use crate::problem::{Code, FieldError, Problem};
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::future::{Ready, ready};

/// Parameters whose fields are optional texts; anything else is refused.
#[derive(Debug)]
pub(crate) struct Query<T> {
    /// By name.
    pub(crate) value: T,
    /// As sent, for the next page's link.
    pub(crate) raw: String,
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let raw = request.query_string();
        ready(parse(raw).map(|value| Self { value, raw: raw.to_owned() }))
    }
}

fn parse<T: DeserializeOwned>(raw: &str) -> Result<T, Problem> {
    let mut parameters = Map::new();
    for (name, value) in url::form_urlencoded::parse(raw.as_bytes()) {
        // The parser puts U+FFFD for what is not UTF-8; control characters mean nothing in any parameter.
        if [&name, &value].iter().any(|text| text.chars().any(|c| c.is_control() || c == '\u{fffd}')) {
            return Err(Problem::new(Code::MalformedQuery).detail("the query is not UTF-8, or has control characters"));
        }
        if parameters.insert(name.to_string(), Value::String(value.into_owned())).is_some() {
            return Err(at(Problem::new(Code::MalformedQuery), &name, "is given twice"));
        }
    }
    let names: Vec<String> = parameters.keys().cloned().collect();
    serde_json::from_value(Value::Object(parameters)).map_err(|error| {
        let text = error.to_string();
        let named = text.split('`').nth(1).unwrap_or_default();
        if names.iter().any(|name| name == named) {
            at(Problem::new(Code::UnknownField), named, "there is no such parameter")
        } else {
            Problem::new(Code::MalformedQuery)
        }
    })
}

fn at(problem: Problem, name: &str, detail: &'static str) -> Problem {
    let code = problem.code().as_str();
    let pointer = format!("/{}", name.chars().take(64).collect::<String>());
    problem.detail(detail).error(FieldError {
        pointer,
        location: Some("query"),
        code: code.into(),
        detail: detail.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Filter {
        q: Option<String>,
    }

    #[test]
    fn parameters_are_known_single_and_clean() {
        assert_eq!(parse::<Filter>("q=a%20b").unwrap().q.as_deref(), Some("a b"));
        assert_eq!(parse::<Filter>("").unwrap().q, None);
        for (raw, code) in [
            ("x=1", Code::UnknownField),
            ("q=1&q=2", Code::MalformedQuery),
            ("q=%ff", Code::MalformedQuery),
            ("q=%00", Code::MalformedQuery),
        ] {
            assert_eq!(parse::<Filter>(raw).unwrap_err().code(), code, "{raw}");
        }
    }
}
