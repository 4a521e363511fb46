//! The sandbox as a process would use it: mails over a real socket, seen through the API.

#![expect(clippy::expect_used, reason = "a test's helpers fail by panicking, like the test")]

use std::time::{Duration, Instant};

use amrutam_sandbox::{RunError, Sandbox, Settings};
use lettre::message::header::ContentType;
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Running {
    api: String,
    smtp_port: u16,
    client: reqwest::Client,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), RunError>>,
}

type Transport = AsyncSmtpTransport<Tokio1Executor>;

impl Running {
    async fn start() -> Self {
        let any = "127.0.0.1:0".to_owned();
        let sandbox = Sandbox::build(&Settings { http_listen: any.clone(), smtp_listen: any, gateway: None })
            .await
            .expect("builds");
        let api = format!("http://{}", sandbox.http_addr());
        let smtp_port = sandbox.smtp_addr().port();
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(sandbox.run_until(async {
            drop(stopped.await);
        }));
        Self { api, smtp_port, client: reqwest::Client::new(), stop, ended }
    }

    fn transport(&self) -> Transport {
        Transport::builder_dangerous("127.0.0.1")
            .port(self.smtp_port)
            .authentication(vec![Mechanism::Plain])
            .timeout(Some(Duration::from_secs(5)))
            .pool_config(PoolConfig::new().max_size(4))
            .build()
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.client.get(format!("{}{path}", self.api)).send().await.expect("answers");
        response.error_for_status().expect("succeeds").json().await.expect("is JSON")
    }

    async fn behave(&self, behaviour: Value) {
        let request = self.client.put(format!("{}/api/behaviour", self.api)).json(&behaviour);
        request.send().await.expect("answers").error_for_status().expect("succeeds");
    }

    async fn total(&self) -> Option<u64> {
        self.get("/api/messages").await.get("total").and_then(Value::as_u64)
    }

    async fn stop(self) -> Duration {
        let begun = Instant::now();
        self.stop.send(()).expect("is running");
        self.ended.await.expect("does not panic").expect("stops well");
        begun.elapsed()
    }
}

fn mail(to: &str, subject: &str, body: &str) -> Message {
    Message::builder()
        .from("Amrutam <no-reply@amrutam.example>".parse().expect("is a mailbox"))
        .to(to.parse().expect("is a mailbox"))
        .subject(subject)
        .message_id(Some(format!("<{subject}@amrutam.example>")))
        .header(ContentType::TEXT_PLAIN)
        .body(body.to_owned())
        .expect("is a message")
}

#[tokio::test]
async fn three_mails_through_a_pool_are_seen_in_the_api() {
    let sandbox = Running::start().await;
    let transport = sandbox.transport();
    for (to, subject, body) in [
        ("asha@example.com", "first", "Hello Asha"),
        ("ravi@example.com", "second", "..dots\r\n.\r\n..and more"),
        ("Asha <ASHA@example.com>", "third", "नमस्ते"),
    ] {
        transport.send(mail(to, subject, body)).await.unwrap();
        // lettre gives the connection back to its pool in a task of its own; this lets it.
        sandbox.get("/api/stats").await;
    }

    let all = sandbox.get("/api/messages").await;
    assert_eq!(all["total"], 3);
    let subjects: Vec<_> = all["items"].as_array().unwrap().iter().map(|item| item["subject"].clone()).collect();
    assert_eq!(subjects, ["first", "second", "third"]);
    assert_eq!(all["items"][1]["text"].as_str().map(str::trim_end), Some("..dots\r\n.\r\n..and more"));

    let to_asha = sandbox.get("/api/messages?to=asha@example.com&limit=1").await;
    assert_eq!((&to_asha["total"], &to_asha["items"][0]["subject"]), (&json!(2), &json!("third")));
    assert_eq!(to_asha["items"][0]["text"].as_str().map(str::trim_end), Some("नमस्ते"));
    let by_id = sandbox.get("/api/messages?message_id=second@amrutam.example").await;
    assert_eq!((&by_id["total"], &by_id["items"][0]["to"]), (&json!(1), &json!(["ravi@example.com"])));
    assert_eq!(by_id["items"][0]["from"], "no-reply@amrutam.example");
    assert_eq!(by_id["items"][0]["headers"]["Subject"], "second");

    let stats = sandbox.get("/api/stats").await;
    assert_eq!(stats, json!({"received": 3, "refused": 0, "connections": 1}), "one pooled connection");
    // The pool still holds its connection; stopping does not wait for it.
    let took = sandbox.stop().await;
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_scripted_failure_is_followed_by_success() {
    let sandbox = Running::start().await;
    let transport = sandbox.transport();
    for stage in ["connect", "mail", "rcpt", "data"] {
        // Connections of its own, so that the greeting is met too.
        let transport = sandbox.transport();
        sandbox.behave(json!({"fail_next": 1, "fail_with": 451, "fail_stage": stage})).await;
        let error = transport.send(mail("asha@example.com", stage, "x")).await.unwrap_err();
        assert!(error.is_transient(), "{stage}: {error:?}");
        transport.send(mail("asha@example.com", stage, "x")).await.unwrap();
    }
    sandbox.behave(json!({"fail_next": 1, "fail_with": 550})).await;
    let error = transport.send(mail("asha@example.com", "never", "x")).await.unwrap_err();
    assert!(error.is_permanent(), "{error:?}");
    assert_eq!(sandbox.total().await, Some(4));
    assert_eq!(sandbox.get("/api/stats").await["refused"], 5);
}

#[tokio::test]
async fn accept_then_drop_leaves_the_sender_in_doubt() {
    let sandbox = Running::start().await;
    let transport = sandbox.transport();
    sandbox.behave(json!({"accept_then_drop": true})).await;
    let error = transport.send(mail("asha@example.com", "doubt", "x")).await.unwrap_err();
    assert!(error.status().is_none(), "no answer came: {error:?}");
    assert_eq!(sandbox.get("/api/messages?subject=doubt").await["total"], 1);

    let delete = sandbox.client.delete(format!("{}/api/behaviour", sandbox.api)).send().await.unwrap();
    assert_eq!(delete.status(), 204);
    transport.send(mail("asha@example.com", "doubt", "x")).await.unwrap();
    assert_eq!(sandbox.get("/api/messages?subject=doubt").await["total"], 2, "the same mail twice");
}

#[tokio::test]
async fn a_mail_too_large_is_refused_with_552() {
    let sandbox = Running::start().await;
    let transport = sandbox.transport();
    let line = "a line of text that is no longer than lines are\r\n";
    let error = transport.send(mail("asha@example.com", "large", &line.repeat(25_000))).await.unwrap_err();
    assert_eq!(error.status().map(|code| code.to_string()).as_deref(), Some("552"), "{error:?}");
    transport.send(mail("asha@example.com", "small", &line.repeat(15_000))).await.unwrap();
    assert_eq!(sandbox.total().await, Some(1));
}

#[tokio::test]
async fn down_cuts_the_connections_that_exist_and_refuses_new_ones() {
    let sandbox = Running::start().await;
    let transport = sandbox.transport();
    transport.send(mail("asha@example.com", "before", "x")).await.unwrap();
    sandbox.behave(json!({"down": true})).await;
    for _ in 0..2 {
        let error = transport.send(mail("asha@example.com", "during", "x")).await.unwrap_err();
        assert!(error.status().is_none(), "{error:?}");
    }
    sandbox.behave(json!({})).await;
    transport.send(mail("asha@example.com", "after", "x")).await.unwrap();
    assert_eq!(sandbox.total().await, Some(2));
}

#[tokio::test]
async fn a_slow_answer_makes_the_sender_give_up_on_a_stored_message() {
    let sandbox = Running::start().await;
    let transport = sandbox.transport();
    sandbox.behave(json!({"delay_ms": 60_000})).await;
    // The timeout of lettre's asynchronous transport is for connecting only; a sender needs its own.
    let sending = transport.send(mail("asha@example.com", "slow", "x"));
    tokio::time::timeout(Duration::from_millis(500), sending).await.unwrap_err();
    assert_eq!(sandbox.total().await, Some(1));
    let took = sandbox.stop().await;
    assert!(took < Duration::from_secs(5), "a session in mid-delay does not hold the stop up: {took:?}");
}

#[tokio::test]
async fn stopping_says_good_bye_to_whoever_waits() {
    let sandbox = Running::start().await;
    let mut idle = tokio::net::TcpStream::connect(("127.0.0.1", sandbox.smtp_port)).await.unwrap();
    let mut greeting = [0; 4];
    idle.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"220 ");
    let took = sandbox.stop().await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    let mut rest = String::new();
    idle.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("\r\n421 4.3.2 "), "{rest:?}");
}
