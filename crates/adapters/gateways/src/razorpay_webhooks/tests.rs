use super::*;
use amrutam_kernel::{Currency, Money};
use amrutam_payments::{
    contract::Sender,
    ports::{GatewayPayment, OrderRef, PaymentSighting},
};
use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::Arc;

const SECRET: &str = "webhook-secret";
const NOW: i64 = 1_796_028_000;

fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    HEXLOWER.encode(&mac.finalize().into_bytes())
}

fn payment(event: &str, created_at: i64) -> Value {
    json!({
        "entity": "event", "account_id": "acc_BFQ7uQEaa7j2z7", "event": event, "contains": ["payment"],
        "payload": {"payment": {"entity": {
            "id": "pay_DESlfW9H8K9uqM", "entity": "payment", "amount": 49_900, "currency": "INR", "status": "captured",
            "order_id": "order_DESlLckIVRkHWj", "amount_refunded": 0, "refund_status": null, "captured": true,
            "email": "payer@example.com", "contact": "+919876543210", "vpa": "payer@upi", "notes": [],
            "error_code": null, "error_reason": null, "created_at": created_at - 2,
        }}},
        "created_at": created_at,
    })
}

fn refund(event: &str, status: &str) -> Value {
    json!({
        "entity": "event", "event": event, "contains": ["refund", "payment"],
        "payload": {"refund": {"entity": {
            "id": "rfnd_DESlm2", "amount": 100, "currency": "INR", "payment_id": "pay_DESlfW9H8K9uqM",
            "notes": {"payment": "x", "key": "refund-key-1"}, "status": status, "created_at": NOW,
        }}},
        "created_at": NOW,
    })
}

fn verify_as(signature: Option<&str>, body: &[u8]) -> Result<Webhook, WebhookError> {
    let secrets = vec![SECRET.to_owned().into(), "the one before".to_owned().into()];
    let headers = |name: &str| match name {
        "x-razorpay-signature" => signature.map(str::to_owned),
        "x-razorpay-event-id" => Some("whatever somebody writes here".to_owned()),
        _ => None,
    };
    RazorpayWebhooks::new(secrets).unwrap().verify(&headers, body, Timestamp::from_second(NOW).unwrap())
}

fn verify(body: &Value) -> Result<Webhook, WebhookError> {
    let body = body.to_string();
    verify_as(Some(&sign(SECRET, body.as_bytes())), body.as_bytes())
}

#[test]
fn what_is_rightly_signed_is_understood() {
    let Webhook { at, news, .. } = verify(&payment("payment.captured", NOW)).unwrap();
    assert_eq!(at, Timestamp::from_second(NOW).ok());
    let WebhookNews::Payment(payment) = news else { panic!("{news:?}") };
    assert_eq!(payment.reference.as_str(), "pay_DESlfW9H8K9uqM");
    assert_eq!(payment.order.as_ref().map(OrderRef::as_str), Some("order_DESlLckIVRkHWj"));
    assert_eq!(
        (payment.amount, payment.state.clone()),
        (Money::new(49_900, Currency::Inr).unwrap(), PaymentSighting::Captured)
    );
    assert!(!format!("{payment:?}").contains("payer"), "nothing of its payer is kept");

    for (event, status) in
        [("refund.created", "pending"), ("refund.processed", "processed"), ("refund.failed", "failed")]
    {
        let news = verify(&refund(event, status)).unwrap().news;
        let WebhookNews::Refund(refund) = news else { panic!("{news:?}") };
        assert_eq!(refund.key.as_deref(), Some("refund-key-1"));
    }
}

#[test]
fn what_is_not_is_refused() {
    let body = payment("payment.captured", NOW).to_string();
    let (body, right) = (body.as_bytes(), sign(SECRET, body.as_bytes()));
    let longer = [body, b" "].concat();
    let upper = right.to_uppercase();
    for (what, signature, body) in [
        ("unsigned", None, body),
        ("empty", Some(""), body),
        ("no hexadecimal", Some("zz"), body),
        ("another spelling of it", Some(&*upper), body),
        ("a part of it", right.get(..32), body),
        ("forged", Some(&*sign("guess", body)), body),
        ("signed with nothing", Some(&*sign("", body)), body),
        ("truncated", Some(&*right), &body[..body.len() - 1]),
        ("longer", Some(&*right), &longer),
        ("emptied", Some(&*right), b""),
    ] {
        assert_eq!(verify_as(signature, body), Err(WebhookError::BadSignature), "{what}");
    }
    let before = sign("the one before", body);
    assert!(verify_as(Some(&before), body).is_ok(), "a secret that is being changed");
}

#[test]
fn what_is_old_or_of_the_future_is_refused_and_what_is_replayed_keeps_its_name() {
    const HOUR: i64 = 3_600;
    for (age, expected) in [
        (0, Ok(())),
        (24 * HOUR, Ok(())),
        (7 * 24 * HOUR, Ok(())),
        (7 * 24 * HOUR + HOUR + 1, Err(WebhookError::Stale)),
        (30 * 24 * HOUR, Err(WebhookError::Stale)),
        (-299, Ok(())),
        (-301, Err(WebhookError::Stale)),
    ] {
        assert_eq!(verify(&payment("payment.captured", NOW - age)).map(drop), expected, "{age}");
    }
    let first = verify(&payment("payment.captured", NOW)).unwrap();
    assert_eq!(first, verify(&payment("payment.captured", NOW)).unwrap(), "whatever the header says");
    assert_ne!(first.event, verify(&payment("payment.captured", NOW - 1)).unwrap().event);
}

#[test]
fn what_is_unknown_is_left_alone_and_what_is_senseless_is_not_believed() {
    for (event, kind) in [("invoice.paid", "invoice.paid"), ("Mango ripened!", "unnamed"), ("", "unnamed")] {
        let body = json!({"event": event, "created_at": NOW, "payload": {}});
        assert_eq!(verify(&body).unwrap().news, WebhookNews::Ignored { kind: kind.to_owned() });
    }
    let mut foreign = payment("payment.captured", NOW);
    foreign["payload"]["payment"]["entity"]["currency"] = json!("JPY");
    assert_eq!(verify(&foreign).unwrap().news, WebhookNews::Ignored { kind: "payment.captured".to_owned() });

    let mut nothing_in_it = payment("payment.captured", NOW);
    nothing_in_it["payload"] = json!({});
    for body in
        [json!([]), json!({}), json!({"event": "x"}), nothing_in_it, json!({"event": "x", "created_at": i64::MAX})]
    {
        assert_eq!(verify(&body), Err(WebhookError::Malformed), "{body}");
    }
    let text = b"not JSON";
    assert_eq!(verify_as(Some(&sign(SECRET, text)), text), Err(WebhookError::Malformed));
}

struct Razorpays;

async fn razorpays() -> Razorpays {
    Razorpays
}

impl Razorpays {
    fn numbered(number: u32, at: Timestamp, mut event: Value, what: &str) -> Value {
        let entity = &mut event["payload"][what]["entity"];
        entity["id"] = json!(format!("{what}_{number}"));
        entity["created_at"] = json!(at.as_second());
        event["created_at"] = json!(at.as_second());
        event
    }

    fn send(&self, event: &Value, at: Timestamp) -> (Vec<(String, String)>, Vec<u8>) {
        let body = event.to_string().into_bytes();
        (self.signed(&body, at), body)
    }
}

impl Sender for Razorpays {
    fn verifier(&self) -> Arc<dyn WebhookVerifier> {
        Arc::new(RazorpayWebhooks::new(vec![SECRET.to_owned().into()]).unwrap())
    }

    fn captured(&self, number: u32, at: Timestamp) -> (Vec<(String, String)>, Vec<u8>) {
        self.send(&Self::numbered(number, at, payment("payment.captured", NOW), "payment"), at)
    }

    fn refunded(&self, number: u32, at: Timestamp) -> (Vec<(String, String)>, Vec<u8>) {
        self.send(&Self::numbered(number, at, refund("refund.processed", "processed"), "refund"), at)
    }

    fn other(&self, number: u32, at: Timestamp) -> (Vec<(String, String)>, Vec<u8>) {
        let event =
            json!({"event": format!("settlement.processed{number}"), "created_at": at.as_second(), "payload": {}});
        self.send(&event, at)
    }

    fn signed(&self, body: &[u8], _: Timestamp) -> Vec<(String, String)> {
        let header = |name: &str, value: String| (name.to_owned(), value);
        vec![header("x-razorpay-signature", sign(SECRET, body)), header("x-razorpay-event-id", "evt_1".to_owned())]
    }

    fn captured_news(&self, number: u32, at: Timestamp) -> WebhookNews {
        WebhookNews::Payment(GatewayPayment {
            reference: format!("payment_{number}").parse().unwrap(),
            order: Some("order_DESlLckIVRkHWj".parse().unwrap()),
            payment: None,
            amount: Money::new(49_900, Currency::Inr).unwrap(),
            refunded: Money::zero(Currency::Inr),
            state: PaymentSighting::Captured,
            at,
        })
    }

    fn signs_its_time(&self) -> bool {
        false
    }
}

amrutam_payments::webhook_verifier_contract!(razorpays());

proptest! {
    /// A body with any one byte changed, lost or added is refused.
    #[test]
    fn any_other_body_is_refused(at in any::<proptest::sample::Index>(), other in 1u8..=255, how in 0u8..3) {
        let body = payment("payment.captured", NOW).to_string().into_bytes();
        let signature = sign(SECRET, &body);
        let at = at.index(body.len());
        let mut changed = body;
        match how {
            0 => changed[at] ^= other,
            1 => drop(changed.remove(at)),
            _ => changed.insert(at, other),
        }
        prop_assert_eq!(verify_as(Some(&signature), &changed), Err(WebhookError::BadSignature));
    }

    /// Whatever is sent, the answer is one of the port's, and never a panic.
    #[test]
    fn nothing_upsets_it(body in proptest::collection::vec(any::<u8>(), 0..200), signature in ".{0,80}") {
        prop_assert!(verify_as(Some(&signature), &body).is_err());
        let signed = verify_as(Some(&sign(SECRET, &body)), &body);
        prop_assert!(signed.is_err() || serde_json::from_slice::<Value>(&body).is_ok());
    }
}
