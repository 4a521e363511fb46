//! Counts how often a redelivered event was begun.

use crate::{
    error::unreadable,
    pool::{Postgres, bounded},
    schema::inbox_attempts,
};
use amrutam_kernel::{EventId, PortError, RedeliveryLedger};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

#[async_trait]
impl RedeliveryLedger for Postgres {
    async fn begin(&self, consumer: &str, event: EventId) -> Result<u32, PortError> {
        let query = diesel::insert_into(inbox_attempts::table)
            .values((
                inbox_attempts::consumer.eq(consumer),
                inbox_attempts::event_id.eq(event.as_uuid()),
                inbox_attempts::attempts.eq(1),
            ))
            .on_conflict((inbox_attempts::consumer, inbox_attempts::event_id))
            .do_update()
            .set((
                inbox_attempts::attempts.eq(inbox_attempts::attempts + 1),
                inbox_attempts::updated_at.eq(diesel::dsl::now),
            ))
            .returning(inbox_attempts::attempts);
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<i32>(conn.raw()?)).await;
        u32::try_from(conn.settle(result)?).map_err(unreadable)
    }
}
