//! `amrutam-worker`: reads settings, builds the worker, runs it until it is told to stop.

use amrutam_settings::Environment;
use amrutam_worker::{Settings, Worker};
use clap::Parser;
use std::{error::Error, path::PathBuf, process::ExitCode};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// As in the api: what one thread allocates another frees, which the system's allocator handles with locks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The worker of Amrutam.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A TOML file under the environment's settings.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print the settings, secrets masked, and stop.
    #[arg(long)]
    print_config: bool,
}

fn main() -> ExitCode {
    let arguments = Args::parse();
    let ran = amrutam_telemetry::runtime().map_err(Into::into).and_then(|runtime| runtime.block_on(run(arguments)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    amrutam_crypto::forbid_core_dumps()?;
    let settings: Settings = amrutam_settings::load(args.config.as_deref())?;
    if args.print_config {
        println!("{}", settings.printable());
        return Ok(());
    }
    if settings.environment != Environment::Development {
        amrutam_crypto::hide_memory()?;
    }
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "another TLS provider is installed")?;
    let telemetry = amrutam_telemetry::init("amrutam-worker", &settings.telemetry)?;
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        told.cancel();
    });
    Worker::build(settings, telemetry.clone())?.run(stop).await;
    telemetry.shutdown().await;
    Ok(())
}
