//! Keys are rotated while people work: nobody notices.

use amrutam_tests::support::{
    Client, Options, Person, Process, Reply, SOON, Stack, environment, eventually, on_stack, unique, until,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::{StreamExt, future::join_all, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// As old as a key must be whose predecessor is retired: an access token's life, and two minutes for clocks.
const TOKENS_OVER: SignedDuration = SignedDuration::from_mins(17);

/// A key directory of a test's own, gone with the value.
struct KeyDir(PathBuf);

impl KeyDir {
    async fn new() -> Self {
        let path = environment().cache.join(unique("rotated"));
        let dir = Self(path);
        dir.manage(&["generate", "--kid", "first"]).await;
        dir.move_use_from("first.pem", Timestamp::now() - SignedDuration::from_hours(1));
        dir
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }

    async fn manage(&self, arguments: &[&str]) -> String {
        let arguments: Vec<_> = [&["keys"], arguments, &["--dir", self.text()]].concat();
        Process::output("amrutamctl", &arguments, &[], "").await
    }

    /// As if the key had been made that much earlier, or later.
    fn move_use_from(&self, name: &str, to: Timestamp) {
        let path = self.0.join(name);
        let content = fs::read_to_string(&path).unwrap();
        let (line, body) = content.split_once('\n').unwrap();
        assert!(line.starts_with("Use-From: "), "{line}");
        let aside = self.0.join(format!("{name}.new"));
        fs::copy(&path, &aside).unwrap();
        fs::write(&aside, format!("Use-From: {to}\n{body}")).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
}

impl Drop for KeyDir {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn kid(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

async fn published(client: &Client) -> Vec<String> {
    let jwks = client.get("/.well-known/jwks.json").send().await.expect(200);
    let mut ids: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|key| text(key, "kid")).collect();
    ids.sort();
    ids
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

/// Waits until each process says so.
async fn all_publish(clients: &[Client], ids: &[&str]) {
    for client in clients {
        until(&format!("{} publishes {ids:?}", client.base()), SOON, async || published(client).await == ids).await;
    }
}

/// A token from each process, newly signed.
async fn signers(clients: &[Client], person: &Person) -> Vec<String> {
    let body = json!({ "email": person.email, "password": person.password });
    let log_in = async |client: &Client| {
        let tokens = client.post("/v1/auth/login", &body).patiently().await.expect(200);
        kid(&text(&tokens, "access_token"))
    };
    join_all(clients.iter().map(log_in)).await
}

/// Somebody who goes on working: asks every process in turn with the token they have, and takes a new one now and then.
struct Working {
    client: Client,
    refresh_token: String,
}

struct Work<'a> {
    apis: &'a [Client],
    going_on: AtomicBool,
    asked: AtomicUsize,
    rounds: AtomicUsize,
}

impl Work<'_> {
    async fn begin(&self, person: &Person) -> Working {
        let body = json!({ "email": person.email, "password": person.password });
        let tokens = self.apis[0].post("/v1/auth/login", &body).patiently().await.expect(200);
        let client = self.apis[0].with_token(&text(&tokens, "access_token"));
        Working { client, refresh_token: text(&tokens, "refresh_token") }
    }

    fn good(&self, reply: Reply) -> Value {
        self.asked.fetch_add(1, Ordering::Relaxed);
        reply.expect(200)
    }

    /// With what was signed by one process every other one is asked at once.
    async fn go_on(&self, mut worker: Working) {
        while self.going_on.load(Ordering::Relaxed) {
            for api in self.apis {
                let body = json!({ "refresh_token": worker.refresh_token });
                let tokens = self.good(api.post("/v1/auth/refresh", &body).send().await);
                worker = Working {
                    client: worker.client.with_token(&text(&tokens, "access_token")),
                    refresh_token: text(&tokens, "refresh_token"),
                };
                for _ in 0..3 {
                    for api in self.apis {
                        self.good(worker.client.at(api.base()).get("/v1/me").send().await);
                    }
                }
            }
            self.rounds.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// With one token only, as long as it is good.
    async fn keep(&self, token: &str, until: &AtomicBool) {
        while !until.load(Ordering::Relaxed) {
            for api in self.apis {
                self.good(api.with_token(token).get("/v1/me").send().await);
            }
        }
    }

    /// Until everybody has taken and used new tokens since.
    async fn some_more(&self) {
        let before = self.rounds.load(Ordering::Relaxed);
        until("work goes on", SOON, async || self.rounds.load(Ordering::Relaxed) > before + 4).await;
    }
}

async fn clients(stack: &Stack) -> Vec<Client> {
    stack.apis.iter().map(|api| Client::new(&api.url)).collect()
}

#[test]
fn a_rotation_of_what_signs_fails_no_request() {
    run_with_keys("rotation", async |stack, dir| {
        let apis = clients(stack).await;
        let (asha, ravi) = (stack.patient("asha").await, stack.patient("ravi").await);
        let old = asha.client.token().unwrap();
        assert_eq!((kid(old), published(&apis[0]).await), ("first".to_owned(), vec!["first".to_owned()]));
        let work = Work { apis: &apis, going_on: true.into(), asked: 0.into(), rounds: 0.into() };
        let old_is_over = AtomicBool::new(false);
        let rotating = async {
            dir.manage(&["rotate", "--kid", "second"]).await;
            all_publish(&apis, &["first", "second"]).await;
            work.some_more().await;
            assert_eq!(signers(&apis, &asha).await, ["first", "first"], "published, and not used yet");

            // Ten minutes later.
            dir.move_use_from("second.pem", Timestamp::now());
            until("everybody signs with the new key", SOON, async || {
                signers(&apis, &asha).await == ["second", "second"]
            })
            .await;
            work.some_more().await;
            asha.client.get("/v1/me").send().await.expect(200);
            let refused = dir.retire_fails("first").await;
            assert!(refused.contains("are in force until"), "{refused}");
            assert_eq!(published(&apis[0]).await, ["first", "second"]);

            // And when the last token of the old one has ended, which is when nobody asks with it.
            dir.move_use_from("second.pem", Timestamp::now() - TOKENS_OVER);
            old_is_over.store(true, Ordering::Relaxed);
            dir.manage(&["retire", "--kid", "first"]).await;
            all_publish(&apis, &["first", "second"]).await;
            assert!(!dir.0.join("first.pem").exists(), "its public half stays, for prescriptions alone");
            work.some_more().await;
            // Which can't be told by what is published.
            for api in &apis {
                let ask = async || api.with_token(old).get("/v1/me").send().await;
                until("it proves no token", SOON, async || ask().await.status == 401).await;
                ask().await.refused(401, "unauthenticated");
            }
            assert_eq!(signers(&apis, &asha).await, ["second", "second"]);
            work.going_on.store(false, Ordering::Relaxed);
        };
        let people = stack.patients(3).await;
        let workers: Vec<_> = stream::iter(&people).then(async |person| work.begin(person).await).collect().await;
        let working = join_all(workers.into_iter().map(|worker| work.go_on(worker)));
        let keeping = work.keep(ravi.client.token().unwrap(), &old_is_over);
        futures::join!(rotating, working, keeping);
        let asked = work.asked.load(Ordering::Relaxed);
        assert!(asked > 500, "{asked} requests show little");
    });
}

/// What was sealed before opens, and what is sealed now opens everywhere.
#[test]
fn a_rotation_of_what_seals_fails_no_request() {
    run_with_keys("sealing-rotation", async |stack, dir| {
        let apis = clients(stack).await;
        let before = stack.patient("before").await;
        // Elsewhere, and brought here: a sealing key is not altered under a running process. It is used as soon as everybody
        // has surely read it, not ten minutes later.
        let elsewhere = KeyDir::new().await;
        elsewhere.manage(&["rotate", "--kek", "--kid", "second"]).await;
        let use_from = Timestamp::now() + SignedDuration::from_secs(10);
        elsewhere.move_use_from("second.kek", use_from);
        fs::rename(elsewhere.0.join("second.kek"), dir.0.join("second.kek")).unwrap();
        for process in stack.apis.iter().map(|api| &api.process).chain([&stack.worker]) {
            until("the keys are read again", SOON, async || process.log().contains("keys reloaded")).await;
        }
        assert!(Timestamp::now() < use_from, "too slow to show anything");
        let sql = stack.sql().await;
        let keks = async |owner: &str| {
            let query = format!("SELECT string_agg(kek_id, ',') FROM keys.data_keys WHERE owner_id = '{owner}'");
            sql.value::<String>(&query).await
        };
        assert_eq!(keks(&before.id).await, "first");
        eventually("a data key wrapped under the new key", SOON, async || {
            let person = stack.patient("during").await;
            stack.mail.mail(&person.email, "").await;
            for api in &apis {
                for who in [&before, &person] {
                    let me = who.client.at(api.base()).get("/v1/me").send().await.expect(200);
                    assert_eq!(me["email"], *who.email);
                }
            }
            (keks(&person.id).await == "second").then_some(())
        })
        .await;
        assert!(Timestamp::now() >= use_from);

        // The workers bring the others after it; then nothing needs the old one, and it goes.
        let retire = ["keys", "retire", "--kek", "--dir", dir.text(), "--kid", "first"];
        until("every data key is wrapped under the new key", 3 * SOON, async || {
            sql.value::<i64>("SELECT count(*) FROM keys.data_keys WHERE kek_id <> 'second'").await == 0
        })
        .await;
        assert_eq!(keks(&before.id).await, "second");
        let metrics =
            async || reqwest::get(format!("{}/metrics", stack.worker_url())).await.unwrap().text().await.unwrap();
        until("the gauge says so", SOON, async || metrics().await.contains("amrutam_data_keys_to_rewrap 0")).await;
        let status = stack.operate(&["keys", "status"], "").await;
        assert!(status.contains("first: 0 data keys, may be retired"), "{status}");
        stack.operate(&retire, "").await;
        assert!(fs::read_to_string(dir.0.join("first.kek")).unwrap().starts_with("Retired: "));
        let status = stack.operate(&["keys", "status"], "").await;
        assert!(status.contains("first: 0 data keys, retired"), "{status}");
        // Whoever begins now has the new one alone.
        let late = stack.another_api("late", &[]);
        late.process.start();
        late.ready().await;
        let me = before.client.at(&late.url).get("/v1/me").send().await.expect(200);
        assert_eq!(me["email"], *before.email);
    });
}

fn run_with_keys(name: &'static str, test: impl AsyncFnOnce(&Stack, &KeyDir)) {
    let dir = amrutam_tests::support::run(KeyDir::new());
    on_stack(Options::named(name).apis(2).with("TOKENS__KEY_DIR", dir.text()), async |stack| test(stack, &dir).await);
}

impl KeyDir {
    /// What it says when it refuses.
    async fn retire_fails(&self, kid: &str) -> String {
        let name = unique("retire");
        let process = Process::new(&name, "amrutamctl", vec![]);
        let process = process.with_arguments(&["keys", "retire", "--dir", self.text(), "--kid", kid]);
        process.start();
        assert!(!process.ended(SOON).await.success(), "{}", process.log());
        process.log()
    }
}
