//! Databases of their own for tests, and people to book with.

mod database;
mod world;

pub(crate) use database::{Database, Session};
pub(crate) use world::{World, becoming, booking, id, insert_account, now, vault, word};

use std::time::{Duration, Instant};

/// Asks until the answer is yes; fails when it is still no after `patience`.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, patience: Duration, mut ask: impl FnMut() -> F) {
    let begun = Instant::now();
    while !ask().await {
        assert!(begun.elapsed() < patience, "still not so after {patience:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
