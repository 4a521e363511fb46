//! Being signed in: kept up, listed, ended, and what an end is worth while Redis is away.

use crate::path::unknown_id;
use amrutam_tests::support::{Client, Options, Person, Reply, SOON, Stack, on_shared, on_stack, until};
use serde_json::{Value, json};
use std::time::Duration;

const REDIS: [&str; 3] = ["redis-1", "redis-2", "redis-3"];

async fn refresh(client: &Client, token: &str) -> Reply {
    client.without_token().post("/v1/auth/refresh", &json!({ "refresh_token": token })).send().await
}

async fn out(client: &Client) {
    client.get("/v1/me").send().await.refused(401, "unauthenticated");
}

async fn log_out(client: &Client) {
    assert_eq!(client.call("POST", "/v1/auth/logout").send().await.status, 204);
}

/// The same at each process.
fn everywhere(stack: &Stack, client: &Client) -> Vec<Client> {
    stack.apis.iter().map(|api| client.at(&api.url)).collect()
}

/// Signed in, and known to be so by every process.
async fn known(stack: &Stack, person: &Person) -> Vec<Client> {
    let everywhere = everywhere(stack, &person.client);
    for client in &everywhere {
        client.get("/v1/me").send().await.expect(200);
    }
    everywhere
}

async fn sessions(client: &Client) -> Vec<Value> {
    client.get("/v1/me/sessions").send().await.expect(200)["items"].as_array().unwrap().clone()
}

#[test]
fn a_refresh_token_is_good_once_and_a_second_time_ends_its_session() {
    on_shared(async |stack| {
        let patient = stack.patient("asha").await;
        let elsewhere = patient.elsewhere().await;
        let mut tokens = vec![patient.refresh_token.clone()];
        let mut clients = vec![patient.client.clone()];
        for _ in 0..3 {
            let pair = refresh(&patient.client, tokens.last().unwrap()).await.expect(200);
            assert_eq!((&pair["token_type"], &pair["expires_in"]), (&json!("Bearer"), &json!(900)));
            tokens.push(pair["refresh_token"].as_str().unwrap().to_owned());
            clients.push(patient.client.with_token(pair["access_token"].as_str().unwrap()));
        }
        // It is the same session throughout, so every access token that has not run out is good.
        for client in &clients {
            client.get("/v1/me").send().await.expect(200);
        }
        assert_eq!(sessions(&patient.client).await.len(), 2);

        refresh(&patient.client, &tokens[1]).await.refused(401, "session_revoked");
        for client in &clients {
            out(client).await;
        }
        for token in &tokens {
            assert_eq!(refresh(&patient.client, token).await.status, 401, "also the one that was not spent");
        }
        elsewhere.client.get("/v1/me").send().await.expect(200);
        stack.mail.mail(&patient.email, "logged out").await;

        for made_up in ["", "x", &"A".repeat(64), &"A".repeat(9_000), patient.client.token().unwrap()] {
            refresh(&patient.client, made_up).await.refused(401, "invalid_refresh_token");
        }
        // A refresh token opens nothing by itself.
        out(&patient.client.with_token(&elsewhere.refresh_token)).await;
    });
}

#[test]
fn of_many_refreshes_at_once_one_wins_and_the_session_ends() {
    on_shared(async |stack| {
        let patient = stack.patient("asha").await;
        let replies = futures::future::join_all((0..8).map(|_| refresh(&patient.client, &patient.refresh_token))).await;
        let won: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(won.len(), 1, "{replies:?}");
        assert!(replies.iter().all(|reply| reply.status == 200 || reply.status == 401), "{replies:?}");
        out(&patient.client.with_token(won[0].json()["access_token"].as_str().unwrap())).await;
    });
}

#[test]
fn who_is_signed_in_where_is_listed_and_can_be_ended() {
    on_shared(async |stack| {
        let patient = stack.patient("asha").await;
        let log_in = async |label: &str| {
            let body = json!({ "email": patient.email, "password": patient.password });
            let call = stack.anonymous().post("/v1/auth/login", &body).header("user-agent", label);
            let tokens = call.send().await.expect(200);
            patient.client.with_token(tokens["access_token"].as_str().unwrap())
        };
        let (phone, tablet) = (log_in("a phone").await, log_in(&"x".repeat(300)).await);
        let listed = sessions(&phone).await;
        let labels: Vec<_> = listed.iter().map(|session| session["label"].as_str().unwrap().to_owned()).collect();
        assert_eq!(labels, ["x".repeat(200), "a phone".to_owned(), String::new()], "the one used last first");
        let current: Vec<_> = listed.iter().map(|session| session["current"] == true).collect();
        assert_eq!(current, [false, true, false]);
        for session in &listed {
            assert!(
                session["second_factor_at"].is_null()
                    && session["expires_at"].as_str() > session["created_at"].as_str()
            );
        }

        let end =
            async |client: &Client, id: &str| client.call("DELETE", &format!("/v1/me/sessions/{id}")).send().await;
        let of_tablet = listed[0]["id"].as_str().unwrap();
        let (other, doctor) = (stack.patient("ravi").await, stack.doctor_account("doctor").await);
        for (who, id) in
            [(&other.client, of_tablet), (&doctor.client, of_tablet), (&phone, &unknown_id()), (&phone, "no-id")]
        {
            end(who, id).await.refused(404, "not_found");
        }
        tablet.get("/v1/me").send().await.expect(200);
        assert_eq!(end(&phone, of_tablet).await.status, 204);
        out(&tablet).await;
        end(&phone, of_tablet).await.refused(404, "not_found");
        assert_eq!(sessions(&phone).await.len(), 2);
        log_out(&phone).await;
        out(&phone).await;
        assert_eq!(sessions(&patient.client).await.len(), 1);

        let again = log_in("again").await;
        assert_eq!(again.call("POST", "/v1/auth/logout-all").send().await.status, 204);
        out(&again).await;
        out(&patient.client).await;
        assert_eq!(refresh(&patient.client, &patient.refresh_token).await.status, 401);
        other.client.get("/v1/me").send().await.expect(200);

        // An administrator, for somebody who has lost a phone.
        let back = patient.elsewhere().await;
        let path = format!("/v1/admin/accounts/{}/logout-all", patient.id);
        assert_eq!(stack.admin().await.client.call("POST", &path).send().await.status, 204);
        out(&back.client).await;
    });
}

#[test]
fn a_log_out_holds_at_the_next_request_of_every_process() {
    on_stack(Options::named("sessions").apis(2), async |stack| {
        let patient = stack.patient("asha").await;
        for round in 0..5 {
            let person = patient.elsewhere().await;
            let everywhere = known(stack, &person).await;
            log_out(&everywhere[round % 2]).await;
            for client in &everywhere {
                out(client).await;
                assert_eq!(refresh(client, &person.refresh_token).await.status, 401);
            }
        }
        let person = patient.elsewhere().await;
        let both = known(stack, &person).await;
        let pair = refresh(&both[1], &person.refresh_token).await.expect(200);
        refresh(&both[1], &person.refresh_token).await.refused(401, "session_revoked");
        for client in &both {
            out(client).await;
            out(&client.with_token(pair["access_token"].as_str().unwrap())).await;
        }
        let person = patient.elsewhere().await;
        let both = known(stack, &person).await;
        let change = json!({ "current_password": patient.password, "new_password": "quite another one" });
        assert_eq!(both[0].post("/v1/me/password", &change).send().await.status, 204);
        out(&patient.client.at(&stack.apis[1].url)).await;
        both[1].get("/v1/me").send().await.expect(200);
    });
}

#[test]
fn without_redis_a_log_out_holds_as_well_and_its_return_revives_nobody() {
    on_stack(Options::named("sessions-no-redis").apis(2).own(&["redis"]), async |stack| {
        let patient = stack.patient("asha").await;
        let (before, during, after) = (patient.elsewhere().await, patient.elsewhere().await, patient.elsewhere().await);
        let [before, during, after] =
            [known(stack, &before).await, known(stack, &during).await, known(stack, &after).await];
        log_out(&before[0]).await;
        for redis in REDIS {
            stack.servers().stop(redis).await;
        }
        for client in &before {
            out(client).await;
        }
        for client in &during {
            client.get("/v1/me").send().await.expect(200);
        }
        log_out(&during[0]).await;
        for client in &during {
            out(client).await;
        }

        for redis in REDIS {
            stack.servers().start_one(redis).await;
        }
        stack.forget_redis().await;
        for api in &stack.apis {
            until("everything is used again", SOON, async || {
                Client::new(&api.url).get("/readyz").send().await.json()["status"] == "ready"
            })
            .await;
        }
        for client in before.iter().chain(&during) {
            out(client).await;
        }
        for client in &after {
            client.get("/v1/me").send().await.expect(200);
        }
        // And its memory, filled again, may be lost at any moment.
        log_out(&after[1]).await;
        stack.forget_redis().await;
        for client in &after {
            out(client).await;
        }
    });
}

#[test]
fn a_lowered_role_and_a_closed_account_count_within_a_minute() {
    on_shared(async |stack| {
        let (doctor, closed) = (stack.doctor_account("doctor").await, stack.patient("asha").await);
        for person in [&doctor, &closed] {
            person.client.get("/v1/me").send().await.expect(200);
        }
        let sql = stack.sql().await;
        let lowered = format!("UPDATE accounts SET role = 'patient' WHERE id = '{}'", doctor.id);
        let ended = format!("UPDATE accounts SET status = 'deactivated' WHERE id = '{}'", closed.id);
        assert_eq!((sql.execute(&lowered).await, sql.execute(&ended).await), (1, 1));
        for person in [&doctor, &closed] {
            until("the token is refused", Duration::from_secs(60), async || {
                let reply = person.client.get("/v1/me").send().await;
                assert!(reply.status == 200 || reply.code() == "unauthenticated", "{}", reply.text());
                reply.status == 401
            })
            .await;
        }
        let again = doctor.elsewhere().await;
        assert_eq!(again.client.get("/v1/me").send().await.expect(200)["role"], "patient");
    });
}
