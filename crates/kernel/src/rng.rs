//! Randomness as a value that is passed in.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::SeedableRng;

/// Gives random bytes.
pub trait Rng: Send + Sync + 'static {
    /// Fills `out`.
    fn fill(&self, out: &mut [u8]);
}

/// A random source that many parts hold.
pub type SharedRng = Arc<dyn Rng>;

/// The operating system's generator, through aws-lc.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&self, out: &mut [u8]) {
        // aws-lc aborts rather than return weak bytes; an error here means the platform has no
        // random source at all, and going on would make guessable secrets.
        #[expect(
            clippy::expect_used,
            reason = "without randomness no secret may be made"
        )]
        aws_lc_rs::rand::fill(out).expect("the system's random source works");
    }
}

/// A repeatable source for tests.
pub struct SeededRng(Mutex<rand::rngs::StdRng>);

impl SeededRng {
    /// The same seed gives the same bytes.
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(SeededRng(Mutex::new(rand::rngs::StdRng::seed_from_u64(
            seed,
        ))))
    }
}

impl Rng for SeededRng {
    fn fill(&self, out: &mut [u8]) {
        use rand::Rng as _;
        let mut inner = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        inner.fill_bytes(out);
    }
}

/// `N` random bytes.
pub fn bytes<const N: usize>(rng: &dyn Rng) -> [u8; N] {
    let mut out = [0; N];
    rng.fill(&mut out);
    out
}

/// A secret of `N` random bytes as unpadded base64url.
pub fn token<const N: usize>(rng: &dyn Rng) -> String {
    URL_SAFE_NO_PAD.encode(bytes::<N>(rng))
}

/// A number in `0..below`, for jitter and sampling; the bias of the remainder does not matter there.
pub fn below(rng: &dyn Rng, below: u64) -> u64 {
    u64::from_le_bytes(bytes::<8>(rng))
        .checked_rem(below)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_is_repeatable_and_system_is_not() {
        assert_eq!(
            token::<16>(&*SeededRng::new(7)),
            token::<16>(&*SeededRng::new(7))
        );
        assert_ne!(
            token::<16>(&*SeededRng::new(7)),
            token::<16>(&*SeededRng::new(8))
        );
        assert_ne!(token::<16>(&SystemRng), token::<16>(&SystemRng));
        assert_eq!(token::<32>(&SystemRng).len(), 43);
    }

    #[test]
    fn below_stays_below() {
        assert!((0..100).all(|_| below(&SystemRng, 3) < 3));
        assert_eq!(below(&SystemRng, 0), 0);
    }
}
