//! What is there before anything happened.

use runtime::{Metric, MetricKind};

#[test]
fn counters_without_labels_begin_at_zero() {
    let metrics = runtime::telemetry::metrics();
    let metric = |name, labels| Metric {
        name,
        kind: MetricKind::Counter,
        labels,
        help: "A test's.",
    };
    let plain = metric("meydan_test_plain_total", &[]);
    let labelled = metric("meydan_test_labelled_total", &["kind"]);
    runtime::telemetry::describe(&[plain, labelled]);
    let text = metrics.render();
    assert!(text.contains("\nmeydan_test_plain_total 0\n"), "{text}");
    // With a label nobody knows which series there will be.
    assert!(!text.contains("\nmeydan_test_labelled_total"), "{text}");
}
