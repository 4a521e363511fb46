//! What no try helped: from the sixth failure to its end.

use crate::sagas::until_visit;
use amrutam_kernel::{AggregateRef, CorrelationId, EventEnvelope, EventId};
use amrutam_tests::support::{Options, Person, SOON, Sql, Stack, eventually, on_stack, subject, unique, until};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

/// The bounds of the ladder, in milliseconds.
const LADDER: [i64; 5] = [500, 1_000, 2_000, 4_000, 8_000];

/// An event from which one mail follows.
fn password_changed(person: &Person) -> EventEnvelope {
    let account: Uuid = person.id.parse().unwrap();
    EventEnvelope {
        id: EventId::from_uuid(Uuid::now_v7()),
        event_type: "account.password_changed.v1".to_owned(),
        aggregate: AggregateRef { kind: "account".to_owned(), id: account, version: 0 },
        occurred_at: Timestamp::now(),
        actor: "system:test".to_owned(),
        correlation_id: unique("poison").parse::<CorrelationId>().unwrap(),
        trace_parent: None,
        payload: json!({ "account_id": account }),
    }
}

/// From now on nobody can note that this event was handled.
async fn poison(sql: &Sql, event: EventId) {
    sql.execute(&format!(
        "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS \
           $$ BEGIN IF NEW.event_id = '{event}' THEN RAISE EXCEPTION 'poisoned by the test'; END IF; RETURN NEW; END $$"
    ))
    .await;
    sql.execute("CREATE TRIGGER poison BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION poison()").await;
}

async fn letter(stack: &Stack, event: EventId) -> Option<Value> {
    let admin = &stack.admin().await.client;
    let all = admin.get("/v1/admin/dead-letters?limit=100").send().await.expect(200);
    all["items"].as_array().unwrap().iter().find(|letter| letter["subject_id"] == event.to_string()).cloned()
}

async fn letter_in(stack: &Stack, event: EventId, state: &str, deaths: u64) -> Value {
    let what = format!("{event} is {state} after {deaths} deaths");
    eventually(&what, SOON, async || {
        let letter = letter(stack, event).await?;
        (letter["state"] == state && letter["deaths"] == deaths).then_some(letter)
    })
    .await
}

/// The worker's lines about that flow: the message of each, with its time.
fn told(stack: &Stack, event: &EventEnvelope) -> Vec<(Timestamp, Value)> {
    let log = stack.worker.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = lines.filter(|line| line["correlation_id"] == event.correlation_id.as_str());
    ours.map(|line| (line["timestamp"].as_str().unwrap().parse().unwrap(), line)).collect()
}

#[test]
fn the_sixth_failure_is_dead_and_neither_the_fifth_nor_the_seventh() {
    // Alone: the times of the ladder are looked at.
    on_stack(Options::named("poison").alone(), async |stack| {
        let sql = stack.sql().await;
        let (patient, neighbour) = (stack.patient("asha").await, stack.patient("neighbour").await);
        let (event, healthy) = (password_changed(&patient), password_changed(&neighbour));
        poison(&sql, event.id).await;
        let broker = stack.broker().await;
        broker.publish(&event).await;
        broker.publish(&healthy).await;

        // The neighbour does not wait for it.
        stack.mail.mail(&neighbour.email, "password").await;
        assert!(letter(stack, event.id).await.is_none(), "dead before its tries were used up");
        let dead = letter_in(stack, event.id, "dead", 1).await;
        assert_eq!(broker.dead_letters().await, 0, "it left the broker");
        assert_eq!((&dead["source"], &dead["consumer"]), (&json!("event"), &json!("notifications")));
        assert_eq!((&dead["attempts"], &dead["requeues"]), (&json!(6), &json!(0)));
        assert!(dead["error"].as_str().unwrap().contains("poisoned by the test"), "{dead}");
        assert_eq!(dead["correlation_id"], event.correlation_id.as_str());
        assert!(dead.get("payload").is_none(), "a list shows no payload");

        // What was observed: five retries, each after a delay drawn below its step's bound.
        let told = told(stack, &event);
        let failures: Vec<_> = told
            .iter()
            .filter(|(_, line)| {
                let message = line["message"].as_str().unwrap_or_default();
                message == "message to be tried again" || message == "message to the dead letters"
            })
            .collect();
        assert_eq!(failures.len(), 6, "{told:?}");
        let mut drawn = Vec::new();
        for (index, pair) in failures.windows(2).enumerate() {
            let ((failed, line), (again, _)) = (pair[0], pair[1]);
            assert_eq!(line["retry"], json!(index + 1));
            let delay: i64 = line["delay_ms"].to_string().trim_matches('"').parse().unwrap();
            assert!((0..=LADDER[index]).contains(&delay), "retry {}: {delay} ms", index + 1);
            let waited = again.duration_since(*failed);
            // The clock of the broker ticks in milliseconds, and a machine may be busy.
            let least = SignedDuration::from_millis(delay - 5);
            let most = SignedDuration::from_millis(LADDER[index] + 2_000);
            assert!(waited >= least && waited <= most, "retry {}: {waited:?}, drawn {delay} ms", index + 1);
            drawn.push(delay);
        }
        assert!(drawn.iter().zip(LADDER).any(|(delay, bound)| *delay != bound), "no jitter: {drawn:?}");
        let (_, buried) = failures[5];
        assert_eq!((&buried["message"], &buried["attempts"]), (&json!("message to the dead letters"), &json!(6)));

        // One alone, with what it says.
        let admin = &stack.admin().await.client;
        let path = format!("/v1/admin/dead-letters/{}", dead["id"].as_str().unwrap());
        let read = admin.get(&path).send().await;
        assert_eq!(read.header("etag"), "\"1\"");
        let read = read.expect(200);
        assert_eq!(read["payload"]["payload"]["account_id"], patient.id);
        assert_eq!(read["headers"]["x-original-routing-key"], event.event_type);
        let opened: Timestamp = read["opened_at"].as_str().unwrap().parse().unwrap();
        assert!(read["first_failed_at"].as_str().unwrap().parse::<Timestamp>().unwrap() < opened);

        // Requeued while it is poisoned still: all its tries again, and the same letter.
        let key = unique("key");
        let requeued = admin.call("POST", &format!("{path}/requeue")).key(&key).send().await;
        let first = requeued.json();
        requeued.expect(200);
        assert_eq!((&first["state"], &first["requeues"]), (&json!("requeued"), &json!(1)));
        admin
            .post(&format!("{path}/discard"), &json!({ "reason": "obsolete" }))
            .send()
            .await
            .refused(409, "invalid_transition");
        let again = admin.call("POST", &format!("{path}/requeue")).key(&key).send().await;
        assert_eq!((again.header("idempotency-replayed"), again.json()), ("true", first));
        let dead = letter_in(stack, event.id, "dead", 2).await;
        assert_eq!((&dead["attempts"], &dead["requeues"]), (&json!(6), &json!(1)));

        // Mended, and requeued twice: it is applied once.
        sql.execute("DROP TRIGGER poison ON inbox").await;
        let mut copies = 0;
        for _ in 0..2 {
            let reply = admin.call("POST", &format!("{path}/requeue")).send().await;
            // The first may have been handled already.
            assert!(reply.status == 200 || reply.code() == "invalid_transition", "{}", reply.text());
            copies += usize::from(reply.status == 200);
        }
        letter_in(stack, event.id, "settled", 2).await;
        let marks = format!("SELECT count(*) FROM inbox WHERE event_id = '{}'", event.id);
        assert_eq!(sql.value::<i64>(&marks).await, 1);
        stack.mail.mail(&patient.email, "password").await;
        until("all copies are handled", SOON, async || {
            let lines = self::told(stack, &event);
            lines.iter().filter(|(_, line)| line["message"] == "event handled").count() == copies
        })
        .await;
        let mails = stack.mail.mails(&patient.email).await;
        let about = mails.iter().filter(|mail| mail.subject.contains("password")).count();
        assert_eq!(about, 1, "{mails:?}");
        admin.call("POST", &format!("{path}/requeue")).send().await.refused(409, "invalid_transition");

        let deeds = format!(
            "SELECT action || ' ' || count(*) FROM audit_entries WHERE resource_id = '{}' AND outcome = 'allowed' AND action <> 'dead_letter.list' GROUP BY action ORDER BY 1",
            dead["id"].as_str().unwrap()
        );
        let deeds = sql.column(&deeds).await;
        assert_eq!(deeds[0], "dead_letter.read 1");
        assert!(deeds[1].starts_with("dead_letter.requeue "), "{deeds:?}");
        broker.close().await;
    });
}

/// At a gateway that asks to wait: what fails otherwise for so long is the gateway, and is waited for.
#[test]
fn the_sixth_refusal_of_a_gateway_is_dead_and_neither_the_fifth_nor_the_seventh() {
    // Alone: the times of the ladder are looked at.
    on_stack(Options::named("limited").paid().alone(), async |stack| {
        let slot = stack.doctor(1).await.slots().await.remove(0);
        let patient = stack.patient("asha").await;
        stack.gateway.behave(&json!({ "fail_next": 1_000, "fail_on": "create_order", "fail_how": "limited" })).await;
        let visit = patient.booked(&slot).await;
        let admin = &stack.admin().await.client;
        let dead = eventually("it is dead", SOON, async || {
            let page = admin.get("/v1/admin/dead-letters?source=gateway_task&state=dead").send().await.expect(200);
            page["items"].as_array().unwrap().first().cloned()
        })
        .await;
        assert_eq!((&dead["kind"], &dead["attempts"]), (&json!("open_order"), &json!(6)));
        until_visit(&patient, &visit, "cancelled").await;
        assert_eq!(stack.gateway.stats().await["calls"]["create_order"], 6, "on the wire");

        let log = stack.worker.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let failures: Vec<_> = lines
            .filter(|line| line["payment_id"] == visit.as_str())
            .filter(|line| line["message"] == "not done, to be tried again" || line["message"] == "given up")
            .collect();
        assert_eq!(failures.len(), 6, "{failures:?}");
        assert_eq!(failures[5]["message"], "given up");
        let time = |line: &Value, field: &str| line[field].as_str().unwrap().parse::<Timestamp>().unwrap();
        for (index, pair) in failures.windows(2).enumerate() {
            let (failed, again) = (time(&pair[0], "timestamp"), time(&pair[1], "timestamp"));
            let drawn = time(&pair[0], "retry_at").duration_since(failed);
            assert!(drawn <= SignedDuration::from_millis(LADDER[index]), "retry {}: {drawn:?}", index + 1);
            let waited = again.duration_since(failed);
            let most = SignedDuration::from_millis(LADDER[index] + 2_000);
            assert!(waited >= drawn && waited <= most, "retry {}: {waited:?}, drawn {drawn:?}", index + 1);
        }
    });
}

#[test]
fn what_no_consumer_can_read_is_kept_sealed_until_somebody_discards_it() {
    on_stack(Options::named("unreadable"), async |stack| {
        let broker = stack.broker().await;
        let body = b"{\"name\": \"Asha Nair\"";
        broker.publish_raw("account.password_changed.v1", body).await;
        let admin = &stack.admin().await.client;
        let listed = eventually("it is kept", SOON, async || {
            let page = admin.get("/v1/admin/dead-letters?state=dead&consumer=notifications").send().await.expect(200);
            page["items"].as_array().unwrap().first().cloned()
        })
        .await;
        assert_eq!((&listed["kind"], &listed["attempts"]), (&json!("unreadable"), &json!(1)));
        let id = listed["id"].as_str().unwrap();
        let path = format!("/v1/admin/dead-letters/{id}");
        let read = admin.get(&path).send().await.expect(200);
        assert!(read.get("payload").is_none(), "{read}");
        let sql = stack.sql().await;
        let everything = format!("SELECT dead_letters::text FROM dead_letters WHERE id = '{id}'");
        assert!(!sql.value::<String>(&everything).await.contains("Asha"), "it is in the clear");
        admin.call("POST", &format!("{path}/requeue")).send().await.refused(409, "not_requeueable");

        // The operator can find out where it came from.
        let shown = stack.operator(&["dead-letters", "show", id, "--body", "--operator", "asha"], "").await;
        assert_eq!(shown.as_bytes(), body);
        let listed = stack.operator(&["dead-letters", "list", "--consumer", "notifications"], "").await;
        assert_eq!(serde_json::from_str::<Value>(listed.trim()).unwrap()["id"], id);
        let discarded =
            stack.operator(&["dead-letters", "discard", id, "--reason", "unreadable", "--operator", "asha"], "").await;
        assert_eq!(serde_json::from_str::<Value>(discarded.trim()).unwrap()["state"], "discarded");
        admin.call("POST", &format!("{path}/requeue")).send().await.refused(409, "not_requeueable");
        let deeds = format!(
            "SELECT DISTINCT actor || ' ' || action FROM audit_entries WHERE resource_id = '{id}' AND actor LIKE 'system%' ORDER BY 1"
        );
        assert_eq!(
            sql.column(&deeds).await,
            [
                "system:amrutamctl dead_letter.list",
                "system:amrutamctl/asha dead_letter.discard",
                "system:amrutamctl/asha dead_letter.open_payload"
            ]
        );
        broker.close().await;
    });
}

#[test]
fn a_mail_that_is_given_up_is_a_dead_letter_and_goes_out_when_requeued() {
    on_stack(Options::named("dead-mail"), async |stack| {
        let patient = stack.patient("asha").await;
        let broker = stack.broker().await;
        // Her first mail is out of the way: the refusal is for the next one.
        stack.mail.mail(&patient.email, subject::VERIFY).await;
        stack.mail.behave(&json!({ "fail_next": 1, "fail_with": 550, "fail_stage": "rcpt" })).await;
        broker.publish(&password_changed(&patient)).await;
        let admin = &stack.admin().await.client;
        let dead = async |state: &str| {
            eventually(&format!("the mail's letter is {state}"), SOON, async || {
                let page = admin.get("/v1/admin/dead-letters?source=message").send().await.expect(200);
                page["items"].as_array().unwrap().iter().find(|letter| letter["state"] == state).cloned()
            })
            .await
        };
        let letter = dead("dead").await;
        assert_eq!((&letter["consumer"], &letter["kind"]), (&json!("mail"), &json!("password_changed")));
        assert!(letter["error"].as_str().unwrap().contains("550"), "{letter}");
        let path = format!("/v1/admin/dead-letters/{}", letter["id"].as_str().unwrap());
        let read = admin.get(&path).send().await.expect(200);
        assert_eq!(read["payload"]["recipient_id"], patient.id);

        stack.mail.behave_well().await;
        admin.call("POST", &format!("{path}/requeue")).send().await.expect(200);
        stack.mail.mail(&patient.email, "password").await;
        dead("settled").await;
        broker.close().await;
    });
}

#[test]
fn what_waits_for_people_is_measured() {
    on_stack(Options::named("waiting"), async |stack| {
        let figure = async |name: &str| {
            let text = stack.worker_metrics().await;
            let line = text.lines().find(|line| line.starts_with(name))?;
            line.rsplit(' ').next().unwrap().parse::<f64>().ok()
        };
        let letter = crate::routes::dead_message(stack).await;
        crate::routes::open_case(stack).await;
        let (letters, cases) =
            ("amrutam_dead_letters_open{consumer=\"mail\"}", "amrutam_reviews_open{kind=\"payment\"}");
        for name in [letters, cases] {
            until(name, SOON, async || figure(name).await == Some(1.0)).await;
        }
        assert!(figure("amrutam_dead_letters_oldest_seconds{consumer=\"mail\"}").await.unwrap() > 0.0);
        let path = format!("/v1/admin/dead-letters/{letter}/discard");
        stack.admin().await.client.post(&path, &json!({ "reason": "obsolete" })).send().await.expect(200);
        until("none is left", SOON, async || figure(letters).await == Some(0.0)).await;
    });
}
