//! Whom our TLS clients trust.
//!
//! The authorities of a file and nobody else; without a file, the public ones: Mozilla's list, compiled in, since a slim
//! machine has none. The chain and the server's name are always checked, and the cryptography is ring's, whatever default
//! the process has.
#![deny(missing_docs)]

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{io, path::Path, sync::Arc};

/// Why a file can't be trusted. `Display` shows nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Absent, or not ours to read.
    #[error("can't be read")]
    Unreadable(#[from] io::Error),
    /// Something else than certificates in PEM, or none.
    #[error("must hold certificates of authorities in PEM")]
    NoAuthority,
    /// The cryptography has none of rustls' protocol versions.
    #[error("TLS can't be set up")]
    Setup(#[from] rustls::Error),
}

/// The authorities.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: RootCertStore,
    pem: Option<Vec<u8>>,
}

impl Trust {
    /// Those of a file in PEM, or the public ones.
    ///
    /// # Errors
    /// When the file can't be read, or one of its certificates can't be used: one that is passed over would be missed on
    /// the day it is needed.
    pub fn load(ca_file: Option<&Path>) -> Result<Self, TrustError> {
        let Some(file) = ca_file else {
            return Ok(Self { roots: webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(), pem: None });
        };
        let pem = std::fs::read(file)?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|_| TrustError::NoAuthority)?;
            roots.add(certificate).map_err(|_| TrustError::NoAuthority)?;
        }
        if roots.is_empty() { Err(TrustError::NoAuthority) } else { Ok(Self { roots, pem: Some(pem) }) }
    }

    /// A client that checks the server's chain and name. TLS 1.3, and 1.2 for servers that have no other.
    ///
    /// # Errors
    /// Never with ring.
    pub fn client_config(&self) -> Result<ClientConfig, TrustError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder.with_root_certificates(self.roots.clone()).with_no_client_auth())
    }

    /// The file as it is, for clients that read it themselves.
    pub fn pem(&self) -> Option<&[u8]> {
        self.pem.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn file(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("amrutam-trust-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    fn authority() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn a_file_replaces_the_public_authorities() {
        assert!(Trust::load(None).unwrap().roots.len() > 50);
        let two = file("two", &format!("# ours\n{}\n{}", authority(), authority()));
        let trust = Trust::load(Some(&two)).unwrap();
        assert_eq!((trust.roots.len(), trust.pem().is_some()), (2, true));
        trust.client_config().unwrap();
        std::fs::remove_file(two).unwrap();
    }

    #[test]
    fn a_file_that_would_leave_somebody_out_is_refused() {
        let broken = authority().replacen('A', "B", 6);
        for (name, text) in [
            ("empty", String::new()),
            ("text", "canary".to_owned()),
            ("half", format!("{}{broken}", authority())),
            ("cut", authority().replace("-----END CERTIFICATE-----", "")),
        ] {
            let path = file(name, &text);
            let error = Trust::load(Some(&path)).unwrap_err();
            assert!(matches!(error, TrustError::NoAuthority), "{name}: {error}");
            std::fs::remove_file(path).unwrap();
        }
        let error = Trust::load(Some(Path::new("/nowhere/ca.pem"))).unwrap_err();
        assert!(matches!(error, TrustError::Unreadable(_)) && !error.to_string().contains("nowhere"));
    }
}
