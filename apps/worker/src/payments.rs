//! Payments in the worker: what they work with, the consumers of both sides, and the sweeper of deadlines.

use crate::{
    holds::{booking_deps, directory_deps, system_context},
    operations::begun_afresh,
    worker::{BuildError, World, rest},
};
use amrutam_booking::use_cases as booking;
use amrutam_crash::Point;
use amrutam_crypto::TokioPause;
use amrutam_identity::PolicyTable;
use amrutam_kernel::{EventEnvelope, EventHandler, Handled, HandlerError};
use amrutam_operations::LETTER_REQUEUED;
use amrutam_payments::{
    model::PaymentRules,
    ports::PaymentGateway,
    use_cases::{self, Deps, sweep_deadlines},
};
use amrutam_settings::{Environment, Payments as Settings, PaymentsMode};
use async_trait::async_trait;
use jiff::SignedDuration;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Looked at in one round; what is left waits for the next.
const BATCH: u16 = 100;

/// What payments are decided and done with.
pub(crate) struct Payments {
    /// Whether visits are paid before they are confirmed.
    pub(crate) required: bool,
    /// The one for new payments first.
    pub(crate) gateways: Vec<Arc<dyn PaymentGateway>>,
    pub(crate) rules: PaymentRules,
    /// Spans of time that are compared with the gateway's list, and how long after their end.
    pub(crate) reconcile: (Duration, Duration),
}

impl Payments {
    pub(crate) fn of(settings: &Settings, environment: Environment) -> Result<Self, BuildError> {
        let millis = |millis: u64| SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
        let rules = PaymentRules {
            lease: millis(settings.lease_ms),
            slow_lane: (millis(settings.slow_lane_min_ms), millis(settings.slow_lane_max_ms)),
            first_poll: millis(settings.first_poll_ms),
            ..PaymentRules::v1()
        };
        let reconcile =
            (Duration::from_secs(settings.reconcile_span_secs), Duration::from_secs(settings.reconcile_after_secs));
        let required = settings.mode == PaymentsMode::Required;
        Ok(Self { required, gateways: crate::gateways::connect(settings, environment)?, rules, reconcile })
    }

    /// What payments listen to, and what no more: where visits are not paid, nothing is heard of them.
    pub(crate) fn bindings(&self) -> (&'static [&'static str], &'static [&'static str]) {
        if self.required {
            (use_cases::BINDINGS, &[])
        } else {
            (use_cases::DECISION_BINDINGS, use_cases::VISIT_BINDINGS)
        }
    }
}

/// For the use cases of payments.
pub(crate) fn deps(world: &World) -> Deps<'_> {
    Deps {
        store: &world.postgres,
        visits: &world.postgres,
        gateways: &world.payments.gateways,
        policy: &PolicyTable,
        clock: &world.clock,
        ids: &world.ids,
        pause: &TokioPause,
        rules: &world.payments.rules,
    }
}

/// What payments hear of visits and of decisions.
pub(crate) struct PaymentEvents(pub(crate) World);

#[async_trait]
impl EventHandler for PaymentEvents {
    fn consumer(&self) -> &'static str {
        use_cases::CONSUMER
    }

    fn bindings(&self) -> &'static [&'static str] {
        self.0.payments.bindings().0
    }

    fn retired_bindings(&self) -> &'static [&'static str] {
        self.0.payments.bindings().1
    }

    async fn handle(&self, event: EventEnvelope) -> Result<Handled, HandlerError> {
        amrutam_crash::here(Point::EventReceived);
        let handled = told(&event, use_cases::handle(deps(&self.0), &event).await)?;
        if event.event_type == LETTER_REQUEUED {
            begun_afresh(&self.0, &event).await?;
        }
        Ok(handled)
    }
}

/// What booking hears of payments.
pub(crate) struct BookingEvents(pub(crate) World);

#[async_trait]
impl EventHandler for BookingEvents {
    fn consumer(&self) -> &'static str {
        booking::CONSUMER
    }

    fn bindings(&self) -> &'static [&'static str] {
        booking::BINDINGS
    }

    async fn handle(&self, event: EventEnvelope) -> Result<Handled, HandlerError> {
        amrutam_crash::here(Point::EventReceived);
        told(&event, booking::handle(booking_deps(&self.0), &event).await)
    }
}

/// What booking hears of accounts that are closed.
pub(crate) struct Departures(pub(crate) World);

#[async_trait]
impl EventHandler for Departures {
    fn consumer(&self) -> &'static str {
        booking::DEPARTURES_CONSUMER
    }

    fn bindings(&self) -> &'static [&'static str] {
        booking::DEPARTURES_BINDINGS
    }

    async fn handle(&self, event: EventEnvelope) -> Result<Handled, HandlerError> {
        amrutam_crash::here(Point::EventReceived);
        told(&event, booking::account_closed(booking_deps(&self.0), directory_deps(&self.0), &event).await)
    }
}

fn told<E: Into<HandlerError>>(event: &EventEnvelope, outcome: Result<Handled, E>) -> Result<Handled, HandlerError> {
    let handled = outcome.map_err(Into::into)?;
    tracing::info!(event_id = %event.id, event_type = %event.event_type, ?handled, "event handled");
    amrutam_crash::here(Point::EventBeforeAck);
    Ok(handled)
}

/// The clock: what has been open for too long goes before a person.
pub(crate) async fn sweep(world: World, stop: CancellationToken) {
    while rest(&stop, world.sweep).await {
        match sweep_deadlines(deps(&world), &system_context(&world, "payment-deadlines"), BATCH).await {
            Ok(0) => {}
            Ok(swept) => tracing::info!(swept, "deadlines of payments passed"),
            Err(error) => tracing::warn!(%error, reason = error.reason(), "deadlines could not be swept"),
        }
    }
}
