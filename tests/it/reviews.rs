//! What a saga can't finish: from the event that tells of it to the one that resolves it.

use amrutam_kernel::{AggregateRef, CorrelationId, EventEnvelope, EventId};
use amrutam_tests::support::{Options, SOON, Stack, eventually, on_stack, unique};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

/// As payments announces it.
fn needed(consultation: &str, payload: &Value) -> EventEnvelope {
    let mut payload = payload.clone();
    payload["consultation_id"] = json!(consultation);
    EventEnvelope {
        id: EventId::from_uuid(Uuid::now_v7()),
        event_type: "payment.review_needed.v1".to_owned(),
        aggregate: AggregateRef { kind: "payment".to_owned(), id: consultation.parse().unwrap(), version: 4 },
        occurred_at: Timestamp::now(),
        actor: "system:payments".to_owned(),
        correlation_id: unique("review").parse::<CorrelationId>().unwrap(),
        trace_parent: None,
        payload,
    }
}

fn large() -> Value {
    json!({
        "reason": "refund_failed", "amount": { "amount": 1_000_001, "currency": "INR" }, "tried": ["refund", "refund_again"],
        "choices": ["refund_full", { "choice": "refund_by_policy", "amount": { "amount": 1_000_000, "currency": "INR" } },
                    { "choice": "write_off" }],
    })
}

async fn case_of(stack: &Stack, event: &EventEnvelope) -> Value {
    let admin = &stack.admin().await.client;
    eventually("the case is open", SOON, async || {
        let page = admin.get("/v1/admin/reviews?kind=payment&limit=100").send().await.expect(200);
        let mut cases = page["items"].as_array().unwrap().iter();
        cases.find(|case| case["opened_by_event"] == event.id.to_string()).cloned()
    })
    .await
}

#[test]
fn a_case_is_resolved_by_what_is_done_about_it() {
    on_stack(Options::named("reviews"), async |stack| {
        let (doctor, patient) = (stack.doctor(1).await, stack.patient("asha").await);
        let visit = patient.booked(&doctor.slots().await[0]).await;
        let broker = stack.broker().await;
        let resolutions = broker.listen("review.#").await;
        let event = needed(&visit, &large());
        broker.publish(&event).await;
        // Redelivered, and announced anew: it is one case.
        broker.publish(&event).await;
        let case = case_of(stack, &event).await;
        broker.publish(&needed(&visit, &large())).await;
        assert_eq!((&case["state"], &case["version"], &case["resolution"]), (&json!("open"), &json!(1), &Value::Null));
        let id = case["id"].as_str().unwrap();
        let path = format!("/v1/admin/reviews/{id}");

        let (first, second) = (stack.admin().await, stack.new_admin().await);
        let read = first.client.get(&path).send().await;
        assert_eq!(read.header("etag"), "\"1\"");
        let read = read.expect(200);
        assert_eq!(read["tried"], json!(["refund", "refund_again"]));
        let needs: Vec<_> =
            read["choices"].as_array().unwrap().iter().map(|choice| &choice["needs_approval"]).collect();
        assert_eq!(needs, [true, false, false]);
        let steps = read["timeline"].as_array().unwrap();
        assert_eq!((&steps[0]["to"], &steps[0]["actor"]), (&json!("pending"), &json!("patient")), "no person by id");
        assert_eq!(steps.last().unwrap()["to"], "confirmed");

        let resolve = |person: &amrutam_tests::support::Person, choice: &str| {
            person.client.post(&format!("{path}/resolve"), &json!({ "choice": choice, "note": "the bank says no" }))
        };
        let refused = resolve(first, "burn").send().await.refused(422, "choice_not_offered");
        assert!(refused["detail"].as_str().unwrap().contains("write_off"), "{refused}");
        let key = unique("key");
        let proposed = resolve(first, "refund_full").key(&key).send().await;
        let told = proposed.json();
        proposed.expect(200);
        assert_eq!(
            (&told["state"], &told["resolution"]["choice"]),
            (&json!("awaiting_approval"), &json!("refund_full"))
        );
        let replayed = resolve(first, "refund_full").key(&key).send().await;
        assert_eq!((replayed.header("idempotency-replayed"), replayed.json()), ("true", told));
        resolve(first, "refund_full").send().await.refused(403, "own_approval");
        assert!(broker.take(&resolutions).await.is_none(), "nothing is done about a proposal");

        let approved = resolve(&second, "refund_full").send().await.expect(200);
        assert_eq!(approved["state"], "resolved");
        let announced = broker.next(&resolutions).await;
        let people = (format!("admin:{}", first.id), format!("admin:{}", second.id));
        assert_eq!(announced.event_type, "review.resolved.v1");
        assert_eq!(
            announced.payload,
            json!({
                "case": id, "kind": "payment", "subject": { "kind": "payment", "id": visit }, "reason": "refund_failed",
                "asked_version": 4, "consultation_id": visit, "choice": "refund_full", "amount": { "amount": 1_000_001, "currency": "INR" },
                "decided_by": people.0, "approved_by": people.1,
            })
        );
        let refused = resolve(&second, "write_off").send().await.refused(409, "invalid_transition");
        assert_eq!(refused["from"], "resolved");
        let read = first.client.get(&path).send().await.expect(200);
        let resolution = &read["resolution"];
        assert_eq!(
            (&resolution["note"], &resolution["approval_note"]),
            (&json!("the bank says no"), &json!("the bank says no"))
        );
        let sql = stack.sql().await;
        let everything = format!("SELECT review_cases::text FROM review_cases WHERE id = '{id}'");
        assert!(!sql.value::<String>(&everything).await.contains("bank"), "notes are sealed");
        assert!(broker.take(&resolutions).await.is_none(), "it is announced once");

        let deeds = format!(
            "SELECT actor || ' ' || action || ' ' || outcome FROM audit_entries WHERE resource_id = '{id}' AND action NOT IN ('review.read', 'review.list') ORDER BY occurred_at"
        );
        assert_eq!(
            sql.column(&deeds).await,
            [
                "system:reviews review.open allowed".to_owned(),
                format!("{} review.resolve failed", people.0),
                format!("{} review.propose allowed", people.0),
                format!("{} review.approve denied", people.0),
                format!("{} review.approve allowed", people.1),
                format!("{} review.resolve failed", people.1),
            ]
        );
        broker.close().await;
    });
}

#[test]
fn the_operator_resolves_what_one_person_may_and_proposes_the_rest() {
    let options = Options::named("reviews-operator").with("BUSINESS__APPROVAL_ABOVE__INR", "500");
    on_stack(options, async |stack| {
        let (doctor, patient) = (stack.doctor(1).await, stack.patient("asha").await);
        let visit = patient.booked(&doctor.slots().await[0]).await;
        let broker = stack.broker().await;
        let resolutions = broker.listen("review.#").await;
        let event = needed(&visit, &large());
        broker.publish(&event).await;
        let id = case_of(stack, &event).await["id"].as_str().unwrap().to_owned();
        let line = |text: String| serde_json::from_str::<Value>(text.trim()).unwrap();
        assert_eq!(line(stack.operator(&["reviews", "list"], "").await)["id"], *id);
        let shown = line(stack.operator(&["reviews", "show", &id], "").await);
        assert_eq!(shown["timeline"].as_array().unwrap().len(), 2);
        let needs: Vec<_> =
            shown["choices"].as_array().unwrap().iter().map(|choice| &choice["needs_approval"]).collect();
        assert_eq!(needs, [true, true, false], "as it is set");
        let proposed = line(stack.operator(&["reviews", "resolve", &id, "--choice", "refund_full"], "").await);
        assert_eq!(proposed["state"], "awaiting_approval");
        // Another choice takes its place, and this one moves nothing.
        let arguments = ["reviews", "resolve", &id, "--choice", "write_off", "--note", "--operator", "asha"];
        let resolved = line(stack.operator(&arguments, "paid by cheque\n").await);
        assert_eq!((&resolved["state"], &resolved["resolution"]["choice"]), (&json!("resolved"), &json!("write_off")));
        let announced = broker.next(&resolutions).await;
        assert_eq!((&announced.payload["choice"], &announced.payload["amount"]), (&json!("write_off"), &Value::Null));
        assert_eq!(announced.payload["decided_by"], "system:amrutamctl/asha");
        let shown = line(stack.operator(&["reviews", "show", &id], "").await);
        assert_eq!(shown["note"], "paid by cheque");
        broker.close().await;
    });
}
