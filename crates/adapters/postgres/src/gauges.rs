//! What every process that uses the database shows of it.

use crate::pool::Postgres;
use amrutam_kernel::PortError;
use metrics::gauge;

impl Postgres {
    /// Sets the gauges of the pool and of the outbox. A database that is away leaves the outbox's last figures standing.
    pub async fn publish_gauges(&self) -> Result<(), PortError> {
        let pool = self.pool_status();
        for (state, count) in [("open", pool.size), ("idle", pool.available), ("waiting", pool.waiting)] {
            gauge!("amrutam_database_pool", "state" => state).set(count as f64);
        }
        let outbox = self.outbox_state().await?;
        gauge!("amrutam_outbox_depth").set(outbox.depth as f64);
        gauge!("amrutam_outbox_oldest_seconds").set(outbox.oldest_age.as_secs_f64());
        Ok(())
    }
}
