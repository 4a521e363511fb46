//! How often redelivered events were begun.

use super::id;
use amrutam_kernel::{EventId, RedeliveryLedger};
use futures::future::join_all;
use jiff::Timestamp;
use std::sync::Arc;

fn event() -> EventId {
    EventId::from_uuid(id(Timestamp::UNIX_EPOCH))
}

/// From one, this beginning included.
pub async fn beginnings_are_counted_by_consumer_and_event(ledger: &Arc<dyn RedeliveryLedger>) {
    let (one, other) = (event(), event());
    for (consumer, event, count) in [
        ("contract-a", one, 1),
        ("contract-a", one, 2),
        ("contract-b", one, 1),
        ("contract-a", other, 1),
        ("contract-a", one, 3),
        ("contract-b", one, 2),
    ] {
        assert_eq!(ledger.begin(consumer, event).await.unwrap(), count, "{consumer}");
    }
}

/// No two are given one number.
pub async fn beginnings_at_once_are_all_counted(ledger: &Arc<dyn RedeliveryLedger>) {
    let event = event();
    let counts = join_all((0..16).map(|_| ledger.begin("contract", event))).await;
    let mut counts: Vec<_> = counts.into_iter().map(Result::unwrap).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=16).collect::<Vec<_>>());
}
