//! Tells events, at least once, and does what was put off.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Gateway;
use super::behaviour::Tamper;
use super::model::{Delivery, Event, PaymentStatus, RefundStatus};
use crate::clock;

/// Like the real one: no answer in 5 s is none, and it tries for 24 hours.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Below what those who are told keep an idle connection, so that no event crosses its closing.
const KEPT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// How old a stale event says it is.
const STALE_SECONDS: i64 = 30 * 24 * 60 * 60;

/// What the courier has to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Tell an event, tried again until it is taken when `retry` is the first wait.
    Tell { event: String, tamper: Tamper, delay: Duration, retry: Option<Duration> },
    /// Tell each when the one before was told or refused.
    TellInTurn(Vec<String>),
    /// Do something after a while.
    Later { delay: Duration, act: Act },
}

/// What can be put off.
#[derive(Debug)]
pub(crate) enum Act {
    MovePayment { id: String, to: PaymentStatus, code: String },
    MoveRefund { id: String, to: RefundStatus },
}

/// Runs until it is dropped.
pub(crate) async fn run(gateway: Arc<Gateway>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    let client = reqwest::Client::builder().timeout(ANSWER_LIMIT).pool_idle_timeout(KEPT);
    let client = match client.redirect(reqwest::redirect::Policy::none()).build() {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "no webhook can be sent");
            return;
        }
    };
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            job = jobs.recv() => match job {
                Some(job) => drop(running.spawn(perform(Arc::clone(&gateway), client.clone(), job))),
                None => return,
            },
            Some(_) = running.join_next() => {}
        }
    }
}

async fn perform(gateway: Arc<Gateway>, client: reqwest::Client, job: Job) {
    match job {
        Job::Tell { event, tamper, delay, retry } => {
            sleep(delay).await;
            tell(&gateway, &client, &event, tamper, retry).await;
        }
        Job::TellInTurn(events) => {
            for event in events {
                tell(&gateway, &client, &event, Tamper::None, None).await;
            }
        }
        Job::Later { delay, act } => {
            sleep(delay).await;
            // A gateway that is away does nothing.
            gateway.script.up_again().await;
            let done = match act {
                Act::MovePayment { id, to, code } => gateway.move_payment(&id, to, &code, 0),
                Act::MoveRefund { id, to } => gateway.move_refund(&id, to, 0),
            };
            if let Err(reason) = done {
                tracing::warn!(reason, "what was put off can't be done any more");
            }
        }
    }
}

async fn tell(gateway: &Gateway, client: &reqwest::Client, event: &str, tamper: Tamper, retry: Option<Duration>) {
    let begun = Instant::now();
    let mut wait = retry.unwrap_or(Duration::ZERO);
    loop {
        gateway.script.up_again().await;
        // Forgotten meanwhile.
        let Some(kept) = gateway.store.event(event) else { return };
        let webhook = gateway.webhook();
        let Some(url) = webhook.url else { return };
        let message = alter(&kept, tamper, &webhook.secret);
        let mut request = client.post(url).header("Content-Type", "application/json").body(message.body);
        if let Some(signature) = message.signature {
            request = request.header("X-Razorpay-Signature", signature);
        }
        if message.named {
            request = request.header("x-razorpay-event-id", event);
        }
        let status = request.send().await.ok().map(|response| response.status());
        let at = clock::now().to_string();
        gateway.store.delivered(event, Delivery { at, tamper, status: status.map(|status| status.as_u16()) });
        let taken = status.is_some_and(|status| status.is_success());
        // Nobody repeats a forgery that was refused.
        if taken || retry.is_none() || tamper != Tamper::None || begun.elapsed() + wait > PATIENCE {
            return;
        }
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_RETRY);
    }
}

struct Message {
    body: Bytes,
    signature: Option<String>,
    named: bool,
}

fn alter(event: &Event, tamper: Tamper, secret: &str) -> Message {
    let changed = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut body: Value = serde_json::from_slice(&event.body).unwrap_or_default();
        if let Some(fields) = body.as_object_mut() {
            change(fields);
        }
        Bytes::from(body.to_string())
    };
    let signed = match tamper {
        Tamper::Stale => changed(&|fields| {
            fields.insert("created_at".to_owned(), json!(event.created_at - STALE_SECONDS));
        }),
        Tamper::UnknownType => changed(&|fields| {
            fields.insert("event".to_owned(), json!("mango.ripened"));
        }),
        _ => event.body.clone(),
    };
    let signature = match tamper {
        Tamper::Unsigned => None,
        Tamper::Signature => sign("another secret", &signed),
        _ => sign(secret, &signed),
    };
    let body = match tamper {
        Tamper::Byte => another_digit(&signed),
        Tamper::Truncated => signed.slice(..signed.len().saturating_sub(1)),
        Tamper::Longer => [&signed[..], b" "].concat().into(),
        _ => signed,
    };
    Message { body, signature, named: tamper != Tamper::Nameless }
}

/// The amount's first digit becomes another: the body stays JSON.
fn another_digit(body: &[u8]) -> Bytes {
    const BEFORE: &[u8] = b"\"amount\":";
    let mut body = body.to_vec();
    let place = body.windows(BEFORE.len()).position(|part| part == BEFORE).map_or(0, |at| at + BEFORE.len());
    if let Some(byte) = body.get_mut(place) {
        *byte ^= 1;
    }
    body.into()
}

/// HMAC-SHA256 of the body, in hexadecimal. Nothing never happens: any key is long enough.
fn sign(secret: &str, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(body);
    Some(data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alteration_is_what_it_says() {
        let body = Bytes::from(json!({"amount": 900, "created_at": 1_000, "event": "payment.captured"}).to_string());
        let event =
            Event { id: "evt_1".to_owned(), name: "x", body: body.clone(), created_at: 1_000, deliveries: vec![] };
        let valid = |message: &Message| message.signature == sign("secret", &message.body);
        for (tamper, same, signed) in [
            (Tamper::None, true, true),
            (Tamper::Nameless, true, true),
            (Tamper::Signature, true, false),
            (Tamper::Unsigned, true, false),
            (Tamper::Byte, false, false),
            (Tamper::Truncated, false, false),
            (Tamper::Longer, false, false),
            (Tamper::Stale, false, true),
            (Tamper::UnknownType, false, true),
        ] {
            let message = alter(&event, tamper, "secret");
            assert_eq!((message.body == body, valid(&message)), (same, signed), "{tamper:?}");
            assert_eq!(message.named, tamper != Tamper::Nameless);
        }
        let changed = alter(&event, Tamper::Byte, "secret").body;
        assert_eq!(serde_json::from_slice::<Value>(&changed).unwrap()["amount"], 800);
    }

    #[test]
    fn the_signature_is_the_known_one() {
        // RFC 4231, test case 2.
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign("Jefe", b"what do ya want for nothing?").as_deref(), Some(expected));
    }
}
