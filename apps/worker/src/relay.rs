//! The relay: outbox to broker, in order per aggregate, at least once.
//!
//! One worker leads. Each round reads the oldest rows there are (never "those after the last"), publishes them, and
//! removes what the broker has confirmed. Rows of one aggregate go one after the other, those of different ones together.

use crate::{
    leaders,
    worker::{World, rest},
};
use amrutam_kernel::{EventEnvelope, EventPublisher, PortError};
use amrutam_postgres::{Leadership, OutboxRow};
use futures::future::join_all;
use std::{collections::HashMap, time::Duration};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const BATCH: u16 = 256;
/// Between attempts while the database or the broker is away, or somebody else leads.
const AWAY: Duration = Duration::from_millis(500);

pub(crate) async fn run(world: World, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match world.postgres.try_lead(leaders::RELAY).await {
            Ok(Some(leadership)) => {
                tracing::info!("leading the relay");
                if let Err(error) = lead(&world, leadership, &stop).await {
                    tracing::warn!(%error, reason = error.reason(), "the relay lost its lead");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, reason = error.reason(), "the relay can't ask for the lead"),
        }
        rest(&stop, AWAY).await;
    }
}

async fn lead(world: &World, mut leadership: Leadership, stop: &CancellationToken) -> Result<(), PortError> {
    while !stop.is_cancelled() {
        leadership.confirm().await?;
        if !world.publisher.ready(AWAY).await {
            continue;
        }
        let rows = world.postgres.outbox_batch(BATCH).await?;
        let read = rows.len();
        let published = publish(world, rows).await;
        if !published.is_empty() {
            world.postgres.outbox_published(&published).await?;
        }
        let pause = if published.len() < read { AWAY } else { world.idle };
        if read < usize::from(BATCH) || published.len() < read {
            rest(stop, pause).await;
        }
    }
    Ok(())
}

/// Publishes what it can and says which rows the broker has taken responsibility for.
async fn publish(world: &World, rows: Vec<OutboxRow>) -> Vec<i64> {
    let mut aggregates: HashMap<Uuid, Vec<(i64, EventEnvelope)>> = HashMap::new();
    for row in rows {
        match row.event {
            Ok(event) => aggregates.entry(event.aggregate.id).or_default().push((row.seq, event)),
            // It stays, and shows as the outbox's age: a person must look.
            Err(error) => tracing::error!(seq = row.seq, %error, "an outbox row can't be read"),
        }
    }
    let in_order = aggregates.into_values().map(async |events| {
        let mut published = Vec::with_capacity(events.len());
        for (seq, event) in events {
            if let Err(error) = world.publisher.publish(&event).await {
                tracing::warn!(event_id = %event.id, %error, reason = error.reason(), "an event was not published");
                break;
            }
            published.push(seq);
        }
        published
    });
    join_all(in_order).await.into_iter().flatten().collect()
}
