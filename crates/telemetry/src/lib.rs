//! JSON logs, traces and metrics of the processes.
//!
//! - Logs: one JSON object per line on stdout. `timestamp`, `level`, `target`, `message`, `trace_id` and `span_id` inside of a
//!   trace, then the fields of all spans around and of the event itself, side by side; the innermost wins.
//! - Traces: W3C `traceparent` in and out, always; exported by OTLP when an endpoint is set.
//! - Metrics: the `metrics` macros anywhere, [`Telemetry::render`] for the scrape. Names in seconds end in `_seconds`.
//!
//! ```no_run
//! # async fn run() -> Result<(), amrutam_telemetry::TelemetryError> {
//! let telemetry = amrutam_telemetry::init("api", &amrutam_telemetry::TelemetrySettings::default())?;
//! tracing::info!(port = 8080, "listening");
//! let scrape = telemetry.render();
//! telemetry.shutdown().await;
//! # Ok(()) }
//! ```
#![deny(missing_docs)]

mod json;
mod metrics;
mod process;
mod runtime;
mod settings;
mod stop;
mod trace;

pub use runtime::runtime;
pub use settings::TelemetrySettings;
pub use stop::stop_signal;
pub use trace::{current_trace_parent, set_parent};

use ::metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
use std::{sync::Arc, time::Duration};
use tokio::{runtime::Handle, task::AbortHandle};
use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, LevelFilter, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Logs, traces and metrics of a running process. Clones share them; the last one to go ends the upkeep.
#[derive(Clone)]
pub struct Telemetry {
    shared: Arc<Shared>,
}

struct Shared {
    prometheus: PrometheusHandle,
    tracer: Option<SdkTracerProvider>,
    upkeep: AbortHandle,
}

/// Telemetry can't begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Not called inside of a tokio runtime.
    #[error("telemetry needs a tokio runtime")]
    NoRuntime,
    /// The log filter has no sense.
    #[error("the log filter can't be read")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Logs, or metrics by other means, were begun before.
    #[error("telemetry has begun already")]
    Twice,
    /// The exporter of traces can't be made.
    #[error("traces can't be exported")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Begins logs, traces and metrics for the whole process. Once per process, inside of a tokio runtime.
///
/// # Errors
/// See [`TelemetryError`].
pub fn init(service: &str, settings: &TelemetrySettings) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::builder().parse(&settings.log)?;
    let tracer = trace::provider(service, settings)?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let telemetry = Telemetry::begin(Some(tracer.clone()))?;
    tracing_subscriber::registry()
        // Spans pass at any level of logs: a warning is worth little without its correlation id.
        .with(
            json::JsonLayer::new(std::io::stdout)
                .with_filter(filter.or(filter_fn(|of| of.is_span() && *of.level() <= Level::INFO))),
        )
        .with(trace::layer(tracer.tracer("amrutam")).with_filter(LevelFilter::INFO))
        .try_init()
        .map_err(|_| TelemetryError::Twice)?;
    // Else a panic is several lines of plain text in another stream.
    std::panic::set_hook(Box::new(|panic| tracing::error!(target: "panic", "{panic}")));
    Ok(telemetry)
}

impl Telemetry {
    /// Metrics alone, for tests that start a process's parts in their own process. Can be called again and again.
    ///
    /// # Errors
    /// Outside of a tokio runtime, or with another recorder installed.
    pub fn metrics_only() -> Result<Self, TelemetryError> {
        Self::begin(None)
    }

    fn begin(tracer: Option<SdkTracerProvider>) -> Result<Self, TelemetryError> {
        let runtime = Handle::try_current().map_err(|_| TelemetryError::NoRuntime)?;
        let prometheus = metrics::recorder()?;
        gauge!("amrutam_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        let handle = prometheus.clone();
        // Without it the samples of histograms pile up between scrapes.
        let upkeep = runtime.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(5)).await;
                handle.run_upkeep();
            }
        });
        Ok(Self { shared: Arc::new(Shared { prometheus, tracer, upkeep: upkeep.abort_handle() }) })
    }

    /// The metrics in Prometheus' text format, those of the process included.
    pub fn render(&self) -> String {
        let mut text = self.shared.prometheus.render();
        process::render(&mut text);
        text
    }

    /// Sends the traces that wait, for at most 5 s.
    pub async fn shutdown(self) {
        if let Some(tracer) = self.shared.tracer.clone() {
            // It waits for the exporter's thread.
            let _ = tokio::task::spawn_blocking(move || tracer.shutdown_with_timeout(Duration::from_secs(5))).await;
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}
