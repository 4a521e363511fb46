//! Our own Razorpay adapter against the sandbox: the port's suite, and what the sandbox can do wrong.

#![expect(clippy::expect_used, reason = "a test's helpers fail by panicking, like the test")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use amrutam_gateways::{
    Circuit, CircuitPolicy, InvalidGatewaySettings, Network, Razorpay, RazorpaySettings, RazorpayWebhooks,
};
use amrutam_kernel::{Clock, Currency, Money, PaymentId};
use amrutam_payments::contract::Till;
use amrutam_payments::ports::{
    GatewayError, GatewayPaymentRef, NewOrder, NewRefund, Order, OrderRef, PaymentGateway, PaymentSighting,
    RefundState, Webhook, WebhookError, WebhookNews, WebhookVerifier,
};
use amrutam_sandbox::gateway::{
    Behaviour, Call, Fault, Gateway, PAYER_CONTACT, PAYER_EMAIL, Pay, PaymentStatus, RefundStatus, Tamper,
    Webhook as WebhookSettings,
};
use amrutam_sandbox::{GatewaySettings, Sandbox, Settings};
use amrutam_tls::Trust;
use async_trait::async_trait;
use jiff::Timestamp;
use tokio::net::TcpStream;

const WEBHOOK_SECRET: &str = "whsec_sandbox";

struct Wall;

impl Clock for Wall {
    #[expect(clippy::disallowed_methods, reason = "the sandbox has the wall clock, and is met in its time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

struct Stage {
    address: std::net::SocketAddr,
    sandbox: Arc<Gateway>,
    razorpay: Arc<Razorpay>,
}

async fn stage() -> Stage {
    let any = || "127.0.0.1:0".to_owned();
    let gateway = GatewaySettings {
        listen: any(),
        key_id: "rzp_test_key".to_owned(),
        key_secret: "secret".to_owned(),
        webhook_url: None,
        webhook_secret: WEBHOOK_SECRET.to_owned(),
    };
    let settings = Settings { http_listen: any(), smtp_listen: any(), gateway: Some(gateway) };
    let sandbox = Sandbox::build(&settings).await.expect("builds");
    let address = sandbox.gateway_addr().expect("has a gateway");
    let gateway = sandbox.gateway().expect("has a gateway");
    tokio::spawn(sandbox.run_until(std::future::pending()));
    let razorpay = Arc::new(razorpay_at(&format!("http://{address}"), "secret").expect("is set up"));
    Stage { address, sandbox: gateway, razorpay }
}

fn razorpay_at(base_url: &str, secret: &str) -> Result<Razorpay, InvalidGatewaySettings> {
    let clock: Arc<dyn Clock> = Arc::new(Wall);
    let trust = Trust::load(None).expect("is compiled in");
    let settings = RazorpaySettings {
        network: Network { base_url: base_url.to_owned(), timeout_ms: 1_000, plain_allowed: false, trust },
        key_id: "rzp_test_key".to_owned(),
        key_secret: secret.to_owned().into(),
        checkout_url: Some(format!("{base_url}/checkout/{{order}}")),
    };
    Razorpay::new(&settings, Circuit::new("razorpay", Arc::clone(&clock), CircuitPolicy::STANDARD), clock)
}

impl Stage {
    fn behave(&self, fail_on: Call, fail_how: Fault) {
        let behaviour = Behaviour { fail_next: 1, fail_on, fail_how, ..Behaviour::default() };
        self.sandbox.behave(behaviour).expect("can be played");
    }

    fn hand(&self, order: &OrderRef, outcome: PaymentStatus, amount: Option<i64>) -> GatewayPaymentRef {
        let pay = Pay { outcome, after_ms: 0, amount, error_code: None };
        self.sandbox.pay(order.as_str(), &pay).expect("there is such an order").parse().expect("is a name")
    }

    async fn order(&self) -> Result<Order, GatewayError> {
        open(&self.razorpay, &payment()).await
    }

    async fn refund(&self, of: &GatewayPaymentRef, key: &str) -> Result<RefundState, GatewayError> {
        let (payment, amount) = (payment(), Money::new(10_000, Currency::Inr).expect("is money"));
        let refund = NewRefund { payment, of, amount, key, idempotency_key: key };
        self.razorpay.refund(&refund).await.map(|refund| refund.state)
    }
}

async fn open(razorpay: &Razorpay, payment: &PaymentId) -> Result<Order, GatewayError> {
    let (amount, expires_at) = (Money::new(49_900, Currency::Inr).expect("is money"), Wall.now());
    let key = format!("{payment}:open");
    razorpay.open_order(&NewOrder { payment: *payment, amount, key: &key, idempotency_key: &key, expires_at }).await
}

fn payment() -> PaymentId {
    "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("is an id")
}

#[async_trait]
impl Till for Stage {
    fn gateway(&self) -> Arc<dyn PaymentGateway> {
        Arc::clone(&self.razorpay) as _
    }

    fn now(&self) -> Timestamp {
        Wall.now()
    }

    async fn pay(&self, order: &OrderRef, amount: Money) -> GatewayPaymentRef {
        self.hand(order, PaymentStatus::Captured, Some(amount.amount()))
    }

    async fn fail(&self, order: &OrderRef) -> GatewayPaymentRef {
        self.hand(order, PaymentStatus::Failed, None)
    }

    async fn lose_next_answer(&self) {
        self.behave(Call::Write, Fault::DropAfter);
    }

    async fn limit_next(&self, seconds: u32) {
        let retry_after = Some(seconds.to_string());
        let behaviour = Behaviour { fail_next: 1, fail_how: Fault::Limited, retry_after, ..Behaviour::default() };
        self.sandbox.behave(behaviour).expect("can be played");
    }

    async fn away(&self, away: bool) {
        self.sandbox.behave(Behaviour { down: away, ..Behaviour::default() }).expect("can be played");
        let begun = Instant::now();
        while TcpStream::connect(self.address).await.is_ok() == away {
            assert!(begun.elapsed() < Duration::from_secs(10), "it does not come to that");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

amrutam_payments::payment_gateway_contract!(stage());

#[tokio::test]
async fn an_order_carries_ids_and_a_page_and_nothing_personal_comes_back() {
    let stage = stage().await;
    let order = stage.order().await.unwrap();
    assert_eq!(order.checkout.key, "rzp_test_key");
    assert_eq!(order.checkout.url, Some(format!("http://{}/checkout/{}", stage.address, order.order)));
    let tally = stage.sandbox.tallies(Some(&payment().to_string()));
    assert_eq!((tally.len(), tally[0].id.as_str()), (1, order.order.as_str()));
    stage.hand(&order.order, PaymentStatus::Captured, None);
    let seen = format!("{:?}", stage.razorpay.order_payments(&order.order).await.unwrap());
    for canary in [PAYER_EMAIL, PAYER_CONTACT, "upi"] {
        assert!(!seen.contains(canary), "{seen}");
    }
}

#[tokio::test]
async fn each_fault_is_told_apart() {
    for (fault, status, act, look) in [
        (Fault::Error, 400, "rejected", "rejected"),
        (Fault::Error, 401, "unavailable", "unavailable"),
        (Fault::Error, 409, "unknown", "unavailable"),
        (Fault::Error, 500, "unknown", "unavailable"),
        (Fault::Error, 503, "unavailable", "unavailable"),
        (Fault::Limited, 500, "limited", "limited"),
        (Fault::ErrorAfter, 502, "unknown", "unavailable"),
        (Fault::DropBefore, 500, "unknown", "unavailable"),
        (Fault::DropAfter, 500, "unknown", "unavailable"),
        (Fault::Hang, 500, "unknown", "unavailable"),
        (Fault::Nonsense, 500, "senseless", "senseless"),
        (Fault::Flood, 500, "unknown", "unavailable"),
    ] {
        let stage = stage().await;
        let order = stage.order().await.unwrap();
        let paid = stage.hand(&order.order, PaymentStatus::Captured, None);
        let play = |fail_on| {
            let retry_after = Some("7".to_owned());
            let behaviour = Behaviour {
                fail_next: 1,
                fail_on,
                fail_how: fault,
                fail_with: status,
                retry_after,
                ..Behaviour::default()
            };
            stage.sandbox.behave(behaviour).unwrap();
        };
        play(Call::Refund);
        assert_eq!(word(&stage.refund(&paid, "refund-key-1").await.unwrap_err()), act, "{fault:?} {status}");
        play(Call::Read);
        let looked = stage.razorpay.order_payments(&order.order).await.unwrap_err();
        assert_eq!(word(&looked), look, "{fault:?} {status}");
        // Whatever it was, the same key again ends in one refund.
        assert_eq!(stage.refund(&paid, "refund-key-1").await, Ok(RefundState::Processed), "{fault:?} {status}");
        let stats = stage.sandbox.stats();
        assert_eq!((stats.captures, stats.refunds), (1, 1), "{fault:?} {status}");
    }
}

fn word(error: &GatewayError) -> &'static str {
    match error {
        GatewayError::Rejected { .. } => "rejected",
        GatewayError::Limited { retry_after } => {
            assert_eq!(*retry_after, Some(Duration::from_secs(7)));
            "limited"
        }
        GatewayError::Unavailable { .. } => "unavailable",
        GatewayError::Unknown { .. } => "unknown",
        GatewayError::Spent { .. } => "spent",
        GatewayError::Senseless { .. } => "senseless",
    }
}

/// What is lost of an order is found by its receipt; with another amount it is another matter.
#[tokio::test]
async fn an_order_whose_answer_was_lost_is_found() {
    let stage = stage().await;
    stage.lose_next_answer().await;
    assert_eq!(word(&stage.order().await.unwrap_err()), "unknown");
    let found = stage.order().await.unwrap();
    assert_eq!(
        stage.sandbox.tallies(None).into_iter().map(|order| order.id).collect::<Vec<_>>(),
        [found.order.as_str()]
    );
    let (amount, key) = (Money::new(50_000, Currency::Inr).unwrap(), format!("{}:open", payment()));
    let dearer = NewOrder { payment: payment(), amount, key: &key, idempotency_key: &key, expires_at: Wall.now() };
    assert_eq!(word(&stage.razorpay.open_order(&dearer).await.unwrap_err()), "rejected");
}

#[tokio::test]
async fn nothing_is_asked_of_who_is_away_and_that_is_known() {
    let stage = stage().await;
    let order = stage.order().await.unwrap();
    let paid = stage.hand(&order.order, PaymentStatus::Captured, None);
    stage.away(true).await;
    assert_eq!(word(&stage.order().await.unwrap_err()), "unavailable");
    assert_eq!(word(&stage.refund(&paid, "refund-key-1").await.unwrap_err()), "unavailable");
    assert_eq!(word(&stage.razorpay.order_payments(&order.order).await.unwrap_err()), "unavailable");
    stage.away(false).await;
    assert_eq!(stage.sandbox.stats().refunds, 0);
}

#[tokio::test]
async fn a_wrong_key_leaves_everything_to_do() {
    let stage = stage().await;
    let stranger = razorpay_at(&format!("http://{}", stage.address), "wrong").unwrap();
    let error = open(&stranger, &payment()).await.unwrap_err();
    assert_eq!(word(&error), "unavailable", "{error}");
    assert!(!error.to_string().contains("wrong"));
}

#[tokio::test]
async fn every_state_is_seen() {
    let stage = stage().await;
    let order = stage.order().await.unwrap();
    let paid = stage.hand(&order.order, PaymentStatus::Authorized, None);
    let state = async || stage.razorpay.order_payments(&order.order).await.unwrap()[0].state.clone();
    assert_eq!(state().await, PaymentSighting::Authorized);
    stage.sandbox.move_payment(paid.as_str(), PaymentStatus::Captured, "", 0).unwrap();
    assert_eq!(state().await, PaymentSighting::Captured);

    stage.sandbox.behave(Behaviour { refunds: RefundStatus::Pending, ..Behaviour::default() }).unwrap();
    assert_eq!(stage.refund(&paid, "refund-key-1").await, Ok(RefundState::Pending));
    let [refund] = stage.razorpay.refunds_of(&paid).await.unwrap().try_into().unwrap();
    stage.sandbox.move_refund(refund.reference.as_str(), RefundStatus::Failed, 0).unwrap();
    let [refund] = stage.razorpay.refunds_of(&paid).await.unwrap().try_into().unwrap();
    assert!(matches!(refund.state, RefundState::Failed { .. }));
    assert_eq!(refund.key.as_deref(), Some("refund-key-1"));
}

/// Verifies what comes with our own verifier.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<Result<Webhook, WebhookError>>>>);

async fn hear(ear: web::Data<Ear>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let verifier = RazorpayWebhooks::new(vec![WEBHOOK_SECRET.to_owned().into()]).expect("has a secret");
    let heard = verifier.verify(&header, &body, Wall.now());
    ear.0.lock().expect("not poisoned").push(heard);
    HttpResponse::Ok().finish()
}

#[tokio::test]
async fn webhooks_are_believed_when_they_should_be() {
    let stage = stage().await;
    let ear = Ear::default();
    let data = web::Data::new(ear.clone());
    let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(hear)))
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let url = Some(format!("http://{}/", server.addrs()[0]));
    tokio::spawn(server.run());
    stage.sandbox.set_webhook(WebhookSettings { url, secret: WEBHOOK_SECRET.to_owned() });
    let heard = async |count: usize| {
        let begun = Instant::now();
        while ear.0.lock().unwrap().len() < count {
            assert!(begun.elapsed() < Duration::from_secs(10), "nothing comes");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ear.0.lock().unwrap().clone()
    };

    let order = stage.order().await.unwrap();
    let failed = stage.hand(&order.order, PaymentStatus::Failed, None);
    let first = heard(1).await[0].clone().unwrap();
    let WebhookNews::Payment(seen) = &first.news else { panic!("{first:?}") };
    assert_eq!((&seen.reference, seen.order.as_ref()), (&failed, Some(&order.order)));
    assert_eq!(seen.state, PaymentSighting::Failed { code: "payment_failed".to_owned() });

    let calls = stage.sandbox.stats().calls;
    let event = stage.sandbox.last_event().unwrap();
    for (nth, (tamper, expected)) in [
        (Tamper::None, Ok(())),
        (Tamper::Nameless, Ok(())),
        (Tamper::UnknownType, Ok(())),
        (Tamper::Signature, Err(WebhookError::BadSignature)),
        (Tamper::Unsigned, Err(WebhookError::BadSignature)),
        (Tamper::Byte, Err(WebhookError::BadSignature)),
        (Tamper::Truncated, Err(WebhookError::BadSignature)),
        (Tamper::Longer, Err(WebhookError::BadSignature)),
        (Tamper::Stale, Err(WebhookError::Stale)),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(stage.sandbox.resend(&event, tamper));
        let came = heard(nth + 2).await[nth + 1].clone();
        assert_eq!(came.clone().map(drop), expected, "{tamper:?}");
        match tamper {
            Tamper::None | Tamper::Nameless => assert_eq!(came.unwrap(), first, "the same event, named or not"),
            Tamper::UnknownType => {
                assert_eq!(came.unwrap().news, WebhookNews::Ignored { kind: "mango.ripened".to_owned() });
            }
            _ => {}
        }
    }
    assert_eq!(stage.sandbox.stats().calls, calls, "nobody asked the gateway");
}
