//! How long the stream of a caller may go on.

use std::sync::Arc;
use std::time::Duration;

use contracts::Credentials;
use kernel::failure::{UNAUTHENTICATED, UNAVAILABLE};
use kernel::{DeviceId, Failure, SharedClock};
use web_kit::{TokenVerifier, Verified, VerifyError};

/// Pause between two looks at a device whose token has ended.
const AGAIN: Duration = Duration::from_secs(60);

/// A caller whose stream is open.
pub(crate) struct Life {
    pub(crate) verifier: Arc<TokenVerifier>,
    pub(crate) credentials: Arc<dyn Credentials>,
    pub(crate) clock: SharedClock,
    pub(crate) verified: Verified,
    /// What was shown. A credential without a device is judged by it again.
    pub(crate) credential: String,
}

impl Life {
    /// Ends when the caller may no longer be served, and says why. A stream lives as long as its
    /// device, not as its token: revocation ends it at once.
    pub(crate) async fn end(self) -> Failure {
        let Some(device) = self.verified.caller.device else {
            return self.while_accepted().await;
        };
        tokio::select! {
            () = self.verifier.revoked(device) => UNAUTHENTICATED.fail(),
            failure = self.while_live(device) => failure,
        }
    }

    /// Looks at the device when the token ends, and from then on.
    async fn while_live(&self, device: DeviceId) -> Failure {
        let mut pause = match self.verified.expires_at {
            Some(end) => Duration::try_from(end.duration_since(self.clock.now())),
            None => Ok(AGAIN),
        }
        // The token's end is behind us, within the leeway.
        .unwrap_or_default();
        loop {
            tokio::time::sleep(pause).await;
            match self.credentials.device_is_live(device).await {
                Ok(true) => pause = AGAIN,
                Ok(false) => return UNAUTHENTICATED.fail(),
                Err(error) => return UNAVAILABLE.fail().because(error),
            }
        }
    }

    async fn while_accepted(&self) -> Failure {
        loop {
            tokio::time::sleep(AGAIN).await;
            match self.verifier.verified(&self.credential).await {
                Ok(_) => {}
                Err(VerifyError::Invalid) => return UNAUTHENTICATED.fail(),
                Err(VerifyError::Unavailable(cause)) => return UNAVAILABLE.fail().because(cause),
            }
        }
    }
}
