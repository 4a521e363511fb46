//! The relay: outbox to broker, in order per aggregate, at least once.
//!
//! One worker leads. Each round reads the oldest rows there are (never "those after the last"), publishes them, and
//! removes what the broker has confirmed. Rows of one aggregate go one after the other, those of different ones together.
//! A row that no waiting helps is parked, and its aggregate with it: the others go on.

use crate::{
    leaders,
    worker::{World, rest},
};
use amrutam_crash::Point;
use amrutam_kernel::{EventPublisher, PortError};
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
        let outcome = publish(&world.publisher, rows).await;
        if !outcome.published.is_empty() {
            amrutam_crash::here(Point::OutboxPublished);
            world.postgres.outbox_published(&outcome.published).await?;
        }
        for (seq, because) in &outcome.hopeless {
            park(world, *seq, because).await?;
        }
        if outcome.away {
            rest(stop, AWAY).await;
        } else if read < usize::from(BATCH) {
            rest(stop, world.idle).await;
        }
    }
    Ok(())
}

async fn park(world: &World, seq: i64, because: &str) -> Result<(), PortError> {
    metrics::counter!("amrutam_outbox_parked_total").increment(1);
    match world.postgres.outbox_park(seq, because).await? {
        // A person must look; the gauge `amrutam_outbox_parked` goes on telling.
        Some(1) => tracing::error!(seq, because, "an event can't be published: its aggregate is parked"),
        Some(attempts) => tracing::debug!(seq, because, attempts, "an event still can't be published"),
        None => {}
    }
    Ok(())
}

/// What became of a batch. What is in no list was not tried.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// The broker has taken responsibility for these.
    published: Vec<i64>,
    /// These no waiting helps, and why.
    hopeless: Vec<(i64, String)>,
    /// Whether the broker did not take something that it may take later.
    away: bool,
}

/// Publishes what it can; an aggregate's events up to the first that fails.
async fn publish(publisher: &dyn EventPublisher, rows: Vec<OutboxRow>) -> Outcome {
    let mut aggregates: HashMap<Uuid, Vec<OutboxRow>> = HashMap::new();
    for row in rows {
        aggregates.entry(row.aggregate).or_default().push(row);
    }
    let in_order = aggregates.into_values().map(async |rows| {
        let mut outcome = Outcome::default();
        for OutboxRow { seq, event, requeue, .. } in rows {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    outcome.hopeless.push((seq, format!("it can't be read: {error}")));
                    break;
                }
            };
            let published = match &requeue {
                Some(to) => publisher.requeue(&event, to).await,
                None => publisher.publish(&event).await,
            };
            match published {
                Ok(()) => outcome.published.push(seq),
                Err(error @ PortError::Defect { .. }) => {
                    outcome.hopeless.push((seq, error.reason().to_owned()));
                    break;
                }
                Err(error @ PortError::Unavailable { .. }) => {
                    tracing::warn!(event_id = %event.id, %error, reason = error.reason(), "an event was not published");
                    outcome.away = true;
                    break;
                }
            }
        }
        outcome
    });
    let mut all = Outcome::default();
    for outcome in join_all(in_order).await {
        all.published.extend(outcome.published);
        all.hopeless.extend(outcome.hopeless);
        all.away |= outcome.away;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use amrutam_kernel::{AggregateRef, Dependency, EventEnvelope, EventId, Requeue};
    use async_trait::async_trait;
    use jiff::Timestamp;
    use std::sync::Mutex;

    /// Takes what is not named `hopeless` or `later`, and keeps what it was asked for.
    #[derive(Default)]
    struct Broker(Mutex<Vec<String>>);

    #[async_trait]
    impl EventPublisher for Broker {
        async fn publish(&self, event: &EventEnvelope) -> Result<(), PortError> {
            self.0.lock().unwrap().push(event.event_type.clone());
            match event.event_type.as_str() {
                "hopeless" => Err(PortError::defect(Dependency::Broker, "no queue")),
                "later" => Err(PortError::unavailable(Dependency::Broker, "away")),
                _ => Ok(()),
            }
        }

        async fn requeue(&self, event: &EventEnvelope, to: &Requeue) -> Result<(), PortError> {
            self.0.lock().unwrap().push(format!("{} to {} alone", event.event_type, to.consumer));
            Ok(())
        }
    }

    fn row(seq: i64, aggregate: u128, word: &str) -> OutboxRow {
        let aggregate = Uuid::from_u128(aggregate);
        let event = EventEnvelope {
            id: EventId::from_uuid(Uuid::from_u128(7)),
            event_type: word.to_owned(),
            aggregate: AggregateRef { kind: "consultation".to_owned(), id: aggregate, version: seq },
            occurred_at: Timestamp::UNIX_EPOCH,
            actor: "system:test".to_owned(),
            correlation_id: "flow".parse().unwrap(),
            trace_parent: None,
            payload: serde_json::json!({}),
        };
        let event = if word == "garbled" { Err("not an event".to_owned()) } else { Ok(event) };
        OutboxRow { seq, aggregate, event, requeue: None }
    }

    #[tokio::test]
    async fn what_is_requeued_goes_to_its_consumer_alone() {
        let broker = Broker::default();
        let to = Requeue { consumer: "reminders".to_owned(), number: 1, redeliveries: 0 };
        let requeued = OutboxRow { requeue: Some(to), ..row(1, 1, "fine") };
        assert_eq!(publish(&broker, vec![requeued]).await.published, [1]);
        assert_eq!(*broker.0.lock().unwrap(), ["fine to reminders alone"]);
    }

    #[tokio::test]
    async fn an_aggregate_stops_at_what_fails_and_the_others_go_on() {
        let broker = Broker::default();
        let rows = vec![
            row(1, 1, "hopeless"),
            row(2, 2, "garbled"),
            row(3, 3, "fine"),
            row(4, 1, "behind the hopeless"),
            row(5, 2, "behind the garbled"),
            row(6, 3, "fine, too"),
        ];
        let mut outcome = publish(&broker, rows).await;
        outcome.published.sort_unstable();
        outcome.hopeless.sort_unstable();
        assert_eq!(outcome.published, [3, 6]);
        assert_eq!(outcome.hopeless.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 2]);
        assert!(!outcome.away, "waiting helps none of these");
        assert!(broker.0.lock().unwrap().iter().all(|word| !word.starts_with("behind")));

        let outcome = publish(&broker, vec![row(1, 1, "later"), row(2, 1, "behind"), row(3, 2, "fine")]).await;
        assert_eq!(outcome, Outcome { published: vec![3], hopeless: vec![], away: true });
    }
}
