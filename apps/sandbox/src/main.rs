//! The sandbox as a process. It is a fake for development and tests; see the library's documentation.

use std::io;
use std::process::ExitCode;

use amrutam_sandbox::{Sandbox, Settings};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().json().flatten_event(true))
        .with(Targets::new().with_default(LevelFilter::WARN).with_target("amrutam_sandbox", LevelFilter::INFO))
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let causes = std::iter::successors(error.source(), |cause| cause.source());
            let error = causes.fold(error.to_string(), |chain, cause| format!("{chain}: {cause}"));
            tracing::error!(error, "the sandbox stops");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error + 'static>> {
    let settings = Settings::from_env()?;
    let stop = stop_signal()?;
    let sandbox = Sandbox::build(&settings).await?;
    tracing::info!(
        http_addr = %sandbox.http_addr(),
        smtp_addr = %sandbox.smtp_addr(),
        gateway_addr = sandbox.gateway_addr().map(tracing::field::display),
        "sandbox listening; it is a fake for development and tests"
    );
    sandbox.run_until(stop).await?;
    Ok(())
}

/// Registered before anything listens, so that an early SIGTERM is not lost.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
