//! Chance that can be repeated.

use std::ops::Range;
use std::sync::Arc;

use kernel::{SeededRng, rng};

/// Chance with a seed.
pub(crate) struct Dice(Arc<SeededRng>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(SeededRng::new(seed))
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        let below = u64::try_from(sides).unwrap();
        usize::try_from(rng::below(&*self.0, below)).unwrap()
    }

    /// One of a list, unless it is empty.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.roll(from.len().max(1))).copied()
    }
}

/// The first `usual` seeds, or those that `MEYDAN_TEST_SEEDS` names as `FROM..TO`.
pub(crate) fn seeds(usual: u64) -> Range<u64> {
    let Some(asked) = std::env::var_os("MEYDAN_TEST_SEEDS") else {
        return 0..usual;
    };
    let asked = asked.into_string().unwrap();
    let (from, to) = asked.split_once("..").expect("FROM..TO");
    from.parse().unwrap()..to.parse().unwrap()
}
