//! Which gateways there are.

use crate::worker::BuildError;
use amrutam_payments::ports::PaymentGateway;
use amrutam_settings::Payments;
use std::sync::Arc;

/// None where no merchant's name is set.
pub(crate) fn connect(_: &Payments) -> Result<Vec<Arc<dyn PaymentGateway>>, BuildError> {
    Ok(Vec::new())
}
