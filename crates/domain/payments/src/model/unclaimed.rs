//! Money at a gateway that is for no visit of ours: a payment of its own, with nobody's name on it, so that it is booked, given
//! back and told of like any other.

use super::{GatewayName, GatewayPayment, GatewayPaymentRef, MoneyState, Payment, Visit, VisitFate};
use amrutam_kernel::PaymentId;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// The payment that stands for unclaimed money, before the money is booked to it. Its id follows from the gateway's name for
/// the money: told again, it is the same one.
pub fn unclaimed(gateway: &GatewayName, seen: &GatewayPayment, now: Timestamp) -> Payment {
    Payment {
        id: id_of(gateway, &seen.reference),
        parties: None,
        amount: seen.amount,
        gateway: gateway.clone(),
        state: MoneyState::Created,
        // There is none: nothing of it is ever asked for.
        visit: Visit {
            version: 0,
            starts_at: seen.at,
            ends_at: seen.at,
            least_notice: None,
            hold_until: None,
            fate: VisitFate::Unknown,
        },
        order: None,
        order_opened_at: None,
        failed_attempts: Vec::new(),
        captures: Vec::new(),
        announced_at: None,
        ruling: None,
        reviews: Vec::new(),
        waiting: Vec::new(),
        look_at: None,
        created_at: now,
        updated_at: now,
        version: 0,
        revision: 0,
    }
}

/// A UUID of version 8 (of our own making): no consultation has one.
fn id_of(gateway: &GatewayName, reference: &GatewayPaymentRef) -> PaymentId {
    let digest = Sha256::new().chain_update(gateway.as_str()).chain_update(":").chain_update(reference.as_str());
    let digest: [u8; 32] = digest.finalize().into();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, hashed)| *byte = hashed);
    PaymentId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}
