//! `amrutamctl`: what operators do that has no place in the API.

mod accounts;
mod audit;
mod formulary;
mod keys;
mod operations;
mod privacy;
mod seed;
mod settings;

use clap::{Parser, Subcommand};
use settings::Settings;
use std::{error::Error, path::PathBuf, process::ExitCode};

/// The operator's command line of Amrutam.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one value for the life of the process")]
enum Command {
    /// Bring the schema up to date (as the owner: AMRUTAM__DATABASE__ADMIN_URL), and that of the data keys where they have a database
    /// of their own (AMRUTAM__KEYS__ADMIN_URL).
    Migrate,
    /// Keys: for tokens, sealed values, blind indexes and links.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Work that no try helped.
    #[command(subcommand)]
    DeadLetters(operations::DeadLetters),
    /// Cases that need a person's decision.
    #[command(subcommand)]
    Reviews(operations::Reviews),
    /// Administrators.
    #[command(subcommand)]
    Admin(Admin),
    /// The audit trail: verify it, witness it.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Legal holds on records.
    #[command(subcommand)]
    Privacy(privacy::Command),
    /// Versions of the formulary.
    #[command(subcommand)]
    Formulary(Formulary),
    /// Fill an empty database with practitioners, patients and visits for demonstration. Refused in production.
    Seed {
        /// Where the demo log-ins are written, and read from when the database has been filled before.
        #[arg(long)]
        env_file: PathBuf,
    },
}

#[derive(Subcommand)]
enum Formulary {
    /// Check a file and store it as a version. The same file again changes nothing; another one needs a version of its own.
    Import {
        /// JSON, such as infra/formulary/ayurveda-v1.json.
        file: PathBuf,
    },
}

#[derive(Subcommand)]
enum Admin {
    /// Make an administrator's account. The password is read from standard input.
    Create {
        /// Their address.
        #[arg(long)]
        email: String,
        /// Their name.
        #[arg(long)]
        name: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    amrutam_crypto::forbid_core_dumps()?;
    amrutam_crypto::hide_memory()?;
    match command {
        Command::Migrate => {
            let settings = Settings::load()?;
            let ran = amrutam_postgres::migrate(settings.database.admin_url()).await?;
            for migration in &ran {
                println!("ran {migration}");
            }
            println!("the schema is up to date ({} migrations ran)", ran.len());
            if let Some(keys_url) = settings.keys.admin_url() {
                let ran = amrutam_postgres::migrate_keys(keys_url, settings.database.admin_url()).await?;
                println!("the schema of the data keys is up to date ({} migrations ran)", ran.len());
            }
        }
        Command::Keys(command) => keys::run(command).await?,
        Command::DeadLetters(command) => operations::dead_letters(&Settings::load()?, command).await?,
        Command::Reviews(command) => operations::reviews(&Settings::load()?, command).await?,
        Command::Admin(Admin::Create { email, name }) => {
            accounts::create_admin(&Settings::load()?, &email, &name).await?;
        }
        Command::Audit(command) => audit::run(command, &Settings::load()?).await?,
        Command::Privacy(command) => privacy::run(command, &Settings::load()?).await?,
        Command::Formulary(Formulary::Import { file }) => formulary::import(&Settings::load()?, &file).await?,
        Command::Seed { env_file } => {
            seed::run(&Settings::load()?, &env_file).await?;
        }
    }
    Ok(())
}
