//! Real handshakes: callers with the API, and our clients with the servers they work with.

use amrutam_postgres::Postgres;
use amrutam_redis::RedlockSlots;
use amrutam_tests::support::{
    Api, Authority, Client, Issued, Options, Process, SOON, Stack, TlsUrls, environment, eventually, on_shared,
    on_stack, s_client, state_of, tls_get, until,
};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An API process that speaks TLS with a certificate for `localhost`.
struct Encrypted {
    authority: Authority,
    api: Api,
    address: String,
}

impl Encrypted {
    async fn start(stack: &Stack, part: &str) -> (Self, Issued) {
        let authority = Authority::new("callers trust it");
        let first = authority.issue(&["localhost"]);
        let certificate = authority.write("tls.crt", &first.certificate);
        let key = authority.write("tls.key", &first.key);
        let api = stack.another_api(
            part,
            &[
                ("TLS__CERTIFICATE", &certificate),
                ("TLS__KEY", &key),
                ("TLS__RELOAD_SECS", "1"),
                ("TLS__HANDSHAKE_TIMEOUT_SECS", "1"),
            ],
        );
        api.process.start();
        api.alive().await;
        let address = api.url.trim_start_matches("http://").to_owned();
        (Self { authority, api, address }, first)
    }

    /// Waits until the log says it so many times.
    async fn has_logged(&self, text: &str, times: usize) {
        until(text, SOON, async || self.api.process.log().matches(text).count() >= times).await;
    }
}

#[test]
fn callers_are_answered_over_tls_1_3_and_nothing_else() {
    on_shared(async |stack| {
        let (encrypted, _) = Encrypted::start(stack, "tls").await;
        let ask = async |arguments: &[&str]| s_client(&encrypted.address, &encrypted.authority, arguments).await;
        let (succeeded, said) = ask(&["-tls1_3", "-alpn", "h2,http/1.1"]).await;
        assert!(succeeded && said.contains("New, TLSv1.3"), "{said}");
        // Our bounds on heads, bodies and drains are HTTP/1.1's.
        assert!(said.contains("ALPN protocol: http/1.1"), "{said}");
        let (succeeded, said) = ask(&["-tls1_2"]).await;
        assert!(!succeeded && said.contains("alert protocol version"), "{said}");

        let mut stream = encrypted.authority.connect(&encrypted.address).await.unwrap();
        let answer = tls_get(&mut stream, "/healthz").await.unwrap().to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
        assert!(answer.contains("strict-transport-security: max-age=63072000; includesubdomains\r\n"), "{answer}");
        let refused = tls_get(&mut stream, "/v1/me").await.unwrap().to_ascii_lowercase();
        assert!(refused.starts_with("http/1.1 401") && refused.contains("strict-transport-security: "), "{refused}");

        let mut plain = TcpStream::connect(&encrypted.address).await.unwrap();
        plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        drop(tokio::time::timeout(SOON, plain.read_to_end(&mut answer)).await.expect("the connection is closed"));
        assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));

        // Nobody keeps a place by saying nothing.
        let began = Instant::now();
        let mut silent = TcpStream::connect(&encrypted.address).await.unwrap();
        drop(tokio::time::timeout(SOON, silent.read_to_end(&mut answer)).await.expect("the connection is closed"));
        assert!((Duration::from_millis(800)..Duration::from_secs(10)).contains(&began.elapsed()));
    });
}

#[test]
fn a_certificate_is_replaced_without_a_restart_and_a_broken_one_is_not_taken() {
    on_shared(async |stack| {
        let (encrypted, first) = Encrypted::start(stack, "tls-renewal").await;
        let authority = &encrypted.authority;
        let mut kept = authority.connect(&encrypted.address).await.unwrap();
        tls_get(&mut kept, "/healthz").await.unwrap();
        assert!(first.is_shown_by(&kept));

        let second = authority.issue(&["localhost"]);
        authority.write("tls.crt", &second.certificate);
        authority.write("tls.key", &second.key);
        eventually("the new certificate is shown", SOON, async || {
            let fresh = authority.connect(&encrypted.address).await.unwrap();
            second.is_shown_by(&fresh).then_some(())
        })
        .await;
        assert!(tls_get(&mut kept, "/healthz").await.unwrap().starts_with("HTTP/1.1 200"), "a connection was cut");

        let third = authority.issue(&["localhost"]);
        let told = encrypted.api.process.log().matches("the old one stays").count();
        authority.write("tls.crt", &third.certificate);
        encrypted.has_logged("the old one stays", told + 1).await;
        authority.write("tls.crt", "canary");
        encrypted.has_logged("the old one stays", told + 2).await;
        let mut fresh = authority.connect(&encrypted.address).await.unwrap();
        assert!(second.is_shown_by(&fresh));
        assert!(tls_get(&mut fresh, "/healthz").await.unwrap().starts_with("HTTP/1.1 200"));
        let log = encrypted.api.process.log();
        assert!(!log.contains("canary") && !log.contains("PRIVATE KEY"));
        let metrics = Client::new(&encrypted.api.metrics_url).get("/metrics").send().await.text();
        for line in ["amrutam_tls_certificate_expires_seconds ", "amrutam_tls_renewals_total{outcome=\"refused\"}"] {
            assert!(metrics.contains(line), "{line}: {metrics}");
        }

        authority.write("tls.crt", &third.certificate);
        authority.write("tls.key", &third.key);
        eventually("the right pair is shown", SOON, async || {
            let fresh = authority.connect(&encrypted.address).await.unwrap();
            third.is_shown_by(&fresh).then_some(())
        })
        .await;
    });
}

#[test]
fn a_process_does_not_begin_without_the_tls_it_is_told_to_speak() {
    on_shared(async |stack| {
        let authority = Authority::new("one");
        let (one, other) = (authority.issue(&["localhost"]), authority.issue(&["localhost"]));
        let certificate = authority.write("tls.crt", &one.certificate);
        let key = authority.write("tls.key", &other.key);
        let pair = [("TLS__CERTIFICATE", &*certificate), ("TLS__KEY", &key)];
        for (part, settings, reason) in [
            ("tls-mismatch", &pair[..], "the certificate and the key can't be used together"),
            ("tls-half", &pair[..1], "tls.key (AMRUTAM__TLS__KEY)"),
            ("tls-production", &[("ENVIRONMENT", "production")], "tls.certificate (AMRUTAM__TLS__CERTIFICATE)"),
        ] {
            let api = stack.another_api(part, settings);
            api.process.start();
            assert!(!api.process.ended(SOON).await.success(), "{part}");
            assert!(api.process.log().contains(reason), "{part}: {}", api.process.log());
        }
    });
}

#[test]
fn our_clients_encrypt_and_know_whom_they_talk_to() {
    on_stack(Options::named("tls-servers").own(&["postgres", "redis", "rabbitmq"]), async |stack| {
        let (ours, foreign) = (Authority::new("ours"), Authority::new("somebody else's"));
        let urls = stack.servers().speak_tls(&ours).await;
        postgres(&urls, &ours, &foreign).await;
        a_server_without_tls_is_no_way_around_it().await;
        redis(stack, &urls, &ours, &foreign).await;
        rabbitmq(stack, &urls, &ours, &foreign).await;
        the_whole_service(stack, &urls, &ours).await;
    });
}

/// The same place by another name, which the certificate does not have.
fn by_address(url: &str) -> String {
    url.replace("localhost", "127.0.0.1")
}

async fn ping(url: &str) -> Result<(), String> {
    let postgres = Postgres::connect(&amrutam_postgres::Settings::for_url(url.parse().unwrap())).unwrap();
    postgres.ping(Duration::from_secs(10)).await.map_err(|error| error.reason().to_owned())
}

async fn postgres(urls: &TlsUrls, ours: &Authority, foreign: &Authority) {
    for mode in ["require", "verify-full"] {
        let with = |url: &str, authority: &str| format!("{url}?sslmode={mode}{authority}");
        let trusting = |authority: &Authority| format!("&sslrootcert={}", authority.file());
        assert_eq!(ping(&with(&urls.database, &trusting(ours))).await, Ok(()), "{mode}");
        for (url, reason) in [
            (with(&urls.database, &trusting(foreign)), "UnknownIssuer"),
            (with(&urls.database, ""), "UnknownIssuer"),
            (with(&by_address(&urls.database), &trusting(ours)), "not valid for name"),
        ] {
            let refused = ping(&url).await.unwrap_err();
            assert!(refused.contains(reason), "{mode}: {refused}");
        }
    }
}

async fn a_server_without_tls_is_no_way_around_it() {
    let refused = ping(&format!("{}?sslmode=require", environment().database_url)).await.unwrap_err();
    assert!(refused.contains("server does not support TLS"), "{refused}");
}

async fn redis(stack: &Stack, urls: &TlsUrls, ours: &Authority, foreign: &Authority) {
    let up = async |url: &str, authority: Option<&Authority>| {
        let ca_file = authority.map(|authority| authority.file().into());
        let settings = amrutam_redis::Settings { urls: vec![url.to_owned()], ca_file, ..Default::default() };
        let locks = RedlockSlots::connect(settings).await.unwrap();
        locks.ping(Duration::from_secs(5)).await[0].up
    };
    assert!(up(&urls.redis, Some(ours)).await);
    assert!(!up(&urls.redis, Some(foreign)).await);
    assert!(!up(&urls.redis, None).await);
    assert!(!up(&by_address(&urls.redis), Some(ours)).await);
    assert!(!up(&urls.redis.replace("rediss", "redis"), None).await, "plain text on the TLS port");
    let api = stack.another_api("api-foreign", &[("REDIS__URLS", &urls.redis), ("REDIS__CA_FILE", &foreign.file())]);
    api.process.start();
    api.ready().await;
    until("the reason is told", SOON, async || api.process.log().contains("UnknownIssuer")).await;
    assert_eq!(state_of(&api.url).await, "degraded");
}

async fn rabbitmq(stack: &Stack, urls: &TlsUrls, ours: &Authority, foreign: &Authority) {
    let (trusted, untrusted) = (ours.file(), foreign.file());
    for (part, url, ca_file, reason) in [
        ("worker-foreign", &urls.amqp, &*untrusted, "UnknownIssuer"),
        ("worker-public", &urls.amqp, "", "UnknownIssuer"),
        ("worker-name", &by_address(&urls.amqp), &trusted, "not valid for name"),
    ] {
        let (worker, address) = stack.another_worker(part, &[("AMQP__URL", url), ("AMQP__CA_FILE", ca_file)]);
        worker.start();
        until(part, SOON, async || worker.log().contains(reason)).await;
        assert_eq!(state_of(&address).await, "degraded", "{part}");
    }
    let (worker, address) =
        stack.another_worker("worker-ours", &[("AMQP__URL", &urls.amqp), ("AMQP__CA_FILE", &trusted)]);
    worker.start();
    until("the broker is trusted", SOON, async || state_of(&address).await == "ready").await;
}

/// From the migration to an answer, with nothing in plain text.
async fn the_whole_service(stack: &Stack, urls: &TlsUrls, ours: &Authority) {
    let (name, ca_file) = ("localhost", ours.file());
    let encrypted = |url: &str| format!("{}?sslmode=verify-full&sslrootcert={ca_file}", url.replace("127.0.0.1", name));
    let (database, admin) = (encrypted(&urls.database), encrypted(&stack.database.admin_url));
    let variables = [("AMRUTAM__DATABASE__ADMIN_URL", &*admin), ("AMRUTAM__DATABASE__URL", &database)];
    Process::output("amrutamctl", &["migrate"], &variables, "").await;

    let issued = ours.issue(&[name]);
    let (certificate, key) = (ours.write("tls.crt", &issued.certificate), ours.write("tls.key", &issued.key));
    let api = stack.another_api(
        "api-encrypted",
        &[
            ("DATABASE__URL", &database),
            ("REDIS__URLS", &urls.redis),
            ("REDIS__CA_FILE", &ca_file),
            ("TLS__CERTIFICATE", &certificate),
            ("TLS__KEY", &key),
        ],
    );
    api.process.start();
    api.alive().await;
    let mut stream = ours.connect(api.url.trim_start_matches("http://")).await.unwrap();
    eventually("everything is up", SOON, async || {
        let answer = tls_get(&mut stream, "/readyz").await.unwrap();
        answer.contains("\"status\":\"ready\"").then_some(())
    })
    .await;
}

/// Speaks TLS with a certificate, and hands on what it hears to a plain port.
async fn in_front_of(target: String, issued: &Issued) -> String {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let chain = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (caller, _) = listener.accept().await.unwrap();
            let (acceptor, target) = (acceptor.clone(), target.clone());
            tokio::spawn(async move {
                let mut caller = acceptor.accept(caller).await.ok()?;
                let mut server = TcpStream::connect(target).await.ok()?;
                tokio::io::copy_bidirectional(&mut caller, &mut server).await.ok()
            });
        }
    });
    format!("https://localhost:{port}")
}

/// A gateway, and a provider of texts, behind a proxy of one's own: known by an authority of one's own, and by no other.
#[test]
fn gateways_are_known_by_the_authority_that_is_named() {
    let options = Options::named("gateway-tls").paid().texts();
    on_stack(options, async |stack| {
        let settings = stack.settings();
        let setting = |name: &str| settings.iter().find(|(key, _)| key == name).unwrap().1.clone();
        let plain = |name: &str| setting(name).trim_start_matches("http://").to_owned();
        let (ours, others) = (Authority::new("a proxy of ours"), Authority::new("somebody else"));
        let issued = ours.issue(&["localhost"]);
        let gateway = in_front_of(plain("AMRUTAM__PAYMENTS__BASE_URL"), &issued).await;
        let texter = in_front_of(plain("AMRUTAM__SMS__URL"), &issued).await;
        let doctor = stack.doctor(1).await;
        let slot = doctor.slots().await.remove(0);
        let patient = stack.patient_at("asha", Some("+910000054321")).await;
        stack.worker.kill();
        let worker = |part: &str, file: &str| {
            let settings = [
                ("PAYMENTS__BASE_URL", &*gateway),
                ("PAYMENTS__CA_FILE", file),
                ("SMS__URL", &*texter),
                ("SMS__CA_FILE", file),
            ];
            stack.another_worker(part, &settings).0
        };
        let distrusting = worker("distrusting", &others.file());
        distrusting.start();
        let visit = patient.booked(&slot).await;
        until("it distrusts", SOON, async || distrusting.log().contains("invalid peer certificate")).await;
        assert_eq!(stack.gateway.orders().await.len(), 0);
        distrusting.kill();
        let trusting = worker("trusting", &ours.file());
        trusting.start();
        let order = crate::sagas::order_of(&patient, &visit).await;
        stack.gateway.pay(&order, &serde_json::json!({ "outcome": "captured" })).await;
        crate::sagas::until_visit(&patient, &visit, "confirmed").await;
        stack.mail.texts_to("+910000054321", 1).await;
        trusting.kill();
    });
}
