//! What waits for a person, over HTTP.

use super::Api;
use actix_web::test::TestRequest;
use amrutam_kernel::{AggregateRef, Clock, CorrelationId, DeadMessage, EventEnvelope, EventId};
use amrutam_operations::use_cases::{open_review, take};
use serde_json::{Value, json};
use uuid::Uuid;

fn event(api: &Api, number: u128, event_type: &str, payload: Value) -> EventEnvelope {
    EventEnvelope {
        id: EventId::from_uuid(Uuid::from_u128(number)),
        event_type: event_type.to_owned(),
        aggregate: AggregateRef { kind: "payment".to_owned(), id: Uuid::from_u128(number), version: 1 },
        occurred_at: api.clock.now(),
        actor: "system:test".to_owned(),
        correlation_id: CorrelationId::from(Uuid::from_u128(number)),
        trace_parent: None,
        payload,
    }
}

async fn died(api: &Api, number: u128) {
    let event = event(api, number, "payment.captured.v1", json!({ "payment_id": Uuid::from_u128(number) }));
    let dead = DeadMessage {
        consumer: "booking".to_owned(),
        body: serde_json::to_vec(&event).unwrap(),
        event: Some(event),
        headers: [].into(),
        error: "for good: no".to_owned(),
        attempts: 1,
        redeliveries: 0,
        requeue: 0,
        first_failed_at: None,
    };
    assert!(take(api.services.operations(), &dead).await.unwrap());
}

#[actix_web::test]
async fn dead_letters_are_listed_shown_requeued_and_discarded() {
    let api = Api::new().await;
    let admin = api.admin().await;
    for number in 1..=3 {
        died(&api, number).await;
    }
    let first = api.get("/v1/admin/dead-letters?limit=2&state=dead", Some(&admin)).await.is(200);
    assert!(first.header("link").is_some());
    let first = first.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = format!("/v1/admin/dead-letters?limit=2&state=dead&cursor={cursor}");
    let rest = api.get(&rest, Some(&admin)).await.is(200).json();
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));
    api.get(&format!("/v1/admin/dead-letters?cursor={cursor}"), Some(&admin)).await.is_problem(400, "invalid_cursor");

    let path = format!("/v1/admin/dead-letters/{}", first["items"][0]["id"].as_str().unwrap());
    let read = api.get(&path, Some(&admin)).await.is(200);
    assert_eq!(read.header("etag"), Some("\"1\""));
    assert_eq!(read.json()["payload"]["event_type"], "payment.captured.v1");
    let requeued = api.post(&format!("{path}/requeue"), Some(&admin), &json!({})).await.is(200);
    assert_eq!((requeued.header("etag"), &requeued.json()["state"]), (Some("\"2\""), &json!("requeued")));
    assert_eq!(api.world.requeued().len(), 1);
    let discard = api.post(&format!("{path}/discard"), Some(&admin), &json!({ "reason": "obsolete" })).await;
    discard.is_problem(409, "invalid_transition");
    assert_eq!((&discard.json()["from"], &discard.json()["to"]), (&json!("requeued"), &json!("discarded")));
    let other = format!("/v1/admin/dead-letters/{}", first["items"][1]["id"].as_str().unwrap());
    let discarded =
        api.post(&format!("{other}/discard"), Some(&admin), &json!({ "reason": "duplicate" })).await.is(200);
    assert_eq!(discarded.json()["discard_reason"], "duplicate");
    let missing = format!("/v1/admin/dead-letters/{}", Uuid::from_u128(9));
    api.get(&missing, Some(&admin)).await.is_problem(404, "not_found");
    api.post(&format!("{missing}/requeue"), Some(&admin), &json!({})).await.is_problem(404, "not_found");
}

#[actix_web::test]
async fn a_review_is_resolved_by_one_of_its_choices() {
    let api = Api::new().await;
    let admin = api.admin().await;
    let payload = json!({
        "reason": "refund_failed", "choices": ["refund_full", { "choice": "write_off" }],
        "amount": { "amount": 2_000_000, "currency": "INR" }
    });
    open_review(api.services.operations(), &event(&api, 5, "payment.review_needed.v1", payload)).await.unwrap();
    let listed = api.get("/v1/admin/reviews?state=open&kind=payment", Some(&admin)).await.is(200).json();
    let path = format!("/v1/admin/reviews/{}", listed["items"][0]["id"].as_str().unwrap());
    let read = api.get(&path, Some(&admin)).await.is(200).json();
    assert_eq!((&read["timeline"], &read["choices"][0]["needs_approval"]), (&json!([]), &json!(true)));
    let resolve = format!("{path}/resolve");
    let burnt = api.post(&resolve, Some(&admin), &json!({ "choice": "burn" })).await;
    burnt.is_problem(422, "choice_not_offered");
    assert_eq!(burnt.json()["errors"][0]["pointer"], "/choice");
    let with_key = || {
        let request = TestRequest::post().uri(&resolve).insert_header(("idempotency-key", "k"));
        super::with_token(request, Some(&admin))
            .set_json(json!({ "choice": "refund_full", "note": "the bank says no" }))
    };
    let proposed = api.send(with_key()).await.is(200);
    assert_eq!((proposed.header("etag"), &proposed.json()["state"]), (Some("\"2\""), &json!("awaiting_approval")));
    assert!(!proposed.text.contains("bank"), "a kept answer holds no note");
    let again = api.send(with_key()).await.is(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.text, proposed.text);
    let own = api.post(&resolve, Some(&admin), &json!({ "choice": "refund_full" })).await;
    own.is_problem(403, "own_approval");
    let resolved = api.post(&resolve, Some(&admin), &json!({ "choice": "write_off" })).await.is(200).json();
    assert_eq!((&resolved["state"], &resolved["resolution"]["choice"]), (&json!("resolved"), &json!("write_off")));
    let announced = api.world.outbox();
    assert_eq!(announced.last().unwrap().event_type, "review.resolved.v1");
    api.post(&resolve, Some(&admin), &json!({ "choice": "write_off" })).await.is_problem(409, "invalid_transition");
}
