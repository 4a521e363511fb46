//! The people an account keeps: their visits, their records, and what holds when much happens at once.

use amrutam_tests::support::{Person, Stack, booking, on_shared, unique};
use serde_json::{Value, json};

fn child(name: &str) -> Value {
    json!({ "full_name": name, "date_of_birth": "2018-06-01", "sex": "female", "relation": "child" })
}

async fn kept(keeper: &Person, body: &Value) -> String {
    let added = keeper.client.post("/v1/me/dependants", body).send().await.expect(201);
    added["id"].as_str().unwrap().to_owned()
}

fn path(id: &str) -> String {
    format!("/v1/me/dependants/{id}")
}

#[test]
fn they_are_kept_by_version_and_by_their_keeper_alone() {
    on_shared(async |stack| {
        let (keeper, stranger) = (stack.patient("keeper").await, stack.patient("stranger").await);
        let (name, key) = (unique("Kavya"), unique("key"));
        let add = async || keeper.client.post("/v1/me/dependants", &child(&name)).key(&key).send().await;
        let (first, again) = (add().await, add().await);
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
        assert_eq!(first.body, again.body);
        assert!(!first.text().contains(&name), "what is kept for a key says nothing of who it is");
        let id = first.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(first.header("location"), path(&id));

        let read = keeper.client.get(&path(&id)).send().await;
        assert_eq!(read.header("etag"), "\"1\"");
        let read = read.expect(200);
        assert_eq!((&read["full_name"], &read["date_of_birth"]), (&json!(name), &json!("2018-06-01")));
        let change = |version: &str| {
            let body = json!({ "sex": null, "relation": "ward" });
            keeper.client.call("PATCH", &path(&id)).json(&body).header("if-match", version)
        };
        let changed = change("\"1\"").send().await.expect(200);
        assert_eq!(
            (&changed["sex"], &changed["relation"], &changed["full_name"]),
            (&Value::Null, &json!("ward"), &json!(name))
        );
        change("\"1\"").send().await.refused(412, "precondition_failed");
        let unborn = json!({ "date_of_birth": "2190-01-01" });
        keeper.client.call("PATCH", &path(&id)).json(&unborn).send().await.refused(422, "validation_failed");
        let nameless = json!({ "full_name": null });
        keeper.client.call("PATCH", &path(&id)).json(&nameless).send().await.refused(422, "validation_failed");

        stranger.client.get(&path(&id)).send().await.refused(404, "not_found");
        let theirs = stranger.client.get("/v1/me/dependants").send().await.expect(200);
        assert_eq!(theirs["items"], json!([]));
        let second = kept(&keeper, &child("Rohan")).await;
        let page = keeper.client.get("/v1/me/dependants?limit=1").send().await;
        assert!(page.header("link").contains("cursor="));
        let next = page.json()["next_cursor"].as_str().unwrap().to_owned();
        let page = keeper.client.get(&format!("/v1/me/dependants?limit=1&cursor={next}")).send().await.expect(200);
        assert_eq!((&page["items"][0]["id"], &page["next_cursor"]), (&json!(second), &Value::Null));
        keeper
            .client
            .call("DELETE", &path(&id))
            .header("if-match", "\"1\"")
            .send()
            .await
            .refused(412, "precondition_failed");
        keeper.client.call("DELETE", &path(&id)).send().await.expect(204);
        keeper.client.get(&path(&id)).send().await.refused(404, "not_found");
        let rows = format!("SELECT count(*) FROM phi.dependants WHERE id = '{id}'");
        assert_eq!(stack.sql().await.value::<i64>(&rows).await, 0, "who had no visit is forgotten");
    });
}

#[test]
fn a_childs_visit_goes_to_the_childs_record() {
    on_shared(async |stack| {
        let doctor = stack.doctor(1).await;
        let (keeper, stranger) = (stack.patient("keeper").await, stack.patient("stranger").await);
        let (name, reason, summary) = (unique("Kavya"), unique("rash on the arm"), unique("to come back in a week"));
        let id = kept(&keeper, &child(&name)).await;
        let slots = doctor.slots().await;
        let mut wish = booking(&slots[0]);
        wish["for_dependent"] = json!(id);
        wish["reason"] = json!(reason);
        let book = async |who: &Person, wish: &Value| {
            who.client.post("/v1/consultations", wish).key(&unique("k")).send().await
        };
        book(&stranger, &wish).await.refused(422, "unknown_dependent");
        let booked = book(&keeper, &wish).await.expect(201);
        assert_eq!((&booked["for_dependent"], &booked["patient_id"]), (&json!(id), &json!(keeper.id)));
        let visit = booked["id"].as_str().unwrap();
        keeper.client.call("DELETE", &path(&id)).send().await.refused(409, "dependant_has_visits");
        for side in [&keeper, &doctor.person] {
            let seen = side.consultation(visit).await;
            assert_eq!((&seen["dependent"]["full_name"], &seen["reason"]), (&json!(name), &json!(reason)));
        }
        let masked = stack.admin().await.consultation(visit).await;
        assert_eq!((&masked["for_dependent"], masked.get("dependent")), (&Value::Null, None));

        stack.comes_near(visit, "5 minutes").await;
        let start = async || doctor.person.act(visit, "start", &json!({})).send().await;
        start().await.refused(409, "guardian_required");
        let adult = json!({ "name": "Asha Nair", "relation": "mother", "id_type": "pan", "id_last_four": "12A4" });
        keeper.client.put(&format!("/v1/consultations/{visit}/guardian"), &adult).send().await.expect(200);
        start().await.expect(200);
        let done = doctor.person.act(visit, "complete", &json!({ "summary": summary })).send().await;
        assert!(!done.text().contains(&summary));
        done.expect(200);

        let own = format!("/v1/patients/{}/records", keeper.id);
        let theirs = format!("{own}?dependant={id}");
        for reader in [&keeper, &doctor.person] {
            let page = reader.client.get(&theirs).send().await.expect(200);
            assert_eq!(
                (&page["items"][0]["consultation_id"], &page["items"][0]["summary"]),
                (&json!(visit), &json!(summary))
            );
        }
        assert_eq!(keeper.client.get(&own).send().await.expect(200)["items"], json!([]));
        // Who treats the child does not treat the parent, and nobody reads by another's id.
        doctor.person.client.get(&own).send().await.refused(404, "not_found");
        stranger.client.get(&theirs).send().await.refused(404, "not_found");
        let by_another = format!("/v1/patients/{}/records?dependant={id}", stranger.id);
        stranger.client.get(&by_another).send().await.refused(404, "not_found");

        keeper.client.call("DELETE", &path(&id)).send().await.expect(204);
        assert_eq!(keeper.client.get(&theirs).send().await.expect(200)["items"].as_array().unwrap().len(), 1);
        let dump = stack.database.whole_dump().await;
        for secret in [&name, &reason, &summary] {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(!dump.contains(secret) && !dump.contains(&hex), "the database holds {secret}");
        }
    });
}

#[test]
fn a_family_comes_at_one_time_but_nobody_twice() {
    on_shared(async |stack| {
        let doctors = [stack.doctor(1).await, stack.doctor(1).await, stack.doctor(1).await];
        let keeper = stack.patient("keeper").await;
        let (one, other) = (kept(&keeper, &child("One")).await, kept(&keeper, &child("Other")).await);
        let book = async |doctor: usize, whom: Option<&str>| {
            let mut wish = booking(&doctors[doctor].slots().await[0]);
            wish["for_dependent"] = json!(whom);
            keeper.client.post("/v1/consultations", &wish).key(&unique("k")).send().await
        };
        book(0, Some(&one)).await.expect(201);
        book(1, Some(&one)).await.refused(409, "overlapping_consultation");
        book(1, Some(&other)).await.expect(201);
        book(2, None).await.expect(201);
    });
}

#[test]
fn ten_are_kept_however_many_are_added_at_once() {
    on_shared(async |stack| {
        let keeper = stack.patient("keeper").await;
        let body = child("One of many");
        let added = futures::future::join_all((0..16).map(|_| async {
            // Those who met too many others come again.
            loop {
                let reply = keeper.client.post("/v1/me/dependants", &body).send().await;
                if reply.status != 503 {
                    return reply.status;
                }
            }
        }))
        .await;
        assert_eq!(added.iter().filter(|status| **status == 201).count(), 10, "{added:?}");
        assert!(added.iter().all(|status| matches!(status, 201 | 409)), "{added:?}");
    });
}

#[test]
fn nobody_is_booked_for_who_is_kept_no_more() {
    on_shared(async |stack| {
        let (doctor, keeper) = (stack.doctor(1).await, stack.patient("keeper").await);
        let slots = doctor.slots().await;
        let mut ended = [0, 0];
        for slot in slots.iter().take(12) {
            let id = kept(&keeper, &child("Kavya")).await;
            let mut wish = booking(slot);
            wish["for_dependent"] = json!(id);
            let remove = keeper.client.call("DELETE", &path(&id)).send();
            let book = keeper.client.post("/v1/consultations", &wish).key(&unique("k")).send();
            let (removed, booked) = futures::join!(remove, book);
            let won = [removed.status == 204, booked.status == 201];
            assert!(won[0] != won[1], "{} {}, {} {}", removed.status, removed.text(), booked.status, booked.text());
            ended[usize::from(won[1])] += 1;
            if won[1] {
                let visit = booked.json()["id"].as_str().unwrap().to_owned();
                keeper.act(&visit, "cancel", &json!({ "reason": "patient_other" })).send().await.expect(200);
                keeper.client.call("DELETE", &path(&id)).send().await.expect(204);
            }
        }
        assert_eq!(ended.iter().sum::<i32>(), 12);
        check_calendar(stack, &keeper).await;
    });
}

/// The calendar names the live visits, each with its dependant.
async fn check_calendar(stack: &Stack, keeper: &Person) {
    let differing = format!(
        "SELECT count(*) FROM patient_calendars p, jsonb_array_elements(p.live) v \
           LEFT JOIN consultations c ON c.id = (v ->> 'consultation_id')::uuid \
           WHERE p.patient_id = '{}' AND c.dependant_id IS DISTINCT FROM (v ->> 'dependant_id')::uuid",
        keeper.id
    );
    assert_eq!(stack.sql().await.value::<i64>(&differing).await, 0);
}
