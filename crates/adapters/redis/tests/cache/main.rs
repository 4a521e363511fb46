//! Limits and sessions on real redis-servers, also dead, hung, flushed and full ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod contract;
mod gate;
mod limits;
mod sessions;
#[path = "../support/mod.rs"]
mod support;

use amrutam_redis::{Cache, Settings};
use std::time::Duration;
use support::RedisNode;

const PREFIX: &str = "test:";

/// With a deadline that a busy machine keeps.
async fn cache(node: &RedisNode) -> Cache {
    cache_within(node, Duration::from_millis(1_000)).await
}

async fn cache_within(node: &RedisNode, deadline: Duration) -> Cache {
    let settings = Settings {
        cache_url: Some(node.url()),
        cache_prefix: PREFIX.to_owned(),
        cache_deadline_ms: u64::try_from(deadline.as_millis()).unwrap(),
        ..Settings::default()
    };
    Cache::connect(&settings).await.unwrap().unwrap()
}
