//! Traces: continued from what came in, handed on to what goes out.

use crate::{TelemetryError, TelemetrySettings};
use amrutam_kernel::TraceParent;
use opentelemetry::{propagation::TextMapPropagator, trace::TraceContextExt};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};
use std::{collections::HashMap, time::Duration};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::registry::LookupSpan;

const HEADER: &str = "traceparent";

/// The current span's place in its trace, or nothing outside of a trace.
pub fn current_trace_parent() -> Option<TraceParent> {
    let context = Span::current().context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove(HEADER).map(TraceParent)
}

/// Makes `span` a child of `parent`. Call it right after the span is made: once something was logged in the span, its
/// place is fixed. A text that is no `traceparent` changes nothing.
pub fn set_parent(span: &Span, parent: &TraceParent) {
    let carrier = HashMap::from([(HEADER.to_owned(), parent.0.clone())]);
    let context = TraceContextPropagator::new().extract(&carrier);
    if context.span().span_context().is_valid() {
        // It fails only without a tracer or on a span that has begun; the trace then starts here.
        let _ = span.set_parent(context);
    }
}

/// Without an endpoint there are trace ids all the same, to be logged and handed on.
pub(crate) fn provider(service: &str, settings: &TelemetrySettings) -> Result<SdkTracerProvider, TelemetryError> {
    let mut provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample_ratio))))
        .with_resource(Resource::builder().with_service_name(service.to_owned()).build());
    if let Some(url) = settings.traces_url() {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url.as_str())
            .with_timeout(Duration::from_secs(5))
            .build()?;
        provider = provider.with_batch_exporter(exporter);
    }
    Ok(provider.build())
}

pub(crate) fn layer<S>(tracer: SdkTracer) -> OpenTelemetryLayer<S, SdkTracer>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
}
