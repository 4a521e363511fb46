//! What is sealed opens where it was put, for as long as its owner's keys are there, and is refused loudly anywhere else.

use amrutam_tests::support::{
    Api, Client, Options, Person, Process, SOON, Sql, Stack, booking, on_stack, unique, until,
};
use serde_json::{Value, json};

/// A patient with a visit and a reason for it.
struct Patient {
    person: Person,
    visit: String,
    reason: String,
}

async fn with_reasons(stack: &Stack, count: usize) -> Vec<Patient> {
    let slots = stack.doctor(1).await.slots().await;
    let mut patients = Vec::new();
    for slot in slots.iter().take(count) {
        let person = stack.patient("asha").await;
        let (mut body, reason) = (booking(slot), unique("reason"));
        body["reason"] = json!(reason);
        let booked = person.client.post("/v1/consultations", &body).key(&unique("key")).patiently().await.expect(201);
        patients.push(Patient { person, visit: booked["id"].as_str().unwrap().to_owned(), reason });
    }
    patients
}

impl Patient {
    async fn reads(&self) -> Value {
        self.person.consultation(&self.visit).await["reason"].clone()
    }
}

/// How many values the process has refused, by its own count.
async fn refusals(api: &Api) -> u64 {
    let metrics = reqwest::get(format!("{}/metrics", api.metrics_url)).await.unwrap().text().await.unwrap();
    let lines = metrics.lines().filter(|line| line.starts_with("amrutam_seal_refused_total{"));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// It answers nothing of it, counts it and tells of it by ids.
async fn refused_loudly(stack: &Stack, client: &Client, path: &str, row: &str, what: &str) {
    let before = refusals(&stack.apis[0]).await;
    let answer = client.get(path).send().await;
    assert_eq!(answer.status, 500, "{what}: {}", answer.text());
    assert!(refusals(&stack.apis[0]).await > before, "{what}: not counted");
    let log = stack.apis[0].process.log();
    let told = log.lines().rfind(|line| line.contains("a sealed value was refused")).unwrap_or_default();
    let told: Value = serde_json::from_str(told).unwrap();
    assert_eq!((&told["level"], &told["row"]), (&json!("ERROR"), &json!(row)), "{what}: {told}");
}

async fn value(sql: &Sql, column: &str, table: &str, condition: &str) -> String {
    sql.value(&format!("SELECT encode({column}, 'hex') FROM {table} WHERE {condition}")).await
}

async fn put(sql: &Sql, column: &str, table: &str, condition: &str, hex: &str) {
    let statement = format!("UPDATE {table} SET {column} = decode('{hex}', 'hex') WHERE {condition}");
    assert_eq!(sql.execute(&statement).await, 1, "{statement}");
}

#[test]
fn what_is_altered_or_moved_is_refused_loudly() {
    on_stack(Options::named("tampered"), async |stack| {
        let sql = stack.sql().await;
        let patients = with_reasons(stack, 2).await;
        let [one, two] = patients.as_slice() else { panic!("two patients") };
        let row = |patient: &Patient| format!("consultation_id = '{}'", patient.visit);
        let sealed = async |patient: &Patient| value(&sql, "sealed", "phi.visit_reasons", &row(patient)).await;
        let becomes = async |hex: &str| put(&sql, "sealed", "phi.visit_reasons", &row(one), hex).await;
        let (first, second) = (sealed(one).await, sealed(two).await);
        assert!(first.starts_with("020100000001"), "{first}");
        let path = format!("/v1/consultations/{}", one.visit);
        let refused = async |what: &str| refused_loudly(stack, &one.person.client, &path, &one.visit, what).await;

        // Of another patient, and of another row of one's own.
        becomes(&second).await;
        refused("another patient's").await;
        let contact = format!("account_id = '{}'", one.person.id);
        for column in ["email", "full_name"] {
            becomes(&value(&sql, column, "phi.contacts", &contact).await).await;
            refused(column).await;
        }
        // Any byte of it.
        for at in 0..first.len() / 2 {
            let byte = u8::from_str_radix(&first[2 * at..2 * at + 2], 16).unwrap();
            becomes(&format!("{}{:02x}{}", &first[..2 * at], byte ^ 0x40, &first[2 * at + 2..])).await;
            refused(&format!("byte {at}")).await;
        }
        becomes(&first[..first.len() - 2]).await;
        refused("cut").await;
        becomes(&first).await;
        assert_eq!((one.reads().await, two.reads().await), (json!(one.reason), json!(two.reason)));

        // Another column of the same row, and an older value of the same column.
        let me = async |what: &str| refused_loudly(stack, &one.person.client, "/v1/me", &one.person.id, what).await;
        let kept = [
            value(&sql, "email", "phi.contacts", &contact).await,
            value(&sql, "full_name", "phi.contacts", &contact).await,
        ];
        put(&sql, "email", "phi.contacts", &contact, &kept[1]).await;
        put(&sql, "full_name", "phi.contacts", &contact, &kept[0]).await;
        me("swapped columns").await;
        put(&sql, "email", "phi.contacts", &contact, &kept[0]).await;
        put(&sql, "full_name", "phi.contacts", &contact, &kept[1]).await;
        let etag = one.person.client.get("/v1/me").send().await.header("etag").to_owned();
        let changed = json!({ "full_name": "Asha Menon" });
        let call = one.person.client.call("PATCH", "/v1/me").json(&changed).header("if-match", &etag);
        call.patiently().await.expect(200);
        let new = value(&sql, "full_name", "phi.contacts", &contact).await;
        put(&sql, "full_name", "phi.contacts", &contact, &kept[1]).await;
        me("an older value").await;
        put(&sql, "full_name", "phi.contacts", &contact, &new).await;

        // And the wrapped key of another, or an altered one, for a process that has not got it at hand.
        let key = format!("owner_id = '{}' AND version = 1", one.person.id);
        let wrapped = value(&sql, "wrapped", "keys.data_keys", &key).await;
        let theirs = format!("owner_id = '{}' AND version = 1", two.person.id);
        put(&sql, "wrapped", "keys.data_keys", &key, &value(&sql, "wrapped", "keys.data_keys", &theirs).await).await;
        let late = stack.another_api("late", &[]);
        late.process.start();
        late.ready().await;
        let there = one.person.client.at(&late.url);
        assert_eq!(there.get("/v1/me").send().await.status, 500);
        assert!(refusals(&late).await > 0);
        put(&sql, "wrapped", "keys.data_keys", &key, &wrapped).await;
        assert_eq!(there.get("/v1/me").send().await.expect(200)["full_name"], "Asha Menon");

        for process in [&stack.apis[0].process, &late.process] {
            assert!(!process.log().contains(&one.reason), "{}", process.log_path().display());
        }
    });
}

async fn shred(stack: &Stack, person: &Person) -> String {
    stack.operate(&["keys", "shred", "--owner", &person.id, "--confirm", &person.id, "--not-due"], "").await
}

#[test]
fn nobodys_keys_are_destroyed_by_hand_while_something_keeps_them() {
    on_stack(Options::named("kept-keys"), async |stack| {
        let keeper = stack.patient("asha").await;
        let child = json!({ "full_name": "Kavya", "date_of_birth": "2015-05-17", "relation": "child" });
        let child = keeper.client.post("/v1/me/dependants", &child).key(&unique("key")).send().await.expect(201);
        let child = child["id"].as_str().unwrap().to_owned();
        let shred = |owner: &str| ["keys", "shred", "--owner", owner, "--confirm", owner].map(str::to_owned);
        let refused = async |owner: &str, more: &[&str]| {
            let arguments = shred(owner);
            let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
            stack.operate_in_vain(&arguments).await
        };
        for owner in [&*keeper.id, &*child] {
            assert!(refused(owner, &[]).await.contains("--not-due"), "{owner}");
        }
        let case = ["--account", &keeper.id, "--case", "HC-2026/17"];
        stack.operate(&[&["privacy", "hold"], &case[..]].concat(), "").await;
        for owner in [&*keeper.id, &*child] {
            assert!(refused(owner, &["--not-due"]).await.contains("legal hold"), "{owner}");
        }
        let kept = keeper.client.get(&format!("/v1/me/dependants/{child}")).send().await.expect(200);
        assert_eq!(kept["full_name"], "Kavya");
        stack.operate(&[&["privacy", "lift"], &case[..]].concat(), "").await;
        let done = stack.operate(&["keys", "shred", "--owner", &child, "--confirm", &child, "--not-due"], "").await;
        assert!(done.contains("destroyed 1 keys"), "{done}");
    });
}

async fn logs_in(client: &Client, person: &Person) -> u16 {
    let body = json!({ "email": person.email, "password": person.password });
    client.post("/v1/auth/login", &body).patiently().await.status
}

#[test]
fn destroyed_keys_end_what_is_sealed_here_and_in_every_backup() {
    on_stack(Options::named("shredded").apis(2).keys_apart(), async |stack| {
        let patients = with_reasons(stack, 2).await;
        let [gone, stays] = patients.as_slice() else { panic!("two patients") };
        for api in &stack.apis {
            for patient in [gone, stays] {
                let there = patient.person.client.at(&api.url);
                let path = format!("/v1/consultations/{}", patient.visit);
                assert_eq!(there.get(&path).send().await.expect(200)["reason"], json!(patient.reason));
            }
        }
        let backup = stack.database.backup().await;
        // The keys are elsewhere: whoever has this copy has none of them.
        assert!(backup.contains(&gone.visit) && !backup.contains("data_keys"));

        let told = shred(stack, &gone.person).await;
        assert!(told.starts_with("destroyed 1 keys"), "{told}");
        assert!(shred(stack, &gone.person).await.starts_with("destroyed 0 keys"), "twice is once");
        let sql = stack.sql().await;
        let audited = format!(
            "SELECT count(*) FROM audit_entries WHERE action = 'keys.destroy' AND outcome = 'allowed' AND patient_id = '{}'",
            gone.person.id
        );
        assert_eq!(sql.value::<i64>(&audited).await, 2);
        // Processes that had the key at hand find out by themselves.
        let visit = format!("/v1/consultations/{}", gone.visit);
        for api in &stack.apis {
            let there = gone.person.client.at(&api.url);
            until("the reason is gone", SOON, async || {
                there.get(&visit).send().await.expect(200).get("reason").is_none_or(Value::is_null)
            })
            .await;
            assert_eq!(logs_in(&there, &gone.person).await, 401, "nobody is known by that address");
        }
        assert_eq!(stays.reads().await, json!(stays.reason));

        // What was sealed comes back from the backup, and stays what it is.
        let restored = stack.database.restored(&backup, "").await;
        let settings = [("DATABASE__URL", &*restored.url)];
        let late = stack.another_api("restored", &settings);
        late.process.start();
        late.ready().await;
        let client = Client::new(&late.url);
        assert_eq!(logs_in(&client, &gone.person).await, 401);
        let back = Person::log_in(&client, &stays.person.email, &stays.person.password).await;
        assert_eq!(back.consultation(&stays.visit).await["reason"], json!(stays.reason));
        let there = gone.person.client.at(&late.url).get(&visit).send().await;
        assert!(!there.text().contains(&gone.reason), "{}", there.text());
        let refused: Vec<_> = refused_lines(&late.process);
        assert!(refused.is_empty(), "gone is not altered: {refused:?}");
    });
}

fn refused_lines(process: &Process) -> Vec<String> {
    process.log().lines().filter(|line| line.contains("a sealed value was refused")).map(str::to_owned).collect()
}
