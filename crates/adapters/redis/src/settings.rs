//! What an operator can set.

use amrutam_tls::Trust;
use bb8_redis::RedisConnectionManager;
use redis::{Client, TlsCertificates};
use serde::{Deserialize, Serialize, Serializer};
use std::{collections::HashMap, fmt, path::PathBuf};
use url::Url;

const DEFAULT_PORT: u16 = 6379;

/// The nodes and their bounds. Neither `Debug` nor `Serialize` shows more of a URL than scheme, host and port.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// One URL per independent node: `redis://[user:password@]host[:port][/db]`, or `rediss://` for TLS. An odd number
    /// of them; with none, every lock is unavailable and bookings go on without.
    #[serde(serialize_with = "shown_urls")]
    pub urls: Vec<String>,
    /// Who may vouch for a `rediss://` node: authorities' certificates in PEM; the public ones unless given.
    pub ca_file: Option<PathBuf>,
    /// How long a lock lives when nobody releases it.
    pub ttl_ms: u64,
    /// How long an attempt may take before the booking goes on without a lock; also a node's time to answer.
    pub deadline_ms: u64,
    /// What every key of a lock begins with.
    pub prefix: String,
    /// The Redis that limits and sessions share, in the form of [`Settings::urls`]; the first of those unless set. Without any,
    /// each process counts for itself.
    #[serde(serialize_with = "shown_url")]
    pub cache_url: Option<String>,
    /// What every key there begins with.
    pub cache_prefix: String,
    /// How many connections to it.
    pub cache_connections: u32,
    /// How long it may take before the process goes on without it.
    pub cache_deadline_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            ca_file: None,
            ttl_ms: 5_000,
            deadline_ms: 120,
            prefix: "amrutam:lock:slot:".to_owned(),
            cache_url: None,
            cache_prefix: "amrutam:".to_owned(),
            cache_connections: 8,
            cache_deadline_ms: 100,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = self.urls.iter().map(|url| shown(url)).collect();
        f.debug_struct("Settings")
            .field("urls", &urls)
            .field("ca_file", &self.ca_file)
            .field("ttl_ms", &self.ttl_ms)
            .field("deadline_ms", &self.deadline_ms)
            .field("prefix", &self.prefix)
            .field("cache_url", &self.cache_url.as_deref().map(shown))
            .field("cache_prefix", &self.cache_prefix)
            .field("cache_connections", &self.cache_connections)
            .field("cache_deadline_ms", &self.cache_deadline_ms)
            .finish()
    }
}

/// The settings can't be used; every problem, by field and without values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the settings of Redis can't be used: {}", .0.join("; "))]
pub struct InvalidSettings(Vec<String>);

impl InvalidSettings {
    /// Each problem, starting with its field.
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl Settings {
    /// Finds every problem without touching the network.
    ///
    /// # Errors
    /// When there is a problem.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        let locks = self.endpoints().map(drop);
        let cache = self.cache().map(drop);
        let problems: Vec<_> = [locks, cache].into_iter().filter_map(Result::err).flat_map(|error| error.0).collect();
        if problems.is_empty() { Ok(()) } else { Err(InvalidSettings(problems)) }
    }

    /// The way to the cache, if there is one.
    pub(crate) fn cache(&self) -> Result<Option<RedisConnectionManager>, InvalidSettings> {
        let mut problems = Vec::new();
        if !(1..=256).contains(&self.cache_connections) {
            problems.push("cache_connections: must be from 1 to 256".to_owned());
        }
        if !(1..=1_000).contains(&self.cache_deadline_ms) {
            problems.push("cache_deadline_ms: must be from 1 to 1000".to_owned());
        }
        if !is_prefix(&self.cache_prefix) {
            problems.push("cache_prefix: must be visible ASCII, and some of it".to_owned());
        }
        // What is wrong with the file is said of the lock nodes.
        let certificates = self.certificates().unwrap_or_else(|_| certificates(None));
        let manager = match (&self.cache_url, self.urls.first()) {
            (Some(url), _) => match endpoint(url, &certificates) {
                Ok((_, endpoint)) => Some(endpoint.pooled),
                Err(problem) => {
                    problems.push(format!("cache_url: {problem}"));
                    None
                }
            },
            // What is wrong with it is said of the lock nodes.
            (None, first) => {
                first.and_then(|url| endpoint(url, &certificates).ok()).map(|(_, endpoint)| endpoint.pooled)
            }
        };
        if problems.is_empty() { Ok(manager) } else { Err(InvalidSettings(problems)) }
    }

    fn certificates(&self) -> Result<TlsCertificates, String> {
        let trust = Trust::load(self.ca_file.as_deref()).map_err(|problem| problem.to_string())?;
        Ok(certificates(trust.pem().map(<[u8]>::to_vec)))
    }

    pub(crate) fn endpoints(&self) -> Result<Vec<Endpoint>, InvalidSettings> {
        let mut problems = Vec::new();
        let mut endpoints = Vec::new();
        let mut seen = HashMap::new();
        let certificates = self.certificates().unwrap_or_else(|problem| {
            problems.push(format!("ca_file: {problem}"));
            certificates(None)
        });
        for (index, text) in self.urls.iter().enumerate() {
            match endpoint(text, &certificates) {
                Ok((address, endpoint)) => {
                    if let Some(first) = seen.insert(address, index) {
                        problems.push(format!("urls[{index}]: is the same node as urls[{first}]"));
                    }
                    endpoints.push(endpoint);
                }
                Err(problem) => problems.push(format!("urls[{index}]: {problem}")),
            }
        }
        if !(1..=1_000).contains(&self.deadline_ms) {
            problems.push("deadline_ms: must be from 1 to 1000".to_owned());
        }
        if !(1_000..=60_000).contains(&self.ttl_ms) {
            problems.push("ttl_ms: must be from 1000 to 60000".to_owned());
        } else if self.ttl_ms < self.deadline_ms.saturating_mul(2) {
            problems.push("ttl_ms: must be at least twice deadline_ms".to_owned());
        }
        if !is_prefix(&self.prefix) {
            problems.push("prefix: must be visible ASCII, and some of it".to_owned());
        }
        if problems.is_empty() { Ok(endpoints) } else { Err(InvalidSettings(problems)) }
    }
}

fn certificates(root_cert: Option<Vec<u8>>) -> TlsCertificates {
    TlsCertificates { client_tls: None, root_cert }
}

fn is_prefix(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Two ways to one node: the lock's, and that of a pool.
pub(crate) struct Endpoint {
    pub(crate) client: Client,
    pub(crate) pooled: RedisConnectionManager,
}

/// Errors of the parsers are replaced: they may quote what they were given.
fn endpoint(text: &str, certificates: &TlsCertificates) -> Result<((String, u16), Endpoint), &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    if !matches!(url.scheme(), "redis" | "rediss") {
        return Err("must begin with redis:// or rediss://");
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("has no host")?.to_ascii_lowercase();
    // The only fragment the client knows is `#insecure`.
    if url.fragment().is_some() {
        return Err("must not have a fragment: certificates are always checked");
    }
    let client = match url.scheme() {
        "rediss" => Client::build_with_tls(text, certificates.clone()),
        _ => Client::open(text),
    };
    let client = client.map_err(|_| "is not a Redis URL")?;
    let pooled = RedisConnectionManager::new(client.get_connection_info().clone()).map_err(|_| "is not a Redis URL")?;
    Ok(((host, url.port().unwrap_or(DEFAULT_PORT)), Endpoint { client, pooled }))
}

fn shown(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.has_host() => {
            let port = url.port().unwrap_or(DEFAULT_PORT);
            format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default())
        }
        _ => "(not a URL)".to_owned(),
    }
}

fn shown_url<S: Serializer>(url: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_deref().map(shown).serialize(serializer)
}

fn shown_urls<S: Serializer>(urls: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(urls.iter().map(|url| shown(url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(urls: &[&str]) -> Settings {
        Settings { urls: urls.iter().map(|&url| url.to_owned()).collect(), ..Settings::default() }
    }

    #[test]
    fn defaults_are_those_of_the_design() {
        let settings: Settings = serde_json::from_str("{}").unwrap();
        assert_eq!((settings.ttl_ms, settings.deadline_ms), (5_000, 120));
        assert_eq!(settings.prefix, "amrutam:lock:slot:");
        assert_eq!(settings.validate(), Ok(()), "no node at all is a deployment without Redis");
    }

    #[test]
    fn every_problem_is_named_at_once_and_without_the_value() {
        let mut settings =
            with(&["redis://:canary@R1", "redis://u:canary@r1:6379/2", "http://canary", "canary", "redis:///0"]);
        settings.deadline_ms = 0;
        settings.ttl_ms = 10;
        settings.prefix = "a b".to_owned();
        settings.cache_url = Some("canary://x".to_owned());
        settings.cache_connections = 0;
        settings.cache_deadline_ms = 1_001;
        settings.cache_prefix = String::new();
        let error = settings.validate().unwrap_err();
        let fields: Vec<_> = error.problems().iter().map(|p| p.split(':').next().unwrap()).collect();
        let locks = ["urls[1]", "urls[2]", "urls[3]", "urls[4]", "deadline_ms", "ttl_ms", "prefix"];
        let cache = ["cache_connections", "cache_deadline_ms", "cache_prefix", "cache_url"];
        assert_eq!(fields, [&locks[..], &cache[..]].concat());
        assert!(!error.to_string().contains("canary"), "{error}");
        assert!(error.to_string().contains("urls[1]: is the same node as urls[0]"), "{error}");
    }

    #[test]
    fn a_certificate_that_would_not_be_checked_is_refused() {
        let error = with(&["rediss://r1:6380/#insecure"]).validate().unwrap_err();
        assert_eq!(error.problems(), ["urls[0]: must not have a fragment: certificates are always checked"]);
        let settings = Settings { ca_file: Some("/nowhere/canary.pem".into()), ..with(&["rediss://r1"]) };
        assert_eq!(settings.validate().unwrap_err().problems(), ["ca_file: can't be read"]);
    }

    #[test]
    fn a_lock_outlives_the_attempt() {
        let settings = Settings { ttl_ms: 1_000, deadline_ms: 501, ..Settings::default() };
        assert_eq!(settings.validate().unwrap_err().problems(), ["ttl_ms: must be at least twice deadline_ms"]);
    }

    #[test]
    fn the_cache_is_the_first_node_unless_it_is_named() {
        assert!(Settings::default().cache().unwrap().is_none());
        assert!(with(&["redis://r1", "redis://r2"]).cache().unwrap().is_some());
        assert!(
            Settings { cache_url: Some("redis://r3".to_owned()), ..Settings::default() }.cache().unwrap().is_some()
        );
    }

    #[test]
    fn no_credential_is_shown() {
        let mut settings =
            with(&["redis://canary-user:canary-word@r1:7000/0?x=canary", "rediss://:canary@r2", "canary"]);
        settings.cache_url = Some("redis://:canary@r3".to_owned());
        for text in [format!("{settings:?}"), serde_json::to_string(&settings).unwrap()] {
            assert!(!text.contains("canary"), "{text}");
            assert!(text.contains(r#"["redis://r1:7000","#) || text.contains(r#"["redis://r1:7000", "#), "{text}");
            assert!(text.contains("redis://r3:6379"), "{text}");
        }
    }
}
