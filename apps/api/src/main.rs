//! The HTTP API as a process.

use amrutam_api::{Application, Settings, openapi_json};
use amrutam_settings::Environment;
use clap::Parser;
use std::{path::PathBuf, process::ExitCode};

/// A booking makes hundreds of small allocations on one thread and frees some on another, which the system's handles with
/// locks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The HTTP API of Amrutam. Settings come from the environment (`AMRUTAM__SECTION__KEY`), over a file if one is given.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show the settings in force, without secrets, and end.
    #[arg(long)]
    print_config: bool,
    /// Show the OpenAPI document and end.
    #[arg(long)]
    print_openapi: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ran = amrutam_telemetry::runtime().map_err(Into::into).and_then(|runtime| runtime.block_on(run(arguments)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let causes = std::iter::successors(error.source(), |cause| cause.source());
            let chain = causes.fold(error.to_string(), |chain, cause| format!("{chain}: {cause}"));
            eprintln!("{chain}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    amrutam_crypto::forbid_core_dumps()?;
    if arguments.print_openapi {
        print!("{}", openapi_json());
        return Ok(());
    }
    // Two providers in one binary leave rustls without a default; whoever comes first decides.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return Err("another TLS provider was installed first".into());
    }
    let settings: Settings = amrutam_settings::load(arguments.config.as_deref())?;
    if arguments.print_config {
        println!("{}", amrutam_settings::printable(&settings));
        return Ok(());
    }
    if settings.environment != Environment::Development {
        amrutam_crypto::hide_memory()?;
    }
    let stop = amrutam_telemetry::stop_signal()?;
    let telemetry = amrutam_telemetry::init("amrutam-api", &settings.telemetry)?;
    let result = serve(settings, stop).await;
    telemetry.shutdown().await;
    result
}

async fn serve(settings: Settings, stop: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
    let application = Application::build(settings).await?;
    Ok(application.run(stop).await?)
}
