//! Unpaid bookings hold their slots for a while.

use amrutam_tests::support::{Options, SOON, Stack, booking, eventually, on_stack, unique};
use futures::future::join_all;
use serde_json::{Value, json};

/// As if the time of a hold had come.
async fn run_out(stack: &Stack, consultation: &str) {
    let statement = format!(
        "WITH held AS (
           UPDATE consultations SET hold_expires_at = now() - interval '1 second' WHERE id = '{consultation}' RETURNING *
         ), slot AS (
           UPDATE slots s SET held_until = h.hold_expires_at FROM held h WHERE s.id = h.slot_id
         )
         UPDATE patient_calendars p SET live = (
           SELECT jsonb_agg(CASE WHEN e ->> 'consultation_id' = h.id::text
             THEN e || jsonb_build_object('held_until', h.hold_expires_at) ELSE e END)
           FROM jsonb_array_elements(p.live) e)
         FROM held h WHERE p.patient_id = h.patient_id"
    );
    assert_eq!(stack.sql().await.execute(&statement).await, 1);
}

#[test]
fn a_hold_keeps_others_out_until_it_runs_out() {
    // A sweeper that does not come: comparing with the clock is enough.
    let options = Options::named("holds").with("PAYMENTS__MODE", "required").with("WORKER__SWEEP_MS", "600000");
    on_stack(options, async |stack| {
        let doctor = stack.doctor(1).await;
        let slots = doctor.slots().await;
        let (first, second) = (stack.patient("first").await, stack.patient("second").await);
        let held = first.book(&slots[0]).send().await.expect(201);
        let id = held["id"].as_str().unwrap();
        assert_eq!((&held["status"], &held["payment"]["status"]), (&json!("pending"), &json!("created")));
        assert!(held["hold_expires_at"].is_string());
        assert_eq!(held["payment"]["expires_at"], held["hold_expires_at"]);
        second.book(&slots[0]).send().await.refused(409, "slot_unavailable");
        for slot in &slots[1..3] {
            first.booked(slot).await;
        }
        first.book(&slots[3]).send().await.refused(409, "too_many_unpaid_holds");

        run_out(stack, id).await;
        let read = first.client.get(&format!("/v1/consultations/{id}")).send().await;
        assert_eq!((read.json()["status"].clone(), read.header("etag")), (json!("expired"), "\"1-expired\""));
        assert!(doctor.slots().await.contains(&slots[0]));
        let refused = first
            .act(id, "cancel", &json!({ "reason": "patient_other" }))
            .send()
            .await
            .refused(409, "invalid_transition");
        assert_eq!(refused["from"], "expired");
        first.booked(&slots[3]).await;

        let taken = second.booked(&slots[0]).await;
        assert_eq!(second.consultation(&taken).await["status"], "pending");
        let read = first.consultation(id).await;
        assert_eq!(
            (&read["status"], &read["hold_expires_at"], &read["version"]),
            (&json!("expired"), &Value::Null, &json!(2))
        );
        let timeline = first.client.get(&format!("/v1/consultations/{id}/timeline")).send().await.expect(200);
        let last = &timeline["items"][1];
        assert_eq!(
            (&last["to"], &last["cause"], &last["actor"]),
            (&json!("expired"), &json!("hold_expired"), &json!("system:hold-expiry"))
        );
        // The slot is the second's now: the first's past does not give it away.
        assert!(!doctor.slots().await.contains(&slots[0]));
        let sql = stack.sql().await;
        assert_eq!(
            sql.value::<i64>(
                "SELECT count(*) FROM scheduled_messages WHERE consultation_id IS NOT NULL AND kind <> 'hold_expired'"
            )
            .await,
            0,
            "nothing is confirmed, so nothing is said of it"
        );
    });
}

#[test]
fn a_hold_that_ran_out_is_won_by_one() {
    let options = Options::named("run-out").with("PAYMENTS__MODE", "required").with("WORKER__SWEEP_MS", "100");
    on_stack(options, async |stack| {
        let doctor = stack.doctor(1).await;
        let slots = doctor.slots().await;
        let patients = stack.patients(20).await;
        for slot in slots.iter().take(4) {
            let holder = stack.patient("holder").await;
            let id = holder.booked(slot).await;
            run_out(stack, &id).await;
            // The sweeper and twenty patients want it at once.
            let answers = join_all(patients.iter().map(async |patient| {
                let answer = patient.book(slot).send().await;
                if answer.status == 201 {
                    let own = answer.json()["id"].as_str().unwrap().to_owned();
                    // So that the next round finds them without holds.
                    patient
                        .act(&own, "cancel", &json!({ "reason": "patient_other" }))
                        .key(&unique("key"))
                        .send()
                        .await
                        .expect(200);
                    return (201, String::new());
                }
                (answer.status, answer.code())
            }))
            .await;
            let other: Vec<_> =
                answers.iter().filter(|(status, code)| *status != 201 && code != "slot_unavailable").collect();
            assert!(other.is_empty(), "{other:?}");
            assert!(answers.iter().any(|(status, _)| *status == 201));
            assert_eq!(holder.consultation(&id).await["status"], "expired");
        }
    });
}

#[test]
fn the_sweeper_gives_slots_back() {
    let options = Options::named("sweeper").with("PAYMENTS__MODE", "required").with("WORKER__SWEEP_MS", "100");
    on_stack(options, async |stack| {
        let doctor = stack.doctor(1).await;
        let slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        let key = unique("key");
        let body = booking(&slots[0]);
        let held = patient.client.post("/v1/consultations", &body).key(&key).send().await;
        let id = held.json()["id"].as_str().unwrap().to_owned();
        let kept = patient.booked(&slots[1]).await;
        run_out(stack, &id).await;
        let sql = stack.sql().await;
        let query = format!(
            "SELECT c.status || ' ' || s.status FROM consultations c JOIN slots s ON s.id = c.slot_id WHERE c.id = '{id}'"
        );
        eventually("the sweeper comes", SOON, async || {
            (sql.value::<String>(&query).await == "expired open").then_some(())
        })
        .await;
        assert_eq!(patient.consultation(&kept).await["status"], "pending", "a hold that runs is left alone");
        // The key still tells what was answered then.
        let again = patient.client.post("/v1/consultations", &body).key(&key).send().await;
        assert_eq!(again.body, held.body);
    });
}
