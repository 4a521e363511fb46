//! What a gateway tells is believed when it is signed, once, and answered without asking the gateway.

use crate::sagas::{order_of, until_visit};
use amrutam_tests::support::{Options, SOON, Stack, WEBHOOK_SECRET, on_stack, raw_connection, until};
use openssl::{hash::MessageDigest, pkey::PKey, sign::Signer};
use serde_json::json;
use std::time::{Duration, Instant};

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

/// Bytes as they are, and what is answered to them, with how long that took. The sender says no more after them.
async fn raw(stack: &Stack, headers: &[(&str, &str)], announced: usize, body: &[u8]) -> (String, Duration) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut request = format!("POST {PATH} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {announced}\r\n\r\n"));
    let mut stream = raw_connection(&stack.apis[0].url).await;
    let began = Instant::now();
    stream.write_all(&[request.as_bytes(), body].concat()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // Whoever is left alone with half a body must not wait for ever.
    tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.expect("the connection ends").ok();
    (String::from_utf8_lossy(&answer).into_owned(), began.elapsed())
}

/// What the gateway would tell of a payment that was captured; rightly signed.
fn captured(payment: &str, order: &str) -> (String, String) {
    let now = jiff::Timestamp::now().as_second();
    let entity = json!({
        "id": payment, "entity": "payment", "amount": 49_900, "currency": "INR", "status": "captured", "order_id": order,
        "amount_refunded": 0, "captured": true, "notes": [], "created_at": now,
    });
    let body = json!({
        "entity": "event", "event": "payment.captured", "created_at": now, "payload": { "payment": { "entity": entity } },
    });
    let body = body.to_string();
    let signature = signed(body.as_bytes());
    (body, signature)
}

#[test]
fn a_content_length_that_lies_is_no_notification() {
    on_stack(Options::named("lies").paid().with("PAYMENTS__FIRST_POLL_MS", "600000"), async |stack| {
        let doctor = stack.doctor(1).await;
        let patient = stack.patient("asha").await;
        let id = patient.booked(&doctor.slots().await[0]).await;
        let order = order_of(&patient, &id).await;
        let (before, calls) = (noted(stack).await, stack.gateway.calls().await);
        // From here on the gateway answers nobody: whatever is answered, is answered without it.
        stack.gateway.behave(&json!({ "down": true })).await;
        let (body, signature) = captured("pay_Lies0000000001", &order);
        let (whole, length) = (body.as_bytes(), body.len());
        let headers = [("x-razorpay-signature", &*signature), ("x-razorpay-event-id", "evt_lies")];
        // More is announced than comes: the sender is gone in the middle.
        for announced in [length + 1, length + 1_000] {
            let (answer, took) = raw(stack, &headers, announced, whole).await;
            assert!(!answer.starts_with("HTTP/1.1 2"), "{announced}: {answer}");
            assert!(took < SOON, "{took:?}");
        }
        // Less is announced than comes: what was announced is not what was signed, and what follows is no request.
        for announced in [length - 1, length / 2, 0] {
            let (answer, _) = raw(stack, &headers, announced, whole).await;
            assert!(answer.starts_with("HTTP/1.1 401 "), "{announced}: {answer}");
            assert!(!answer.contains("HTTP/1.1 2"), "{announced}: {answer}");
        }
        // What was announced is signed, too, and is no JSON.
        let half = signed(&whole[..length / 2]);
        let (answer, _) = raw(stack, &[("x-razorpay-signature", &half)], length / 2, whole).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        // Two lengths, a length and pieces, two signatures: two readers could see two requests.
        let announced = length.to_string();
        let twice = [headers[0], ("content-length", &*announced)];
        let (answer, _) = raw(stack, &twice, length - 1, whole).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        let (answer, _) = raw(stack, &[headers[0], ("transfer-encoding", "chunked")], length, whole).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        let (answer, _) = raw(stack, &[headers[0], headers[0]], length, whole).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        // Each other kind, once more: with nobody there to be asked.
        let altered = body.replace("49900", "49901");
        for (what, signature, body, status) in [
            ("forged", signed(b"something else"), body.as_str(), 401),
            ("one byte", signature.clone(), altered.as_str(), 401),
            ("no signature", String::new(), body.as_str(), 401),
            ("not hexadecimal", "zz".repeat(32), body.as_str(), 401),
            ("unknown type", signed(br#"{"entity":"event"}"#), r#"{"entity":"event"}"#, 400),
            ("nothing", signed(b""), "", 400),
        ] {
            let (answer, _) = raw(stack, &[("x-razorpay-signature", &*signature)], body.len(), body.as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
        }
        assert_eq!(noted(stack).await, before, "nothing of it is on the record");
        // The whole is believed, without a word with the gateway.
        let (answer, _) = raw(stack, &headers, length, whole).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        until_visit(&patient, &id, "confirmed").await;
        assert_eq!(stack.gateway.calls().await, calls, "nobody asked the gateway");
    });
}
