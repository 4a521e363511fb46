//! Work that one worker at a time does: an advisory lock held by a connection of its own.

use crate::{
    functions,
    pool::{Connection, Postgres, bounded},
};
use amrutam_kernel::PortError;
use diesel_async::RunQueryDsl;

/// Held while this value lives. When the process dies its connection closes, and the server frees the lock.
pub struct Leadership {
    connection: Connection,
}

impl Postgres {
    /// Becomes the leader of `job`, unless somebody else is. A job's number is fixed in the code.
    pub async fn try_lead(&self, job: i64) -> Result<Option<Leadership>, PortError> {
        let mut connection = self.connection().await?;
        let query = diesel::select(functions::pg_try_advisory_lock(job));
        let result = bounded(connection.limit(), query.get_result::<bool>(connection.raw()?)).await;
        match result {
            Ok(true) => Ok(Some(Leadership { connection })),
            other => {
                connection.settle(other)?;
                Ok(None)
            }
        }
    }
}

impl Leadership {
    /// Whether the connection, and with it the lock, still stands. Ask before each piece of leader's work.
    pub async fn confirm(&mut self) -> Result<(), PortError> {
        let limit = self.connection.limit();
        bounded(limit, diesel::sql_query("SELECT 1").execute(self.connection.raw()?)).await?;
        Ok(())
    }
}
