//! Where the broker is, and how patient we are with it.

use amrutam_settings::{Problems, SecretUrl, Validate};
use amrutam_tls::{Trust, TrustError};
use lapin::uri::AMQPUri;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Section `amqp`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `amqp://user:password@host:port/vhost`, or `amqps://` for TLS. An empty vhost means `/`; `?heartbeat=` is 5 s
    /// unless given.
    pub url: SecretUrl,
    /// Who may vouch for an `amqps://` broker: authorities' certificates in PEM; the public ones unless given.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// First part of every queue's and exchange's name.
    #[serde(default = "defaults::prefix")]
    pub prefix: String,
    /// Messages a consumer holds at once, also its concurrency. At most 16: all of them come back redelivered when the process dies.
    #[serde(default = "defaults::prefetch")]
    pub prefetch: u16,
    /// How long a publish waits for the broker's confirm.
    #[serde(default = "defaults::confirm_timeout_ms")]
    pub confirm_timeout_ms: u64,
    /// How long one attempt to connect and declare may take.
    #[serde(default = "defaults::connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// How long a handler may take before it is dropped and the message tried again.
    #[serde(default = "defaults::handler_timeout_ms")]
    pub handler_timeout_ms: u64,
    /// How long running handlers may go on after a stop.
    #[serde(default = "defaults::stop_timeout_ms")]
    pub stop_timeout_ms: u64,
}

mod defaults {
    pub(super) fn prefix() -> String {
        "amrutam".into()
    }
    pub(super) fn prefetch() -> u16 {
        16
    }
    pub(super) fn confirm_timeout_ms() -> u64 {
        5_000
    }
    pub(super) fn connect_timeout_ms() -> u64 {
        5_000
    }
    pub(super) fn handler_timeout_ms() -> u64 {
        30_000
    }
    pub(super) fn stop_timeout_ms() -> u64 {
        25_000
    }
}

impl Settings {
    /// The defaults, for `url`.
    pub fn new(url: SecretUrl) -> Self {
        Self {
            url,
            ca_file: None,
            prefix: defaults::prefix(),
            prefetch: defaults::prefetch(),
            confirm_timeout_ms: defaults::confirm_timeout_ms(),
            connect_timeout_ms: defaults::connect_timeout_ms(),
            handler_timeout_ms: defaults::handler_timeout_ms(),
            stop_timeout_ms: defaults::stop_timeout_ms(),
        }
    }

    pub(crate) fn uri(&self) -> Result<AMQPUri, String> {
        let mut uri: AMQPUri = self.url.expose().parse()?;
        // Without heartbeats a frozen broker is noticed only by TCP, after many minutes.
        uri.query.heartbeat = uri.query.heartbeat.or(Some(5));
        if uri.vhost.is_empty() {
            uri.vhost = "/".into();
        }
        Ok(uri)
    }

    /// Read anew for each connection: a broker's authority may change while we run.
    pub(crate) fn trust(&self) -> Result<Trust, TrustError> {
        Trust::load(self.ca_file.as_deref())
    }

    pub(crate) fn confirm_timeout(&self) -> Duration {
        Duration::from_millis(self.confirm_timeout_ms)
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn handler_timeout(&self) -> Duration {
        Duration::from_millis(self.handler_timeout_ms)
    }

    pub(crate) fn stop_timeout(&self) -> Duration {
        Duration::from_millis(self.stop_timeout_ms)
    }
}

impl Validate for Settings {
    fn validate(&self, problems: &mut Problems) {
        problems.check(matches!(self.url.scheme(), "amqp" | "amqps"), "url", "must begin with amqp:// or amqps://");
        if self.uri().is_err() {
            problems.add("url", "is not an AMQP URL");
        }
        if let Err(problem) = self.trust() {
            problems.add("ca_file", problem);
        }
        // lapin would silently connect to localhost instead.
        problems.check(!self.url.to_string().contains('['), "url", "must not hold an IPv6 address; give a host name");
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        problems.check(
            (1..=64).contains(&self.prefix.len()) && self.prefix.chars().all(word),
            "prefix",
            "must be 1 to 64 of a-z, 0-9, '.', '-', '_'",
        );
        problems.check((1..=16).contains(&self.prefetch), "prefetch", "must be 1 to 16");
        for (field, value) in [
            ("confirm_timeout_ms", self.confirm_timeout_ms),
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("handler_timeout_ms", self.handler_timeout_ms),
            ("stop_timeout_ms", self.stop_timeout_ms),
        ] {
            problems.check((1..=600_000).contains(&value), field, "must be 1 to 600000");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(change: impl FnOnce(&mut Settings)) -> Vec<String> {
        let mut settings = Settings::new("amqp://u:p@mq:5672/%2f".parse().unwrap());
        change(&mut settings);
        let mut problems = Problems::default();
        settings.validate(&mut problems);
        problems.into_result().map_or_else(|e| e.problems().to_vec(), |()| Vec::new())
    }

    #[test]
    fn unusable_settings_are_refused() {
        assert_eq!(problems_of(|_| {}), Vec::<String>::new());
        assert_eq!(problems_of(|s| s.prefetch = 17).len(), 1);
        assert_eq!(problems_of(|s| (s.prefetch, s.confirm_timeout_ms) = (0, 0)).len(), 2);
        assert_eq!(problems_of(|s| s.prefix = "a b".into()).len(), 1);
        assert_eq!(problems_of(|s| s.url = "amqp://[::1]:5672".parse().unwrap()).len(), 1);
        assert!(!problems_of(|s| s.url = "http://mq".parse().unwrap()).is_empty());
        assert_eq!(problems_of(|s| s.ca_file = Some("/nowhere/ca.pem".into())).len(), 1);
    }

    #[test]
    fn heartbeat_and_vhost_are_filled_in() {
        let uri = |url: &str| Settings::new(url.parse().unwrap()).uri().unwrap();
        assert_eq!((uri("amqp://mq/").query.heartbeat, uri("amqp://mq/").vhost.as_str()), (Some(5), "/"));
        assert_eq!(uri("amqp://mq/live?heartbeat=9").query.heartbeat, Some(9));
        assert_eq!(uri("amqp://mq/live").vhost, "live");
    }
}
