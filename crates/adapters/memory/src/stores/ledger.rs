//! How often redelivered events were begun.

use crate::world::{MemoryWorld, into_port_error};
use amrutam_kernel::{Effects, EventId, PortError, RedeliveryLedger};
use async_trait::async_trait;

#[async_trait]
impl RedeliveryLedger for MemoryWorld {
    async fn begin(&self, consumer: &str, event: EventId) -> Result<u32, PortError> {
        let mut tx = MemoryWorld::begin(self, &Effects::default()).map_err(into_port_error)?;
        let count = tx.tables().beginnings.entry((consumer.to_owned(), event)).or_default();
        *count += 1;
        let count = *count;
        tx.commit().map_err(into_port_error)?;
        Ok(count)
    }
}
