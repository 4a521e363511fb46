//! What the service says of itself.

use crate::routes::operations;
use amrutam_tests::support::{environment, on_shared};
use std::collections::BTreeSet;

#[test]
fn the_committed_openapi_document_is_the_served_one() {
    on_shared(async |stack| {
        let served = stack.anonymous().get("/openapi.json").send().await;
        let path = environment().root.join("docs/openapi.json");
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            served.text() == committed,
            "docs/openapi.json is not what the code says: `make openapi`, and commit it"
        );
        assert!(served.json()["openapi"].as_str().unwrap().starts_with("3.1"));
    });
}

#[test]
fn every_documented_error_is_a_problem() {
    on_shared(async |stack| {
        let document = stack.anonymous().get("/openapi.json").send().await.expect(200);
        let mut missing = Vec::new();
        for (method, path, operation) in operations(&document) {
            assert!(operation["operationId"].is_string(), "{method} {path} has no name");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let response = match response["$ref"].as_str() {
                    Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
                    None => response,
                };
                let is_error = status.parse::<u16>().unwrap() >= 400;
                // Readiness is a report, also when it is bad.
                if is_error && path != "/readyz" && response["content"]["application/problem+json"]["schema"].is_null()
                {
                    missing.push(format!("{method} {path} {status}"));
                }
            }
        }
        assert_eq!(missing, Vec::<String>::new());
        let schema = &document["components"]["schemas"]["Problem"];
        for member in ["type", "title", "status", "detail", "instance", "code", "correlation_id", "errors"] {
            assert!(!schema["properties"][member].is_null(), "the schema of problems has no {member}");
        }
    });
}

#[test]
fn the_browsable_documentation_needs_no_internet() {
    on_shared(async |stack| {
        let client = stack.anonymous();
        let first = client.get("/docs").send().await;
        let page =
            if (300..400).contains(&first.status) { client.get(first.header("location")).send().await } else { first };
        assert_eq!((page.status, page.header("content-type").starts_with("text/html")), (200, true));
        let text = page.text();
        let references: BTreeSet<_> = ["src=\"", "href=\""]
            .iter()
            .flat_map(|attribute| text.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()))
            .collect();
        assert!(references.len() >= 3, "{references:?}");
        for reference in references {
            assert!(!reference.starts_with("http") && !reference.starts_with("//"), "{reference} is elsewhere");
            let path = format!("/docs/{}", reference.trim_start_matches("./"));
            let asset = client.get(&path).send().await;
            assert_eq!(asset.status, 200, "{path}");
            if reference.ends_with(".css") {
                assert!(!asset.text().contains("url(http"), "{path} loads from elsewhere");
            }
        }
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'self'"), "{policy}");
    });
}

#[test]
fn the_process_tells_how_it_does() {
    on_shared(async |stack| {
        stack.anonymous().get("/v1/doctors/no-such-doctor").send().await.refused(404, "not_found");
        stack.patient("asha").await.booked(&stack.doctor(1).await.slots().await[0]).await;
        let ready = stack.anonymous().get("/readyz").send().await.expect(200);
        assert_eq!(ready["status"], "ready");
        let metrics =
            amrutam_tests::support::Client::new(&stack.apis[0].metrics_url).get("/metrics").send().await.text();
        for line in [
            "http_request_duration_seconds",
            "http_requests_in_flight",
            "amrutam_database_pool",
            "amrutam_lock_attempts_total",
            "process_resident_memory_bytes",
            "route=\"/v1/doctors/{doctor_id}\"",
        ] {
            assert!(metrics.contains(line), "the metrics have no {line}");
        }
        assert!(!metrics.contains("no-such-doctor"), "a path is not a label");
        stack.anonymous().get("/metrics").send().await.refused(404, "not_found");
    });
}
