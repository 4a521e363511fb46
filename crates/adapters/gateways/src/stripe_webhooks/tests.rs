use super::*;
use amrutam_kernel::{Currency, Money};
use amrutam_payments::{
    contract::Sender,
    ports::{GatewayPayment, PaymentSighting, RefundState},
};
use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::Arc;

const SECRET: &str = "whsec_test_secret";
const NOW: i64 = 1_796_028_000;

fn sign(secret: &str, seconds: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    HEXLOWER.encode(&mac.finalize().into_bytes())
}

fn charge(kind: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut charge = json!({
        "id": "ch_3MmlLrLkdIwHu7ix0snN0B15", "object": "charge", "amount": 49_900, "amount_refunded": 0,
        "billing_details": {"email": "payer@example.com", "name": "Payer"}, "captured": true, "created": NOW - 3,
        "currency": "inr", "failure_code": null, "metadata": {"payment": "01890a5d-ac96-774b-bcce-b302099a8057"},
        "payment_intent": "pi_3MmlLrLkdIwHu7ix0uke3Ezy", "refunded": false, "status": "succeeded",
    });
    change(&mut charge);
    json!({"id": "evt_1NG8Du2eZvKYlo2CUI79vXWy", "object": "event", "created": NOW - 2, "type": kind,
        "data": {"object": charge}})
}

fn verify_as(header: Option<&str>, body: &[u8]) -> Result<Webhook, WebhookError> {
    let header = |name: &str| header.filter(|_| name == "stripe-signature").map(str::to_owned);
    let now = Timestamp::from_second(NOW).unwrap();
    StripeWebhooks::new(vec![SECRET.to_owned().into()]).unwrap().verify(&header, body, now)
}

fn verify(body: &Value) -> Result<Webhook, WebhookError> {
    let body = body.to_string();
    verify_as(Some(&format!("t={NOW},v1={}", sign(SECRET, NOW, body.as_bytes()))), body.as_bytes())
}

/// Computed by hand with `openssl dgst -sha256 -hmac`, as Stripe's documentation tells to.
#[test]
fn a_known_signature_is_known() {
    let body = br#"{"id":"evt_1","type":"ping","created":1796028000}"#;
    let signature = "97f003623bd767beb36da3ce1bdd1e9ad1808340fbd3f335f56b0294d9ec0a44";
    let header =
        format!("t=1796028000,v1={signature},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39");
    assert_eq!(verify_as(Some(&header), body).unwrap().news, WebhookNews::Ignored { kind: "ping".to_owned() });
}

#[test]
fn charges_and_refunds_are_understood() {
    let failed = |charge: &mut Value| {
        charge["status"] = json!("failed");
        charge["captured"] = json!(false);
        charge["failure_code"] = json!("card_declined");
    };
    let code = || "card_declined".to_owned();
    for (event, expected) in [
        (charge("charge.succeeded", |_| ()), PaymentSighting::Captured),
        (charge("charge.succeeded", |charge| charge["captured"] = json!(false)), PaymentSighting::Authorized),
        (charge("charge.refunded", |charge| charge["refunded"] = json!(true)), PaymentSighting::Refunded),
        (charge("charge.pending", |charge| charge["status"] = json!("pending")), PaymentSighting::Authorized),
        (charge("charge.failed", failed), PaymentSighting::Failed { code: code() }),
    ] {
        let Webhook { event, news, .. } = verify(&event).unwrap();
        assert_eq!(event.as_str(), "evt_1NG8Du2eZvKYlo2CUI79vXWy");
        let WebhookNews::Payment(payment) = news else { panic!("{news:?}") };
        assert_eq!((payment.state.clone(), payment.amount), (expected, Money::new(49_900, Currency::Inr).unwrap()));
        assert_eq!(payment.payment.unwrap().to_string(), "01890a5d-ac96-774b-bcce-b302099a8057");
        assert!(!format!("{payment:?}").contains("ayer"), "nothing of its payer is kept");
    }
    for (status, expected) in [
        ("pending", RefundState::Pending),
        ("requires_action", RefundState::Pending),
        ("succeeded", RefundState::Processed),
        ("failed", RefundState::Failed { code: "lost_or_stolen_card".to_owned() }),
        ("canceled", RefundState::Failed { code: "lost_or_stolen_card".to_owned() }),
    ] {
        let object = json!({"id": "re_1", "amount": 100, "currency": "inr", "charge": "ch_1", "status": status,
            "failure_reason": "lost_or_stolen_card", "metadata": {"key": "refund-key-1"}, "created": NOW});
        let event = json!({"id": "evt_2", "type": "refund.updated", "created": NOW, "data": {"object": object}});
        let WebhookNews::Refund(refund) = verify(&event).unwrap().news else { panic!("{status}") };
        assert_eq!((refund.state, refund.key.as_deref()), (expected, Some("refund-key-1")));
    }
}

#[test]
fn one_of_several_signatures_is_enough_and_none_is_not() {
    let body = charge("charge.succeeded", |_| ()).to_string();
    let body = body.as_bytes();
    let (right, wrong) = (sign(SECRET, NOW, body), sign("another", NOW, body));
    let many = format!("t={NOW}{}", format!(",v1={wrong}").repeat(8));
    for (header, good) in [
        (format!("t={NOW},v1={right}"), true),
        (format!("v1={right},t={NOW}"), true),
        (format!("t={NOW}, v1={right}"), true),
        (format!("t={NOW},v1={wrong},v1={right}"), true),
        (format!("t={NOW},v0=x,scheme,v1={right}"), true),
        (format!("{many},v1={right}"), false),
        (format!("t={NOW},v1={wrong}"), false),
        (format!("t={NOW},v0={right}"), false),
        (format!("t={NOW}"), false),
        (format!("v1={right}"), false),
        (format!("t={},v1={right}", NOW + 1), false),
        (format!("t=+{NOW},v1={right}"), false),
        (format!("t=,v1={}", sign(SECRET, 0, body)), false),
        (String::new(), false),
    ] {
        let expected = if good { Ok(()) } else { Err(WebhookError::BadSignature) };
        assert_eq!(verify_as(Some(&header), body).map(drop), expected, "{header}");
    }
    assert_eq!(verify_as(None, body), Err(WebhookError::BadSignature));
    let header = format!("t={NOW},v1={right}");
    for other in [&body[..body.len() - 1], &[body, b" "].concat(), b""] {
        assert_eq!(verify_as(Some(&header), other), Err(WebhookError::BadSignature));
    }
}

#[test]
fn five_minutes_are_tolerated() {
    let body = charge("charge.succeeded", |_| ()).to_string();
    for (age, expected) in
        [(300, Ok(())), (301, Err(WebhookError::Stale)), (-300, Ok(())), (-301, Err(WebhookError::Stale))]
    {
        let header = format!("t={},v1={}", NOW - age, sign(SECRET, NOW - age, body.as_bytes()));
        assert_eq!(verify_as(Some(&header), body.as_bytes()).map(drop), expected, "{age}");
    }
}

#[test]
fn what_is_senseless_is_not_believed() {
    let mut nothing_in_it = charge("charge.succeeded", |_| ());
    nothing_in_it["data"] = json!({});
    for body in [json!([]), json!({"type": "x", "created": 1}), nothing_in_it] {
        assert_eq!(verify(&body), Err(WebhookError::Malformed), "{body}");
    }
    let foreign = charge("charge.succeeded", |charge| charge["currency"] = json!("jpy"));
    assert!(matches!(verify(&foreign).unwrap().news, WebhookNews::Ignored { .. }));
}

struct Stripes;

async fn stripes() -> Stripes {
    Stripes
}

impl Stripes {
    fn send(&self, number: u32, at: Timestamp, mut event: Value) -> (Vec<(String, String)>, Vec<u8>) {
        let kind = event["type"].as_str().unwrap_or_default().replace('.', "");
        event["id"] = json!(format!("evt_{kind}{number}"));
        event["created"] = json!(at.as_second());
        event["data"]["object"]["id"] = json!(format!("ch_{number}"));
        event["data"]["object"]["created"] = json!(at.as_second());
        let body = event.to_string().into_bytes();
        (self.signed(&body, at), body)
    }
}

impl Sender for Stripes {
    fn verifier(&self) -> Arc<dyn WebhookVerifier> {
        Arc::new(StripeWebhooks::new(vec![SECRET.to_owned().into()]).unwrap())
    }

    fn captured(&self, number: u32, at: Timestamp) -> (Vec<(String, String)>, Vec<u8>) {
        self.send(number, at, charge("charge.succeeded", |_| ()))
    }

    fn refunded(&self, number: u32, at: Timestamp) -> (Vec<(String, String)>, Vec<u8>) {
        let object = json!({"id": "re_1", "amount": 100, "currency": "inr", "charge": "ch_1", "status": "succeeded",
            "failure_reason": null, "metadata": {}, "created": NOW});
        self.send(number, at, json!({"type": "refund.updated", "data": {"object": object}}))
    }

    fn other(&self, number: u32, at: Timestamp) -> (Vec<(String, String)>, Vec<u8>) {
        self.send(number, at, json!({"type": "payout.paid", "data": {"object": {}}}))
    }

    fn signed(&self, body: &[u8], at: Timestamp) -> Vec<(String, String)> {
        let seconds = at.as_second();
        vec![("stripe-signature".to_owned(), format!("t={seconds},v1={}", sign(SECRET, seconds, body)))]
    }

    fn captured_news(&self, number: u32, at: Timestamp) -> WebhookNews {
        WebhookNews::Payment(GatewayPayment {
            reference: format!("ch_{number}").parse().unwrap(),
            order: Some("pi_3MmlLrLkdIwHu7ix0uke3Ezy".parse().unwrap()),
            payment: "01890a5d-ac96-774b-bcce-b302099a8057".parse().ok(),
            amount: Money::new(49_900, Currency::Inr).unwrap(),
            refunded: Money::zero(Currency::Inr),
            state: PaymentSighting::Captured,
            at,
        })
    }

    fn signs_its_time(&self) -> bool {
        true
    }
}

amrutam_payments::webhook_verifier_contract!(stripes());

proptest! {
    /// A body with any one byte changed, lost or added is refused.
    #[test]
    fn any_other_body_is_refused(at in any::<proptest::sample::Index>(), other in 1u8..=255, how in 0u8..3) {
        let body = charge("charge.succeeded", |_| ()).to_string().into_bytes();
        let header = format!("t={NOW},v1={}", sign(SECRET, NOW, &body));
        let at = at.index(body.len());
        let mut changed = body;
        match how {
            0 => changed[at] ^= other,
            1 => drop(changed.remove(at)),
            _ => changed.insert(at, other),
        }
        prop_assert_eq!(verify_as(Some(&header), &changed), Err(WebhookError::BadSignature));
    }

    /// Whatever the header says, the answer is one of the port's, and never a panic.
    #[test]
    fn nothing_upsets_it(header in ".{0,120}") {
        prop_assert_eq!(verify_as(Some(&header), b"{}"), Err(WebhookError::BadSignature));
    }
}
