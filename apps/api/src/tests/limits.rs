use super::{Answer, Api, CountingVerifier, PASSWORD, quotas, with_token};
use crate::{
    http::{Headers, Quotas},
    openapi,
    services::Limits,
    settings::{ClassLimit, RouteClass},
};
use actix_web::{http::Method, test::TestRequest};
use amrutam_booking::model::PaymentsMode;
use amrutam_identity::ports::MfaClaims;
use amrutam_kernel::{Clock, LimitDecision, RateLimit, RateLimiter};
use amrutam_redis::LocalLimits;
use async_trait::async_trait;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, atomic::Ordering};

const HERE: &str = "203.0.113.9:4711";
const THERE: &str = "198.51.100.3:4711";
/// Seconds that a test may take.
const BUSY: u32 = 60;

/// Few enough to use up: 3 of a caller or about a subject, 5 from an address.
fn tight() -> Quotas {
    quotas(|class| ClassLimit {
        requests: 3,
        address_requests: class.counts_subjects().then_some(5),
        window_secs: class.defaults().window_secs,
    })
}

async fn limited(quotas: Quotas) -> Api {
    Api::made(PaymentsMode::None, Limits::default(), Headers::default(), quotas).await
}

fn from(peer: &str, request: TestRequest) -> TestRequest {
    request.peer_addr(peer.parse().unwrap())
}

impl Api {
    async fn ask(&self, peer: &str, path: &str, token: Option<&str>) -> Answer {
        self.send(with_token(from(peer, TestRequest::get().uri(path)), token)).await
    }

    async fn try_password(&self, peer: &str, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.send(from(peer, TestRequest::post().uri("/v1/auth/login")).set_json(body)).await
    }
}

impl Answer {
    /// Since the first request of this window.
    #[track_caller]
    fn is_limited(&self, window: u32) {
        self.is_problem(429, "rate_limited");
        let wait: u32 = self.header("retry-after").unwrap().parse().unwrap();
        assert!((window - BUSY..=window).contains(&wait), "{wait}");
        let used_up = format!(";r=0;t={wait}");
        assert!(self.limits().1.contains(&used_up), "{:?}", self.limits());
    }

    fn limits(&self) -> (&str, &str) {
        (self.header("ratelimit-policy").unwrap_or_default(), self.header("ratelimit").unwrap_or_default())
    }
}

#[actix_web::test]
async fn the_hundred_and_first_has_to_wait() {
    let api = limited(quotas(RouteClass::defaults)).await;
    for used in 1..=100 {
        let answer = api.ask(HERE, "/v1/doctors", None).await.is(200);
        let (policy, state) = answer.limits();
        assert_eq!(policy, "\"default\";q=100;w=900");
        assert!(state.starts_with(&format!("\"default\";r={};t=", 100 - used)), "{state}");
    }
    let refused = api.ask(HERE, "/v1/doctors", None).await;
    refused.is_limited(900);
    assert_eq!(refused.limits().0, "\"default\";q=100;w=900");
    assert_eq!(refused.header("cache-control"), Some("no-store"));
    api.ask(THERE, "/v1/doctors", None).await.is(200);
    api.ask(HERE, "/healthz", None).await.is(200);
}

#[actix_web::test]
async fn every_answer_says_how_its_limits_stand() {
    let fifty = |class: RouteClass| ClassLimit { requests: 50, address_requests: Some(50), ..class.defaults() };
    let api = limited(quotas(fifty)).await;
    let send = async |method: &Method, path: &str, token: &str, body: &Value| {
        api.send(with_token(TestRequest::with_uri(path).method(method.clone()), Some(token)).set_json(body)).await
    };
    let token = api.patient("asha@example.in").await;
    let long = json!({ "doctor_id": "x".repeat(70_000) });
    for (status, method, path, token, body) in [
        (200, Method::GET, "/v1/me", &*token, &json!({})),
        (401, Method::GET, "/v1/me", "x", &json!({})),
        (404, Method::GET, "/nowhere", &token, &json!({})),
        (405, Method::DELETE, "/v1/me", &token, &json!({})),
        (400, Method::POST, "/v1/consultations", &token, &json!({ "x": 1 })),
        (413, Method::POST, "/v1/consultations", &token, &long),
        (
            422,
            Method::POST,
            "/v1/auth/register",
            &token,
            &json!({ "email": "x", "password": PASSWORD, "full_name": "A" }),
        ),
        (401, Method::POST, "/v1/auth/login", &token, &json!({ "email": "a@example.in", "password": "x" })),
        (307, Method::GET, "/docs", &token, &json!({})),
    ] {
        let answer = send(&method, path, token, body).await.is(status);
        let (policy, state) = answer.limits();
        assert!(policy.starts_with('"') && policy.contains(";q=50;w="), "{path}: {policy}");
        assert!(state.starts_with('"') && state.contains(";r=") && state.contains(";t="), "{path}: {state}");
    }
}

#[actix_web::test]
async fn who_is_signed_in_is_counted_by_account_and_who_is_not_by_address() {
    let api = limited(quotas(|class| match class {
        RouteClass::Default => ClassLimit { requests: 3, ..class.defaults() },
        _ => ClassLimit { requests: 100, address_requests: None, ..class.defaults() },
    }))
    .await;
    let (asha, ravi) = (api.patient("asha@example.in").await, api.patient("ravi@example.in").await);
    let again = api.log_in("asha@example.in").await;
    for (peer, token) in [(HERE, &asha), (THERE, &asha), (HERE, &again)] {
        api.ask(peer, "/v1/me", Some(token)).await.is(200);
    }
    for (peer, token) in [(HERE, &asha), (THERE, &again)] {
        api.ask(peer, "/v1/me", Some(token)).await.is_limited(900);
    }
    api.ask(HERE, "/v1/me", Some(&ravi)).await.is(200);
    // What is no token of ours is nobody's, and counts for the address.
    let twice = |token: &str| {
        let token = format!("Bearer {token}");
        from(HERE, TestRequest::get().uri("/v1/me"))
            .append_header(("authorization", token.as_str()))
            .append_header(("authorization", token.as_str()))
    };
    api.send(twice(&ravi)).await.is_problem(401, "unauthenticated");
    api.ask(HERE, "/v1/me", Some("made-up-1")).await.is_problem(401, "unauthenticated");
    api.ask(HERE, "/v1/me", Some("made-up-2")).await.is_problem(401, "unauthenticated");
    api.ask(HERE, "/v1/me", Some("made-up-3")).await.is_limited(900);
    api.ask(HERE, "/v1/doctors", None).await.is_limited(900);
    api.ask(HERE, "/v1/me", Some(&ravi)).await.is(200);
}

#[actix_web::test]
async fn a_token_is_verified_once_a_request() {
    let api = Api::new().await;
    let token = api.patient("asha@example.in").await;
    let verified = |CountingVerifier { asked, .. }: &CountingVerifier| asked.swap(0, Ordering::SeqCst);
    verified(&api.verifier);
    for (path, token) in [("/v1/me", &*token), ("/v1/doctors", &token), ("/v1/me", "made-up")] {
        api.ask(HERE, path, Some(token)).await;
        assert_eq!(verified(&api.verifier), 1, "{path}");
    }
}

#[actix_web::test]
async fn passwords_of_one_person_are_tried_so_often_from_wherever() {
    let api = limited(tight()).await;
    api.patient("asha@example.in").await;
    for (peer, email) in [(HERE, "ASHA@example.in"), (THERE, " asha@example.in")] {
        api.try_password(peer, email, "wrong").await;
    }
    let audited = api.world.audit().len();
    for peer in [HERE, THERE, "192.0.2.1:1"] {
        let refused = api.try_password(peer, "Asha@Example.in", PASSWORD).await;
        refused.is_limited(900);
        let (policy, state) = refused.limits();
        assert_eq!(policy, "\"login\";q=3;w=900, \"login-address\";q=5;w=900");
        assert!(state.starts_with("\"login\";r=0;t=") && state.contains(", \"login-address\";r="), "{state}");
    }
    assert_eq!(api.world.audit().len(), audited, "a refused one is not tried");
    // Known or not makes no difference.
    for tries in 0..4 {
        let answer = api.try_password("192.0.2.2:1", "nobody@example.in", PASSWORD).await;
        assert_eq!(answer.status.as_u16(), if tries < 3 { 401 } else { 429 });
    }
}

#[actix_web::test]
async fn who_uses_up_the_tries_of_a_code_leaves_the_recovery_codes() {
    let api = limited(tight()).await;
    api.patient("asha@example.in").await;
    let (account, now) = (api.world.accounts()[0].id, api.clock.now());
    let claims = MfaClaims { account, issued_at: now, expires_at: now + SignedDuration::from_mins(5) };
    let mfa_token = api.services.issuer.issue_mfa(&claims, account.as_uuid()).unwrap().into_exposed();
    let second_step = async |peer: &str, field: &str, value: &str| {
        let body = json!({ "mfa_token": mfa_token, field: value });
        api.send(from(peer, TestRequest::post().uri("/v1/auth/mfa")).set_json(body)).await
    };
    for peer in [HERE, THERE, "192.0.2.1:1"] {
        second_step(peer, "code", "000000").await.is(401);
    }
    second_step("192.0.2.2:1", "code", "000000").await.is_problem(429, "rate_limited");
    let recovery = async || second_step("192.0.2.3:1", "recovery_code", "AAAA-BBBB-CCCC-DDDD").await;
    for tries in 0..6 {
        let answer = recovery().await;
        assert_eq!(answer.status.as_u16(), if tries < 5 { 401 } else { 429 }, "{}", answer.text);
    }
}

#[actix_web::test]
async fn an_address_tries_so_many_passwords_of_whomever() {
    let api = limited(tight()).await;
    let token = api.patient("asha@example.in").await;
    for person in 0..4 {
        api.try_password(HERE, &format!("p{person}@example.in"), "x").await.is_problem(401, "invalid_credentials");
    }
    // What can't be read is counted, too, after it was answered.
    let malformed = || from(HERE, TestRequest::post().uri("/v1/auth/login")).set_payload("{");
    api.send(malformed()).await.is_problem(415, "unsupported_media_type");
    api.try_password(HERE, "asha@example.in", PASSWORD).await.is_limited(900);
    api.send(malformed()).await.is_limited(900);
    // Nor does it help to be signed in.
    let body = json!({ "email": "asha@example.in", "password": PASSWORD });
    let signed_in = with_token(from(HERE, TestRequest::post().uri("/v1/auth/login")), Some(&token)).set_json(body);
    api.send(signed_in).await.is_limited(900);
    api.try_password(THERE, "asha@example.in", PASSWORD).await.is(200);
}

#[actix_web::test]
async fn accounts_are_opened_so_often() {
    let api = limited(tight()).await;
    let register = async |peer: &str, email: &str| {
        let body = json!({ "email": email, "password": PASSWORD, "full_name": "Asha Nair" });
        api.send(from(peer, TestRequest::post().uri("/v1/auth/register")).set_json(body)).await
    };
    for peer in [HERE, THERE, HERE] {
        register(peer, "asha@example.in").await.is(201);
    }
    register("192.0.2.1:1", "asha@example.in").await.is_limited(3_600);
    for person in 0..3 {
        register(HERE, &format!("p{person}@example.in")).await.is(201);
    }
    register(HERE, "p3@example.in").await.is_limited(3_600);
    assert_eq!(api.world.accounts().len(), 4);
}

#[actix_web::test]
async fn an_address_is_the_connection_s_unless_a_proxy_of_ours_tells_another() {
    let mut quotas = tight();
    quotas.proxies.trusted = vec!["10.0.0.0/8".parse().unwrap()];
    let api = limited(quotas).await;
    let ask = async |peer: &str, forwarded: &str| {
        let request = from(peer, TestRequest::get().uri("/v1/doctors"));
        api.send(request.insert_header(("x-forwarded-for", forwarded))).await.status.as_u16()
    };
    for (made_up, status) in [("1.1.1.1", 200), ("2.2.2.2", 200), ("10.0.0.1", 200), ("3.3.3.3", 429)] {
        assert_eq!(ask(HERE, made_up).await, status, "nobody asked {HERE}");
    }
    let proxy = "10.0.0.7:80";
    for (made_up, status) in [("1.1.1.1", 200), ("2.2.2.2", 200), ("10.0.0.1", 200), ("3.3.3.3", 429)] {
        assert_eq!(ask(proxy, &format!("{made_up}, 192.0.2.77")).await, status);
    }
    assert_eq!(ask(proxy, "192.0.2.78").await, 200);
    // A customer has 2^64 addresses.
    for (host, status) in [("::1", 200), ("::2", 200), ("ffff::", 200), ("::3", 429)] {
        let address = if host == "ffff::" { "2001:db8:1:2:ffff::".to_owned() } else { format!("2001:db8:1:2{host}") };
        assert_eq!(ask(proxy, &address).await, status, "{address}");
    }
    assert_eq!(ask(proxy, "2001:db8:1:3::1").await, 200);
}

#[actix_web::test]
async fn without_limits_nothing_is_counted_nor_said() {
    let mut quotas = tight();
    quotas.limits.enabled = false;
    let api = limited(quotas).await;
    for _ in 0..10 {
        assert_eq!(api.ask(HERE, "/v1/doctors", None).await.is(200).limits(), ("", ""));
        api.try_password(HERE, "asha@example.in", "x").await.is_problem(401, "invalid_credentials");
    }
}

struct Recording(LocalLimits, Mutex<Vec<String>>);

#[async_trait]
impl RateLimiter for Recording {
    async fn check(&self, limits: &[RateLimit]) -> LimitDecision {
        self.1.lock().unwrap().extend(limits.iter().map(|limit| limit.key.as_str().to_owned()));
        self.0.check(limits).await
    }
}

#[actix_web::test]
async fn no_key_tells_a_name() {
    let recording = Arc::new(Recording(LocalLimits::new(), Mutex::default()));
    let api = limited(Quotas { limiter: recording.clone(), ..tight() }).await;
    let token = api.patient("canary@example.in").await;
    api.ask("[2001:db8:1:2:3:4:5:6]:80", "/v1/doctors", None).await.is(200);
    api.ask(HERE, "/v1/me", Some(&token)).await.is(200);
    let account = api.world.accounts()[0].id;
    let keys = recording.1.lock().unwrap();
    let expected = [
        "register:address:unknown",
        "login:address:unknown",
        "default:address:2001:db8:1:2::/64",
        &format!("default:account:{account}"),
    ];
    for key in expected {
        assert!(keys.iter().any(|counted| counted == key), "{key}: {keys:?}");
    }
    let about: Vec<_> = keys.iter().filter_map(|key| key.split_once(":subject:")).collect();
    assert_eq!(about.iter().map(|(class, _)| *class).collect::<Vec<_>>(), ["register", "login"]);
    assert_ne!(about[0].1, about[1].1, "what is counted in one place is not found in another");
    assert!(!keys.iter().any(|key| key.contains("canary") || key.contains('@')), "{keys:?}");
}

#[test]
fn each_route_has_its_class_and_a_new_one_the_default() {
    let document = openapi::document();
    let described: Value = serde_json::from_str(&document.text).unwrap();
    for (path, item) in described["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let expected = match (method.as_str(), path.as_str()) {
                ("POST", "/v1/auth/login") => Some(RouteClass::Login),
                ("POST", "/v1/auth/register") => Some(RouteClass::Register),
                ("POST", "/v1/auth/refresh") => Some(RouteClass::Refresh),
                ("POST", "/v1/auth/mfa" | "/v1/me/mfa/totp/confirm" | "/v1/me/mfa/step-up")
                | ("DELETE", "/v1/me/mfa/totp") => Some(RouteClass::Mfa),
                (
                    "POST",
                    "/v1/auth/password/forgot"
                    | "/v1/auth/password/reset"
                    | "/v1/auth/invitation/accept"
                    | "/v1/auth/email/verify"
                    | "/v1/me/password"
                    | "/v1/me/email/verification"
                    | "/v1/me/deactivate"
                    | "/v1/me/erasure",
                ) => Some(RouteClass::Reset),
                ("GET", "/healthz" | "/readyz") => Some(RouteClass::Health),
                ("POST", "/v1/webhooks/payments/{gateway}") => Some(RouteClass::Webhooks),
                _ => None,
            };
            assert_eq!(document.routes.class(&method, path), expected, "{method} {path}");
            assert_eq!(operation["x-rate-limit"].as_str(), expected.map(RouteClass::as_str), "{method} {path}");
            assert!(operation["responses"]["429"].is_object(), "{method} {path}");
        }
    }
    assert_eq!(document.routes.class(&Method::GET, "/v1/auth/login"), None);
    assert_eq!(document.routes.class(&Method::GET, "/nowhere"), None);
}
