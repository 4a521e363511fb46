//! What a gateway tells is believed when it is signed, once, and answered without asking the gateway.

use crate::sagas::{order_of, until_visit};
use amrutam_tests::support::{Options, SOON, Stack, WEBHOOK_SECRET, on_stack, raw_exchange, until};
use openssl::{hash::MessageDigest, pkey::PKey, sign::Signer};
use serde_json::json;
use std::time::Instant;

const PATH: &str = "/v1/webhooks/payments/razorpay";

async fn captured_event(stack: &Stack) -> String {
    let events = stack.gateway.events().await;
    let captured =
        events.iter().find(|event| event["event"] == "payment.captured").expect("a captured payment is told");
    captured["id"].as_str().unwrap().to_owned()
}

async fn noted(stack: &Stack) -> (i64, i64, i64) {
    let sql = stack.sql().await;
    (
        sql.value("SELECT coalesce(sum(version), 0)::bigint FROM payments").await,
        sql.value("SELECT count(*) FROM webhook_inbox").await,
        sql.value("SELECT count(*) FROM ledger_lines").await,
    )
}

#[test]
fn each_way_to_get_it_wrong_has_its_answer_and_no_effect() {
    // No look at the gateway while its calls are counted.
    on_stack(Options::named("webhooks").paid().with("PAYMENTS__FIRST_POLL_MS", "600000"), async |stack| {
        let doctor = stack.doctor(1).await;
        let slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        let id = patient.booked(&slots[0]).await;
        let order = order_of(&patient, &id).await;
        stack.gateway.pay(&order, &json!({ "outcome": "captured" })).await;
        until_visit(&patient, &id, "confirmed").await;
        let event = captured_event(stack).await;
        until("all that was told is on the record", SOON, async || {
            let events = stack.gateway.events().await;
            let told = |event: &serde_json::Value| {
                event["deliveries"].as_array().unwrap().iter().any(|one| one["status"] == 200)
            };
            events.iter().all(told)
        })
        .await;
        let (before, calls) = (noted(stack).await, stack.gateway.calls().await);
        for (tamper, status) in [
            ("none", 200),
            ("signature", 401),
            ("unsigned", 401),
            ("byte", 401),
            ("truncated", 401),
            ("longer", 401),
            ("stale", 401),
        ] {
            assert_eq!(stack.gateway.send_again(&event, tamper).await, status, "{tamper}");
            assert_eq!(noted(stack).await, before, "{tamper} changes nothing");
        }
        // A kind that nobody knows is on the record, and nothing else.
        assert_eq!(stack.gateway.send_again(&event, "unknown_type").await, 200);
        let (versions, _, lines) = noted(stack).await;
        assert_eq!((versions, lines), (before.0, before.2));
        assert_eq!(stack.gateway.calls().await, calls, "nobody asked the gateway");
        stack.check_money().await;
    });
}

#[test]
fn copies_in_any_order_count_once() {
    on_stack(Options::named("copies").paid(), async |stack| {
        let doctor = stack.doctor(1).await;
        let slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        stack.gateway.behave(&json!({ "webhooks": { "hold": true } })).await;
        let mut visits = Vec::new();
        for slot in &slots[..3] {
            let id = patient.booked(slot).await;
            let order = order_of(&patient, &id).await;
            stack.gateway.pay(&order, &json!({ "outcome": "failed" })).await;
            stack.gateway.pay(&order, &json!({ "outcome": "captured" })).await;
            visits.push(id);
        }
        stack.gateway.behave(&json!({ "webhooks": { "copies": 3 } })).await;
        stack.gateway.release("reversed").await;
        for id in &visits {
            until_visit(&patient, id, "confirmed").await;
        }
        for event in stack.gateway.events().await {
            assert_eq!(stack.gateway.send_again(event["id"].as_str().unwrap(), "none").await, 200);
        }
        let sql = stack.sql().await;
        let captures = "SELECT count(*) FROM payment_timeline WHERE kind = 'captured'";
        assert_eq!(sql.value::<i64>(captures).await, 3);
        let journals = "SELECT count(*) FROM ledger_journals WHERE kind = 'capture'";
        assert_eq!(sql.value::<i64>(journals).await, 3);
        stack.check_money().await;
    });
}

fn signed(body: &[u8]) -> String {
    let key = PKey::hmac(WEBHOOK_SECRET.as_bytes()).unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
    let mac = signer.sign_oneshot_to_vec(body).unwrap();
    mac.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_is_signed_and_yet_senseless_is_said_to_be_and_quickly() {
    on_stack(Options::named("senseless").paid().alone(), async |stack| {
        let client = stack.anonymous();
        let post = |body: &str| {
            let call = client.call("POST", PATH).header("content-type", "application/json");
            call.header("x-razorpay-signature", signed(body.as_bytes())).body(body.to_owned())
        };
        for body in ["", "{", "[]", "null", r#"{"event":"payment.captured"}"#] {
            post(body).header("x-razorpay-event-id", "evt_senseless").send().await.refused(400, "malformed_body");
        }
        client.call("POST", PATH).body("{}").send().await.refused(401, "invalid_signature");
        let large = format!(r#"{{"event":"{}"}}"#, "x".repeat(70_000));
        post(&large).send().await.refused(413, "payload_too_large");
        client.call("POST", "/v1/webhooks/payments/stripe").body("{}").send().await.refused(404, "not_found");
        client.call("POST", "/v1/webhooks/payments/nobody").body("{}").send().await.refused(404, "not_found");
        // Fewer bytes than announced: the sender is gone, and nothing is believed.
        let host = stack.apis[0].url.trim_start_matches("http://").to_owned();
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nX-Razorpay-Signature: {}\r\n\
             Content-Length: 100\r\nConnection: close\r\n\r\n{{}}",
            signed(b"{}")
        );
        let answer = raw_exchange(&stack.apis[0].url, head.as_bytes()).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");

        // The time it takes, the machine's other work included: the median of many.
        let body = r#"{"entity":"event","event":"invoice.paid","payload":{},"created_at":1700000000}"#;
        let mut times = Vec::new();
        for n in 0..50 {
            let now = jiff::Timestamp::now().as_second();
            let body = body.replace("1700000000", &now.to_string());
            let began = Instant::now();
            post(&body).header("x-razorpay-event-id", format!("evt_quick_{n}")).send().await.expect(200);
            times.push(began.elapsed());
        }
        times.sort();
        println!("webhook: median {:?}, slowest {:?}", times[25], times[49]);
        assert!(times[25].as_millis() < 50, "median {:?}", times[25]);
        // The header that names it is not signed: what is signed tells copies apart from others, so some of these are one.
        let sql = stack.sql().await;
        let kept = sql.value::<i64>("SELECT count(*) FROM webhook_inbox").await;
        assert!((1..=50).contains(&kept), "{kept} on the record");
    });
}
