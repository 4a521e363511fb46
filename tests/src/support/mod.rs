//! A harness for tests that look at the service from outside: it starts the real processes on ports, a database, queues and
//! lock names of their own, talks to them over HTTP, and looks behind the scenes by SQL.
//!
//! ```no_run
//! use amrutam_tests::support::{Options, on_stack};
//!
//! on_stack(Options::named("example"), async |stack| {
//!     let doctor = stack.doctor(2).await;
//!     let patient = stack.patient("asha").await;
//!     let slot = &doctor.slots().await[0];
//!     patient.book(slot).send().await.expect(201);
//! });
//! ```

mod authenticator;
mod broker;
mod client;
mod database;
mod environment;
mod gateway;
mod invariants;
mod mail;
mod money;
mod people;
mod process;
mod raw;
mod scope;
mod servers;
mod stack;
mod tls;
mod trail;

pub use authenticator::{Authenticator, within_a_step};
pub use broker::{Broker, queues};
pub use client::{Call, Client, Reply};
pub use database::{Database, Sql};
pub use environment::{Environment, environment, free_port};
pub use gateway::{Gateway, WEBHOOK_SECRET};
pub use mail::{Mail, Sandbox, subject};
pub use people::{Doctor, Person, Slot, booking, daily, profile};
pub use process::Process;
pub use raw::{raw_connection, raw_exchange, raw_request};
pub use scope::{on_shared, on_stack, run};
pub use servers::Servers;
pub use stack::{Api, Options, Stack, state_of};
pub use tls::{Authority, Issued, TlsUrls, s_client, tls_get};
pub use trail::{IMPERSONAL, Left, NO_CASE, PERSONAL, Row};

use std::time::{Duration, Instant};

/// For what must happen. Generous: the machine may be building.
pub const SOON: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer.
pub async fn eventually<T>(what: &str, within: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(started.elapsed() < within, "{what}: not within {within:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// As [`eventually`], for a condition.
pub async fn until(what: &str, within: Duration, mut holds: impl AsyncFnMut() -> bool) {
    eventually(what, within, async || holds().await.then_some(())).await;
}

/// A line of a file that `infra/dev` writes: `KEY=VALUE`, the value in single quotes where a shell needs them.
pub fn assignment(line: &str) -> Option<(String, String)> {
    let (key, value) = line.split_once('=')?;
    let value = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value);
    Some((key.to_owned(), value.to_owned()))
}

/// A text that occurs nowhere else.
pub fn unique(stem: &str) -> String {
    format!("{stem}-{:012x}", rand::random::<u64>() >> 16)
}
