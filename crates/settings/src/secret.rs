//! Values that are used but not shown.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};
use url::Url;

const MASK: &str = "***";

/// A password or key. `Debug` and `Serialize` show a mask; its memory is wiped when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The value, on purpose.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// A URL with credentials in it. Shows scheme, host, port and path; user, password and query are masked.
#[derive(Clone)]
pub struct SecretUrl {
    whole: SecretString,
    shown: String,
}

/// Not a URL with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a URL with a host")]
pub struct InvalidUrl;

impl SecretUrl {
    /// All of it, on purpose.
    pub fn expose(&self) -> &str {
        self.whole.expose_secret()
    }

    /// The scheme, without `://`.
    pub fn scheme(&self) -> &str {
        self.shown.split("://").next().unwrap_or_default()
    }
}

impl FromStr for SecretUrl {
    type Err = InvalidUrl;
    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let url = Url::parse(text).map_err(|_| InvalidUrl)?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(InvalidUrl);
        }
        Ok(Self { whole: text.to_owned().into(), shown: masked(&url) })
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl<'de> Deserialize<'de> for SecretUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown)
    }
}

fn masked(url: &Url) -> String {
    let user = if url.username().is_empty() && url.password().is_none() { String::new() } else { format!("{MASK}@") };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    // Drivers take passwords as parameters, too: `?password=`.
    let query = if url.query().is_some() { format!("?{MASK}") } else { String::new() };
    format!("{}://{user}{}{port}{}{query}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// The settings as JSON for `--print-config`. Masks [`Secret`] and [`SecretUrl`] by their types, and the credentials in
/// any other text that is a URL.
pub fn printable<T: Serialize>(settings: &T) -> String {
    let shown = serde_json::to_value(settings).map(mask_urls);
    shown
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| "settings that can't be shown".into())
}

fn mask_urls(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => match Url::parse(&text) {
            Ok(url) if url.password().is_some() || (url.has_host() && !url.username().is_empty()) => {
                Value::String(masked(&url))
            }
            _ => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(mask_urls).collect(),
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(k, v)| (k, mask_urls(v))).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_is_shown() {
        #[derive(Debug, Serialize)]
        struct Settings {
            key: Secret,
            broker: SecretUrl,
            plain: String,
            list: Vec<String>,
        }
        let settings = Settings {
            key: Secret::from("canary-a".to_owned()),
            broker: "amqps://canary-b:canary-c@mq.example:5671/live?password=canary-d".parse().unwrap(),
            plain: "https://canary-e:canary-f@host/x".into(),
            list: vec!["redis://:canary-g@r1:6379/0".into(), "info".into()],
        };
        for shown in [printable(&settings), format!("{:?} {:?} {}", settings.key, settings.broker, settings.broker)] {
            assert!(!shown.contains("canary"), "{shown}");
            assert!(shown.contains("amqps://***@mq.example:5671/live?***"), "{shown}");
        }
        assert!(printable(&settings).contains("redis://***@r1:6379/0"));
        assert!(printable(&settings).contains("info"));
        assert_eq!(settings.key.expose(), "canary-a");
        assert!(settings.broker.expose().contains("canary-c"));
    }

    #[test]
    fn a_url_needs_a_host() {
        for text in ["", "mq", "mailto:x@y", "amqp:///x", "file:///etc"] {
            assert_eq!(text.parse::<SecretUrl>().err(), Some(InvalidUrl), "{text}");
        }
        let plain: SecretUrl = "http://collector:4318".parse().unwrap();
        assert_eq!((plain.scheme(), plain.to_string().as_str()), ("http", "http://collector:4318/"));
    }
}
