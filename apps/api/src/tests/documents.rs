use super::Api;
use crate::{openapi, problem::Code};
use serde_json::Value;
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
fn every_route_of_the_issue_is_there() {
    let document = document();
    let mut found: Vec<_> =
        operations(&document).iter().map(|(path, method, _)| format!("{} {path}", method.to_uppercase())).collect();
    found.sort();
    let mut expected = [
        "DELETE /v1/doctors/{doctor_id}/time-off/{time_off_id}",
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
            for status in ["400", "408", "413", "415", "422"] {
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

#[actix_web::test]
async fn every_protected_route_refuses_strangers() {
    let api = Api::new().await;
    let document = document();
    for (path, method, operation) in operations(&document) {
        if operation["security"].is_array() {
            let path = path.replace("{doctor_id}", "x").replace("{consultation_id}", "x").replace("{time_off_id}", "x");
            let method = method.to_uppercase().parse::<actix_web::http::Method>().unwrap();
            let answer = api.send(actix_web::test::TestRequest::with_uri(&path).method(method)).await;
            answer.is_problem(401, "unauthenticated");
        }
    }
}
