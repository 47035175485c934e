//! `meydan metrics`.

use clap::Args;
use runtime::MetricKind;

use super::Context;
use super::exit::{Exit, Fail};

const INTRO: &str = "# Metrics\n\n<!-- Made by `meydan metrics`. -->\n\nLabels are bounded sets, \
    never ids.";

/// Every metric with its labels and meaning.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meydan metrics -o json")]
pub(crate) struct Metrics {}

impl Metrics {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let mut rows: Vec<Vec<String>> = crate::compose::metrics()
            .iter()
            .map(|metric| {
                let kind = match metric.kind {
                    MetricKind::Counter => "counter",
                    MetricKind::Gauge => "gauge",
                    MetricKind::Histogram => "histogram",
                };
                vec![
                    metric.name.to_owned(),
                    kind.to_owned(),
                    metric.labels.join(","),
                    metric.help.to_owned(),
                ]
            })
            .collect();
        rows.sort();
        context
            .out
            .page(INTRO, &["name", "kind", "labels", "help"], &rows)?;
        Ok(Exit::Done)
    }
}
