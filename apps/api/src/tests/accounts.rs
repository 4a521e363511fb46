use super::{Api, PASSWORD, unlimited, with_token};
use crate::{http::Headers, services::Limits};
use actix_web::test::TestRequest;
use amrutam_booking::model::PaymentsMode;
use amrutam_identity::model::IdentityRules;
use serde_json::json;

#[actix_web::test]
async fn a_person_registers_logs_in_and_sees_themself() {
    let api = Api::new().await;
    let body = json!({
        "email": " Asha@Example.in", "password": PASSWORD, "full_name": "Asha Nair", "phone": "+919812345678",
        "date_of_birth": "1990-04-12", "sex": "female"
    });
    let answer = api.post("/v1/auth/register", None, &body).await.is(201);
    assert_eq!(answer.json()["email"], "asha@example.in");
    let token = api.log_in("asha@example.in").await;
    let me = api.get("/v1/me", Some(&token)).await.is(200);
    assert_eq!(me.header("cache-control"), Some("no-store"));
    assert_eq!(me.header("etag"), Some("\"1\""));
    let me = me.json();
    assert_eq!(
        (&me["role"], &me["sex"], &me["date_of_birth"]),
        (&json!("patient"), &json!("female"), &json!("1990-04-12"))
    );
    assert_eq!(me["time_zone"], "Asia/Kolkata");
}

#[actix_web::test]
async fn a_known_address_is_answered_like_a_new_one() {
    let api = Api::new().await;
    let body = json!({ "email": "asha@example.in", "password": PASSWORD, "full_name": "Asha Nair" });
    let mut first = api.post("/v1/auth/register", None, &body).await.is(201).json();
    let mut second = api.post("/v1/auth/register", None, &body).await.is(201).json();
    assert_ne!(first["id"].take(), second["id"].take());
    assert_eq!(first, second);
    assert_eq!(api.world.accounts().len(), 1);
}

#[actix_web::test]
async fn whoever_is_not_let_in_hears_one_word() {
    let api = Api::new().await;
    api.patient("asha@example.in").await;
    for (email, password) in
        [("asha@example.in", "wrong password"), ("nobody@example.in", PASSWORD), ("not an address", PASSWORD)]
    {
        let answer = api.post("/v1/auth/login", None, &json!({ "email": email, "password": password })).await;
        answer.is_problem(401, "invalid_credentials");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
}

#[actix_web::test]
async fn nobody_is_let_in_before_their_address_is_verified() {
    let (rules, limits, headers) = (IdentityRules::default(), Limits::default(), Headers::default());
    let api = Api::ruled(rules, PaymentsMode::None, limits, headers, unlimited()).await;
    let body = json!({ "email": "asha@example.in", "password": PASSWORD, "full_name": "Asha Nair" });
    api.post("/v1/auth/register", None, &body).await.is(201);
    let body = json!({ "email": "asha@example.in", "password": PASSWORD });
    api.post("/v1/auth/login", None, &body).await.is_problem(401, "invalid_credentials");
}

#[actix_web::test]
async fn every_invalid_value_of_a_registration_is_named() {
    let api = Api::new().await;
    let body = json!({
        "email": "x", "password": "short", "full_name": " ", "phone": "0123", "date_of_birth": "2090-01-01", "sex": "x",
        "time_zone": "Mars/Olympus"
    });
    let answer = api.post("/v1/auth/register", None, &body).await;
    answer.is_problem(422, "validation_failed");
    let body = answer.json();
    let pointers: Vec<_> = body["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/email", "/password", "/full_name", "/phone", "/date_of_birth", "/sex", "/time_zone"]);
    assert!(api.world.accounts().is_empty());
}

#[actix_web::test]
async fn only_an_admin_makes_accounts_and_none_for_patients() {
    let api = Api::new().await;
    let (admin, patient) = (api.admin().await, api.patient("asha@example.in").await);
    let staff =
        |role: &str| json!({ "email": "rao@example.in", "password": PASSWORD, "full_name": "Rao", "role": role });
    api.post("/v1/admin/accounts", Some(&patient), &staff("doctor")).await.is_problem(403, "forbidden");
    api.post("/v1/admin/accounts", Some(&admin), &staff("patient")).await.is_problem(422, "validation_failed");
    api.post("/v1/admin/accounts", Some(&admin), &staff("doctor")).await.is(201);
    api.post("/v1/admin/accounts", Some(&admin), &staff("doctor")).await.is_problem(409, "email_taken");
}

#[actix_web::test]
async fn a_token_is_one_sane_header_that_is_ours() {
    let api = Api::new().await;
    let token = api.patient("asha@example.in").await;
    let me = || TestRequest::get().uri("/v1/me");
    let good = format!("Bearer {token}");
    for request in [
        me(),
        me().insert_header(("authorization", token.as_str())),
        me().insert_header(("authorization", "Bearer x")),
        me().insert_header(("authorization", format!("Basic {token}"))),
        me().append_header(("authorization", good.as_str())).append_header(("authorization", good.as_str())),
        me().insert_header(("authorization", format!("Bearer {}", "a".repeat(9_000)))),
    ] {
        let answer = api.send(request).await;
        answer.is_problem(401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    api.send(me().insert_header(("authorization", good.as_str()))).await.is(200);
    api.get("/v1/doctors", Some("x")).await.is_problem(401, "unauthenticated");
    api.clock.advance(jiff::SignedDuration::from_mins(16));
    api.get("/v1/me", Some(&token)).await.is_problem(401, "unauthenticated");
}

#[actix_web::test]
async fn a_token_whose_session_has_ended_is_on_its_accounts_record_once_a_minute() {
    let api = Api::new().await;
    let token = api.patient("asha@example.in").await;
    api.send(with_token(TestRequest::post().uri("/v1/auth/logout"), Some(&token))).await.is(204);
    let refused = || api.world.audit().into_iter().filter(|entry| entry.action == "session.use").collect::<Vec<_>>();
    assert!(refused().is_empty());
    for _ in 0..3 {
        api.get("/v1/me", Some(&token)).await.is_problem(401, "unauthenticated");
    }
    let told = refused();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].outcome, amrutam_kernel::Outcome::Denied);
    assert_eq!(told[0].patient, Some(api.world.accounts()[0].id));
    // No token at all is no access of anybody's.
    api.get("/v1/me", None).await.is_problem(401, "unauthenticated");
    assert_eq!(refused().len(), 1);
}
