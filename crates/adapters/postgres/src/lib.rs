//! Every repository on PostgreSQL, through diesel.
//!
//! One type, [`Postgres`], implements the stores of all domains over one pool; those of what is kept sealed are [`Accounts`],
//! which is that pool and a [`Vault`], so that a process without keys has no way to ask for them. What must be fast or atomic in one round
//! trip is a SQL function of `migrations/`, declared in `functions`; the rest is diesel's query builder over `schema`.
//! No transaction is open while anything but that database is awaited, and a connection whose work was cut short (a
//! dropped request, a time-out) is closed rather than given back.
#![deny(missing_docs)]

mod accounts;
mod audit_alerts;
mod audit_log;
mod audit_reader;
mod audit_trail;
mod audit_verify;
mod availability;
mod booking;
mod changes;
mod clinical;
mod clinical_rows;
mod contacts;
mod dead_letters;
mod dependants;
mod directory;
mod effects;
mod erasures;
mod error;
mod exports;
mod factors;
mod formulary;
mod functions;
mod gate;
mod gauges;
mod group;
mod holdings;
mod json;
mod keys;
mod leader;
mod ledger;
mod links;
mod messages;
mod migrate;
mod outbox;
mod partitions;
mod payment_changes;
mod payment_upkeep;
mod payments;
mod pool;
mod reviews;
mod rows;
mod schema;
mod sessions;
mod target;
mod upkeep;
mod vault;

pub use accounts::Accounts;
pub use audit_alerts::AccessWatch;
pub use audit_verify::{AuditRange, Progress, VerifyError};
pub use clinical::Clinical;
pub use dead_letters::Waiting;
pub use exports::Exports;
pub use holdings::Held;
pub use keys::{KeysSettings, ProductionKeys};
pub use leader::Leadership;
pub use migrate::{MigrateError, migrate, migrate_keys, revert_all};
pub use outbox::{OutboxRow, OutboxState};
pub use payment_upkeep::PaymentFigures;
pub use pool::{PoolStatus, Postgres, Settings};
pub use upkeep::Forgotten;
pub use vault::Vault;
