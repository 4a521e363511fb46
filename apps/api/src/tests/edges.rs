use super::{Api, brief, with_token};
use crate::http::edge;
use actix_web::{
    App, HttpResponse, HttpServer,
    body::to_bytes,
    dev::Service,
    http::Method,
    middleware::from_fn,
    test::{TestRequest, init_service},
    web::{self, Data},
};
use amrutam_booking::model::PaymentsMode;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[actix_web::test]
async fn every_answer_names_its_flow() {
    let api = Api::new().await;
    let minted = api.get("/nowhere", None).await;
    minted.is_problem(404, "not_found");
    assert!(minted.header("x-correlation-id").unwrap().parse::<uuid::Uuid>().is_ok_and(|id| id.get_version_num() == 7));
    for (sent, taken) in [("checkout-42", true), ("", false), ("a b", false), (&"x".repeat(129)[..], false)] {
        let answer =
            api.send(TestRequest::get().uri("/healthz").insert_header(("x-correlation-id", sent))).await.is(200);
        assert_eq!(answer.header("x-correlation-id") == Some(sent), taken, "{sent:.20}");
    }
}

#[actix_web::test]
async fn a_path_that_is_there_says_which_methods_it_has() {
    let api = Api::new().await;
    for (method, path, allow) in [
        (Method::DELETE, "/v1/me", "GET, HEAD, PATCH"),
        (Method::PUT, "/v1/consultations", "GET, HEAD, POST"),
        (Method::POST, "/v1/doctors/x/availability", "GET, HEAD, PUT"),
        (Method::TRACE, "/healthz", "GET, HEAD"),
        (Method::HEAD, "/v1/auth/login", "POST"),
    ] {
        let is_head = method == Method::HEAD;
        let answer = api.send(TestRequest::with_uri(path).method(method)).await;
        if is_head {
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (405, ""));
        } else {
            answer.is_problem(405, "method_not_allowed");
        }
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
    api.get("/v1/consultation", None).await.is_problem(404, "not_found");
}

#[actix_web::test]
async fn whatever_can_be_got_can_be_asked_for_its_head() {
    let api = Api::new().await;
    let cast = api.cast().await;
    let one = format!("/v1/doctors/{}", cast.doctor_id);
    for (path, token) in [
        ("/healthz", None),
        ("/readyz", None),
        ("/openapi.json", None),
        ("/docs/", None),
        ("/v1/doctors?limit=1", None),
        (one.as_str(), None),
        ("/v1/me", Some(&*cast.patient)),
        ("/v1/me", None),
        ("/nowhere", None),
    ] {
        let got = api.get(path, token).await;
        let head = api.send(with_token(TestRequest::with_uri(path).method(Method::HEAD), token)).await;
        assert_eq!((head.status, head.text.as_str(), head.length), (got.status, "", got.length), "{path}");
        assert!(!got.text.is_empty());
        for header in ["content-type", "etag", "cache-control", "www-authenticate"] {
            assert_eq!(head.header(header), got.header(header), "{path} {header}");
        }
    }
}

#[actix_web::test]
async fn bad_bodies_have_precise_answers_and_change_nothing() {
    let api = Api::with(PaymentsMode::None, brief()).await;
    let cast = api.cast().await;
    let token = cast.patient.clone();
    let good = cast.wish(0).to_string();
    let before = (api.world.outbox().len(), api.world.audit().len());
    let send = async |kind: &str, body: &[u8]| {
        let request = TestRequest::post().uri("/v1/consultations").insert_header(("idempotency-key", "k"));
        let request = request.insert_header(("content-type", kind)).set_payload(body.to_vec());
        api.send(with_token(request, Some(&token))).await
    };
    send("application/json", b"{").await.is_problem(400, "malformed_body");
    send("application/json", b"").await.is_problem(400, "malformed_body");
    send("application/json", b"\xff").await.is_problem(400, "malformed_body");
    send("application/json", b"[1]").await.is_problem(400, "invalid_type");
    send("text/plain", b"{}").await.is_problem(415, "unsupported_media_type");
    send("application/json; charset=utf-16", b"{}").await.is_problem(415, "unsupported_media_type");
    // Bookings that would be made but for one thing.
    send("text/plain", good.as_bytes()).await.is_problem(415, "unsupported_media_type");
    send("application/json", &good.as_bytes()[..good.len() - 1]).await.is_problem(400, "malformed_body");
    send("application/json", format!("{good} x").as_bytes()).await.is_problem(400, "malformed_body");
    send("application/json", format!("[{good}]").as_bytes()).await.is_problem(400, "invalid_type");
    send("application/json", good.replacen('{', "{\"mode\":\"audio\",", 1).as_bytes())
        .await
        .is_problem(400, "malformed_body");
    send("application/json", good.replacen('{', "{\"status\":\"confirmed\",", 1).as_bytes())
        .await
        .is_problem(400, "unknown_field");
    let large = send("application/json", format!("{good:<2000}").as_bytes()).await;
    large.is_problem(413, "payload_too_large");
    assert!(large.closes);
    assert!(api.world.consultations().is_empty());
    assert_eq!((api.world.outbox().len(), api.world.audit().len()), before);
    // None of them has used the key up, and the slot is still to be had.
    send("application/json", good.as_bytes()).await.is(201);
}

#[actix_web::test]
async fn who_is_not_signed_in_is_not_read() {
    let api = Api::new().await;
    let request =
        TestRequest::post().uri("/v1/consultations").insert_header(("content-type", "text/plain")).set_payload("x");
    api.send(request).await.is_problem(401, "unauthenticated");
}

#[actix_web::test]
async fn a_head_has_bounds() {
    let api = Api::new().await;
    let many =
        (0..80).fold(TestRequest::get().uri("/healthz"), |request, n| request.insert_header((format!("x-{n}"), "1")));
    api.send(many).await.is_problem(431, "headers_too_large");
    let large = TestRequest::get().uri("/healthz").insert_header(("x-large", "a".repeat(17_000)));
    api.send(large).await.is_problem(431, "headers_too_large");
}

#[actix_web::test]
async fn readiness_ends_before_the_process_does() {
    let api = Api::new().await;
    let ready = api.get("/readyz", None).await.is(200);
    assert_eq!(ready.json()["status"], "ready");
    api.services.readiness.drain();
    let draining = api.get("/readyz", None).await.is(503);
    assert_eq!((&draining.json()["status"], draining.closes), (&json!("unavailable"), true));
    assert_eq!(
        (draining.header("content-type"), draining.header("retry-after")),
        (Some("application/json"), Some("1"))
    );
}

#[actix_web::test]
async fn a_panic_and_a_time_out_are_answers_without_detail() {
    let services = Api::with(PaymentsMode::None, brief()).await.services;
    let app = App::new()
        .app_data(services)
        .route("/panic", web::get().to(panics))
        .route("/slow", web::get().to(std::future::pending::<HttpResponse>))
        .wrap(from_fn(edge));
    let app = init_service(app).await;
    for (path, status, code) in [("/panic", 500, "internal_error"), ("/slow", 503, "timeout")] {
        let error = app.call(TestRequest::get().uri(path).to_request()).await.err().unwrap();
        let response = error.error_response();
        assert_eq!(response.status().as_u16(), status);
        assert!(response.headers().contains_key("x-correlation-id"));
        let body: serde_json::Value = serde_json::from_slice(&to_bytes(response.into_body()).await.unwrap()).unwrap();
        assert_eq!((&body["code"], &body["instance"]), (&json!(code), &json!(path)));
        assert!(!body.to_string().contains("canary"));
    }
}

async fn panics() -> HttpResponse {
    panic!("canary")
}

#[actix_web::test]
async fn a_body_that_never_ends_does_not_keep_its_connection() {
    let services = Api::new().await.services;
    let document = Data::new(crate::openapi::document());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = HttpServer::new(move || crate::application::app(services.clone(), document.clone()))
        .workers(1)
        .client_disconnect_timeout(Duration::from_millis(200))
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = b"POST /v1/consultations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n";
    stream.write_all(head).await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await;
    assert!(read.is_ok(), "the connection is still open: {answer}");
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    handle.stop(false).await;
}
