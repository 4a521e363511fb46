//! Every access leaves its entry: a table of all routes that touch personal data, and a walk from an access to its proof.

use crate::{
    path::unknown_id,
    routes::{child, dead_message, dependant_of, open_case, operations},
};
use amrutam_tests::support::{
    Call, Client, Doctor, IMPERSONAL, NO_CASE, Options, PERSONAL, Person, Process, SOON, Slot, Stack, booking, daily,
    on_shared, on_stack, profile, unique, until,
};
use serde_json::{Value, json};
use std::{cell::RefCell, collections::BTreeSet};

struct Cast {
    patient: Person,
    stranger: Person,
    doctor: Doctor,
    auditor: Person,
    slots: RefCell<Vec<Slot>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Success,
    Denial,
    Failure,
}

impl Cast {
    fn slot(&self) -> Slot {
        self.slots.borrow_mut().pop().expect("slots enough")
    }

    /// Who is answered like that.
    fn caller(&self, path: &str, act: &str, case: Case) -> &Client {
        let trail = path.starts_with("/v1/audit");
        match case {
            Case::Success if trail => &self.auditor.client,
            Case::Success if path.starts_with("/v1/doctors/") => &self.doctor.person.client,
            Case::Denial
                if trail || ["access-log", "me/dependants", "erasure"].iter().any(|end| path.ends_with(end)) =>
            {
                &self.doctor.person.client
            }
            // A role that books, or lists visits, not at all.
            Case::Denial if path == "/v1/consultations" && act == "POST" => &self.doctor.person.client,
            Case::Denial if path == "/v1/consultations" => &self.auditor.client,
            Case::Denial => &self.stranger.client,
            Case::Failure if matches!(act, "start" | "complete") => &self.doctor.person.client,
            Case::Success | Case::Failure => &self.patient.client,
        }
    }
}

fn time_off() -> Value {
    json!({ "from": "2190-01-01T00:00:00Z", "to": "2190-01-02T00:00:00Z" })
}

/// Gives the path that was called.
async fn call(stack: &Stack, cast: &Cast, method: &str, template: &str, case: Case, flow: &str) -> String {
    let act = template.rsplit('/').next().unwrap();
    let mut path = template.replace("{patient_id}", &cast.patient.id).replace("{account_id}", &cast.patient.id);
    path = path.replace("{doctor_id}", &cast.doctor.id).replace("{event_id}", &unknown_id());
    path = path.replace("{payment_id}", &unknown_id()).replace("{session_id}", &unknown_id());
    path = path.replace("/consistency", "/consistency?from=0&to=0");
    if path.contains("{time_off_id}") {
        let away = format!("/v1/doctors/{}/time-off", cast.doctor.id);
        let made = cast.doctor.person.client.post(&away, &time_off()).send().await.expect(201);
        path = path.replace("{time_off_id}", made["id"].as_str().unwrap());
    }
    if path.contains("{dead_letter_id}") {
        path = path.replace("{dead_letter_id}", &dead_message(stack).await);
    }
    if path.contains("{review_id}") {
        path = path.replace("{review_id}", &open_case(stack).await);
    }
    if path.contains("{dependant_id}") {
        path = path.replace("{dependant_id}", &dependant_of(&cast.patient).await);
    }
    if path.contains("{export_id}") {
        let ordered = cast.patient.client.call("POST", "/v1/me/export").send().await;
        let id = ordered.header("location").rsplit('/').next().unwrap().to_owned();
        path = path.replace("{export_id}", &id).replace("/content", "/content?token=x");
    }
    if path.contains("{consultation_id}") {
        let visit = cast.patient.booked(&cast.slot()).await;
        path = path.replace("{consultation_id}", &visit);
        if case == Case::Failure && matches!(act, "cancel" | "reschedule") {
            // What is over can't be called off or moved.
            let body = json!({ "reason": "patient_emergency" });
            cast.patient.client.post(&format!("/v1/consultations/{visit}/cancel"), &body).send().await.expect(200);
        }
    }
    if act == "dependants" && case == Case::Success {
        // Of an empty list nothing is told.
        dependant_of(&cast.patient).await;
    }
    let anonymous = stack.anonymous();
    let client = if act == "login" {
        &anonymous
    } else {
        cast.caller(template, if act == "consultations" { method } else { act }, case)
    };
    let right = cast.patient.password.as_str();
    let body = match (method, act) {
        ("POST", "login") => {
            json!({ "email": cast.patient.email, "password": if case == Case::Success { right } else { "not the password" } })
        }
        ("POST", "dependants") => child(),
        ("PUT", "availability") => json!({ "rules": daily(1, 5) }),
        ("POST", "time-off") => time_off(),
        ("PATCH", "{doctor_id}") => json!({ "bio": "General medicine." }),
        ("POST", "doctors") => profile(),
        ("POST", "invitations") => {
            json!({ "email": format!("{}@x.example", unique("new")), "full_name": "New", "role": "doctor" })
        }
        ("POST", "accounts") => json!({
            "email": format!("{}@x.example", unique("new")), "password": unique("a password"), "full_name": "New", "role": "doctor"
        }),
        ("POST", "discard") => json!({ "reason": "obsolete" }),
        ("POST", "resolve") => json!({ "choice": "retry" }),
        ("PATCH", "{dependant_id}") => json!({ "relation": "ward" }),
        ("POST", "end") => json!({ "reason": "concluded" }),
        ("POST", "mode") => json!({ "mode": "audio" }),
        ("PATCH", "me") => json!({ "time_zone": "Asia/Kolkata" }),
        ("POST", "consultations") => booking(&cast.slot()),
        ("POST", "cancel") => json!({ "reason": "patient_emergency" }),
        ("POST", "erasure") => json!({ "password": right }),
        ("POST", "reschedule") => json!({ "slot_id": cast.slot().id }),
        ("POST", "consent") => {
            json!({ "purpose": "teleconsultation", "decision": "given", "notice_version": "teleconsultation-1" })
        }
        ("PUT", "guardian") => {
            json!({ "name": "Ravi", "relation": "father", "id_type": "pan", "id_last_four": "12A4" })
        }
        ("PUT", "notes" | "prescription") => json!({}),
        ("POST", "addenda") => json!({ "text": "Better" }),
        ("POST", "revoke") => json!({ "reason": "other" }),
        _ => Value::Null,
    };
    let call: Call = client.call(method, &path).header("x-correlation-id", flow);
    let call = if body.is_null() { call } else { call.json(&body) };
    let keyed = template == "/v1/consultations" || act == "retry";
    let call = if keyed && method == "POST" { call.key(&unique("key")) } else { call };
    let reply = call.send().await;
    let expected = match case {
        Case::Success => reply.status < 300,
        Case::Denial => matches!(reply.status, 401 | 403 | 404),
        Case::Failure => reply.status == 409,
    };
    assert!(expected, "{method} {template}, {case:?}: {} {}", reply.status, reply.text());
    path
}

/// Of which record, and whose it is, the entry must tell, as far as the route says it.
fn about(cast: &Cast, template: &str, path: &str, case: Case) -> String {
    let named = ["{consultation_id}", "{export_id}", "{dependant_id}"].into_iter().find(|id| template.contains(id));
    let place = named.and_then(|id| template.split('/').position(|part| part == id));
    let record = place.and_then(|place| path.split('/').nth(place));
    // Whose a person is whom another account keeps is nothing to tell.
    let whose = match case {
        Case::Denial if template.contains("dependant") || template.starts_with("/v1/me/access-log") => false,
        _ if record.is_some() || template.contains("{patient_id}") => true,
        Case::Success => template.starts_with("/v1/me"),
        Case::Denial | Case::Failure => false,
    };
    let record = record.map(|record| format!(" AND resource_id = '{record}'")).unwrap_or_default();
    let whose = if whose { format!(" AND patient_id = '{}'", cast.patient.id) } else { String::new() };
    record + &whose
}

#[test]
fn every_route_that_touches_personal_data_leaves_its_entries() {
    on_shared(async |stack| {
        let document = stack.anonymous().get("/openapi.json").send().await.expect(200);
        let described: BTreeSet<_> = operations(&document).map(|(method, path, _)| (method, path)).collect();
        let personal = PERSONAL.iter().map(|(method, path, ..)| (*method, *path));
        let others = IMPERSONAL.iter().map(|(method, path, _)| (*method, *path));
        let told: BTreeSet<_> = personal.chain(others).collect();
        let told: BTreeSet<_> = told.into_iter().map(|(method, path)| (method.to_owned(), path.to_owned())).collect();
        assert_eq!(described, told, "each route stands in one of the two tables");

        let doctor = stack.doctor(5).await;
        let cast = Cast {
            patient: stack.patient("asha").await,
            stranger: stack.patient("other").await,
            auditor: stack.staff("auditor", "auditor").await,
            slots: RefCell::new(doctor.slots().await),
            doctor,
        };
        let sql = stack.sql().await;
        let mut wrong = Vec::new();
        for (method, path, success, denial, failure) in PERSONAL {
            for (case, left) in [(Case::Success, success), (Case::Denial, denial), (Case::Failure, failure)] {
                if *left == NO_CASE {
                    continue;
                }
                let flow = unique("flow");
                let called = call(stack, &cast, method, path, case, &flow).await;
                let about = about(&cast, path, &called, case);
                // Nothing is awaited: it was durable before the answer left.
                let query = format!(
                    "SELECT count(*) FROM audit_entries WHERE correlation_id = '{flow}' AND action = '{}' AND outcome = '{}' AND origin = '127.0.0.0/24'{about}",
                    left.0, left.1
                );
                if sql.value::<i64>(&query).await == 0 {
                    let there = format!(
                        "SELECT concat_ws(' ', action, outcome, resource_id, patient_id) FROM audit_entries WHERE correlation_id = '{flow}'"
                    );
                    wrong.push(format!(
                        "{method} {path}, {case:?}: {:?}, not {left:?}{about}",
                        sql.column(&there).await
                    ));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

#[test]
fn each_record_of_a_list_is_named() {
    on_shared(async |stack| {
        let doctor = stack.doctor(2).await;
        let patient = stack.patient("asha").await;
        let mut visits = Vec::new();
        for slot in doctor.slots().await.iter().take(3) {
            visits.push(patient.booked(slot).await);
        }
        let flow = unique("flow");
        let list =
            doctor.person.client.get("/v1/consultations").header("x-correlation-id", &flow).send().await.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), 3);
        let query = format!(
            "SELECT resource_id FROM audit_entries WHERE correlation_id = '{flow}' AND patient_id = '{}'",
            patient.id
        );
        let named: BTreeSet<_> = stack.sql().await.column(&query).await.into_iter().collect();
        assert_eq!(named, visits.into_iter().collect());
    });
}

/// Without the trail nobody sees anything.
#[test]
fn what_can_not_be_put_on_the_record_is_not_shown() {
    on_stack(Options::named("unaudited"), async |stack| {
        let doctor = stack.doctor(1).await;
        let patient = stack.patient("asha").await;
        let visit = patient.booked(&doctor.slots().await[0]).await;
        let sql = stack.sql().await;
        sql.execute("REVOKE INSERT ON audit_intake FROM amrutam_app").await;
        for path in ["/v1/me", "/v1/consultations", &format!("/v1/consultations/{visit}")] {
            let reply = patient.client.get(path).send().await;
            assert!(reply.status >= 500, "{path}: {}", reply.status);
            assert!(!reply.text().contains(&visit) || path.contains(&visit), "{path}");
        }
        sql.execute("GRANT INSERT ON audit_intake TO amrutam_app").await;
        patient.client.get("/v1/me").send().await.expect(200);
    });
}

/// From an access to its place in the log, to the proof, to a checkpoint outside; and back to the person it was about.
#[test]
fn an_access_is_sealed_proven_witnessed_and_told() {
    on_stack(Options::named("sealed"), async |stack| {
        let doctor = stack.doctor(1).await;
        let patient = stack.patient("asha").await;
        let visit = patient.booked(&doctor.slots().await[0]).await;
        let flow = unique("flow");
        let read = doctor.person.client.get(&format!("/v1/consultations/{visit}"));
        read.header("x-correlation-id", &flow).send().await.expect(200);
        let auditor = stack.staff("auditor", "auditor").await.client;
        let find = format!("/v1/audit/events?correlation_id={flow}");
        until("the access is sealed", SOON, async || {
            !auditor.get(&find).send().await.expect(200)["items"].as_array().unwrap().is_empty()
        })
        .await;
        let found = auditor.get(&find).send().await.expect(200);
        let event = &found["items"][0];
        assert_eq!(
            (event["action"].as_str(), event["patient_id"].as_str()),
            (Some("consultation.read"), Some(&*patient.id))
        );
        let proof =
            auditor.get(&format!("/v1/audit/events/{}/proof", event["id"].as_str().unwrap())).send().await.expect(200);
        assert!(proof["checkpoint"].as_str().unwrap().starts_with("amrutam.example/audit\n"));

        let log = patient.client.get("/v1/me/access-log").send().await.expect(200);
        let access =
            log["items"].as_array().unwrap().iter().find(|access| access["id"] == event["id"]).unwrap().clone();
        assert_eq!(access["what"], "A doctor saw one of your visits.");
        let objection = format!("/v1/me/access-log/{}/objection", access["id"].as_str().unwrap());
        patient.client.post(&objection, &json!({ "reason": "no_occasion" })).send().await.expect(202);
        patient
            .client
            .post(&objection, &json!({ "reason": "no_occasion" }))
            .send()
            .await
            .refused(409, "objection_raised");
        let other = stack.patient("other").await;
        other.client.post(&objection, &json!({ "reason": "other" })).send().await.refused(404, "not_found");
        let nothing = format!("/v1/me/access-log/{}/objection", unknown_id());
        patient.client.post(&nothing, &json!({ "reason": "other" })).send().await.refused(404, "not_found");

        let csv = auditor.get("/v1/audit/export?format=csv").send().await;
        assert!(
            csv.header("content-type").starts_with("text/csv") && csv.text().contains(event["id"].as_str().unwrap())
        );
        let lines = auditor.get(&format!("/v1/audit/export?patient={}", patient.id)).send().await.text().to_owned();
        assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["patient_id"] == patient.id));

        // A witness apart, and a verification that asks for nobody's word.
        let apart = std::env::temp_dir().join(unique("witness"));
        let (dir, archive) = (apart.join("own"), apart.join("archive"));
        let settings = stack.settings();
        let variables: Vec<_> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let arguments =
            ["audit", "witness", "--once", "--dir", &dir.to_string_lossy(), "--archive", &archive.to_string_lossy()];
        Process::output("amrutamctl", &arguments, &variables, "").await;
        let verify = ["audit", "verify", "--checkpoint", &archive.to_string_lossy()];
        let said = Process::output("amrutamctl", &verify, &variables, "").await;
        assert!(said.contains("sound"), "{said}");
        let checkpoints = auditor.get("/v1/audit/checkpoints?limit=100").send().await.expect(200);
        let notes = checkpoints["items"].as_array().unwrap();
        assert!(
            notes.iter().any(|one| one["note"].as_str().unwrap().contains("witness.amrutam.example")),
            "it is cosigned"
        );
        std::fs::remove_dir_all(apart).unwrap();
    });
}

/// Between two databases there is no transaction: the sealer is killed while entries pass, and each passes once.
#[test]
fn a_log_in_another_database_has_each_entry_once_whenever_the_sealer_dies() {
    on_stack(Options::named("log-apart").log_apart(), async |stack| {
        let (here, there) = (stack.sql().await, stack.log.as_ref().expect("a log of its own").sql().await);
        let doctor = stack.doctor(1).await;
        let patient = stack.patient("asha").await;
        let visit = patient.booked(&doctor.slots().await[0]).await;
        let mut flows = BTreeSet::new();
        for _ in 0..6 {
            let sealed = "SELECT count(*) FROM audit_log";
            let before = there.value::<i64>(sealed).await;
            let reads = (0..4).map(async |_| {
                let mut flows = Vec::new();
                for _ in 0..20 {
                    let flow = unique("flow");
                    let read = patient.client.get(&format!("/v1/consultations/{visit}"));
                    read.header("x-correlation-id", &flow).send().await.expect(200);
                    flows.push(flow);
                }
                flows
            });
            // Right after it has taken some: others are on their way, and what it took may lie in the intake still.
            let kill = async {
                until("the sealer takes entries", SOON, async || there.value::<i64>(sealed).await > before).await;
                stack.worker.kill();
                stack.worker.start();
            };
            let (read, ()) = futures::join!(futures::future::join_all(reads), kill);
            flows.extend(read.into_iter().flatten());
        }
        stack.worker_ready().await;
        until("every entry has passed", SOON, async || {
            here.value::<i64>("SELECT count(*) FROM audit_intake").await == 0
        })
        .await;
        assert_eq!(here.value::<i64>("SELECT count(*) FROM audit_log").await, 0, "nothing is kept twice");
        let found = "SELECT correlation_id FROM audit_log WHERE action = 'consultation.read'";
        let mut found = there.column(found).await;
        found.sort();
        assert_eq!(found, flows.into_iter().collect::<Vec<_>>(), "none is missing, none is there twice");
        let booked = "SELECT resource_id FROM audit_log WHERE action = 'consultation.book' AND outcome = 'allowed'";
        assert_eq!(there.column(booked).await, std::slice::from_ref(&visit));
        let gaps = "SELECT count(*) - max(idx) - 1 FROM audit_log";
        assert_eq!(there.value::<i64>(gaps).await, 0, "no place is empty");

        // It is read there, and verified there.
        let log = patient.client.get("/v1/me/access-log").send().await.expect(200);
        let about: BTreeSet<_> = log["items"].as_array().unwrap().iter().map(|one| one["what"].as_str()).collect();
        assert!(about.contains(&Some("You saw one of your visits.")), "{about:?}");
        let settings = stack.settings();
        let variables: Vec<_> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let said = Process::output("amrutamctl", &["audit", "verify"], &variables, "").await;
        assert!(said.contains("sound"), "{said}");
    });
}
