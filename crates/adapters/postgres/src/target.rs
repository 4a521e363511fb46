//! What a PostgreSQL URL says, and connections to it.
//!
//! `sslmode` and `sslrootcert` are libpq's names, so that one URL serves us and its tools, with one difference: `require`
//! checks the server's chain and name as `verify-full` does. Encryption to whoever answers protects nothing.

use amrutam_tls::{Trust, TrustError};
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncPgConnection;
use percent_encoding::percent_decode_str;
use std::path::Path;
use tokio_postgres::{Config, NoTls, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Why a URL can't be used. `Display` shows nothing of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("must be a PostgreSQL URL")]
    Url,
    #[error("sslmode must be disable, require or verify-full: any other may end without a checked certificate")]
    SslMode,
    #[error("sslrootcert is of no use without sslmode=verify-full")]
    UnusedAuthorities,
    #[error("sslrootcert {0}")]
    Authorities(#[from] TrustError),
}

/// Where to connect and whom to trust there.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl Target {
    /// Reads the URL, and the authorities' file if it names one.
    pub(crate) fn of(url: &str) -> Result<Self, TargetError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut authorities, mut rest) = (None, None, Vec::new());
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => {
                    authorities = Some(percent_decode_str(value).decode_utf8().map_err(|_| TargetError::Url)?);
                }
                _ => rest.push(parameter),
            }
        }
        let encrypted = match mode {
            None | Some("disable") => false,
            Some("require" | "verify-full") => true,
            Some(_) => return Err(TargetError::SslMode),
        };
        if authorities.is_some() && !encrypted {
            return Err(TargetError::UnusedAuthorities);
        }
        let mut config = format!("{base}?{}", rest.join("&")).parse::<Config>().map_err(|_| TargetError::Url)?;
        config.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        let tls = if encrypted {
            let trust = Trust::load(authorities.as_deref().map(Path::new))?;
            Some(MakeRustlsConnect::new(trust.client_config()?))
        } else {
            None
        };
        Ok(Self { config, tls })
    }

    /// A connection, encrypted if the URL says so, or none.
    pub(crate) async fn connect(self) -> ConnectionResult<AsyncPgConnection> {
        // Diesel's own `establish` knows no TLS.
        match self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls).await.map_err(|error| refused(&error))?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(|error| refused(&error))?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            }
        }
    }
}

impl Target {
    /// A bare client, for reading very much; its connection is driven by a task that ends with it.
    pub(crate) async fn client(self) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        match self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls).await?;
                tokio::spawn(connection);
                Ok(client)
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                tokio::spawn(connection);
                Ok(client)
            }
        }
    }
}

/// With its causes: "error performing TLS handshake" alone tells nobody what to mend.
fn refused(error: &tokio_postgres::Error) -> ConnectionError {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    ConnectionError::BadConnection(causes.fold(error.to_string(), |chain, cause| format!("{chain}: {cause}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(query: &str) -> String {
        let error = Target::of(&format!("postgres://app:canary@db:5432/amrutam{query}")).err();
        error.map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_url_says_whether_the_way_is_encrypted() {
        for (query, encrypted) in [
            ("", false),
            ("?sslmode=disable", false),
            ("?sslmode=require", true),
            ("?application_name=x&sslmode=verify-full&keepalives=1", true),
        ] {
            let target = Target::of(&format!("postgres://app:p%40ss@db:5432/amrutam{query}")).unwrap();
            let mode = if encrypted { SslMode::Require } else { SslMode::Disable };
            assert_eq!((target.tls.is_some(), target.config.get_ssl_mode()), (encrypted, mode), "{query}");
            assert_eq!(target.config.get_password(), Some("p@ss".as_bytes()));
        }
    }

    #[test]
    fn what_might_end_unchecked_is_refused() {
        for mode in ["allow", "prefer", "verify-ca", "VERIFY-FULL", ""] {
            assert!(refusal(&format!("?sslmode={mode}")).starts_with("sslmode must be"), "{mode}");
        }
        assert!(refusal("?sslrootcert=/ca.pem").starts_with("sslrootcert is of no use"));
        assert_eq!(refusal("?sslmode=verify-full&sslrootcert=/nowhere/canary.pem"), "sslrootcert can't be read");
        assert_eq!(refusal("?canary=1"), "must be a PostgreSQL URL");
    }
}
