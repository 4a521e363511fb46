//! The outbox, as the relay reads it: the oldest rows first, without the aggregates that are set aside. A row leaves when
//! the broker has it.

use crate::{
    error::Optional,
    pool::{Postgres, bounded},
    schema::outbox,
};
use amrutam_kernel::{EventEnvelope, PortError, Requeue};
use diesel::{
    dsl,
    prelude::*,
    sql_types::{BigInt, Double, Text, Timestamptz},
};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

/// An event that waits to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxRow {
    /// Its place. Rows commit out of order, so a place says nothing about what is still to come.
    pub seq: i64,
    /// Whose events keep their order.
    pub aggregate: Uuid,
    /// The event; an error text when it can't be read.
    pub event: Result<EventEnvelope, String>,
    /// To one consumer alone, when it is a dead letter that begins afresh.
    pub requeue: Option<Requeue>,
}

/// How far behind the relay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxState {
    /// Rows that wait, counted up to 100,000: the table can be long just when this matters.
    pub depth: i64,
    /// Of the rows counted, set aside because they could not be published. Later events of their aggregates wait with them.
    pub parked: i64,
    /// How long the oldest has waited, by the database's clock; zero when none waits.
    pub oldest_age: Duration,
}

impl Postgres {
    /// The oldest `limit` rows of all aggregates none of whose rows is parked.
    pub async fn outbox_batch(&self, limit: u16) -> Result<Vec<OutboxRow>, PortError> {
        let parked = diesel::alias!(outbox as parked);
        let held_back = parked
            .filter(parked.field(outbox::parked_until).gt(dsl::now.into_sql::<Timestamptz>().nullable()))
            .select(parked.field(outbox::aggregate_id));
        let query = outbox::table
            .filter(dsl::not(outbox::aggregate_id.eq_any(held_back)))
            .order(outbox::seq.asc())
            .limit(i64::from(limit))
            .select((outbox::seq, outbox::aggregate_id, outbox::envelope, outbox::requeue));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<(i64, Uuid, Value, Option<Value>)>(conn.raw()?)).await;
        let row = |(seq, aggregate, envelope, requeue): (_, _, _, Option<Value>)| {
            let text = |error: serde_json::Error| error.to_string();
            let event = serde_json::from_value(envelope).map_err(text);
            match requeue.map(serde_json::from_value).transpose() {
                Ok(requeue) => OutboxRow { seq, aggregate, event, requeue },
                // To nobody rather than to everybody.
                Err(error) => OutboxRow { seq, aggregate, event: Err(text(error)), requeue: None },
            }
        };
        Ok(conn.settle(result)?.into_iter().map(row).collect())
    }

    /// Sets a row aside that can't be published, and its aggregate with it: for 30 s, then longer each time, up to 10
    /// minutes. Says how often it has been; nothing when the row is gone.
    pub async fn outbox_park(&self, seq: i64, because: &str) -> Result<Option<i32>, PortError> {
        #[derive(QueryableByName)]
        struct Parked {
            #[diesel(sql_type = diesel::sql_types::Integer)]
            attempts: i32,
        }
        let query = diesel::sql_query(
            "UPDATE outbox SET attempts = attempts + 1, parked_because = left($2, 500), \
               parked_until = now() + least(interval '10 minutes', interval '30 seconds' * 2 ^ least(attempts, 10)) \
             WHERE seq = $1 RETURNING attempts",
        );
        let query = query.bind::<BigInt, _>(seq).bind::<Text, _>(because);
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<Parked>(conn.raw()?)).await;
        Ok(conn.settle(result.optional())?.map(|parked| parked.attempts))
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
        // Parked rows are old ones.
        const STATE: &str = "SELECT count(*) AS depth, count(*) FILTER (WHERE parked_until > now()) AS parked,
            coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest
            FROM (SELECT parked_until, created_at FROM outbox ORDER BY seq LIMIT 100000) waiting";
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), diesel::sql_query(STATE).get_result::<Waiting>(conn.raw()?)).await;
        let Waiting { depth, parked, oldest } = conn.settle(result)?;
        let oldest_age = Duration::try_from_secs_f64(oldest).unwrap_or_default();
        Ok(OutboxState { depth, parked, oldest_age })
    }
}

#[derive(Debug, QueryableByName)]
struct Waiting {
    #[diesel(sql_type = BigInt)]
    depth: i64,
    #[diesel(sql_type = BigInt)]
    parked: i64,
    #[diesel(sql_type = Double)]
    oldest: f64,
}
