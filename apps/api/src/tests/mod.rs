//! The whole application over memory adapters: routes, extractors, problems and replays, without a server.

mod accounts;
mod booking;
mod browsers;
mod clinical;
mod directory;
mod documents;
mod edges;
mod idempotency;
mod limits;
mod operations;

use crate::{
    application::app,
    http::{Beat, Headers, InFlight, Quotas, Refusals},
    openapi,
    readiness::Readiness,
    services::{Limits, Services},
    settings::{ClassLimit, Proxies, RateLimits, RouteClass},
};
use actix_web::{
    body::{BodySize, BoxBody, MessageBody, to_bytes},
    dev::{Service, ServiceResponse},
    http::{ConnectionType, Method, StatusCode, header::HeaderMap},
    test::{TestRequest, init_service},
    web::Data,
};
use amrutam_booking::model::{BookingRules, PaymentsMode};
use amrutam_identity::{
    EmailAddress, NewPassword, PersonName, Profile,
    model::IdentityRules,
    ports::{AccessClaims, InvalidToken, MfaClaims, TokenVerifier},
    use_cases::{NewStaff, create_staff},
};
use amrutam_kernel::{Context, Currency, Role, Sensitive};
use amrutam_memory::{
    FakeHasher, FakeIndex, FakeLinks, FakeSealer, FakeSecrets, FakeSigner, FakeTokens, ManualClock, MemoryGate,
    MemoryLog, MemorySlotLocks, MemoryTotp, MemoryWorld, SeededIds, VirtualPause,
};
use amrutam_operations::model::ApprovalLimits;
use amrutam_payments::model::PaymentRules;
use amrutam_redis::LocalLimits;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// A Sunday evening in India.
const NOW: &str = "2026-11-22T12:00:00Z";
const PASSWORD: &str = "a long enough password";

type App = Rc<dyn Fn(TestRequest) -> futures::future::LocalBoxFuture<'static, ServiceResponse<BoxBody>>>;

struct Api {
    app: App,
    world: Arc<MemoryWorld>,
    clock: Arc<ManualClock>,
    verifier: Arc<CountingVerifier>,
    services: Data<Services>,
}

struct CountingVerifier {
    tokens: FakeTokens,
    asked: AtomicUsize,
}

impl TokenVerifier for CountingVerifier {
    fn verify_access(&self, token: &str, now: Timestamp) -> Result<AccessClaims, InvalidToken> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.tokens.verify_access(token, now)
    }

    fn verify_mfa(&self, token: &str, now: Timestamp) -> Result<MfaClaims, InvalidToken> {
        self.tokens.verify_mfa(token, now)
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    closes: bool,
    /// What `Content-Length` will say.
    length: BodySize,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Fails unless this is a whole problem with this status and code.
    #[track_caller]
    fn is_problem(&self, status: u16, code: &str) {
        let body = self.json();
        assert_eq!((self.status.as_u16(), body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(body["status"], status);
        assert_eq!(body["correlation_id"].as_str(), self.header("x-correlation-id"));
        assert!(body["type"].as_str().is_some_and(|kind| kind.ends_with(code)) && body["title"].is_string(), "{body}");
        assert!(body["instance"].is_string() && body["detail"].is_string(), "{body}");
    }

    #[track_caller]
    fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}

/// One doctor with slots, one patient, one admin.
struct Cast {
    patient: String,
    other_patient: String,
    doctor: String,
    admin: String,
    doctor_id: String,
    slots: Vec<String>,
}

impl Api {
    async fn new() -> Self {
        Self::with(PaymentsMode::None, Limits::default()).await
    }

    async fn with(payments: PaymentsMode, limits: Limits) -> Self {
        Self::made(payments, limits, Headers::default(), unlimited()).await
    }

    async fn telling_browsers(payments: PaymentsMode, limits: Limits, headers: Headers) -> Self {
        Self::made(payments, limits, headers, unlimited()).await
    }

    async fn made(payments: PaymentsMode, limits: Limits, headers: Headers, quotas: Quotas) -> Self {
        let rules = IdentityRules { mfa_required_roles: Vec::new(), log_in_unverified: true };
        Self::ruled(rules, payments, limits, headers, quotas).await
    }

    async fn ruled(
        identity_rules: IdentityRules,
        payments: PaymentsMode,
        limits: Limits,
        headers: Headers,
        quotas: Quotas,
    ) -> Self {
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        let world = Arc::new(MemoryWorld::new(clock.clone()));
        let gate = Arc::new(MemoryGate::new(world.clone()));
        let log = Arc::new(MemoryLog::new(world.clone()));
        let tokens = || FakeTokens::new("tests");
        let verifier = Arc::new(CountingVerifier { tokens: tokens(), asked: AtomicUsize::new(0) });
        let signer = Arc::new(FakeSigner::new());
        let services = Data::new(Services {
            accounts: world.clone(),
            links: world.clone(),
            link_tokens: Arc::new(FakeLinks::new("tests")),
            sessions: world.clone(),
            gate: gate.clone(),
            notices: gate,
            factors: world.clone(),
            totp: Arc::new(MemoryTotp),
            secrets: Arc::new(FakeSecrets::new(7)),
            identity_rules,
            hasher: Arc::new(FakeHasher::new()),
            issuer: Arc::new(tokens()),
            verifier: verifier.clone(),
            jwks: Box::new(|| json!({ "keys": [] })),
            consultations: world.clone(),
            audit_reader: log.clone(),
            audit_log: log.clone(),
            trail: world.clone(),
            refusals: Refusals::default(),
            objections: log,
            exports: world.clone(),
            downloads: Arc::new(tokens()),
            erasures: world.clone(),
            retention: crate::settings::Retention::default(),
            clinical: world.clone(),
            formularies: world.clone(),
            signer: signer.clone(),
            codes: signer,
            printer: Arc::new(amrutam_memory::FakeRenderer::new()),
            directory: world.clone(),
            availability: world.clone(),
            letters: world.clone(),
            reviews: world.clone(),
            history: world.clone(),
            approval: ApprovalLimits::new([(Currency::Inr, 1_000_000)]),
            locks: Arc::new(MemorySlotLocks::new()),
            sealer: Arc::new(FakeSealer::new()),
            clock: clock.clone(),
            ids: Arc::new(SeededIds::new(7)),
            pause: Arc::new(VirtualPause::new(clock.clone())),
            rules: BookingRules::v1(TimeZone::get("Asia/Kolkata").unwrap()),
            payments,
            payment_store: world.clone(),
            paid_visits: world.clone(),
            payment_rules: PaymentRules::v1(),
            webhooks: Vec::new(),
            limits,
            headers,
            quotas,
            in_flight: InFlight::default(),
            readiness: Readiness::default(),
            beat: Beat::default(),
        });
        let service = Rc::new(init_service(app(services.clone(), Data::new(openapi::document()))).await);
        let app: App = Rc::new(move |request| {
            let service = Rc::clone(&service);
            Box::pin(async move {
                match service.call(request.to_request()).await {
                    Ok(response) => response,
                    Err(error) => {
                        let request = TestRequest::default().to_http_request();
                        ServiceResponse::new(request, error.error_response().map_into_boxed_body())
                    }
                }
            })
        });
        Self { app, world, clock, verifier, services }
    }

    async fn send(&self, request: TestRequest) -> Answer {
        let response = (self.app)(request).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let closes = response.response().head().connection_type() == ConnectionType::Close;
        let length = response.response().body().size();
        let bytes = to_bytes(response.into_body()).await.unwrap();
        Answer { status, headers, closes, length, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.send(with_token(TestRequest::get().uri(path), token)).await
    }

    async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Answer {
        self.send(with_token(TestRequest::post().uri(path), token).set_json(body)).await
    }

    async fn call(&self, method: Method, path: &str, token: &str, body: &Value) -> Answer {
        self.send(with_token(TestRequest::with_uri(path).method(method), Some(token)).set_json(body)).await
    }

    async fn book(&self, token: &str, key: &str, body: &Value) -> Answer {
        let request = TestRequest::post().uri("/v1/consultations").insert_header(("idempotency-key", key));
        self.send(with_token(request, Some(token)).set_json(body)).await
    }

    async fn log_in(&self, email: &str) -> String {
        let answer = self.post("/v1/auth/login", None, &json!({ "email": email, "password": PASSWORD })).await.is(200);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    async fn patient(&self, email: &str) -> String {
        let body = json!({ "email": email, "password": PASSWORD, "full_name": "Asha Nair" });
        self.post("/v1/auth/register", None, &body).await.is(201);
        self.log_in(email).await
    }

    async fn admin(&self) -> String {
        let context = Context::of_system("tests", "tests".parse().unwrap());
        let command = NewStaff {
            role: Role::Admin,
            email: Sensitive::new("admin@example.in".parse::<EmailAddress>().unwrap()),
            password: NewPassword::parse(Sensitive::new(PASSWORD.to_owned())).unwrap(),
            profile: Profile {
                full_name: Sensitive::new("Admin".parse::<PersonName>().unwrap()),
                phone: None,
                date_of_birth: None,
                sex: None,
                time_zone: "Asia/Kolkata".to_owned(),
            },
        };
        create_staff(self.services.identity(), &context, command, None).await.unwrap();
        self.log_in("admin@example.in").await
    }

    /// A listed doctor who works on Mondays from nine to eleven, and those who have to do with them.
    async fn cast(&self) -> Cast {
        let admin = self.admin().await;
        let account =
            json!({ "email": "rao@example.in", "password": PASSWORD, "full_name": "Meera Rao", "role": "doctor" });
        self.post("/v1/admin/accounts", Some(&admin), &account).await.is(201);
        let doctor = self.log_in("rao@example.in").await;
        let profile = self.post("/v1/doctors", Some(&doctor), &profile()).await.is(201).json();
        let doctor_id = profile["id"].as_str().unwrap().to_owned();
        let verify = format!("/v1/admin/doctors/{doctor_id}/verify");
        self.post(&verify, Some(&admin), &json!({})).await.is(200);
        let availability = format!("/v1/doctors/{doctor_id}/availability");
        self.call(Method::PUT, &availability, &doctor, &json!({ "rules": [monday()] })).await.is(200);
        let slots = self.get(&format!("/v1/doctors/{doctor_id}/slots"), None).await.is(200).json();
        let slots = slots["items"].as_array().unwrap().iter().map(|slot| slot["id"].as_str().unwrap().to_owned());
        Cast {
            slots: slots.collect(),
            patient: self.patient("asha@example.in").await,
            other_patient: self.patient("ravi@example.in").await,
            doctor,
            admin,
            doctor_id,
        }
    }
}

impl Cast {
    fn wish(&self, slot: usize) -> Value {
        json!({ "doctor_id": self.doctor_id, "slot_id": self.slots[slot], "mode": "video" })
    }
}

/// Most tests ask for more than people do.
fn unlimited() -> Quotas {
    quotas(|_| ClassLimit { requests: 1_000_000, address_requests: None, window_secs: 900 })
}

fn quotas(of: impl Fn(RouteClass) -> ClassLimit) -> Quotas {
    let classes = RouteClass::ALL.map(|class| (class, of(class))).into();
    Quotas {
        limits: RateLimits { enabled: true, classes },
        proxies: Proxies::default(),
        limiter: Arc::new(LocalLimits::new()),
        digests: Arc::new(FakeIndex::new("tests")),
    }
}

fn with_token(request: TestRequest, token: Option<&str>) -> TestRequest {
    match token {
        Some(token) => request.insert_header(("authorization", format!("Bearer {token}"))),
        None => request,
    }
}

fn monday() -> Value {
    json!({ "weekday": "monday", "start": "09:00", "end": "11:00", "slot_minutes": 20, "modes": ["video", "audio"] })
}

fn profile() -> Value {
    json!({
        "full_name": "Dr. Meera Rao", "system": "ayurveda", "council": "Kerala State Medical Councils",
        "registration_number": "KL-AY-10482", "qualifications": ["BAMS"], "specializations": ["kayachikitsa"],
        "languages": ["ml", "en"], "modes": ["video", "audio"], "fee": { "amount": 49900, "currency": "INR" },
        "time_zone": "Asia/Kolkata"
    })
}

fn brief() -> Limits {
    Limits { request_timeout: Duration::from_millis(200), body_bytes: 1024, ..Limits::default() }
}
