//! Tokens by which the processes of one installation know each other.
//!
//! A service token says which process calls and grants nothing of any user. The first one, like all
//! others, is given for a proof of knowing the root secret, which every process has anyway.

use std::time::Duration;

use bytes::Bytes;
use contracts::identity::{ServiceProof, ServiceToken};
use web_kit::jwt::{SERVICE_AUDIENCE, ServiceClaims, TokenType};

use crate::Identity;
use crate::error::{Error, Result};
use crate::keys::Signing;
use crate::secrets::hex;

/// How long a token is good.
const TTL: Duration = Duration::from_secs(5 * 60);
/// How far the time of a proof may be from ours, in seconds.
const WINDOW_S: u64 = 30;
/// How long a proof can be good, from the one edge of the window to the other.
const REMEMBERED: Duration = Duration::from_secs(61);

impl Identity {
    /// A token for the process that shows `proof`.
    pub(crate) async fn mint_service_token(&self, proof: &ServiceProof) -> Result<ServiceToken> {
        let judged = self.judge_service(proof).await;
        let result = match &judged {
            Ok(()) => "issued",
            Err(Error::ServiceProofInvalid(_)) => "refused",
            Err(_) => "failed",
        };
        metrics::counter!("meydan_auth_service_tokens_total", "result" => result).increment(1);
        judged?;
        let now = self.clock.now();
        let claims = ServiceClaims {
            kind: TokenType::Service,
            sub: proof.service.clone(),
            jti: self.ids.next()?,
            iat: now,
            exp: now + TTL,
            iss: self.tokens.issuer.clone(),
            aud: SERVICE_AUDIENCE.to_owned(),
        };
        let keys = self.keys.set().await?;
        let key = keys.signer(now)?;
        Ok(ServiceToken {
            token: self.tokens.sign(key, &claims)?,
            expires_in: TTL,
        })
    }

    async fn judge_service(&self, proof: &ServiceProof) -> Result<()> {
        let refused = |why| Err(Error::ServiceProofInvalid(why));
        // Under a shared secret whoever checks tokens could make these too.
        if !matches!(self.settings.signing, Signing::EdDsa) {
            return refused("tokens are signed with a shared secret");
        }
        if !self.settings.keys.is_service_proof(proof) {
            return refused("another root secret");
        }
        if self.clock.now().as_second().abs_diff(proof.at) > WINDOW_S {
            return refused("another time");
        }
        if !self.settings.services.contains(&proof.service.as_str()) {
            return refused("an unknown service");
        }
        // Last, so that nobody without the secret fills the cache.
        let key = format!("identity:service_proof:{}", hex(&proof.nonce));
        if !self.cache.put_new(&key, Bytes::new(), REMEMBERED).await? {
            return refused("a proof that was used");
        }
        Ok(())
    }
}
