//! Our books against the gateways' lists, one span of time after the other, by one worker at a time.

use crate::{
    holds::system_context,
    leaders,
    payments::deps,
    worker::{World, rest},
};
use amrutam_kernel::{Clock, TimeRange};
use amrutam_payments::{NewsError, model::GatewayName, use_cases::reconcile};
use jiff::Timestamp;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks at whether a span is due; shorter where spans are.
const EVERY: Duration = Duration::from_secs(300);
/// So many spans in one round, the oldest first: after an outage the next rounds go on from there.
const CATCH_UP: usize = 7;

pub(crate) async fn run(world: World, stop: CancellationToken) {
    let pause = EVERY.min(world.payments.reconcile.0);
    while rest(&stop, pause).await {
        if world.payments.gateways.is_empty() {
            continue;
        }
        let outcome = match world.postgres.try_lead(leaders::RECONCILIATION).await {
            Ok(Some(_leadership)) => round(&world, &stop).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = outcome {
            metrics::counter!("amrutam_reconciliation_failures_total").increment(1);
            tracing::warn!(%error, "reconciliation failed, and begins anew at the next turn");
        }
    }
}

async fn round(world: &World, stop: &CancellationToken) -> Result<(), NewsError> {
    for gateway in &world.payments.gateways {
        let until = world.postgres.reconciled_until(gateway.name()).await?;
        for span in due(until, world.clock.now(), world.payments.reconcile) {
            if stop.is_cancelled() {
                return Ok(());
            }
            compare(world, gateway.name(), span).await?;
        }
    }
    Ok(())
}

async fn compare(world: &World, gateway: &GatewayName, span: TimeRange) -> Result<(), NewsError> {
    let found = reconcile(deps(world), &system_context(world, "reconciliation"), gateway, span).await?;
    world.postgres.note_reconciled(gateway, span, found.compared, found.differences).await?;
    metrics::counter!("amrutam_reconciliation_differences_total").increment(found.differences as u64);
    let (from, until) = (span.start(), span.end());
    if found.differences == 0 {
        tracing::info!(%gateway, %from, %until, compared = found.compared, "reconciled");
    } else {
        tracing::error!(%gateway, %from, %until, compared = found.compared, differences = found.differences, "books differ");
    }
    Ok(())
}

/// The spans that are over for long enough and not compared yet, the oldest first. They begin at multiples of their length.
fn due(until: Option<Timestamp>, now: Timestamp, (span, after): (Duration, Duration)) -> Vec<TimeRange> {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let length = seconds(span).max(1);
    let last = (now.as_second() - seconds(after)).div_euclid(length);
    let first = until.map_or(last - 1, |until| until.as_second().div_euclid(length));
    let range = |index: i64| {
        let at = |index: i64| Timestamp::from_second(index.checked_mul(length)?).ok();
        TimeRange::new(at(index)?, at(index + 1)?)
    };
    (first..last).filter_map(range).take(CATCH_UP).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    const DAY: (Duration, Duration) = (Duration::from_secs(86_400), Duration::from_secs(7_200));

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn each_day_is_compared_once_and_late_enough() {
        let days = |until: Option<&str>, now: &str| -> Vec<String> {
            let due = due(until.map(at), at(now), DAY);
            due.iter().map(|span| span.start().strftime("%d").to_string()).collect()
        };
        assert_eq!(days(None, "2026-11-30T03:00:00Z"), ["29"], "the first time: the last day");
        assert_eq!(days(None, "2026-11-30T01:00:00Z"), ["28"], "the 29th is over, but not for long enough");
        assert_eq!(days(Some("2026-11-30T00:00:00Z"), "2026-11-30T03:00:00Z"), Vec::<String>::new());
        assert_eq!(days(Some("2026-11-28T00:00:00Z"), "2026-11-30T03:00:00Z"), ["28", "29"], "after an outage");
        let week = ["01", "02", "03", "04", "05", "06", "07"];
        assert_eq!(
            days(Some("2026-10-01T00:00:00Z"), "2026-11-30T03:00:00Z"),
            week,
            "some in a round, and none left out"
        );
        let span = due(None, at("2026-11-30T03:00:00Z"), DAY).remove(0);
        assert_eq!(span.end().duration_since(span.start()), SignedDuration::from_hours(24));
    }
}
