//! The outbox, as the relay reads it: every row that is there, oldest first. A row leaves when the broker has it.

use crate::{
    pool::{Postgres, bounded},
    schema::outbox,
};
use amrutam_kernel::{EventEnvelope, PortError};
use diesel::{
    dsl::{count_star, min},
    prelude::*,
    sql_types::Timestamptz,
};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use std::time::Duration;

/// An event that waits to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxRow {
    /// Its place. Rows commit out of order, so a place says nothing about what is still to come.
    pub seq: i64,
    /// The event; an error text when it can't be read.
    pub event: Result<EventEnvelope, String>,
}

/// How far behind the relay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxState {
    /// Rows that wait.
    pub depth: i64,
    /// How long the oldest has waited, by the database's clock; zero when none waits.
    pub oldest_age: Duration,
}

impl Postgres {
    /// The oldest `limit` rows there are.
    pub async fn outbox_batch(&self, limit: u16) -> Result<Vec<OutboxRow>, PortError> {
        let query =
            outbox::table.order(outbox::seq.asc()).limit(i64::from(limit)).select((outbox::seq, outbox::envelope));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<(i64, Value)>(conn.raw()?)).await;
        let row =
            |(seq, envelope)| OutboxRow { seq, event: serde_json::from_value(envelope).map_err(|e| e.to_string()) };
        Ok(conn.settle(result)?.into_iter().map(row).collect())
    }

    /// Removes rows whose events the broker has confirmed.
    pub async fn outbox_published(&self, seqs: &[i64]) -> Result<(), PortError> {
        let query = diesel::delete(outbox::table.filter(outbox::seq.eq_any(seqs)));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.execute(conn.raw()?)).await;
        conn.settle(result)?;
        Ok(())
    }

    /// Depth and age.
    pub async fn outbox_state(&self) -> Result<OutboxState, PortError> {
        type Row = (i64, jiff_diesel::NullableTimestamp, jiff_diesel::Timestamp);
        let query =
            outbox::table.select((count_star(), min(outbox::created_at), diesel::dsl::sql::<Timestamptz>("now()")));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<Row>(conn.raw()?)).await;
        let (depth, oldest, now) = conn.settle(result)?;
        let waited = oldest.to_jiff().map(|oldest| now.to_jiff().duration_since(oldest));
        Ok(OutboxState { depth, oldest_age: waited.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default() })
    }
}
