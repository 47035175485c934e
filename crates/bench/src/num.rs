//! Conversions for ratios and prints, where the last bits do not matter.

/// A count as a float; exact up to 2^53.
#[expect(
    clippy::as_conversions,
    reason = "there is no lossless way, and figures are rounded anyway"
)]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}

/// A length as a count.
pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// `part / whole`, none for a whole of nothing.
pub(crate) fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// Rounded to three digits after the point, so that lines stay readable.
pub(crate) fn round3(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
