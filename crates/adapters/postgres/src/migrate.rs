//! Migrations, embedded in the binary and run by the owner role.

use crate::target::Target;
use diesel::{
    ConnectionError,
    migration::{Migration, MigrationSource},
    pg::Pg,
};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, SimpleAsyncConnection};
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

/// Brings a database of data keys alone up to date, and takes the schema for them out of the main one, so that a process that is not
/// told of the other finds no keys rather than makes new ones. Refused while there are keys in the main one: move them first.
pub async fn migrate_keys(keys_owner_url: &str, main_owner_url: &str) -> Result<Vec<String>, MigrateError> {
    let mut main = connect(main_owner_url).await?;
    main.batch_execute(DROP_UNUSED).await.map_err(|error| MigrateError::Run(error.to_string()))?;
    let mut harness = harness(keys_owner_url).await?;
    let ran = harness.run_pending_migrations(KeysAlone).map_err(|error| MigrateError::Run(error.to_string()))?;
    Ok(ran.iter().map(ToString::to_string).collect())
}

const DROP_UNUSED: &str = "DO $$ BEGIN
  IF to_regclass('keys.owners') IS NOT NULL THEN
    LOCK TABLE keys.owners IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM keys.owners) THEN
      RAISE EXCEPTION 'there are data keys in the main database: move the schema keys to the other one first';
    END IF;
    DROP SCHEMA keys CASCADE;
  END IF;
END $$";

/// The one migration that makes the schema for data keys.
struct KeysAlone;

impl MigrationSource<Pg> for KeysAlone {
    fn migrations(&self) -> diesel::migration::Result<Vec<Box<dyn Migration<Pg>>>> {
        let mut all = MigrationSource::<Pg>::migrations(&MIGRATIONS)?;
        all.retain(|migration| migration.name().to_string().ends_with("_keys"));
        Ok(all)
    }
}

/// Takes every migration back; for tests of the way down.
pub async fn revert_all(owner_url: &str) -> Result<usize, MigrateError> {
    let mut harness = harness(owner_url).await?;
    let ran = harness.revert_all_migrations(MIGRATIONS).map_err(|error| MigrateError::Run(error.to_string()))?;
    Ok(ran.len())
}

async fn connect(owner_url: &str) -> Result<AsyncPgConnection, MigrateError> {
    let target = Target::of(owner_url).map_err(|error| ConnectionError::InvalidConnectionUrl(error.to_string()))?;
    Ok(target.connect().await?)
}

async fn harness(owner_url: &str) -> Result<AsyncMigrationHarness<AsyncPgConnection>, MigrateError> {
    let mut connection = connect(owner_url).await?;
    // One at a time: who comes second finds nothing left to do. And a migration waits for no other lock longer than traffic
    // can bear.
    let settings = format!(
        "SET lock_timeout = '60s'; SELECT pg_advisory_lock({MIGRATING}); \
         SET lock_timeout = '2s'; SET statement_timeout = 0"
    );
    connection.batch_execute(&settings).await.map_err(|error| MigrateError::Run(error.to_string()))?;
    Ok(AsyncMigrationHarness::new(connection))
}
