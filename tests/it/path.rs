//! The path of one booking, and what may become of it.

use amrutam_tests::support::{Doctor, Person, SOON, Stack, booking, eventually, on_shared, profile, unique, until};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

#[test]
fn from_a_doctors_account_to_a_confirmed_visit() {
    on_shared(async |stack| {
        let admin = &stack.admin().await.client;
        let vaidya = stack.doctor_account("vaidya").await;
        let mut profile = profile();
        profile["qualifications"] = json!(["BAMS", "MD (Ayurveda)"]);
        profile["registered_on"] = json!("2014-06-02");
        profile["bio"] = json!("General medicine.");
        let applied = vaidya.client.post("/v1/doctors", &profile).send().await;
        let location = applied.header("location").to_owned();
        let doctor = applied.expect(201);
        assert_eq!(doctor["status"], "applied");
        let id = doctor["id"].as_str().unwrap();
        assert_eq!(location, format!("/v1/doctors/{id}"));
        stack.anonymous().get(&location).send().await.refused(404, "not_found");

        let verified = admin.call("POST", &format!("/v1/admin/doctors/{id}/verify")).send().await.expect(200);
        assert_eq!(verified["status"], "listed");
        stack.anonymous().get(&location).send().await.expect(200);

        let day = (Timestamp::now() + SignedDuration::from_hours(72)).to_zoned(kolkata()).date();
        let rules = json!({ "rules": [{
            "weekday": format!("{:?}", day.weekday()).to_lowercase(), "start": "09:00", "end": "10:00", "slot_minutes": 20,
            "buffer_minutes": 10, "modes": ["video"], "valid_from": day.to_string(), "valid_until": day.to_string()
        }]});
        let set = vaidya.client.put(&format!("{location}/availability"), &rules).send().await;
        assert_eq!(set.header("etag"), format!("\"{}\"", set.json()["version"]));
        assert_eq!(set.expect(200)["slots"], json!({ "created": 2, "withdrawn": 0 }));
        let from = day.to_zoned(kolkata()).unwrap().timestamp();
        let range = format!("from={from}&to={}", from + SignedDuration::from_hours(24));
        let open = stack.anonymous().get(&format!("{location}/slots?{range}")).send().await;
        assert!(open.header("cache-control").contains("public"));
        let open = open.expect(200);
        let starts: Vec<_> = open["items"].as_array().unwrap().iter().map(|slot| slot["starts_at"].clone()).collect();
        assert_eq!(starts, [json!(format!("{day}T03:30:00.000000Z")), json!(format!("{day}T04:00:00.000000Z"))]);

        let patient = stack.patient("asha").await;
        let slot = &open["items"][0];
        let body = json!({ "doctor_id": id, "slot_id": slot["id"], "mode": "video", "reason": "recurring headache" });
        let key = unique("key");
        let first = patient.client.post("/v1/consultations", &body).key(&key).send().await;
        let booked = first.clone().expect(201);
        let consultation = booked["id"].as_str().unwrap();
        assert_eq!(first.header("location"), format!("/v1/consultations/{consultation}"));
        assert_eq!(first.header("etag"), format!("\"{}\"", booked["version"]));
        assert_eq!(first.header("cache-control"), "no-store");
        assert_eq!(
            (&booked["status"], &booked["fee"]),
            (&json!("confirmed"), &json!({ "amount": 49900, "currency": "INR" }))
        );
        assert_eq!((&booked["slot"]["starts_at"], &booked["slot"]["status"]), (&slot["starts_at"], &json!("booked")));
        assert_eq!(booked["payment"], Value::Null);

        let again = patient.client.post("/v1/consultations", &body).key(&key).send().await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
        assert_eq!(again.body, first.body, "byte for byte");
        for name in ["location", "etag", "content-type"] {
            assert_eq!(again.header(name), first.header(name), "{name}");
        }
        assert_eq!(first.header("idempotency-replayed"), "");
        let other = json!({ "doctor_id": id, "slot_id": open["items"][1]["id"], "mode": "video" });
        patient.client.post("/v1/consultations", &other).key(&key).send().await.refused(422, "idempotency_key_reused");
        patient.client.post("/v1/consultations", &other).send().await.refused(400, "idempotency_key_required");
        // The key is its caller's: another's means nothing.
        let another = stack.patient("another").await;
        another.client.post("/v1/consultations", &body).key(&key).send().await.refused(409, "slot_unavailable");

        let list = vaidya.client.get(&format!("/v1/consultations?{range}")).send().await.expect(200);
        let ids: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        assert_eq!(ids, [consultation]);
        let seen = vaidya.consultation(consultation).await;
        assert_eq!((&seen["reason"], &seen["patient_id"]), (&json!("recurring headache"), &json!(patient.id)));
        assert_eq!(list["items"][0].get("reason"), None, "a list shows no reasons");

        let mail = stack.mail.mail(&patient.email, "confirmed").await;
        assert!(mail.text.contains("Dr. Meera Rao") && mail.text.contains("KL-"), "{}", mail.text);
        assert!(!mail.text.contains("headache") && !mail.subject.contains("asha"), "{}", mail.text);
        assert_eq!(
            planned(stack, consultation).await,
            [["booking_confirmed", "sent"], ["reminder_1h", "scheduled"], ["reminder_24h", "scheduled"],]
        );

        let timeline =
            patient.client.get(&format!("/v1/consultations/{consultation}/timeline")).send().await.expect(200);
        let steps: Vec<_> = timeline["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| json!([s["version"], s["from"], s["to"], s["cause"]]))
            .collect();
        assert_eq!(
            steps,
            [json!([1, null, "pending", "booked"]), json!([2, "pending", "confirmed", "payment_not_required"])]
        );
        assert_eq!(timeline["items"][0]["actor"], format!("patient:{}", patient.id));
        assert_eq!(timeline["items"][0]["correlation_id"], first.header("x-correlation-id"));
    });
}

#[test]
fn a_cancelled_visit_gives_its_slot_back_and_is_not_reminded_of() {
    on_shared(async |stack| {
        let doctor = stack.doctor(3).await;
        let slot = doctor.slots().await.pop().unwrap();
        let patient = stack.patient("asha").await;
        let id = patient.booked(&slot).await;
        assert!(!doctor.slots().await.contains(&slot));
        stack.mail.mail(&patient.email, "confirmed").await;

        patient
            .act(&id, "cancel", &json!({ "reason": "doctor_unavailable" }))
            .send()
            .await
            .refused(422, "reason_not_allowed");
        let key = unique("key");
        let cancel =
            async || patient.act(&id, "cancel", &json!({ "reason": "patient_improved" })).key(&key).send().await;
        let first = cancel().await;
        assert_eq!(first.json()["cancel_reason"], "patient_improved");
        let again = cancel().await;
        assert_eq!(
            (again.status, again.body, again.headers["idempotency-replayed"].as_bytes()),
            (200, first.body, &b"true"[..])
        );
        let refused = patient.act(&id, "cancel", &json!({ "reason": "patient_improved" })).send().await;
        let refused = refused.refused(409, "invalid_transition");
        assert_eq!((&refused["from"], &refused["to"]), (&json!("cancelled"), &json!("cancelled")));

        assert!(doctor.slots().await.contains(&slot));
        stack.mail.mail(&patient.email, "cancelled").await;
        bring_due(stack, &id).await;
        assert_eq!(
            planned(stack, &id).await,
            [
                ["booking_cancelled", "sent"],
                ["booking_confirmed", "sent"],
                ["reminder_1h", "skipped"],
                ["reminder_24h", "skipped"],
            ]
        );
        assert_eq!(stack.mail.mails_about(&patient.email, "appointment", 2).await.len(), 2);

        // A doctor who won't be there does not offer the slot to others.
        let other = stack.patient("other").await;
        let id = other.booked(&slot).await;
        let by_doctor =
            doctor.person.act(&id, "cancel", &json!({ "reason": "doctor_unavailable" })).send().await.expect(200);
        assert_eq!(by_doctor["status"], "cancelled");
        assert!(!doctor.slots().await.contains(&slot));
    });
}

#[test]
fn a_reminder_comes_once_and_only_when_it_is_true() {
    on_shared(async |stack| {
        let doctor = stack.doctor(3).await;
        let slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        let id = patient.booked(slots.last().unwrap()).await;
        stack.mail.mail(&patient.email, "confirmed").await;
        bring_due(stack, &id).await;
        stack.mail.mail(&patient.email, "Reminder").await;
        let states = planned(stack, &id).await;
        assert_eq!(states, [["booking_confirmed", "sent"], ["reminder_1h", "sent"], ["reminder_24h", "sent"]]);
        assert_eq!(stack.mail.mails_about(&patient.email, "appointment", 3).await.len(), 3);
    });
}

#[test]
fn a_visit_moves_and_stays_the_same_visit() {
    on_shared(async |stack| {
        let (doctor, elsewhere) = (stack.doctor(3).await, stack.doctor(1).await);
        let slots = doctor.slots().await;
        let (old, new, taken) = (slots.last().unwrap(), &slots[slots.len() - 2], &slots[0]);
        let (patient, other) = (stack.patient("asha").await, stack.patient("other").await);
        let id = patient.booked(old).await;
        other.booked(taken).await;
        stack.mail.mail(&patient.email, "confirmed").await;

        let to = |slot: &str| json!({ "slot_id": slot });
        patient.act(&id, "reschedule", &to(&taken.id)).send().await.refused(409, "slot_unavailable");
        let foreign = patient.act(&id, "reschedule", &to(&elsewhere.slots().await[0].id)).send().await;
        assert_eq!(foreign.refused(422, "slot_of_another_doctor")["errors"][0]["pointer"], "/slot_id");
        patient.act(&id, "reschedule", &to(&unknown_id())).send().await.refused(422, "unknown_slot");
        doctor.person.act(&id, "reschedule", &to(&new.id)).send().await.refused(403, "forbidden");

        let moved = patient.act(&id, "reschedule", &to(&new.id)).send().await.expect(200);
        assert_eq!((&moved["id"], &moved["slot"]["id"], &moved["version"]), (&json!(id), &json!(new.id), &json!(3)));
        let open = doctor.slots().await;
        assert!(open.contains(old) && !open.contains(new));
        stack.mail.mail(&patient.email, "moved").await;
        let timeline = patient.client.get(&format!("/v1/consultations/{id}/timeline")).send().await.expect(200);
        assert_eq!(
            (&timeline["items"][2]["kind"], &timeline["items"][2]["slot_id"]),
            (&json!("rescheduled"), &json!(new.id))
        );

        // Reminders of the old time are not true any more; those of the new one are.
        bring_due(stack, &id).await;
        let reminders: Vec<_> =
            planned(stack, &id).await.into_iter().filter(|row| row[0].starts_with("reminder")).collect();
        assert_eq!(
            reminders,
            [
                ["reminder_1h", "sent"],
                ["reminder_1h", "skipped"],
                ["reminder_24h", "sent"],
                ["reminder_24h", "skipped"]
            ]
        );
    });
}

#[test]
fn a_visit_starts_ends_and_is_missed_in_its_time() {
    on_shared(async |stack| {
        let doctor = stack.doctor(1).await;
        let slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        let id = patient.booked(&slots[0]).await;
        let act =
            async |act: &str| doctor.person.client.call("POST", &format!("/v1/consultations/{id}/{act}")).send().await;

        let early = act("start").await.refused(409, "too_early");
        let possible: Timestamp = early["possible_from"].as_str().unwrap().parse().unwrap();
        assert_eq!(possible, slots[0].starts_at - SignedDuration::from_mins(10));
        act("no-show").await.refused(409, "too_early");
        let wrong = act("complete").await.refused(409, "invalid_transition");
        assert_eq!((&wrong["from"], &wrong["to"]), (&json!("confirmed"), &json!("completed")));
        let patient_starts = patient.client.call("POST", &format!("/v1/consultations/{id}/start")).send().await;
        patient_starts.refused(403, "forbidden");

        shift(stack, &id, "-5 minutes").await;
        assert_eq!(act("start").await.expect(200)["status"], "in_progress");
        patient
            .act(&id, "cancel", &json!({ "reason": "patient_other" }))
            .send()
            .await
            .refused(409, "invalid_transition");
        assert_eq!(act("complete").await.expect(200)["status"], "completed");
        act("start").await.refused(409, "invalid_transition");

        let missed = patient.booked(&slots[5]).await;
        // One visit at a time.
        shift(stack, &id, "-2 hours").await;
        shift(stack, &missed, "5 minutes").await;
        patient.act(&missed, "check-in", &json!({})).send().await.expect(200);
        shift(stack, &missed, "-40 minutes").await;
        stack.checked_in_before(&missed, "45 minutes").await;
        patient.act(&missed, "cancel", &json!({ "reason": "patient_other" })).send().await.refused(409, "too_late");
        let mark = |who: &Person| who.client.call("POST", &format!("/v1/consultations/{missed}/no-show"));
        mark(stack.admin().await).send().await.refused(403, "forbidden");
        mark(&doctor.person).send().await.refused(409, "other_side_present");
        assert_eq!(mark(&patient).send().await.expect(200)["status"], "no_show");
        let timeline = patient.client.get(&format!("/v1/consultations/{missed}/timeline")).send().await.expect(200);
        assert_eq!(timeline["items"][2]["cause"], "doctor_absent");
    });
}

#[test]
fn changed_hours_touch_no_booked_slot_and_name_what_stands_outside() {
    on_shared(async |stack| {
        let doctor = stack.doctor(2).await;
        let slots = doctor.slots().await;
        let (booked, patient) = (slots.last().unwrap(), stack.patient("asha").await);
        let id = patient.booked(booked).await;
        let availability = format!("/v1/doctors/{}/availability", doctor.id);
        let before = doctor.person.client.get(&availability).send().await;
        let etag = before.header("etag").to_owned();
        let none = json!({ "rules": [] });

        doctor
            .person
            .client
            .put(&availability, &none)
            .header("if-match", "\"999\"")
            .send()
            .await
            .refused(412, "precondition_failed");
        let changed = doctor.person.client.put(&availability, &none).header("if-match", &etag).send().await.expect(200);
        assert_eq!(changed["slots"], json!({ "created": 0, "withdrawn": slots.len() - 1 }));
        assert_eq!(changed["outside_rules"][0]["consultation_id"], json!(id));
        assert_eq!(changed["outside_rules"].as_array().unwrap().len(), 1);
        doctor
            .person
            .client
            .put(&availability, &none)
            .header("if-match", &etag)
            .send()
            .await
            .refused(412, "precondition_failed");
        assert_eq!(doctor.slots().await, []);
        assert_eq!(patient.consultation(&id).await["status"], "confirmed");
        // Freed, it is not offered again: the rules do not have it.
        patient.act(&id, "cancel", &json!({ "reason": "patient_other" })).send().await.expect(200);
        assert_eq!(doctor.slots().await, []);
    });
}

#[test]
fn an_absence_takes_its_slots_out_and_gives_them_back() {
    on_shared(async |stack| {
        let doctor = stack.doctor(2).await;
        let slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        let id = patient.booked(&slots[1]).await;
        let path = format!("/v1/doctors/{}/time-off", doctor.id);
        let client = &doctor.person.client;
        let absence =
            json!({ "from": slots[0].starts_at.to_string(), "to": slots[3].starts_at.to_string(), "note": "Away" });
        let added = client.post(&path, &absence).send().await;
        let location = added.header("location").to_owned();
        let added = added.expect(201);
        assert_eq!(added["slots"], json!({ "created": 0, "withdrawn": 2 }));
        assert_eq!(added["outside_rules"][0]["consultation_id"], json!(id));
        assert_eq!(doctor.slots().await.len(), slots.len() - 3);
        let listed = client.get(&path).send().await.expect(200);
        assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["note"]), (&added["id"], &json!("Away")));

        assert_eq!(client.call("DELETE", &location).send().await.status, 204);
        assert_eq!(doctor.slots().await.len(), slots.len() - 1);
        client.call("DELETE", &location).send().await.refused(404, "not_found");
    });
}

#[test]
fn lists_are_paged_in_a_stable_order() {
    on_shared(async |stack| {
        let doctor = stack.doctor(2).await;
        let patient = stack.patient("asha").await;
        let slots = doctor.slots().await;
        let mut expected = Vec::new();
        for slot in slots.iter().take(5) {
            expected.push(json!(patient.booked(slot).await));
        }
        let (mut path, mut found) = ("/v1/consultations?limit=2".to_owned(), Vec::new());
        for round in 0.. {
            let page = patient.client.get(&path).send().await;
            let link = page.header("link").to_owned();
            let page = page.expect(200);
            found.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
            if page["next_cursor"].is_null() {
                assert_eq!((round, link.as_str()), (2, ""));
                break;
            }
            path = link.strip_prefix('<').and_then(|link| link.split_once(">; rel=\"next\"")).unwrap().0.to_owned();
        }
        assert_eq!(found, expected);
        let confirmed = patient.client.get("/v1/consultations?status=cancelled").send().await.expect(200);
        assert_eq!(confirmed["items"], json!([]));
    });
}

#[test]
fn nobody_books_two_visits_at_one_time() {
    on_shared(async |stack| {
        let (one, two) = (stack.doctor(1).await, stack.doctor(1).await);
        let patient = stack.patient("asha").await;
        let (first, second) = (one.slots().await, two.slots().await);
        assert_eq!(first[0].starts_at, second[0].starts_at);
        patient.booked(&first[0]).await;
        patient.book(&second[0]).send().await.refused(409, "overlapping_consultation");
        patient.booked(&second[1]).await;
        doctor_books(stack, &one).await;
    });
}

async fn doctor_books(stack: &Stack, doctor: &Doctor) {
    let slot = &doctor.slots().await[3];
    let refused = doctor.person.client.post("/v1/consultations", &booking(slot)).key(&unique("key")).send().await;
    refused.refused(403, "forbidden");
    let denied = format!("SELECT count(*) FROM audit_entries WHERE outcome = 'denied' AND resource_id = '{}'", slot.id);
    assert_eq!(stack.sql().await.value::<i64>(&denied).await, 1, "what was refused is on the record");
}

pub(crate) fn unknown_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn kolkata() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::get("Asia/Kolkata").unwrap()
}

/// Kind and status of the messages about a visit, in order.
async fn planned(stack: &Stack, consultation: &str) -> Vec<Vec<String>> {
    let sql = stack.sql().await;
    let query =
        format!("SELECT kind, status FROM scheduled_messages WHERE consultation_id = '{consultation}' ORDER BY 1, 2");
    // What is due is being sent at this moment.
    let due = format!(
        "SELECT count(*) FROM scheduled_messages WHERE consultation_id = '{consultation}' AND status = 'scheduled' AND due_at <= now()"
    );
    until("what is due is settled", SOON, async || sql.value::<i64>(&due).await == 0).await;
    sql.rows(&query).await
}

/// As if the time of the reminders had come. The visit stays ahead: a reminder of one that has begun is not sent.
async fn bring_due(stack: &Stack, consultation: &str) {
    let sql = stack.sql().await;
    let update = format!(
        "UPDATE scheduled_messages SET due_at = now(), next_attempt_at = now()
         WHERE consultation_id = '{consultation}' AND status = 'scheduled' AND kind LIKE 'reminder%'"
    );
    eventually("reminders are planned", SOON, async || (sql.execute(&update).await >= 2).then_some(())).await;
}

/// As if a visit had its slot at another time: so many minutes from now.
async fn shift(stack: &Stack, consultation: &str, from_now: &str) {
    let statement = format!(
        "WITH visit AS (
           UPDATE consultations SET starts_at = now() + '{from_now}', ends_at = now() + '{from_now}' + interval '20 minutes'
           WHERE id = '{consultation}' RETURNING *
         ), slot AS (
           UPDATE slots s SET starts_at = v.starts_at, ends_at = v.ends_at FROM visit v WHERE s.id = v.slot_id
         )
         UPDATE patient_calendars p SET live = (
           SELECT jsonb_agg(CASE WHEN e ->> 'consultation_id' = v.id::text
             THEN e || jsonb_build_object('starts_at', v.starts_at, 'ends_at', v.ends_at) ELSE e END)
           FROM jsonb_array_elements(p.live) e)
         FROM visit v WHERE p.patient_id = v.patient_id"
    );
    assert_eq!(stack.sql().await.execute(&statement).await, 1);
}
