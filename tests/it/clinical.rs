//! A visit from its booking to its record: what each side may see, what a prescription needs, and what it proves without us.

use amrutam_tests::support::{
    Authenticator, Client, Doctor, Options, Person, SOON, Stack, environment, eventually, on_stack, unique, until,
    within_a_step,
};
use jiff::Timestamp;
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
        "patient_address": "7 Beach Road, Kochi", "weight_kg": "61.5", "height_cm": "158", "pregnancy": "no",
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
        "advice": "Regular meals", "follow_up_on": "2027-12-14", "referral": "Surgery, should it bleed",
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

/// What a camera reads off the printed page.
fn scanned(pdf: &[u8]) -> Vec<String> {
    // A reader looks more than once: rqrr overlooks a corner of a dense code now and then, which zbar, say, does not.
    let mut looks = ["300", "400", "500", "600"].into_iter().map(|dots_per_inch| codes_seen(pdf, dots_per_inch));
    looks.find(|codes| !codes.is_empty()).unwrap_or_default()
}

fn codes_seen(pdf: &[u8], dots_per_inch: &str) -> Vec<String> {
    let mut printer = Command::new("pdftoppm")
        .args(["-gray", "-r", dots_per_inch, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("pdftoppm, of poppler-utils");
    printer.stdin.take().unwrap().write_all(pdf).unwrap();
    let output = printer.wait_with_output().unwrap();
    assert!(output.status.success());
    let (mut pages, mut codes) = (&output.stdout[..], Vec::new());
    while !pages.is_empty() {
        // Portable graymap: magic, width, height, white; then a byte for each dot.
        let mut words = pages.split(u8::is_ascii_whitespace);
        let head: Vec<_> = words.by_ref().take(4).map(|word| std::str::from_utf8(word).unwrap()).collect();
        let [magic, width, height, white] = head[..] else { panic!("not a graymap") };
        assert_eq!((magic, white), ("P5", "255"));
        let start = head.iter().map(|word| word.len() + 1).sum::<usize>();
        let (width, height): (usize, usize) = (width.parse().unwrap(), height.parse().unwrap());
        let (dots, rest) = pages[start..].split_at(width * height);
        let mut image = rqrr::PreparedImage::prepare_from_bitmap(width, height, |x, y| dots[y * width + x] < 128);
        codes.extend(image.detect_grids().iter().filter_map(|grid| Some(grid.decode().ok()?.1)));
        pages = rest;
    }
    codes
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
        let late = json!({ "text": "Better by evening" });
        medic.post(&path("notes/addenda"), &late).send().await.refused(428, "precondition_required");
        medic.post(&path("notes/addenda"), &late).header("if-match", "\"2\"").send().await.expect(200);

        let document = eventually("the worker issues the document", SOON, async || {
            let reply = patient.client.get(&path("prescription.pdf")).send().await;
            (reply.status == 200).then_some(reply)
        })
        .await;
        assert_eq!(document.header("content-type"), "application/pdf");
        let text = text_of(&document.body);
        let registration = signed["signature"]["signatory"]["registration_number"].as_str().unwrap();
        let code = signed["signature"]["verify_code"].as_str().unwrap();
        let council = signed["signature"]["signatory"]["council"].as_str().unwrap();
        let seen = medic.get(&format!("/v1/consultations/{visit}")).send().await.expect(200);
        let starts: Timestamp = seen["slot"]["starts_at"].as_str().unwrap().parse().unwrap();
        let kolkata = jiff::tz::TimeZone::get("Asia/Kolkata").unwrap();
        let time = starts.to_zoned(kolkata).strftime("%-d %B %Y, %H:%M").to_string();
        // Everything that a prescription carries, by the rules of the field.
        for printed in [
            "Dr. Meera Rao",
            "BAMS",
            council,
            registration,
            "12 MG Road, Kochi",
            "+91 484 000 0000",
            &name,
            "36 years",
            "female",
            "7 Beach Road, Kochi",
            "61.5 kg",
            "158 cm",
            &time,
            "video",
            &visit,
            "first visit",
            "Issued on teleconsultation",
            &complaint,
            "For two months",
            "Tongue coated",
            "Abdomen not palpated",
            "None needed",
            "Amlapitta",
            "(provisional)",
            "pitta-kapha",
            "Vik",
            "vishama",
            "mridu",
            "sour food",
            "Avipattikara",
            "churna",
            "AFI Part I",
            "3 g",
            "2 times a day",
            "14 days",
            "84 g",
            "before food (pr",
            "warm water",
            "milk",
            "Instructions: before food",
            "Regular meals",
            "14 December 2027",
            "Surgery, should it bleed",
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

        // By whoever holds the paper, and knows nothing but the published keys.
        let [scanned] = &scanned(&document.body)[..] else { panic!("one code on the paper") };
        let (address, payload) = scanned.split_once('#').expect("an address, and a payload behind it");
        assert!(address.ends_with(&format!("/v1/prescriptions/verify/{code}")), "{address}");
        assert_eq!(proven(payload, &jwks), Some(claims));

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
    assert_eq!(stack.sql().await.value::<i64>(&flagged).await, 2, "the record, and the visit in it");
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

#[test]
fn a_visit_goes_on_in_another_mode_and_is_ended_by_either_side() {
    on_strict("modes", async |stack, strict| {
        let (doctor, _) = doctor(stack, strict).await;
        let patient = patient(strict, "Asha", "1990-05-17").await;
        let visit = patient.booked(&doctor.slots().await[0]).await;
        stack.comes_near(&visit, "5 minutes").await;
        let (medic, path) = (&doctor.person.client, |what: &str| format!("/v1/consultations/{visit}/{what}"));
        let mode = async |who: &Client, mode: &str| who.post(&path("mode"), &json!({ "mode": mode })).send().await;
        mode(medic, "audio").await.refused(409, "invalid_transition");
        medic.call("POST", &path("start")).send().await.expect(200);

        // Of list A: at a first visit by video only.
        let mut draft = prescription("Burning after meals");
        draft["items"][0]["code"] = json!("AYU-CHU-023");
        draft["items"][0]["name"] = json!("Nimbadi Churna");
        medic.put(&path("prescription"), &draft).send().await.expect(200);
        let verdict = async || {
            let assessed = medic.call("POST", &path("prescription/dry-run")).send().await.expect(200);
            assessed["items"][0]["verdict"].as_str().unwrap().to_owned()
        };
        assert_eq!(verdict().await, "allow");
        assert_eq!(mode(&patient.client, "audio").await.expect(200)["mode"], "audio");
        mode(medic, "audio").await.refused(409, "same_mode");
        assert_eq!(verdict().await, "deny");
        let refused = medic.call("POST", &path("prescription/sign")).send().await.refused(422, "prescription_refused");
        assert_eq!(refused["errors"][0]["code"], "list_a");
        mode(medic, "video").await.expect(200);
        medic.call("POST", &path("prescription/sign")).send().await.expect(200);

        let end = async |who: &Client, why: &str| who.post(&path("end"), &json!({ "reason": why })).send().await;
        end(&patient.client, "emergency_referral").await.refused(422, "reason_not_allowed");
        assert_eq!(end(&patient.client, "patient_left").await.expect(200)["status"], "completed");
        end(medic, "concluded").await.refused(409, "invalid_transition");
        let timeline = medic.get(&path("timeline")).send().await.expect(200);
        let told: Vec<_> = timeline["items"].as_array().unwrap().iter().map(|line| line["cause"].clone()).collect();
        let expected = ["booked", "payment_not_required", "identity_asked", "audio", "video", "patient_left"];
        assert_eq!(told, expected);
        let kinds: Vec<_> = timeline["items"].as_array().unwrap().iter().map(|line| line["kind"].clone()).collect();
        assert_eq!(kinds[3..], ["mode_changed", "mode_changed", "status_changed"]);
    });
}

#[test]
fn who_came_is_told_by_what_was_seen_for_either_side() {
    on_strict("absences", async |stack, strict| {
        for cause in ["patient_absent", "doctor_absent"] {
            let (doctor, _) = doctor(stack, strict).await;
            let patient = patient(strict, "Asha", "1990-05-17").await;
            let (came, absent) = match cause {
                "patient_absent" => (&doctor.person, &patient),
                _ => (&patient, &doctor.person),
            };
            let visit = patient.booked(&doctor.slots().await[0]).await;
            stack.comes_near(&visit, "5 minutes").await;
            came.act(&visit, "check-in", &json!({})).send().await.expect(200);
            came.act(&visit, "no-show", &json!({})).send().await.refused(409, "too_early");
            stack.comes_near(&visit, "-11 minutes").await;
            absent.act(&visit, "no-show", &json!({})).send().await.refused(409, "not_checked_in");
            stack.checked_in_before(&visit, "13 minutes").await;
            absent.act(&visit, "no-show", &json!({})).send().await.refused(409, "other_side_present");
            came.act(&visit, "no-show", &json!({})).send().await.expect(200);
            let timeline = came.client.get(&format!("/v1/consultations/{visit}/timeline")).send().await.expect(200);
            assert_eq!(timeline["items"].as_array().unwrap().last().unwrap()["cause"], cause);
        }
    });
}

#[test]
fn doctors_look_up_what_may_be_prescribed() {
    on_strict("formulary", async |stack, strict| {
        let (doctor, _) = doctor(stack, strict).await;
        let medic = &doctor.person.client;
        let found = medic.get("/v1/formulary?q=avipattikara%20curna&form=churna&list=O").send().await.expect(200);
        assert_eq!((&found["version"], &found["items"][0]["code"]), (&json!("ayurveda-1"), &json!("AYU-CHU-005")));
        assert_eq!((found["items"].as_array().unwrap().len(), &found["next_cursor"]), (1, &Value::Null));
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let next = cursor.map(|cursor: String| format!("&cursor={cursor}")).unwrap_or_default();
            let page = medic.get(&format!("/v1/formulary?limit=100{next}")).send().await;
            assert_eq!(page.header("link").is_empty(), page.json()["next_cursor"].is_null());
            let page = page.expect(200);
            seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["code"].clone().to_string()));
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        assert!(seen.len() >= 150 && seen.is_sorted(), "{}", seen.len());
        medic.get("/v1/formulary?list=C").send().await.refused(422, "validation_failed");
        medic.get("/v1/formulary?q=rasa&cursor=e30").send().await.refused(400, "invalid_cursor");
    });
}
