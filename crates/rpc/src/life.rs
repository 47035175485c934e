//! How long the stream of a caller may go on.

use std::sync::Arc;
use std::time::Duration;

use contracts::Credentials;
use jiff::Timestamp;
use kernel::failure::{UNAUTHENTICATED, UNAVAILABLE};
use kernel::{DeviceId, Failure, SharedClock};
use web_kit::TokenVerifier;

/// Pause between two looks at a device whose token has ended.
const AGAIN: Duration = Duration::from_secs(60);

/// A caller whose stream is open.
pub(crate) struct Life {
    pub(crate) verifier: Arc<TokenVerifier>,
    pub(crate) credentials: Arc<dyn Credentials>,
    pub(crate) clock: SharedClock,
    pub(crate) device: DeviceId,
    /// When the token ends.
    pub(crate) expires_at: Option<Timestamp>,
}

impl Life {
    /// Ends when the caller may no longer be served, and says why. A stream lives as long as its
    /// device, not as its token: revocation ends it at once.
    pub(crate) async fn end(self) -> Failure {
        tokio::select! {
            () = self.verifier.revoked(self.device) => UNAUTHENTICATED.fail(),
            failure = self.while_live() => failure,
        }
    }

    /// Looks at the device when the token ends, and from then on.
    async fn while_live(&self) -> Failure {
        let mut pause = match self.expires_at {
            Some(end) => Duration::try_from(end.duration_since(self.clock.now())),
            None => Ok(AGAIN),
        }
        // The token's end is behind us, within the leeway.
        .unwrap_or_default();
        loop {
            tokio::time::sleep(pause).await;
            match self.credentials.device_is_live(self.device).await {
                Ok(true) => pause = AGAIN,
                Ok(false) => return UNAUTHENTICATED.fail(),
                Err(error) => return UNAVAILABLE.fail().because(error),
            }
        }
    }
}
