//! What the fuzz target and the replay of its corpus do with an input.

use jiff::Timestamp;
use kernel::ManualClock;
use web_kit::{PublicKey, TokenVerifier, VerifyError};

/// The public half of the key that signed the corpus: Ed25519 of 32 sevens.
const KEY: [u8; 32] = [
    234, 74, 108, 99, 226, 156, 82, 10, 190, 245, 80, 123, 19, 46, 197, 249, 149, 71, 118, 174,
    190, 190, 123, 146, 66, 30, 234, 105, 20, 70, 210, 44,
];
/// When the corpus is judged, in seconds since 1970.
const NOW: i64 = 1_800_000_000;

/// Judges an access token: `ok`, `invalid`, or `unavailable`, which no input may cause.
pub(crate) fn token(text: &str) -> &'static str {
    let now = Timestamp::from_second(NOW).unwrap_or_default();
    let clock = ManualClock::new(now);
    let verifier = TokenVerifier::new("my-auth-service", "my-app-client", clock);
    let keys = || {
        vec![PublicKey {
            kid: "test-key".to_owned(),
            ed25519: KEY,
        }]
    };
    verifier.set_keys(keys());
    verifier.set_revocations_fresh(now);
    let credential = format!("Bearer {text}");
    // Looks at the keys again when the token names an unknown one.
    let feed = async {
        loop {
            verifier.unknown_key().await;
            verifier.set_keys(keys());
        }
    };
    let judged = async {
        tokio::select! {
            verdict = verifier.verify(&credential) => Some(verdict),
            () = feed => None,
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    match runtime.ok().and_then(|runtime| runtime.block_on(judged)) {
        Some(Ok(_)) => "ok",
        Some(Err(VerifyError::Invalid)) => "invalid",
        Some(Err(VerifyError::Unavailable(_))) | None => "unavailable",
    }
}
