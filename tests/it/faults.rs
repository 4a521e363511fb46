//! Processes and servers that die, and come back.

use amrutam_tests::support::{
    Options, Person, Reply, SOON, Slot, Stack, booking, eventually, on_stack, raw_connection, raw_request, unique,
    until,
};
use futures::future::join_all;
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A booking whose answer may not have come.
struct Attempt<'a> {
    patient: &'a Person,
    slot: &'a Slot,
    key: String,
    answer: Option<Reply>,
}

/// Books slot after slot until told to stop, several at once; what is not answered is not asked again.
async fn book_on<'a>(
    patients: &'a [Person],
    slots: &'a [Slot],
    stop: &AtomicBool,
    answered: &AtomicUsize,
) -> Vec<Attempt<'a>> {
    let next = AtomicUsize::new(0);
    let client = async || {
        let mut attempts = Vec::new();
        while !stop.load(Ordering::SeqCst) {
            let at = next.fetch_add(1, Ordering::SeqCst);
            if at >= slots.len() {
                break;
            }
            let (patient, slot, key) = (&patients[at % patients.len()], &slots[at], unique("key"));
            let sent = patient.client.post("/v1/consultations", &booking(slot)).key(&key).try_send().await;
            if sent.is_ok() {
                answered.fetch_add(1, Ordering::SeqCst);
            } else {
                // A process that is away refuses at once: a client does not hammer it.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            attempts.push(Attempt { patient, slot, key, answer: sent.ok() });
        }
        attempts
    };
    join_all((0..4).map(|_| client())).await.into_iter().flatten().collect()
}

/// The same key, sent again until it is answered for good.
async fn again(attempt: &Attempt<'_>) -> Reply {
    eventually("the key tells", SOON, async || {
        let sent =
            attempt.patient.client.post("/v1/consultations", &booking(attempt.slot)).key(&attempt.key).try_send().await;
        sent.ok().filter(|reply| reply.status != 503 && reply.code() != "idempotency_in_progress")
    })
    .await
}

/// Every acknowledged booking is there as acknowledged, and every other key tells of a booking of its own.
async fn assert_kept(stack: &Stack, attempts: &[Attempt<'_>]) {
    for attempt in attempts {
        let now = again(attempt).await;
        if let Some(then) = attempt.answer.as_ref().filter(|answer| answer.status == 201) {
            assert_eq!((now.status, &now.body), (201, &then.body), "an acknowledged booking");
        }
        assert_eq!(now.clone().expect(201)["slot"]["id"], attempt.slot.id);
    }
    let sql = stack.sql().await;
    let per_slot: BTreeMap<_, _> = sql
        .rows("SELECT slot_id::text, count(*)::text FROM consultations GROUP BY 1")
        .await
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    assert_eq!(per_slot.len(), attempts.len());
    assert!(per_slot.values().all(|count| count == "1"), "{per_slot:?}");
}

#[test]
fn an_api_killed_in_mid_traffic_keeps_what_it_acknowledged() {
    on_stack(Options::named("killed-api"), async |stack| {
        let doctor = stack.doctor(8).await;
        let slots = doctor.slots().await;
        let patients = stack.patients(12).await;
        let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let kills = async {
            for round in 1..=4 {
                until("there is traffic", SOON, async || answered.load(Ordering::SeqCst) >= round * 12).await;
                tokio::time::sleep(Duration::from_micros(rand::random_range(0..30_000))).await;
                stack.apis[0].process.kill();
                stack.apis[0].process.start();
                stack.apis[0].ready().await;
            }
            stop.store(true, Ordering::SeqCst);
        };
        let (attempts, ()) = futures::join!(book_on(&patients, &slots, &stop, &answered), kills);
        let lost = attempts.iter().filter(|attempt| attempt.answer.is_none()).count();
        println!("{} bookings, {lost} without an answer", attempts.len());
        assert!(lost > 0, "too little happened");
        assert_kept(stack, &attempts).await;
    });
}

#[test]
fn an_api_told_to_end_finishes_what_runs() {
    on_stack(Options::named("shutdown").apis(2), async |stack| {
        let doctor = stack.doctor(8).await;
        let slots = doctor.slots().await;
        let patients = stack.patients(8).await;
        let api = &stack.apis[0];

        // A request that has begun before, and whose end comes after.
        let token = format!("Bearer {}", patients[0].client.token().unwrap());
        let (key, last) = (unique("key"), slots.last().unwrap());
        let headers = [("authorization", token.as_str()), ("idempotency-key", key.as_str())];
        let request = raw_request("POST", "/v1/consultations", &headers, &booking(last).to_string());
        let (begin, end) = request.split_at(request.len() - 10);
        let mut slow = raw_connection(&api.url).await;
        slow.write_all(begin).await.unwrap();

        let kept_alive = stack.anonymous();
        kept_alive.get("/healthz").send().await.expect(200);
        let (answered, told) = (AtomicUsize::new(0), AtomicBool::new(false));
        // As a balancer would: until it is told that this instance is not ready. What runs by then must be answered.
        let client = async |index: usize| {
            let (patient, mut wrong) = (&patients[index % patients.len()], Vec::new());
            for slot in slots.iter().skip(index).step_by(8) {
                if told.load(Ordering::SeqCst) {
                    break;
                }
                match patient.client.post("/v1/consultations", &booking(slot)).key(&unique("key")).try_send().await {
                    Ok(reply) if reply.status == 201 => drop(answered.fetch_add(1, Ordering::SeqCst)),
                    Ok(reply) => wrong.push(format!("{} {}", reply.status, reply.text())),
                    Err(error) => wrong.push(format!("{error:?}")),
                }
            }
            wrong
        };
        let terminate = async {
            until("there is traffic", SOON, async || answered.load(Ordering::SeqCst) >= 20).await;
            api.process.signal("TERM");
            let began = Instant::now();
            // Readiness goes first, while requests are still taken.
            until("it says that it is not ready", Duration::from_secs(5), async || {
                let ready = stack.anonymous().get("/readyz").try_send().await;
                ready.is_ok_and(|reply| reply.status == 503 && reply.json()["draining"] == true)
            })
            .await;
            told.store(true, Ordering::SeqCst);
            let last_word = kept_alive.get("/healthz").send().await;
            assert_eq!((last_word.status, last_word.header("connection")), (200, "close"));
            slow.write_all(end).await.unwrap();
            let mut answer = Vec::new();
            slow.read_to_end(&mut answer).await.unwrap();
            let status = api.process.ended(Duration::from_secs(25)).await;
            println!("it ended after {:?}", began.elapsed());
            (status, String::from_utf8_lossy(&answer).into_owned())
        };
        let (wrong, (status, slow)) = futures::join!(join_all((0..8).map(client)), terminate);
        assert_eq!(wrong.concat(), Vec::<String>::new());
        assert!(status.success(), "{status}");
        assert!(slow.starts_with("HTTP/1.1 201"), "{slow}");
        // The other instance goes on, with the same answers.
        let other = patients[0].client.at(&stack.apis[1].url);
        let again = other.post("/v1/consultations", &booking(last)).key(&key).send().await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
    });
}

#[test]
fn a_worker_told_to_end_finishes_what_runs() {
    on_stack(Options::named("worker-shutdown"), async |stack| {
        let doctor = stack.doctor(2).await;
        let slots = doctor.slots().await;
        let patients = stack.patients(8).await;
        stack.mail.behave(&json!({ "delay_ms": 500 })).await;
        for (patient, slot) in patients.iter().zip(&slots) {
            patient.booked(slot).await;
        }
        until("mails are under way", SOON, async || !stack.mail.about("appointment").await.is_empty()).await;
        stack.worker.signal("TERM");
        let status = stack.worker.ended(Duration::from_secs(25)).await;
        assert!(status.success(), "{status}");
        // What was under way is noted: only what was not begun is left for the next.
        let sql = stack.sql().await;
        let taken = "SELECT count(*) FROM scheduled_messages WHERE status = 'scheduled' AND attempts > 0";
        assert_eq!(sql.value::<i64>(taken).await, 0);
        stack.mail.behave_well().await;
        stack.worker.start();
        stack.worker_ready().await;
        for patient in &patients {
            stack.mail.mail(&patient.email, "confirmed").await;
        }
        assert_eq!(stack.mail.about("appointment").await.len(), patients.len(), "each once");
    });
}

#[test]
fn bookings_go_on_without_the_broker_and_mails_come_after() {
    on_stack(Options::named("broker").own(&["rabbitmq"]), async |stack| {
        let doctor = stack.doctor(2).await;
        let slots = doctor.slots().await;
        let patients = stack.patients(8).await;
        patients[0].booked(&slots[0]).await;
        stack.mail.mail(&patients[0].email, "confirmed").await;
        stack.servers().queues_on_disk().await;

        stack.servers().signal("rabbitmq", "KILL").await;
        for (patient, slot) in patients.iter().zip(&slots).skip(1) {
            let began = Instant::now();
            patient.booked(slot).await;
            assert!(began.elapsed() < Duration::from_secs(2));
        }
        until("the worker says that it is degraded", SOON, async || stack.worker_state().await == "degraded").await;
        let sql = stack.sql().await;
        assert!(sql.value::<i64>("SELECT count(*) FROM outbox").await > 0);
        let ready = stack.anonymous().get("/readyz").send().await.expect(200);
        assert_eq!(ready["status"], "ready", "the API does not need the broker");

        stack.servers().start_one("rabbitmq").await;
        until("the outbox drains", Duration::from_secs(30), async || {
            sql.value::<i64>("SELECT count(*) FROM outbox").await == 0
        })
        .await;
        for patient in &patients {
            stack.mail.mail(&patient.email, "confirmed").await;
        }
        stack.worker_ready().await;
        assert_eq!(stack.mail.about("appointment").await.len(), patients.len(), "each once");
    });
}

#[test]
fn without_the_database_the_answer_is_quick_and_it_recovers_by_itself() {
    on_stack(Options::named("database").own(&["postgres"]), async |stack| {
        let doctor = stack.doctor(2).await;
        let slots = doctor.slots().await;
        let patients = stack.patients(6).await;
        let acknowledged = patients[0].booked(&slots[0]).await;
        stack.mail.mail(&patients[0].email, "confirmed").await;

        stack.servers().signal("postgres", "KILL").await;
        // Its backends notice one after the other that they are orphans; until then one may still serve.
        let report = eventually("it says that it is not ready", SOON, async || {
            let reply = stack.anonymous().get("/readyz").send().await;
            (reply.status == 503).then(|| reply.json())
        })
        .await;
        let began = Instant::now();
        let mut keys = Vec::new();
        for (patient, slot) in patients.iter().zip(&slots).skip(1) {
            let key = unique("key");
            let asked = Instant::now();
            let answer = patient.client.post("/v1/consultations", &booking(slot)).key(&key).send().await;
            answer.refused(503, "dependency_unavailable");
            assert!(asked.elapsed() < Duration::from_secs(4), "the answer took {:?}", asked.elapsed());
            keys.push((patient, slot, key));
        }
        println!("{} refusals in {:?}", keys.len(), began.elapsed());
        assert_eq!(report["status"], "unavailable", "{report}");
        assert_eq!(report["dependencies"][0], json!({ "name": "database", "state": "down", "required": true }));
        assert_eq!(stack.worker_state().await, "unavailable");
        stack.anonymous().get("/healthz").send().await.expect(200);

        stack.servers().start_one("postgres").await;
        stack.apis[0].ready().await;
        for (patient, slot, key) in keys {
            let answer = eventually("it books again", Duration::from_secs(10), async || {
                let answer = patient.client.post("/v1/consultations", &booking(slot)).key(&key).send().await;
                (answer.status != 503).then_some(answer)
            })
            .await;
            answer.expect(201);
        }
        assert_eq!(patients[0].consultation(&acknowledged).await["status"], "confirmed");
        stack.worker_ready().await;
        for patient in &patients {
            stack.mail.mail(&patient.email, "confirmed").await;
        }
    });
}
