//! Whether a notification is its gateway's.

use super::Sender;
use crate::model::{RefundState, Webhook, WebhookNews};
use crate::ports::WebhookError;
use jiff::{SignedDuration, Timestamp};

fn now() -> Timestamp {
    "2026-11-23T03:30:00Z".parse().unwrap()
}

fn verify(
    sender: &dyn Sender,
    (headers, body): &(Vec<(String, String)>, Vec<u8>),
    at: Timestamp,
) -> Result<Webhook, WebhookError> {
    let find = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    sender.verifier().verify(&find, body, at)
}

/// A payment and a refund.
pub async fn a_genuine_notification_is_read(sender: &dyn Sender) {
    let read = verify(sender, &sender.captured(1, now()), now()).unwrap();
    assert_eq!(read.news, sender.captured_news(1, now()));
    let read = verify(sender, &sender.refunded(1, now()), now()).unwrap();
    assert!(matches!(&read.news, WebhookNews::Refund(seen) if seen.state == RefundState::Processed), "{read:?}");
}

/// Each delivery of one has the same name.
pub async fn a_notification_keeps_its_name_and_others_have_others(sender: &dyn Sender) {
    let event = |sent| verify(sender, &sent, now()).unwrap().event;
    let first = event(sender.captured(1, now()));
    assert_eq!(event(sender.captured(1, now())), first);
    assert_ne!(event(sender.captured(2, now())), first);
    assert_ne!(event(sender.refunded(1, now())), first);
}

/// Anywhere in the body or the signature.
pub async fn one_bit_more_or_less_is_forged(sender: &dyn Sender) {
    let genuine = sender.captured(1, now());
    let forged = Err(WebhookError::BadSignature);
    for at in 0..genuine.1.len() {
        let mut sent = genuine.clone();
        sent.1[at] ^= 1;
        assert_eq!(verify(sender, &sent, now()), forged, "byte {at}");
    }
    let (mut longer, mut shorter) = (genuine.clone(), genuine.clone());
    longer.1.push(b' ');
    shorter.1.pop();
    for sent in [&longer, &shorter] {
        assert_eq!(verify(sender, sent, now()), forged);
    }
    for header in 0..genuine.0.len() {
        for value in ["", "0", "zz", "t=0,v1=00"] {
            let mut sent = genuine.clone();
            value.clone_into(&mut sent.0[header].1);
            // A header that only names the event is no part of the proof.
            let told = verify(sender, &sent, now());
            assert!(told.is_err() || told.is_ok_and(|read| read.news == sender.captured_news(1, now())));
        }
    }
    let others = (sender.captured(2, now()).0, genuine.1.clone());
    assert_eq!(verify(sender, &others, now()), forged, "the signature of another");
}

/// However good it looks.
pub async fn without_a_signature_nothing_is_believed(sender: &dyn Sender) {
    let (_, body) = sender.captured(1, now());
    assert_eq!(verify(sender, &(Vec::new(), body), now()), Err(WebhookError::BadSignature));
}

/// Where the signature tells when it was made; else the notification's name tells it again.
pub async fn an_old_signature_is_stale(sender: &dyn Sender) {
    let sent = sender.captured(1, now());
    let later = now() + SignedDuration::from_hours(1);
    if sender.signs_its_time() {
        assert_eq!(verify(sender, &sent, later), Err(WebhookError::Stale));
        let early = now() - SignedDuration::from_hours(1);
        assert_eq!(verify(sender, &sent, early), Err(WebhookError::Stale), "made in the future");
        assert!(verify(sender, &sent, now() + SignedDuration::from_secs(90)).is_ok());
    } else {
        assert_eq!(verify(sender, &sent, later), verify(sender, &sent, now()));
    }
}

/// Not an error: the gateway would send it again.
pub async fn a_kind_of_no_use_is_ignored(sender: &dyn Sender) {
    let read = verify(sender, &sender.other(1, now()), now()).unwrap();
    assert!(matches!(read.news, WebhookNews::Ignored { .. }), "{read:?}");
}

/// And never a panic.
pub async fn what_is_signed_and_makes_no_sense_is_malformed(sender: &dyn Sender) {
    for body in ["", "{", "[]", "null", "{\"event\":1}", "{\"entity\":\"event\"}", "\u{0}\u{ff}"] {
        let sent = (sender.signed(body.as_bytes(), now()), body.as_bytes().to_vec());
        assert_eq!(verify(sender, &sent, now()), Err(WebhookError::Malformed), "{body}");
    }
}
