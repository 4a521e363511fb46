//! The one recorder of the process.

use crate::TelemetryError;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::{Mutex, PoisonError};

/// 1 ms to 10 s: from a cached read to a request's deadline. Without buckets histograms become summaries, which can't be
/// added up over instances.
const SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

pub(crate) fn builder() -> PrometheusBuilder {
    // It fails for an empty list only.
    PrometheusBuilder::new().set_buckets(&SECONDS).unwrap_or_default()
}

pub(crate) fn recorder() -> Result<PrometheusHandle, TelemetryError> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = installed.as_ref() {
        return Ok(handle.clone());
    }
    let handle = builder().install_recorder().map_err(|_| TelemetryError::Twice)?;
    *installed = Some(handle.clone());
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_has_buckets() {
        let recorder = builder().build_recorder();
        metrics::with_local_recorder(&recorder, || metrics::histogram!("amrutam_x_seconds").record(0.003));
        let text = recorder.handle().render();
        for line in [
            "amrutam_x_seconds_bucket{le=\"0.001\"} 0",
            "amrutam_x_seconds_bucket{le=\"0.005\"} 1",
            "amrutam_x_seconds_bucket{le=\"10\"} 1",
            "amrutam_x_seconds_bucket{le=\"+Inf\"} 1",
            "amrutam_x_seconds_count 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
