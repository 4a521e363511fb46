use super::{Api, monday, profile, with_token};
use actix_web::{http::Method, test::TestRequest};
use serde_json::json;

#[actix_web::test]
async fn a_profile_is_public_once_verified() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let path = format!("/v1/doctors/{}", cast.doctor_id);
    let public = api.get(&path, None).await.is(200);
    assert_eq!(public.header("cache-control"), Some("public, max-age=30"));
    assert_eq!(public.json()["account_id"], json!(null));
    let tag = public.header("etag").unwrap().to_owned();
    let again = api.send(TestRequest::get().uri(&path).insert_header(("if-none-match", tag))).await.is(304);
    assert_eq!(again.text, "");

    let own = api.get(&path, Some(&cast.doctor)).await.is(200);
    assert!(own.json()["account_id"].is_string());
    assert_eq!((own.header("cache-control"), own.header("etag")), (Some("no-store"), Some("\"2\"")));

    api.post(&format!("/v1/admin/doctors/{}/suspend", cast.doctor_id), Some(&cast.admin), &json!({})).await.is(200);
    api.get(&path, None).await.is_problem(404, "not_found");
    api.get(&format!("{path}/slots"), None).await.is_problem(404, "not_found");
    let refused =
        api.post(&format!("/v1/admin/doctors/{}/suspend", cast.doctor_id), Some(&cast.admin), &json!({})).await;
    refused.is_problem(409, "invalid_transition");
    assert_eq!((&refused.json()["from"], &refused.json()["to"]), (&json!("suspended"), &json!("suspended")));
}

#[actix_web::test]
async fn a_stale_copy_is_not_written_back() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let path = format!("/v1/doctors/{}", cast.doctor_id);
    let patch = |tag: &'static str, token: &str| {
        let request = TestRequest::patch().uri(&path).insert_header(("if-match", tag));
        api.send(with_token(request, Some(token)).set_json(json!({ "bio": "New." })))
    };
    patch("\"1\"", &cast.doctor).await.is_problem(412, "precondition_failed");
    patch("\"x\"", &cast.doctor).await.is_problem(412, "precondition_failed");
    patch("\"2\"", &cast.patient).await.is_problem(403, "forbidden");
    patch("\"1\", \"3\"", &cast.doctor).await.is_problem(412, "precondition_failed");
    let changed = patch("\"1\", \"2\"", &cast.doctor).await.is(200);
    assert_eq!((&changed.json()["bio"], changed.header("etag")), (&json!("New."), Some("\"3\"")));
    let invalid =
        api.call(Method::PATCH, &path, &cast.doctor, &json!({ "specializations": ["x"], "languages": ["ml"] })).await;
    invalid.is_problem(422, "validation_failed");
    assert_eq!(invalid.json()["errors"][0]["pointer"], "/specializations");
}

#[actix_web::test]
async fn what_a_profile_needs_can_t_be_cleared() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let path = format!("/v1/doctors/{}", cast.doctor_id);
    let needed = [
        "full_name",
        "council",
        "registration_number",
        "qualifications",
        "specializations",
        "languages",
        "bio",
        "system",
        "modes",
        "fee",
        "time_zone",
    ];
    let all: serde_json::Map<_, _> = needed.iter().map(|field| ((*field).to_owned(), json!(null))).collect();
    let answer = api.call(Method::PATCH, &path, &cast.doctor, &json!(all)).await;
    answer.is_problem(422, "validation_failed");
    let body = answer.json();
    let refused: Vec<_> = body["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    assert_eq!(refused, needed.map(|field| format!("/{field}")));
    let cleared = json!({ "valid_until": null, "registered_on": null });
    api.call(Method::PATCH, &path, &cast.doctor, &cleared).await.is(200);
}

#[actix_web::test]
async fn a_number_out_of_range_is_a_wrong_value_and_its_range_is_named() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let path = format!("/v1/doctors/{}/availability", cast.doctor_id);
    for (field, number, range) in [
        ("slot_minutes", json!(-20), "5 to 240"),
        ("slot_minutes", json!(70_000), "5 to 240"),
        ("slot_minutes", json!(1e300), "5 to 240"),
        ("buffer_minutes", json!(-1), "0 to 120"),
        ("buffer_minutes", json!(u64::MAX), "0 to 120"),
    ] {
        let mut rule = monday();
        rule[field] = number.clone();
        let answer = api.call(Method::PUT, &path, &cast.doctor, &json!({ "rules": [rule] })).await;
        answer.is_problem(422, "validation_failed");
        let error = answer.json()["errors"][0].clone();
        let place = format!("/rules/0/{field}");
        assert_eq!((&error["pointer"], &error["code"]), (&json!(place), &json!("out_of_range")), "{number}");
        assert!(error["detail"].as_str().unwrap().starts_with(range), "{error}");
    }
    for amount in [json!(-1), json!(u64::MAX), json!(1e300)] {
        let fee = json!({ "fee": { "amount": amount, "currency": "INR" } });
        let answer = api.call(Method::PATCH, &format!("/v1/doctors/{}", cast.doctor_id), &cast.doctor, &fee).await;
        answer.is_problem(422, "validation_failed");
        let error = answer.json()["errors"][0].clone();
        assert_eq!((&error["pointer"], &error["code"]), (&json!("/fee/amount"), &json!("out_of_range")), "{amount}");
        assert!(error["detail"].as_str().unwrap().contains("between 0 and 1000000000"), "{error}");
    }
}

#[actix_web::test]
async fn who_makes_whose_profile() {
    let api = Api::new().await;
    let cast = api.cast().await;
    api.post("/v1/doctors", Some(&cast.patient), &profile()).await.is_problem(403, "forbidden");
    api.post("/v1/doctors", Some(&cast.admin), &profile()).await.is_problem(422, "not_a_doctors_account");
    api.post("/v1/doctors", Some(&cast.doctor), &profile()).await.is_problem(409, "profile_exists");
    let mut bad = profile();
    bad["fee"] = json!({ "amount": -1, "currency": "INR" });
    bad["modes"] = json!([]);
    bad["system"] = json!("astrology");
    let answer = api.post("/v1/doctors", Some(&cast.doctor), &bad).await;
    answer.is_problem(422, "validation_failed");
    assert_eq!(answer.json()["errors"].as_array().map(Vec::len), Some(3));
}

#[actix_web::test]
async fn the_directory_is_searched_in_pages() {
    let api = Api::new().await;
    let cast = api.cast().await;
    for (query, found) in [
        ("", 1),
        ("?q=meera", 1),
        ("?q=nobody", 0),
        ("?specialization=kayachikitsa", 1),
        ("?language=hi", 0),
        ("?mode=chat", 0),
        ("?max_fee=49900&sort=fee", 1),
        ("?max_fee=1", 0),
        ("?available_from=2026-11-23T00:00:00Z&available_to=2026-11-24T00:00:00Z", 1),
        ("?available_from=2026-11-24T00:00:00+05:30&available_to=2026-11-25T00:00:00+05:30", 0),
    ] {
        let answer = api.get(&format!("/v1/doctors{query}"), None).await.is(200);
        assert_eq!(answer.json()["items"].as_array().map(Vec::len), Some(found), "{query}");
    }
    for (query, status, code) in [
        ("?limit=0", 422, "validation_failed"),
        ("?limit=101", 422, "validation_failed"),
        ("?limit=x", 422, "validation_failed"),
        ("?mode=x", 422, "validation_failed"),
        ("?sort=x", 422, "validation_failed"),
        ("?max_fee=-1", 422, "validation_failed"),
        ("?available_from=2026-11-23T00:00:00Z", 422, "validation_failed"),
        ("?cursor=x", 400, "invalid_cursor"),
        ("?x=1", 400, "unknown_field"),
        ("?q=1&q=2", 400, "malformed_query"),
        ("?q=%ff", 400, "malformed_query"),
    ] {
        api.get(&format!("/v1/doctors{query}"), None).await.is_problem(status, code);
    }
    assert!(api.get("/v1/specializations", None).await.is(200).json()["items"].as_array().unwrap().len() > 10);
    api.get(&format!("/v1/doctors/{}", cast.doctor_id.to_uppercase()), None).await.is_problem(404, "not_found");
}

#[actix_web::test]
async fn slots_come_in_pages_whose_link_leads_on() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let mut path = format!("/v1/doctors/{}/slots?limit=2&mode=audio", cast.doctor_id);
    let mut seen = Vec::new();
    loop {
        let page = api.get(&path, None).await.is(200);
        seen.extend(
            page.json()["items"].as_array().unwrap().iter().map(|slot| slot["id"].as_str().unwrap().to_owned()),
        );
        let Some(link) = page.header("link") else { break };
        path = link.split(['<', '>']).nth(1).unwrap().to_owned();
        assert!(path.contains("mode=audio") && path.contains("cursor="), "{path}");
    }
    assert_eq!(seen, cast.slots);
    let cursor = path.split("cursor=").nth(1).unwrap();
    let other = format!("/v1/doctors/{}/slots?limit=2&cursor={cursor}", cast.doctor_id);
    api.get(&other, None).await.is_problem(400, "invalid_cursor");
    for range in ["from=2026-11-23T00:00:00Z&to=2026-11-22T00:00:00Z", "to=2027-11-23T00:00:00Z", "from=yesterday"] {
        api.get(&format!("/v1/doctors/{}/slots?{range}", cast.doctor_id), None)
            .await
            .is_problem(422, "validation_failed");
    }
}

#[actix_web::test]
async fn hours_change_and_booked_slots_are_named_not_touched() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let booked = api.book(&cast.patient, "k", &cast.wish(0)).await.is(201).json();
    let path = format!("/v1/doctors/{}/availability", cast.doctor_id);
    api.get(&path, Some(&cast.patient)).await.is_problem(403, "forbidden");
    let state = api.get(&path, Some(&cast.doctor)).await.is(200);
    assert_eq!(state.json()["rules"][0]["start"], "09:00");
    let answer = api.call(Method::PUT, &path, &cast.doctor, &json!({ "rules": [] })).await.is(200).json();
    assert_eq!(answer["outside_rules"][0]["consultation_id"], booked["id"]);
    assert_eq!((&answer["slots"]["created"], &answer["rules"]), (&json!(0), &json!([])));
    assert!(answer["slots"]["withdrawn"].as_u64().unwrap() > 0);
    let bad = json!({ "rules": [monday(), monday(), { "weekday": "someday", "start": "9", "end": "25:00", "slot_minutes": 20, "modes": ["x"] }] });
    let answer = api.call(Method::PUT, &path, &cast.doctor, &bad).await;
    answer.is_problem(422, "validation_failed");
    assert_eq!(answer.json()["errors"][0]["pointer"], "/rules/2/weekday");
    let answer = api.call(Method::PUT, &path, &cast.doctor, &json!({ "rules": [monday(), monday()] })).await;
    answer.is_problem(422, "validation_failed");
    assert_eq!(answer.json()["errors"][0]["pointer"], "/rules/1/start");
}

#[actix_web::test]
async fn an_absence_takes_slots_and_gives_them_back() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let path = format!("/v1/doctors/{}/time-off", cast.doctor_id);
    let off = json!({ "from": "2026-11-23T00:00:00+05:30", "to": "2026-11-24T00:00:00+05:30", "note": "Away" });
    let added = api.post(&path, Some(&cast.doctor), &off).await.is(201);
    assert_eq!(added.json()["slots"]["withdrawn"], cast.slots.len());
    let location = added.header("location").unwrap().to_owned();
    assert_eq!(api.get(&path, Some(&cast.doctor)).await.is(200).json()["items"].as_array().map(Vec::len), Some(1));
    let delete = |token: &str| api.send(with_token(TestRequest::delete().uri(&location), Some(token)));
    delete(&cast.patient).await.is_problem(403, "forbidden");
    delete(&cast.doctor).await.is(204);
    delete(&cast.doctor).await.is_problem(404, "not_found");
    for bad in
        [json!({ "from": "2026-11-24T00:00:00Z", "to": "2026-11-23T00:00:00Z" }), json!({ "from": "x", "to": "y" })]
    {
        api.post(&path, Some(&cast.doctor), &bad).await.is_problem(422, "validation_failed");
    }
}

#[actix_web::test]
async fn a_new_zone_moves_the_slots_and_what_was_verified_stays() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let path = format!("/v1/doctors/{}", cast.doctor_id);
    let moved = api.call(Method::PATCH, &path, &cast.doctor, &json!({ "time_zone": "Europe/London" })).await.is(200);
    assert!(moved.json()["slots"]["created"].as_u64().unwrap() > 0);
    assert_eq!((&moved.json()["outside_rules"], &moved.json()["time_zone"]), (&json!([]), &json!("Europe/London")));
    let plain = api.call(Method::PATCH, &path, &cast.doctor, &json!({ "bio": "New." })).await.is(200);
    assert_eq!((&plain.json()["slots"], &plain.json()["outside_rules"]), (&json!(null), &json!(null)));
    let refused = api.call(Method::PATCH, &path, &cast.doctor, &json!({ "valid_until": null, "full_name": "X" })).await;
    refused.is_problem(422, "validation_failed");
    assert_eq!(refused.json()["errors"][0]["pointer"], "/full_name");
    for (query, found) in [("?sort=fee", 1), ("?sort=fee&currency=USD", 0), ("?max_fee=9999999&currency=USD", 0)] {
        assert_eq!(
            api.get(&format!("/v1/doctors{query}"), None).await.is(200).json()["items"].as_array().map(Vec::len),
            Some(found),
            "{query}"
        );
    }
    api.get("/v1/doctors?currency=rupees", None).await.is_problem(422, "validation_failed");
}
