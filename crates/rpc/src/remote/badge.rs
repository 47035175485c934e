//! The service token of this process, renewed before it ends.

use std::time::Duration;

use jiff::Timestamp;
use kernel::SharedClock;
use tokio::sync::Mutex;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::Prove;
use crate::generated::credentials_client::CredentialsClient;
use crate::generated::internal_messages::ServiceTokenRequest;

/// How long before its end a token is renewed; also how long identity may be away unnoticed.
const AHEAD: Duration = Duration::from_secs(60);
/// How long identity may take to give one.
const WITHIN: Duration = Duration::from_secs(1);

/// See the module's text.
pub(super) struct Badge {
    prove: Prove,
    clock: SharedClock,
    /// Locked while one is asked for, so that many callers ask once; each waits within its deadline.
    held: Mutex<Option<Held>>,
}

struct Held {
    token: AsciiMetadataValue,
    ends_at: Timestamp,
}

impl Badge {
    pub(super) fn new(prove: Prove, clock: SharedClock) -> Self {
        Badge {
            prove,
            clock,
            held: Mutex::new(None),
        }
    }

    /// A token that is good now.
    pub(super) async fn token(
        &self,
        client: &CredentialsClient<Channel>,
    ) -> Result<AsciiMetadataValue, Status> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        let present = held.as_ref().filter(|held| now < held.ends_at);
        if let Some(present) = present
            && now < present.ends_at - AHEAD
        {
            return Ok(present.token.clone());
        }
        let asked = tokio::time::timeout(WITHIN, self.ask(client.clone(), now)).await;
        let late = |_elapsed| Err(Status::deadline_exceeded("no service token in time"));
        match (asked.unwrap_or_else(late), present) {
            (Ok(fresh), _) => Ok(held.insert(fresh).token.clone()),
            // The old one is good for another while.
            (Err(_), Some(present)) => Ok(present.token.clone()),
            // Also when our proof is refused: that says nothing of whoever is asked about.
            (Err(status), None) => Err(Status::unavailable(format!(
                "no service token: {}",
                status.message()
            ))),
        }
    }

    /// Gives up a token that was refused, unless it was replaced meanwhile.
    pub(super) async fn forget(&self, token: &AsciiMetadataValue) {
        let mut held = self.held.lock().await;
        held.take_if(|held| held.token == *token);
    }

    async fn ask(
        &self,
        mut client: CredentialsClient<Channel>,
        now: Timestamp,
    ) -> Result<Held, Status> {
        let proof = (self.prove)();
        let mut request = Request::new(ServiceTokenRequest {
            service: proof.service,
            at: proof.at,
            nonce: proof.nonce.to_vec(),
            mac: proof.mac.to_vec(),
        });
        request.set_timeout(WITHIN);
        let answer = client.service_token(request).await?.into_inner();
        let mut token: AsciiMetadataValue = answer.token.parse().or(Err(Status::unknown(
            "a service token that no header can hold",
        )))?;
        token.set_sensitive(true);
        // Counted from before the question, by our own clock: never later than its true end.
        let life = Duration::from_secs(answer.expires_in_seconds.into());
        Ok(Held {
            token,
            ends_at: now + life,
        })
    }
}
