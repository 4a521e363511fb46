//! What answers tell browsers: whose scripts may read them, and what is never to be done with them.

use super::{Answer, Api, brief};
use crate::{
    http::{Cors, Headers, edge},
    tls::Tls,
};
use actix_web::{
    App, HttpResponse,
    dev::Service,
    http::{Method, header::HeaderMap},
    middleware::from_fn,
    test::{TestRequest, init_service},
    web,
};
use amrutam_booking::model::PaymentsMode;
use std::collections::BTreeSet;

const APP: &str = "https://app.amrutam.example";
const OTHER: &str = "https://staff.amrutam.example:8443";

async fn api(tls: Tls, origins: &[&str]) -> Api {
    let cors = Cors { origins: origins.iter().map(|&origin| origin.to_owned()).collect(), ..Cors::default() };
    Api::telling_browsers(PaymentsMode::None, brief(), Headers::of(&tls, &cors)).await
}

fn words(headers: &HeaderMap, name: &str) -> BTreeSet<String> {
    let values = headers.get_all(name).map(|value| value.to_str().unwrap().to_ascii_lowercase());
    values.flat_map(|value| value.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>()).collect()
}

async fn from_page(api: &Api, method: &str, path: &str, origins: &[&str]) -> Answer {
    let request = TestRequest::with_uri(path).method(Method::from_bytes(method.as_bytes()).unwrap());
    api.send(origins.iter().fold(request, |request, origin| request.append_header(("origin", *origin)))).await
}

async fn preflight(api: &Api, path: &str, origin: &str, method: Option<&str>) -> Answer {
    let request = TestRequest::with_uri(path).method(Method::OPTIONS).insert_header(("origin", origin));
    let request = request.insert_header(("access-control-request-headers", "authorization,idempotency-key"));
    api.send(match method {
        Some(method) => request.insert_header(("access-control-request-method", method)),
        None => request,
    })
    .await
}

#[actix_web::test]
async fn a_page_on_the_list_can_read_every_answer_and_no_other_page_any() {
    let api = api(Tls::default(), &[APP, OTHER]).await;
    let routes =
        [("GET", "/healthz"), ("GET", "/v1/doctors"), ("GET", "/v1/me"), ("GET", "/nowhere"), ("PUT", "/v1/me")];
    for (method, path) in routes {
        for (sent, allowed) in [
            (&[APP][..], Some(APP)),
            (&[OTHER], Some(OTHER)),
            (&[], None),
            (&["https://app.amrutam.example.evil.example"], None),
            (&["https://app.amrutam.example:443"], None),
            (&["https://evil.app.amrutam.example"], None),
            (&["http://app.amrutam.example"], None),
            (&["HTTPS://APP.AMRUTAM.EXAMPLE"], None),
            (&["null"], None),
            (&["*"], None),
            (&[APP, APP], None),
            (&[APP, "https://evil.example"], None),
        ] {
            let answer = from_page(&api, method, path, sent).await;
            assert_eq!(answer.header("access-control-allow-origin"), allowed, "{method} {path} from {sent:?}");
            assert_eq!(
                answer.headers.contains_key("access-control-expose-headers"),
                allowed.is_some(),
                "{path} {sent:?}"
            );
            assert!(words(&answer.headers, "vary").contains("origin"), "{method} {path} from {sent:?}");
            assert!(!answer.headers.contains_key("access-control-allow-credentials"), "{path}");
        }
    }
    let answer = from_page(&api, "GET", "/v1/doctors", &[APP]).await;
    assert!(words(&answer.headers, "vary").is_superset(&["authorization".to_owned(), "origin".to_owned()].into()));
    let exposed = words(&answer.headers, "access-control-expose-headers");
    for name in ["etag", "link", "location", "x-correlation-id", "ratelimit", "ratelimit-policy", "retry-after"] {
        assert!(exposed.contains(name), "{name}");
    }
    assert!(exposed.contains("idempotency-replayed") && !exposed.contains("*"));
}

#[actix_web::test]
async fn a_browser_may_ask_first() {
    let api = api(Tls::default(), &[APP]).await;
    for path in ["/v1/consultations", "/v1/me", "/nowhere"] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let answer = preflight(&api, path, APP, Some(method)).await.is(204);
            assert_eq!(answer.header("access-control-allow-origin"), Some(APP), "{path}");
            assert!(words(&answer.headers, "access-control-allow-methods").contains(&method.to_ascii_lowercase()));
            let fields = words(&answer.headers, "access-control-allow-headers");
            for field in ["authorization", "content-type", "idempotency-key", "if-match", "x-correlation-id"] {
                assert!(fields.contains(field), "{field}");
            }
            assert!(!fields.contains("*"));
            assert_eq!(answer.header("access-control-max-age"), Some("600"));
            assert!(words(&answer.headers, "vary").contains("origin"));
            assert!(answer.header("x-correlation-id").is_some() && answer.text.is_empty());
        }
    }
    // Not asked by a browser on behalf of a page we know: OPTIONS is a method like any other.
    for (origin, method) in [("https://evil.example", Some("POST")), ("null", Some("POST")), (APP, None)] {
        let answer = preflight(&api, "/v1/me", origin, method).await;
        answer.is_problem(405, "method_not_allowed");
        assert!(!answer.headers.contains_key("access-control-allow-methods"), "{origin}");
    }
}

#[actix_web::test]
async fn without_a_list_no_page_is_known_and_answers_do_not_vary() {
    let api = Api::new().await;
    let answer = from_page(&api, "GET", "/healthz", &[APP]).await.is(200);
    assert!(!answer.headers.contains_key("access-control-allow-origin") && !answer.headers.contains_key("vary"));
    preflight(&api, "/v1/me", APP, Some("GET")).await.is_problem(405, "method_not_allowed");
}

#[actix_web::test]
async fn a_page_can_read_why_a_request_failed_in_the_middle() {
    let services = api(Tls::default(), &[APP]).await.services;
    let app = App::new()
        .app_data(services)
        .route("/panic", web::get().to(panics))
        .route("/slow", web::get().to(std::future::pending::<HttpResponse>))
        .wrap(from_fn(edge));
    let app = init_service(app).await;
    for path in ["/panic", "/slow"] {
        let request = TestRequest::get().uri(path).insert_header(("origin", APP));
        let answer = app.call(request.to_request()).await.err().unwrap().error_response();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("access-control-allow-origin").as_deref(), Some(APP), "{path}");
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"), "{path}");
    }
}

async fn panics() -> HttpResponse {
    panic!("on purpose")
}

#[actix_web::test]
async fn every_answer_is_safe_to_show() {
    let api = Api::new().await;
    let answers = [
        ("GET", "/healthz", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/docs/", 200),
        ("GET", "/docs/swagger-ui.css", 200),
        ("GET", "/docs/nothing", 404),
        ("GET", "/v1/doctors", 200),
        ("GET", "/v1/me", 401),
        ("GET", "/nowhere", 404),
        ("DELETE", "/v1/me", 405),
        ("OPTIONS", "/v1/me", 405),
    ];
    for (method, path, status) in answers {
        let answer = from_page(&api, method, path, &[]).await.is(status);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}: {name}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        for never in ["frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"] {
            assert!(policy.contains(never), "{path}: {policy}");
        }
        assert_eq!(policy.starts_with("default-src 'none';"), !path.starts_with("/docs/"), "{path}: {policy}");
        assert!(!policy.contains("unsafe-eval") && !policy.contains("script-src 'unsafe-inline'"), "{policy}");
        assert!(!answer.headers.contains_key("server") && !answer.headers.contains_key("x-powered-by"), "{path}");
        let public = path == "/v1/doctors" || path == "/openapi.json";
        assert!(
            public || answer.header("cache-control") == Some("no-store"),
            "{path}: {:?}",
            answer.header("cache-control")
        );
    }
}

#[actix_web::test]
async fn the_documentation_needs_no_more_than_its_policy_grants() {
    let api = Api::new().await;
    let page = api.get("/docs/", None).await.is(200).text;
    let scripts: Vec<_> = page.split("<script").skip(1).collect();
    assert!(scripts.len() >= 3, "{page}");
    assert!(scripts.iter().all(|script| script.trim_start().starts_with("src=\"./")), "an inline script: {page}");
    assert!(!page.contains(" onload=") && !page.contains("javascript:"), "{page}");
}

#[actix_web::test]
async fn browsers_are_told_to_insist_on_tls_where_there_is_tls() {
    let own = Tls { certificate: Some("/tls.crt".into()), key: Some("/tls.key".into()), ..Tls::default() };
    let behind = Tls { terminated_by_proxy: true, ..Tls::default() };
    let quiet = Tls { hsts_max_age_secs: 0, ..behind.clone() };
    for (tls, expected) in [
        (Tls::default(), None),
        (own, Some("max-age=63072000; includeSubDomains")),
        (behind, Some("max-age=63072000; includeSubDomains")),
        (quiet, None),
    ] {
        let api = api(tls, &[]).await;
        for path in ["/healthz", "/nowhere", "/docs/"] {
            assert_eq!(api.get(path, None).await.header("strict-transport-security"), expected, "{path}");
        }
    }
}
