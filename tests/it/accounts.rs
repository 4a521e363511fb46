//! The life of an account: made, proven, changed, recovered, closed.

use amrutam_tests::support::{Person, Reply, Stack, on_shared, subject, unique};
use serde_json::{Value, json};
use std::collections::BTreeMap;

async fn log_in(stack: &Stack, email: &str, password: &str) -> Reply {
    stack.anonymous().post("/v1/auth/login", &json!({ "email": email, "password": password })).send().await
}

async fn with_token(stack: &Stack, act: &str, token: &str) -> Reply {
    stack.anonymous().post(&format!("/v1/auth/{act}"), &json!({ "token": token })).send().await
}

async fn set_password(stack: &Stack, act: &str, token: &str, password: &str) -> Reply {
    let body = json!({ "token": token, "password": password });
    stack.anonymous().post(&format!("/v1/auth/{act}"), &body).send().await
}

async fn forget(stack: &Stack, email: &str) -> Reply {
    stack.anonymous().post("/v1/auth/password/forgot", &json!({ "email": email })).send().await
}

/// The token of the link that was mailed to somebody, the last of so many.
async fn mailed(stack: &Stack, to: &str, subject: &str, count: usize) -> String {
    stack.mail.mails_about(to, subject, count).await[count - 1].token().to_owned()
}

async fn verified(stack: &Stack, name: &str) -> Person {
    let patient = stack.patient(name).await;
    let token = mailed(stack, &patient.email, subject::VERIFY, 1).await;
    assert_eq!(with_token(stack, "email/verify", &token).await.status, 204);
    patient
}

/// How many links of this purpose were ever made for an account.
async fn links(stack: &Stack, account: &str, purpose: &str) -> i64 {
    let query = format!("SELECT count(*) FROM account_links WHERE account_id = '{account}' AND purpose = '{purpose}'");
    stack.sql().await.value(&query).await
}

async fn me(person: &Person) -> Reply {
    person.client.get("/v1/me").send().await
}

async fn assert_out(person: &Person) {
    me(person).await.refused(401, "unauthenticated");
}

async fn assert_in(person: &Person) {
    me(person).await.expect(200);
}

/// What two answers may differ in: when, whose turn it is, and how often has been asked.
fn comparable(reply: &Reply) -> BTreeMap<String, String> {
    let own = ["date", "x-correlation-id", "ratelimit", "traceparent"];
    let shown = |name: &str| if own.contains(&name) { String::new() } else { reply.header(name).to_owned() };
    reply.headers.keys().map(|name| (name.to_string(), shown(name.as_str()))).collect()
}

#[test]
fn an_address_is_verified_by_the_link_that_was_mailed_there() {
    on_shared(async |stack| {
        let patient = stack.patient("asha").await;
        assert_eq!(me(&patient).await.expect(200)["email_verified"], false);
        let first = mailed(stack, &patient.email, subject::VERIFY, 1).await;
        // Asked for once more, the one before is void.
        let again = patient.client.call("POST", "/v1/me/email/verification").send().await;
        assert_eq!(again.status, 202, "{}", again.text());
        let second = mailed(stack, &patient.email, subject::VERIFY, 2).await;
        let refused = with_token(stack, "email/verify", &first).await.refused(422, "invalid_link");
        assert_eq!(refused["errors"][0]["pointer"], "/token");
        // It is for one purpose.
        set_password(stack, "password/reset", &second, "quite another one").await.refused(422, "invalid_link");
        set_password(stack, "invitation/accept", &second, "quite another one").await.refused(422, "invalid_link");
        assert_eq!(me(&patient).await.expect(200)["email_verified"], false);

        assert_eq!(with_token(stack, "email/verify", &second).await.status, 204);
        assert_eq!(me(&patient).await.expect(200)["email_verified"], true);
        with_token(stack, "email/verify", &second).await.refused(422, "invalid_link");
        for made_up in ["", "x", &"A".repeat(64), &"A".repeat(5_000)] {
            with_token(stack, "email/verify", made_up).await.refused(422, "invalid_link");
        }
    });
}

#[test]
fn a_known_address_gets_the_same_answer_and_its_owner_a_mail() {
    on_shared(async |stack| {
        let patient = stack.patient("asha").await;
        let register = async |email: &str| {
            let body = json!({ "email": email, "password": "another password", "full_name": "Somebody Else" });
            stack.anonymous().post("/v1/auth/register", &body).send().await
        };
        // As long as the other.
        let fresh = format!("{}@patients.example", unique("ravi"));
        let (known, new) = (register(&patient.email).await, register(&fresh).await);
        assert_eq!((known.status, new.status), (201, 201));
        assert_eq!(comparable(&known), comparable(&new));
        let body = |reply: &Reply| {
            let mut body = reply.json();
            body["email"] = Value::Null;
            body["id"] = json!(body["id"].as_str().unwrap().len());
            body
        };
        assert_eq!(body(&known), body(&new));
        assert_ne!(known.json()["id"], json!(patient.id), "the owner's id is not told");
        let mail = stack.mail.mail(&patient.email, "Somebody registered").await;
        assert!(!mail.text.contains("token="), "{}", mail.text);
        // The password is still the first one.
        log_in(stack, &patient.email, "another password").await.refused(401, "invalid_credentials");
        log_in(stack, &patient.email, &patient.password).await.expect(200);
    });
}

#[test]
fn a_forgotten_password_is_reset_by_a_link_and_every_session_ends() {
    on_shared(async |stack| {
        let patient = verified(stack, "asha").await;
        let elsewhere = patient.elsewhere().await;
        let (known, unknown) =
            (forget(stack, &patient.email).await, forget(stack, &format!("{}@x.example", unique("nobody"))).await);
        assert_eq!((known.status, unknown.status), (202, 202));
        assert_eq!((comparable(&known), &known.body), (comparable(&unknown), &unknown.body));
        assert_eq!(forget(stack, "no address").await.status, 202);

        let first = mailed(stack, &patient.email, subject::RESET, 1).await;
        forget(stack, &patient.email).await;
        let token = mailed(stack, &patient.email, subject::RESET, 2).await;
        set_password(stack, "password/reset", &first, "quite another one").await.refused(422, "invalid_link");
        with_token(stack, "email/verify", &token).await.refused(422, "invalid_link");
        // A password that won't do does not spend the link, and asking ends nothing.
        let refused = set_password(stack, "password/reset", &token, "password123").await;
        assert_eq!(refused.refused(422, "validation_failed")["errors"][0]["code"], "breached_password");
        assert_in(&patient).await;

        assert_eq!(set_password(stack, "password/reset", &token, "quite another one").await.status, 204);
        for session in [&patient, &elsewhere] {
            assert_out(session).await;
            let refresh = json!({ "refresh_token": session.refresh_token });
            let refused = stack.anonymous().post("/v1/auth/refresh", &refresh).send().await;
            assert_eq!(refused.status, 401, "{}", refused.text());
        }
        log_in(stack, &patient.email, &patient.password).await.refused(401, "invalid_credentials");
        log_in(stack, &patient.email, "quite another one").await.expect(200);
        set_password(stack, "password/reset", &token, "and yet another").await.refused(422, "invalid_link");
        stack.mail.mail(&patient.email, "Your password has changed").await;
    });
}

#[test]
fn who_forgot_before_verifying_sets_a_new_password_and_is_verified_by_that() {
    on_shared(async |stack| {
        let patient = stack.patient("asha").await;
        mailed(stack, &patient.email, subject::VERIFY, 1).await;
        assert_eq!(forget(stack, &patient.email).await.status, 202);
        let token = mailed(stack, &patient.email, subject::RESET, 1).await;
        assert_eq!(set_password(stack, "password/reset", &token, "quite another one").await.status, 204);
        assert_out(&patient).await;
        log_in(stack, &patient.email, &patient.password).await.refused(401, "invalid_credentials");
        let own = log_in(stack, &patient.email, "quite another one").await.expect(200);
        let own = stack.anonymous().with_token(own["access_token"].as_str().unwrap());
        assert_eq!(own.get("/v1/me").send().await.expect(200)["email_verified"], true);
    });
}

#[test]
fn a_changed_password_ends_the_other_sessions() {
    on_shared(async |stack| {
        let patient = verified(stack, "asha").await;
        let elsewhere = patient.elsewhere().await;
        forget(stack, &patient.email).await;
        let link = mailed(stack, &patient.email, subject::RESET, 1).await;
        let change = async |current: &str, new: &str| {
            let body = json!({ "current_password": current, "new_password": new });
            patient.client.post("/v1/me/password", &body).send().await
        };
        let wrong = change("not the password", "quite another one").await.refused(422, "wrong_password");
        assert_eq!(wrong["errors"][0]["pointer"], "/current_password");
        let breached = change(&patient.password, "password123").await.refused(422, "validation_failed");
        assert_eq!(
            (&breached["errors"][0]["pointer"], &breached["errors"][0]["code"]),
            (&json!("/new_password"), &json!("breached_password"))
        );
        assert_in(&elsewhere).await;

        assert_eq!(change(&patient.password, "quite another one").await.status, 204);
        assert_in(&patient).await;
        assert_out(&elsewhere).await;
        log_in(stack, &patient.email, &patient.password).await.refused(401, "invalid_credentials");
        log_in(stack, &patient.email, "quite another one").await.expect(200);
        stack.mail.mail(&patient.email, "Your password has changed").await;
        // Whoever had asked for a link before can't use it any more.
        set_password(stack, "password/reset", &link, "and yet another").await.refused(422, "invalid_link");
    });
}

#[test]
fn who_is_invited_chooses_the_password() {
    on_shared(async |stack| {
        let admin = &stack.admin().await.client;
        let (email, password) = (format!("{}@doctors.example", unique("vaidya")), unique("a password"));
        let invitation = json!({ "email": email, "full_name": "Dr. Meera Rao", "role": "doctor" });
        let invite = async || admin.post("/v1/admin/invitations", &invitation).send().await;
        let invited = invite().await.expect(201);
        assert_eq!(invited, json!({ "id": invited["id"], "role": "doctor" }));
        let first = mailed(stack, &email, subject::INVITATION, 1).await;
        assert_eq!(invite().await.expect(201), invited, "the same account");
        let token = mailed(stack, &email, subject::INVITATION, 2).await;
        set_password(stack, "invitation/accept", &first, &password).await.refused(422, "invalid_link");
        set_password(stack, "password/reset", &token, &password).await.refused(422, "invalid_link");
        // Until then nobody logs in, and nothing else sets a password.
        for guess in ["", "a password", &password] {
            log_in(stack, &email, guess).await.refused(401, "invalid_credentials");
        }
        assert_eq!(forget(stack, &email).await.status, 202);

        assert_eq!(set_password(stack, "invitation/accept", &token, &password).await.status, 204);
        set_password(stack, "invitation/accept", &token, "quite another one").await.refused(422, "invalid_link");
        let doctor = Person::log_in(&stack.anonymous(), &email, &password).await;
        let account = me(&doctor).await.expect(200);
        assert_eq!(
            json!([account["id"], account["role"], account["email_verified"], account["full_name"]]),
            json!([invited["id"], "doctor", true, "Dr. Meera Rao"])
        );
        invite().await.refused(409, "email_taken");
        assert_eq!(links(stack, invited["id"].as_str().unwrap(), "reset_password").await, 0);

        let key = unique("key");
        let other = json!({ "email": format!("{}@x.example", unique("s")), "full_name": "Support", "role": "support" });
        let once = async || admin.post("/v1/admin/invitations", &other).key(&key).send().await;
        let (one, two) = (once().await, once().await);
        assert_eq!((one.status, two.header("idempotency-replayed"), &one.body), (201, "true", &two.body));
        let patient = json!({ "email": "a@x.example", "full_name": "A", "role": "patient" });
        let refused = admin.post("/v1/admin/invitations", &patient).send().await.refused(422, "validation_failed");
        assert_eq!(refused["errors"][0]["pointer"], "/role");
    });
}

#[test]
fn a_closed_account_lets_nobody_in() {
    on_shared(async |stack| {
        let admin = stack.admin().await;
        let patient = verified(stack, "asha").await;
        let elsewhere = patient.elsewhere().await;
        let close = async |password: &str| {
            patient.client.post("/v1/me/deactivate", &json!({ "password": password })).send().await
        };
        close("not the password").await.refused(422, "wrong_password");
        assert_in(&elsewhere).await;
        assert_eq!(close(&patient.password).await.status, 204);

        let other = verified(stack, "ravi").await;
        let doctor = stack.doctor_account("doctor").await;
        for person in [&other, &doctor] {
            let path = format!("/v1/admin/accounts/{}/deactivate", person.id);
            assert_eq!(admin.client.call("POST", &path).send().await.status, 204);
            admin.client.call("POST", &path).send().await.refused(404, "not_found");
        }
        for person in [&patient, &elsewhere, &other, &doctor] {
            assert_out(person).await;
            log_in(stack, &person.email, &person.password).await.refused(401, "invalid_credentials");
            let refresh = json!({ "refresh_token": person.refresh_token });
            assert_eq!(stack.anonymous().post("/v1/auth/refresh", &refresh).send().await.status, 401);
        }
        // Nothing mailed opens it again.
        assert_eq!(forget(stack, &patient.email).await.status, 202);
        assert_eq!(links(stack, &patient.id, "reset_password").await, 0);
        // An admin's own account takes the password as well.
        let own = format!("/v1/admin/accounts/{}/deactivate", admin.id);
        admin.client.call("POST", &own).send().await.refused(422, "wrong_password");
        assert_in(admin).await;
    });
}

#[test]
fn a_profile_changes_where_it_was_read() {
    on_shared(async |stack| {
        let patient = stack.patient("asha").await;
        let change = async |body: Value, etag: &str| {
            let call = patient.client.call("PATCH", "/v1/me").json(&body);
            if etag.is_empty() { call.send().await } else { call.header("if-match", etag).send().await }
        };
        let first = me(&patient).await;
        let etag = first.header("etag").to_owned();
        let details = json!({ "phone": "+919812345678", "date_of_birth": "1990-04-12", "sex": "female" });
        let changed = change(details.clone(), &etag).await;
        let newer = changed.header("etag").to_owned();
        assert_ne!(newer, etag);
        let mut expected = first.json();
        for name in ["phone", "date_of_birth", "sex"] {
            assert_eq!(expected[name], Value::Null);
            expected[name] = details[name].clone();
        }
        assert_eq!(changed.expect(200), expected);

        change(json!({ "full_name": "Too Late" }), &etag).await.refused(412, "precondition_failed");
        let read = me(&patient).await;
        assert_eq!((read.header("etag"), read.json()), (newer.as_str(), expected.clone()));

        // What is left out stays; null clears what may be absent, and nothing else.
        let cleared = change(json!({ "phone": null, "full_name": "Asha Nair" }), "").await.expect(200);
        expected["phone"] = Value::Null;
        expected["full_name"] = json!("Asha Nair");
        assert_eq!(cleared, expected);
        for name in ["full_name", "time_zone"] {
            let refused = change(json!({ name: null }), "").await.refused(422, "validation_failed");
            assert_eq!(refused["errors"][0]["pointer"], format!("/{name}"));
        }
        for owned in ["role", "email", "email_verified", "id"] {
            let refused = change(json!({ owned: "admin" }), "").await.refused(400, "unknown_field");
            assert_eq!(refused["errors"][0]["pointer"], format!("/{owned}"));
        }
        assert_eq!(me(&patient).await.expect(200), expected);
    });
}

#[test]
fn a_password_that_everybody_knows_is_refused() {
    on_shared(async |stack| {
        let name = unique("asha").replace('-', "");
        let email = format!("{name}@patients.example");
        for (password, code) in [
            ("password123", "breached_password"),
            ("qwertyuiop", "breached_password"),
            (email.as_str(), "breached_password"),
            ("short", "invalid_password"),
        ] {
            let body = json!({ "email": email, "password": password, "full_name": "Asha Nair" });
            let refused = stack.anonymous().post("/v1/auth/register", &body).send().await;
            let refused = refused.refused(422, "validation_failed");
            assert_eq!(
                (&refused["errors"][0]["pointer"], &refused["errors"][0]["code"]),
                (&json!("/password"), &json!(code)),
                "{password}"
            );
        }
        log_in(stack, &email, "password123").await.refused(401, "invalid_credentials");
    });
}
