//! What an operator can set: `AMRUTAM__SECTION__KEY` in the environment, or a file.

mod limits;
mod proxies;

pub use limits::{ClassLimit, RateLimits, RouteClass};
pub use proxies::{ForwardedField, Proxies};

use crate::{
    http::{Cors, ProductionCors},
    tls::{ProductionTls, Tls},
};
use amrutam_booking::model;
use amrutam_crypto::{HasherSettings, KeySource, TokenSettings};
use amrutam_identity::model::IdentityRules;
use amrutam_kernel::Role;
use amrutam_postgres::ProductionKeys;
use amrutam_settings::{Audit, Business, Environment, Problems, ProductionRetention, Secret, Validate};
pub use amrutam_settings::{Payments, PaymentsMode, Retention};
use amrutam_telemetry::TelemetrySettings;
use serde::{Deserialize, Serialize};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    thread,
};

const EXAMPLE_ISSUER: &str = "https://amrutam.example";
const EXAMPLE_KEY_DIR: &str = ".dev/keys";

/// Section `http`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Where the API listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where metrics are scraped; not to be reachable from outside.
    pub metrics_listen: SocketAddr,
    /// Threads that serve requests; one per core unless said.
    pub workers: usize,
    /// The most a request's body may hold.
    pub body_limit_bytes: usize,
    /// How long a request's head may take to arrive.
    pub header_timeout_secs: u64,
    /// How long a body may take to arrive.
    pub body_timeout_secs: u64,
    /// How long a request may take in all.
    pub request_timeout_secs: u64,
    /// How long an idle connection is kept.
    pub keep_alive_secs: u64,
    /// The most header fields of a request.
    pub max_headers: usize,
    /// The most a request's head may hold.
    pub header_limit_bytes: usize,
    /// How long requests under way may take to finish when the process is told to end.
    pub shutdown_timeout_secs: u64,
    /// How long, before that, the process goes on while it says that it is not ready.
    pub shutdown_grace_ms: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            metrics_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)),
            workers: thread::available_parallelism().map_or(1, usize::from),
            body_limit_bytes: 64 * 1024,
            header_timeout_secs: 5,
            body_timeout_secs: 10,
            request_timeout_secs: 20,
            keep_alive_secs: 30,
            max_headers: 64,
            header_limit_bytes: 16 * 1024,
            shutdown_timeout_secs: 25,
            shutdown_grace_ms: 1_000,
        }
    }
}

impl Validate for Http {
    fn validate(&self, problems: &mut Problems) {
        problems.check((1..=256).contains(&self.workers), "workers", "1 to 256");
        problems.check((1_024..=1_048_576).contains(&self.body_limit_bytes), "body_limit_bytes", "1024 to 1048576");
        for (field, seconds) in [
            ("header_timeout_secs", self.header_timeout_secs),
            ("body_timeout_secs", self.body_timeout_secs),
            ("request_timeout_secs", self.request_timeout_secs),
            ("keep_alive_secs", self.keep_alive_secs),
            ("shutdown_timeout_secs", self.shutdown_timeout_secs),
        ] {
            problems.check((1..=300).contains(&seconds), field, "1 to 300 seconds");
        }
        // Else a request that was let in is cut when the process ends.
        let finishes = self.request_timeout_secs <= self.shutdown_timeout_secs;
        problems.check(finishes, "request_timeout_secs", "at most shutdown_timeout_secs");
        problems.check((8..=90).contains(&self.max_headers), "max_headers", "8 to 90");
        problems.check((2_048..=65_536).contains(&self.header_limit_bytes), "header_limit_bytes", "2048 to 65536");
        problems.check(self.shutdown_grace_ms <= 60_000, "shutdown_grace_ms", "at most 60000 milliseconds");
    }
}

/// Section `tokens`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    /// Where the keys are, both those of tokens and those that seal.
    pub key_dir: PathBuf,
    /// The same files in one JSON text, in place of `key_dir`.
    pub keys: Option<Secret>,
    /// `iss` of access tokens.
    pub issuer: String,
    /// `aud` of access tokens.
    pub audience: String,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            key_dir: EXAMPLE_KEY_DIR.into(),
            keys: None,
            issuer: EXAMPLE_ISSUER.to_owned(),
            audience: "amrutam-api".to_owned(),
        }
    }
}

impl Tokens {
    pub(crate) fn to_adapter(&self) -> TokenSettings {
        TokenSettings { issuer: self.issuer.clone(), audience: self.audience.clone() }
    }

    pub(crate) fn source(&self) -> KeySource {
        match &self.keys {
            Some(keys) => KeySource { key_dir: None, keys: Some(keys.clone()) },
            None => KeySource::dir(&self.key_dir),
        }
    }
}

impl Validate for Tokens {
    fn validate(&self, problems: &mut Problems) {
        problems.check(!self.issuer.is_empty(), "issuer", "must not be empty");
        problems.check(!self.audience.is_empty(), "audience", "must not be empty");
    }
}

/// Section `mfa`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mfa {
    /// Accounts in these roles can do nothing but set up a second factor until they have one.
    pub required_roles: Vec<Role>,
}

impl Default for Mfa {
    fn default() -> Self {
        Self { required_roles: IdentityRules::default().mfa_required_roles }
    }
}

struct ProductionMfa<'a>(&'a Mfa);

impl Validate for ProductionMfa<'_> {
    fn validate(&self, problems: &mut Problems) {
        let missing = Mfa::default().required_roles.into_iter().find(|role| !self.0.required_roles.contains(role));
        problems.check(
            missing.is_none(),
            "required_roles",
            "production needs doctor, admin, auditor and support among them",
        );
    }
}

/// Section `accounts`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    /// Whether patients log in before they have verified their address. The price: anybody can use an account with an
    /// address of somebody who is not registered yet, and a log-in tells whether it is known.
    pub log_in_unverified: bool,
}

/// Section `hasher`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hasher {
    /// Password hashes under way at one time; each takes a core and 19 MiB.
    pub parallel: usize,
    /// How many more may wait.
    pub queue: usize,
}

impl Default for Hasher {
    fn default() -> Self {
        let HasherSettings { parallel, queue } = HasherSettings::default();
        Self { parallel, queue }
    }
}

impl Hasher {
    pub(crate) fn to_adapter(self) -> HasherSettings {
        HasherSettings { parallel: self.parallel, queue: self.queue }
    }
}

impl Validate for Hasher {
    fn validate(&self, problems: &mut Problems) {
        problems.check((1..=256).contains(&self.parallel), "parallel", "1 to 256");
        problems.check(self.queue <= 10_000, "queue", "at most 10000");
    }
}

/// Everything. `database` must be set, and in production what only an operator can know; the rest has defaults. Sections that are other processes' are
/// passed over, so that one environment serves all.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// Where the process runs.
    #[serde(default)]
    pub environment: Environment,
    /// Listeners and bounds.
    #[serde(default)]
    pub http: Http,
    /// TLS towards callers.
    #[serde(default)]
    pub tls: Tls,
    /// Pages that may call the API.
    #[serde(default)]
    pub cors: Cors,
    /// PostgreSQL.
    pub database: amrutam_postgres::Settings,
    /// The lock nodes, and the Redis of limits and sessions.
    #[serde(default)]
    pub redis: amrutam_redis::Settings,
    /// How often the API may be asked.
    #[serde(default)]
    pub limits: RateLimits,
    /// Who may say from where a request comes.
    #[serde(default)]
    pub proxies: Proxies,
    /// Access tokens and keys.
    #[serde(default)]
    pub tokens: Tokens,
    /// Where the data keys of people are.
    #[serde(default)]
    pub keys: amrutam_postgres::KeysSettings,
    /// Who may log in.
    #[serde(default)]
    pub accounts: Accounts,
    /// Who needs a second factor.
    #[serde(default)]
    pub mfa: Mfa,
    /// Passwords.
    #[serde(default)]
    pub hasher: Hasher,
    /// Whether visits are paid.
    #[serde(default)]
    pub payments: Payments,
    /// The business's own conventions.
    #[serde(default)]
    pub business: Business,
    /// How long what must be kept is kept.
    #[serde(default)]
    pub retention: Retention,
    /// The audit trail's log.
    #[serde(default)]
    pub audit: Audit,
    /// Logs and traces.
    #[serde(default)]
    pub telemetry: TelemetrySettings,
}

impl Settings {
    pub(crate) fn payments_mode(&self) -> model::PaymentsMode {
        match self.payments.mode {
            PaymentsMode::None => model::PaymentsMode::None,
            PaymentsMode::Required => model::PaymentsMode::Required,
        }
    }

    pub(crate) fn identity_rules(&self) -> IdentityRules {
        IdentityRules {
            mfa_required_roles: self.mfa.required_roles.clone(),
            log_in_unverified: self.accounts.log_in_unverified,
        }
    }
}

impl Validate for Settings {
    fn validate(&self, problems: &mut Problems) {
        problems.within("http", &self.http);
        problems.within("tls", &self.tls);
        problems.within("cors", &self.cors);
        problems.within("database", &self.database);
        problems.within("redis", &LockNodes(&self.redis));
        problems.within("limits", &self.limits);
        problems.within("proxies", &self.proxies);
        problems.within("tokens", &self.tokens);
        problems.within("keys", &self.keys);
        problems.within("hasher", &self.hasher);
        problems.within("payments", &ForHere(&self.payments, self.environment));
        problems.within("business", &self.business);
        problems.within("retention", &self.retention);
        problems.within("audit", &self.audit);
        problems.within("telemetry", &self.telemetry);
        if self.environment == Environment::Production {
            problems.within("tls", &ProductionTls(&self.tls));
            problems.within("cors", &ProductionCors(&self.cors));
            problems.within("tokens", &ProductionTokens(&self.tokens));
            problems.within("keys", &ProductionKeys { keys: &self.keys, main: &self.database.url });
            problems.within("retention", &ProductionRetention(&self.retention));
            problems.within("mfa", &ProductionMfa(&self.mfa));
            problems.check(self.limits.enabled, "limits.enabled", "production needs limits");
            let knows_callers = !self.tls.terminated_by_proxy || !self.proxies.trusted.is_empty();
            problems.check(knows_callers, "proxies.trusted", "behind a proxy, or all callers have its address");
            problems.check(!self.redis.urls.is_empty(), "redis.urls", "production needs lock nodes");
        }
    }
}

struct ForHere<'a>(&'a Payments, Environment);

impl Validate for ForHere<'_> {
    fn validate(&self, problems: &mut Problems) {
        self.0.validate(problems);
        self.0.validate_for(self.1, problems);
    }
}

/// The adapter names its own problems, as `field: text`.
struct LockNodes<'a>(&'a amrutam_redis::Settings);

impl Validate for LockNodes<'_> {
    fn validate(&self, problems: &mut Problems) {
        let Err(invalid) = self.0.validate() else { return };
        for problem in invalid.problems() {
            let (field, text) = problem.split_once(": ").unwrap_or(("", problem));
            problems.add(field, text);
        }
    }
}

struct ProductionTokens<'a>(&'a Tokens);

impl Validate for ProductionTokens<'_> {
    fn validate(&self, problems: &mut Problems) {
        let tokens = self.0;
        let own = tokens.issuer != EXAMPLE_ISSUER && tokens.issuer.starts_with("https://");
        problems.check(own, "issuer", "production needs an https:// URL of its own, not the example");
        let own = *tokens.key_dir != *EXAMPLE_KEY_DIR && tokens.key_dir.is_absolute();
        problems.check(
            own || tokens.keys.is_some(),
            "key_dir",
            "production needs an absolute path of its own, not the default",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amrutam_settings::load_from;

    fn load(variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        let base = [
            ("AMRUTAM__ENVIRONMENT", "development"),
            ("AMRUTAM__DATABASE__URL", "postgres://app:canary@localhost:5432/amrutam"),
        ];
        let all = base.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load_from::<Settings>(None, all).map_err(|error| error.problems().to_vec())
    }

    #[test]
    fn a_database_is_all_that_development_needs() {
        let settings = load(&[]).unwrap();
        assert_eq!(settings.http.body_limit_bytes, 65_536);
        assert_eq!(settings.payments.mode, PaymentsMode::None);
        assert_eq!(settings.identity_rules(), IdentityRules::default());
        assert!(!amrutam_settings::printable(&settings).contains("canary"));
    }

    #[test]
    fn the_environment_reaches_every_section() {
        let settings = load(&[
            ("AMRUTAM__HTTP__LISTEN", "127.0.0.1:0"),
            ("AMRUTAM__REDIS__URLS", "redis://127.0.0.1:7001, redis://127.0.0.1:7002"),
            ("AMRUTAM__PAYMENTS__MODE", "required"),
            ("AMRUTAM__TOKENS__KEY_DIR", "/keys"),
            ("AMRUTAM__HASHER__PARALLEL", "3"),
            ("AMRUTAM__MFA__REQUIRED_ROLES", ""),
            ("AMRUTAM__ACCOUNTS__LOG_IN_UNVERIFIED", "true"),
            ("AMRUTAM__TELEMETRY__LOG", "warn"),
            ("AMRUTAM__REDIS__CACHE_URL", "redis://:canary@127.0.0.1:7003"),
            ("AMRUTAM__LIMITS__CLASSES__LOGIN__REQUESTS", "7"),
            ("AMRUTAM__PROXIES__TRUSTED", "10.0.0.0/8"),
        ])
        .unwrap();
        assert_eq!((settings.redis.urls.len(), settings.hasher.parallel, settings.http.listen.port()), (2, 3, 0));
        assert_eq!(settings.payments.mode, PaymentsMode::Required);
        let rules = IdentityRules { mfa_required_roles: Vec::new(), log_in_unverified: true };
        assert_eq!(settings.identity_rules(), rules);
        assert_eq!((settings.limits.of(RouteClass::Login).requests, settings.proxies.trusted.len()), (7, 1));
        let shown = amrutam_settings::printable(&settings);
        assert!(shown.contains("redis://127.0.0.1:7003") && !shown.contains("canary"), "{shown}");
    }

    #[test]
    fn whoever_does_not_say_where_runs_in_production() {
        let url = [("AMRUTAM__DATABASE__URL", "postgres://app@localhost:5432/amrutam")];
        let problems = load_from::<Settings>(None, url).err().unwrap().problems().to_vec();
        assert!(problems.iter().any(|problem| problem.starts_with("tokens.issuer")), "{problems:?}");
    }

    #[test]
    fn a_request_that_was_let_in_may_finish() {
        let load = |request: &str, shutdown: &str| {
            load(&[
                ("AMRUTAM__HTTP__REQUEST_TIMEOUT_SECS", request),
                ("AMRUTAM__HTTP__SHUTDOWN_TIMEOUT_SECS", shutdown),
            ])
        };
        assert!(load("25", "25").is_ok());
        let problems = load("26", "25").unwrap_err();
        assert!(problems.iter().any(|problem| problem.starts_with("http.request_timeout_secs")), "{problems:?}");
    }

    #[test]
    fn production_refuses_what_is_only_good_for_trying_all_at_once() {
        let problems =
            load(&[("AMRUTAM__ENVIRONMENT", "production"), ("AMRUTAM__BUSINESS__TIME_ZONE", "Mars/Olympus")])
                .unwrap_err();
        for key in ["business.time_zone", "tls.certificate", "tokens.issuer", "tokens.key_dir", "redis.urls"] {
            assert!(problems.iter().any(|problem| problem.starts_with(key)), "{key}: {problems:?}");
        }
    }

    #[test]
    fn plain_http_in_production_needs_a_proxy_that_says_it_speaks_tls() {
        let production = |variables: &[(&str, &str)]| {
            let all = [&[("AMRUTAM__ENVIRONMENT", "production")], variables].concat();
            let problems = load(&all).err().unwrap_or_default();
            problems.into_iter().filter(|problem| problem.starts_with("tls.")).collect::<Vec<_>>()
        };
        assert_eq!(production(&[]).len(), 1);
        assert_eq!(production(&[("AMRUTAM__TLS__TERMINATED_BY_PROXY", "true")]), Vec::<String>::new());
        let own = [("AMRUTAM__TLS__CERTIFICATE", "/tls/tls.crt"), ("AMRUTAM__TLS__KEY", "/tls/tls.key")];
        assert_eq!(production(&own), Vec::<String>::new());
        for half in own {
            assert_eq!(production(&[half]).len(), 1, "{half:?}");
        }
        assert_eq!(load(&[]).unwrap().tls.certificate, None, "development needs none");
    }

    #[test]
    fn in_production_the_data_keys_lie_elsewhere_than_what_they_open() {
        let refused = |variables: &[(&str, &str)]| {
            let problems = load(variables).err().unwrap_or_default();
            problems.iter().filter(|problem| problem.starts_with("keys.database_url")).count()
        };
        let production = ("AMRUTAM__ENVIRONMENT", "production");
        let at = |url| ("AMRUTAM__KEYS__DATABASE_URL", url);
        assert_eq!(refused(&[]), 0, "development");
        assert_eq!(refused(&[production]), 1);
        // The main one, as another user, its port told or not.
        assert_eq!(refused(&[production, at("postgres://keys:k@localhost:5432/amrutam")]), 1);
        assert_eq!(refused(&[production, at("postgres://keys:k@localhost/amrutam?sslmode=disable")]), 1);
        for elsewhere in [
            "postgres://keys:k@vault:5432/amrutam",
            "postgres://keys:k@localhost:5433/amrutam",
            "postgres://keys:k@localhost:5432/keys",
        ] {
            assert_eq!(refused(&[production, at(elsewhere)]), 0, "{elsewhere}");
        }
        assert_eq!(refused(&[production, ("AMRUTAM__KEYS__BESIDE_DATA", "true")]), 0);
    }

    #[test]
    fn only_origins_can_be_allowed() {
        let origins = |environment: &str, list: &str| {
            let all = [("AMRUTAM__ENVIRONMENT", environment), ("AMRUTAM__CORS__ORIGINS", list)];
            let problems = load(&all).err().unwrap_or_default();
            problems.iter().filter(|problem| problem.starts_with("cors.origins")).count()
        };
        assert_eq!(origins("development", "http://localhost:3000, https://app.amrutam.example"), 0);
        assert_eq!(origins("development", "*, https://app.amrutam.example/"), 2);
        assert_eq!(origins("production", "https://app.amrutam.example"), 0);
        assert_eq!(origins("production", "http://localhost:3000"), 1);
    }
}
