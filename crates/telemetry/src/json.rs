//! Log lines: one JSON object each, whatever the values hold.

use opentelemetry::trace::{SpanContext, TraceContextExt};
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};
use std::{fmt, fmt::Write as _, io::Write, sync::OnceLock};
use tracing::{
    Dispatch, Event, Subscriber,
    dispatcher::WeakDispatch,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Layer,
    fmt::{
        MakeWriter,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::Context,
    registry::{LookupSpan, Scope},
};

pub(crate) struct JsonLayer<W> {
    writer: W,
    /// The subscriber this is a layer of; it alone knows the spans' traces.
    dispatch: OnceLock<WeakDispatch>,
}

impl<W> JsonLayer<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self { writer, dispatch: OnceLock::new() }
    }
}

impl<S, W> Layer<S> for JsonLayer<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        let _ = self.dispatch.set(subscriber.downgrade());
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let mut fields = Map::new();
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.extend(outer.0.clone());
            }
        }
        let message = own.0.remove("message").unwrap_or_default();
        // A record of the `log` crate names its origin in fields.
        let target = own.0.remove("log.target");
        own.0.retain(|name, _| !name.starts_with("log."));
        fields.extend(own.0);
        let trace = self
            .dispatch
            .get()
            .and_then(WeakDispatch::upgrade)
            .and_then(|dispatch| context.event_scope(event)?.find_map(|span| trace_of(&span.id(), &dispatch)));
        let line = Line {
            level: event.metadata().level().as_str(),
            target: target.as_ref().and_then(Value::as_str).unwrap_or_else(|| event.metadata().target()),
            message: &message,
            trace,
            fields: &fields,
        };
        if let Some(line) = line.render() {
            // Nobody is left to tell when stdout is gone.
            let _ = self.writer.make_writer_for(event.metadata()).write_all(line.as_bytes());
        }
    }
}

fn trace_of(span: &span::Id, dispatch: &Dispatch) -> Option<SpanContext> {
    let context = tracing_opentelemetry::get_otel_context(span, dispatch)?;
    Some(context.span().span_context().clone()).filter(SpanContext::is_valid)
}

struct Line<'a> {
    level: &'a str,
    target: &'a str,
    message: &'a Value,
    trace: Option<SpanContext>,
    fields: &'a Map<String, Value>,
}

impl Line<'_> {
    const OURS: [&'static str; 6] = ["timestamp", "level", "target", "message", "trace_id", "span_id"];

    fn render(&self) -> Option<String> {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp)).ok()?;
        let mut bytes = Vec::with_capacity(256);
        self.write(&timestamp, &mut bytes).ok()?;
        let mut line = String::with_capacity(bytes.len() + 1);
        // JSON leaves DEL, C1 and the Unicode line separators as they are; terminals and log shippers do not. Outside of
        // texts there are none.
        for c in String::from_utf8(bytes).ok()?.chars() {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
                write!(line, "\\u{:04x}", u32::from(c)).ok()?;
            } else {
                line.push(c);
            }
        }
        line.push('\n');
        Some(line)
    }

    fn write(&self, timestamp: &str, bytes: &mut Vec<u8>) -> serde_json::Result<()> {
        let mut serializer = serde_json::Serializer::new(bytes);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", timestamp)?;
        map.serialize_entry("level", self.level)?;
        map.serialize_entry("target", self.target)?;
        map.serialize_entry("message", self.message)?;
        if let Some(trace) = &self.trace {
            map.serialize_entry("trace_id", &trace.trace_id().to_string())?;
            map.serialize_entry("span_id", &trace.span_id().to_string())?;
        }
        for (name, value) in self.fields {
            if Self::OURS.contains(&name.as_str()) {
                map.serialize_entry(&format!("{name}_"), value)?;
            } else {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TelemetrySettings, current_trace_parent, set_parent, trace};
    use amrutam_kernel::TraceParent;
    use opentelemetry::trace::TracerProvider;
    use std::{
        io,
        sync::{Arc, Mutex},
    };
    use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(test: impl FnOnce()) -> Vec<String> {
        let memory = Memory::default();
        let writer = memory.clone();
        let provider = trace::provider("test", &TelemetrySettings::default()).unwrap();
        let subscriber = tracing_subscriber::registry()
            .with(JsonLayer::new(move || writer.clone()).with_filter(LevelFilter::INFO))
            .with(trace::layer(provider.tracer("test")).with_filter(LevelFilter::INFO));
        tracing::subscriber::with_default(subscriber, test);
        let bytes = memory.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.ends_with('\n'));
        text.split_terminator('\n').map(str::to_owned).collect()
    }

    fn parse(line: &str) -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    #[test]
    fn a_hostile_text_stays_in_its_line_and_field() {
        let hostile = "a\n{\"level\":\"FORGED\"}\r\u{1b}[31m\u{7f}\u{85}\u{2028}\u{9b}31m\"\\";
        let lines = lines(|| {
            let _span = tracing::info_span!("s", correlation_id = hostile).entered();
            tracing::info!(user = hostile, shown = %hostile, level = hostile, trace_id = hostile, "{hostile}");
        });
        assert_eq!(lines.len(), 1);
        let line = &lines[0];
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{2028}'), "{line:?}");
        let value = parse(line);
        for field in ["message", "user", "shown", "correlation_id", "level_", "trace_id_"] {
            assert_eq!(value[field], hostile, "{field}");
        }
        assert_eq!(value["level"], "INFO");
        assert_ne!(value["trace_id"], hostile);
    }

    #[test]
    fn a_line_has_the_fields_of_its_spans_the_innermost_first() {
        let lines = lines(|| {
            let outer = tracing::info_span!("outer", correlation_id = "flow-1", n = 1, late = tracing::field::Empty);
            let _outer = outer.enter();
            let _inner = tracing::info_span!("inner", n = 2).entered();
            outer.record("late", true);
            tracing::warn!(ratio = 0.5, "x");
            tracing::debug!("below the level");
        });
        assert_eq!(lines.len(), 1);
        let value = parse(&lines[0]);
        assert_eq!(
            (&value["correlation_id"], &value["n"], &value["late"], &value["ratio"], &value["level"]),
            (&"flow-1".into(), &2.into(), &true.into(), &0.5.into(), &"WARN".into())
        );
        assert_eq!(value["target"], "amrutam_telemetry::json::tests");
        let timestamp = value["timestamp"].as_str().unwrap();
        assert!(timestamp.len() == 27 && timestamp.ends_with('Z') && timestamp.contains('T'), "{timestamp}");
    }

    #[test]
    fn a_trace_goes_on_also_when_it_is_not_recorded() {
        for flags in ["00", "01"] {
            let parent = TraceParent(format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}"));
            let lines = lines(|| {
                assert_eq!(current_trace_parent(), None);
                let span = tracing::info_span!("request");
                set_parent(&span, &parent);
                let _span = span.enter();
                let _inner = tracing::debug_span!("not traced").entered();
                tracing::info!(handed_on = current_trace_parent().map(|parent| parent.0), "x");
            });
            let value = parse(&lines[0]);
            assert_eq!(value["trace_id"], "0af7651916cd43dd8448eb211c80319c");
            let span_id = value["span_id"].as_str().unwrap();
            assert_ne!(span_id, "b7ad6b7169203331");
            assert_eq!(value["handed_on"], format!("00-0af7651916cd43dd8448eb211c80319c-{span_id}-{flags}"));
        }
    }

    #[test]
    fn a_trace_begins_where_none_came_in_or_a_senseless_one() {
        for parent in [None, Some("00-0-0-0"), Some("00-00000000000000000000000000000000-b7ad6b7169203331-01\r\nx: y")]
        {
            let lines = lines(|| {
                let span = tracing::info_span!("request");
                if let Some(parent) = parent {
                    set_parent(&span, &TraceParent(parent.into()));
                }
                span.in_scope(|| tracing::info!("x"));
                tracing::info!("outside");
            });
            let inside = parse(&lines[0]);
            assert_eq!(inside["trace_id"].as_str().unwrap().len(), 32);
            assert_eq!(parse(&lines[1]).get("trace_id"), None);
        }
    }
}
