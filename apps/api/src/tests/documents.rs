use super::Api;
use crate::{openapi, problem::Code};
use serde_json::{Value, json};
use std::path::Path;

fn document() -> Value {
    serde_json::from_str(&openapi::document().text).unwrap()
}

fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &'_ Value)| {
        let path = path.clone();
        item.as_object().unwrap().keys().map(move |method| (path.clone(), method.clone())).collect::<Vec<_>>()
    };
    let names: Vec<_> = paths.iter().flat_map(of).collect();
    names
        .into_iter()
        .map(|(path, method)| {
            let operation = &document["paths"][&path][&method];
            (path, method, operation)
        })
        .collect()
}

#[test]
fn the_committed_document_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == openapi::document().text, "docs/openapi.json is stale: make openapi");
}

#[test]
fn every_route_of_the_issues_is_there() {
    let document = document();
    let mut found: Vec<_> =
        operations(&document).iter().map(|(path, method, _)| format!("{} {path}", method.to_uppercase())).collect();
    found.sort();
    let mut expected = [
        "DELETE /v1/doctors/{doctor_id}/time-off/{time_off_id}",
        "DELETE /v1/me/dependants/{dependant_id}",
        "GET /v1/formulary",
        "GET /v1/me/dependants",
        "GET /v1/me/dependants/{dependant_id}",
        "PATCH /v1/me/dependants/{dependant_id}",
        "POST /v1/consultations/{consultation_id}/end",
        "POST /v1/consultations/{consultation_id}/mode",
        "POST /v1/me/dependants",
        "DELETE /v1/me/mfa/totp",
        "DELETE /v1/me/sessions/{session_id}",
        "GET /v1/me/sessions",
        "PATCH /v1/me",
        "POST /v1/admin/accounts/{account_id}/deactivate",
        "POST /v1/admin/accounts/{account_id}/logout-all",
        "POST /v1/admin/accounts/{account_id}/mfa/remove",
        "POST /v1/admin/invitations",
        "POST /v1/auth/email/verify",
        "POST /v1/auth/invitation/accept",
        "POST /v1/auth/logout",
        "POST /v1/auth/logout-all",
        "POST /v1/auth/mfa",
        "POST /v1/auth/password/forgot",
        "POST /v1/auth/password/reset",
        "POST /v1/auth/refresh",
        "POST /v1/me/deactivate",
        "POST /v1/me/email/verification",
        "POST /v1/me/mfa/recovery-codes",
        "POST /v1/me/mfa/step-up",
        "POST /v1/me/mfa/totp",
        "POST /v1/me/mfa/totp/confirm",
        "POST /v1/me/password",
        "GET /v1/admin/dead-letters",
        "GET /v1/admin/dead-letters/{dead_letter_id}",
        "GET /v1/admin/payments/{payment_id}",
        "GET /v1/admin/reviews",
        "GET /v1/admin/reviews/{review_id}",
        "GET /v1/consultations/{consultation_id}/cancellation",
        "GET /v1/consultations/{consultation_id}/payment",
        "POST /v1/admin/dead-letters/{dead_letter_id}/discard",
        "POST /v1/admin/dead-letters/{dead_letter_id}/requeue",
        "POST /v1/admin/reviews/{review_id}/resolve",
        "POST /v1/consultations/{consultation_id}/payment/retry",
        "POST /v1/webhooks/payments/{gateway}",
        "GET /v1/audit/checkpoints",
        "GET /v1/audit/consistency",
        "GET /v1/audit/events",
        "GET /v1/audit/events/{event_id}/proof",
        "GET /v1/audit/export",
        "GET /v1/me/access-log",
        "POST /v1/me/access-log/{event_id}/objection",
        "GET /.well-known/jwks.json",
        "GET /healthz",
        "GET /openapi.json",
        "GET /readyz",
        "GET /v1/consultations",
        "GET /v1/consultations/{consultation_id}",
        "GET /v1/consultations/{consultation_id}/timeline",
        "GET /v1/doctors",
        "GET /v1/doctors/{doctor_id}",
        "GET /v1/doctors/{doctor_id}/availability",
        "GET /v1/doctors/{doctor_id}/slots",
        "GET /v1/doctors/{doctor_id}/time-off",
        "GET /v1/me",
        "GET /v1/specializations",
        "PATCH /v1/doctors/{doctor_id}",
        "POST /v1/admin/accounts",
        "POST /v1/admin/doctors/{doctor_id}/suspend",
        "POST /v1/admin/doctors/{doctor_id}/verify",
        "POST /v1/auth/login",
        "POST /v1/auth/register",
        "POST /v1/consultations",
        "POST /v1/consultations/{consultation_id}/cancel",
        "POST /v1/consultations/{consultation_id}/complete",
        "POST /v1/consultations/{consultation_id}/no-show",
        "POST /v1/consultations/{consultation_id}/reschedule",
        "POST /v1/consultations/{consultation_id}/start",
        "POST /v1/doctors",
        "POST /v1/doctors/{doctor_id}/time-off",
        "PUT /v1/doctors/{doctor_id}/availability",
        "GET /v1/consultations/{consultation_id}/consent",
        "GET /v1/consultations/{consultation_id}/notes",
        "GET /v1/consultations/{consultation_id}/prescription",
        "GET /v1/consultations/{consultation_id}/prescription.pdf",
        "GET /v1/patients/{patient_id}/records",
        "GET /v1/admin/erasures/{account_id}",
        "GET /v1/me/export/{export_id}",
        "GET /v1/me/export/{export_id}/content",
        "POST /v1/me/erasure",
        "POST /v1/me/export",
        "GET /v1/prescriptions/verify/{code}",
        "POST /v1/consultations/{consultation_id}/check-in",
        "POST /v1/consultations/{consultation_id}/consent",
        "POST /v1/consultations/{consultation_id}/notes/addenda",
        "POST /v1/consultations/{consultation_id}/prescription/dry-run",
        "POST /v1/consultations/{consultation_id}/prescription/revoke",
        "POST /v1/consultations/{consultation_id}/prescription/sign",
        "PUT /v1/consultations/{consultation_id}/guardian",
        "PUT /v1/consultations/{consultation_id}/notes",
        "PUT /v1/consultations/{consultation_id}/prescription",
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn the_document_is_complete_and_its_references_lead_somewhere() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    let mut ids = std::collections::BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let name = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{name}");
        assert!(operation["summary"].is_string() && operation["tags"][0].is_string(), "{name}");
        for (status, response) in operation["responses"].as_object().unwrap() {
            let reference = response["$ref"].as_str().map(|reference| reference.trim_start_matches('#'));
            let response = reference.map_or(response, |reference| document.pointer(reference).unwrap());
            assert!(
                response["description"].is_string() && response["headers"]["X-Correlation-Id"].is_object(),
                "{name} {status}"
            );
            if status.as_str() >= "400" && path != "/readyz" {
                assert!(response["content"]["application/problem+json"].is_object(), "{name} {status}");
            }
        }
        if operation["requestBody"].is_object() {
            // A notification's body is not looked at by type: its signature is over the bytes.
            let typed = !path.starts_with("/v1/webhooks/");
            for status in
                ["400", "408", "413", "415", "422"].into_iter().filter(|s| typed || !matches!(*s, "415" | "422"))
            {
                assert!(operation["responses"][status].is_object(), "{name} {status}");
            }
        }
        if operation["security"].is_array() {
            assert!(operation["responses"]["401"].is_object(), "{name}");
        }
    }
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}

#[test]
fn the_guide_lists_every_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md");
    let guide = std::fs::read_to_string(path).unwrap();
    for code in Code::ALL {
        let row = format!("| {} | `{}` |", code.number(), code.as_str());
        assert!(guide.contains(&row), "docs/api.md has no row {row}");
    }
}

#[actix_web::test]
async fn the_document_and_its_page_are_served_without_the_internet() {
    let api = Api::new().await;
    let served = api.get("/openapi.json", None).await.is(200);
    assert_eq!(served.text, openapi::document().text);
    assert_eq!(api.get("/docs", None).await.is(307).header("location"), Some("/docs/"));
    let page = api.get("/docs/", None).await.is(200);
    assert!(page.text.contains("swagger-ui") && !page.text.contains("https://unpkg"), "{}", page.text);
    api.get("/docs/nothing.js", None).await.is_problem(404, "not_found");
}

/// What strangers may call. Everything else is for those who have signed in, whatever its annotation says.
const PUBLIC: [&str; 18] = [
    "get /.well-known/jwks.json",
    "get /healthz",
    "get /openapi.json",
    "get /readyz",
    "get /v1/doctors",
    "get /v1/doctors/{doctor_id}",
    "get /v1/doctors/{doctor_id}/slots",
    "get /v1/prescriptions/verify/{code}",
    "get /v1/specializations",
    "post /v1/auth/email/verify",
    "post /v1/auth/invitation/accept",
    "post /v1/auth/login",
    "post /v1/auth/mfa",
    "post /v1/auth/password/forgot",
    "post /v1/auth/password/reset",
    "post /v1/auth/refresh",
    "post /v1/auth/register",
    "post /v1/webhooks/payments/{gateway}",
];

#[test]
fn the_document_says_of_every_route_whether_it_is_public() {
    let document = document();
    let open = operations(&document).into_iter().filter(|(_, _, operation)| !operation["security"].is_array());
    let mut open: Vec<_> = open.map(|(path, method, _)| format!("{method} {path}")).collect();
    open.sort();
    assert_eq!(open, PUBLIC);
}

#[test]
fn every_success_has_an_example_with_the_fields_there_are() {
    let document = document();
    let schema_of = |name: &str| document.pointer(name.trim_start_matches('#')).unwrap();
    let mut seen = 0;
    for (path, method, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap().iter();
        for (status, response) in responses.filter(|(status, _)| status.starts_with('2')) {
            let Some(content) = response["content"].as_object().and_then(|content| content.values().next()) else {
                assert!(status == "202" || status == "204", "{method} {path} {status}");
                continue;
            };
            let name = format!("{method} {path} {status}");
            let schema = content["schema"]["$ref"].as_str().map_or(&content["schema"], schema_of);
            let example = content.get("example").or_else(|| schema.get("example"));
            let example = example.unwrap_or_else(|| panic!("{name} has no example"));
            if let Some(properties) = schema["properties"].as_object() {
                let example = example.as_object().unwrap();
                for field in example.keys() {
                    assert!(properties.contains_key(field), "{name}: the example's {field} is no field");
                }
                for field in schema["required"].as_array().into_iter().flatten() {
                    assert!(example.contains_key(field.as_str().unwrap()), "{name}: the example has no {field}");
                }
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

/// Fails unless the answer has every header field that is documented for it, but for those said to be absent.
#[track_caller]
fn has_its_headers(document: &Value, operation: (&str, &str), answer: &super::Answer, absent: &[&str]) {
    let documented = &document["paths"][operation.1][operation.0]["responses"][answer.status.as_str()];
    let reference = documented["$ref"].as_str().map(|reference| reference.trim_start_matches('#'));
    let documented = reference.map_or(documented, |reference| document.pointer(reference).unwrap());
    let headers = documented["headers"].as_object().unwrap_or_else(|| panic!("{operation:?} {}", answer.status));
    for name in headers.keys() {
        let sent = answer.header(&name.to_lowercase()).is_some();
        assert_eq!(sent, !absent.contains(&name.as_str()), "{operation:?} {} {name}", answer.status);
    }
    for name in ["etag", "location", "link", "retry-after", "idempotency-replayed", "www-authenticate"] {
        let known = headers.keys().any(|header| header.eq_ignore_ascii_case(name));
        assert!(known || answer.header(name).is_none(), "{operation:?} {}: {name} is not documented", answer.status);
    }
}

#[actix_web::test]
async fn documented_header_fields_are_sent_and_those_sent_are_documented() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let document = document();
    let check = |operation: (&str, &str), answer: &super::Answer, absent: &[&str]| {
        has_its_headers(&document, operation, answer, absent);
    };
    const FIRST: &[&str] = &["Idempotency-Replayed"];
    let booked = api.book(&cast.patient, "k", &cast.wish(0)).await.is(201);
    check(("post", "/v1/consultations"), &booked, FIRST);
    check(("post", "/v1/consultations"), &api.book(&cast.patient, "k", &cast.wish(0)).await.is(201), &[]);
    let location = booked.header("location").unwrap().to_owned();
    let one = "/v1/consultations/{consultation_id}";
    check(("get", one), &api.get(&location, Some(&cast.patient)).await.is(200), &[]);
    let slot = json!({ "slot_id": cast.slots[1] });
    let moved = api.post(&format!("{location}/reschedule"), Some(&cast.patient), &slot).await.is(200);
    check(("post", &format!("{one}/reschedule")), &moved, FIRST);
    let reason = json!({ "reason": "patient_improved" });
    let cancelled = api.post(&format!("{location}/cancel"), Some(&cast.patient), &reason).await.is(200);
    check(("post", &format!("{one}/cancel")), &cancelled, FIRST);

    check(("get", "/v1/me"), &api.get("/v1/me", Some(&cast.patient)).await.is(200), &[]);
    check(("get", "/v1/me"), &api.get("/v1/me", None).await, &[]);
    check(("get", "/v1/doctors"), &api.get("/v1/doctors", None).await.is(200), &["Link"]);
    let doctor = format!("/v1/doctors/{}", cast.doctor_id);
    check(("get", "/v1/doctors/{doctor_id}"), &api.get(&doctor, None).await.is(200), &[]);
    let page = api.get(&format!("{doctor}/slots?limit=1"), None).await.is(200);
    check(("get", "/v1/doctors/{doctor_id}/slots"), &page, &[]);
    let hours = api.get(&format!("{doctor}/availability"), Some(&cast.doctor)).await.is(200);
    check(("get", "/v1/doctors/{doctor_id}/availability"), &hours, &[]);
    let off = json!({ "from": "2026-12-07T00:00:00Z", "to": "2026-12-08T00:00:00Z" });
    let off = api.post(&format!("{doctor}/time-off"), Some(&cast.doctor), &off).await.is(201);
    check(("post", "/v1/doctors/{doctor_id}/time-off"), &off, FIRST);
    let suspend = format!("/v1/admin/doctors/{}/suspend", cast.doctor_id);
    let suspended = api.post(&suspend, Some(&cast.admin), &json!({})).await.is(200);
    check(("post", "/v1/admin/doctors/{doctor_id}/suspend"), &suspended, FIRST);

    api.services.readiness.drain();
    check(("get", "/readyz"), &api.get("/readyz", None).await.is(503), &[]);
}

#[actix_web::test]
async fn every_protected_route_refuses_strangers() {
    let api = Api::new().await;
    let document = document();
    for (path, method, _) in operations(&document) {
        if !PUBLIC.contains(&format!("{method} {path}").as_str()) {
            let path = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
            let path = path.collect::<Vec<_>>().join("/");
            let method = method.to_uppercase().parse::<actix_web::http::Method>().unwrap();
            let answer = api.send(actix_web::test::TestRequest::with_uri(&path).method(method)).await;
            answer.is_problem(401, "unauthenticated");
        }
    }
}
