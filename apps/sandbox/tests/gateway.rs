//! The gateway as a merchant's server meets it: over real sockets, misbehaving as told.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail by panicking, like the test"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use amrutam_sandbox::gateway::Gateway;
use amrutam_sandbox::{GatewaySettings, RunError, Sandbox, Settings};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const SECRET: &str = "whsec_sandbox";

/// A webhook as it came.
#[derive(Debug, Clone)]
struct Told {
    event: Option<String>,
    signature: Option<String>,
    body: Vec<u8>,
}

impl Told {
    fn kind(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body.get("event").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// What hears webhooks; answers with these statuses first, then 200.
#[derive(Clone, Default)]
struct Ear {
    told: Arc<Mutex<Vec<Told>>>,
    statuses: Arc<Mutex<Vec<u16>>>,
}

async fn hear(ear: web::Data<Ear>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let told =
        Told { event: header("x-razorpay-event-id"), signature: header("x-razorpay-signature"), body: body.to_vec() };
    ear.told.lock().expect("not poisoned").push(told);
    let status = ear.statuses.lock().expect("not poisoned").pop().unwrap_or(200);
    HttpResponse::build(StatusCode::from_u16(status).map_or(actix_web::http::StatusCode::OK, |status| {
        actix_web::http::StatusCode::from_u16(status.as_u16()).expect("is a status")
    }))
    .finish()
}

impl Ear {
    async fn open() -> (Self, String) {
        let ear = Self::default();
        let data = web::Data::new(ear.clone());
        let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(hear)))
            .workers(1)
            .disable_signals()
            .bind("127.0.0.1:0")
            .expect("binds");
        let address = *server.addrs().first().expect("is bound");
        tokio::spawn(server.run());
        (ear, format!("http://{address}/v1/webhooks/razorpay"))
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().expect("not poisoned").clone()
    }

    async fn heard(&self, count: usize) -> Vec<Told> {
        eventually(|| self.told().len() >= count).await;
        self.told()
    }
}

async fn eventually(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not come to that");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

struct Running {
    api: String,
    control: String,
    gateway: Arc<Gateway>,
    client: reqwest::Client,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), RunError>>,
}

impl Running {
    async fn start(webhook_url: Option<String>) -> Self {
        let any = || "127.0.0.1:0".to_owned();
        let gateway = GatewaySettings {
            listen: any(),
            key_id: "rzp_test_key".to_owned(),
            key_secret: "secret".to_owned(),
            webhook_url,
            webhook_secret: SECRET.to_owned(),
        };
        let settings = Settings { http_listen: any(), smtp_listen: any(), gateway: Some(gateway) };
        let sandbox = Sandbox::build(&settings).await.expect("builds");
        let api = format!("http://{}", sandbox.gateway_addr().expect("has a gateway"));
        let control = format!("http://{}/api/gateway", sandbox.http_addr());
        let gateway = sandbox.gateway().expect("has a gateway");
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(sandbox.run_until(async {
            drop(stopped.await);
        }));
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("builds");
        Self { api, control, gateway, client, stop, ended }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.api)).basic_auth("rzp_test_key", Some("secret"))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, Value), reqwest::Error> {
        let request = self.request(method, path).timeout(Duration::from_secs(5));
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let response = request.send().await?;
        Ok((response.status(), response.json().await?))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, None).await.expect("answers");
        assert_eq!(status, 200, "{body}");
        body
    }

    async fn order(&self, receipt: &str) -> String {
        let body = json!({"amount": 49_900, "currency": "INR", "receipt": receipt, "notes": {"payment": receipt}});
        let (status, order) = self.ask(Method::POST, "/v1/orders", Some(body)).await.expect("answers");
        assert_eq!((status.as_u16(), &order["status"]), (200, &json!("created")), "{order}");
        text(&order["id"])
    }

    async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.client.request(method, format!("{}{path}", self.control));
        let request = if body.is_null() { request } else { request.json(&body) };
        let response = request.send().await.expect("answers");
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.unwrap_or_default()
    }

    async fn behave(&self, behaviour: Value) {
        self.control(Method::PUT, "/behaviour", behaviour).await;
    }

    async fn pay(&self, order: &str, outcome: &str) -> String {
        let made = self.control(Method::POST, &format!("/orders/{order}/payments"), json!({"outcome": outcome})).await;
        text(&made["payment"])
    }

    async fn refund(&self, payment: &str, key: &str, amount: i64) -> Result<Response, reqwest::Error> {
        let path = format!("/v1/payments/{payment}/refund");
        let request = self.request(Method::POST, &path).header("X-Refund-Idempotency", key);
        request.timeout(Duration::from_secs(2)).json(&json!({"amount": amount})).send().await
    }

    async fn stop(self) {
        let begun = Instant::now();
        self.stop.send(()).expect("is running");
        self.ended.await.expect("does not panic").expect("stops well");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

fn signature(body: &[u8]) -> String {
    use hmac::{Hmac, Mac as _};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(body);
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
}

#[tokio::test]
async fn an_order_is_paid_and_told_of() {
    let (ear, url) = Ear::open().await;
    let gateway = Running::start(Some(url)).await;
    let order = gateway.order("visit-1").await;
    let failed = gateway.pay(&order, "failed").await;
    let paid = gateway.pay(&order, "captured").await;

    let told = ear.heard(4).await;
    let mut kinds: Vec<_> = told.iter().map(Told::kind).collect();
    kinds.sort();
    assert_eq!(kinds, ["order.paid", "payment.authorized", "payment.captured", "payment.failed"]);
    assert!(told.iter().all(|one| one.signature == Some(signature(&one.body)) && one.event.is_some()));
    let captured = told.iter().find(|one| one.kind() == "payment.captured").unwrap();
    let body: Value = serde_json::from_slice(&captured.body).unwrap();
    let entity = &body["payload"]["payment"]["entity"];
    assert_eq!((&entity["id"], &entity["order_id"], &entity["amount"]), (&json!(paid), &json!(order), &json!(49_900)));

    let shown = gateway.get(&format!("/v1/orders/{order}")).await;
    assert_eq!((&shown["status"], &shown["attempts"], &shown["amount_due"]), (&json!("paid"), &json!(2), &json!(0)));
    let payments = gateway.get(&format!("/v1/orders/{order}/payments")).await;
    let states: Vec<_> = payments["items"].as_array().unwrap().iter().map(|item| &item["status"]).collect();
    assert_eq!(states, [&json!("captured"), &json!("failed")]);
    assert_eq!(gateway.get(&format!("/v1/payments/{failed}")).await["error_reason"], "payment_failed");
    assert_eq!(gateway.get("/v1/orders?receipt=visit-1").await["items"][0]["id"], json!(order));
    assert_eq!(gateway.get("/v1/orders?receipt=visit-2").await["count"], 0);

    let tally = gateway.control(Method::GET, "/orders?receipt=visit-1", Value::Null).await;
    assert_eq!(tally["items"][0]["captures"], 1);
    gateway.stop().await;
}

#[tokio::test]
async fn refunds_are_made_once_per_key_and_never_of_more_than_came() {
    let gateway = Running::start(None).await;
    let order = gateway.order("visit-1").await;
    let payment = gateway.pay(&order, "captured").await;
    let first: Value = gateway.refund(&payment, "refund-key-1", 9_900).await.unwrap().json().await.unwrap();
    let again: Value = gateway.refund(&payment, "refund-key-1", 9_900).await.unwrap().json().await.unwrap();
    assert_eq!((&first, &first["status"]), (&again, &json!("processed")));
    for (key, amount) in [("refund-key-1", 9_800), ("short", 100), ("refund-key-2", 40_001), ("refund-key-3", 99)] {
        let refused = gateway.refund(&payment, key, amount).await.unwrap();
        assert_eq!(refused.status(), 400, "{key} {amount}");
        let refused: Value = refused.json().await.unwrap();
        assert_eq!(refused["error"]["code"], "BAD_REQUEST_ERROR", "{refused}");
    }
    assert_eq!(gateway.get(&format!("/v1/payments/{payment}")).await["refund_status"], "partial");
    assert_eq!(gateway.refund(&payment, "refund-key-4", 40_000).await.unwrap().status(), 200);
    assert_eq!(gateway.get(&format!("/v1/payments/{payment}")).await["status"], "refunded");
    assert_eq!(gateway.get(&format!("/v1/payments/{payment}/refunds")).await["count"], 2);
    assert_eq!(gateway.get("/v1/refunds?count=1&skip=1").await["items"][0]["id"], first["id"]);

    // The payer's bank sends one back.
    let path = format!("/refunds/{}", text(&first["id"]));
    gateway.control(Method::POST, &path, json!({"status": "failed"})).await;
    assert_eq!(gateway.get(&format!("/v1/payments/{payment}")).await["amount_refunded"], 40_000);
    let stats = gateway.gateway.stats();
    assert_eq!((stats.captures, stats.refunds, stats.double_captures, stats.over_refunds), (1, 1, 0, 0));
    gateway.stop().await;
}

#[tokio::test]
async fn strangers_and_nonsense_are_refused_in_the_gateway_s_own_form() {
    let gateway = Running::start(None).await;
    let stranger = gateway.client.get(format!("{}/v1/orders", gateway.api)).basic_auth("rzp_test_key", Some("x"));
    let stranger = stranger.send().await.unwrap();
    assert_eq!(stranger.status(), 401);
    assert_eq!(stranger.json::<Value>().await.unwrap()["error"]["description"], "Authentication failed");
    for (method, path, body, status) in [
        (Method::POST, "/v1/orders", json!({"amount": 99, "currency": "INR"}), 400),
        (Method::POST, "/v1/orders", json!({"amount": 100, "currency": "rupees"}), 400),
        (Method::POST, "/v1/orders", json!({"amount": 100, "currency": "INR", "receipt": "x".repeat(41)}), 400),
        (Method::POST, "/v1/orders", json!({"amount": 100, "currency": "INR", "mango": 1}), 400),
        (Method::GET, "/v1/orders/order_none", Value::Null, 400),
        (Method::GET, "/v1/payments?count=101", Value::Null, 400),
        (Method::GET, "/v1/payments?mango=1", Value::Null, 400),
        (Method::POST, "/v1/payments/pay_none/refund", json!({}), 400),
        (Method::GET, "/v1/nothing", Value::Null, 404),
    ] {
        let body = if body.is_null() { None } else { Some(body) };
        let (got, answer) = gateway.ask(method, path, body).await.unwrap();
        assert_eq!((got.as_u16(), &answer["error"]["code"]), (status, &json!("BAD_REQUEST_ERROR")), "{path} {answer}");
    }
    assert_eq!(gateway.gateway.stats().orders, 0);
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_done_and_what_is_heard_differ_as_told() {
    let gateway = Running::start(None).await;
    let made = || gateway.gateway.stats().orders;
    let body = || Some(json!({"amount": 100, "currency": "INR"}));
    for (how, done, heard) in [
        ("error", 0, Some(503)),
        ("limited", 0, Some(429)),
        ("drop_before", 0, None),
        ("drop_after", 1, None),
        ("error_after", 1, Some(503)),
    ] {
        let before = made();
        let behaviour = json!({"fail_next": 1, "fail_on": "create_order", "fail_how": how, "fail_with": 503});
        gateway.behave(behaviour).await;
        let got = gateway.ask(Method::POST, "/v1/orders", body()).await;
        assert_eq!(got.ok().map(|(status, _)| status.as_u16()), heard, "{how}");
        assert_eq!(made() - before, done, "{how}");
        assert_eq!(gateway.ask(Method::POST, "/v1/orders", body()).await.unwrap().0, 200, "{how}: only once");
    }
    gateway.behave(json!({"fail_next": 1, "fail_how": "limited", "retry_after": "7"})).await;
    let limited = gateway.request(Method::GET, "/v1/orders").send().await.unwrap();
    assert_eq!(limited.headers()["Retry-After"], "7");
    gateway.behave(json!({"fail_next": 1, "fail_how": "nonsense"})).await;
    let nonsense = gateway.request(Method::GET, "/v1/orders").send().await.unwrap();
    assert!(nonsense.json::<Value>().await.is_err());
    for behaviour in [json!({"fail_next": 1, "fail_how": "hang"}), json!({"delay_ms": 60_000})] {
        let before = made();
        gateway.behave(behaviour).await;
        let request = gateway.request(Method::POST, "/v1/orders").json(&body().unwrap());
        let error = request.timeout(Duration::from_millis(300)).send().await.unwrap_err();
        assert!(error.is_timeout());
        assert_eq!(made() - before, 1, "done all the same");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn down_refuses_connections_until_it_is_up() {
    let gateway = Running::start(None).await;
    let order = gateway.order("visit-1").await;
    gateway.behave(json!({"down": true, "down_for_ms": 400})).await;
    // The listener goes a moment after the control has answered.
    let refused = async || gateway.ask(Method::GET, "/v1/orders", None).await.is_err_and(|error| error.is_connect());
    let begun = Instant::now();
    while !refused().await {
        assert!(begun.elapsed() < Duration::from_millis(300), "never refused");
    }
    while gateway.ask(Method::GET, "/v1/orders", None).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(5), "never back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(gateway.get(&format!("/v1/orders/{order}")).await["receipt"], "visit-1", "the books are kept");
    gateway.behave(json!({"down": true})).await;
    gateway.stop().await;
}

#[tokio::test]
async fn webhooks_are_tried_again_until_they_are_taken() {
    let (ear, url) = Ear::open().await;
    let gateway = Running::start(Some(url)).await;
    gateway.behave(json!({"webhooks": {"retry_ms": 10}})).await;
    ear.statuses.lock().unwrap().extend([500, 503, 404]);
    let order = gateway.order("visit-1").await;
    gateway.pay(&order, "failed").await;
    let told = ear.heard(4).await;
    assert!(told.iter().all(|one| one.event == told[0].event && one.body == told[0].body));
    let statuses = || {
        let events = gateway.control(Method::GET, "/events", Value::Null);
        async { events.await["items"][0]["deliveries"].as_array().unwrap().len() }
    };
    while statuses().await < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let events = gateway.control(Method::GET, "/events", Value::Null).await;
    let statuses: Vec<_> = events["items"][0]["deliveries"].as_array().unwrap().iter().map(|d| &d["status"]).collect();
    assert_eq!(statuses, [&json!(404), &json!(503), &json!(500), &json!(200)]);
    gateway.stop().await;
}

#[tokio::test]
async fn webhooks_are_doubled_lost_held_and_turned_round() {
    let (ear, url) = Ear::open().await;
    let gateway = Running::start(Some(url)).await;
    let order = gateway.order("visit-1").await;
    gateway.behave(json!({"webhooks": {"copies": 3}})).await;
    gateway.pay(&order, "failed").await;
    let told = ear.heard(3).await;
    assert!(told.iter().all(|one| one.event == told[0].event));

    gateway.behave(json!({"webhooks": {"lose_next": 1, "hold": true}})).await;
    gateway.pay(&order, "captured").await;
    let released = gateway.control(Method::POST, "/events/release", json!({"order": "reversed"})).await;
    assert_eq!(released["released"], 2, "the first is lost");
    let kinds: Vec<_> = ear.heard(5).await[3..].iter().map(Told::kind).collect();
    assert_eq!(kinds, ["order.paid", "payment.captured"]);
    gateway.stop().await;
}

#[tokio::test]
async fn webhooks_are_forged_on_demand() {
    let (ear, url) = Ear::open().await;
    let gateway = Running::start(Some(url)).await;
    let order = gateway.order("visit-1").await;
    gateway.pay(&order, "failed").await;
    let event = ear.heard(1).await[0].event.clone().unwrap();
    for (nth, (tamper, signed)) in [
        ("none", true),
        ("signature", false),
        ("unsigned", false),
        ("byte", false),
        ("truncated", false),
        ("longer", false),
        ("stale", true),
        ("unknown_type", true),
        ("nameless", true),
    ]
    .into_iter()
    .enumerate()
    {
        gateway.control(Method::POST, &format!("/events/{event}/send"), json!({"tamper": tamper})).await;
        let told = ear.heard(nth + 2).await[nth + 1].clone();
        assert_eq!(told.signature == Some(signature(&told.body)), signed, "{tamper}");
        assert_eq!(told.event.is_none(), tamper == "nameless", "{tamper}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn money_comes_late_and_after_a_no() {
    let (ear, url) = Ear::open().await;
    let gateway = Running::start(Some(url)).await;
    let order = gateway.order("visit-1").await;
    let pay = json!({"outcome": "captured", "after_ms": 100});
    gateway.control(Method::POST, &format!("/orders/{order}/payments"), pay).await;
    assert_eq!(gateway.get("/v1/payments").await["items"][0]["status"], "created");
    assert!(ear.told().is_empty());
    ear.heard(3).await;
    assert_eq!(gateway.get("/v1/payments").await["items"][0]["status"], "captured");

    let failed = gateway.pay(&order, "failed").await;
    gateway.control(Method::POST, &format!("/payments/{failed}"), json!({"status": "captured"})).await;
    let stats = gateway.gateway.stats();
    assert_eq!((stats.captures, stats.double_captures), (2, 1), "the payer paid twice, and it shows");
    let twice =
        gateway.client.post(format!("{}/payments/{failed}", gateway.control)).json(&json!({"status": "failed"}));
    assert_eq!(twice.send().await.unwrap().status(), 422);
    gateway.stop().await;
}

#[tokio::test]
async fn the_checkout_page_is_clicked() {
    let gateway = Running::start(None).await;
    let order = gateway.order("<b>visit</b>").await;
    let url = format!("{}/checkout/{order}", gateway.api);
    let page = gateway.client.get(&url).send().await.unwrap();
    let policy = page.headers()["Content-Security-Policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && policy.contains("form-action 'self'"), "{policy}");
    let page = page.text().await.unwrap();
    assert!(page.contains("INR 499.00") && page.contains("&lt;b&gt;visit") && !page.contains("<script"), "{page}");
    for act in ["fail", "pay_late", "pay_in30s", "pay"] {
        let form = gateway.client.post(&url).header("Content-Type", "application/x-www-form-urlencoded");
        let clicked = form.body(format!("act={act}")).send().await.unwrap();
        assert_eq!(clicked.status(), 303);
        assert_eq!(clicked.headers()["Location"], format!("/checkout/{order}"));
    }
    let page = gateway.client.get(&url).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Paid.") && !page.contains("<button"), "{page}");
    let form = gateway.client.post(&url).header("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(form.body("act=pay").send().await.unwrap().status(), 400, "an order is paid once by its page");
    assert_eq!(gateway.client.get(format!("{}/checkout/none", gateway.api)).send().await.unwrap().status(), 400);
    gateway.stop().await;
}
