//! A visit waits to be paid: its payment begins.

use super::{
    Deps,
    follow_visit::{VisitNews, follow},
};
use crate::NewsError;
use amrutam_kernel::{EventEnvelope, Handled};

/// Handles `consultation.requested.v1`: creates the payment of a visit that is to be paid, with the task to open its order.
/// When later news of the visit was here first, the payment exists already, and this changes nothing.
pub async fn open_intent(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, NewsError> {
    follow(deps, event, &VisitNews::read(event)?).await
}
