//! What an operator watches: how far behind the outbox, the queues and the messages are.

use crate::worker::{World, rest};
use amrutam_kernel::{Clock, PortError};
use amrutam_payments::model::MoneyState;
use metrics::gauge;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(5);

pub(crate) async fn run(world: World, stop: CancellationToken) {
    let mut known = BTreeSet::new();
    while rest(&stop, EVERY).await {
        let pool = world.postgres.pool_status();
        let figures = [("open", pool.size), ("idle", pool.available), ("waiting", pool.waiting)];
        for (state, figure) in figures {
            gauge!("amrutam_database_pool", "state" => state).set(figure as f64);
        }
        // Each by itself: one that can't be had hides no other.
        let told = [outbox(&world).await, payments(&world).await, audit(&world).await, partitions(&world).await];
        for error in told.into_iter().filter_map(Result::err) {
            tracing::debug!(%error, reason = error.reason(), "no figures from the database");
        }
        if let Err(error) = people(&world, &mut known).await {
            tracing::debug!(%error, reason = error.reason(), "no figures of what waits for people");
        }
        if let Err(error) = world.publisher.queue_depths().await {
            tracing::debug!(%error, reason = error.reason(), "no figures from the broker");
        }
    }
}

async fn outbox(world: &World) -> Result<(), PortError> {
    let outbox = world.postgres.outbox_state().await?;
    gauge!("amrutam_outbox_depth").set(outbox.depth as f64);
    gauge!("amrutam_outbox_parked").set(outbox.parked as f64);
    gauge!("amrutam_outbox_oldest_seconds").set(outbox.oldest_age.as_secs_f64());
    gauge!("amrutam_messages_due").set(world.postgres.due_messages(world.clock.now()).await? as f64);
    Ok(())
}

async fn payments(world: &World) -> Result<(), PortError> {
    let payments = world.postgres.payment_figures().await?;
    gauge!("amrutam_gateway_tasks_open").set(payments.open_tasks as f64);
    gauge!("amrutam_gateway_tasks_dead").set(payments.dead_tasks as f64);
    gauge!("amrutam_gateway_tasks_oldest_seconds").set(payments.oldest_task_seconds);
    for state in MoneyState::ALL.iter().map(|state| state.as_str()) {
        let open = payments.open.iter().find(|(name, _)| name == state).map_or(0, |(_, count)| *count);
        gauge!("amrutam_payments_open", "state" => state).set(open as f64);
    }
    Ok(())
}

async fn audit(world: &World) -> Result<(), PortError> {
    let (unsealed, lag) = world.postgres.audit_waiting().await?;
    gauge!("amrutam_audit_unsealed").set(unsealed as f64);
    gauge!("amrutam_audit_lag_seconds").set(lag);
    Ok(())
}

async fn partitions(world: &World) -> Result<(), PortError> {
    let today = world.rules.business_day(world.clock.now());
    let runway = world.postgres.partition_runway_days(today).await?;
    gauge!("amrutam_partition_runway_days").set(f64::from(runway));
    Ok(())
}

/// What waits for a person to look at it. `known` are those that were told of: what has none any more is told so.
async fn people(world: &World, known: &mut BTreeSet<(String, String)>) -> Result<(), PortError> {
    let waiting = world.postgres.waiting_for_people().await?.into_iter();
    let waiting: BTreeMap<_, _> = waiting.map(|row| ((row.what, row.of), (row.count, row.oldest_seconds))).collect();
    known.extend(waiting.keys().cloned());
    for key @ (what, of) in &*known {
        let (count, oldest) = waiting.get(key).copied().unwrap_or((0, 0.0));
        let of = of.clone();
        if what == "reviews" {
            gauge!("amrutam_reviews_open", "kind" => of.clone()).set(count as f64);
            gauge!("amrutam_reviews_oldest_seconds", "kind" => of).set(oldest);
        } else {
            gauge!("amrutam_dead_letters_open", "consumer" => of.clone()).set(count as f64);
            gauge!("amrutam_dead_letters_oldest_seconds", "consumer" => of).set(oldest);
        }
    }
    Ok(())
}
