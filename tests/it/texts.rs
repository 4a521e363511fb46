//! Texts to telephones: once, under their registered ids, whatever happens to who carries them.

use crate::sagas::{paid_visit, until_payment};
use amrutam_tests::support::{Options, Person, SOON, Stack, eventually, on_stack, until};
use serde_json::{Value, json};

/// Of nobody: no such number is ever given out.
const PHONE: &str = "+910000012345";

/// What was noted about somebody's texts of a kind: state, attempts, detail.
async fn noted(stack: &Stack, person: &Person, kind: &str) -> Vec<Vec<String>> {
    let query = format!(
        "SELECT status, attempts::text, coalesce(detail, '') FROM scheduled_messages
         WHERE recipient_id = '{}' AND kind = '{kind}' AND channel = 'sms'",
        person.id
    );
    stack.sql().await.rows(&query).await
}

async fn until_noted(stack: &Stack, person: &Person, kind: &str, status: &str) {
    let what = format!("the text {kind} is {status}");
    until(&what, SOON, async || noted(stack, person, kind).await.first().is_some_and(|row| row[0] == status)).await;
}

fn templates(texts: &[Value]) -> Vec<&str> {
    texts.iter().map(|text| text["template_id"].as_str().unwrap()).collect()
}

#[test]
fn a_visit_is_told_by_text_once_from_its_confirmation_to_its_refund() {
    on_stack(Options::named("texts").paid().texts(), async |stack| {
        let doctor = stack.doctor(2).await;
        let mut slots = doctor.slots().await;
        let (asha, silent) = (stack.patient_at("asha", Some(PHONE)).await, stack.patient("silent").await);
        let visit = paid_visit(stack, &asha, &slots.pop().unwrap()).await;
        let texts = stack.mail.texts_to(PHONE, 1).await;
        let first = &texts[0];
        assert_eq!((&first["template_id"], &first["entity_id"]), (&json!("17070"), &json!("1701")));
        assert_eq!((&first["from"], &first["encoding"]), (&json!("AMRTAM"), &json!("plain")));
        let body = first["body"].as_str().unwrap();
        assert!(body.starts_with("Amrutam: your appointment on ") && body.ends_with(" is confirmed."), "{body}");
        assert!(body.contains("Reg. No. ") && !body.contains("asha"), "{body}");
        stack.mail.mail(&asha.email, "confirmed").await;

        // Its last reminder, as if the time had come.
        let sql = stack.sql().await;
        let due = "UPDATE scheduled_messages SET due_at = now(), next_attempt_at = now() WHERE kind = 'reminder_1h' AND channel = 'sms'";
        assert_eq!(sql.execute(due).await, 1);
        assert_eq!(templates(&stack.mail.texts_to(PHONE, 2).await), ["17070", "17072"]);

        asha.act(&visit, "cancel", &json!({ "reason": "patient_other" })).send().await.expect(200);
        until_payment(&asha, &visit, "refunded").await;
        let texts = stack.mail.texts_to(PHONE, 4).await;
        let mut after = templates(&texts[2..]);
        after.sort_unstable();
        assert_eq!(after, ["17071", "17073"], "cancelled, and refunded");
        let mut names: Vec<_> = texts.iter().map(|text| text["custom_field"].as_str().unwrap()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 4, "each is a message of its own");

        // Whoever has given no number gets mails alone.
        paid_visit(stack, &silent, &slots.pop().unwrap()).await;
        stack.mail.mail(&silent.email, "confirmed").await;
        assert!(noted(stack, &silent, "booking_confirmed").await.is_empty(), "it would go to nobody");
        let hour_before = "UPDATE scheduled_messages SET due_at = now(), next_attempt_at = now() WHERE kind = 'reminder_1h' \
                           AND channel = 'sms' AND status = 'scheduled'";
        assert_eq!(sql.execute(hour_before).await, 1, "a number may be given until then");
        until_noted(stack, &silent, "reminder_1h", "skipped").await;
        assert_eq!(noted(stack, &silent, "reminder_1h").await, [["skipped", "1", "no_phone"]]);
        assert_eq!(stack.mail.text_calls().await, 4, "nothing else was sent");
        stack.check_money().await;
        for log in [stack.worker.log(), stack.apis[0].process.log()] {
            assert!(!log.contains(PHONE.trim_start_matches('+')), "a number is in the log");
        }
        let metrics = stack.worker_metrics().await;
        assert!(metrics.contains(r#"amrutam_messages_settled_total{channel="sms",outcome="sent"} 4"#), "{metrics}");
        assert!(!metrics.contains(PHONE.trim_start_matches('+')));
    });
}

#[test]
fn a_provider_that_fails_gets_the_text_again_and_a_refusal_is_a_dead_letter() {
    on_stack(Options::named("texter").texts(), async |stack| {
        let doctor = stack.doctor(2).await;
        let slots = doctor.slots().await;
        let admin = &stack.admin().await.client;
        let phone = |digit: u8| format!("+91000002000{digit}");
        let confirmed = "booking_confirmed";

        // It is down, and tries are used up; then it is back.
        let patient = stack.patient_at("down", Some(&phone(1))).await;
        stack.mail.texts_behave(&json!({ "down": true })).await;
        patient.booked(&slots[0]).await;
        until("it is tried again", SOON, async || {
            noted(stack, &patient, confirmed).await.first().is_some_and(|row| row[1].parse::<u32>().unwrap() >= 3)
        })
        .await;
        stack.mail.mail(&patient.email, "confirmed").await;
        assert_eq!(stack.mail.texts(&phone(1)).await.len(), 0, "the mail does not wait for the text");
        stack.mail.texts_behave(&json!({})).await;
        stack.mail.texts_to(&phone(1), 1).await;
        until_noted(stack, &patient, confirmed, "sent").await;

        // It asks to be left alone: for longer than the ladder's first step is.
        let patient = stack.patient_at("busy", Some(&phone(2))).await;
        stack.mail.texts_behave(&json!({ "fail_next": 1, "fail_with": 429, "retry_after": "3" })).await;
        let begun = std::time::Instant::now();
        patient.booked(&slots[1]).await;
        stack.mail.texts_to(&phone(2), 1).await;
        assert!(begun.elapsed().as_millis() >= 3_000, "{:?}", begun.elapsed());
        until_noted(stack, &patient, confirmed, "sent").await;
        assert_eq!(noted(stack, &patient, confirmed).await[0][1], "2");

        // It takes the text, and its answer is lost: a second copy at most, which says that it is one.
        let patient = stack.patient_at("lost", Some(&phone(3))).await;
        stack.mail.texts_behave(&json!({ "accept_then_drop": true })).await;
        patient.booked(&slots[2]).await;
        stack.mail.texts_to(&phone(3), 1).await;
        stack.mail.texts_behave(&json!({})).await;
        let copies = stack.mail.texts_to(&phone(3), 2).await;
        until_noted(stack, &patient, confirmed, "sent").await;
        assert_eq!((copies.len(), &copies[0]["custom_field"]), (2, &copies[1]["custom_field"]));

        // It will never take it: a person has to look, and has it sent again.
        let patient = stack.patient_at("never", Some(&phone(4))).await;
        stack.mail.texts_behave(&json!({ "fail_next": 1, "fail_with": 400 })).await;
        patient.booked(&slots[3]).await;
        let letter = eventually("it is a dead letter", SOON, async || {
            let page = admin.get("/v1/admin/dead-letters?consumer=sms").send().await.expect(200);
            page["items"].as_array().unwrap().iter().find(|letter| letter["state"] == "dead").cloned()
        })
        .await;
        assert_eq!((&letter["source"], &letter["kind"]), (&json!("message"), &json!(confirmed)));
        assert_eq!((&letter["error"], &letter["attempts"]), (&json!("http_400"), &json!(1)), "its words are not kept");
        assert_eq!(noted(stack, &patient, confirmed).await[0][..2], ["gave_up", "1"]);
        let path = format!("/v1/admin/dead-letters/{}", letter["id"].as_str().unwrap());
        let read = admin.get(&path).send().await.expect(200);
        assert_eq!(read["payload"]["recipient_id"], patient.id);
        admin.call("POST", &format!("{path}/requeue")).send().await.expect(200);
        stack.mail.texts_to(&phone(4), 1).await;
        until("the letter is settled", SOON, async || admin.get(&path).send().await.expect(200)["state"] == "settled")
            .await;
        assert!(!stack.worker.log().contains("91000002000"), "a number is in the log");
    });
}
