//! Who may do what: one table of all routes and all kinds of callers, held against the OpenAPI document.

use crate::path::unknown_id;
use amrutam_tests::support::{
    Doctor, Person, Reply, Slot, Stack, booking, daily, environment, on_shared, profile, unique,
};
use serde_json::{Value, json};
use std::{cell::RefCell, collections::BTreeSet};

/// The callers, in the order of a row.
const CALLERS: [&str; 8] =
    ["anonymous", "patient", "other patient", "doctor", "other doctor", "support", "admin", "auditor"];

type Answer = (u16, &'static str);
type Answers = [Answer; 8];
type Row = (&'static str, &'static str, Answers);

const OK: Answer = (200, "");
const CREATED: Answer = (201, "");
const NOTED: Answer = (202, "");
const DONE: Answer = (204, "");
const NOBODY: Answer = (401, "unauthenticated");
const FORBIDDEN: Answer = (403, "forbidden");
const ABSENT: Answer = (404, "not_found");
const EARLY: Answer = (409, "too_early");
const NO_FACTOR: Answer = (409, "second_factor_not_enrolled");
const PROFILE: Answer = (409, "profile_exists");
const TRANSITION: Answer = (409, "invalid_transition");
const NO_LINK: Answer = (422, "invalid_link");
const NOT_A_DOCTOR: Answer = (422, "not_a_doctors_account");
const NO_CODE: Answer = (422, "invalid_code");
const NOT_OFFERED: Answer = (422, "choice_not_offered");
const WRONG_PASSWORD: Answer = (422, "wrong_password");

const NOT_OPEN: Answer = (409, "note_not_open");
const CLOSED: Answer = (409, "visit_closed");

const PUBLIC: Answers = [OK; 8];
const OWN_DOCTOR: Answers = [NOBODY, FORBIDDEN, FORBIDDEN, OK, ABSENT, FORBIDDEN, OK, FORBIDDEN];
const AUDITOR: Answers = [NOBODY, ABSENT, ABSENT, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, OK];
const SIDES: Answers = [NOBODY, OK, ABSENT, OK, ABSENT, OK, OK, FORBIDDEN];

const fn signed_in(answer: Answer) -> Answers {
    [NOBODY, answer, answer, answer, answer, answer, answer, answer]
}

/// The two sides of the visit; to others it does not exist, staff may not.
const fn both_sides(answer: Answer) -> Answers {
    [NOBODY, answer, ABSENT, answer, ABSENT, FORBIDDEN, FORBIDDEN, FORBIDDEN]
}

const fn only_doctor(answer: Answer) -> Answers {
    [NOBODY, FORBIDDEN, ABSENT, answer, ABSENT, FORBIDDEN, FORBIDDEN, FORBIDDEN]
}

const fn only_patients(answer: Answer) -> Answers {
    [NOBODY, answer, answer, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN]
}

/// The patient's.
const fn own_dependant(answer: Answer) -> Answers {
    [NOBODY, answer, ABSENT, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN]
}

/// What is operational is support's to see, too.
const OPERATIONAL: Answers = [NOBODY, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, OK, OK, FORBIDDEN];

const fn admin(answer: Answer) -> Answers {
    [NOBODY, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, answer, FORBIDDEN]
}

/// The patient has a visit with the doctor, and it is their ids that are asked for; the other two have nothing to do with it.
/// Where an id is of either, `of_patient` or `of_doctor` says whose it is.
const TABLE: &[Row] = &[
    ("GET", "/.well-known/jwks.json", PUBLIC),
    ("GET", "/healthz", PUBLIC),
    ("GET", "/openapi.json", PUBLIC),
    ("GET", "/readyz", PUBLIC),
    ("POST", "/v1/auth/register", [CREATED; 8]),
    ("POST", "/v1/auth/login", [(401, "invalid_credentials"); 8]),
    ("POST", "/v1/auth/mfa", [(401, "invalid_mfa_token"); 8]),
    ("POST", "/v1/auth/refresh", [(401, "invalid_refresh_token"); 8]),
    ("POST", "/v1/auth/logout", signed_in(DONE)),
    ("POST", "/v1/auth/logout-all", signed_in(DONE)),
    ("POST", "/v1/auth/password/forgot", [NOTED; 8]),
    ("POST", "/v1/auth/password/reset", [NO_LINK; 8]),
    ("POST", "/v1/auth/invitation/accept", [NO_LINK; 8]),
    ("POST", "/v1/auth/email/verify", [NO_LINK; 8]),
    ("GET", "/v1/me", signed_in(OK)),
    ("PATCH", "/v1/me", signed_in(OK)),
    ("POST", "/v1/me/password", signed_in(WRONG_PASSWORD)),
    ("POST", "/v1/me/deactivate", signed_in(WRONG_PASSWORD)),
    ("POST", "/v1/me/email/verification", signed_in(NOTED)),
    ("GET", "/v1/me/sessions", signed_in(OK)),
    (
        "DELETE",
        "/v1/me/sessions/{session_id:of_patient}",
        [NOBODY, DONE, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT],
    ),
    (
        "DELETE",
        "/v1/me/sessions/{session_id:of_doctor}",
        [NOBODY, ABSENT, ABSENT, DONE, ABSENT, ABSENT, ABSENT, ABSENT],
    ),
    ("POST", "/v1/me/mfa/totp", signed_in(OK)),
    ("POST", "/v1/me/mfa/totp/confirm", signed_in(NO_CODE)),
    ("DELETE", "/v1/me/mfa/totp", signed_in(WRONG_PASSWORD)),
    ("POST", "/v1/me/mfa/recovery-codes", signed_in(NO_FACTOR)),
    ("POST", "/v1/me/mfa/step-up", signed_in(NO_FACTOR)),
    ("GET", "/v1/me/dependants", only_patients(OK)),
    ("POST", "/v1/me/dependants", only_patients(CREATED)),
    ("GET", "/v1/me/dependants/{dependant_id}", own_dependant(OK)),
    ("PATCH", "/v1/me/dependants/{dependant_id}", own_dependant(OK)),
    ("DELETE", "/v1/me/dependants/{dependant_id}", own_dependant(DONE)),
    ("GET", "/v1/formulary", [NOBODY, FORBIDDEN, FORBIDDEN, OK, OK, FORBIDDEN, FORBIDDEN, FORBIDDEN]),
    ("POST", "/v1/me/export", signed_in(NOTED)),
    ("GET", "/v1/me/export/{export_id}", signed_in(ABSENT)),
    ("GET", "/v1/me/export/{export_id}/content", signed_in(ABSENT)),
    (
        "POST",
        "/v1/me/erasure",
        [NOBODY, WRONG_PASSWORD, WRONG_PASSWORD, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN],
    ),
    (
        "GET",
        "/v1/admin/erasures/{account_id}",
        [NOBODY, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, ABSENT, ABSENT],
    ),
    ("GET", "/v1/me/access-log", [NOBODY, OK, OK, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, OK]),
    (
        "POST",
        "/v1/me/access-log/{event_id}/objection",
        [NOBODY, ABSENT, ABSENT, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, ABSENT],
    ),
    ("GET", "/v1/audit/events", AUDITOR),
    (
        "GET",
        "/v1/audit/events/{event_id}/proof",
        [NOBODY, ABSENT, ABSENT, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, ABSENT],
    ),
    ("GET", "/v1/audit/checkpoints", AUDITOR),
    ("GET", "/v1/audit/consistency", AUDITOR),
    ("GET", "/v1/audit/export", AUDITOR),
    ("GET", "/v1/specializations", PUBLIC),
    ("GET", "/v1/doctors", PUBLIC),
    ("POST", "/v1/doctors", [NOBODY, FORBIDDEN, FORBIDDEN, PROFILE, PROFILE, FORBIDDEN, NOT_A_DOCTOR, FORBIDDEN]),
    ("GET", "/v1/doctors/{doctor_id}", PUBLIC),
    ("PATCH", "/v1/doctors/{doctor_id}", OWN_DOCTOR),
    ("GET", "/v1/doctors/{doctor_id}/availability", OWN_DOCTOR),
    ("PUT", "/v1/doctors/{doctor_id}/availability", OWN_DOCTOR),
    ("GET", "/v1/doctors/{doctor_id}/time-off", OWN_DOCTOR),
    (
        "POST",
        "/v1/doctors/{doctor_id}/time-off",
        [NOBODY, FORBIDDEN, FORBIDDEN, CREATED, ABSENT, FORBIDDEN, CREATED, FORBIDDEN],
    ),
    (
        "DELETE",
        "/v1/doctors/{doctor_id}/time-off/{time_off_id}",
        [NOBODY, FORBIDDEN, FORBIDDEN, DONE, ABSENT, FORBIDDEN, DONE, FORBIDDEN],
    ),
    ("GET", "/v1/doctors/{doctor_id}/slots", PUBLIC),
    ("POST", "/v1/admin/invitations", admin(CREATED)),
    ("POST", "/v1/admin/accounts", admin(CREATED)),
    (
        "POST",
        "/v1/admin/accounts/{account_id:of_patient}/deactivate",
        [NOBODY, WRONG_PASSWORD, ABSENT, ABSENT, ABSENT, ABSENT, DONE, ABSENT],
    ),
    (
        "POST",
        "/v1/admin/accounts/{account_id:of_doctor}/deactivate",
        [NOBODY, ABSENT, ABSENT, WRONG_PASSWORD, ABSENT, ABSENT, DONE, ABSENT],
    ),
    (
        "POST",
        "/v1/admin/accounts/{account_id:of_patient}/logout-all",
        [NOBODY, DONE, ABSENT, ABSENT, ABSENT, DONE, DONE, ABSENT],
    ),
    (
        "POST",
        "/v1/admin/accounts/{account_id:of_doctor}/logout-all",
        [NOBODY, ABSENT, ABSENT, DONE, ABSENT, DONE, DONE, ABSENT],
    ),
    (
        "POST",
        "/v1/admin/accounts/{account_id:of_patient}/mfa/remove",
        [NOBODY, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, NO_FACTOR, NO_FACTOR, FORBIDDEN],
    ),
    ("POST", "/v1/admin/doctors/{doctor_id}/verify", admin(TRANSITION)),
    ("POST", "/v1/admin/doctors/{doctor_id}/suspend", admin(OK)),
    ("GET", "/v1/admin/dead-letters", OPERATIONAL),
    ("GET", "/v1/admin/dead-letters/{dead_letter_id}", OPERATIONAL),
    ("POST", "/v1/admin/dead-letters/{dead_letter_id}/requeue", admin(OK)),
    ("POST", "/v1/admin/dead-letters/{dead_letter_id}/discard", admin(OK)),
    ("GET", "/v1/admin/reviews", OPERATIONAL),
    ("GET", "/v1/admin/reviews/{review_id}", OPERATIONAL),
    ("POST", "/v1/admin/reviews/{review_id}/resolve", admin(NOT_OFFERED)),
    ("GET", "/v1/admin/payments/{payment_id}", [NOBODY, ABSENT, ABSENT, FORBIDDEN, FORBIDDEN, ABSENT, ABSENT, ABSENT]),
    ("POST", "/v1/consultations", [NOBODY, CREATED, CREATED, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN]),
    ("GET", "/v1/consultations", [NOBODY, OK, OK, OK, OK, OK, OK, FORBIDDEN]),
    ("GET", "/v1/consultations/{consultation_id}", SIDES),
    ("GET", "/v1/consultations/{consultation_id}/timeline", SIDES),
    // These visits are not paid: there is a payment for nobody to see.
    (
        "GET",
        "/v1/consultations/{consultation_id}/payment",
        [NOBODY, ABSENT, ABSENT, FORBIDDEN, FORBIDDEN, ABSENT, ABSENT, ABSENT],
    ),
    (
        "POST",
        "/v1/consultations/{consultation_id}/payment/retry",
        [NOBODY, ABSENT, ABSENT, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN],
    ),
    (
        "GET",
        "/v1/consultations/{consultation_id}/cancellation",
        [NOBODY, OK, ABSENT, OK, ABSENT, FORBIDDEN, OK, FORBIDDEN],
    ),
    ("POST", "/v1/webhooks/payments/{gateway}", [ABSENT; 8]),
    ("POST", "/v1/consultations/{consultation_id}/cancel", [NOBODY, OK, ABSENT, OK, ABSENT, FORBIDDEN, OK, FORBIDDEN]),
    (
        "POST",
        "/v1/consultations/{consultation_id}/reschedule",
        [NOBODY, OK, ABSENT, FORBIDDEN, ABSENT, FORBIDDEN, FORBIDDEN, FORBIDDEN],
    ),
    (
        "POST",
        "/v1/consultations/{consultation_id}/start",
        [NOBODY, FORBIDDEN, ABSENT, EARLY, ABSENT, FORBIDDEN, FORBIDDEN, FORBIDDEN],
    ),
    (
        "POST",
        "/v1/consultations/{consultation_id}/complete",
        [NOBODY, FORBIDDEN, ABSENT, TRANSITION, ABSENT, FORBIDDEN, FORBIDDEN, FORBIDDEN],
    ),
    ("POST", "/v1/consultations/{consultation_id}/end", both_sides(TRANSITION)),
    ("POST", "/v1/consultations/{consultation_id}/mode", both_sides(TRANSITION)),
    (
        "POST",
        "/v1/consultations/{consultation_id}/no-show",
        [NOBODY, EARLY, ABSENT, EARLY, ABSENT, FORBIDDEN, FORBIDDEN, FORBIDDEN],
    ),
    ("POST", "/v1/consultations/{consultation_id}/check-in", both_sides(EARLY)),
    ("POST", "/v1/consultations/{consultation_id}/consent", both_sides(CREATED)),
    ("GET", "/v1/consultations/{consultation_id}/consent", both_sides(OK)),
    ("PUT", "/v1/consultations/{consultation_id}/guardian", both_sides(OK)),
    // The visit has not begun: nothing is written yet.
    ("GET", "/v1/consultations/{consultation_id}/notes", both_sides(ABSENT)),
    ("PUT", "/v1/consultations/{consultation_id}/notes", only_doctor(NOT_OPEN)),
    ("POST", "/v1/consultations/{consultation_id}/notes/addenda", only_doctor(NOT_OPEN)),
    ("GET", "/v1/consultations/{consultation_id}/prescription", both_sides(ABSENT)),
    ("PUT", "/v1/consultations/{consultation_id}/prescription", only_doctor(CLOSED)),
    ("POST", "/v1/consultations/{consultation_id}/prescription/dry-run", only_doctor(ABSENT)),
    ("POST", "/v1/consultations/{consultation_id}/prescription/sign", only_doctor(ABSENT)),
    ("POST", "/v1/consultations/{consultation_id}/prescription/revoke", only_doctor(ABSENT)),
    ("GET", "/v1/consultations/{consultation_id}/prescription.pdf", both_sides(ABSENT)),
    ("GET", "/v1/prescriptions/verify/{code}", [ABSENT; 8]),
    // The doctor treats from the day before the visit on, which is further away.
    ("GET", "/v1/patients/{patient_id}/records", [NOBODY, OK, ABSENT, ABSENT, ABSENT, FORBIDDEN, FORBIDDEN, FORBIDDEN]),
];

struct Cast {
    patient: Person,
    other_patient: Person,
    doctor: Doctor,
    other_doctor: Doctor,
    support: Person,
    auditor: Person,
    /// Whoever is suspended is of no more use.
    spare: Doctor,
    slots: RefCell<Vec<Slot>>,
}

impl Cast {
    fn slot(&self) -> Slot {
        self.slots.borrow_mut().pop().expect("slots enough")
    }

    /// Whose act it is; `None` is nobody's.
    async fn caller<'a>(&'a self, stack: &'a Stack, name: &str) -> Option<&'a Person> {
        Some(match name {
            "anonymous" => return None,
            "patient" => &self.patient,
            "other patient" => &self.other_patient,
            "doctor" => &self.doctor.person,
            "other doctor" => &self.other_doctor.person,
            "support" => &self.support,
            "admin" => stack.admin().await,
            "auditor" => &self.auditor,
            _ => panic!("nobody plays the {name}"),
        })
    }
}

/// Of slots: 48 a day, one for each call about a visit.
const DAYS: i32 = 12;

/// An account that has done nothing, for what ends its sessions.
async fn newcomer(stack: &Stack, caller: &str) -> Person {
    match caller.rsplit(' ').next().unwrap() {
        "patient" => stack.patient("newcomer").await,
        role => stack.staff("newcomer", role).await,
    }
}

/// As the document names it: without whose ids these are.
fn documented(template: &str) -> String {
    template.replace(":of_patient}", "}").replace(":of_doctor}", "}")
}

#[test]
fn every_route_answers_every_caller_as_the_table_says() {
    on_shared(async |stack| {
        let document = stack.anonymous().get("/openapi.json").send().await.expect(200);
        let described: BTreeSet<(String, String)> =
            operations(&document).map(|(method, path, _)| (method, path)).collect();
        let listed: BTreeSet<_> =
            TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), documented(path))).collect();
        assert_eq!(described, listed, "each route stands in the table");

        let doctor = stack.doctor(DAYS).await;
        let cast = Cast {
            patient: stack.patient("patient").await,
            other_patient: stack.patient("other").await,
            slots: RefCell::new(doctor.slots().await),
            other_doctor: stack.doctor(1).await,
            spare: stack.doctor(1).await,
            support: stack.staff("support", "support").await,
            auditor: stack.staff("auditor", "auditor").await,
            doctor,
        };
        let file = environment().root.join("infra/formulary/ayurveda-v1.json");
        stack.operate(&["formulary", "import", &*file.to_string_lossy()], "").await;
        let mut wrong = Vec::new();
        for (method, template, answers) in TABLE {
            for (caller, expected) in CALLERS.iter().zip(answers) {
                let reply = ask(stack, &cast, method, template, caller).await;
                let code = if reply.status < 400 { String::new() } else { reply.code() };
                if (reply.status, code.as_str()) != *expected {
                    wrong.push(format!("{method} {template} by {caller}: {} {code}, not {expected:?}", reply.status));
                }
                if reply.status >= 400 {
                    reply.assert_is_problem();
                }
                let operation = &document["paths"][documented(template)][method.to_lowercase()];
                if operation["responses"][reply.status.to_string()].is_null() {
                    wrong.push(format!("{method} {template}: {} is not documented", reply.status));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

async fn ask(stack: &Stack, cast: &Cast, method: &str, template: &str, caller: &str) -> Reply {
    let act = template.rsplit('/').next().unwrap();
    let doctor = if act == "suspend" { &cast.spare } else { &cast.doctor };
    let mut path = template.replace("{doctor_id}", &doctor.id).replace("{gateway}", "razorpay");
    path = path.replace("{event_id}", &unknown_id()).replace("{payment_id}", &unknown_id());
    path = path.replace("{export_id}", &unknown_id()).replace("{account_id}", &unknown_id());
    if act == "consistency" {
        path.push_str("?from=0&to=0");
    }
    let person = cast.caller(stack, caller).await;
    let mut client = person.map_or_else(|| stack.anonymous(), |person| person.client.clone());
    if path.contains("{consultation_id}") {
        let visit = cast.patient.booked(&cast.slot()).await;
        path = path.replace("{consultation_id}", &visit);
    }
    path = path.replace("{code}", "00000000000000000000000000");
    path = path.replace("{patient_id}", &cast.patient.id);
    if path.contains("{dependant_id}") {
        path = path.replace("{dependant_id}", &dependant_of(&cast.patient).await);
    }
    if path.contains("{time_off_id}") {
        let away = json!({ "from": "2190-01-01T00:00:00Z", "to": "2190-01-02T00:00:00Z" });
        let time_off = format!("/v1/doctors/{}/time-off", doctor.id);
        let made = doctor.person.client.post(&time_off, &away).send().await.expect(201);
        path = path.replace("{time_off_id}", made["id"].as_str().unwrap());
    }
    if path.contains("{dead_letter_id}") {
        path = path.replace("{dead_letter_id}", &dead_message(stack).await);
    }
    if path.contains("{review_id}") {
        path = path.replace("{review_id}", &open_case(stack).await);
    }
    for (whose, owner) in [("of_patient", &cast.patient), ("of_doctor", &cast.doctor.person)] {
        let session = format!("{{session_id:{whose}}}");
        if path.contains(&session) {
            let elsewhere = owner.elsewhere().await.client.get("/v1/me/sessions").send().await.expect(200);
            let current = elsewhere["items"].as_array().unwrap().iter().find(|session| session["current"] == true);
            path = path.replace(&session, current.unwrap()["id"].as_str().unwrap());
        }
        let account = format!("{{account_id:{whose}}}");
        if path.contains(&account) {
            let role = whose.trim_start_matches("of_");
            let newcomer = newcomer(stack, role).await;
            path = path.replace(&account, &newcomer.id);
            if caller == role {
                client = newcomer.client;
            }
        }
    }
    if template.starts_with("/v1/auth/logout") && person.is_some() {
        client = newcomer(stack, caller).await.client;
    }
    let person = || json!({ "email": format!("{}@x.example", unique("new")), "password": unique("a password"), "full_name": "New" });
    let body = match (method, act) {
        ("POST", "register") => person(),
        ("POST", "login") => json!({ "email": "nobody@x.example", "password": "a password" }),
        ("POST", "mfa") => json!({ "mfa_token": "made up", "code": "000000" }),
        ("POST", "refresh") => json!({ "refresh_token": "made up" }),
        ("POST", "forgot") => json!({ "email": "nobody@x.example" }),
        ("POST", "reset" | "accept") => json!({ "token": "made up", "password": "quite another one" }),
        ("POST", "verify") if template.contains("email") => json!({ "token": "made up" }),
        ("POST", "password") => json!({ "current_password": "not it", "new_password": "quite another one" }),
        ("POST", "deactivate") if template.starts_with("/v1/me") => json!({ "password": "not it" }),
        ("POST", "erasure") => json!({ "password": "not it" }),
        ("POST", "confirm" | "step-up") => json!({ "code": "000000" }),
        ("DELETE", "totp") => json!({ "password": "not it", "code": "000000" }),
        ("POST", "invitations") => {
            json!({ "email": format!("{}@x.example", unique("new")), "full_name": "New", "role": "doctor" })
        }
        ("POST", "accounts") => {
            let mut body = person();
            body["role"] = json!("doctor");
            body
        }
        ("POST", "doctors") => profile(),
        ("PATCH", "me") => json!({ "time_zone": "Asia/Kolkata" }),
        ("POST", "dependants") => child(),
        ("PATCH", _) if template.contains("dependant") => json!({ "relation": "ward" }),
        ("POST", "end") => json!({ "reason": "concluded" }),
        ("POST", "mode") => json!({ "mode": "audio" }),
        ("PATCH", _) => json!({ "bio": "General medicine." }),
        ("PUT", "availability") => json!({ "rules": daily(1, DAYS) }),
        ("POST", "time-off") => json!({ "from": "2190-01-01T00:00:00Z", "to": "2190-01-02T00:00:00Z" }),
        ("POST", "consultations") => booking(&cast.slot()),
        ("POST", "consent") => {
            json!({
                "purpose": "recording", "decision": "given", "notice_version": "recording-1", "method": "verbal", "evidence": "said yes"
            })
        }
        ("PUT", "guardian") => {
            json!({ "name": "Ravi", "relation": "father", "id_type": "pan", "id_last_four": "12A4" })
        }
        ("PUT", "notes" | "prescription") => json!({}),
        ("POST", "addenda") => json!({ "text": "Better" }),
        ("POST", "revoke") => json!({ "reason": "other" }),
        ("POST", "discard") => json!({ "reason": "obsolete" }),
        ("POST", "resolve") => json!({ "choice": "burn" }),
        ("POST", "cancel") if caller.ends_with("patient") => json!({ "reason": "patient_other" }),
        ("POST", "cancel") => json!({ "reason": "technical_issue" }),
        ("POST", "objection") => json!({ "reason": "other" }),
        ("POST", "reschedule") => json!({ "slot_id": cast.slot().id }),
        _ => Value::Null,
    };
    let call = client.call(method, &path);
    let call = if body.is_null() { call } else { call.json(&body) };
    let keyed = template == "/v1/consultations" || act == "retry";
    let call = if keyed && method == "POST" { call.key(&unique("key")) } else { call };
    call.send().await
}

pub(crate) fn child() -> Value {
    json!({ "full_name": "Kavya Nair", "date_of_birth": "2018-06-01", "sex": "female", "relation": "child" })
}

/// The id of somebody whom that patient's account keeps from now on, who makes room for one more.
pub(crate) async fn dependant_of(keeper: &Person) -> String {
    let kept = keeper.client.get("/v1/me/dependants").send().await.expect(200);
    if let [.., last] = &kept["items"].as_array().unwrap()[..]
        && kept["items"].as_array().unwrap().len() >= 8
    {
        let path = format!("/v1/me/dependants/{}", last["id"].as_str().unwrap());
        keeper.client.call("DELETE", &path).send().await.expect(204);
    }
    let added = keeper.client.post("/v1/me/dependants", &child()).send().await.expect(201);
    added["id"].as_str().unwrap().to_owned()
}

/// The id of a dead letter of a message that is not there: nothing comes of requeueing it.
pub(crate) async fn dead_message(stack: &Stack) -> String {
    let id = unknown_id();
    let statement = format!(
        "INSERT INTO dead_letters (id, source, consumer, subject_id, kind, payload, headers, error, attempts, redeliveries, \
           deaths, requeues, first_failed_at, opened_at, died_at, state, updated_at, version) \
         VALUES ('{id}', 'message', 'mail', '{id}', 'reminder_1h', '{{}}', '{{}}', '550 no', 6, 0, 1, 0, now(), now(), now(), \
           'dead', now(), 1)"
    );
    assert_eq!(stack.sql().await.execute(&statement).await, 1);
    id
}

/// The id of an open review case.
pub(crate) async fn open_case(stack: &Stack) -> String {
    let id = unknown_id();
    let statement = format!(
        "INSERT INTO review_cases (id, kind, subject_kind, subject_id, reason, choices, tried, opened_at, opened_by_event, \
           correlation_id, state, updated_at, version) \
         VALUES ('{id}', 'payment', 'payment', '{id}', 'refund_failed', '[{{\"word\": \"retry\", \"moves\": null}}]', '[]', \
           now(), '{id}', 'routes', 'open', now(), 1)"
    );
    assert_eq!(stack.sql().await.execute(&statement).await, 1);
    id
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
        for act in ["", "/timeline", "/payment", "/cancellation"] {
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
            "SELECT count(*) FROM audit_entries WHERE outcome = 'denied' AND resource_id = '{id}' AND actor_id = '{}'",
            other.id
        );
        assert_eq!(stack.sql().await.value::<i64>(&denied).await, 8, "each look is on the record");
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
