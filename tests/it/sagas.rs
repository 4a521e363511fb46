//! Whatever goes wrong on the way: money and visits end together.

use amrutam_tests::support::{Options, Person, Process, Reply, Slot, Stack, eventually, on_stack, until};
use futures::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Longer than a lease, a hold's sweep and a machine that is building.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// What is there now; nothing while nobody answers.
async fn peek(patient: &Person, path: &str) -> Option<Value> {
    let answer = patient.client.get(path).try_send().await.ok()?;
    (answer.status == 200).then(|| answer.json())
}

pub(crate) async fn payment_of(patient: &Person, visit: &str) -> Value {
    patient.client.get(&format!("/v1/consultations/{visit}/payment")).patiently().await.expect(200)
}

/// The order's name at the gateway, once it is open.
pub(crate) async fn order_of(patient: &Person, visit: &str) -> String {
    eventually("the order is open", LONG, async || {
        let payment = peek(patient, &format!("/v1/consultations/{visit}/payment")).await?;
        payment["checkout"]["order_id"].as_str().map(str::to_owned)
    })
    .await
}

pub(crate) async fn until_visit(patient: &Person, visit: &str, status: &str) {
    let (what, path) = (format!("the visit is {status}"), format!("/v1/consultations/{visit}"));
    until(&what, LONG, async || peek(patient, &path).await.is_some_and(|found| found["status"] == json!(status))).await;
}

pub(crate) async fn until_payment(patient: &Person, visit: &str, status: &str) {
    let (what, path) = (format!("the payment is {status}"), format!("/v1/consultations/{visit}/payment"));
    until(&what, LONG, async || peek(patient, &path).await.is_some_and(|found| found["status"] == json!(status))).await;
}

/// Booked, paid, confirmed.
pub(crate) async fn paid_visit(stack: &Stack, patient: &Person, slot: &Slot) -> String {
    let id = patient.booked(slot).await;
    let order = order_of(patient, &id).await;
    stack.gateway.pay(&order, &json!({ "outcome": "captured" })).await;
    until_visit(patient, &id, "confirmed").await;
    id
}

/// As if the time of a hold had come.
pub(crate) async fn run_out(stack: &Stack, visit: &str) {
    stack.hold_ends(visit).await;
}

/// Whether the payment has its one outcome, or none is needed.
pub(crate) async fn ended(stack: &Stack, visit: &str) {
    let sql = stack.sql().await;
    let open = format!(
        "SELECT count(*) FROM payments WHERE id = '{visit}' AND state IN ('created', 'pending', 'captured', 'refunding')"
    );
    until("the payment has ended", LONG, async || sql.value::<i64>(&open).await == 0).await;
}

/// How long the gateway is away at least. Nothing differs after ten minutes but what is waited for: `AMRUTAM_TEST_OUTAGE_SECS=600` shows it.
fn outage() -> Duration {
    let said = std::env::var("AMRUTAM_TEST_OUTAGE_SECS").ok();
    Duration::from_secs(said.map_or(0, |seconds| seconds.parse().expect("seconds")))
}

#[test]
fn while_the_gateway_is_away_everything_waits_and_then_ends_rightly() {
    on_stack(Options::named("away").paid(), async |stack| {
        let doctor = stack.doctor(2).await;
        let slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        let other = stack.patient("ravi").await;
        // Paid before, called off while it is away; held before, paid late; booked while it is away.
        let paid = paid_visit(stack, &patient, slots.last().unwrap()).await;
        let pending = patient.booked(&slots[0]).await;
        let of_pending = order_of(&patient, &pending).await;
        stack.gateway.behave(&json!({ "down": true })).await;
        let gone = Instant::now();
        patient.act(&paid, "cancel", &json!({ "reason": "patient_other" })).send().await.expect(200);
        let fresh = other.booked(&slots[1]).await;
        let sql = stack.sql().await;
        // The circuit opens, and tasks go to the slow lane. Were a try used up by each wait, seven would be the end.
        let waiting = "SELECT count(*) FROM gateway_tasks WHERE status = 'live' AND claims >= 8 AND tries <= 1";
        until("both have waited again and again", LONG, async || sql.value::<i64>(waiting).await >= 2).await;
        tokio::time::sleep(outage().saturating_sub(gone.elapsed())).await;
        assert_eq!(sql.value::<i64>("SELECT count(*) FROM gateway_tasks WHERE status = 'dead'").await, 0);
        assert_eq!(payment_of(&patient, &paid).await["status"], "refunding");
        assert_eq!(payment_of(&other, &fresh).await["status"], "created");

        stack.gateway.behave(&json!({})).await;
        until_payment(&patient, &paid, "refunded").await;
        let of_fresh = order_of(&other, &fresh).await;
        for order in [&of_pending, &of_fresh] {
            stack.gateway.pay(order, &json!({ "outcome": "captured" })).await;
        }
        until_visit(&patient, &pending, "confirmed").await;
        until_visit(&other, &fresh, "confirmed").await;
        stack.check_money().await;
    });
}

#[test]
fn lost_answers_and_lost_notifications_are_found_by_looking() {
    on_stack(Options::named("lost").paid(), async |stack| {
        let doctor = stack.doctor(2).await;
        let slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        // The order is opened, and the answer lost: twice.
        stack.gateway.behave(&json!({ "fail_next": 2, "fail_on": "create_order", "fail_how": "drop_after" })).await;
        let id = patient.booked(slots.last().unwrap()).await;
        let order = order_of(&patient, &id).await;
        assert_eq!(stack.gateway.orders().await.len(), 1, "one order");
        // Nobody tells that it was paid.
        stack.gateway.behave(&json!({ "webhooks": { "lose_next": 100 } })).await;
        stack.gateway.pay(&order, &json!({ "outcome": "captured" })).await;
        until_visit(&patient, &id, "confirmed").await;
        // The refund is made, and the answer lost.
        stack.gateway.behave(&json!({ "fail_next": 1, "fail_on": "refund", "fail_how": "drop_after" })).await;
        patient.act(&id, "cancel", &json!({ "reason": "patient_other" })).send().await.expect(200);
        until_payment(&patient, &id, "refunded").await;
        assert_eq!(stack.gateway.order(&order).await["refunds"], 1, "one refund");
        stack.check_money().await;
    });
}

/// Where the process that dies is told to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dies {
    Api,
    Worker,
}

#[test]
fn killed_at_each_step_it_comes_to_the_same_end() {
    use Dies::{Api, Worker};
    let points = [
        (Api, "booking.before_commit"),
        (Api, "booking.after_commit"),
        (Api, "webhook.received"),
        (Api, "webhook.committed"),
        (Worker, "event.received:1"),
        (Worker, "event.received:2"),
        (Worker, "payment.before_commit:1"),
        (Worker, "payment.after_commit:1"),
        (Worker, "payment.before_commit:2"),
        (Worker, "event.before_ack:1"),
        (Worker, "event.before_ack:2"),
        (Worker, "task.claimed:1"),
        (Worker, "task.before_commit:1"),
        (Worker, "task.after_commit:1"),
        (Worker, "booking.before_commit:1"),
        (Worker, "booking.after_commit:1"),
        // The refund's.
        (Worker, "task.claimed:2"),
        (Worker, "task.before_commit:2"),
        (Worker, "task.after_commit:2"),
    ];
    on_stack(Options::named("crash").paid().alone(), async |stack| {
        let doctor = stack.doctor(3).await;
        let mut slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        for (dies, point) in points {
            // Far ahead, so that all of it goes back.
            let slot = slots.pop().unwrap();
            dying(stack, dies, point, async {
                let id = booked_whatever_dies(&patient, &slot).await;
                let order = order_of(&patient, &id).await;
                stack.gateway.pay(&order, &json!({ "outcome": "captured" })).await;
                until_visit(&patient, &id, "confirmed").await;
                act_whatever_dies(&patient, &id).await;
                until_payment(&patient, &id, "refunded").await;
                let order = stack.gateway.order(&order).await;
                assert_eq!((&order["captures"], &order["refunds"]), (&json!(1), &json!(1)), "{dies:?} {point}");
            })
            .await;
        }
        stack.check_money().await;
    });
}

/// A saga while a process dies at a point, and another takes its place.
pub(crate) async fn dying(stack: &Stack, dies: Dies, point: &str, saga: impl Future<Output = ()>) {
    println!("{dies:?} {point}");
    let mortal = match dies {
        Dies::Api => mortal_api(stack, point).await,
        Dies::Worker => mortal_worker(stack, point),
    };
    futures::join!(watch(stack, dies, &mortal), saga);
}

/// In the place of the stack's own.
async fn mortal_api(stack: &Stack, point: &str) -> Process {
    stack.apis[0].process.kill();
    let process = stack.apis[0].process.mortal(point);
    process.start();
    stack.apis[0].ready().await;
    process
}

fn mortal_worker(stack: &Stack, point: &str) -> Process {
    stack.worker.kill();
    let process = stack.worker.mortal(point);
    process.start();
    process
}

/// Waits until it has died there, then starts the one that does not.
async fn watch(stack: &Stack, dies: Dies, mortal: &Process) {
    mortal.dies(LONG).await;
    match dies {
        Dies::Api => {
            stack.apis[0].process.start();
            stack.apis[0].ready().await;
        }
        Dies::Worker => stack.worker.start(),
    }
}

/// The same key until there is an answer.
async fn asked_whatever_dies(patient: &Person, slot: &Slot) -> Reply {
    let key = amrutam_tests::support::unique("key");
    eventually("there is an answer to a booking", LONG, async || {
        let call = patient.client.post("/v1/consultations", &amrutam_tests::support::booking(slot)).key(&key);
        call.try_send().await.ok().filter(|answer| answer.status != 503)
    })
    .await
}

async fn booked_whatever_dies(patient: &Person, slot: &Slot) -> String {
    asked_whatever_dies(patient, slot).await.expect(201)["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn act_whatever_dies(patient: &Person, visit: &str) {
    let key = amrutam_tests::support::unique("key");
    eventually("it is called off", LONG, async || {
        let call = patient.act(visit, "cancel", &json!({ "reason": "patient_other" })).key(&key);
        let answer = call.try_send().await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
}

/// What the gateway is like for a while: it notifies twice, late, not at all, or of everything at once and the last first; what is asked
/// of it is not done, or done and the answer is lost.
fn weather(rng: &mut StdRng) -> Value {
    match rng.random_range(0..5) {
        0 => json!({ "webhooks": { "copies": 2, "delay_ms": 20 } }),
        1 => json!({ "webhooks": { "lose_next": rng.random_range(1..4) } }),
        2 => json!({ "webhooks": { "hold": true } }),
        3 => {
            let how = ["drop_before", "drop_after", "error", "error_after"][rng.random_range(0..4)];
            json!({ "fail_next": 2, "fail_how": how })
        }
        _ => json!({ "down": true, "down_for_ms": 200, "webhooks": { "delay_ms": rng.random_range(0..200) } }),
    }
}

/// A smaller number than in memory, but the real thing: patients who pay, fail, call off and come late at random, while the gateway
/// is now like this, now like that, and a worker or the api is killed now and then.
#[test]
fn at_random_everything_ends_in_one_of_the_right_ways() {
    let seed = std::env::var("AMRUTAM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("AMRUTAM_SEED={seed}");
    on_stack(Options::named("random").paid().more_workers(1), async |stack| {
        let mut rng = StdRng::seed_from_u64(seed);
        let doctor = stack.doctor(3).await;
        let slots = doctor.slots().await;
        let patients = stack.patients(8).await;
        let plans: Vec<(usize, u64)> = (0..patients.len() * 3).map(|n| (n, rng.random())).collect();
        let play = async |(n, seed): &(usize, u64)| {
            let mut rng = StdRng::seed_from_u64(*seed);
            let (patient, slot) = (&patients[n % patients.len()], &slots[n * slots.len() / plans.len()]);
            let answer = asked_whatever_dies(patient, slot).await;
            if answer.status != 201 {
                return;
            }
            let id = answer.json()["id"].as_str().unwrap().to_owned();
            let order = order_of(patient, &id).await;
            for _ in 0..rng.random_range(0..3) {
                stack.gateway.pay(&order, &json!({ "outcome": "failed" })).await;
            }
            if rng.random_bool(0.3) {
                stack.hold_ends(&id).await;
            }
            if rng.random_bool(0.3) {
                drop(patient.act(&id, "cancel", &json!({ "reason": "patient_other" })).try_send().await);
            }
            if rng.random_bool(0.8) {
                let after = rng.random_range(0..200);
                stack.gateway.pay(&order, &json!({ "outcome": "captured", "after_ms": after })).await;
            }
            if rng.random_bool(0.2) {
                stack.gateway.pay(&order, &json!({ "outcome": "captured" })).await;
            }
            if rng.random_bool(0.3) {
                drop(patient.act(&id, "cancel", &json!({ "reason": "patient_other" })).try_send().await);
            }
            if rng.random_bool(0.5) {
                // Whoever still waits for nothing.
                stack.hold_ends(&id).await;
            }
        };
        let kill = async {
            for turn in 0..6 {
                tokio::time::sleep(Duration::from_millis(800)).await;
                let victim = if turn % 2 == 0 { &stack.worker } else { &stack.apis[0].process };
                victim.kill();
                victim.start();
            }
        };
        let rain = async {
            for _ in 0..12 {
                stack.gateway.behave(&weather(&mut rng)).await;
                tokio::time::sleep(Duration::from_millis(400)).await;
                stack.gateway.release("reversed").await;
            }
            stack.gateway.behave(&json!({})).await;
        };
        futures::join!(join_all(plans.iter().map(play)), kill, rain);
        stack.apis[0].ready().await;
        // Who has neither paid nor called off is left by their hold.
        let sql = stack.sql().await;
        for id in sql.column("SELECT id::text FROM consultations WHERE status = 'pending'").await {
            stack.hold_ends(&id).await;
        }
        stack.worker_ready().await;
        stack.check_money().await;
        // A play in which little happens shows nothing.
        let happened = "SELECT (SELECT count(*) FROM payments) * 1000 + (SELECT count(*) FROM ledger_journals)";
        let happened = sql.value::<i64>(happened).await;
        assert!(happened / 1000 >= 20 && happened % 1000 >= 15, "{happened}");
        let fates = "SELECT state || ' ' || count(*) FROM payments GROUP BY state ORDER BY state";
        println!("{:?}", sql.column(fates).await);
    });
}
