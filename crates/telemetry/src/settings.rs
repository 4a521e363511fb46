//! How much is logged and traced, and where traces go.

use amrutam_settings::{Problems, Validate};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use url::Url;

/// Section `telemetry`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySettings {
    /// What is logged: `info`, `warn,amrutam_worker=debug`.
    pub log: String,
    /// Where traces are sent by OTLP over HTTP: `http://collector:4318`. Nothing is sent when it is absent.
    pub otlp_endpoint: Option<Url>,
    /// Share of the traces begun here that is recorded, from 0 to 1. Traces begun elsewhere keep their caller's decision.
    pub sample_ratio: f64,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self { log: "info,lapin=error".into(), otlp_endpoint: None, sample_ratio: 0.1 }
    }
}

impl TelemetrySettings {
    /// A bare host gets the protocol's own path.
    pub(crate) fn traces_url(&self) -> Option<Url> {
        let mut url = self.otlp_endpoint.clone()?;
        if matches!(url.path(), "" | "/") {
            url.set_path("/v1/traces");
        }
        Some(url)
    }
}

impl Validate for TelemetrySettings {
    fn validate(&self, problems: &mut Problems) {
        problems.check(
            EnvFilter::builder().parse(&self.log).is_ok(),
            "log",
            "is not a filter such as info or warn,sqlx=off",
        );
        problems.check((0.0..=1.0).contains(&self.sample_ratio), "sample_ratio", "must be between 0 and 1");
        // The exporter is built without TLS; a collector beside the process needs none.
        let plain = self.otlp_endpoint.as_ref().is_none_or(|url| url.scheme() == "http" && url.has_host());
        problems.check(plain, "otlp_endpoint", "must begin with http://");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_path_gets_the_protocols_own() {
        let url = |text: &str| {
            let settings =
                TelemetrySettings { otlp_endpoint: Some(text.parse().unwrap()), ..TelemetrySettings::default() };
            settings.traces_url().unwrap().to_string()
        };
        assert_eq!(url("http://c:4318"), "http://c:4318/v1/traces");
        assert_eq!(url("http://c/custom"), "http://c/custom");
    }

    #[test]
    fn unusable_settings_are_refused() {
        let bad = TelemetrySettings {
            log: "amrutam=loud".into(),
            otlp_endpoint: Some("https://c".parse().unwrap()),
            sample_ratio: f64::NAN,
        };
        let mut problems = Problems::default();
        bad.validate(&mut problems);
        assert_eq!(problems.into_result().unwrap_err().problems().len(), 3);
        let mut problems = Problems::default();
        TelemetrySettings::default().validate(&mut problems);
        assert!(problems.into_result().is_ok());
    }
}
