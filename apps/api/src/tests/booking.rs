use super::{Api, Limits, with_token};
use actix_web::test::TestRequest;
use amrutam_booking::model::PaymentsMode;
use serde_json::{Value, json};

#[actix_web::test]
async fn a_booking_is_confirmed_at_once_where_nobody_pays() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let mut wish = cast.wish(0);
    wish["reason"] = json!("canary headache");
    let answer = api.book(&cast.patient, "k", &wish).await.is(201);
    assert!(!answer.text.contains("canary"));
    let booked = answer.json();
    assert_eq!(
        (&booked["status"], &booked["payment"], &booked["hold_expires_at"]),
        (&json!("confirmed"), &Value::Null, &Value::Null)
    );
    assert_eq!((&booked["slot"]["id"], &booked["slot"]["status"]), (&json!(cast.slots[0]), &json!("booked")));
    assert_eq!(booked["slot"]["starts_at"], "2026-11-23T03:30:00.000000Z");
    assert_eq!(booked["fee"], json!({ "amount": 49900, "currency": "INR" }));
    assert_eq!(answer.header("etag"), Some("\"2\""));
    let location = answer.header("location").unwrap().to_owned();

    let seen = api.get(&location, Some(&cast.patient)).await.is(200);
    assert_eq!((seen.header("etag"), &seen.json()["reason"]), (Some("\"2\""), &json!("canary headache")));
    assert_eq!(seen.json()["doctor"]["registration_number"], "KL-AY-10482");
    assert_eq!(api.get(&location, Some(&cast.doctor)).await.is(200).json()["reason"], "canary headache");
    let masked = api.get(&location, Some(&cast.admin)).await.is(200);
    assert!(masked.json()["patient_id"].is_null() && !masked.text.contains("canary"));
    api.get(&location, Some(&cast.other_patient)).await.is_problem(404, "not_found");
    api.get(&location, None).await.is_problem(401, "unauthenticated");

    let timeline = api.get(&format!("{location}/timeline"), Some(&cast.patient)).await.is(200).json();
    let steps: Vec<_> =
        timeline["items"].as_array().unwrap().iter().map(|line| (line["from"].clone(), line["to"].clone())).collect();
    assert_eq!(steps, [(Value::Null, json!("pending")), (json!("pending"), json!("confirmed"))]);
    let masked = api.get(&format!("{location}/timeline"), Some(&cast.admin)).await.is(200).json();
    assert_eq!(masked["items"][0]["actor"], "patient");
}

#[actix_web::test]
async fn a_booking_that_must_be_paid_holds_its_slot_for_a_while() {
    let api = Api::with(PaymentsMode::Required, Limits::default()).await;
    let cast = api.cast().await;
    let answer = api.book(&cast.patient, "k", &cast.wish(0)).await.is(201);
    let booked = answer.json();
    assert_eq!((&booked["status"], &booked["payment"]["status"]), (&json!("pending"), &json!("created")));
    assert_eq!(booked["payment"]["expires_at"], booked["hold_expires_at"]);
    api.book(&cast.other_patient, "k", &cast.wish(0)).await.is_problem(409, "slot_unavailable");
    api.clock.advance(jiff::SignedDuration::from_mins(15));
    let other = api.log_in("ravi@example.in").await;
    let patient = api.log_in("asha@example.in").await;
    let location = answer.header("location").unwrap();
    let expired = api.get(location, Some(&patient)).await.is(200);
    assert_eq!((&expired.json()["status"], expired.header("etag")), (&json!("expired"), Some("\"1-expired\"")));
    api.book(&other, "k2", &cast.wish(0)).await.is(201);
}

#[actix_web::test]
async fn each_refusal_has_its_word_and_its_place() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let id = "019aaf00-0000-7000-8000-00000000dead";
    let with = |field: &str, value: Value| {
        let mut wish = cast.wish(0);
        wish[field] = value;
        wish
    };
    for (body, status, code, pointer) in [
        (with("slot_id", json!(id)), 422, "unknown_slot", "/slot_id"),
        (with("doctor_id", json!(id)), 422, "slot_of_another_doctor", "/doctor_id"),
        (with("mode", json!("chat")), 422, "mode_not_offered", "/mode"),
        (with("mode", json!("telepathy")), 422, "validation_failed", "/mode"),
        (with("for_dependent", json!(id)), 422, "unknown_dependent", "/for_dependent"),
        (with("slot_id", json!("x")), 422, "validation_failed", "/slot_id"),
        (with("slot_id", json!(7)), 400, "invalid_type", "/slot_id"),
        (with("reason", json!("")), 422, "validation_failed", "/reason"),
        (with("status", json!("confirmed")), 400, "unknown_field", "/status"),
        (json!({}), 422, "validation_failed", "/doctor_id"),
    ] {
        let answer = api.book(&cast.patient, code, &body).await;
        answer.is_problem(status, code);
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{}", answer.text);
    }
    api.book(&cast.doctor, "k", &cast.wish(0)).await.is_problem(403, "forbidden");
    api.post("/v1/consultations", Some(&cast.patient), &cast.wish(0)).await.is_problem(400, "idempotency_key_required");
    assert!(api.world.consultations().is_empty());

    api.clock.set("2026-11-23T03:30:00Z".parse().unwrap());
    let patient = api.log_in("asha@example.in").await;
    api.book(&patient, "late", &cast.wish(0)).await.is_problem(422, "slot_in_past");
    api.post(
        &format!("/v1/admin/doctors/{}/suspend", cast.doctor_id),
        Some(&api.log_in("admin@example.in").await),
        &json!({}),
    )
    .await
    .is(200);
    api.book(&patient, "gone", &cast.wish(1)).await.is_problem(409, "doctor_not_available");
}

#[actix_web::test]
async fn a_visit_runs_its_course() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let location = api.book(&cast.patient, "k", &cast.wish(0)).await.is(201).header("location").unwrap().to_owned();
    let act =
        async |verb: &str, token: &str, body: Value| api.post(&format!("{location}/{verb}"), Some(token), &body).await;

    act("start", &cast.doctor, json!({})).await.is_problem(409, "too_early");
    act("complete", &cast.doctor, json!({})).await.is_problem(409, "invalid_transition");
    act("start", &cast.patient, json!({})).await.is_problem(403, "forbidden");
    act("start", &cast.other_patient, json!({})).await.is_problem(404, "not_found");
    act("complete", &cast.doctor, json!({ "outcome": "x" })).await.is_problem(400, "unknown_field");
    let long = act("complete", &cast.doctor, json!({ "summary": "canary".repeat(1_000) })).await;
    long.is_problem(422, "validation_failed");
    assert_eq!((&long.json()["errors"][0]["pointer"], long.text.contains("canary")), (&json!("/summary"), false));
    act("mode", &cast.doctor, json!({ "mode": "audio" })).await.is_problem(409, "invalid_transition");
    act("end", &cast.patient, json!({ "reason": "bored" })).await.is_problem(422, "validation_failed");
    act("end", &cast.other_patient, json!({ "reason": "concluded" })).await.is_problem(404, "not_found");
    let moved = act("reschedule", &cast.patient, json!({ "slot_id": cast.slots[2] })).await.is(200).json();
    assert_eq!(
        (&moved["slot"]["id"], &moved["status"], &moved["version"]),
        (&json!(cast.slots[2]), &json!("confirmed"), &json!(3))
    );
    act("reschedule", &cast.patient, json!({ "slot_id": "x" })).await.is_problem(422, "validation_failed");
    act("cancel", &cast.patient, json!({ "reason": "doctor_unavailable" })).await.is_problem(422, "reason_not_allowed");
    act("cancel", &cast.patient, json!({ "reason": "bored" })).await.is_problem(422, "validation_failed");

    api.clock.set("2026-11-23T04:10:00Z".parse().unwrap());
    let doctor = api.log_in("rao@example.in").await;
    let bare = TestRequest::post().uri(&format!("{location}/start"));
    let started = api.send(with_token(bare, Some(&doctor))).await.is(200).json();
    assert_eq!(started["status"], "in_progress");
    let patient = api.log_in("asha@example.in").await;
    let changed = act("mode", &patient, json!({ "mode": "audio" })).await.is(200).json();
    assert_eq!((&changed["mode"], &changed["status"]), (&json!("audio"), &json!("in_progress")));
    act("mode", &doctor, json!({ "mode": "audio" })).await.is_problem(409, "same_mode");
    act("mode", &doctor, json!({ "mode": "telepathy" })).await.is_problem(422, "validation_failed");
    act("end", &patient, json!({ "reason": "emergency_referral" })).await.is_problem(422, "reason_not_allowed");
    let done = act("complete", &doctor, json!({ "summary": "canary" })).await.is(200);
    assert_eq!((&done.json()["status"], done.text.contains("canary")), (&json!("completed"), false));
    for side in [&patient, &doctor] {
        assert_eq!(api.get(&location, Some(side)).await.is(200).json()["summary"], "canary");
    }
    let admin = api.log_in("admin@example.in").await;
    assert!(!api.get(&location, Some(&admin)).await.is(200).text.contains("canary"));
    act("end", &patient, json!({ "reason": "concluded" })).await.is_problem(409, "invalid_transition");
    let timeline = api.get(&format!("{location}/timeline"), Some(&patient)).await.is(200).json();
    let told = |kind: &str| timeline["items"].as_array().unwrap().iter().find(|line| line["kind"] == kind).cloned();
    assert_eq!(told("mode_changed").unwrap()["cause"], "audio");
    let refused = act("no-show", &doctor, json!({})).await;
    refused.is_problem(409, "invalid_transition");
    assert_eq!((&refused.json()["from"], &refused.json()["to"]), (&json!("completed"), &json!("no_show")));
}

#[actix_web::test]
async fn an_admin_acts_without_seeing_whom_it_is_about() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let booked = api.book(&cast.patient, "k", &cast.wish(0)).await.is(201);
    let (location, patient) = (booked.header("location").unwrap().to_owned(), booked.json()["patient_id"].clone());
    let cancel = format!("{location}/cancel");
    let answer = api.post(&cancel, Some(&cast.admin), &json!({ "reason": "technical_issue" })).await.is(200);
    assert_eq!((&answer.json()["patient_id"], &answer.json()["status"]), (&Value::Null, &json!("cancelled")));
    let actors = async |token: &str| -> Vec<String> {
        let timeline = api.get(&format!("{location}/timeline"), Some(token)).await.is(200).json();
        timeline["items"].as_array().unwrap().iter().map(|line| line["actor"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(actors(&cast.admin).await, ["patient", "system:booking", "admin"]);
    let seen = actors(&cast.patient).await;
    assert_eq!(seen[0], format!("patient:{}", patient.as_str().unwrap()));
    assert!(seen[2].starts_with("admin:"), "{seen:?}");
}

#[actix_web::test]
async fn a_list_shows_ones_own_and_admins_no_patients() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let mut wish = cast.wish(0);
    wish["reason"] = json!("canary");
    api.book(&cast.patient, "a", &wish).await.is(201);
    api.book(&cast.patient, "b", &cast.wish(1)).await.is(201);
    api.book(&cast.other_patient, "a", &cast.wish(2)).await.is(201);
    let count = async |query: &str, token: &str| {
        let answer = api.get(&format!("/v1/consultations{query}"), Some(token)).await.is(200);
        assert!(!answer.text.contains("canary"));
        answer.json()["items"].as_array().unwrap().len()
    };
    assert_eq!(count("", &cast.patient).await, 2);
    assert_eq!(count("", &cast.other_patient).await, 1);
    assert_eq!(count("", &cast.doctor).await, 3);
    assert_eq!(count("?status=confirmed&from=2026-11-23T03:50:00Z", &cast.doctor).await, 2);
    assert_eq!(count("?status=cancelled", &cast.doctor).await, 0);
    let all = api.get("/v1/consultations?limit=1", Some(&cast.admin)).await.is(200);
    assert!(all.json()["items"][0]["patient_id"].is_null() && all.header("link").is_some());
    api.get("/v1/consultations?status=x", Some(&cast.patient)).await.is_problem(422, "validation_failed");
    api.get("/v1/consultations", None).await.is_problem(401, "unauthenticated");
}
