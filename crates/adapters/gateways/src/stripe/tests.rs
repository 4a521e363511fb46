//! Against a small HTTP server that answers as it is told.

use super::*;
use crate::{
    CircuitPolicy,
    testing::{NOW, Reaction, Server, Standing},
};
use amrutam_tls::Trust;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

impl Server {
    fn stripe(&self) -> Stripe {
        stripe_at(&format!("http://{}", self.address), 500).unwrap()
    }
}

fn stripe_at(base_url: &str, timeout_ms: u64) -> Result<Stripe, InvalidGatewaySettings> {
    let trust = Trust::load(None).unwrap();
    let network = Network { base_url: base_url.to_owned(), timeout_ms, plain_allowed: false, trust };
    let settings = StripeSettings { network, secret_key: "sk_test_1".to_owned().into() };
    let clock: Arc<dyn Clock> = Arc::new(Standing);
    Stripe::new(&settings, Circuit::new("stripe", Arc::clone(&clock), CircuitPolicy::STANDARD), clock)
}

fn ok(body: impl Into<String>) -> Reaction {
    Reaction::Answers(200, "", body.into())
}

fn payment() -> PaymentId {
    "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap()
}

fn rupees(amount: i64) -> Money {
    Money::new(amount * 100, Currency::Inr).unwrap()
}

async fn open(stripe: &Stripe) -> Result<Order, GatewayError> {
    let expires_at = Standing.now();
    let order =
        NewOrder { payment: payment(), amount: rupees(499), key: "p:open", idempotency_key: "p:open~1", expires_at };
    stripe.open_order(&order).await
}

async fn refund(stripe: &Stripe) -> Result<GatewayRefund, GatewayError> {
    let of = "ch_1".parse().unwrap();
    let refund = NewRefund {
        payment: payment(),
        of: &of,
        amount: rupees(100),
        key: "p:refund:0",
        idempotency_key: "p:refund:0~1",
    };
    stripe.refund(&refund).await
}

const INTENT: &str = r#"{"id":"pi_1","client_secret":"pi_1_secret_2","status":"requires_payment_method"}"#;

fn charge(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","amount":49900,"amount_refunded":0,"currency":"inr","status":"succeeded","captured":true,
            "refunded":false,"payment_intent":"pi_1","failure_code":null,"created":{NOW},
            "billing_details":{{"email":"payer@example.com"}},"metadata":{{"payment":"{}"}}}}"#,
        payment()
    )
}

fn refund_json(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","amount":10000,"currency":"inr","charge":"ch_1","status":"succeeded","created":{NOW},
            "failure_reason":null,"metadata":{{"key":"p:refund:0"}}}}"#
    )
}

fn list(items: &[String], has_more: bool) -> Reaction {
    ok(format!(r#"{{"object":"list","data":[{}],"has_more":{has_more}}}"#, items.join(",")))
}

#[tokio::test]
async fn an_intent_is_asked_for_as_stripe_wants_it() {
    let server = Server::start([ok(INTENT), ok(refund_json("re_1"))]).await;
    let stripe = server.stripe();
    let order = open(&stripe).await.unwrap();
    assert_eq!((order.order.as_str(), order.checkout.key.as_str()), ("pi_1", "pi_1_secret_2"));
    let made = refund(&stripe).await.unwrap();
    assert_eq!((made.reference.as_str(), made.state), ("re_1", RefundState::Processed));

    let [opening, refunding] = server.requests().try_into().unwrap();
    let (head, body) = opening.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("post /v1/payment_intents http/1.1"), "{head}");
    for header in [
        "authorization: bearer sk_test_1",
        "idempotency-key: p:open~1",
        "stripe-version: 2024-06-20",
        "content-type: application/x-www-form-urlencoded",
    ] {
        assert_eq!(head.lines().filter(|line| *line == header).count(), 1, "{header}\n{head}");
    }
    let fields: BTreeMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let expected = [
        ("amount", "49900"),
        ("currency", "inr"),
        ("automatic_payment_methods[enabled]", "true"),
        ("capture_method", "automatic"),
        ("metadata[payment]", "01890a5d-ac96-774b-bcce-b302099a8057"),
        ("metadata[key]", "p:open"),
    ];
    assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert!(
        refunding.contains("POST /v1/refunds") && refunding.ends_with("metadata%5Bkey%5D=p%3Arefund%3A0"),
        "{refunding}"
    );
}

#[tokio::test]
async fn lists_are_read_to_their_end() {
    let server = Server::start([
        list(&[charge("ch_1"), charge("ch_2")], true),
        list(&[charge("ch_3")], false),
        list(&[refund_json("re_1")], false),
    ]);
    let server = server.await;
    let stripe = server.stripe();
    let payments = stripe.order_payments(&"pi_1".parse().unwrap()).await.unwrap();
    assert_eq!(payments.len(), 3);
    assert!(payments.iter().all(|seen| seen.payment == Some(payment()) && seen.state == PaymentSighting::Captured));
    assert!(!format!("{payments:?}").contains("payer"), "nothing of their payers is kept");
    let refunds = stripe.refunds_of(&"ch_1".parse().unwrap()).await.unwrap();
    assert_eq!(refunds[0].key.as_deref(), Some("p:refund:0"));
    let lines: Vec<_> = server.requests().iter().map(|request| request.lines().next().unwrap().to_owned()).collect();
    assert_eq!(
        lines,
        [
            "GET /v1/charges?payment_intent=pi_1&limit=100 HTTP/1.1",
            "GET /v1/charges?payment_intent=pi_1&limit=100&starting_after=ch_2 HTTP/1.1",
            "GET /v1/refunds?charge=ch_1&limit=100 HTTP/1.1",
        ]
    );
}

#[tokio::test]
async fn what_moved_is_listed_page_by_page() {
    let server = Server::start([
        list(&[charge("ch_1")], true),
        list(&[charge("ch_2")], false),
        list(&[refund_json("re_1")], true),
        list(&[refund_json("re_2")], false),
    ]);
    let server = server.await;
    let stripe = server.stripe();
    let at = |second| Timestamp::from_second(second).unwrap();
    let range = TimeRange::new(at(NOW), at(NOW + 60)).unwrap();
    let (mut names, mut cursor) = (Vec::new(), None);
    loop {
        let page = stripe.settled(range, cursor).await.unwrap();
        names.extend(page.payments.iter().map(|seen| seen.reference.to_string()));
        names.extend(page.refunds.iter().map(|seen| seen.reference.to_string()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(names, ["ch_1", "ch_2", "re_1", "re_2"]);
    let requests = server.requests();
    assert!(requests[0].contains(&format!("created%5Bgte%5D={NOW}&created%5Blte%5D={}", NOW + 60)), "{}", requests[0]);
    assert!(
        requests[1].contains("starting_after=ch_1")
            && requests[3].contains("/v1/refunds?")
            && requests[3].contains("starting_after=re_1")
    );
    for cursor in ["", "mangos:1", "charges:../x"] {
        assert!(matches!(stripe.settled(range, Some(cursor.to_owned())).await, Err(GatewayError::Rejected { .. })));
    }
    // The range's end is not inside.
    let server = Server::start([list(&[charge("ch_1")], false)]).await;
    let before = TimeRange::new(at(NOW - 60), at(NOW)).unwrap();
    assert_eq!(server.stripe().settled(before, None).await.unwrap().payments, vec![]);
}

#[derive(Debug, PartialEq)]
enum Class {
    Rejected(&'static str),
    Limited(Option<u64>),
    Unavailable,
    Unknown,
    Spent,
    Senseless,
}

fn is(error: &GatewayError, class: &Class) -> bool {
    match (error, class) {
        (GatewayError::Rejected { code }, Class::Rejected(expected)) => code == expected,
        (GatewayError::Limited { retry_after }, Class::Limited(expected)) => {
            *retry_after == expected.map(Duration::from_secs)
        }
        (GatewayError::Unavailable { .. }, Class::Unavailable)
        | (GatewayError::Unknown { .. }, Class::Unknown)
        | (GatewayError::Spent { .. }, Class::Spent)
        | (GatewayError::Senseless { .. }, Class::Senseless) => true,
        _ => false,
    }
}

#[tokio::test]
async fn each_failure_says_what_to_do() {
    let says = |status, head, body: &str| Reaction::Answers(status, head, body.to_owned());
    let declined = r#"{"error":{"type":"card_error","code":"card_declined","message":"Your card ending in 4242"}}"#;
    let parameter = r#"{"error":{"type":"invalid_request_error","message":"No such charge for payer@example.com"}}"#;
    let sentence = r#"{"error":{"code":"No such charge for payer@example.com"}}"#;
    // The reaction, what it means for an act, and for a look.
    for (reaction, act, look) in [
        (says(402, "", declined), Class::Rejected("card_declined"), Class::Rejected("card_declined")),
        (says(400, "", parameter), Class::Rejected("invalid_request_error"), Class::Rejected("invalid_request_error")),
        (says(404, "", sentence), Class::Rejected("http_404"), Class::Rejected("http_404")),
        (says(422, "", "<html>"), Class::Rejected("http_422"), Class::Rejected("http_422")),
        (says(401, "", parameter), Class::Unavailable, Class::Unavailable),
        (says(403, "", parameter), Class::Unavailable, Class::Unavailable),
        (says(408, "", ""), Class::Unknown, Class::Unavailable),
        (says(409, "", parameter), Class::Unknown, Class::Unavailable),
        (says(429, "", ""), Class::Limited(None), Class::Limited(None)),
        (says(429, "Retry-After: 7\r\n", ""), Class::Limited(Some(7)), Class::Limited(Some(7))),
        (
            says(429, "Retry-After: Mon, 30 Nov 2026 08:40:30 GMT\r\n", ""),
            Class::Limited(Some(30)),
            Class::Limited(Some(30)),
        ),
        (says(500, "", ""), Class::Unknown, Class::Unavailable),
        (says(500, "Idempotent-Replayed: true\r\n", ""), Class::Spent, Class::Spent),
        (
            says(402, "Idempotent-Replayed: true\r\n", declined),
            Class::Rejected("card_declined"),
            Class::Rejected("card_declined"),
        ),
        (says(502, "", "<html>"), Class::Unknown, Class::Unavailable),
        (says(503, "", ""), Class::Unavailable, Class::Unavailable),
        (says(504, "", ""), Class::Unknown, Class::Unavailable),
        (says(302, "Location: http://127.0.0.1:1/\r\n", ""), Class::Unknown, Class::Unavailable),
        (says(200, "", "<html>"), Class::Senseless, Class::Senseless),
        (says(200, "", "{}"), Class::Senseless, Class::Senseless),
        (Reaction::HangsUp, Class::Unknown, Class::Unavailable),
        (Reaction::StopsHalfway, Class::Unknown, Class::Unavailable),
        (Reaction::Waits, Class::Unknown, Class::Unavailable),
        (Reaction::Floods, Class::Unknown, Class::Unavailable),
    ] {
        let server = Server::start([reaction.clone(), reaction.clone()]).await;
        let stripe = server.stripe();
        let error = refund(&stripe).await.unwrap_err();
        assert!(is(&error, &act), "{reaction:?}: {error:?}, not {act:?}");
        assert!(!error.to_string().contains("payer") && !error.to_string().contains("4242"), "{error}");
        let error = stripe.order_payments(&"pi_1".parse().unwrap()).await.unwrap_err();
        assert!(is(&error, &look), "{reaction:?}: {error:?}, not {look:?}");
        assert_eq!(server.requests().len(), 2, "{reaction:?}: asked once each");
    }
}

#[tokio::test]
async fn nobody_there_is_known_to_have_done_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let stripe = stripe_at(&format!("http://{address}"), 500).unwrap();
    assert!(matches!(open(&stripe).await, Err(GatewayError::Unavailable { .. })));
    // And a server that speaks no TLS where TLS is wanted.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        drop(stream.read(&mut [0; 1_024]).await);
    });
    let stripe = stripe_at(&format!("https://{address}"), 500).unwrap();
    let error = open(&stripe).await.unwrap_err();
    assert!(matches!(&error, GatewayError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_call_ends_in_its_time() {
    let server = Server::start([Reaction::Waits]).await;
    let begun = Instant::now();
    assert!(matches!(open(&server.stripe()).await, Err(GatewayError::Unknown { .. })));
    assert!((450..10_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn who_keeps_failing_is_left_alone() {
    let server = Server::start((0..5).map(|_| Reaction::Answers(500, "", String::new()))).await;
    let stripe = server.stripe();
    for _ in 0..5 {
        assert!(matches!(open(&stripe).await, Err(GatewayError::Unknown { .. })));
    }
    let begun = Instant::now();
    assert!(matches!(open(&stripe).await, Err(GatewayError::Unavailable { .. })), "not asked: nothing is in doubt");
    assert!(begun.elapsed() < Duration::from_millis(50));
    assert_eq!(server.requests().len(), 5);
    // What it said before is no failure of today.
    let stored = Reaction::Answers(500, "Idempotent-Replayed: true\r\n", String::new());
    let server = Server::start((0..20).map(|_| stored.clone())).await;
    let stripe = server.stripe();
    for _ in 0..20 {
        assert!(matches!(open(&stripe).await, Err(GatewayError::Spent { .. })));
    }
    // Nor is it a sign of health: between failures of today it is nothing.
    let failure = Reaction::Answers(500, "", String::new());
    let server = Server::start((0..10).map(|n| if n % 2 == 0 { failure.clone() } else { stored.clone() })).await;
    let stripe = server.stripe();
    for _ in 0..9 {
        assert!(!matches!(open(&stripe).await, Err(GatewayError::Unavailable { .. })));
    }
    assert!(matches!(open(&stripe).await, Err(GatewayError::Unavailable { .. })));
    // What is refused is answered: the circuit stays as it is.
    let server = Server::start((0..20).map(|_| Reaction::Answers(402, "", String::new()))).await;
    let stripe = server.stripe();
    for _ in 0..20 {
        assert!(matches!(open(&stripe).await, Err(GatewayError::Rejected { .. })));
    }
}

#[test]
fn settings_are_checked_and_keep_their_secret() {
    assert!(stripe_at("https://api.stripe.com", 5_000).is_ok());
    for (url, timeout, expected) in [
        ("http://api.stripe.com", 5_000, InvalidGatewaySettings::Unencrypted),
        ("api.stripe.com", 5_000, InvalidGatewaySettings::BaseUrl),
        ("https://api.stripe.com", 0, InvalidGatewaySettings::Timeout),
        ("https://api.stripe.com", 60_000, InvalidGatewaySettings::Timeout),
    ] {
        assert_eq!(stripe_at(url, timeout).err(), Some(expected), "{url} {timeout}");
    }
    let trust = Trust::load(None).unwrap();
    let network = Network { base_url: "https://x.example".to_owned(), timeout_ms: 100, plain_allowed: false, trust };
    let settings = StripeSettings { network, secret_key: "sk_live_canary".to_owned().into() };
    assert!(!format!("{settings:?}").contains("canary"));
}
