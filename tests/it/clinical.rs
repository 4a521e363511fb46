//! A visit from its booking to its record: what each side may see, what a prescription needs, and what it proves without us.

use amrutam_tests::support::{
    Authenticator, Client, Doctor, Options, Person, SOON, Stack, environment, eventually, on_stack, unique, until,
    within_a_step,
};
use josekit::{
    jwk::Jwk,
    jws::{RS256, deserialize_compact},
};
use serde_json::{Value, json};
use std::{
    io::Write,
    process::{Command, Stdio},
};

/// An API that asks doctors for a second factor, with a formulary to prescribe from.
fn on_strict(name: &'static str, test: impl AsyncFnOnce(&Stack, &Client)) {
    on_strict_with(Options::named(name), test);
}

/// The same, with options.
pub(crate) fn on_strict_with(options: Options, test: impl AsyncFnOnce(&Stack, &Client)) {
    on_stack(options, async |stack| {
        let file = environment().root.join("infra/formulary/ayurveda-v1.json");
        let import = ["formulary", "import", &*file.to_string_lossy()];
        assert!(stack.operate(&import, "").await.contains("imported"));
        assert!(stack.operate(&import, "").await.contains("there already"), "the same again changes nothing");
        let api = stack.another_api("strict", &[("MFA__REQUIRED_ROLES", "doctor,admin,auditor")]);
        api.process.start();
        api.ready().await;
        test(stack, &Client::new(&api.url)).await;
    });
}

/// A listed doctor with a second factor, at that API.
pub(crate) async fn doctor(stack: &Stack, strict: &Client) -> (Doctor, Authenticator) {
    let mut doctor = stack.doctor(1).await;
    doctor.person.client = doctor.person.client.at(strict.base());
    let authenticator = Authenticator::enrol(&doctor.person.client).await;
    (doctor, authenticator)
}

pub(crate) async fn patient(strict: &Client, name: &str, born: &str) -> Person {
    let (email, password) = (format!("{}@patients.example", unique("patient")), unique("a password"));
    let body =
        json!({ "email": email, "password": password, "full_name": name, "date_of_birth": born, "sex": "female" });
    strict.post("/v1/auth/register", &body).send().await.expect(201);
    Person::log_in(strict, &email, &password).await
}

pub(crate) fn prescription(complaint: &str) -> Value {
    json!({
        "practice_address": "12 MG Road, Kochi", "practice_contact": "+91 484 000 0000",
        "patient_address": "7 Beach Road, Kochi", "weight_kg": "61.5", "pregnancy": "no",
        "complaint": complaint, "history": "For two months", "findings": "Tongue coated",
        "findings_limits": "Abdomen not palpated", "investigations": "None needed",
        "diagnoses": [{ "text": "Amlapitta", "provisional": true }],
        "ayurveda": {
            "prakriti": "pitta-kapha", "vikriti": "pitta", "agni": "vishama", "koshtha": "mridu", "nidana": "sour food"
        },
        "items": [{
            "code": "AYU-CHU-005", "name": "Avipattikara Cūrṇa", "form": "churna", "strength": "AFI Part I",
            "dose": { "amount": "3", "unit": "g" }, "times_per_day": 2, "days": 14,
            "quantity": { "amount": "84", "unit": "g" }, "kala": "pragbhakta", "anupana": "warm water",
            "pathya": "milk", "apathya": "sour food", "instructions": "before food"
        }],
        "advice": "Regular meals", "follow_up_on": "2027-12-14",
        "acknowledged": [
            { "rule": "interaction_check", "reason": "checked_by_practitioner" },
            { "rule": "allergy_check", "reason": "checked_by_practitioner" }
        ]
    })
}

/// What another program reads in the document.
fn text_of(pdf: &[u8]) -> String {
    let mut reader = Command::new("pdftotext")
        .args(["-layout", "-enc", "UTF-8", "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("pdftotext, of poppler-utils");
    reader.stdin.take().unwrap().write_all(pdf).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The claims of a JWS, by whoever knows nothing but what is published.
fn proven(jws: &str, jwks: &Value) -> Option<Value> {
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter().find_map(|key| {
        let verifier = RS256.verifier_from_jwk(&Jwk::from_map(key.as_object().unwrap().clone()).unwrap()).unwrap();
        let (payload, _) = deserialize_compact(jws, &verifier).ok()?;
        Some(serde_json::from_slice(&payload).unwrap())
    })
}

fn pointers(problem: &Value) -> Vec<&str> {
    problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect()
}

/// As if the doctor's factor had been shown that much earlier, and its code had not been used.
async fn factor_gets_old(stack: &Stack, doctor: &Person) {
    let sql = stack.sql().await;
    let stale = "UPDATE sessions SET second_factor_at = now() - interval '6 minutes' WHERE account_id =";
    sql.execute(&format!("{stale} '{}'", doctor.id)).await;
    sql.execute(&format!("UPDATE totp_factors SET last_step = 0 WHERE account_id = '{}'", doctor.id)).await;
}

#[test]
fn a_visit_leaves_a_record_and_a_prescription_that_proves_itself() {
    on_strict("visit", async |stack, strict| {
        let (doctor, authenticator) = doctor(stack, strict).await;
        let (name, complaint) = (unique("Leela"), unique("Burning after meals"));
        let patient = patient(strict, &name, "1990-05-17").await;
        let visit = patient.booked(&doctor.slots().await[0]).await;
        let path = |what: &str| format!("/v1/consultations/{visit}/{what}");
        let medic = &doctor.person.client;

        let consent =
            json!({ "purpose": "teleconsultation", "decision": "given", "notice_version": "teleconsultation-1" });
        patient.client.post(&path("consent"), &consent).send().await.expect(201);
        stack.comes_near(&visit, "5 minutes").await;
        for side in [&patient.client, medic] {
            side.call("POST", &path("check-in")).send().await.expect(200);
        }
        medic.put(&path("notes"), &json!({})).send().await.refused(409, "note_not_open");
        medic.call("POST", &path("start")).send().await.expect(200);

        let note = json!({ "subjective": complaint, "diagnoses": [{ "text": "Amlapitta" }] });
        let write = async |version: &str| medic.put(&path("notes"), &note).header("if-match", version).send().await;
        assert_eq!(medic.put(&path("notes"), &note).send().await.header("etag"), "\"1\"");
        write("\"1\"").await.expect(200);
        write("\"1\"").await.refused(412, "precondition_failed");

        let mut draft = prescription(&complaint);
        draft["complaint"] = json!("");
        draft["items"][0]["anupana"] = json!("");
        medic.put(&path("prescription"), &draft).send().await.expect(200);
        patient.client.get(&path("prescription")).send().await.refused(404, "not_found");
        let assessed = medic.call("POST", &path("prescription/dry-run")).send().await.expect(200);
        assert_eq!(
            (&assessed["visit_kind"], &assessed["items"][0]["verdict"]),
            (&json!("first_visit"), &json!("allow"))
        );

        let sign = async || medic.call("POST", &path("prescription/sign")).send().await;
        within_a_step(15).await;
        factor_gets_old(stack, &doctor.person).await;
        until("the session is known to be stale", SOON, async || sign().await.code() == "step_up_required").await;
        let code = json!({ "code": authenticator.code(0) });
        medic.post("/v1/me/mfa/step-up", &code).send().await.expect(204);
        let incomplete = sign().await.refused(422, "prescription_incomplete");
        assert_eq!(pointers(&incomplete), ["/complaint", "/items/0/anupana"]);
        medic.put(&path("prescription"), &prescription(&complaint)).send().await.expect(200);
        let signed = sign().await.expect(200);
        assert_eq!((&signed["status"], &signed["number"]), (&json!("signed"), &json!(1)));
        medic.call("POST", &path("complete")).send().await.expect(200);
        medic.post(&path("notes/addenda"), &json!({ "text": "Better by evening" })).send().await.expect(200);

        let document = eventually("the worker issues the document", SOON, async || {
            let reply = patient.client.get(&path("prescription.pdf")).send().await;
            (reply.status == 200).then_some(reply)
        })
        .await;
        assert_eq!(document.header("content-type"), "application/pdf");
        let text = text_of(&document.body);
        let registration = signed["signature"]["signatory"]["registration_number"].as_str().unwrap();
        let code = signed["signature"]["verify_code"].as_str().unwrap();
        for printed in [
            "Dr. Meera Rao",
            "BAMS",
            registration,
            "12 MG Road, Kochi",
            &name,
            "female",
            "7 Beach Road, Kochi",
            "61.5",
            &visit,
            "first visit",
            "teleconsultation",
            &complaint,
            "Tongue coated",
            "Amlapitta",
            "Avipattikara",
            "84 g",
            "warm water",
            "Regular meals",
            "14 December 2027",
            code,
        ] {
            assert!(text.contains(printed), "{printed} is not in\n{text}");
        }

        let verified = stack.anonymous().get(&format!("/v1/prescriptions/verify/{code}")).send().await.expect(200);
        let hash: String = openssl::sha::sha256(&document.body).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((&verified["status"], &verified["document_sha256"]), (&json!("signed"), &json!(hash)));
        assert!(!verified.to_string().contains(&complaint) && !verified.to_string().contains(&name));
        let jwks = stack.anonymous().get("/.well-known/jwks.json").send().await.expect(200);
        let jws = signed["signature"]["jws"].as_str().unwrap();
        let claims = proven(jws, &jwks).expect("it verifies by what is published");
        assert_eq!(
            (&claims["jti"], &claims["vis"], &claims["sha256"]),
            (&signed["id"], &json!(visit), &verified["content_sha256"])
        );
        assert_eq!(proven(&jws.replacen('.', ".A", 1), &jwks), None);

        record_is_open_to_few(stack, strict, &patient, &doctor.person, &complaint).await;
        let revoked = medic.post(&path("prescription/revoke"), &json!({ "reason": "adverse_reaction" })).send().await;
        assert_eq!(revoked.expect(200)["status"], "revoked");
        let verified = stack.anonymous().get(&format!("/v1/prescriptions/verify/{code}")).send().await.expect(200);
        assert_eq!(verified["status"], "revoked");

        for (what, text) in [
            ("the database", stack.database.whole_dump().await),
            ("the worker's log", stack.worker.log()),
            ("the API's log", stack.apis[0].process.log()),
        ] {
            for secret in [&name, &complaint] {
                let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
                assert!(!text.contains(secret) && !text.contains(&hex), "{what} holds {secret}");
            }
        }
    });
}

/// The patient and who treats them; in an emergency another doctor, which is told.
async fn record_is_open_to_few(stack: &Stack, strict: &Client, patient: &Person, treating: &Person, complaint: &str) {
    let path = format!("/v1/patients/{}/records", patient.id);
    for reader in [patient, treating] {
        let page = reader.client.get(&path).send().await.expect(200);
        let entry = &page["items"][0];
        assert_eq!(entry["note"]["content"]["subjective"], json!(complaint));
        assert_eq!(
            (&entry["note"]["addenda"][0]["text"], &entry["prescriptions"][0]["status"]),
            (&json!("Better by evening"), &json!("signed"))
        );
    }
    let (other, _) = doctor(stack, strict).await;
    let open = |reason: &str| other.person.client.get(&path).header("x-break-glass-reason", reason);
    other.person.client.get(&path).send().await.refused(404, "not_found");
    open("curious").send().await.refused(422, "invalid_break_glass_reason");
    let page = open("emergency").send().await.expect(200);
    assert_eq!(page["items"][0]["note"]["content"]["subjective"], json!(complaint));
    let flagged = format!(
        "SELECT count(*) FROM audit_entries WHERE action = 'record.break_glass' AND outcome = 'allowed' AND break_glass AND actor LIKE '%{}'",
        other.person.id
    );
    assert_eq!(stack.sql().await.value::<i64>(&flagged).await, 1);
    stack.mail.mail(&patient.email, "opened in an emergency").await;
}

#[test]
fn a_minors_visit_waits_for_an_adult() {
    on_strict("minor", async |stack, strict| {
        let (doctor, _) = doctor(stack, strict).await;
        let patient = patient(strict, "Asha", "2015-05-17").await;
        let visit = patient.booked(&doctor.slots().await[0]).await;
        stack.comes_near(&visit, "5 minutes").await;
        let start = async || doctor.person.act(&visit, "start", &json!({})).send().await;
        start().await.refused(409, "guardian_required");
        let adult = json!({ "name": "Ravi Menon", "relation": "father", "id_type": "pan", "id_last_four": "12A4" });
        patient.client.put(&format!("/v1/consultations/{visit}/guardian"), &adult).send().await.expect(200);
        start().await.expect(200);
    });
}
