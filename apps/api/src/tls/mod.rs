//! TLS as the API itself speaks it: 1.3 alone, with a certificate that is replaced while we run.

mod certificate;
mod renewal;
mod settings;

pub use certificate::CertificateError;
pub(crate) use settings::ProductionTls;
pub use settings::Tls;

use certificate::Files;
use renewal::{Current, Renewal};
use rustls::ServerConfig;
use std::{sync::Arc, time::Duration};

/// Why TLS can't be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate or its key can't be used.
    #[error("the TLS certificate can't be used (AMRUTAM__TLS__CERTIFICATE, AMRUTAM__TLS__KEY)")]
    Certificate(#[from] CertificateError),
    /// The cryptography lacks TLS 1.3.
    #[error("TLS can't be set up")]
    Setup(#[from] rustls::Error),
}

/// What a listener needs to speak TLS.
pub(crate) struct Handshakes {
    /// With which certificate, and how.
    pub(crate) config: ServerConfig,
    /// How long one may take.
    pub(crate) timeout: Duration,
}

/// TLS as the settings want it.
pub(crate) struct Termination {
    handshakes: Handshakes,
    renewal: Renewal,
}

impl Termination {
    /// As the settings say; nothing when they name no certificate.
    pub(crate) fn of(settings: &Tls) -> Result<Option<Self>, TlsError> {
        let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) else { return Ok(None) };
        let files = Files { certificate: certificate.clone(), key: key.clone() };
        let (current, renewal) = Current::load(files, Duration::from_secs(settings.reload_secs))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(current);
        let timeout = Duration::from_secs(settings.handshake_timeout_secs);
        Ok(Some(Self { handshakes: Handshakes { config, timeout }, renewal }))
    }

    /// For the listener, and what is to run as long as it does.
    pub(crate) fn split(self) -> (Handshakes, Renewal) {
        (self.handshakes, self.renewal)
    }
}
