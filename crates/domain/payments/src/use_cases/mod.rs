//! One file per verb.

mod follow_visit;
mod handle;
mod open_intent;
mod perform_resolution;
mod permit;
mod preview_cancellation;
mod read_payment;
mod reconcile;
mod record;
mod record_webhook;
mod requeue_task;
mod retry_payment;
mod run_task;
mod sweep;
mod take_unclaimed;

pub use follow_visit::follow_visit;
pub use handle::{BINDINGS, CONSUMER, DECISION_BINDINGS, VISIT_BINDINGS, handle};
pub use open_intent::open_intent;
pub use perform_resolution::perform_resolution;
pub use preview_cancellation::{CancellationPreview, preview_cancellation};
pub use read_payment::{SeenPayment, inspect_payment, read_payment, read_timeline};
pub use reconcile::{Reconciled, reconcile};
pub use record_webhook::{WebhookOutcome, record_webhook};
pub use requeue_task::requeue_task;
pub use retry_payment::{Retried, retry_payment};
pub use run_task::{Ran, run_due_tasks, run_task};
pub use sweep::sweep_deadlines;

use crate::{
    model::{GatewayName, PaymentRules},
    ports::{PaymentGateway, PaymentStore, VisitReader},
};
use amrutam_kernel::{Clock, IdSource, Pause, Policy};
use std::sync::Arc;

/// What the use cases work with.
#[derive(Clone, Copy)]
pub struct Deps<'a> {
    /// Payments, tasks, the ledger.
    pub store: &'a dyn PaymentStore,
    /// Visits as they are now.
    pub visits: &'a dyn VisitReader,
    /// The gateways that can be used, the first for new payments.
    pub gateways: &'a [Arc<dyn PaymentGateway>],
    /// Who may do what.
    pub policy: &'a dyn Policy,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids and jitter.
    pub ids: &'a dyn IdSource,
    /// Waiting.
    pub pause: &'a dyn Pause,
    /// The numbers.
    pub rules: &'a PaymentRules,
}

impl Deps<'_> {
    fn gateway(&self, name: &GatewayName) -> Option<&dyn PaymentGateway> {
        self.gateways.iter().find(|gateway| gateway.name() == name).map(AsRef::as_ref)
    }
}
