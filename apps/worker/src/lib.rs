//! The worker: publishes what the outbox holds, consumes events, sends messages, asks payment gateways, keeps dead letters,
//! and keeps house.
//!
//! Any number run side by side. The relay, the housekeeping and the reconciliation are led by one at a time, by an
//! advisory lock; consumers, the mail run and the task runner compete for work; everything they do is safe to do twice.
#![deny(missing_docs)]

mod aside;
mod audit;
mod delivery;
mod documents;
mod gateway_tasks;
mod gateways;
mod gauges;
mod holds;
mod housekeeping;
mod http;
mod notifications;
mod operations;
mod payments;
mod privacy;
mod reconciliation;
mod relay;
mod rewrap;
mod settings;
mod supervisor;
mod topology;
mod worker;

pub use settings::Settings;
pub use worker::{BuildError, Worker};

/// The jobs of which one worker at a time is the leader; the numbers are the advisory locks' keys.
mod leaders {
    pub(crate) const RELAY: i64 = 0x616d_7274_0001;
    pub(crate) const HOUSEKEEPING: i64 = 0x616d_7274_0002;
    pub(crate) const RECONCILIATION: i64 = 0x616d_7274_0003;
    pub(crate) const REWRAP: i64 = 0x616d_7274_0015;
    pub(crate) const AUDIT: i64 = 0x616d_7274_0017;
}
