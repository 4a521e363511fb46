//! One flow has one name everywhere, and nobody's secrets are in the logs.

use amrutam_tests::support::{Process, SOON, Stack, booking, eventually, on_shared, unique};
use serde_json::{Value, json};

fn lines(process: &Process) -> Vec<Value> {
    process
        .log()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn correlation_and_trace_go_from_the_request_to_the_mail() {
    on_shared(async |stack| {
        let slot = stack.doctor(1).await.slots().await.remove(0);
        let patient = stack.patient("asha").await;
        let (flow, trace) = (unique("flow"), format!("{:032x}", rand::random::<u128>() | 1));
        let parent = format!("00-{trace}-00f067aa0ba902b7-01");
        let booked = patient.book(&slot).header("x-correlation-id", &flow).header("traceparent", &parent).send().await;
        assert_eq!(booked.header("x-correlation-id"), flow);
        let id = booked.expect(201)["id"].as_str().unwrap().to_owned();

        let mail = stack.mail.mail(&patient.email, "confirmed").await;
        let header = mail.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-correlation-id"));
        assert_eq!(header.map(|(_, value)| value.as_str()), Some(flow.as_str()), "{:?}", mail.headers);

        let of_flow = |process: &Process| {
            lines(process).into_iter().filter(|line| line["correlation_id"] == json!(flow)).collect::<Vec<_>>()
        };
        let handled = eventually("the worker tells of the event", SOON, async || {
            of_flow(&stack.worker)
                .into_iter()
                .find(|line| line["event_type"] == "consultation.confirmed.v1" && line["aggregate_id"] == json!(id))
        })
        .await;
        assert_eq!(handled["trace_id"], json!(trace));
        let request = of_flow(&stack.apis[0].process);
        let request: Vec<_> = request.iter().filter(|line| line["target"] == "http").collect();
        assert_eq!(request.len(), 1, "one line for one request");
        assert_eq!((&request[0]["trace_id"], &request[0]["status"]), (&json!(trace), &json!(201)));
        assert_eq!(
            (&request[0]["route"], &request[0]["account_id"]),
            (&json!("/v1/consultations"), &json!(patient.id))
        );

        let sql = stack.sql().await;
        for query in [
            format!(
                "SELECT count(*) FROM audit_entries WHERE correlation_id = '{flow}' AND resource_id = '{id}' AND action = 'consultation.book'"
            ),
            format!(
                "SELECT count(*) / 2 FROM consultation_timeline WHERE correlation_id = '{flow}' AND consultation_id = '{id}'"
            ),
        ] {
            assert_eq!(sql.value::<i64>(&query).await, 1, "{query}");
        }
    });
}

/// Every column of every table that holds the text, as text or as bytes.
async fn tables_with(stack: &Stack, text: &str) -> Vec<String> {
    let sql = stack.sql().await;
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut found = Vec::new();
    for table in sql.tables().await {
        let query =
            format!("SELECT count(*) FROM {table} AS t WHERE t::text LIKE '%{text}%' OR t::text LIKE '%{hex}%'");
        if sql.value::<i64>(&query).await > 0 {
            found.push(table);
        }
    }
    found
}

#[test]
fn what_is_personal_is_in_no_log_and_what_is_secret_in_no_table() {
    on_shared(async |stack| {
        let canary = |what: &str| unique(&format!("canary-{what}"));
        let (name, password, reason) = (canary("name"), canary("password"), canary("reason"));
        let (address, phone) = (format!("{}@patients.example", canary("address")), "+919876512345");
        let account = json!({ "email": address, "password": password, "full_name": name, "phone": phone, "date_of_birth": "1971-03-09" });
        let client = stack.anonymous();
        client.post("/v1/auth/register", &account).send().await.expect(201);
        client.post("/v1/auth/register", &account).send().await.expect(201);
        let wrong = json!({ "email": address, "password": format!("{password}-wrong") });
        client.post("/v1/auth/login", &wrong).send().await.refused(401, "invalid_credentials");
        let tokens =
            client.post("/v1/auth/login", &json!({ "email": address, "password": password })).send().await.expect(200);
        let token = tokens["access_token"].as_str().unwrap();
        let patient = client.with_token(token);
        let doctor = stack.doctor(1).await;
        let mut body = booking(&doctor.slots().await[0]);
        body["reason"] = json!(reason);
        let booked = patient.post("/v1/consultations", &body).key(&unique("key")).send().await.expect(201);
        let path = format!("/v1/consultations/{}", booked["id"].as_str().unwrap());
        assert_eq!(patient.get(&path).send().await.expect(200)["reason"], json!(reason));
        // Mistakes with a secret in them.
        for bad in [
            json!({ "reason": { "text": reason } }),
            json!({ reason.clone(): 1 }),
            json!(reason),
            json!({ "mode": reason }),
        ] {
            let answer = patient.post("/v1/consultations", &bad).key(&unique("key")).send().await;
            assert!(answer.status == 400 || answer.status == 422);
        }
        patient.get(&format!("/v1/doctors?q={reason}")).send().await.expect(200);
        patient.get(&format!("/v1/consultations?status={reason}")).send().await.refused(422, "validation_failed");
        stack.mail.mail(&address, "confirmed").await;

        for process in [&stack.apis[0].process, &stack.worker, &stack.sandbox] {
            let log = process.log();
            for secret in [&name, &password, &reason, &address, phone, "1971-03-09", token] {
                assert!(!log.contains(secret), "{} holds {secret}", process.log_path().display());
            }
        }
        assert_eq!(tables_with(stack, &password).await, Vec::<String>::new());
        assert_eq!(tables_with(stack, &reason).await, Vec::<String>::new());
        for sealed in [&name, &address, phone, "1971-03-09"] {
            assert_eq!(tables_with(stack, sealed).await, Vec::<String>::new(), "{sealed}");
        }
    });
}
