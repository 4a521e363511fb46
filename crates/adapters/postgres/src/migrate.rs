//! Migrations, embedded in the binary and run by the owner role.

use crate::target::Target;
use diesel::ConnectionError;
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../../migrations");

/// The advisory lock's key; freed with the connection.
const MIGRATING: i64 = 0x616d_7274_0000;

/// Why the schema is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The server could not be reached, or refused the log-in.
    #[error("no connection for migrations")]
    Connect(#[from] diesel::ConnectionError),
    /// A statement failed; the migration it belongs to is rolled back.
    #[error("migration failed: {0}")]
    Run(String),
}

/// Brings the schema up to date; says which migrations ran. Needs a multi-threaded runtime.
pub async fn migrate(owner_url: &str) -> Result<Vec<String>, MigrateError> {
    let mut harness = harness(owner_url).await?;
    let ran = harness.run_pending_migrations(MIGRATIONS).map_err(|error| MigrateError::Run(error.to_string()))?;
    Ok(ran.iter().map(ToString::to_string).collect())
}

/// Takes every migration back; for tests of the way down.
pub async fn revert_all(owner_url: &str) -> Result<usize, MigrateError> {
    let mut harness = harness(owner_url).await?;
    let ran = harness.revert_all_migrations(MIGRATIONS).map_err(|error| MigrateError::Run(error.to_string()))?;
    Ok(ran.len())
}

async fn harness(owner_url: &str) -> Result<AsyncMigrationHarness<AsyncPgConnection>, MigrateError> {
    let target = Target::of(owner_url).map_err(|error| ConnectionError::InvalidConnectionUrl(error.to_string()))?;
    let mut connection = target.connect().await?;
    // One at a time: who comes second finds nothing left to do. And a migration waits for no other lock longer than traffic
    // can bear.
    diesel_async::SimpleAsyncConnection::batch_execute(
        &mut connection,
        &format!(
            "SET lock_timeout = '60s'; SELECT pg_advisory_lock({MIGRATING}); \
             SET lock_timeout = '2s'; SET statement_timeout = 0"
        ),
    )
    .await
    .map_err(|error| MigrateError::Run(error.to_string()))?;
    Ok(AsyncMigrationHarness::new(connection))
}
