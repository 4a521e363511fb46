//! The inbox page and the JSON API of the mail sink.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::message::Message;
use super::store::Filter;
use super::{Behaviour, InvalidBehaviour, MailSink, Stats, page};
use crate::http::{Behaves, Problem, behaviour, resource};

/// How many messages the inbox page lists.
const PAGE_LIMIT: usize = 200;

type Sink = web::Data<MailSink>;

/// Mounts the routes of the mail sink.
pub(crate) fn configure(config: &mut web::ServiceConfig, sink: &Arc<MailSink>) {
    config
        .app_data(Sink::from(Arc::clone(sink)))
        .service(resource("/").route(web::get().to(inbox)))
        .service(resource("/messages/{id}").route(web::get().to(read)))
        .service(resource("/api/messages").route(web::get().to(list)).route(web::delete().to(clear)))
        .service(resource("/api/messages/{id}").route(web::get().to(get)))
        .service(resource("/api/messages/{id}/raw").route(web::get().to(raw)))
        .service(resource("/api/stats").route(web::get().to(stats)))
        .service(behaviour::<MailSink>("/api/behaviour"));
}

#[derive(Serialize)]
struct MessageView {
    id: u64,
    received_at: String,
    from: String,
    to: Vec<String>,
    subject: String,
    message_id: Option<String>,
    headers: BTreeMap<String, String>,
    text: String,
}

impl From<&Message> for MessageView {
    fn from(message: &Message) -> Self {
        let contents = message.contents();
        Self {
            id: message.id,
            received_at: message.received_at.to_string(),
            from: message.from.clone(),
            to: message.to.clone(),
            subject: message.subject.clone(),
            message_id: message.message_id.clone(),
            headers: contents.headers,
            text: contents.text,
        }
    }
}

#[derive(Serialize)]
struct MessageList {
    items: Vec<MessageView>,
    total: usize,
}

async fn list(sink: Sink, filter: web::Query<Filter>) -> web::Json<MessageList> {
    let found = sink.find(&filter);
    let items = found.items.iter().map(|message| MessageView::from(message.as_ref())).collect();
    web::Json(MessageList { items, total: found.total })
}

async fn clear(sink: Sink) -> HttpResponse {
    sink.store.clear();
    HttpResponse::NoContent().finish()
}

async fn get(sink: Sink, id: web::Path<u64>) -> Result<web::Json<MessageView>, Problem> {
    Ok(web::Json(MessageView::from(find(&sink, *id)?.as_ref())))
}

async fn raw(sink: Sink, id: web::Path<u64>) -> Result<HttpResponse, Problem> {
    let message = find(&sink, *id)?;
    Ok(HttpResponse::Ok()
        .content_type("message/rfc822")
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(message.raw.clone()))
}

async fn stats(sink: Sink) -> web::Json<Stats> {
    web::Json(sink.stats())
}

impl Behaves for MailSink {
    type Behaviour = Behaviour;
    type Invalid = InvalidBehaviour;

    fn behaviour(&self) -> Behaviour {
        Self::behaviour(self)
    }

    fn behave(&self, behaviour: Behaviour) -> Result<(), InvalidBehaviour> {
        Self::behave(self, behaviour)
    }
}

async fn inbox(sink: Sink) -> HttpResponse {
    let found = sink.find(&Filter { limit: Some(PAGE_LIMIT), ..Filter::default() });
    crate::http::page(page::inbox(&found))
}

async fn read(sink: Sink, id: web::Path<u64>) -> Result<HttpResponse, Problem> {
    let message = find(&sink, *id)?;
    Ok(crate::http::page(page::message(&message, &message.contents())))
}

fn find(sink: &MailSink, id: u64) -> Result<Arc<Message>, Problem> {
    sink.store.get(id).ok_or_else(|| Problem::not_found("there is no such message; the oldest ones are forgotten"))
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, test};
    use bytes::Bytes;

    use super::*;

    async fn ask(sink: &Arc<MailSink>, request: TestRequest) -> (StatusCode, String, String) {
        let app =
            init_service(App::new().configure(|config| crate::http::configure(config, sink, &Arc::default(), None)))
                .await;
        let response = call_service(&app, request.to_request()).await;
        let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        let status = response.status();
        let body = read_body(response).await;
        (status, kind.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
    }

    fn sink_with(raw: &'static str) -> Arc<MailSink> {
        let sink = Arc::new(MailSink::new());
        let to = vec!["asha@example.com".to_owned()];
        sink.store.add("bot@example.com".to_owned(), to, Bytes::from_static(raw.as_bytes()));
        sink
    }

    #[actix_web::test]
    async fn every_error_is_a_problem() {
        let sink = Arc::new(MailSink::new());
        let put = |body: &'static str| {
            TestRequest::put()
                .uri("/api/behaviour")
                .insert_header(("content-type", "application/json"))
                .set_payload(body)
        };
        for (request, status, code) in [
            (TestRequest::get().uri("/nowhere"), 404, "not_found"),
            (TestRequest::get().uri("/api/messages/7"), 404, "not_found"),
            (TestRequest::get().uri("/api/messages/x"), 404, "not_found"),
            (TestRequest::get().uri("/messages/7"), 404, "not_found"),
            (TestRequest::get().uri("/api/messages?subjct=x"), 400, "invalid_query"),
            (TestRequest::get().uri("/api/messages?limit=-1"), 400, "invalid_query"),
            (TestRequest::patch().uri("/api/messages"), 405, "method_not_allowed"),
            (put("{"), 400, "invalid_body"),
            (put(r#"{"fail_nxt":1}"#), 400, "invalid_body"),
            (put(r#"{"fail_with":250}"#), 422, "validation_failed"),
            (TestRequest::put().uri("/api/behaviour").set_payload("{}"), 415, "unsupported_media_type"),
        ] {
            let (got, kind, body) = ask(&sink, request).await;
            assert_eq!((got.as_u16(), kind.as_str()), (status, "application/problem+json"), "{body}");
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!((body["status"].as_u64(), body["code"].as_str()), (Some(u64::from(status)), Some(code)));
        }
    }

    #[actix_web::test]
    async fn the_behaviour_is_set_read_and_reset() {
        let sink = Arc::new(MailSink::new());
        let body = serde_json::json!({"fail_next": 2, "fail_with": 550, "fail_stage": "rcpt", "delay_ms": 5,
            "accept_then_drop": true, "down": false});
        let put = test::TestRequest::put().uri("/api/behaviour").set_json(&body);
        assert_eq!(ask(&sink, put).await.0, StatusCode::OK);
        let (_, _, got) = ask(&sink, TestRequest::get().uri("/api/behaviour")).await;
        assert_eq!(serde_json::from_str::<serde_json::Value>(&got).unwrap(), body);
        let (status, _, _) = ask(&sink, TestRequest::delete().uri("/api/behaviour")).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(sink.behaviour(), Behaviour::default());
    }

    #[actix_web::test]
    async fn the_pages_escape_what_a_mail_says() {
        let sink = sink_with("Subject: <script>alert(1)</script>\r\nX-Evil: \"<i>\"\r\n\r\n<b>&amp;\r\n");
        for uri in ["/", "/messages/1"] {
            let (status, kind, body) = ask(&sink, TestRequest::get().uri(uri)).await;
            assert_eq!((status, kind.as_str()), (StatusCode::OK, "text/html; charset=utf-8"));
            assert!(body.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{body}");
            assert!(!body.contains("<script") && !body.contains("<b>") && !body.contains("<i>"), "{body}");
        }
        let (_, _, body) = ask(&sink, TestRequest::get().uri("/messages/1")).await;
        assert!(body.contains("&lt;b&gt;&amp;amp;"), "{body}");
        assert!(body.contains("&quot;&lt;i&gt;&quot;"), "{body}");
    }

    #[actix_web::test]
    async fn messages_are_read_raw_and_cleared() {
        let sink = sink_with("Subject: x\r\n\r\nhello\r\n");
        let (_, kind, body) = ask(&sink, TestRequest::get().uri("/api/messages/1/raw")).await;
        assert_eq!((kind.as_str(), body.as_str()), ("message/rfc822", "Subject: x\r\n\r\nhello\r\n"));
        let (_, _, body) = ask(&sink, TestRequest::get().uri("/api/messages/1")).await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["text"].as_str().map(str::trim_end), Some("hello"));
        assert_eq!(body["message_id"], serde_json::Value::Null);
        body["received_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let (status, _, _) = ask(&sink, TestRequest::delete().uri("/api/messages")).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let (_, _, body) = ask(&sink, TestRequest::get().uri("/api/messages")).await;
        assert_eq!(body, r#"{"items":[],"total":0}"#);
        let (_, _, body) = ask(&sink, TestRequest::get().uri("/api/stats")).await;
        assert_eq!(body, r#"{"received":1,"refused":0,"connections":0}"#);
        assert_eq!(ask(&sink, TestRequest::get().uri("/healthz")).await.0, StatusCode::OK);
    }
}
