//! Certificates of a test's own, connections that look at them, and servers that show them.

use super::{Servers, Sql, eventually, free_port, unique};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{fs, io, os::unix::fs::PermissionsExt, path::PathBuf, process::Command, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::Url;

/// An authority, with a directory for files that servers of other accounts can read. Gone when dropped.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
}

/// A certificate and its key, in PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Authority {
    /// Nobody trusts it unless told to.
    pub fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(parameters, key).expect("a certificate");
        let directory = std::env::temp_dir().join(unique("amrutam-tls"));
        fs::create_dir(&directory).expect("a directory");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("our own directory");
        let authority = Self { issuer, directory };
        authority.write("ca.pem", &authority.issuer.pem());
        authority
    }

    /// Where its own certificate is.
    pub fn file(&self) -> String {
        self.path("ca.pem")
    }

    /// Where a file of this name is.
    pub fn path(&self, name: &str) -> String {
        self.directory.join(name).to_string_lossy().into_owned()
    }

    /// Writes a file, whole or not at all, and says where.
    pub fn write(&self, name: &str, text: &str) -> String {
        let new = self.directory.join(format!("{name}.new"));
        fs::write(&new, text).expect("our own directory");
        fs::set_permissions(&new, fs::Permissions::from_mode(0o644)).expect("our own file");
        fs::rename(new, self.path(name)).expect("our own directory");
        self.path(name)
    }

    /// A certificate for a server of these names.
    pub fn issue(&self, names: &[&str]) -> Issued {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let parameters = CertificateParams::new(names).expect("names");
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A connection to `localhost`, if its certificate is this authority's.
    pub async fn connect(&self, address: &str) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.expect("ring").with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(address).await?).await
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.directory));
    }
}

impl Issued {
    /// Whether the server at the other end has shown this certificate.
    pub fn is_shown_by(&self, stream: &TlsStream<TcpStream>) -> bool {
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let own = CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("our own certificate");
        shown == Some(&own)
    }
}

/// One request over a connection that stays open, and the status and head of its answer.
pub async fn tls_get(stream: &mut TlsStream<TcpStream>, path: &str) -> io::Result<String> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    let mut chunk = [0; 4096];
    // Our answers to this are small, and have a length.
    while !answer.contains("\r\n\r\n") || !answer.ends_with('}') {
        match stream.read(&mut chunk).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => answer.push_str(&String::from_utf8_lossy(&chunk[..read])),
        }
    }
    Ok(answer)
}

/// `openssl s_client`: whether the handshake succeeded, and what it said.
pub async fn s_client(address: &str, authority: &Authority, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", address, "-servername", "localhost", "-verify_hostname", "localhost"]);
    command
        .args(["-verify_return_error", "-CAfile", &authority.file()])
        .args(arguments)
        .stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("openssl");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said)
}

/// Where servers speak TLS. Their certificate is for the name `localhost` alone.
pub struct TlsUrls {
    /// PostgreSQL, for the application; the same port as without.
    pub database: String,
    /// The first Redis node.
    pub redis: String,
    /// The broker.
    pub amqp: String,
}

impl Servers {
    /// Makes PostgreSQL, the first Redis node and the broker speak TLS, besides what they speak.
    pub async fn speak_tls(&self, authority: &Authority) -> TlsUrls {
        let issued = authority.issue(&["localhost"]);
        let certificate = authority.write("server.pem", &issued.certificate);
        let key = authority.write("server.key", &issued.key);

        let mut superuser: Url = self.variable("ADMIN_DATABASE_URL").parse().expect("a URL");
        superuser.set_username("postgres").expect("a name");
        superuser.set_password(Some(&self.secret("POSTGRES_PASSWORD"))).expect("a password");
        superuser.set_path("postgres");
        let sql = Sql::connect(superuser.as_str()).await.expect("the superuser");
        // PostgreSQL insists on owning its key: it writes the file itself, into its data directory.
        for (text, file) in [(&issued.certificate, "server.crt"), (&issued.key, "server.key")] {
            let lines = format!("SELECT unnest(string_to_array('{}', E'\\n'))", text.trim_end());
            sql.execute(&format!("COPY ({lines}) TO PROGRAM 'umask 077; cat > {file}'")).await;
        }
        sql.execute("ALTER SYSTEM SET ssl = on").await;
        sql.rows("SELECT pg_reload_conf()").await;
        eventually("PostgreSQL speaks TLS", Duration::from_secs(20), async || {
            (sql.value::<String>("SHOW ssl").await == "on").then_some(())
        })
        .await;

        let redis_port = free_port();
        let plain = self.variable("REDIS_URLS").split(',').next().expect("a node").to_owned();
        let node = redis::Client::open(plain).expect("a Redis URL");
        let mut node = node.get_multiplexed_async_connection().await.expect("the first node");
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("tls-cert-file").arg(&certificate).arg("tls-key-file").arg(&key);
        set.arg("tls-ca-cert-file").arg(authority.file()).arg("tls-auth-clients").arg("no");
        set.arg("tls-port").arg(redis_port);
        set.query_async::<()>(&mut node).await.expect("a Redis with TLS");

        let amqp_port = free_port();
        let options = format!("[{{certfile, \"{certificate}\"}}, {{keyfile, \"{key}\"}}, {{verify, verify_none}}]");
        let listen = format!("rabbit_networking:start_ssl_listener({{\"127.0.0.1\", {amqp_port}}}, {options}, 4).");
        let mut eval = Command::new(self.variable("RABBITMQCTL"));
        eval.args(["eval", &listen]);
        let output = tokio::task::spawn_blocking(move || eval.output()).await.expect("a thread").expect("rabbitmqctl");
        assert!(output.stdout.starts_with(b"ok"), "{}", String::from_utf8_lossy(&output.stdout));

        let mut amqp: Url = self.variable("AMQP_URL").parse().expect("a URL");
        amqp.set_host(Some("localhost")).expect("a host");
        amqp.set_port(Some(amqp_port)).expect("a port");
        let (_, rest) = amqp.as_str().split_once("://").expect("a URL");
        TlsUrls {
            database: self.variable("DATABASE_URL").replace("@127.0.0.1:", "@localhost:"),
            redis: format!("rediss://localhost:{redis_port}/0"),
            amqp: format!("amqps://{rest}"),
        }
    }
}
