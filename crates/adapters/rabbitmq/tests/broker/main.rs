//! Against the real broker named by `AMQP_URL`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, in its helpers too")]

mod consuming;
mod dead;
mod harness;
mod outage;
mod publishing;
