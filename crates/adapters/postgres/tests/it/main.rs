//! On a real PostgreSQL: the contracts of the ports, and what only this technology can get wrong.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod audit;
mod audit_alerts;
mod audit_owner;
mod audit_witness;
mod clinical;
mod concurrency;
mod contracts;
mod identity;
mod keys;
mod messaging;
mod outage;
mod payments;
mod privacy;
mod refusals;
mod schema;
mod sealed;
mod support;
