//! Many want one thing.

use amrutam_tests::support::{Options, Person, Reply, Slot, Stack, booking, on_shared, on_stack, unique};
use futures::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

const CLIENTS: usize = 100;
/// The promise; no other test runs at the same time.
const PATIENCE: Duration = Duration::from_secs(2);

/// All at once for one slot, each with a key of its own, in turn at each API process. One gets it.
async fn race(stack: &Stack, patients: &[Person], slot: &Slot, apis: usize) {
    let answers = join_all(patients.iter().enumerate().map(async |(index, patient)| {
        let patient = Person { client: patient.client.at(&stack.apis[index % apis].url), ..patient.clone() };
        let began = Instant::now();
        (patient.book(slot).send().await, began.elapsed())
    }))
    .await;
    let mut outcomes = BTreeMap::new();
    for (answer, _) in &answers {
        *outcomes.entry((answer.status, answer.code())).or_insert(0) += 1;
    }
    let expected =
        BTreeMap::from([((201, String::new()), 1), ((409, "slot_unavailable".to_owned()), patients.len() - 1)]);
    assert_eq!(outcomes, expected);
    let slowest = answers.iter().map(|(_, time)| *time).max().unwrap();
    println!("{CLIENTS} clients at {apis} API processes: the slowest answer took {slowest:?}");
    assert!(slowest < PATIENCE, "the slowest answer took {slowest:?}");
    let query = format!("SELECT count(*) FROM consultations WHERE slot_id = '{}'", slot.id);
    assert_eq!(stack.sql().await.value::<i64>(&query).await, 1);
}

#[test]
fn one_of_a_hundred_gets_the_slot_whatever_the_locks_do() {
    on_stack(Options::named("races").apis(2).own(&["redis"]).alone(), async |stack| {
        let doctor = stack.doctor(1).await;
        let mut slots = doctor.slots().await.into_iter();
        let mut slot = || slots.next().unwrap();
        let patients = stack.patients(CLIENTS).await;

        // Processes open their connections when they first need them: not a part of what is measured.
        join_all(
            patients
                .iter()
                .enumerate()
                .map(|(index, patient)| patient.client.at(&stack.apis[index % 2].url).get("/v1/me").send()),
        )
        .await;

        for _ in 0..3 {
            race(stack, &patients, &slot(), 1).await;
        }
        for _ in 0..3 {
            race(stack, &patients, &slot(), 2).await;
        }
        let redis = stack.servers();
        redis.signal("redis-2", "STOP").await;
        for _ in 0..3 {
            race(stack, &patients, &slot(), 2).await;
        }
        redis.signal("redis-2", "CONT").await;
        redis.signal("redis-1", "KILL").await;
        race(stack, &patients, &slot(), 2).await;
        for node in ["redis-1", "redis-2", "redis-3"] {
            redis.stop(node).await;
        }
        for _ in 0..3 {
            race(stack, &patients, &slot(), 2).await;
        }
        let ready = stack.anonymous().get("/readyz").send().await;
        assert_eq!((ready.status, ready.json()["status"].as_str()), (200, Some("degraded")));
        for node in ["redis-1", "redis-2", "redis-3"] {
            redis.start_one(node).await;
        }
        let ready = async || stack.anonymous().get("/readyz").send().await.json()["status"] == "ready";
        amrutam_tests::support::until("the locks are used again", Duration::from_secs(20), ready).await;
        race(stack, &patients, &slot(), 2).await;
    });
}

#[test]
fn one_patient_gets_one_of_two_visits_at_one_time() {
    on_shared(async |stack| {
        let (one, two) = (stack.doctor(1).await, stack.doctor(1).await);
        let (first, second) = (one.slots().await, two.slots().await);
        for round in 0..10 {
            let patient = stack.patient("asha").await;
            let both = [&first[round], &second[round]].map(|slot| async { patient.book(slot).send().await });
            let answers = join_all(both).await;
            let mut outcomes: Vec<_> = answers.iter().map(|answer| (answer.status, answer.code())).collect();
            outcomes.sort();
            assert_eq!(outcomes, [(201, String::new()), (409, "overlapping_consultation".to_owned())]);
        }
    });
}

#[test]
fn one_key_has_one_effect_and_one_answer() {
    on_shared(async |stack| {
        let doctor = stack.doctor(1).await;
        let slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        for slot in slots.iter().take(5) {
            let key = unique("key");
            let send = async || patient.client.post("/v1/consultations", &booking(slot)).key(&key).send().await;
            let answers: Vec<Reply> = join_all((0..20).map(|_| send())).await;
            let last = send().await;
            assert_eq!((last.status, last.header("idempotency-replayed")), (201, "true"));
            let mut bodies = BTreeSet::new();
            for answer in answers {
                match answer.status {
                    201 => drop(bodies.insert(answer.body)),
                    _ => drop(answer.refused(409, "idempotency_in_progress")),
                }
            }
            assert_eq!(bodies, BTreeSet::from([last.body]), "every booking is the same booking");
        }
        let query = format!("SELECT count(*) FROM consultations WHERE patient_id = '{}'", patient.id);
        assert_eq!(stack.sql().await.value::<i64>(&query).await, 5);
    });
}

#[test]
fn one_key_at_two_processes_has_one_effect() {
    on_stack(Options::named("one-key").apis(2), async |stack| {
        let doctor = stack.doctor(3).await;
        let slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        let client = |api: usize| patient.client.at(&stack.apis[api].url);
        for pair in slots.chunks_exact(2).take(20) {
            // The same request at both: one booking, one answer.
            let key = unique("key");
            let same = [0, 1].map(|api| client(api).post("/v1/consultations", &booking(&pair[0])).key(&key).send());
            let [one, two]: [Reply; 2] = join_all(same).await.try_into().unwrap();
            assert_eq!((one.status, two.status, &one.body), (201, 201, &two.body));
            assert_eq!([&one, &two].iter().filter(|answer| answer.header("idempotency-replayed") == "true").count(), 1);
            let id = one.json()["id"].as_str().unwrap().to_owned();
            patient.act(&id, "cancel", &serde_json::json!({ "reason": "patient_other" })).send().await.expect(200);

            // Two requests under one key: one of them is done.
            let key = unique("key");
            let other = [0, 1].map(|api| client(api).post("/v1/consultations", &booking(&pair[api])).key(&key).send());
            let mut outcomes: Vec<_> =
                join_all(other).await.iter().map(|answer| (answer.status, answer.code())).collect();
            outcomes.sort();
            assert_eq!(outcomes, [(201, String::new()), (422, "idempotency_key_reused".to_owned())]);
        }
    });
}

#[test]
fn two_who_move_to_one_slot_and_one_who_books_it() {
    on_shared(async |stack| {
        let doctor = stack.doctor(1).await;
        let slots = doctor.slots().await;
        let patients = stack.patients(3).await;
        for round in 0..5 {
            let (a, b, target) = (&slots[round * 3], &slots[round * 3 + 1], &slots[round * 3 + 2]);
            let (one, two) = (patients[0].booked(a).await, patients[1].booked(b).await);
            let to = serde_json::json!({ "slot_id": target.id });
            let (x, y, z) = futures::join!(
                patients[0].act(&one, "reschedule", &to).send(),
                patients[1].act(&two, "reschedule", &to).send(),
                patients[2].book(target).send(),
            );
            let won = [&x, &y, &z].iter().filter(|answer| answer.status < 300).count();
            let lost = [&x, &y, &z].iter().filter(|answer| answer.code() == "slot_unavailable").count();
            assert_eq!((won, lost), (1, 2), "{x:?} {y:?} {z:?}");
            let open: BTreeSet<_> = doctor.slots().await.into_iter().map(|slot| slot.id).collect();
            assert!(!open.contains(&target.id));
            assert_eq!((open.contains(&a.id), open.contains(&b.id)), (x.status == 200, y.status == 200));
        }
    });
}
