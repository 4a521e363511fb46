//! A certificate and its key, from two files to something that signs.

use openssl::{asn1::Asn1Time, x509::X509};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use sha2::{Digest as _, Sha256};
use std::{fs, io, path::PathBuf, sync::Arc};

/// Why a certificate can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Absent, or not ours to read.
    #[error("the {0} can't be read")]
    Unreadable(&'static str, #[source] io::Error),
    /// The file is something else.
    #[error("the {0} is not in PEM")]
    NotPem(&'static str),
    /// The two do not belong together, or the key is of a kind or size that nobody should trust.
    #[error("the certificate and the key can't be used together")]
    Unusable(#[from] rustls::Error),
}

/// Where the two are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// Tells one content of the files from another.
pub(super) type Digest = [u8; 32];

/// What the files hold, whatever it is.
pub(super) struct Pair {
    chain: Vec<u8>,
    key: Vec<u8>,
}

/// A pair that signs.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) certified: Arc<CertifiedKey>,
    /// When it ends, in seconds since 1970.
    pub(super) not_after: i64,
}

impl Files {
    pub(super) fn read(&self) -> Result<Pair, CertificateError> {
        let read = |name, path| fs::read(path).map_err(|error| CertificateError::Unreadable(name, error));
        Ok(Pair { chain: read("certificate", &self.certificate)?, key: read("key", &self.key)? })
    }
}

impl Pair {
    pub(super) fn digest(&self) -> Digest {
        Sha256::new()
            .chain_update(self.chain.len().to_be_bytes())
            .chain_update(&self.chain)
            .chain_update(&self.key)
            .finalize()
            .into()
    }

    pub(super) fn load(&self, provider: &CryptoProvider) -> Result<Certificate, CertificateError> {
        let not_pem = |_| CertificateError::NotPem("certificate");
        let chain = CertificateDer::pem_slice_iter(&self.chain).collect::<Result<Vec<_>, _>>().map_err(not_pem)?;
        let leaf = chain.first().ok_or(CertificateError::NotPem("certificate"))?;
        let not_after = not_after(leaf).ok_or(CertificateError::NotPem("certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| CertificateError::NotPem("key"))?;
        let certified = CertifiedKey::from_der(chain, key, provider)?;
        Ok(Certificate { certified: Arc::new(certified), not_after })
    }
}

fn not_after(leaf: &CertificateDer<'_>) -> Option<i64> {
    let leaf = X509::from_der(leaf).ok()?;
    let since = Asn1Time::from_unix(0).ok()?.diff(leaf.not_after()).ok()?;
    Some(i64::from(since.days) * 86_400 + i64::from(since.secs))
}
