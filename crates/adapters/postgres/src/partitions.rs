//! Monthly partitions, made ahead.

use crate::{
    functions,
    pool::{Postgres, bounded},
};
use amrutam_kernel::PortError;
use diesel_async::RunQueryDsl;
use jiff::civil::Date;
use jiff_diesel::ToDiesel;

impl Postgres {
    /// Makes the partitions from the month of `first` to the month of `last` that are missing, and says how many.
    pub async fn ensure_partitions(&self, first: Date, last: Date) -> Result<i32, PortError> {
        let query = diesel::select(functions::ensure_partitions(first.to_diesel(), last.to_diesel()));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<i32>(conn.raw()?)).await;
        Ok(conn.settle(result)?)
    }

    /// How many days of partitions lie ahead of `today`, of the table that has the fewest.
    pub async fn partition_runway_days(&self, today: Date) -> Result<i32, PortError> {
        let query = diesel::select(functions::partition_runway_days(today.to_diesel()));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<i32>(conn.raw()?)).await;
        Ok(conn.settle(result)?)
    }
}
