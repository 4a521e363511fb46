use super::{Api, with_token};
use actix_web::test::TestRequest;
use amrutam_memory::Fault;
use serde_json::json;

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
