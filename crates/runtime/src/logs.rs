//! Log lines as JSON, one object per line, one schema for all services.
//!
//! First `ts level service message`, then what the spans around the event know (`request.id`,
//! `trace.id`, `user.id`, `http.route` …), then the event's own fields. An inner name wins over an
//! outer one.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use kernel::Clock;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Longest text of one field; longer ones are cut, so that a log line stays bounded.
const LONGEST: usize = 8 * 1024;

/// Writes events as JSON lines to `W`.
pub(crate) struct JsonLines<W> {
    service: String,
    clock: Arc<dyn Clock>,
    writer: W,
}

struct Fields(Map<String, Value>);

impl<W> JsonLines<W> {
    pub(crate) fn new(service: &str, clock: Arc<dyn Clock>, writer: W) -> Self {
        Self {
            service: service.to_owned(),
            clock,
            writer,
        }
    }
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields(Map::new());
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields(Map::new());
        event.record(&mut own);
        let message = own.0.remove("message").unwrap_or(Value::Null);
        let mut line = Map::new();
        line.insert("ts".to_owned(), format!("{:.3}", self.clock.now()).into());
        line.insert("level".to_owned(), level(*event.metadata().level()).into());
        line.insert("service".to_owned(), self.service.as_str().into());
        line.insert("message".to_owned(), message);
        line.insert("target".to_owned(), event.metadata().target().into());
        let spans = context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root());
        for span in spans {
            if let Some(fields) = span.extensions().get::<Fields>() {
                merge(&mut line, &fields.0);
            }
        }
        merge(&mut line, &own.0);
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // A full disk or closed pipe must not take the process with it.
        let _lost = self.writer.make_writer().write_all(text.as_bytes());
    }
}

/// Adds fields, except under the four names that every line has.
fn merge(line: &mut Map<String, Value>, fields: &Map<String, Value>) {
    for (name, value) in fields {
        if !matches!(name.as_str(), "ts" | "level" | "service" | "message") {
            line.insert(name.clone(), value.clone());
        }
    }
}

fn level(level: tracing::Level) -> &'static str {
    match level {
        tracing::Level::ERROR => "error",
        tracing::Level::WARN => "warn",
        tracing::Level::INFO => "info",
        tracing::Level::DEBUG => "debug",
        tracing::Level::TRACE => "trace",
    }
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, cut(value).into());
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        // The whole chain: messages do not repeat their causes.
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.put(field, cut(&text).into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, cut(&format!("{value:?}")).into());
    }
}

fn cut(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let (kept, _) = text.split_at(text.floor_char_boundary(LONGEST));
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_fields_are_cut_at_a_character() {
        let long = "ş".repeat(LONGEST);
        let kept = cut(&long);
        assert_eq!(kept.chars().filter(|c| *c == 'ş').count(), LONGEST / 2);
        assert!(kept.ends_with('…'));
        assert_eq!(cut("short"), "short");
    }
}
