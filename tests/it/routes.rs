//! Who may do what: one table of all routes and all kinds of callers, held against the OpenAPI document.

use crate::path::unknown_id;
use amrutam_tests::support::{Client, Doctor, Person, Slot, Stack, booking, daily, on_shared, profile, unique};
use serde_json::{Value, json};
use std::{cell::RefCell, collections::BTreeSet};

/// The callers, in the order of a row.
const CALLERS: [&str; 6] = ["anonymous", "patient", "other patient", "doctor", "other doctor", "admin"];

type Answer = (u16, &'static str);
type Row = (&'static str, &'static str, [Answer; 6]);

const OK: Answer = (200, "");
const CREATED: Answer = (201, "");
const NOBODY: Answer = (401, "unauthenticated");
const FORBIDDEN: Answer = (403, "forbidden");
const ABSENT: Answer = (404, "not_found");
const EARLY: Answer = (409, "too_early");
const TRANSITION: Answer = (409, "invalid_transition");
const PUBLIC: [Answer; 6] = [OK; 6];
const SIGNED_IN: [Answer; 6] = [NOBODY, OK, OK, OK, OK, OK];
const OWN_DOCTOR: [Answer; 6] = [NOBODY, FORBIDDEN, FORBIDDEN, OK, FORBIDDEN, OK];
const SIDES: [Answer; 6] = [NOBODY, OK, ABSENT, OK, ABSENT, OK];

/// The patient has a visit with the doctor; the other two have nothing to do with it.
const TABLE: &[Row] = &[
    ("GET", "/.well-known/jwks.json", PUBLIC),
    ("GET", "/healthz", PUBLIC),
    ("GET", "/openapi.json", PUBLIC),
    ("GET", "/readyz", PUBLIC),
    ("POST", "/v1/auth/register", [CREATED; 6]),
    ("POST", "/v1/auth/login", [(401, "invalid_credentials"); 6]),
    ("GET", "/v1/me", SIGNED_IN),
    ("GET", "/v1/specializations", PUBLIC),
    ("GET", "/v1/doctors", PUBLIC),
    (
        "POST",
        "/v1/doctors",
        [
            NOBODY,
            FORBIDDEN,
            FORBIDDEN,
            (409, "profile_exists"),
            (409, "profile_exists"),
            (422, "not_a_doctors_account"),
        ],
    ),
    ("GET", "/v1/doctors/{doctor_id}", PUBLIC),
    ("PATCH", "/v1/doctors/{doctor_id}", OWN_DOCTOR),
    ("GET", "/v1/doctors/{doctor_id}/availability", OWN_DOCTOR),
    ("PUT", "/v1/doctors/{doctor_id}/availability", OWN_DOCTOR),
    ("GET", "/v1/doctors/{doctor_id}/time-off", OWN_DOCTOR),
    ("POST", "/v1/doctors/{doctor_id}/time-off", [NOBODY, FORBIDDEN, FORBIDDEN, CREATED, FORBIDDEN, CREATED]),
    (
        "DELETE",
        "/v1/doctors/{doctor_id}/time-off/{time_off_id}",
        [NOBODY, FORBIDDEN, FORBIDDEN, (204, ""), FORBIDDEN, (204, "")],
    ),
    ("GET", "/v1/doctors/{doctor_id}/slots", PUBLIC),
    ("POST", "/v1/admin/accounts", [NOBODY, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, CREATED]),
    ("POST", "/v1/admin/doctors/{doctor_id}/verify", [NOBODY, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, TRANSITION]),
    ("POST", "/v1/admin/doctors/{doctor_id}/suspend", [NOBODY, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, OK]),
    ("POST", "/v1/consultations", [NOBODY, CREATED, CREATED, FORBIDDEN, FORBIDDEN, FORBIDDEN]),
    ("GET", "/v1/consultations", SIGNED_IN),
    ("GET", "/v1/consultations/{consultation_id}", SIDES),
    ("GET", "/v1/consultations/{consultation_id}/timeline", SIDES),
    ("POST", "/v1/consultations/{consultation_id}/cancel", SIDES),
    ("POST", "/v1/consultations/{consultation_id}/reschedule", [NOBODY, OK, ABSENT, FORBIDDEN, ABSENT, FORBIDDEN]),
    ("POST", "/v1/consultations/{consultation_id}/start", [NOBODY, FORBIDDEN, ABSENT, EARLY, ABSENT, FORBIDDEN]),
    (
        "POST",
        "/v1/consultations/{consultation_id}/complete",
        [NOBODY, FORBIDDEN, ABSENT, TRANSITION, ABSENT, FORBIDDEN],
    ),
    ("POST", "/v1/consultations/{consultation_id}/no-show", [NOBODY, EARLY, ABSENT, EARLY, ABSENT, FORBIDDEN]),
];

struct Cast {
    patient: Person,
    other_patient: Person,
    doctor: Doctor,
    other_doctor: Doctor,
    /// Whoever is suspended is of no more use.
    spare: Doctor,
    slots: RefCell<Vec<Slot>>,
}

impl Cast {
    fn slot(&self) -> Slot {
        self.slots.borrow_mut().pop().expect("slots enough")
    }
}

#[test]
fn every_route_answers_every_caller_as_the_table_says() {
    on_shared(async |stack| {
        let document = stack.anonymous().get("/openapi.json").send().await.expect(200);
        let documented: BTreeSet<(String, String)> =
            operations(&document).map(|(method, path, _)| (method, path)).collect();
        let listed: BTreeSet<_> =
            TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
        assert_eq!(documented, listed, "each route stands in the table");

        let doctor = stack.doctor(5).await;
        let cast = Cast {
            patient: stack.patient("patient").await,
            other_patient: stack.patient("other").await,
            slots: RefCell::new(doctor.slots().await),
            other_doctor: stack.doctor(1).await,
            spare: stack.doctor(1).await,
            doctor,
        };
        let mut wrong = Vec::new();
        for (method, path, answers) in TABLE {
            for (caller, expected) in CALLERS.iter().zip(answers) {
                let reply = ask(stack, &cast, method, path, caller).await;
                let code = if reply.status < 400 { String::new() } else { reply.code() };
                if (reply.status, code.as_str()) != *expected {
                    wrong.push(format!("{method} {path} by {caller}: {} {code}, not {expected:?}", reply.status));
                }
                if reply.status >= 400 {
                    reply.assert_is_problem();
                }
                let described = &document["paths"][path][method.to_lowercase()]["responses"][reply.status.to_string()];
                if described.is_null() {
                    wrong.push(format!("{method} {path}: {} is not documented", reply.status));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

async fn ask(stack: &Stack, cast: &Cast, method: &str, template: &str, caller: &str) -> amrutam_tests::support::Reply {
    let doctor = if template.ends_with("/suspend") { &cast.spare } else { &cast.doctor };
    let mut path = template.replace("{doctor_id}", &doctor.id);
    if path.contains("{consultation_id}") {
        let visit = cast.patient.booked(&cast.slot()).await;
        path = path.replace("{consultation_id}", &visit);
    }
    if path.contains("{time_off_id}") {
        let away = json!({ "from": "2190-01-01T00:00:00Z", "to": "2190-01-02T00:00:00Z" });
        let time_off = format!("/v1/doctors/{}/time-off", doctor.id);
        let made = doctor.person.client.post(&time_off, &away).send().await.expect(201);
        path = path.replace("{time_off_id}", made["id"].as_str().unwrap());
    }
    let client: Client = match caller {
        "anonymous" => stack.anonymous(),
        "patient" => cast.patient.client.clone(),
        "other patient" => cast.other_patient.client.clone(),
        "doctor" => cast.doctor.person.client.clone(),
        "other doctor" => cast.other_doctor.person.client.clone(),
        _ => stack.admin().await.client.clone(),
    };
    let person =
        || json!({ "email": format!("{}@x.example", unique("new")), "password": "a password", "full_name": "New" });
    let body = match (method, template.rsplit('/').next().unwrap()) {
        ("POST", "register") => person(),
        ("POST", "login") => json!({ "email": "nobody@x.example", "password": "a password" }),
        ("POST", "accounts") => {
            let mut body = person();
            body["role"] = json!("doctor");
            body
        }
        ("POST", "doctors") => profile(),
        ("PATCH", _) => json!({ "bio": "General medicine." }),
        ("PUT", "availability") => json!({ "rules": daily(1, 5) }),
        ("POST", "time-off") => json!({ "from": "2190-01-01T00:00:00Z", "to": "2190-01-02T00:00:00Z" }),
        ("POST", "consultations") => booking(&cast.slot()),
        ("POST", "cancel") => json!({ "reason": "technical_issue" }),
        ("POST", "reschedule") => json!({ "slot_id": cast.slot().id }),
        _ => Value::Null,
    };
    let call = client.call(method, &path);
    let call = if body.is_null() { call } else { call.json(&body) };
    let call = if template == "/v1/consultations" && method == "POST" { call.key(&unique("key")) } else { call };
    call.send().await
}

/// Method, path and description of each operation.
pub(crate) fn operations(document: &Value) -> impl Iterator<Item = (String, String, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let path = path.clone();
        item.as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation))
    })
}

#[test]
fn what_is_not_yours_reads_like_what_is_not_there() {
    on_shared(async |stack| {
        let doctor = stack.doctor(1).await;
        let (patient, other) = (stack.patient("asha").await, stack.patient("other").await);
        let id = patient.booked(&doctor.slots().await[0]).await;
        for act in ["", "/timeline"] {
            let read = async |id: &str| {
                let path = format!("/v1/consultations/{id}{act}");
                let mut body = other.client.get(&path).send().await.refused(404, "not_found");
                for own in ["instance", "correlation_id"] {
                    body.as_object_mut().unwrap().remove(own);
                }
                body
            };
            assert_eq!(read(&id).await, read(&unknown_id()).await);
            assert_eq!(read(&id).await, read("no-id-at-all").await);
        }
        let theirs = other.client.get("/v1/consultations").send().await.expect(200);
        assert_eq!(theirs["items"], json!([]));
        let denied = format!(
            "SELECT count(*) FROM audit_log WHERE outcome = 'denied' AND resource_id = '{id}' AND actor_id = '{}'",
            other.id
        );
        assert_eq!(stack.sql().await.value::<i64>(&denied).await, 4, "each look is on the record");
    });
}

#[test]
fn an_administrator_sees_neither_patient_nor_reason() {
    on_shared(async |stack| {
        let doctor = stack.doctor(1).await;
        let patient = stack.patient("asha").await;
        let slot = &doctor.slots().await[0];
        let mut body = booking(slot);
        body["reason"] = json!("a very private reason");
        let booked = patient.client.post("/v1/consultations", &body).key(&unique("key")).send().await.expect(201);
        let id = booked["id"].as_str().unwrap();
        let admin = &stack.admin().await.client;
        let range = format!("from={}&to={}", slot.starts_at, slot.ends_at);
        for path in [
            format!("/v1/consultations/{id}"),
            format!("/v1/consultations/{id}/timeline"),
            format!("/v1/consultations?{range}&limit=100"),
        ] {
            let text = admin.get(&path).send().await.text();
            assert!(text.contains(id) || path.ends_with("timeline"), "{path}");
            for secret in [&*patient.id, &patient.email, "private"] {
                assert!(!text.contains(secret), "{path} shows {secret}");
            }
        }
    });
}

#[test]
fn a_token_that_is_not_ours_opens_nothing() {
    on_shared(async |stack| {
        let patient = stack.patient("asha").await;
        let token = patient.client.token().unwrap();
        let [head, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
        let encode = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text);
        let none = encode(r#"{"alg":"none","typ":"at+jwt"}"#);
        let mut flipped = signature.to_owned().into_bytes();
        flipped[20] = if flipped[20] == b'A' { b'B' } else { b'A' };
        let forged = [
            "x".to_owned(),
            format!("{head}.{claims}"),
            format!("{head}.{claims}."),
            format!("{none}.{claims}."),
            format!("{none}.{claims}.{signature}"),
            format!("{head}.{claims}.{}", String::from_utf8(flipped).unwrap()),
            format!("{head}.{}.{signature}", encode(r#"{"sub":"x"}"#)),
            format!("{token}."),
            "a".repeat(9_000),
        ];
        let mut answers = BTreeSet::new();
        for token in &forged {
            for path in ["/v1/me", "/v1/doctors"] {
                let reply = stack.anonymous().with_token(token).get(path).send().await;
                let body = reply.refused(401, "unauthenticated");
                answers.insert(body["detail"].to_string());
            }
        }
        assert_eq!(answers.len(), 1, "one answer to all: {answers:?}");
        patient
            .client
            .get("/v1/me")
            .header("authorization", format!("Bearer {token}"))
            .send()
            .await
            .refused(401, "unauthenticated");
        stack
            .anonymous()
            .get("/v1/me")
            .header("authorization", format!("Basic {token}"))
            .send()
            .await
            .refused(401, "unauthenticated");
    });
}
