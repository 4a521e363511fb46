//! What a visit costs: orders at a payment gateway, captures, refunds, and the ledger of all of it.
//!
//! Two things are known of a payment: where its money stands ([`model::MoneyState`]) and what became of its visit
//! ([`model::VisitFate`]). Both are told by others, a gateway and the booking domain, late, twice or out of order. What must be done
//! follows from the two, the rules and the clock by one pure function, so that the order in which the news came can't matter. Whatever
//! must be done at a gateway is a task ([`model::GatewayTask`]) committed with the decision and done outside any transaction.
//!
//! To add a gateway: implement [`ports::PaymentGateway`] and [`ports::WebhookVerifier`] and pass their contract suites.
//! To add a step: its arrow in [`model::MoneyState::can_become`], its kind in [`model::StepKind`], its schema in `docs/events/`.
#![deny(missing_docs)]

#[cfg(feature = "contract")]
pub mod contract;
mod error;
pub mod events;
pub mod model;
mod personal;
pub mod ports;
pub mod use_cases;

pub use error::{NewsError, PaymentError};
