//! What an operator can set, and what is said when it is wrong.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use amrutam_settings::{Problems, Secret, SecretUrl, SettingsError, Validate, load_from};
use serde::Deserialize;
use std::{io::Write, path::PathBuf};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    redis: Redis,
    broker: Broker,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Redis {
    urls: Vec<SecretUrl>,
    ports: Vec<u16>,
    password: Option<Secret>,
    level: Level,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Level {
    #[default]
    Low,
    High,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Broker {
    prefetch: u16,
    #[serde(default)]
    ratio: f64,
    #[serde(default)]
    tls: bool,
    name: String,
}

impl Validate for Settings {
    fn validate(&self, problems: &mut Problems) {
        problems.within("redis", &self.redis);
        problems.within("broker", &self.broker);
    }
}

impl Validate for Redis {
    fn validate(&self, problems: &mut Problems) {
        problems.check(!self.urls.is_empty(), "urls", "needs at least one");
    }
}

impl Validate for Broker {
    fn validate(&self, problems: &mut Problems) {
        problems.check(self.prefetch > 0, "prefetch", "must be at least 1");
        problems.check((0.0..=1.0).contains(&self.ratio), "ratio", "must be between 0 and 1");
    }
}

struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("amrutam-settings-{}-{name}.toml", std::process::id()));
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        Self(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const GOOD: [(&str, &str); 3] = [
    ("AMRUTAM__REDIS__URLS", "redis://:p1@a:1, redis://:p2@b:2"),
    ("AMRUTAM__BROKER__PREFETCH", "16"),
    ("AMRUTAM__BROKER__NAME", "0016"),
];

fn with(more: &[(&'static str, &'static str)]) -> Result<Settings, SettingsError> {
    load_from(None, GOOD.into_iter().chain(more.iter().copied()))
}

fn refusal(more: &[(&'static str, &'static str)]) -> Vec<String> {
    with(more).unwrap_err().problems().to_vec()
}

#[test]
fn the_field_says_how_the_text_is_read() {
    let settings = with(&[
        ("AMRUTAM__REDIS__PORTS", "1,2,3"),
        ("AMRUTAM__REDIS__PASSWORD", "00123"),
        ("AMRUTAM__REDIS__LEVEL", "high"),
        ("AMRUTAM__BROKER__RATIO", "0.25"),
        ("AMRUTAM__BROKER__TLS", "true"),
        ("PATH", "/bin"),
    ])
    .unwrap();
    let urls: Vec<_> = settings.redis.urls.iter().map(SecretUrl::expose).collect();
    assert_eq!(urls, ["redis://:p1@a:1", "redis://:p2@b:2"]);
    assert_eq!(settings.redis.ports, [1, 2, 3]);
    assert_eq!(settings.redis.password.unwrap().expose(), "00123");
    assert_eq!(settings.redis.level, Level::High);
    assert_eq!((settings.broker.prefetch, settings.broker.ratio, settings.broker.tls), (16, 0.25, true));
    assert_eq!(settings.broker.name, "0016");
    assert!(with(&[("AMRUTAM__REDIS__PASSWORD", "")]).unwrap().redis.password.is_none());
}

#[test]
fn the_environment_goes_over_the_file() {
    let file =
        TempFile::new("over", "[redis]\nurls = ['redis://f:1']\nports = [7]\n[broker]\nprefetch = 4\nname = 'file'\n");
    let env = [("AMRUTAM__BROKER__PREFETCH", "8")];
    let settings: Settings = load_from(Some(&file.0), env).unwrap();
    assert_eq!((settings.broker.prefetch, settings.broker.name.as_str()), (8, "file"));
    assert_eq!((settings.redis.urls.len(), settings.redis.ports), (1, vec![7]));
}

#[test]
fn every_problem_of_validation_is_listed() {
    let found =
        refusal(&[("AMRUTAM__REDIS__URLS", ""), ("AMRUTAM__BROKER__PREFETCH", "0"), ("AMRUTAM__BROKER__RATIO", "2")]);
    assert_eq!(
        found,
        [
            "redis.urls (AMRUTAM__REDIS__URLS): needs at least one",
            "broker.prefetch (AMRUTAM__BROKER__PREFETCH): must be at least 1",
            "broker.ratio (AMRUTAM__BROKER__RATIO): must be between 0 and 1",
        ]
    );
}

#[test]
fn what_cannot_be_read_names_its_variable_and_shows_no_value() {
    let cases = [
        (("AMRUTAM__BROKER__PREFETCH", "canary"), "broker.prefetch (AMRUTAM__BROKER__PREFETCH): expected u16"),
        (("AMRUTAM__BROKER__PREFETCH", "70000"), "broker.prefetch (AMRUTAM__BROKER__PREFETCH): expected u16"),
        (("AMRUTAM__BROKER__TLS", "canary"), "broker.tls (AMRUTAM__BROKER__TLS): expected true or false"),
        (
            ("AMRUTAM__REDIS__URLS", "redis://a,canary"),
            "redis.urls[1] (AMRUTAM__REDIS__URLS): is not a URL with a host",
        ),
        (("AMRUTAM__REDIS__LEVEL", "canary"), "redis.level (AMRUTAM__REDIS__LEVEL): expected one of: low, high"),
        (
            ("AMRUTAM__BROKER__PREFETHC", "canary"),
            "broker.prefethc (AMRUTAM__BROKER__PREFETHC): no such setting; there are: prefetch, ratio, tls, name",
        ),
        (("AMRUTAM__BROKR__X", "canary"), "brokr (AMRUTAM__BROKR): no such setting; there are: redis, broker"),
    ];
    for (variable, expected) in cases {
        assert_eq!(refusal(&[variable]), [expected]);
    }
    let missing = load_from::<Settings>(None, [("AMRUTAM__BROKER__NAME", "x")]).unwrap_err();
    assert_eq!(missing.problems(), ["broker.prefetch (AMRUTAM__BROKER__PREFETCH): is not set"]);
    let section = load_from::<Settings>(None, [("AMRUTAM__REDIS__URLS", "redis://a")]).unwrap_err();
    assert_eq!(section.problems(), ["broker (AMRUTAM__BROKER): is not set"]);
}

#[test]
fn a_file_that_is_no_toml_shows_no_line_of_it() {
    let file = TempFile::new("broken", "[broker]\npassword = canary canary\n");
    let error = load_from::<Settings>(Some(&file.0), GOOD).unwrap_err().to_string();
    assert!(!error.contains("canary") && error.contains("line 2"), "{error}");
    let absent = load_from::<Settings>(Some("/nonexistent/amrutam.toml".as_ref()), GOOD).unwrap_err().to_string();
    assert!(absent.contains("/nonexistent/amrutam.toml"), "{absent}");
}
