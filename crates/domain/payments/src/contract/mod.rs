//! Suites that every implementation of the ports passes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a suite of tests, compiled for tests only")]

mod payment_gateway;

pub use payment_gateway::*;
