//! What an operator can set of TLS towards callers.

use amrutam_settings::{Problems, Validate};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Section `tls`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The certificate and those between it and the authority, in PEM, our own first. With `key`, the API is served over
    /// TLS 1.3 and nothing else.
    pub certificate: Option<PathBuf>,
    /// The certificate's key, in PEM.
    pub key: Option<PathBuf>,
    /// How often the two files are looked at; a new pair is taken without a restart.
    pub reload_secs: u64,
    /// How long a handshake may take. Two round trips, so this allows for a bad mobile network.
    pub handshake_timeout_secs: u64,
    /// A proxy in front of us speaks TLS, and nobody reaches us but through it: production takes plain HTTP then.
    pub terminated_by_proxy: bool,
    /// How long browsers are to insist on HTTPS (HSTS), once they have seen us over TLS; 0 to say nothing.
    pub hsts_max_age_secs: u32,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            reload_secs: 5,
            handshake_timeout_secs: 5,
            terminated_by_proxy: false,
            // Two years, as the preload lists of browsers ask.
            hsts_max_age_secs: 63_072_000,
        }
    }
}

impl Tls {
    /// Whether callers reach us over TLS, whoever speaks it.
    pub(crate) fn protects_callers(&self) -> bool {
        self.certificate.is_some() || self.terminated_by_proxy
    }
}

impl Validate for Tls {
    fn validate(&self, problems: &mut Problems) {
        problems.check(self.certificate.is_none() || self.key.is_some(), "key", "must be set with tls.certificate");
        problems.check(self.key.is_none() || self.certificate.is_some(), "certificate", "must be set with tls.key");
        problems.check((1..=3_600).contains(&self.reload_secs), "reload_secs", "1 to 3600 seconds");
        problems.check((1..=30).contains(&self.handshake_timeout_secs), "handshake_timeout_secs", "1 to 30 seconds");
    }
}

/// What production asks for beyond.
pub(crate) struct ProductionTls<'a>(pub(crate) &'a Tls);

impl Validate for ProductionTls<'_> {
    fn validate(&self, problems: &mut Problems) {
        problems.check(
            self.0.protects_callers() || self.0.key.is_some(),
            "certificate",
            "production speaks TLS: set tls.certificate and tls.key, or tls.terminated_by_proxy if a proxy in front does",
        );
    }
}
