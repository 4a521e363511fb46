//! What people say of themselves is nowhere behind the service in clear: not in a dump of the database, not in logs, metrics and traces,
//! not with the broker, not in Redis.

use crate::clinical::prescription;
use amrutam_tests::support::{
    Authenticator, Options, Person, Process, SOON, Stack, booking, environment, on_stack, profile, subject, unique,
    until,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::future::join_all;
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Unmistakable texts, each with its name.
#[derive(Default)]
struct Canaries(Mutex<Vec<(String, String)>>);

impl Canaries {
    fn add(&self, what: &str, text: String) -> String {
        self.0.lock().unwrap().push((what.to_owned(), text.clone()));
        text
    }

    /// A word of letters, digits and hyphens.
    fn word(&self, what: &str) -> String {
        self.add(what, unique(&format!("canary-{what}")))
    }

    fn email(&self, what: &str) -> String {
        let local = self.word(what);
        format!("{local}@canary.example")
    }

    fn phone(&self, what: &str) -> String {
        let digits = self.add(what, format!("{:010}", rand::random_range(7_000_000_000_u64..9_999_999_999)));
        format!("+91{digits}")
    }

    fn date(&self, what: &str) -> String {
        let (year, month, day) = (1911, rand::random_range(1..=12), rand::random_range(1..=28));
        self.add(what, format!("{year}-{month:02}-{day:02}"))
    }

    /// Which of them are in it: as they are, in any case, in hexadecimal digits or base64.
    fn found_in(&self, text: &str) -> Vec<String> {
        let lower = text.to_lowercase();
        let all = self.0.lock().unwrap();
        let is_in = |canary: &str| {
            let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
            // Whole groups of three bytes, at each of the places where they may begin.
            let encoded = (0..3).any(|skip| {
                let whole = &canary.as_bytes()[skip..];
                text.contains(&STANDARD.encode(&whole[..whole.len() / 3 * 3]))
            });
            lower.contains(&canary.to_lowercase()) || lower.contains(&hex) || encoded
        };
        all.iter().filter(|(_, canary)| is_in(canary)).map(|(what, _)| what.clone()).collect()
    }
}

/// Takes whatever is sent to it by HTTP, and keeps it.
struct Collector {
    url: String,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::<Mutex<Vec<u8>>>::default();
        let into = taken.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, into.clone()));
            }
        });
        Self { url, taken }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.taken.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// One request each; the sender connects again.
async fn take(mut stream: TcpStream, into: Arc<Mutex<Vec<u8>>>) {
    let (mut request, mut chunk) = (Vec::new(), [0; 16_384]);
    loop {
        let head = request.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = head {
            let text = String::from_utf8_lossy(&request[..end]).to_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if request.len() >= end + 4 + length.unwrap_or(0_usize) {
                break;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(count) => request.extend_from_slice(&chunk[..count]),
        }
    }
    into.lock().unwrap_or_else(PoisonError::into_inner).extend(request);
    drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await);
}

/// Everything in it, by key and value.
async fn redis(url: &str) -> String {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut all = String::new();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query_async(&mut connection).await.unwrap();
        let mut read = match kind.as_str() {
            "string" => redis::cmd("GET"),
            "hash" => redis::cmd("HGETALL"),
            "set" => redis::cmd("SMEMBERS"),
            "list" | "zset" => redis::cmd(if kind == "list" { "LRANGE" } else { "ZRANGE" }),
            // It has ended meanwhile.
            _ => continue,
        };
        read.arg(&key);
        if matches!(kind.as_str(), "list" | "zset") {
            read.arg(0).arg(-1);
        }
        let value: redis::Value = read.query_async(&mut connection).await.unwrap();
        all.push_str(&format!("{key} {}\n", shown(&value)));
    }
    all
}

fn shown(value: &redis::Value) -> String {
    match value {
        redis::Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        redis::Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(" "),
        redis::Value::Map(items) => items.iter().map(|(k, v)| format!("{} {}", shown(k), shown(v))).collect(),
        other => format!("{other:?}"),
    }
}

/// Every route that takes something personal gets some, rightly and wrongly; also what only its owner should see.
async fn say_everything(stack: &Stack, canaries: &Canaries) -> (Person, String) {
    let client = stack.anonymous();
    let keyed = |call: amrutam_tests::support::Call| call.key(&unique("key"));
    let (email, password) = (canaries.email("email"), canaries.word("password"));
    let account = json!({
        "email": email, "password": password, "full_name": canaries.word("name"), "phone": canaries.phone("phone"),
        "date_of_birth": canaries.date("birth"), "sex": "female",
    });
    client.post("/v1/auth/register", &account).patiently().await.expect(201);
    client.post("/v1/auth/register", &account).patiently().await.expect(201);
    let verification = stack.mail.mail(&email, subject::VERIFY).await;
    canaries.add("link", verification.token().to_owned());
    let token = json!({ "token": verification.token() });
    let verified = client.post("/v1/auth/email/verify", &token).patiently().await;
    assert!(verified.status < 300, "{}", verified.text());
    let wrong = json!({ "email": email, "password": canaries.word("wrong-password") });
    client.post("/v1/auth/login", &wrong).patiently().await.refused(401, "invalid_credentials");
    let stranger = json!({ "email": canaries.email("unknown-email"), "password": password });
    client.post("/v1/auth/login", &stranger).patiently().await.refused(401, "invalid_credentials");
    let patient = Person::log_in(&client, &email, &password).await;
    canaries.add("access token", patient.client.token().unwrap().to_owned());
    canaries.add("refresh token", patient.refresh_token.clone());

    let changed = json!({
        "full_name": canaries.word("new-name"), "phone": canaries.phone("new-phone"),
        "date_of_birth": canaries.date("new-birth"),
    });
    let me = patient.client.get("/v1/me").send().await;
    let etag = me.header("etag").to_owned();
    patient.client.call("PATCH", "/v1/me").json(&changed).header("if-match", &etag).patiently().await.expect(200);
    // With a mistake beside it.
    let mut mistaken = changed.clone();
    mistaken["favourite"] = json!(canaries.word("unknown-field"));
    let refused = patient.client.call("PATCH", "/v1/me").json(&mistaken).header("if-match", &etag).patiently().await;
    assert!((400..500).contains(&refused.status), "{}", refused.text());

    let new_password = canaries.word("new-password");
    let change = json!({ "current_password": password, "new_password": new_password });
    let answer = patient.client.post("/v1/me/password", &change).patiently().await;
    assert!(answer.status < 300, "{}", answer.text());
    client.post("/v1/auth/password/forgot", &json!({ "email": email })).patiently().await;
    client.post("/v1/auth/password/forgot", &stranger["email"]).patiently().await;
    let reset = stack.mail.mail(&email, subject::RESET).await;
    canaries.add("reset link", reset.token().to_owned());
    let reset_to = canaries.word("reset-password");
    let body = json!({ "token": reset.token(), "password": reset_to });
    let answer = client.post("/v1/auth/password/reset", &body).patiently().await;
    assert!(answer.status < 300, "{}", answer.text());
    let patient = Person::log_in(&client, &email, &reset_to).await;

    let admin = stack.admin().await;
    for role in ["doctor", "support"] {
        let staff = json!({
            "role": role, "email": canaries.email(role), "password": canaries.word("staff-password"),
            "full_name": canaries.word("staff-name"), "phone": canaries.phone("staff-phone"),
        });
        keyed(admin.client.post("/v1/admin/accounts", &staff)).patiently().await.expect(201);
    }
    let invited = canaries.email("invited");
    let invitation = json!({
        "role": "doctor", "email": invited, "full_name": canaries.word("invited-name"),
        "phone": canaries.phone("invited-phone"),
    });
    let answer = keyed(admin.client.post("/v1/admin/invitations", &invitation)).patiently().await;
    assert!(answer.status < 300, "{}", answer.text());
    let invitation = stack.mail.mail(&invited, subject::INVITATION).await;
    canaries.add("invitation link", invitation.token().to_owned());
    let body = json!({ "token": invitation.token(), "password": canaries.word("invited-password") });
    let answer = client.post("/v1/auth/invitation/accept", &body).patiently().await;
    assert!(answer.status < 300, "{}", answer.text());

    // A second factor's secret and its recovery codes are shown once.
    let enrolling = stack.patient("enrolling").await;
    for code in Authenticator::enrol(&enrolling.client).await.recovery_codes {
        canaries.add("recovery code", code);
    }

    held_visit(stack, canaries).await;

    // The directory is public: not even a profile's private side holds anything more.
    let doctor = stack.doctor(1).await;
    keyed(doctor.person.client.post("/v1/doctors", &profile())).patiently().await;
    let slot = doctor.slots().await.remove(0);
    let mut body = booking(&slot);
    body["reason"] = json!(canaries.word("reason"));
    let booked = keyed(patient.client.post("/v1/consultations", &body)).patiently().await.expect(201);
    let id = booked["id"].as_str().unwrap().to_owned();
    for bad in [json!({ "reason": { "text": canaries.word("odd-reason") } }), json!({ canaries.word("odd-field"): 1 })]
    {
        let refused = keyed(patient.client.post("/v1/consultations", &bad)).patiently().await;
        assert!((400..500).contains(&refused.status));
    }
    for reader in [&patient, &doctor.person] {
        let seen = reader.consultation(&id).await;
        assert!(seen["reason"].is_string(), "{seen}");
    }
    let person = json!({
        "full_name": canaries.word("dependant"), "date_of_birth": canaries.date("dependant-birth"), "relation": "grandparent",
    });
    let kept = keyed(patient.client.post("/v1/me/dependants", &person)).patiently().await.expect(201);
    let mut body = booking(&doctor.slots().await.remove(0));
    body["for_dependent"] = kept["id"].clone();
    let theirs = keyed(patient.client.post("/v1/consultations", &body)).patiently().await.expect(201);
    let theirs = theirs["id"].as_str().unwrap();
    stack.comes_near(theirs, "5 minutes").await;
    doctor.person.act(theirs, "start", &json!({})).key(&unique("key")).patiently().await.expect(200);
    let summary = json!({ "summary": canaries.word("summary") });
    doctor.person.act(theirs, "complete", &summary).key(&unique("key")).patiently().await.expect(200);
    // A judgement on the patient's health, by a code.
    let mut body = booking(&doctor.slots().await.remove(0));
    body["reason"] = json!(canaries.word("referred-reason"));
    let referred = keyed(patient.client.post("/v1/consultations", &body)).patiently().await.expect(201);
    let referred = referred["id"].as_str().unwrap();
    // One visit at a time.
    stack.comes_near(theirs, "-2 hours").await;
    stack.comes_near(referred, "5 minutes").await;
    doctor.person.act(referred, "start", &json!({})).key(&unique("key")).patiently().await.expect(200);
    let why = json!({ "reason": canaries.add("end reason", "emergency_referral".to_owned()) });
    doctor.person.act(referred, "end", &why).key(&unique("key")).patiently().await.expect(200);
    assert_eq!(patient.consultation(referred).await["summary"], "emergency_referral");
    let record =
        patient.client.get(&format!("/v1/patients/{}/records?dependant={}", patient.id, kept["id"].as_str().unwrap()));
    assert!(record.patiently().await.expect(200)["items"][0]["summary"].is_string());
    stack.mail.mail(&email, "confirmed").await;
    patient.act(&id, "cancel", &json!({ "reason": canaries.word("odd-cancel") })).key(&unique("key")).patiently().await;
    patient.act(&id, "cancel", &Value::Null).key(&unique("key")).patiently().await;
    (patient, id)
}

/// A whole visit with everything that is said, written, prescribed and issued in it, and a copy of it.
async fn held_visit(stack: &Stack, canaries: &Canaries) {
    let file = environment().root.join("infra/formulary/ayurveda-v1.json");
    stack.operate(&["formulary", "import", &*file.to_string_lossy()], "").await;
    let (email, password) = (canaries.email("visitor-email"), canaries.word("visitor-password"));
    let account = json!({
        "email": email, "password": password, "full_name": canaries.word("visitor"), "date_of_birth": canaries.date("born"),
        "sex": "female",
    });
    stack.anonymous().post("/v1/auth/register", &account).patiently().await.expect(201);
    let patient = Person::log_in(&stack.anonymous(), &email, &password).await;
    let doctor = stack.doctor(1).await;
    let mut body = booking(&doctor.slots().await[0]);
    body["reason"] = json!(canaries.word("visit-reason"));
    let booked = patient.client.post("/v1/consultations", &body).key(&unique("key")).patiently().await.expect(201);
    let id = booked["id"].as_str().unwrap().to_owned();
    let path = |what: &str| format!("/v1/consultations/{id}/{what}");
    let medic = &doctor.person.client;
    stack.comes_near(&id, "5 minutes").await;
    let consent = json!({
        "purpose": "recording", "decision": "given", "notice_version": "recording-1", "method": "verbal",
        "evidence": canaries.word("evidence"),
    });
    medic.post(&path("consent"), &consent).patiently().await.expect(201);
    let adult =
        json!({ "name": canaries.word("guardian"), "relation": "father", "id_type": "pan", "id_last_four": "12A4" });
    patient.client.put(&path("guardian"), &adult).patiently().await.expect(200);
    medic.call("POST", &path("start")).patiently().await.expect(200);
    let mut note = json!({ "diagnoses": [{ "text": canaries.word("noted-diagnosis") }], "ayurveda": {} });
    for field in ["subjective", "objective", "assessment", "plan", "ashtavidha_pariksha", "samprapti"] {
        note[field] = json!(canaries.word(&format!("noted-{field}")));
    }
    let examined = ["prakriti", "vikriti", "agni", "koshtha", "nidana"];
    for field in examined {
        note["ayurveda"][field] = json!(canaries.word(&format!("noted-{field}")));
    }
    medic.put(&path("notes"), &note).patiently().await.expect(200);
    let mut draft = prescription(&canaries.word("complaint"));
    for field in [
        "practice_address",
        "practice_contact",
        "patient_address",
        "history",
        "findings",
        "findings_limits",
        "investigations",
        "advice",
        "referral",
    ] {
        draft[field] = json!(canaries.word(field));
    }
    for field in examined {
        draft["ayurveda"][field] = json!(canaries.word(field));
    }
    draft["diagnoses"][0]["text"] = json!(canaries.word("diagnosis"));
    for field in ["strength", "anupana", "instructions", "pathya", "apathya"] {
        draft["items"][0][field] = json!(canaries.word(field));
    }
    // One that no formulary has: each caution is answered.
    let mut own = draft["items"][0].clone();
    own.as_object_mut().unwrap().remove("code");
    own["name"] = json!(canaries.word("drug"));
    let answer = |rule: &str| json!({ "rule": rule, "reason": "checked_by_practitioner" });
    own["acknowledged"] = json!([answer("unknown_item"), answer("own_system"), answer("dose_check")]);
    draft["items"].as_array_mut().unwrap().push(own);
    medic.put(&path("prescription"), &draft).patiently().await.expect(200);
    let signed = medic.call("POST", &path("prescription/sign")).patiently().await.expect(200);
    let code = canaries.add("verify code", signed["signature"]["verify_code"].as_str().unwrap().to_owned());
    let wrong = canaries.add("wrong verify code", code.chars().rev().collect());
    let pharmacist = stack.anonymous();
    let verify = async |code: &str| pharmacist.get(&format!("/v1/prescriptions/verify/{code}")).patiently().await;
    verify(&code).await.expect(200);
    verify(&wrong).await.refused(404, "not_found");
    medic.call("POST", &path("complete")).patiently().await.expect(200);
    medic
        .post(&path("notes/addenda"), &json!({ "text": canaries.word("addendum") }))
        .header("if-match", "\"1\"")
        .patiently()
        .await
        .expect(200);
    until("the document is issued", SOON, async || {
        patient.client.get(&path("prescription.pdf")).send().await.status == 200
    })
    .await;
    let why = json!({ "reason": canaries.add("revoke reason", "adverse_reaction".to_owned()) });
    medic.post(&path("prescription/revoke"), &why).patiently().await.expect(200);
    let export = patient.client.call("POST", "/v1/me/export").patiently().await.header("location").to_owned();
    let mut link = Value::Null;
    until("the copy is made", SOON, async || {
        link = patient.client.get(&export).send().await.expect(200)["download"]["href"].clone();
        link.is_string()
    })
    .await;
    canaries.add("download link", link.as_str().unwrap().split_once("token=").unwrap().1.to_owned());
}

#[test]
fn what_people_say_is_nowhere_in_clear() {
    let collector = amrutam_tests::support::run(Collector::new());
    let options = Options::named("canary")
        .with("TELEMETRY__OTLP_ENDPOINT", &collector.url)
        .with("TELEMETRY__SAMPLE_RATIO", "1")
        .with(
            "TELEMETRY__LOG",
            "info,lapin=error,amrutam_api=debug,amrutam_worker=debug,amrutam_postgres=debug,amrutam_crypto=debug",
        );
    on_stack(options, async |stack| {
        let canaries = Canaries::default();
        let (redis_urls, _) = stack.others();
        let broker = stack.broker().await;
        let heard = broker.listen("#").await;
        let (patient, consultation) = say_everything(stack, &canaries).await;
        assert!(canaries.0.lock().unwrap().len() > 25);

        let dump = stack.database.whole_dump().await;
        let caches = join_all(redis_urls.split(',').map(redis)).await.join("\n");
        let mut messages = String::new();
        until("the events are heard", SOON, async || {
            messages.push_str(&broker.heard(&heard).await.join("\n"));
            messages.contains(&consultation)
        })
        .await;
        let api = &stack.apis[0];
        let metrics = async |url: &str| reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap();
        let metrics = format!("{}\n{}", metrics(&api.metrics_url).await, metrics(stack.worker_url()).await);
        until("traces are sent", SOON, async || collector.text().contains("/v1/consultations")).await;
        // What was left to be sent when the rest was looked at.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let log = |process: &Process| process.log();

        // Each place, and something that shows that it was looked at.
        let places = [
            ("the dump", dump, patient.id.clone()),
            ("Redis", caches, stack.prefix.clone()),
            ("the broker", messages, consultation.clone()),
            ("metrics", metrics, "amrutam_outbox_depth".to_owned()),
            ("traces", collector.text(), "/v1/consultations".to_owned()),
            ("the api's log", log(&api.process), patient.id.clone()),
            ("the worker's log", log(&stack.worker), consultation),
        ];
        let mut found = Vec::new();
        for (place, text, known) in &places {
            assert!(text.contains(known), "{place} was not looked at: {known}");
            found.extend(canaries.found_in(text).into_iter().map(|what| format!("{what} in {place}")));
        }
        broker.close().await;
        assert_eq!(found, Vec::<String>::new());
    });
}
