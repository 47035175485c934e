//! Logs to standard error, metrics in Prometheus' text, and the service manager.

use std::io::IsTerminal as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kernel::{Clock, SystemClock};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

use crate::lifecycle::Lifecycle;
use crate::logs::JsonLines;
use crate::metrics::{METRICS, Metric, MetricKind};

/// Bounds of every `…_seconds` histogram, from half a millisecond to ten seconds.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// How logs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For eyes.
    Pretty,
    /// One JSON object per line, for machines.
    Json,
}

impl Format {
    /// Picks pretty on a terminal and JSON everywhere else.
    pub fn detect() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Pretty
        } else {
            Self::Json
        }
    }
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is no filter expression.
    #[error("reading the log level {level:?}")]
    Level {
        /// What was given.
        level: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Somebody installed another subscriber before.
    #[error("installing the log subscriber")]
    Installed(#[source] tracing::subscriber::SetGlobalDefaultError),
}

/// Begins logging to standard error and makes panics log lines.
///
/// `level` is a level or a filter such as `info,messaging=debug`.
///
/// # Errors
///
/// When the level cannot be read, or logging began before.
pub fn init(format: Format, level: &str) -> Result<(), TelemetryError> {
    init_as("meydan", format, level)
}

/// Like [`init`], under the name of one service of a cluster.
///
/// # Errors
///
/// As for [`init`].
pub fn init_as(service: &str, format: Format, level: &str) -> Result<(), TelemetryError> {
    let filter = filter(level)?;
    let installed = match format {
        Format::Pretty => {
            let eyes = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
            let layers = tracing_subscriber::registry().with(filter).with(eyes);
            tracing::subscriber::set_global_default(layers)
        }
        Format::Json => {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let layers = json(service, filter, clock, std::io::stderr);
            tracing::subscriber::set_global_default(layers)
        }
    };
    installed.map_err(TelemetryError::Installed)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Builds the JSON subscriber over any writer, for tests and for other destinations.
///
/// # Errors
///
/// When the level cannot be read.
pub fn json_subscriber<W>(
    service: &str,
    level: &str,
    clock: Arc<dyn Clock>,
    writer: W,
) -> Result<impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    Ok(json(service, filter(level)?, clock, writer))
}

fn json<W>(
    service: &str,
    filter: EnvFilter,
    clock: Arc<dyn Clock>,
    writer: W,
) -> impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = JsonLines::new(service, clock, writer);
    tracing_subscriber::registry().with(filter).with(lines)
}

fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(level).map_err(|source| TelemetryError::Level {
        level: level.to_owned(),
        source,
    })
}

/// Logs a panic once, where it happens; whoever catches it only counts.
///
/// The text of a panic is written by us and holds no input; it is the first line that is kept.
fn log_panic(info: &std::panic::PanicHookInfo<'_>) {
    let text = info
        .payload_as_str()
        .and_then(|text| text.lines().next())
        .unwrap_or("no text");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(
        task.name = crate::supervisor::current_name().unwrap_or_default(),
        thread.name = thread.name().unwrap_or_default(),
        panic.location = place,
        "panicked: {text}"
    );
}

/// Returns the process's metrics, installing the recorder at the first call.
pub fn metrics() -> Arc<PrometheusHandle> {
    static HANDLE: OnceLock<Arc<PrometheusHandle>> = OnceLock::new();
    Arc::clone(HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let recorder = match builder.set_buckets(SECONDS) {
            Ok(builder) => builder.build_recorder(),
            // Only an empty list is refused.
            Err(_empty) => PrometheusBuilder::new().build_recorder(),
        };
        let handle = Arc::new(recorder.handle());
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed; /metrics stays empty");
        }
        describe(METRICS);
        handle
    }))
}

/// Gives metrics their help texts, and counters without labels their zero; each crate's `METRICS`
/// once, after [`metrics()`].
pub fn describe(table: &[Metric]) {
    for metric in table {
        match metric.kind {
            MetricKind::Counter => {
                metrics::describe_counter!(metric.name, metric.help);
                // Growth is seen from the second value on: without a zero the first event is not.
                if metric.labels.is_empty() {
                    metrics::counter!(metric.name).increment(0);
                }
            }
            MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            MetricKind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}

/// Keeps the memory of histograms bounded between scrapes; run one per process.
pub async fn upkeep(lifecycle: Lifecycle) {
    let handle = metrics();
    let mut every = tokio::time::interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            () = lifecycle.soft().cancelled() => return,
            _ = every.tick() => handle.run_upkeep(),
        }
    }
}

/// Tells the service manager, if there is one, that the process serves.
pub fn notify_ready() {
    notify(&[sd_notify::NotifyState::Ready]);
}

/// Tells the service manager, if there is one, that the process is ending.
pub fn notify_stopping() {
    notify(&[sd_notify::NotifyState::Stopping]);
}

fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(
            error = %error,
            "service manager not told"
        );
    }
}
