//! The visit and its record over HTTP.

use super::*;
use amrutam_clinical::{
    model::Formulary,
    ports::FormularyStore,
    use_cases::{IssuerDeps, issue_document},
};
use amrutam_kernel::Effects;
use amrutam_memory::FakeRenderer;

/// A visit under way, and everybody signed in at its time.
struct Visit {
    api: Api,
    doctor: String,
    patient: String,
    other_doctor: String,
    patient_id: String,
    id: String,
}

async fn confirmed(born: &str) -> Visit {
    let api = Api::new().await;
    let formulary = Formulary::parse(include_str!("../../../../infra/formulary/ayurveda-v1.json")).unwrap();
    api.world.import(&formulary, &Effects::default()).await.unwrap();
    let cast = api.cast().await;
    let body = json!({
        "email": "leela@example.in", "password": PASSWORD, "full_name": "Leela Menon", "date_of_birth": born, "sex": "female"
    });
    api.post("/v1/auth/register", None, &body).await.is(201);
    let account =
        json!({ "email": "das@example.in", "password": PASSWORD, "full_name": "Other Doctor", "role": "doctor" });
    api.post("/v1/admin/accounts", Some(&cast.admin), &account).await.is(201);
    let patient = api.log_in("leela@example.in").await;
    let id = api.book(&patient, "k", &cast.wish(0)).await.is(201).json()["id"].as_str().unwrap().to_owned();
    // Monday, nine in India.
    api.clock.set("2026-11-23T03:30:00Z".parse().unwrap());
    let patient = api.log_in("leela@example.in").await;
    let patient_id = api.get("/v1/me", Some(&patient)).await.is(200).json()["id"].as_str().unwrap().to_owned();
    let doctor = api.log_in("rao@example.in").await;
    let other_doctor = api.log_in("das@example.in").await;
    Visit { api, doctor, patient, other_doctor, patient_id, id }
}

async fn begun() -> Visit {
    let visit = confirmed("1990-05-17").await;
    visit.post("start", &visit.doctor, &json!({})).await.is(200);
    visit
}

impl Visit {
    fn path(&self, what: &str) -> String {
        format!("/v1/consultations/{}/{what}", self.id)
    }

    async fn post(&self, what: &str, token: &str, body: &Value) -> Answer {
        self.api.post(&self.path(what), Some(token), body).await
    }

    async fn put(&self, what: &str, token: &str, body: &Value) -> Answer {
        self.api.call(Method::PUT, &self.path(what), token, body).await
    }

    async fn get(&self, what: &str, token: &str) -> Answer {
        self.api.get(&self.path(what), Some(token)).await
    }

    async fn put_if(&self, what: &str, version: &str, body: &Value) -> Answer {
        let request = TestRequest::put().uri(&self.path(what)).insert_header(("if-match", version));
        self.api.send(with_token(request, Some(&self.doctor)).set_json(body)).await
    }

    async fn records(&self, token: &str, glass: Option<&str>) -> Answer {
        let request = TestRequest::get().uri(&format!("/v1/patients/{}/records", self.patient_id));
        let request = match glass {
            Some(reason) => request.insert_header(("x-break-glass-reason", reason)),
            None => request,
        };
        self.api.send(with_token(request, Some(token))).await
    }
}

fn prescription() -> Value {
    json!({
        "practice_address": "12 MG Road, Kochi", "practice_contact": "+91 484 000 0000", "patient_address": "7 Beach Road, Kochi",
        "weight_kg": "61.5", "pregnancy": "no", "complaint": "Burning after meals", "history": "For two months",
        "findings": "Tongue coated", "findings_limits": "Abdomen not palpated", "investigations": "None needed",
        "diagnoses": [{ "text": "Amlapitta", "provisional": true }],
        "ayurveda": { "prakriti": "pitta-kapha", "vikriti": "pitta", "agni": "vishama", "koshtha": "mridu", "nidana": "sour food" },
        "items": [{
            "code": "AYU-CHU-005", "name": "Avipattikara Cūrṇa", "form": "churna", "strength": "AFI Part I",
            "dose": { "amount": "3", "unit": "g" }, "times_per_day": 2, "days": 14, "quantity": { "amount": "84", "unit": "g" },
            "kala": "pragbhakta", "anupana": "warm water", "pathya": "milk", "apathya": "sour food", "instructions": "before food"
        }],
        "advice": "Regular meals", "follow_up_on": "2026-12-14",
        "acknowledged": [
            { "rule": "interaction_check", "reason": "checked_by_practitioner" },
            { "rule": "allergy_check", "reason": "checked_by_practitioner" }
        ]
    })
}

#[actix_web::test]
async fn notes_are_written_by_version_and_added_to_after_the_visit() {
    let visit = begun().await;
    visit.get("notes", &visit.doctor).await.is_problem(404, "not_found");
    let note = json!({ "subjective": "Burning after meals", "diagnoses": [{ "text": "Amlapitta" }] });
    let written = visit.put("notes", &visit.doctor, &note).await.is(200);
    assert_eq!((written.header("etag"), &written.json()["version"]), (Some("\"1\""), &json!(1)));
    visit.put_if("notes", "\"1\"", &note).await.is(200);
    visit.put_if("notes", "\"1\"", &note).await.is_problem(412, "precondition_failed");
    visit.put("notes", &visit.patient, &note).await.is_problem(403, "forbidden");
    visit.put("notes", &visit.other_doctor, &note).await.is_problem(404, "not_found");
    visit.put("notes", &visit.doctor, &json!({ "mood": "good" })).await.is_problem(400, "unknown_field");
    let late = json!({ "text": "Better by evening" });
    let add = async |version: &str| {
        let request = TestRequest::post().uri(&visit.path("notes/addenda")).insert_header(("if-match", version));
        visit.api.send(with_token(request, Some(&visit.doctor)).set_json(&late)).await
    };
    add("\"2\"").await.is_problem(409, "note_not_open");
    visit.post("complete", &visit.doctor, &json!({})).await.is(200);
    visit.put("notes", &visit.doctor, &note).await.is_problem(409, "note_not_open");
    visit.post("notes/addenda", &visit.doctor, &late).await.is_problem(428, "precondition_required");
    add("*").await.is_problem(428, "precondition_required");
    add("\"2\"").await.is(200);
    add("\"2\"").await.is_problem(412, "precondition_failed");
    let read = visit.get("notes", &visit.patient).await.is(200).json();
    assert_eq!((&read["version"], &read["content"]["subjective"]), (&json!(3), &json!("Burning after meals")));
    assert_eq!(
        (&read["addenda"][0]["text"], read["addenda"].as_array().map(Vec::len)),
        (&json!("Better by evening"), Some(1))
    );
}

#[actix_web::test]
async fn a_prescription_goes_from_draft_to_document() {
    let visit = begun().await;
    let draft = visit.put("prescription", &visit.doctor, &prescription()).await.is(200);
    assert_eq!(draft.header("etag"), Some("\"1.1\""));
    visit.put_if("prescription", "\"1\"", &prescription()).await.is_problem(412, "precondition_failed");
    let draft = draft.json();
    assert_eq!((&draft["status"], &draft["number"]), (&json!("draft"), &json!(1)));
    visit.get("prescription", &visit.patient).await.is_problem(404, "not_found");
    let assessed = visit.post("prescription/dry-run", &visit.doctor, &Value::Null).await;
    assert_eq!(assessed.status.as_u16(), 400, "null is no draft");
    let assessed = visit.post("prescription/dry-run", &visit.doctor, &prescription()).await.is(200).json();
    assert_eq!((&assessed["visit_kind"], &assessed["missing"]), (&json!("first_visit"), &json!([])));
    assert_eq!(assessed["items"][0]["verdict"], "allow");
    let signed = visit.post("prescription/sign", &visit.doctor, &json!({})).await.is(200).json();
    assert_eq!((&signed["status"], &signed["document"]), (&json!("signed"), &json!("awaited")));
    let seen = visit.get("prescription", &visit.patient).await.is(200).json();
    assert_eq!((&seen["draft"], &seen["signed"]["id"]), (&Value::Null, &signed["id"]));

    visit.get("prescription.pdf", &visit.patient).await.is_problem(409, "document_not_ready");
    let event =
        visit.api.world.outbox().into_iter().find(|event| event.event_type == "prescription.signed.v1").unwrap();
    let renderer = FakeRenderer::new();
    let (clock, ids) = (visit.api.clock.clone(), SeededIds::new(99));
    let deps = IssuerDeps { store: &*visit.api.world, renderer: &renderer, clock: &*clock, ids: &ids };
    issue_document(deps, &event).await.unwrap();
    let document = visit.get("prescription.pdf", &visit.patient).await.is(200);
    assert_eq!(document.header("content-type"), Some("application/pdf"));
    assert_eq!(document.header("cache-control"), Some("no-store"));
    visit.get("prescription.pdf", &visit.other_doctor).await.is_problem(404, "not_found");

    let code = signed["signature"]["verify_code"].as_str().unwrap();
    let verified = visit.api.get(&format!("/v1/prescriptions/verify/{code}"), None).await.is(200);
    assert_eq!((&verified.json()["status"], &verified.json()["patient_initials"]), (&json!("signed"), &json!("L.M.")));
    for secret in ["Leela", "Burning", "Amlapitta", "acknowledged", "Beach"] {
        assert!(!verified.text.contains(secret), "{secret} is none of a pharmacist's business");
    }
    for wrong in ["x", "99999999999999999999999999"] {
        visit.api.get(&format!("/v1/prescriptions/verify/{wrong}"), None).await.is_problem(404, "not_found");
    }
    let revoked = visit.post("prescription/revoke", &visit.doctor, &json!({ "reason": "medication_error" })).await;
    assert_eq!(revoked.is(200).json()["revoke_reason"], "medication_error");
    let verified = visit.api.get(&format!("/v1/prescriptions/verify/{code}"), None).await.is(200);
    assert_eq!(verified.json()["status"], "revoked");
    let again = visit.post("prescription/revoke", &visit.doctor, &json!({ "reason": "other" })).await;
    again.is_problem(409, "invalid_transition");
}

#[actix_web::test]
async fn signing_lists_what_is_missing_and_what_the_rules_object_to() {
    let visit = begun().await;
    visit.post("prescription/sign", &visit.doctor, &json!({})).await.is_problem(404, "not_found");
    let mut incomplete = prescription();
    incomplete["complaint"] = json!("");
    incomplete["items"][0]["anupana"] = json!("");
    visit.put("prescription", &visit.doctor, &incomplete).await.is(200);
    let refused = visit.post("prescription/sign", &visit.doctor, &json!({})).await;
    refused.is_problem(422, "prescription_incomplete");
    let pointers = |answer: &Answer| {
        let errors = answer.json()["errors"].as_array().unwrap().clone();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(pointers(&refused), ["/complaint", "/items/0/anupana"]);
    let mut unanswered = prescription();
    // Opium: never.
    unanswered["items"][0]["code"] = json!("AYU-ASA-012");
    unanswered["items"][0]["name"] = json!("Ahiphenāsava");
    unanswered["items"][0]["form"] = json!("asava");
    unanswered["acknowledged"] = json!([]);
    visit.put("prescription", &visit.doctor, &unanswered).await.is(200);
    let refused = visit.post("prescription/sign", &visit.doctor, &json!({})).await;
    refused.is_problem(422, "prescription_refused");
    let codes: Vec<_> =
        refused.json()["errors"].as_array().unwrap().iter().map(|error| error["code"].clone()).collect();
    assert!(codes.contains(&json!("ndps")) && codes.contains(&json!("interaction_check")), "{codes:?}");
    let mut other = prescription();
    other["items"][0]["name"] = json!("Ahiphenāsava");
    other["items"][0]["form"] = json!("asava");
    visit.put("prescription", &visit.doctor, &other).await.is(200);
    let refused = visit.post("prescription/sign", &visit.doctor, &json!({})).await;
    refused.is_problem(422, "prescription_refused");
    assert_eq!(pointers(&refused), ["/items/0/name", "/items/0/form"]);
    let mut unknown = prescription();
    unknown["items"][0]["code"] = json!("AYU-XXX-001");
    let refused = visit.post("prescription/dry-run", &visit.doctor, &unknown).await;
    refused.is_problem(422, "unknown_formulary_item");
    let mut invalid = prescription();
    invalid["items"][0]["dose"] = json!({ "amount": "lots", "unit": "cup" });
    let refused = visit.put("prescription", &visit.doctor, &invalid).await;
    assert_eq!(pointers(&refused), ["/items/0/dose/amount", "/items/0/dose/unit"]);
    visit.post("prescription/sign", &visit.patient, &json!({})).await.is_problem(403, "forbidden");
    visit.post("prescription/sign", &visit.other_doctor, &json!({})).await.is_problem(404, "not_found");
}

#[actix_web::test]
async fn a_minors_visit_waits_for_an_adult() {
    let visit = confirmed("2012-01-01").await;
    visit.post("start", &visit.doctor, &json!({})).await.is_problem(409, "guardian_required");
    let adult = json!({ "name": "Ravi Menon", "relation": "father", "id_type": "pan", "id_last_four": "12A4" });
    let mut wrong = adult.clone();
    wrong["id_last_four"] = json!("123456");
    visit.put("guardian", &visit.patient, &wrong).await.is_problem(422, "validation_failed");
    visit.put("guardian", &visit.patient, &adult).await.is(200);
    visit.post("start", &visit.doctor, &json!({})).await.is(200);
}

#[actix_web::test]
async fn who_starts_says_how_they_made_sure_of_the_patient() {
    let visit = confirmed("1990-05-17").await;
    let start = async |body: &Value| {
        let request = TestRequest::post().uri(&visit.path("start")).insert_header(("idempotency-key", "begin"));
        visit.api.send(with_token(request, Some(&visit.doctor)).set_json(body)).await
    };
    let way = |word: &str| json!({ "identity": word });
    start(&way("guessed")).await.is_problem(422, "validation_failed");
    start(&json!({ "identity": "asked", "mood": "good" })).await.is_problem(400, "unknown_field");
    start(&way("known")).await.is_problem(409, "no_earlier_visit");
    let begun = start(&way("photo_id")).await.is(200);
    assert_eq!(start(&way("photo_id")).await.is(200).text, begun.text);
    start(&way("asked")).await.is_problem(422, "idempotency_key_reused");
    for side in [&visit.doctor, &visit.patient] {
        let timeline = visit.get("timeline", side).await.is(200).json();
        assert_eq!(timeline["items"].as_array().unwrap().last().unwrap()["cause"], "identity_photo_id");
    }
}

#[actix_web::test]
async fn a_consent_is_given_withdrawn_and_read() {
    let visit = confirmed("1990-05-17").await;
    let given = json!({ "purpose": "teleconsultation", "decision": "given", "notice_version": "teleconsultation-1" });
    visit.post("consent", &visit.patient, &given).await.is(201);
    let outdated = json!({ "purpose": "recording", "decision": "given", "notice_version": "recording-0" });
    visit.post("consent", &visit.patient, &outdated).await.is_problem(409, "notice_outdated");
    let by_doctor = json!({ "purpose": "recording", "decision": "given", "notice_version": "recording-1" });
    visit.post("consent", &visit.doctor, &by_doctor).await.is_problem(422, "consent_evidence_required");
    let withdrawn = json!({ "purpose": "teleconsultation", "decision": "withdrawn" });
    let mut told = withdrawn.clone();
    told["notice_version"] = json!("I fear for my job");
    visit.post("consent", &visit.patient, &told).await.is_problem(409, "notice_outdated");
    visit.post("consent", &visit.patient, &withdrawn).await.is(201);
    visit.post("start", &visit.doctor, &json!({})).await.is_problem(409, "consent_withdrawn");
    let list = visit.get("consent", &visit.patient).await.is(200).json();
    let decisions: Vec<_> = list["items"].as_array().unwrap().iter().map(|one| one["decision"].clone()).collect();
    assert_eq!(decisions, ["given", "withdrawn"]);
    visit.get("consent", &visit.other_doctor).await.is_problem(404, "not_found");
}

#[actix_web::test]
async fn who_has_not_come_does_not_say_that_the_other_has_not() {
    let visit = confirmed("1990-05-17").await;
    visit.api.clock.set("2026-11-23T03:41:00Z".parse().unwrap());
    for side in [&visit.patient, &visit.doctor] {
        visit.post("no-show", side, &json!({})).await.is_problem(409, "not_checked_in");
    }
}

#[actix_web::test]
async fn who_checked_in_can_not_be_said_to_be_absent() {
    let visit = confirmed("1990-05-17").await;
    let seen = visit.post("check-in", &visit.patient, &json!({})).await.is(200).json();
    assert_eq!(seen["side"], "patient");
    visit.api.clock.set("2026-11-23T03:41:00Z".parse().unwrap());
    visit.post("no-show", &visit.doctor, &json!({})).await.is_problem(409, "other_side_present");
    visit.post("no-show", &visit.patient, &json!({})).await.is(200);
    visit.post("check-in", &visit.patient, &json!({})).await.is_problem(409, "visit_closed");
}

#[actix_web::test]
async fn a_record_is_read_by_those_it_concerns_and_by_whoever_breaks_the_glass() {
    let visit = begun().await;
    let note = json!({ "subjective": "Burning after meals" });
    visit.put("notes", &visit.doctor, &note).await.is(200);
    for token in [&visit.patient, &visit.doctor] {
        let page = visit.records(token, None).await.is(200).json();
        assert_eq!(page["items"][0]["note"]["content"]["subjective"], "Burning after meals");
    }
    visit.records(&visit.other_doctor, None).await.is_problem(404, "not_found");
    visit.records(&visit.other_doctor, Some("curious")).await.is_problem(422, "invalid_break_glass_reason");
    // Who is not listed may not even then.
    visit.records(&visit.other_doctor, Some("emergency")).await.is_problem(403, "forbidden");
    let mut theirs = profile();
    theirs["registration_number"] = json!("KL-0815");
    let theirs = visit.api.post("/v1/doctors", Some(&visit.other_doctor), &theirs).await.is(201).json();
    let verify = format!("/v1/admin/doctors/{}/verify", theirs["id"].as_str().unwrap());
    let admin = visit.api.log_in("admin@example.in").await;
    visit.api.post(&verify, Some(&admin), &json!({})).await.is(200);
    visit.records(&visit.other_doctor, Some("emergency")).await.is(200);
    let told = visit.api.world.outbox().into_iter().filter(|event| event.event_type == "record.break_glass.v1").count();
    assert_eq!(told, 1);
    visit.records(&visit.patient, Some("emergency")).await.is(200);
}
