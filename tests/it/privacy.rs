//! A copy of all that is held of somebody, and an end of it.

use crate::{
    clinical::{doctor, on_strict_with, patient, prescription},
    path::unknown_id,
};
use amrutam_tests::support::{
    Client, Doctor, Options, Person, Reply, SOON, Slot, Stack, booking, eventually, unique, until,
};
use serde_json::{Value, json};
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// What was said in a visit.
struct Visit {
    id: String,
    reason: String,
    complaint: String,
    summary: String,
    document: Vec<u8>,
    code: String,
}

/// A whole visit: booked with a reason, held, noted, prescribed, and its prescription issued.
async fn visit(stack: &Stack, doctor: &Doctor, patient: &Person, slot: &Slot) -> Visit {
    let (reason, complaint, summary) = (unique("reason"), unique("Burning after meals"), unique("Fewer spices"));
    let mut body = booking(slot);
    body["reason"] = json!(reason);
    let booked = patient.client.post("/v1/consultations", &body).key(&unique("key")).send().await.expect(201);
    let id = booked["id"].as_str().unwrap().to_owned();
    let path = |what: &str| format!("/v1/consultations/{id}/{what}");
    let medic = &doctor.person.client;
    let consent = json!({ "purpose": "teleconsultation", "decision": "given", "notice_version": "teleconsultation-1" });
    patient.client.post(&path("consent"), &consent).send().await.expect(201);
    stack.comes_near(&id, "5 minutes").await;
    medic.call("POST", &path("start")).send().await.expect(200);
    let note = json!({ "subjective": complaint, "diagnoses": [{ "text": "Amlapitta" }] });
    medic.put(&path("notes"), &note).send().await.expect(200);
    medic.put(&path("prescription"), &prescription(&complaint)).send().await.expect(200);
    let signed = medic.call("POST", &path("prescription/sign")).send().await.expect(200);
    medic.post(&path("complete"), &json!({ "summary": summary })).send().await.expect(200);
    let document = eventually("the worker issues the document", SOON, async || {
        let reply = patient.client.get(&path("prescription.pdf")).send().await;
        (reply.status == 200).then_some(reply.body.to_vec())
    })
    .await;
    let code = signed["signature"]["verify_code"].as_str().unwrap().to_owned();
    Visit { id, reason, complaint, summary, document, code }
}

/// The id of a child that somebody keeps.
async fn keeps(keeper: &Person, name: &str) -> String {
    let child = json!({ "full_name": name, "date_of_birth": "2018-06-01", "sex": "female", "relation": "child" });
    let added = keeper.client.post("/v1/me/dependants", &child).send().await.expect(201);
    added["id"].as_str().unwrap().to_owned()
}

fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).expect("a ZIP file");
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let (mut file, mut content) = (archive.by_index(index).unwrap(), Vec::new());
        file.read_to_end(&mut content).unwrap();
        files.push((file.name().unwrap().into_owned(), content));
    }
    files
}

async fn ready(person: &Person, location: &str) -> Value {
    eventually("the worker makes the archive", SOON, async || {
        let seen = person.client.get(location).send().await.expect(200);
        (seen["state"] == "ready").then_some(seen)
    })
    .await
}

#[test]
fn a_copy_carries_all_that_was_entered_and_is_given_away_once() {
    on_strict_with(Options::named("export"), async |stack, strict| {
        let (doctor, _) = doctor(stack, strict).await;
        let name = unique("Leela");
        let asha = patient(strict, &name, "1990-05-17").await;
        let visit = visit(stack, &doctor, &asha, &doctor.slots().await[0]).await;
        let child = unique("Kavya");
        keeps(&asha, &child).await;

        let order = async |key: &str| asha.client.call("POST", "/v1/me/export").key(key).send().await;
        let ordered = order("one").await;
        let location = ordered.header("location").to_owned();
        assert_eq!(ordered.expect(202)["state"], "preparing");
        assert_eq!(order("two").await.header("location"), location, "one is open at a time");
        assert_eq!(order("one").await.header("idempotency-replayed"), "true");

        let link = |seen: &Value| seen["download"]["href"].as_str().unwrap().to_owned();
        let seen = ready(&asha, &location).await;
        let (first, second) = (link(&seen), link(&ready(&asha, &location).await));
        // A stranger has neither, nor has the owner without a token of this link.
        let stranger = patient(strict, "Ravi", "1980-01-01").await;
        for path in [&location, &first] {
            stranger.client.get(path).send().await.refused(404, "not_found");
            stack.anonymous().get(path).send().await.refused(401, "unauthenticated");
        }
        let content = format!("{location}/content");
        let access = asha.client.token().unwrap().to_owned();
        for path in [content.clone(), format!("{content}?token=x"), format!("{content}?token={access}")] {
            asha.client.get(&path).send().await.refused(404, "not_found");
        }
        let token = first.split_once("token=").unwrap().1;
        assert_eq!(strict.with_token(token).get("/v1/me").send().await.status, 401, "it opens nothing else");
        let missing = format!("/v1/me/export/{}", unknown_id());
        asha.client.get(&missing).send().await.refused(404, "not_found");

        // Whoever only looks takes nothing.
        let looked = asha.client.call("HEAD", &first).send().await;
        assert_eq!((looked.status, looked.header("allow")), (405, "GET"));
        assert_eq!(asha.client.get(&location).send().await.expect(200)["state"], "ready");

        let taken: Reply = asha.client.get(&first).send().await;
        assert_eq!((taken.status, taken.header("content-type")), (200, "application/zip"), "{}", taken.text());
        for again in [&first, &second] {
            asha.client.get(again).send().await.refused(410, "export_gone");
        }
        assert_eq!(asha.client.get(&location).send().await.expect(200)["state"], "downloaded");

        let files = files(&taken.body);
        let text = |file: &str| {
            let found = files.iter().find(|(name, _)| name == file).unwrap_or_else(|| panic!("{file} is missing"));
            String::from_utf8(found.1.clone()).unwrap()
        };
        for (file, entered) in [
            ("account.json", name.as_str()),
            ("account.json", &asha.email),
            ("account.json", "1990-05-17"),
            ("consultations.json", &visit.reason),
            ("consultations.json", "\"timeline\""),
            ("consultations.json", &visit.summary),
            ("dependants.json", &child),
            ("consents.json", "teleconsultation-1"),
            ("notes.json", &visit.complaint),
            ("prescriptions.json", "Avipattikara"),
            ("messages.json", "confirm"),
            ("sign_in.json", "last_used_at"),
            ("access_log.json", "You booked a visit."),
        ] {
            let content = text(file);
            assert!(content.contains(entered), "{entered} is not in {file}:\n{content}");
        }
        let issued: Vec<_> = files.iter().filter(|(name, _)| name.ends_with(".pdf")).collect();
        assert!(issued.len() == 1 && issued[0].1 == visit.document, "the document is there as it was issued");

        let sql = stack.sql().await;
        for (kind, id) in [("account", &asha.id), ("consultation", &visit.id)] {
            let query = format!(
                "SELECT count(*) FROM audit_entries WHERE action = 'record.export' AND resource_kind = '{kind}' AND resource_id = '{id}' AND patient_id = '{}'",
                asha.id
            );
            assert_eq!(sql.value::<i64>(&query).await, 1, "{kind}");
        }
        assert_eq!(sql.value::<i64>("SELECT count(*) FROM phi.export_chunks").await, 0);
        let log = format!("{}{}", stack.worker.log(), stack.apis[0].process.log());
        for secret in [&*name, &*visit.complaint, &*visit.reason, token] {
            assert!(!log.contains(secret), "{secret} is in the logs");
        }
    });
}

async fn erase(person: &Person) -> Value {
    person.client.post("/v1/me/erasure", &json!({ "password": person.password })).send().await.expect(200)
}

fn line<'a>(erasure: &'a Value, item: &str) -> &'a Value {
    erasure["report"].as_array().unwrap().iter().find(|line| line["item"] == item).unwrap_or(&Value::Null)
}

async fn logs_in(client: &Client, person: &Person) -> u16 {
    let body = json!({ "email": person.email, "password": person.password });
    client.without_token().post("/v1/auth/login", &body).patiently().await.status
}

#[test]
fn after_an_erasure_nobody_is_known_and_the_record_opens_to_nobody() {
    on_strict_with(Options::named("erasure"), async |stack, strict| {
        let (doctor, _) = doctor(stack, strict).await;
        let name = unique("Leela");
        let asha = patient(strict, &name, "1990-05-17").await;
        let slots = doctor.slots().await;
        let past = visit(stack, &doctor, &asha, &slots[0]).await;
        let ahead = asha.booked(slots.last().unwrap()).await;
        // One who was treated, and one who never was.
        let (treated, never) = (keeps(&asha, "Kavya").await, keeps(&asha, "Tara").await);
        let mut wish = booking(&slots[1]);
        wish["for_dependent"] = json!(treated);
        let theirs = asha.client.post("/v1/consultations", &wish).key(&unique("key")).send().await.expect(201);
        let theirs = theirs["id"].as_str().unwrap().to_owned();
        let adult = json!({ "name": "Leela", "relation": "mother", "id_type": "pan", "id_last_four": "12A4" });
        asha.client.put(&format!("/v1/consultations/{theirs}/guardian"), &adult).send().await.expect(200);
        // One visit at a time.
        stack.comes_near(&past.id, "-2 hours").await;
        stack.comes_near(&theirs, "5 minutes").await;
        doctor.person.act(&theirs, "start", &json!({})).send().await.expect(200);
        doctor.person.act(&theirs, "complete", &json!({})).send().await.expect(200);
        let waiting = "SELECT count(*) FROM scheduled_messages WHERE status = 'scheduled' AND recipient_id =";
        let waiting = format!("{waiting} '{}'", asha.id);
        let sql = stack.sql().await;
        until("reminders wait", SOON, async || sql.value::<i64>(&waiting).await > 0).await;

        let wrong = json!({ "password": "not the password" });
        asha.client.post("/v1/me/erasure", &wrong).send().await.refused(422, "wrong_password");
        doctor.person.client.post("/v1/me/erasure", &wrong).send().await.refused(403, "forbidden");
        let erasure = erase(&asha).await;
        for item in ["contact_details", "identity", "sign_in", "exports", "pending_messages"] {
            assert_eq!(line(&erasure, item)["fate"], "erased", "{item}");
        }
        let called_off = line(&erasure, "upcoming_visits");
        assert_eq!((&called_off["fate"], &called_off["count"]), (&json!("cancelled"), &json!(1)));
        let record = line(&erasure, "clinical_record");
        assert_eq!((&record["fate"], &record["ground"]), (&json!("kept"), &json!("medical_records_duty")));
        assert!(record["until"].as_str().unwrap().starts_with("203"), "{record}");
        assert_eq!(line(&erasure, "payments")["ground"], "books_of_account");
        // No duty covers what never came to be a record.
        assert_eq!(line(&erasure, "unheld_visits")["fate"], "erased");
        for (query, left) in [
            (format!("phi.visit_reasons WHERE consultation_id = '{ahead}'"), 0),
            (format!("phi.visit_reasons WHERE consultation_id = '{}'", past.id), 1),
            (format!("phi.dependants WHERE id = '{never}'"), 0),
            (format!("phi.dependants WHERE id = '{treated}'"), 1),
        ] {
            assert_eq!(sql.value::<i64>(&format!("SELECT count(*) FROM {query}")).await, left, "{query}");
        }

        // No log-in, no session, no contact detail; the address is free.
        until("the session has ended", SOON, async || asha.client.get("/v1/me").send().await.status == 401).await;
        assert_eq!(logs_in(strict, &asha).await, 401);
        for table in ["phi.contacts", "sessions", "account_links", "totp_factors", "exports"] {
            let query = format!("SELECT count(*) FROM {table} WHERE account_id = '{}'", asha.id);
            assert_eq!(sql.value::<i64>(&query).await, 0, "{table}");
        }
        let left = "SELECT count(*) FROM accounts WHERE email_index IS NULL AND password_hash IS NULL AND id =";
        assert_eq!(sql.value::<i64>(&format!("{left} '{}'", asha.id)).await, 1);
        // That a visit is called off is announced to both sides, and finds no address on this one.
        until("nothing waits for them", SOON, async || sql.value::<i64>(&waiting).await == 0).await;
        let anew = json!({ "email": asha.email, "password": asha.password, "full_name": "Somebody else" });
        strict.post("/v1/auth/register", &anew).send().await.expect(201);
        let somebody = Person::log_in(strict, &asha.email, &asha.password).await;
        assert_ne!(somebody.id, asha.id);
        let theirs = somebody.client.get("/v1/consultations").send().await.expect(200);
        assert_eq!(theirs["items"], json!([]));

        // Who treated them opens it no more, nor does anybody in an emergency, nor the public check.
        let medic = &doctor.person.client;
        for what in ["notes", "prescription", "prescription.pdf", "consent"] {
            medic.get(&format!("/v1/consultations/{}/{what}", past.id)).send().await.refused(404, "not_found");
        }
        let records = format!("/v1/patients/{}/records", asha.id);
        medic.get(&records).send().await.refused(404, "not_found");
        medic.get(&records).header("x-break-glass-reason", "emergency").send().await.refused(404, "not_found");
        strict.get(&format!("/v1/prescriptions/verify/{}", past.code)).send().await.refused(404, "not_found");
        let seen = doctor.person.consultation(&past.id).await;
        assert!(seen["reason"].is_null() && !seen.to_string().contains(&name), "{seen}");
        assert_eq!(doctor.person.consultation(&ahead).await["status"], "cancelled");

        let admin = stack.admin().await;
        let path = format!("/v1/admin/erasures/{}", asha.id);
        let kept = admin.client.get(&path).send().await.expect(200);
        assert_eq!((&kept["report"], &kept["state"]), (&erasure["report"], &json!("locked")));
        medic.get(&path).send().await.refused(403, "forbidden");
        let entry = format!(
            "SELECT count(*) FROM audit_entries WHERE action = 'account.erase' AND outcome = 'allowed' AND patient_id = '{}' AND ruleset = 'retention-1'",
            asha.id
        );
        assert_eq!(sql.value::<i64>(&entry).await, 1);
    });
}

#[test]
fn what_was_destroyed_no_backup_brings_back() {
    let options =
        Options::named("destroyed").keys_apart().with("RETENTION__CLINICAL_YEARS", "0").with("WORKER__SWEEP_MS", "200");
    on_strict_with(options, async |stack, strict| {
        let ((one, _), (other, _)) = (doctor(stack, strict).await, doctor(stack, strict).await);
        let asha = patient(strict, &unique("Leela"), "1990-05-17").await;
        let stays = patient(strict, &unique("Ravi"), "1980-01-01").await;
        let child = keeps(&asha, "Kavya").await;
        let gone = visit(stack, &one, &asha, &one.slots().await[0]).await;
        let kept = visit(stack, &other, &stays, &other.slots().await[0]).await;
        let backup = stack.database.backup().await;
        assert!(backup.contains(&gone.id) && !backup.contains("data_keys"));

        // A court keeps it first.
        let case = ["--account", &asha.id, "--case", "WP-2026/17"];
        let told = stack.operate(&[&["privacy", "hold"][..], &case].concat(), "").await;
        assert!(told.contains("on hold"), "{told}");
        let erasure = erase(&asha).await;
        assert_eq!(line(&erasure, "clinical_record")["ground"], "legal_hold");
        let sql = stack.sql().await;
        let state = format!("SELECT state FROM erasures WHERE account_id = '{}'", asha.id);
        until("the worker has looked", SOON, async || stack.worker.log().contains("erasure.accepted.v1")).await;
        assert_eq!(sql.value::<String>(&state).await, "locked");
        let sealed = format!("SELECT count(*) FROM phi.note_versions WHERE patient_id = '{}'", asha.id);
        assert_eq!(sql.value::<i64>(&sealed).await, 1);

        stack.operate(&[&["privacy", "lift"][..], &case].concat(), "").await;
        until("the record is destroyed", SOON, async || sql.value::<String>(&state).await == "destroyed").await;
        for table in ["note_versions", "prescriptions", "consents", "documents", "visit_reasons", "visit_summaries"] {
            let query = format!("SELECT count(*) FROM phi.{table} WHERE patient_id = '{}'", asha.id);
            assert_eq!(sql.value::<i64>(&query).await, 0, "{table}");
        }
        assert_eq!(sql.value::<i64>(&format!("SELECT count(*) FROM phi.dependants WHERE id = '{child}'")).await, 0);
        for action in ["record.hold", "account.erase", "record.lift_hold", "keys.destroy", "record.destroy"] {
            let query = format!(
                "SELECT count(*) FROM audit_entries WHERE action = '{action}' AND outcome = 'allowed' AND patient_id = '{}'",
                asha.id
            );
            assert_eq!(sql.value::<i64>(&query).await, 1, "{action}");
        }

        // What was sealed comes back from the backup, and stays what it is; of others it opens.
        let restored = stack.database.restored(&backup, "").await;
        let late = stack.another_api("restored", &[("DATABASE__URL", &*restored.url)]);
        late.process.start();
        late.ready().await;
        let there = Client::new(&late.url);
        assert_eq!(logs_in(&there, &asha).await, 401);
        // Their sessions are in the backup, too.
        let (one, other) = (one.person.client.at(&late.url), other.person.client.at(&late.url));
        for what in ["notes", "prescription", "prescription.pdf"] {
            let reply = one.get(&format!("/v1/consultations/{}/{what}", gone.id)).send().await;
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            assert!(reply.status >= 400 && !text.contains(&gone.complaint), "{what}: {text}");
            let reply = other.get(&format!("/v1/consultations/{}/{what}", kept.id)).send().await;
            assert_eq!(reply.status, 200, "{what}");
        }
        let seen =
            async |client: &Client, id: &str| client.get(&format!("/v1/consultations/{id}")).send().await.expect(200);
        let words = seen(&one, &gone.id).await;
        assert!(words["reason"].is_null() && words["summary"].is_null(), "{words}");
        assert_eq!(seen(&other, &kept.id).await["summary"], json!(kept.summary));
        assert_eq!(seen(&other, &kept.id).await["reason"], json!(kept.reason));
    });
}

#[test]
fn whoever_never_had_a_visit_is_gone_at_once() {
    on_strict_with(Options::named("shredding"), async |stack, strict| {
        let asha = patient(strict, "Leela", "1990-05-17").await;
        let child = keeps(&asha, "Kavya").await;
        let erasure = erase(&asha).await;
        assert_eq!(line(&erasure, "clinical_record")["fate"], "erased");
        let sql = stack.sql().await;
        let state = format!("SELECT state FROM erasures WHERE account_id = '{}'", asha.id);
        until("the keys are destroyed", SOON, async || sql.value::<String>(&state).await == "destroyed").await;
        let keys = format!("SELECT count(*) FROM keys.data_keys WHERE owner_id IN ('{}', '{child}')", asha.id);
        assert_eq!(sql.value::<i64>(&keys).await, 0);
    });
}

/// As after a backup was restored that is older than the erasure.
#[test]
fn an_operator_erases_again_what_is_back() {
    on_strict_with(Options::named("erased-again"), async |stack, strict| {
        let asha = patient(strict, "Leela", "1990-05-17").await;
        let again = ["privacy", "erase", "--account", &asha.id, "--confirm", &asha.id];
        let sql = stack.sql().await;
        sql.execute(&format!("UPDATE accounts SET status = 'deactivated' WHERE id = '{}'", asha.id)).await;
        let other = ["privacy", "erase", "--account", &asha.id, "--confirm", &stack.admin().await.id];
        assert!(stack.operate_in_vain(&other).await.contains("somebody else"));
        let told = stack.operate(&again, "").await;
        assert!(told.contains("contact_details: erased") && told.contains("clinical_record: erased"), "{told}");
        assert_eq!(logs_in(strict, &asha).await, 401);
        let contacts = format!("SELECT count(*) FROM phi.contacts WHERE account_id = '{}'", asha.id);
        assert_eq!(sql.value::<i64>(&contacts).await, 0);
        let state = format!("SELECT state FROM erasures WHERE account_id = '{}'", asha.id);
        until("the rest is destroyed", SOON, async || sql.value::<String>(&state).await == "destroyed").await;
        assert!(stack.operate_in_vain(&again).await.contains("it is erased"));
    });
}
