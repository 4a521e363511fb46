//! Clients that leave in the middle of a booking.

use amrutam_tests::support::{
    Client, Options, SOON, Stack, booking, eventually, on_stack, raw_connection, raw_request, unique, until,
};
use futures::{StreamExt, stream};
use std::{collections::BTreeSet, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CUTS: usize = 150;
/// Each leaves now and then; one who left often would only meet themself.
const PATIENTS: usize = 30;

/// Sends a part of a request, or all of it, and leaves after a while without reading.
async fn cut(stack: &Stack, request: &[u8]) {
    let mut connection = raw_connection(&stack.apis[0].url).await;
    let all = rand::random_range(0..4) > 0;
    let sent = if all { request.len() } else { rand::random_range(1..request.len()) };
    connection.write_all(&request[..sent]).await.unwrap();
    // A booking takes some milliseconds: each of its steps is met by some of the cuts. Sometimes the answer is on its way.
    let wait = Duration::from_micros(rand::random_range(0..20_000));
    drop(tokio::time::timeout(wait, connection.read(&mut [0; 16])).await);
    if rand::random() {
        // A reset instead of a farewell.
        connection.set_zero_linger().unwrap();
    }
    drop(connection);
}

#[test]
fn a_client_that_leaves_leaves_a_whole_booking_or_none() {
    on_stack(Options::named("disconnects"), async |stack| {
        let doctor = stack.doctor(4).await;
        let slots = doctor.slots().await;
        let patients = stack.patients(PATIENTS).await;
        let keys: Vec<_> = (0..CUTS).map(|_| unique("cut")).collect();
        let patient = |at: usize| &patients[at % PATIENTS];
        let request = |at: usize| {
            let token = format!("Bearer {}", patient(at).client.token().unwrap());
            let headers = [("authorization", token.as_str()), ("idempotency-key", keys[at].as_str())];
            raw_request("POST", "/v1/consultations", &headers, &booking(&slots[at]).to_string())
        };
        stream::iter(0..CUTS).for_each_concurrent(6, async |at| cut(stack, &request(at)).await).await;

        let metrics = Client::new(&stack.apis[0].metrics_url);
        until("no request is under way", SOON, async || {
            metrics.get("/metrics").send().await.text().lines().any(|line| line == "http_requests_in_flight 0")
        })
        .await;
        // Well before they would end by themselves, after 5 s.
        until("no lock is held", Duration::from_secs(2), async || stack.held_locks().await.is_empty()).await;
        let failed = metrics.get("/metrics").send().await.text();
        let failed: Vec<_> =
            failed.lines().filter(|line| line.starts_with("amrutam_lock_release_failures_total")).collect();
        assert!(failed.iter().all(|line| line.ends_with(" 0")), "{failed:?}");
        let sql = stack.sql().await;
        let open = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()";
        until("nothing is under way in the database", Duration::from_secs(3), async || {
            sql.value::<i64>(open).await == 0
        })
        .await;
        let booked: BTreeSet<_> = sql.column("SELECT slot_id::text FROM consultations").await.into_iter().collect();
        // The same key tells which.
        for at in 0..CUTS {
            let again = || patient(at).client.post("/v1/consultations", &booking(&slots[at])).key(&keys[at]).send();
            let answer = eventually("the key tells", SOON, async || {
                let answer = again().await;
                let later = answer.code() == "idempotency_in_progress" || answer.code() == "contended";
                (!later).then_some(answer)
            })
            .await;
            assert_eq!(
                answer.header("idempotency-replayed") == "true",
                booked.contains(&slots[at].id),
                "{}",
                answer.text()
            );
            assert_eq!(answer.expect(201)["slot"]["id"], slots[at].id);
        }
        let abandoned = stack.apis[0].process.log().matches("\"status\":499").count();
        println!(
            "{CUTS} cuts: {} whole bookings, {} none, {abandoned} noticed while at work",
            booked.len(),
            CUTS - booked.len()
        );
        assert!(abandoned > 0, "nobody left while a booking was under way");
        assert_eq!(sql.value::<usize>("SELECT count(*) FROM consultations").await, CUTS);
        assert!(
            !booked.is_empty() && booked.len() < CUTS,
            "too little happened: {} of {CUTS} were booked",
            booked.len()
        );
    });
}
