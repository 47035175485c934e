//! Latencies in buckets: 32 per power of two, so a figure is at most 3.2 % too high, in 15 KiB
//! however many values come.

/// Values below this have a bucket of their own.
const EXACT: u64 = 64;
const PER_OCTAVE: usize = 32;
const BUCKETS: usize = 59 * PER_OCTAVE + PER_OCTAVE;

/// How often which value came.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            counts: vec![0; BUCKETS],
            total: 0,
            max: 0,
        }
    }
}

impl Histogram {
    /// Counts one value.
    pub(crate) fn add(&mut self, value: u64) {
        if let Some(count) = self.counts.get_mut(bucket(value)) {
            *count = count.saturating_add(1);
        }
        self.total = self.total.saturating_add(1);
        self.max = self.max.max(value);
    }

    /// The largest of them.
    pub(crate) fn max(&self) -> Option<u64> {
        (self.total > 0).then_some(self.max)
    }

    /// The value that `per_mille` of 1,000 values do not exceed.
    pub(crate) fn quantile(&self, per_mille: u64) -> Option<u64> {
        if self.total == 0 {
            return None;
        }
        let rank = self
            .total
            .saturating_mul(per_mille.min(1_000))
            .div_ceil(1_000)
            .max(1);
        let mut seen = 0_u64;
        for (index, count) in self.counts.iter().enumerate() {
            seen = seen.saturating_add(*count);
            if seen >= rank {
                return Some(upper(index).min(self.max));
            }
        }
        Some(self.max)
    }
}

fn bucket(value: u64) -> usize {
    if value < EXACT {
        return usize::try_from(value).unwrap_or(0);
    }
    // `value >> shift` lies in 32..64.
    let shift = value.ilog2().saturating_sub(5);
    let mantissa = usize::try_from(value >> shift).unwrap_or(0);
    usize::try_from(shift).unwrap_or(0) * PER_OCTAVE + mantissa
}

/// The largest value of a bucket.
fn upper(index: usize) -> u64 {
    let exact = usize::try_from(EXACT).unwrap_or(0);
    if index < exact {
        return u64::try_from(index).unwrap_or(0);
    }
    let shift = index / PER_OCTAVE - 1;
    let mantissa = u128::try_from(index - shift * PER_OCTAVE).unwrap_or(0);
    u64::try_from(((mantissa + 1) << shift) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn empty_says_nothing() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantile(500), None);
        assert_eq!(histogram.max(), None);
    }

    #[test]
    fn small_values_are_exact() {
        let mut histogram = Histogram::default();
        (1..=60).for_each(|value| histogram.add(value));
        assert_eq!(histogram.quantile(500), Some(30));
        assert_eq!(histogram.quantile(1_000), Some(60));
        assert_eq!(histogram.quantile(0), Some(1));
    }

    #[test]
    fn one_outlier_shows_in_the_tail_only() {
        let mut histogram = Histogram::default();
        (0..9_999).for_each(|_| histogram.add(1_000));
        histogram.add(5_000_000);
        assert!(histogram.quantile(999).unwrap() < 1_040);
        assert_eq!(histogram.quantile(1_000), Some(5_000_000));
        assert_eq!(histogram.max(), Some(5_000_000));
    }

    #[test]
    fn every_bucket_begins_after_the_one_before() {
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(upper(BUCKETS - 1), u64::MAX);
        for index in 1..BUCKETS {
            assert_eq!(bucket(upper(index - 1) + 1), index);
        }
    }

    proptest! {
        #[test]
        fn a_value_is_never_shown_too_low_nor_far_too_high(value in any::<u64>()) {
            let shown = upper(bucket(value));
            prop_assert!(shown >= value);
            prop_assert!(shown - value <= value / 32);
        }
    }
}
