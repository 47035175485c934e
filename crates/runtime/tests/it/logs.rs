//! The schema of log lines.

use std::io::Write;
use std::sync::{Arc, Mutex};

use kernel::ManualClock;
use runtime::telemetry::json_subscriber;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logged(level: &str, work: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    let writer = lines.clone();
    let clock = ManualClock::new("2026-11-20T07:00:00.125Z".parse().unwrap());
    let subscriber = json_subscriber("identity", level, clock, move || writer.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes)
        .unwrap()
        .lines()
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn line_has_the_schema_and_the_fields_of_its_spans() {
    let lines = logged("info", || {
        let user_id = tracing::field::Empty;
        let span = tracing::info_span!("request", request.id = "r-1", user.id = user_id, x = 1);
        let _in = span.enter();
        span.record("user.id", 42_i64);
        tracing::warn!(
            http.status = 503_u16,
            duration_ms = 12_u64,
            x = 2,
            "request not served"
        );
    });
    assert_eq!(lines.len(), 1);
    let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(
        line,
        serde_json::json!({
            "ts": "2026-11-20T07:00:00.125Z",
            "level": "warn",
            "service": "identity",
            "message": "request not served",
            "target": "it::logs",
            "request.id": "r-1",
            "user.id": 42,
            "http.status": 503,
            "duration_ms": 12,
            "x": 2,
        })
    );
}

#[test]
fn fields_cannot_forge_the_frame_or_a_second_line() {
    let lines = logged("info", || {
        tracing::info!(
            level = "error",
            service = "evil",
            text = "a\n{\"level\":\"error\"}",
            "real"
        );
    });
    assert_eq!(lines.len(), 1);
    let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(
        (line["level"].as_str(), line["service"].as_str()),
        (Some("info"), Some("identity"))
    );
    assert_eq!(line["text"], "a\n{\"level\":\"error\"}");
}

#[test]
fn level_filters_and_bad_level_is_told() {
    let lines = logged("warn,it=info", || {
        tracing::debug!("hidden");
        tracing::info!("shown");
        tracing::info!(target: "other", "hidden");
    });
    assert_eq!(lines.len(), 1);
    let clock = ManualClock::new("2026-11-20T07:00:00Z".parse().unwrap());
    let error = json_subscriber("x", "it=loud", clock, std::io::sink)
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "reading the log level \"it=loud\"");
}
