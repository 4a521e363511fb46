//! How often the API may be asked.

use amrutam_tests::support::{Client, Options, Reply, SOON, on_stack, until};
use futures::future::join_all;
use std::{collections::BTreeMap, time::Instant};

/// The product's own, in place of the harness' generous ones, and time enough for a busy machine to ask Redis.
fn of_the_product(name: &'static str) -> Options {
    Options::named(name).with("LIMITS__CLASSES__DEFAULT__REQUESTS", "100").with("REDIS__CACHE_DEADLINE_MS", "1000")
}

/// So many GETs at once, in turn at each of these, counted by status.
async fn at_once(clients: &[Client], path: &str, count: usize) -> BTreeMap<u16, usize> {
    let calls = (0..count).map(|call| clients[call % clients.len()].get(path).send());
    let mut statuses = BTreeMap::new();
    for reply in join_all(calls).await {
        *statuses.entry(reply.status).or_default() += 1;
    }
    statuses
}

fn hundred_of(count: usize) -> BTreeMap<u16, usize> {
    BTreeMap::from([(200, 100), (429, count - 100)])
}

/// Whatever its limits count, less than this has passed since the first.
fn assert_limited(reply: &Reply, since: Instant) {
    reply.clone().refused(429, "rate_limited");
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!(wait <= 900 && wait + since.elapsed().as_secs() >= 899, "{wait} s after {:?}", since.elapsed());
    assert_eq!(reply.header("ratelimit-policy"), "\"default\";q=100;w=900");
    assert_eq!(reply.header("ratelimit"), format!("\"default\";r=0;t={wait}"));
}

#[test]
fn the_hundred_and_first_request_is_refused_and_told_when_to_come_back() {
    on_stack(of_the_product("limits"), async |stack| {
        let (began, patient) = (Instant::now(), stack.patient("asha").await);
        for (who, left) in [(stack.anonymous(), 100), (patient.client.clone(), 99)] {
            for used in 1..=left {
                let reply = who.get("/v1/doctors").send().await;
                assert_eq!(reply.status, 200, "{}", reply.text());
                assert!(reply.header("ratelimit").starts_with(&format!("\"default\";r={};t=", left - used)));
            }
            assert_limited(&who.get("/v1/doctors").send().await, began);
        }
        assert_limited(&stack.anonymous().get("/nowhere").send().await, began);
        assert_limited(&stack.anonymous().with_token("made up").get("/v1/me").send().await, began);
        stack.anonymous().get("/healthz").send().await.expect(200);
        // Who has used up the address' share can still log in, and has an own one then.
        let other = stack.patient("ravi").await;
        other.client.get("/v1/doctors").send().await.expect(200);
    });
}

#[test]
fn two_processes_share_the_count_and_of_two_hundred_at_once_a_hundred_pass() {
    on_stack(of_the_product("shared-limits").apis(2), async |stack| {
        let (asha, ravi) = (stack.patient("asha").await, stack.patient("ravi").await);
        let both = |client: Client| stack.apis.iter().map(|api| client.at(&api.url)).collect::<Vec<_>>();
        let (anonymous, asha, ravi) = (both(stack.anonymous()), both(asha.client), both(ravi.client));
        assert_eq!(at_once(&anonymous, "/v1/doctors", 200).await, hundred_of(200));
        // Each has asked once for themself when they logged in.
        let expected = BTreeMap::from([(200, 99), (429, 101)]);
        assert_eq!(at_once(&asha, "/v1/me", 200).await, expected);
        assert_eq!(at_once(&ravi, "/v1/doctors", 200).await, expected);
        for client in anonymous.iter().chain(&asha).chain(&ravi) {
            client.get("/v1/doctors").send().await.refused(429, "rate_limited");
        }
    });
}

#[test]
fn a_made_up_address_does_not_help() {
    let proxied = |name, trusted: bool| {
        let options = Options::named(name).with("LIMITS__CLASSES__DEFAULT__REQUESTS", "3");
        if trusted { options.with("PROXIES__TRUSTED", "127.0.0.0/8") } else { options }
    };
    let ask = async |client: &Client, forwarded: &str| {
        let call = client.get("/v1/doctors").header("x-forwarded-for", forwarded);
        call.header("forwarded", format!("for={forwarded}")).header("x-real-ip", forwarded).send().await.status
    };
    on_stack(proxied("forged", false), async |stack| {
        for (made_up, status) in [("192.0.2.1", 200), ("192.0.2.2", 200), ("192.0.2.3", 200), ("192.0.2.4", 429)] {
            assert_eq!(ask(&stack.anonymous(), made_up).await, status, "{made_up}");
        }
    });
    on_stack(proxied("behind-a-proxy", true), async |stack| {
        let client = stack.anonymous();
        for (made_up, status) in [("192.0.2.1", 200), ("192.0.2.2", 200), ("127.0.0.9", 200), ("x", 429)] {
            assert_eq!(ask(&client, &format!("{made_up}, 198.51.100.7")).await, status, "{made_up}");
        }
        assert_eq!(ask(&client, "198.51.100.8").await, 200);
    });
}

#[test]
fn passwords_are_tried_less_often() {
    let options = Options::named("tries");
    let options =
        options.with("LIMITS__CLASSES__LOGIN__REQUESTS", "10").with("LIMITS__CLASSES__LOGIN__ADDRESS_REQUESTS", "15");
    on_stack(options, async |stack| {
        let (client, patient) = (stack.anonymous(), stack.patient("asha").await);
        let try_with = async |email: &str, password: &str| {
            client.post("/v1/auth/login", &serde_json::json!({ "email": email, "password": password })).send().await
        };
        // She has logged in once.
        for _ in 0..9 {
            try_with(&patient.email, "wrong").await.refused(401, "invalid_credentials");
        }
        let refused = try_with(&patient.email, &patient.password).await;
        refused.clone().refused(429, "rate_limited");
        assert_eq!(refused.header("ratelimit-policy"), "\"login\";q=10;w=900, \"login-address\";q=15;w=900");
        for number in 0..5 {
            try_with(&format!("nobody-{number}@x.example"), "wrong").await.refused(401, "invalid_credentials");
        }
        try_with("nobody-5@x.example", "wrong").await.refused(429, "rate_limited");
        patient.client.get("/v1/me").send().await.expect(200);
    });
}

#[test]
fn without_redis_each_process_limits_by_itself() {
    on_stack(of_the_product("no-redis-limits").apis(2).own(&["redis"]), async |stack| {
        let (asha, ravi) = (stack.patient("asha").await.client, stack.patient("ravi").await.client);
        let [one, two] = [&stack.apis[0].url, &stack.apis[1].url];
        assert_eq!(at_once(&[asha.at(one)], "/v1/doctors", 49).await, BTreeMap::from([(200, 49)]));
        for redis in ["redis-1", "redis-2", "redis-3"] {
            stack.servers().stop(redis).await;
        }
        assert_eq!(at_once(&[asha.at(one)], "/v1/doctors", 150).await, BTreeMap::from([(200, 50), (429, 100)]));
        assert_eq!(at_once(&[ravi.at(two)], "/v1/doctors", 150).await, hundred_of(150));
        let ready = stack.anonymous().get("/readyz").send().await.expect(200);
        let down = ready["dependencies"].as_array().unwrap().iter().filter(|one| one["state"] == "down");
        assert!(down.clone().any(|one| one["name"] == "cache"), "{ready}");
        assert_eq!(ready["status"], "degraded");

        for redis in ["redis-1", "redis-2", "redis-3"] {
            stack.servers().start_one(redis).await;
        }
        for api in &stack.apis {
            until("everything is used again", SOON, async || {
                Client::new(&api.url).get("/readyz").send().await.json()["status"] == "ready"
            })
            .await;
        }
        let late = stack.patient("late").await.client;
        let both = [late.at(one), late.at(two)];
        assert_eq!(at_once(&both, "/v1/doctors", 200).await, BTreeMap::from([(200, 99), (429, 101)]));
        asha.at(one).get("/v1/doctors").send().await.refused(429, "rate_limited");
    });
}
