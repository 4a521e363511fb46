//! The second factor, at an API that asks for one of doctors, administrators and auditors. Accounts are made through another
//! process, which asks nobody for it.

use amrutam_tests::support::{
    Authenticator, Client, Options, Person, Reply, SOON, Sql, Stack, on_stack, profile, unique, until, within_a_step,
};
use futures::{StreamExt, future::join_all, stream};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn on_strict(name: &'static str, test: impl AsyncFnOnce(&Stack, &Client)) {
    on_stack(Options::named(name), async |stack| {
        let api = stack.another_api("strict", &[("MFA__REQUIRED_ROLES", "doctor,admin,auditor")]);
        api.process.start();
        api.ready().await;
        test(stack, &Client::new(&api.url)).await;
    });
}

/// The same person, at that process.
fn at(person: &Person, api: &Client) -> Person {
    Person { client: person.client.at(api.base()), ..person.clone() }
}

async fn second_step(client: &Client, mfa_token: &str, kind: &str, code: &str) -> Reply {
    client.post("/v1/auth/mfa", &json!({ "mfa_token": mfa_token, kind: code })).send().await
}

/// How many got which answer.
fn counted(replies: &[Reply]) -> BTreeMap<(u16, String), usize> {
    replies.iter().fold(BTreeMap::new(), |mut counts, reply| {
        *counts.entry((reply.status, reply.code())).or_default() += 1;
        counts
    })
}

/// As if the wrong codes of late had been tried that much earlier.
async fn rewind(sql: &Sql, person: &Person, interval: &str) {
    let earlier = format!("ARRAY(SELECT t - interval '{interval}' FROM unnest(tried_at) t ORDER BY t)");
    let statement = format!(
        "UPDATE second_factor_tries SET tried_at = {earlier}, version = version + 1 WHERE account_id = '{}'",
        person.id
    );
    assert_eq!(sql.execute(&statement).await, 1);
}

/// As if no code had been used yet.
pub(crate) async fn unuse_codes(sql: &Sql, person: &Person) {
    let statement = format!("UPDATE totp_factors SET last_step = 0 WHERE account_id = '{}'", person.id);
    assert_eq!(sql.execute(&statement).await, 1);
}

/// Everything a doctor may do, but for enrolling and leaving.
fn what_waits(doctor_id: &str, consultation_id: &str) -> Vec<(&'static str, String, Option<Value>)> {
    let doctor = |rest: &str| format!("/v1/doctors/{doctor_id}{rest}");
    let consultation = |rest: &str| format!("/v1/consultations/{consultation_id}{rest}");
    let password = json!({ "current_password": "a long enough password", "new_password": unique("another") });
    let time_off = json!({ "from": "2027-01-01T00:00:00Z", "to": "2027-01-02T00:00:00Z" });
    vec![
        ("GET", "/v1/me".to_owned(), None),
        ("GET", "/v1/me/sessions".to_owned(), None),
        ("POST", "/v1/me/password".to_owned(), Some(password)),
        ("POST", "/v1/me/email/verification".to_owned(), None),
        ("POST", "/v1/me/deactivate".to_owned(), Some(json!({ "password": "a long enough password" }))),
        ("POST", "/v1/me/mfa/recovery-codes".to_owned(), None),
        ("POST", "/v1/me/mfa/step-up".to_owned(), Some(json!({ "code": "123456" }))),
        ("DELETE", "/v1/me/mfa/totp".to_owned(), Some(json!({ "password": "x", "code": "123456" }))),
        ("POST", "/v1/doctors".to_owned(), Some(profile())),
        ("GET", doctor("/availability"), None),
        ("PUT", doctor("/availability"), Some(json!({ "rules": [] }))),
        ("GET", doctor("/time-off"), None),
        ("POST", doctor("/time-off"), Some(time_off)),
        ("GET", "/v1/consultations".to_owned(), None),
        ("GET", consultation(""), None),
        ("GET", consultation("/timeline"), None),
        ("POST", consultation("/start"), None),
        ("POST", consultation("/cancel"), Some(json!({ "reason": "doctor_unavailable" }))),
    ]
}

#[test]
fn who_needs_a_factor_can_only_set_one_up_or_leave() {
    on_strict("enrolment", async |stack, strict| {
        let doctor = stack.doctor(1).await;
        let visit = stack.patient("asha").await.booked(&doctor.slots().await[0]).await;
        let person = at(&doctor.person, strict);
        let mut open = Vec::new();
        for (method, path, body) in what_waits(&doctor.id, &visit) {
            let call = person.client.call(method, &path);
            let reply = match &body {
                Some(body) => call.json(body),
                None => call,
            };
            let reply = reply.send().await;
            if (reply.status, &*reply.code()) != (403, "second_factor_required") {
                open.push(format!("{method} {path}: {} {}", reply.status, reply.text()));
            }
        }
        assert!(open.is_empty(), "{open:#?}");
        // What anybody may see, and the other process, which does not ask.
        person.client.get("/v1/doctors").send().await.expect(200);
        doctor.person.client.get("/v1/me").send().await.expect(200);

        let begun = person.client.call("POST", "/v1/me/mfa/totp").send().await.expect(200);
        let (secret, uri) = (begun["secret"].as_str().unwrap(), begun["otpauth_uri"].as_str().unwrap());
        assert!(uri.starts_with("otpauth://totp/") && uri.contains(&format!("secret={secret}")), "{uri}");
        let svg = begun["qr_svg"].as_str().unwrap();
        assert!(svg.contains("<svg ") && svg.trim_end().ends_with("</svg>") && svg.contains("<path "), "{svg}");
        let authenticator = Authenticator::new(secret);
        let confirm =
            async |code: &str| person.client.post("/v1/me/mfa/totp/confirm", &json!({ "code": code })).send().await;
        confirm(&authenticator.wrong_code()).await.refused(422, "invalid_code");
        person.client.get("/v1/me").send().await.refused(403, "second_factor_required");
        let confirmed = confirm(&authenticator.code(0)).await.expect(200);
        let codes: BTreeSet<String> = serde_json::from_value(confirmed["recovery_codes"].clone()).unwrap();
        assert_eq!(codes.len(), 10, "{confirmed}");
        // 112 bits and more, five to a character.
        assert!(codes.iter().all(|code| code.chars().filter(char::is_ascii_alphanumeric).count() * 5 >= 112));
        person.client.get("/v1/me").send().await.expect(200);
        confirm(&authenticator.code(1)).await.refused(409, "second_factor_not_begun");

        // Whoever leaves instead is out.
        let other = at(&stack.doctor_account("other").await, strict);
        other.client.call("POST", "/v1/auth/logout").send().await.expect(204);
        other.client.get("/v1/me").send().await.refused(401, "unauthenticated");
        // Of a patient none is asked.
        at(&stack.patient("asha").await, strict).client.get("/v1/me").send().await.expect(200);
    });
}

#[test]
fn a_code_opens_one_session_within_its_time() {
    on_strict("codes", async |stack, strict| {
        let (person, sql) = (at(&stack.doctor_account("doctor").await, strict), stack.sql().await);
        let authenticator = Authenticator::enrol(&person.client).await;
        let mfa_token = person.mfa_token().await;
        strict.with_token(&mfa_token).get("/v1/me").send().await.refused(401, "unauthenticated");

        within_a_step(20).await;
        let show = async |steps: i64| second_step(strict, &mfa_token, "code", &authenticator.code(steps)).await;
        unuse_codes(&sql, &person).await;
        for steps in [-2, 2] {
            show(steps).await.refused(401, "invalid_credentials");
            rewind(&sql, &person, "1 hour").await;
        }
        for steps in [-1, 0, 1] {
            let tokens = show(steps).await.expect(200);
            let client = strict.with_token(tokens["access_token"].as_str().unwrap());
            assert_eq!(client.get("/v1/me").send().await.expect(200)["id"], *person.id);
            show(steps).await.refused(401, "invalid_credentials");
            rewind(&sql, &person, "1 hour").await;
        }
        show(0).await.refused(401, "invalid_credentials");
        rewind(&sql, &person, "1 hour").await;

        // Twenty at once at two processes; one session.
        unuse_codes(&sql, &person).await;
        let sessions = format!("SELECT count(*) FROM sessions WHERE account_id = '{}'", person.id);
        let before: usize = sql.value(&sessions).await;
        let (apis, code) = ([strict.clone(), stack.anonymous()], authenticator.code(0));
        let tries = (0..20).map(|number| second_step(&apis[number % 2], &mfa_token, "code", &code));
        let counts = counted(&join_all(tries).await);
        assert_eq!(counts.get(&(200, String::new())), Some(&1), "{counts:?}");
        assert!(counts.keys().all(|(status, _)| [200, 401, 429].contains(status)), "{counts:?}");
        assert_eq!(sql.value::<usize>(&sessions).await, before + 1);
    });
}

#[test]
fn a_recovery_code_opens_one_session() {
    on_strict("recovery", async |stack, strict| {
        let person = at(&stack.doctor_account("doctor").await, strict);
        let authenticator = Authenticator::enrol(&person.client).await;
        let mfa_token = person.mfa_token().await;
        let show = async |code: &str| second_step(strict, &mfa_token, "recovery_code", code).await;
        let codes = &authenticator.recovery_codes;
        show(&codes[0]).await.expect(200);
        show(&codes[0]).await.refused(401, "invalid_credentials");
        // At once: what nobody can guess is not delayed.
        show(&codes[1].replace('-', "").to_lowercase()).await.expect(200);

        let tries = (0..20).map(|_| show(&codes[2]));
        let counts = counted(&join_all(tries).await);
        assert_eq!(counts.get(&(200, String::new())), Some(&1), "{counts:?}");

        // New ones take the place of those that are left.
        let new = person.client.call("POST", "/v1/me/mfa/recovery-codes").send().await.expect(200);
        show(&codes[3]).await.refused(401, "invalid_credentials");
        show(new["recovery_codes"][9].as_str().unwrap()).await.expect(200);
    });
}

#[test]
fn what_is_grave_asks_for_a_fresh_factor() {
    on_strict("step-up", async |stack, strict| {
        let doctor = stack.doctor(1).await;
        let (admin, sql) = (at(stack.admin().await, strict), stack.sql().await);
        let authenticator = Authenticator::enrol(&admin.client).await;
        let invite = async || {
            let email = format!("{}@doctors.example", unique("invited"));
            let body = json!({ "email": email, "full_name": "Dr. Meera Rao", "role": "doctor" });
            admin.client.post("/v1/admin/invitations", &body).send().await
        };
        invite().await.expect(201);

        let stale = format!(
            "UPDATE sessions SET second_factor_at = now() - interval '6 minutes' WHERE account_id = '{}'",
            admin.id
        );
        sql.execute(&stale).await;
        // Changes nothing, whatever the answer.
        let nobody = format!("/v1/admin/accounts/{}/deactivate", uuid::Uuid::now_v7());
        until("the session is known to be stale", SOON, async || {
            admin.client.call("POST", &nobody).send().await.code() == "step_up_required"
        })
        .await;
        invite().await.refused(403, "step_up_required");
        let account = json!({
            "email": format!("{}@x.example", unique("made")), "password": unique("a password"), "full_name": "x", "role": "support"
        });
        admin.client.post("/v1/admin/accounts", &account).send().await.refused(403, "step_up_required");
        for path in [
            format!("/v1/admin/doctors/{}/suspend", doctor.id),
            format!("/v1/admin/accounts/{}/deactivate", doctor.person.id),
            "/v1/me/mfa/totp".to_owned(),
            "/v1/me/mfa/recovery-codes".to_owned(),
        ] {
            let reply = admin.client.call("POST", &path).send().await;
            assert_eq!((reply.status, &*reply.code()), (403, "step_up_required"), "{path}: {}", reply.text());
        }
        admin.client.get("/v1/me").send().await.expect(200);

        within_a_step(15).await;
        unuse_codes(&sql, &admin).await;
        let step_up = async |code: &str| admin.client.post("/v1/me/mfa/step-up", &json!({ "code": code })).send().await;
        step_up(&authenticator.wrong_code()).await.refused(422, "invalid_code");
        step_up(&authenticator.code(0)).await.refused(429, "rate_limited");
        invite().await.refused(403, "step_up_required");
        rewind(&sql, &admin, "1 hour").await;
        step_up(&authenticator.code(0)).await.expect(204);
        invite().await.expect(201);
        rewind(&sql, &admin, "1 hour").await;
        step_up(&authenticator.code(0)).await.refused(422, "invalid_code");
    });
}

#[test]
fn a_factor_is_removed_with_password_and_code() {
    on_strict("removal", async |stack, strict| {
        let (person, sql) = (at(&stack.doctor_account("doctor").await, strict), stack.sql().await);
        let authenticator = Authenticator::enrol(&person.client).await;
        let remove = async |password: &str, code: Value| {
            let mut body = json!({ "password": password });
            body.as_object_mut().unwrap().extend(code.as_object().unwrap().clone());
            person.client.call("DELETE", "/v1/me/mfa/totp").json(&body).send().await
        };
        within_a_step(20).await;
        unuse_codes(&sql, &person).await;
        remove("not the password", json!({ "code": authenticator.code(0) })).await.refused(422, "wrong_password");
        remove(&person.password, json!({})).await.refused(422, "validation_failed");
        remove(&person.password, json!({ "code": authenticator.wrong_code() })).await.refused(422, "invalid_code");
        rewind(&sql, &person, "1 hour").await;
        person.mfa_token().await;
        remove(&person.password, json!({ "code": authenticator.code(0) })).await.expect(204);

        person.client.get("/v1/me").send().await.refused(403, "second_factor_required");
        let log_in = json!({ "email": person.email, "password": person.password });
        let tokens = strict.post("/v1/auth/login", &log_in).send().await.expect(200);
        assert!(tokens["access_token"].is_string(), "one step again: {tokens}");
        let left = format!(
            "SELECT (SELECT count(*) FROM totp_factors WHERE account_id = '{0}')
                  + (SELECT count(*) FROM recovery_codes WHERE account_id = '{0}')",
            person.id
        );
        assert_eq!(sql.value::<u32>(&left).await, 0);
    });
}

/// Whoever has the password and guesses: nobody gets in, and who has the authenticator is not kept out for ever.
#[test]
fn ten_thousand_wrong_codes_let_nobody_in_and_lock_nobody_out() {
    on_strict("guessing", async |stack, strict| {
        let (person, sql) = (at(&stack.doctor_account("doctor").await, strict), stack.sql().await);
        let authenticator = Authenticator::enrol(&person.client).await;
        let mfa_token = person.mfa_token().await;
        let (apis, wrong) = ([strict.clone(), stack.anonymous()], authenticator.wrong_code());
        let guesses = (0..10_000).map(|number| second_step(&apis[number % 2], &mfa_token, "code", &wrong));
        let replies: Vec<_> = stream::iter(guesses).buffer_unordered(32).collect().await;
        let counts = counted(&replies);
        let looked_at = counts.get(&(401, "invalid_credentials".to_owned())).copied().unwrap_or_default();
        let delayed = counts.get(&(429, "rate_limited".to_owned())).copied().unwrap_or_default();
        assert_eq!(looked_at + delayed, 10_000, "{counts:?}");
        // 1 s, 2 s, 4 s, ...: nine in 511 seconds, by when the MFA token has ended.
        assert!((1..=9).contains(&looked_at), "{looked_at} guesses were looked at");
        for reply in replies.iter().filter(|reply| reply.status == 429) {
            let wait: u64 = reply.header("retry-after").parse().unwrap();
            assert!((1..=512).contains(&wait), "{wait}");
        }
        person.client.get("/v1/me").send().await.expect(200);

        let mfa_token = person.mfa_token().await;
        let show = async |code: &str| second_step(strict, &mfa_token, "code", code).await;
        unuse_codes(&sql, &person).await;
        // The wait holds for the right code, too, else it would tell which one it is.
        show(&wrong).await.refused(429, "rate_limited");
        show(&authenticator.code(0)).await.refused(429, "rate_limited");
        rewind(&sql, &person, "1 hour").await;
        show(&authenticator.code(0)).await.expect(200);

        // Who goes on at the slowest gets twenty in a day.
        for _ in looked_at..20 {
            show(&wrong).await.refused(401, "invalid_credentials");
            rewind(&sql, &person, "1 hour").await;
        }
        unuse_codes(&sql, &person).await;
        for code in [&wrong, &authenticator.code(0)] {
            let refused = show(code).await;
            refused.clone().refused(429, "rate_limited");
            assert!(refused.header("retry-after").parse::<u32>().unwrap() > 3_600, "the day's are used up");
        }
        rewind(&sql, &person, "24 hours").await;
        show(&authenticator.code(0)).await.expect(200);
    });
}
