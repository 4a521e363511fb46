//! The certificate in use, and its replacement while connections go on.

use super::certificate::{Certificate, CertificateError, Digest, Files, Pair};
use metrics::{counter, gauge};
use rustls::{
    crypto::{CryptoProvider, ring},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

/// The pair that new connections get.
#[derive(Debug)]
pub(super) struct Current(RwLock<Arc<CertifiedKey>>);

/// Looks at the files now and then. A pair that can't be used changes nothing, and is told of once.
pub(crate) struct Renewal {
    files: Files,
    every: Duration,
    current: Arc<Current>,
    provider: CryptoProvider,
    in_use: Digest,
    refused: Option<Refused>,
}

/// What was of no use at the last look, so that the same is not told twice.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    Pair(Digest),
    Unreadable(String),
}

impl Current {
    /// The files' first pair, and what will look for others.
    pub(super) fn load(files: Files, every: Duration) -> Result<(Arc<Self>, Renewal), CertificateError> {
        let provider = ring::default_provider();
        let pair = files.read()?;
        let first = pair.load(&provider)?;
        tell(&first, "TLS is on");
        let current = Arc::new(Self(RwLock::new(first.certified)));
        let in_use = pair.digest();
        let renewal = Renewal { files, every, current: current.clone(), provider, in_use, refused: None };
        Ok((current, renewal))
    }

    fn replace(&self, certified: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Renewal {
    /// Never ends.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::time::sleep(self.every).await;
            let files = self.files.clone();
            // File systems block, and those of secrets may be network mounts.
            match tokio::task::spawn_blocking(move || files.read()).await {
                Ok(found) => self.take(found),
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, found: Result<Pair, CertificateError>) {
        let seen = match &found {
            Ok(pair) if pair.digest() == self.in_use => {
                self.refused = None;
                return;
            }
            Ok(pair) => Refused::Pair(pair.digest()),
            Err(error) => Refused::Unreadable(chain(error)),
        };
        if self.refused.as_ref() == Some(&seen) {
            return;
        }
        match found.and_then(|pair| Ok((pair.load(&self.provider)?, pair.digest()))) {
            Ok((new, digest)) => {
                tell(&new, "the TLS certificate is replaced");
                self.current.replace(new.certified);
                (self.in_use, self.refused) = (digest, None);
                counter!("amrutam_tls_renewals_total", "outcome" => "replaced").increment(1);
            }
            Err(error) => {
                tracing::error!(reason = chain(&error), "the new TLS certificate can't be used; the old one stays");
                self.refused = Some(seen);
                counter!("amrutam_tls_renewals_total", "outcome" => "refused").increment(1);
            }
        }
    }
}

fn tell(certificate: &Certificate, what: &'static str) {
    let until = jiff::Timestamp::from_second(certificate.not_after).ok();
    tracing::info!(until = until.map(tracing::field::display), "{what}");
    // In a double seconds are exact for as long as certificates last.
    gauge!("amrutam_tls_certificate_expires_seconds").set(certificate.not_after as f64);
}

fn chain(error: &CertificateError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |chain, cause| format!("{chain}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::PathBuf};

    /// A directory with a pair in it.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("amrutam-tls-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn files(&self) -> Files {
            Files { certificate: self.0.join("certificate.pem"), key: self.0.join("key.pem") }
        }

        fn write(&self, certificate: &str, key: &str) {
            fs::write(self.files().certificate, certificate).unwrap();
            fs::write(self.files().key, key).unwrap();
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn pair() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(["api.test".to_owned()]).unwrap();
        (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn leaf(current: &Current) -> Vec<u8> {
        current.0.read().unwrap().cert.first().unwrap().to_vec()
    }

    #[test]
    fn a_new_pair_is_taken_and_a_broken_one_is_not() {
        let directory = Directory::new("renewal");
        let (old, new) = (pair(), pair());
        directory.write(&old.0, &old.1);
        let (current, mut renewal) = Current::load(directory.files(), Duration::from_secs(1)).unwrap();
        let first = leaf(&current);
        let mut look = |certificate: &str, key: &str| {
            directory.write(certificate, key);
            renewal.take(directory.files().read());
            (leaf(&current) == first, renewal.refused.is_some())
        };
        assert_eq!(look(&old.0, &old.1), (true, false));
        for (certificate, key) in
            [(&*new.0, &*old.1), (&old.0, &new.1), ("", &new.1), (&new.0, ""), ("canary", &new.1), (&new.1, &new.0)]
        {
            assert_eq!(look(certificate, key), (true, true));
        }
        assert_eq!(look(&old.0, &old.1), (true, false), "back to what is in use");
        assert_eq!(look(&new.0, &new.1), (false, false));

        fs::remove_file(directory.files().key).unwrap();
        renewal.take(directory.files().read());
        assert!(renewal.refused.is_some() && leaf(&current) != first);
    }

    #[test]
    fn without_a_first_pair_there_is_no_beginning() {
        let directory = Directory::new("first");
        let reason = |files| chain(&Current::load(files, Duration::from_secs(1)).map(|_| ()).unwrap_err());
        assert!(reason(directory.files()).starts_with("the certificate can't be read"));
        directory.write(&pair().0, &pair().1);
        assert!(reason(directory.files()).starts_with("the certificate and the key can't be used together"));
        directory.write(&pair().0, "canary");
        assert_eq!(reason(directory.files()), "the key is not in PEM");
    }

    #[test]
    fn the_end_of_a_certificate_is_known() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let directory = Directory::new("end");
        directory.write(&parameters.self_signed(&key).unwrap().pem(), &key.serialize_pem());
        let loaded = directory.files().read().unwrap().load(&ring::default_provider()).unwrap();
        assert_eq!(jiff::Timestamp::from_second(loaded.not_after).unwrap().to_string(), "2031-02-03T00:00:00Z");
    }
}
