//! The description of metrics, from which their documentation is made: one table per crate.

/// What a metric measures and how it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution in fixed buckets.
    Histogram,
}

/// One metric as documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The full name, with prefix `meydan_` and unit.
    pub name: &'static str,
    /// How it moves.
    pub kind: MetricKind,
    /// Its labels; each is a bounded set.
    pub labels: &'static [&'static str],
    /// One sentence for people.
    pub help: &'static str,
}
