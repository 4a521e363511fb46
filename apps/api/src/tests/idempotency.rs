use super::{Answer, Api, PASSWORD, profile, with_token};
use actix_web::test::TestRequest;
use amrutam_booking::ports::ConsultationStore;
use amrutam_kernel::{Fingerprint, IdempotencyClaim, Recorded, SlotId};
use amrutam_memory::Fault;
use serde_json::{Value, json};

#[actix_web::test]
async fn the_same_request_has_one_effect_and_one_answer() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let first = api.book(&cast.patient, "k", &cast.wish(0)).await.is(201);
    let again = api.book(&cast.patient, "k", &cast.wish(0)).await.is(201);
    assert_eq!(first.text, again.text);
    for header in ["location", "etag", "content-type"] {
        assert_eq!(first.header(header), again.header(header));
    }
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
    assert_eq!(api.world.consultations().len(), 1);
    api.book(&cast.patient, "k", &cast.wish(1)).await.is_problem(422, "idempotency_key_reused");
    // Keys belong to their caller.
    api.book(&cast.other_patient, "k", &cast.wish(1)).await.is(201);
}

/// What is stored of a request can't be tried against guesses of what was in it.
#[actix_web::test]
async fn of_a_body_only_a_keyed_digest_is_kept() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let wish = cast.wish(0);
    let path = "/v1/consultations";
    let request = TestRequest::post().uri(path).insert_header(("idempotency-key", "k"));
    let body = wish.to_string();
    let request = with_token(request, Some(&cast.patient)).insert_header(("content-type", "application/json"));
    api.send(request.set_payload(body.clone())).await.is(201);
    let caller = api.world.consultations()[0].patient;
    let recorded = async |fingerprint| {
        let claim = IdempotencyClaim { caller, key: "k".parse().unwrap(), fingerprint };
        let nothing = SlotId::from_uuid(uuid::Uuid::nil());
        api.world.booking_snapshot(nothing, caller, None, Some(&claim)).await.unwrap().recorded
    };
    let guessed = Fingerprint::of("POST", path, body.as_bytes());
    assert!(matches!(recorded(guessed).await, Some(Recorded::Other)), "whoever reads it can't tell a right guess");
}

#[actix_web::test]
async fn a_final_refusal_is_an_answer_too() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let location = api.book(&cast.patient, "k", &cast.wish(0)).await.is(201).header("location").unwrap().to_owned();
    let refused = api.book(&cast.other_patient, "k", &cast.wish(0)).await;
    refused.is_problem(409, "slot_unavailable");
    api.post(&format!("{location}/cancel"), Some(&cast.patient), &json!({ "reason": "patient_improved" }))
        .await
        .is(200);
    // The slot is open again, but this request has its answer.
    let again = api.book(&cast.other_patient, "k", &cast.wish(0)).await;
    assert_eq!((again.text.as_str(), again.header("idempotency-replayed")), (refused.text.as_str(), Some("true")));
    api.book(&cast.other_patient, "k2", &cast.wish(0)).await.is(201);
}

#[actix_web::test]
async fn an_act_is_replayed_like_a_booking() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let location = api.book(&cast.patient, "k", &cast.wish(0)).await.is(201).header("location").unwrap().to_owned();
    let cancel = |key: &'static str| {
        let request = TestRequest::post().uri(&format!("{location}/cancel")).insert_header(("idempotency-key", key));
        api.send(with_token(request, Some(&cast.patient)).set_json(json!({ "reason": "patient_improved" })))
    };
    let first = cancel("c").await.is(200);
    assert_eq!(first.json()["cancel_reason"], "patient_improved");
    let again = cancel("c").await.is(200);
    assert_eq!((again.text.as_str(), again.header("idempotency-replayed")), (first.text.as_str(), Some("true")));
    let refused = cancel("d").await;
    refused.is_problem(409, "invalid_transition");
    assert_eq!(cancel("d").await.text, refused.text);
}

#[actix_web::test]
async fn a_key_is_visible_ascii_wherever_it_is_sent() {
    let api = Api::new().await;
    let body = json!({ "email": "asha@example.in", "password": super::PASSWORD, "full_name": "Asha" });
    for key in ["", "a b", &"k".repeat(256)] {
        let request =
            TestRequest::post().uri("/v1/auth/register").insert_header(("idempotency-key", key)).set_json(&body);
        api.send(request).await.is_problem(400, "invalid_idempotency_key");
    }
    let request = TestRequest::post().uri("/v1/auth/register").insert_header(("idempotency-key", "k")).set_json(&body);
    api.send(request).await.is(201);
}

#[actix_web::test]
async fn what_is_away_is_said_and_not_kept() {
    let api = Api::new().await;
    let cast = api.cast().await;
    api.world.set_away(true);
    let answer = api.book(&cast.patient, "k", &cast.wish(0)).await;
    answer.is_problem(503, "dependency_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    api.world.set_away(false);
    api.world.fail_next_commits([Fault::Stale, Fault::Busy]);
    api.book(&cast.patient, "k", &cast.wish(0)).await.is(201);
}

/// Sends a request with a key twice and the key with something else once, and gives the first answer.
async fn sent_twice(api: &Api, token: &str, path: &str, body: &Value, other: (&str, &Value)) -> Answer {
    let send = async |path: &str, body: &Value| {
        let request = TestRequest::post().uri(path).insert_header(("idempotency-key", "twice"));
        api.send(with_token(request, Some(token)).set_json(body)).await
    };
    let first = send(path, body).await;
    assert!(first.status.is_success(), "{path}: {}", first.text);
    assert_eq!(first.header("idempotency-replayed"), None, "{path}");
    let again = send(path, body).await;
    assert_eq!((again.status, again.text.as_str()), (first.status, first.text.as_str()), "{path}");
    assert_eq!(again.header("idempotency-replayed"), Some("true"), "{path}");
    for header in ["location", "etag", "content-type"] {
        assert_eq!(first.header(header), again.header(header), "{path} {header}");
    }
    send(other.0, other.1).await.is_problem(422, "idempotency_key_reused");
    first
}

#[actix_web::test]
async fn every_post_that_changes_something_honours_its_key() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let nothing = json!({});

    let staff = |email: &str| json!({ "email": email, "password": PASSWORD, "full_name": "Iyer", "role": "doctor" });
    let (one, other) = (staff("iyer@example.in"), staff("das@example.in"));
    sent_twice(&api, &cast.admin, "/v1/admin/accounts", &one, ("/v1/admin/accounts", &other)).await;
    assert_eq!(api.world.accounts().len(), 5);

    let doctor = api.log_in("iyer@example.in").await;
    let mut one = profile();
    one["registration_number"] = json!("KL-AY-2");
    let mut other = one.clone();
    other["bio"] = json!("Else.");
    let made = sent_twice(&api, &doctor, "/v1/doctors", &one, ("/v1/doctors", &other)).await.json();
    let path = |act: &str| format!("/v1/admin/doctors/{}/{act}", made["id"].as_str().unwrap());

    // Keys belong to their caller; another admin's requests are a third caller's.
    let admin = &cast.admin;
    let keyed = async |key: &str, path: &str| {
        let request = TestRequest::post().uri(path).insert_header(("idempotency-key", key));
        api.send(with_token(request, Some(admin)).set_json(&nothing)).await
    };
    for (key, act) in [("v", "verify"), ("s", "suspend")] {
        let first = keyed(key, &path(act)).await.is(200);
        let again = keyed(key, &path(act)).await.is(200);
        assert_eq!((&again.text, again.header("idempotency-replayed")), (&first.text, Some("true")), "{act}");
        assert_eq!(again.header("etag"), first.header("etag"));
    }
    keyed("v", &path("suspend")).await.is_problem(422, "idempotency_key_reused");

    let absence = |note: &str| json!({ "from": "2026-12-07T00:00:00Z", "to": "2026-12-08T00:00:00Z", "note": note });
    let path = format!("/v1/doctors/{}/time-off", cast.doctor_id);
    sent_twice(&api, &cast.doctor, &path, &absence("a"), (&path, &absence("b"))).await;
    let listed = api.get(&path, Some(&cast.doctor)).await.is(200).json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "one absence");
}

#[actix_web::test]
async fn a_visit_is_begun_and_ended_once_under_its_keys() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let mut visits = Vec::new();
    for (key, slot) in [("a", 0), ("b", 1)] {
        visits
            .push(api.book(&cast.patient, key, &cast.wish(slot)).await.is(201).header("location").unwrap().to_owned());
    }
    let nothing = json!({});
    api.clock.set("2026-11-23T03:30:00Z".parse().unwrap());
    let doctor = api.log_in("rao@example.in").await;
    api.post(&format!("{}/check-in", visits[0]), Some(&doctor), &nothing).await.is(200);
    api.clock.set("2026-11-23T03:50:00Z".parse().unwrap());
    let doctor = api.log_in("rao@example.in").await;
    let keyed = async |key: &str, path: &str| {
        let request = TestRequest::post().uri(path).insert_header(("idempotency-key", key));
        api.send(with_token(request, Some(&doctor)).set_json(&nothing)).await
    };
    api.clock.set("2026-11-23T04:00:00Z".parse().unwrap());
    for (key, visit, act, status) in
        [("s", 1, "start", "in_progress"), ("c", 1, "complete", "completed"), ("n", 0, "no-show", "no_show")]
    {
        let path = format!("{}/{act}", visits[visit]);
        let first = keyed(key, &path).await.is(200);
        assert_eq!(first.json()["status"], status);
        let again = keyed(key, &path).await.is(200);
        assert_eq!((&again.text, again.header("idempotency-replayed")), (&first.text, Some("true")), "{act}");
        assert_eq!((again.header("etag"), first.header("etag").is_some()), (first.header("etag"), true), "{act}");
        // Without the key it is another request.
        api.post(&path, Some(&doctor), &nothing).await.is_problem(409, "invalid_transition");
    }
    keyed("s", &format!("{}/complete", visits[1])).await.is_problem(422, "idempotency_key_reused");
}
