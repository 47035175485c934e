//! Exchanging a refresh token: at most one successor, and a spent token never gets another.
//!
//! Two statements decide, each committing by itself. The first exchanges a live token. Only when
//! it gives no row, the second says what the token is: a retry of the very request that spent it
//! gets the same successor again, made anew from stored numbers; a second client that raced is
//! told so; everything older is theft, and the device dies even though the request fails.

use jiff::Timestamp;
use kernel::{EventId, FieldError};

use crate::Identity;
use crate::devices::{Account, Login, Tokens};
use crate::error::{Error, Result};
use crate::limits;
use crate::secrets::sha256;
use crate::sql;
use crate::sql::devices::LiveDevice;
use crate::tokens::{Expiry, RefreshClaims};

/// What a spent token turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spent {
    Unknown,
    Revoked,
    Reuse,
    Retry,
    Race,
}

impl Spent {
    fn parse(word: &str) -> Result<Self> {
        match word {
            "unknown" => Ok(Spent::Unknown),
            "revoked" => Ok(Spent::Revoked),
            "reuse" => Ok(Spent::Reuse),
            "retry" => Ok(Spent::Retry),
            "race" => Ok(Spent::Race),
            _ => Err(Error::Broken("a class of spent tokens that nobody knows")),
        }
    }
}

impl Identity {
    /// Exchanges a refresh token for the next pair.
    ///
    /// `attempt_id` is the client's name for this very exchange; repeating a lost request with
    /// the same one gives the same refresh token.
    pub async fn refresh(&self, token: &str, attempt_id: Option<&str>) -> Result<Tokens> {
        check_attempt(attempt_id)?;
        let now = self.clock.now();
        let claims: RefreshClaims = self
            .tokens
            .read(&self.keys, token, now, Expiry::Enforced)
            .await?
            .ok_or(Error::RefreshInvalid)?;
        limits::refresh_of(&*self.limiter, &self.settings.limits, claims.sid).await?;
        let old = sha256(token.as_bytes());
        match self.rotate(&claims, &old, attempt_id, now).await? {
            Some(successor) => {
                let device = sql::devices::find_live(&self.db, claims.sid)
                    .await?
                    .ok_or(Error::RefreshInvalid)?;
                self.answer(&claims, &device, successor).await
            }
            None => self.refuse_or_repeat(&claims, &old, attempt_id).await,
        }
    }

    /// Statement 1: the successor, if the token was live.
    async fn rotate(
        &self,
        claims: &RefreshClaims,
        old: &[u8],
        attempt_id: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<String>> {
        let keys = self.keys.set().await?;
        let key = keys.signer(now)?;
        let generation = claims.generation.saturating_add(1);
        let next = self.refresh_claims(claims.sub, claims.sid, generation, self.ids.next()?, now);
        let token = self.tokens.sign(key, &next)?;
        let successor = sql::devices::Successor {
            hash: sha256(token.as_bytes()),
            attempt_id,
            jti: next.jti,
            iat: next.iat,
            exp: next.exp,
            kid: &key.kid,
        };
        let Some(rotated) = sql::devices::rotate(&self.db, old, &successor).await? else {
            return Ok(None);
        };
        let fits = rotated.id == claims.sid
            && rotated.user_id == claims.sub
            && rotated.generation == generation;
        if fits {
            Ok(Some(token))
        } else {
            Err(Error::Broken("a device that is not its token's"))
        }
    }

    /// Statement 2, and what follows from it.
    async fn refuse_or_repeat(
        &self,
        claims: &RefreshClaims,
        old: &[u8],
        attempt_id: Option<&str>,
    ) -> Result<Tokens> {
        let event: EventId = self.ids.next()?;
        let grace_s = self.settings.reuse_grace.as_secs_f64();
        let word = sql::devices::classify(&self.db, old, attempt_id, grace_s, event).await?;
        match Spent::parse(&word)? {
            Spent::Unknown | Spent::Revoked => Err(Error::RefreshInvalid),
            Spent::Race => Err(Error::RefreshRotated),
            Spent::Reuse => {
                metrics::counter!("meydan_auth_refresh_reuse_total").increment(1);
                self.db.outbox_wake(crate::SCHEMA).notify_one();
                tracing::warn!(device.id = %claims.sid, "a spent refresh token came back");
                self.publish_revoked(vec![claims.sid]).await;
                Err(Error::RefreshReused)
            }
            Spent::Retry => self.repeat(claims, attempt_id).await,
        }
    }

    /// Makes the successor again, byte for byte.
    async fn repeat(&self, claims: &RefreshClaims, attempt_id: Option<&str>) -> Result<Tokens> {
        let device = sql::devices::find_live(&self.db, claims.sid)
            .await?
            .ok_or(Error::RefreshInvalid)?;
        // Between the two statements the successor may have been exchanged itself; then what is
        // stored belongs to somebody who proved more than this request did.
        let still_ours = device.generation == claims.generation.saturating_add(1)
            && attempt_id.is_some()
            && device.last_attempt_id.as_deref() == attempt_id;
        if !still_ours {
            return Err(Error::RefreshRotated);
        }
        match self.mint_again(claims, &device).await? {
            Some(token) => self.answer(claims, &device, token).await,
            None => Err(Error::RefreshRotated),
        }
    }

    /// The stored successor from its numbers; none when issuer, audience or keys changed since.
    async fn mint_again(
        &self,
        claims: &RefreshClaims,
        device: &LiveDevice,
    ) -> Result<Option<String>> {
        let (Some(jti), Some(iat), Some(exp), Some(kid)) = (
            device.cur_jti,
            device.cur_iat,
            device.cur_exp,
            device.cur_kid.as_deref(),
        ) else {
            return Ok(None);
        };
        let keys = self.keys.set_knowing(kid).await?;
        let Some(key) = keys.find(kid) else {
            return Ok(None);
        };
        let now = self.clock.now();
        let claims = RefreshClaims {
            iat,
            exp,
            ..self.refresh_claims(claims.sub, claims.sid, device.generation, jti, now)
        };
        let token = self.tokens.sign(key, &claims)?;
        Ok((sha256(token.as_bytes()) == device.refresh_token_hash).then_some(token))
    }

    async fn answer(
        &self,
        claims: &RefreshClaims,
        device: &LiveDevice,
        refresh_token: String,
    ) -> Result<Tokens> {
        let amr: Vec<&str> = device.amr.iter().map(String::as_str).collect();
        let login = Login {
            user: device.user_id,
            device: claims.sid,
            amr: &amr,
            auth_time: device.auth_time,
            act: device.act_user_id,
        };
        let keys = self.keys.set().await?;
        let access_token = self.access_token(&keys, &login)?;
        Ok(self.pair(&login, access_token, refresh_token, Account::Known))
    }
}

/// An attempt id is random: 16 to 64 visible characters.
fn check_attempt(attempt_id: Option<&str>) -> Result<()> {
    let good =
        |id: &str| (16..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    if attempt_id.is_none_or(good) {
        return Ok(());
    }
    let detail = "16 to 64 random visible ASCII characters";
    Err(Error::Invalid(vec![FieldError::new(
        "/attempt_id",
        "BAD_FORMAT",
        detail,
    )]))
}
