//! The sandbox's payment gateway, from its other side: what payers do, how it misbehaves, what it counted.

use super::{Client, SOON, Stack, eventually};
use serde_json::{Value, json};

/// What the stack's gateway and its callers know.
pub(crate) const KEY_ID: &str = "rzp_test_key";
pub(crate) const KEY_SECRET: &str = "a merchant's secret";
/// What notifications are signed with.
pub const WEBHOOK_SECRET: &str = "what-notifications-are-signed-with";

impl Stack {
    /// An order at the gateway that is none of ours, though it is made with our keys.
    pub async fn strange_order(&self, amount: i64) -> String {
        let settings = self.settings();
        let (_, base) = settings.iter().find(|(key, _)| key == "AMRUTAM__PAYMENTS__BASE_URL").expect("visits are paid");
        let order = json!({ "amount": amount, "currency": "INR", "receipt": "a stall at the fair" });
        let call = reqwest::Client::new().post(format!("{base}/v1/orders")).basic_auth(KEY_ID, Some(KEY_SECRET));
        let made = call.json(&order).send().await.expect("the gateway answers");
        assert!(made.status().is_success(), "{}", made.status());
        made.json::<Value>().await.expect("an order")["id"].as_str().unwrap().to_owned()
    }
}

/// The control of the gateway.
pub struct Gateway {
    client: Client,
}

impl Gateway {
    pub(crate) fn new(url: &str) -> Self {
        Self { client: Client::new(url) }
    }

    /// Where its events are told from now on.
    pub async fn tell(&self, url: &str) {
        let webhook = json!({ "url": url, "secret": WEBHOOK_SECRET });
        self.client.put("/api/gateway/webhook", &webhook).send().await.expect(200);
    }

    /// A payer pays an order, or does not: `captured`, `failed`, with what else is to be said. Gives the payment's name.
    pub async fn pay(&self, order: &str, how: &Value) -> String {
        let path = format!("/api/gateway/orders/{order}/payments");
        self.client.post(&path, how).send().await.expect(201)["payment"].as_str().unwrap().to_owned()
    }

    /// Moves a payment: `captured` after it had failed.
    pub async fn move_payment(&self, payment: &str, to: &str) {
        let path = format!("/api/gateway/payments/{payment}");
        self.client.post(&path, &json!({ "status": to })).send().await.expect(204);
    }

    /// How it behaves from now on; `{}` is well.
    pub async fn behave(&self, behaviour: &Value) {
        self.client.put("/api/gateway/behaviour", behaviour).send().await.expect(200);
    }

    /// What it counted.
    pub async fn stats(&self) -> Value {
        self.client.get("/api/gateway/stats").send().await.expect(200)
    }

    /// How many authenticated calls it had.
    pub async fn calls(&self) -> u64 {
        let stats = self.stats().await;
        stats["calls"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
    }

    /// Every order with its payments and refunds.
    pub async fn orders(&self) -> Vec<Value> {
        let orders = self.client.get("/api/gateway/orders").send().await.expect(200);
        orders["items"].as_array().unwrap().clone()
    }

    /// One order.
    pub async fn order(&self, id: &str) -> Value {
        self.client.get(&format!("/api/gateway/orders/{id}")).send().await.expect(200)
    }

    /// Every event it made, oldest first.
    pub async fn events(&self) -> Vec<Value> {
        let events = self.client.get("/api/gateway/events").send().await.expect(200);
        events["items"].as_array().unwrap().clone()
    }

    /// Lets those go that were held back: `as_made` or `reversed`.
    pub async fn release(&self, order: &str) {
        self.client.post("/api/gateway/events/release", &json!({ "order": order })).send().await.expect(202);
    }

    /// Tells a past event once more, altered or not, and gives the status of the answer.
    pub async fn send_again(&self, event: &str, tamper: &str) -> u64 {
        let deliveries = async || {
            let all = self.events().await;
            let found = all.into_iter().find(|one| one["id"] == json!(event)).expect("the event");
            found["deliveries"].as_array().unwrap().clone()
        };
        let before = deliveries().await.len();
        let path = format!("/api/gateway/events/{event}/send");
        self.client.post(&path, &json!({ "tamper": tamper })).send().await.expect(202);
        eventually("the event is told", SOON, async || {
            deliveries().await.into_iter().nth(before).map(|one| one["status"].as_u64().unwrap_or(0))
        })
        .await
    }
}
