//! Devices: one row per login. `issue` is the only way to make one, `revoke…` the ways to end it.

use std::sync::Arc;

use infra::fanout::{Body, Control, Record, Topic, Version};
use jiff::{SignedDuration, Timestamp};
use kernel::{AnyId, Caller, Cursor, DeviceId, UserId};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::Identity;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::keys::KeySet;
use crate::model::{Device, DeviceInfo};
use crate::secrets::sha256;
use crate::sql;
use crate::tokens::{AccessClaims, Actor, RefreshClaims, TokenType};

/// Longest `User-Agent` that is kept.
const MAX_USER_AGENT_CHARS: usize = 256;

/// What a login answers.
#[derive(Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Tokens {
    /// Shown with every request, for some minutes.
    pub access_token: String,
    /// Exchanged once for the next pair.
    pub refresh_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds for which the access token is good.
    pub expires_in: i64,
    /// The user.
    pub user_id: UserId,
    /// The login.
    pub device_id: DeviceId,
    /// Whether this login made the account.
    pub is_new_user: bool,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("device_id", &self.device_id)
            .finish_non_exhaustive()
    }
}

/// What a browser panel gets: its secret goes into a cookie, never into the page.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct Browser {
    /// The cookie's value.
    #[serde(skip)]
    pub cookie: SecretString,
    /// How long the browser keeps the cookie, in seconds.
    #[serde(skip)]
    pub max_age: i64,
    /// To be sent as `X-CSRF-Token` with everything that changes something.
    pub csrf_token: String,
    /// The user.
    pub user_id: UserId,
    /// The login.
    pub device_id: DeviceId,
    /// Whether this login made the account.
    pub is_new_user: bool,
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser")
            .field("device_id", &self.device_id)
            .finish_non_exhaustive()
    }
}

/// What a login answers: tokens, or a cookie where the client asked for one.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum LoggedIn {
    /// For apps and programs.
    Tokens(Tokens),
    /// For pages of this server.
    Browser(Browser),
}

impl LoggedIn {
    /// The user.
    pub fn user(&self) -> UserId {
        match self {
            LoggedIn::Tokens(tokens) => tokens.user_id,
            LoggedIn::Browser(browser) => browser.user_id,
        }
    }

    /// The tokens, where they were asked for.
    pub fn tokens(self) -> Option<Tokens> {
        match self {
            LoggedIn::Tokens(tokens) => Some(tokens),
            LoggedIn::Browser(_) => None,
        }
    }
}

/// How a client keeps its login.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionKind {
    /// By a pair of tokens.
    #[default]
    Token,
    /// By a cookie that scripts cannot read; for pages of this server.
    Cookie,
}

/// Where a login comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The client's address.
    pub ip: std::net::IpAddr,
    /// The client's program.
    pub user_agent: Option<String>,
    /// What the client says about the device.
    pub device: DeviceInfo,
    /// How the client keeps its login.
    pub session: SessionKind,
    /// Whether a page of ours asks. Only such a page gets a cookie: another could log its visitor
    /// in as somebody else.
    pub from_own_page: bool,
}

/// Whether a login made the account it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    New,
    Known,
}

/// What an access token says about its login.
pub(crate) struct Login<'a> {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) amr: &'a [&'a str],
    pub(crate) auth_time: Timestamp,
    /// The member of staff who acts as the user.
    pub(crate) act: Option<UserId>,
}

impl Identity {
    /// Makes a device and its first pair of tokens, or its cookie. Every login path ends here;
    /// nothing else writes a row into `user_devices`.
    ///
    /// What it answers is good once `tx` is committed. The keys come from outside, because loading
    /// them takes a connection and `tx` holds one already.
    pub(crate) async fn issue(
        &self,
        tx: &db::Tx,
        keys: &KeySet,
        (user, account): (UserId, Account),
        amr: &[&str],
        origin: &Origin,
    ) -> Result<LoggedIn> {
        let login = Login {
            user,
            device: self.ids.next()?,
            amr,
            auth_time: self.clock.now(),
            act: None,
        };
        match origin.session {
            SessionKind::Token => self.issue_tokens(tx, keys, &login, account, origin).await,
            SessionKind::Cookie if !origin.from_own_page => Err(Error::ForeignPage),
            SessionKind::Cookie => self.issue_cookie(tx, &login, account, origin).await,
        }
    }

    async fn issue_tokens(
        &self,
        tx: &db::Tx,
        keys: &KeySet,
        login: &Login<'_>,
        account: Account,
        origin: &Origin,
    ) -> Result<LoggedIn> {
        let now = login.auth_time;
        let key = keys.signer(now)?;
        let claims = self.refresh_claims(login.user, login.device, 1, self.ids.next()?, now);
        let refresh_token = self.tokens.sign(key, &claims)?;
        let secret = sql::devices::Secret {
            kind: "token",
            hash: sha256(refresh_token.as_bytes()),
            current: Some(sql::devices::Current {
                jti: claims.jti,
                iat: claims.iat,
                exp: claims.exp,
                kid: &key.kid,
            }),
            expires_at: Timestamp::from_second(claims.exp)?,
            absolute_expires_at: later(now, self.settings.refresh_absolute_ttl),
        };
        self.insert_device(tx, login, &secret, origin).await?;
        let access_token = self.access_token(keys, login)?;
        let tokens = self.pair(login, access_token, refresh_token, account);
        Ok(LoggedIn::Tokens(tokens))
    }

    /// Stores the row of a new device and says so.
    pub(crate) async fn insert_device(
        &self,
        tx: &db::Tx,
        login: &Login<'_>,
        secret: &sql::devices::Secret<'_>,
        origin: &Origin,
    ) -> Result<()> {
        let user_agent = origin
            .user_agent
            .as_ref()
            .map(|text| text.chars().take(MAX_USER_AGENT_CHARS).collect::<String>());
        let row = sql::devices::NewDevice {
            id: login.device,
            user: login.user,
            secret,
            device_name: origin.device.device_name.as_deref(),
            device_type: origin
                .device
                .device_type
                .map(crate::model::DeviceType::word),
            push_notification_token: origin.device.push_notification_token.as_deref(),
            amr: login.amr,
            auth_time: login.auth_time,
            act: login.act,
            ip: origin.ip.to_canonical().to_string(),
            user_agent: user_agent.as_deref(),
        };
        if !sql::devices::insert(tx, &row).await? {
            // Disabled since its state was looked at, or on a path that did not look.
            return Err(Error::InvalidCredentials);
        }
        let actor = login.act.unwrap_or(login.user);
        let mut events = Events::new(&self.ids, login.auth_time, Some(actor));
        events.device_created(login.user, login.device, secret.kind, login.amr)?;
        events.append(tx).await
    }

    /// Signs an access token for a login.
    pub(crate) fn access_token(&self, keys: &KeySet, login: &Login<'_>) -> Result<String> {
        self.access_token_for(keys, login, self.settings.access_ttl)
    }

    /// Signs an access token that is good for `ttl`.
    pub(crate) fn access_token_for(
        &self,
        keys: &KeySet,
        login: &Login<'_>,
        ttl: std::time::Duration,
    ) -> Result<String> {
        let now = self.clock.now();
        let claims = AccessClaims {
            kind: TokenType::Access,
            sub: login.user,
            jti: self.ids.next::<kernel::id::kind::Other>()?,
            iat: now,
            exp: later(now, ttl),
            iss: self.tokens.issuer.clone(),
            aud: self.tokens.access_audience.clone(),
            sid: login.device,
            auth_time: login.auth_time,
            acr: crate::second_factor::assurance(login.amr),
            amr: login.amr.iter().map(|word| (*word).to_owned()).collect(),
            act: login.act.map(|sub| Actor { sub }),
        };
        self.tokens.sign(keys.signer(now)?, &claims)
    }

    /// Claims of a refresh token made now.
    pub(crate) fn refresh_claims(
        &self,
        user: UserId,
        device: DeviceId,
        generation: i32,
        jti: AnyId,
        now: Timestamp,
    ) -> RefreshClaims {
        RefreshClaims {
            kind: TokenType::Refresh,
            sub: user,
            jti,
            iat: now.as_second(),
            exp: later(now, self.settings.refresh_ttl).as_second(),
            iss: self.tokens.issuer.clone(),
            aud: self.tokens.refresh_audience.clone(),
            sid: device,
            generation,
        }
    }

    /// The answer of a login or refresh.
    pub(crate) fn pair(
        &self,
        login: &Login<'_>,
        access_token: String,
        refresh_token: String,
        account: Account,
    ) -> Tokens {
        Tokens {
            access_token,
            refresh_token,
            token_type: "Bearer",
            expires_in: i64::try_from(self.settings.access_ttl.as_secs()).unwrap_or(i64::MAX),
            user_id: login.user,
            device_id: login.device,
            is_new_user: account == Account::New,
        }
    }

    /// The live devices of the caller, the newest first, and where the next page begins.
    pub async fn list_devices(
        &self,
        caller: &Caller,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<(Vec<Device>, Option<Cursor>)> {
        let of = (caller.user, caller.device);
        self.page_of_devices(of, after, limit).await
    }

    /// The live devices of a user, one of which may be the one that asks.
    pub(crate) async fn page_of_devices(
        &self,
        (user, current): (UserId, Option<DeviceId>),
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<(Vec<Device>, Option<Cursor>)> {
        let limit = i64::from(limit.clamp(1, kernel::page::MAX_PAGE));
        let before = after.map_or(i64::MAX, |cursor| cursor.after);
        // One more than asked for tells whether there is another page.
        let rows = sql::devices::list_before(&self.db, user, before, limit + 1).await?;
        let mut devices: Vec<Device> = rows.into_iter().map(|row| row.shown(current)).collect();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = devices.len() > limit;
        devices.truncate(limit);
        let next = devices.last().filter(|_| more).map(|last| Cursor {
            after: last.id.get(),
        });
        Ok((devices, next))
    }

    /// Signs one of the caller's devices out.
    pub async fn revoke_device(&self, caller: &Caller, device: DeviceId) -> Result<()> {
        let revoked = self.sign_out(caller.user, device, "user").await?;
        if revoked {
            Ok(())
        } else {
            Err(Error::NotFound)
        }
    }

    /// Signs all of the caller's devices out but the one that asks.
    pub async fn revoke_other_devices(&self, caller: &Caller) -> Result<()> {
        let current = caller.device.ok_or(Error::Forbidden)?;
        self.sign_out_all(caller.user, Some(current), "user").await
    }

    /// Signs a device out; false when it is not the user's or already out.
    pub(crate) async fn sign_out(
        &self,
        user: UserId,
        device: DeviceId,
        reason: &'static str,
    ) -> Result<bool> {
        let tx = self.db.begin().await?;
        let revoked = sql::revocations::revoke(&tx, user, device, reason).await?;
        let revoked: Vec<DeviceId> = revoked.into_iter().collect();
        self.record_revoked(&tx, user, &revoked, reason).await?;
        tx.commit().await?;
        self.publish_revoked(revoked.clone()).await;
        Ok(!revoked.is_empty())
    }

    /// Signs all devices of a user out but `except`.
    pub(crate) async fn sign_out_all(
        &self,
        user: UserId,
        except: Option<DeviceId>,
        reason: &'static str,
    ) -> Result<()> {
        let tx = self.db.begin().await?;
        let revoked = sql::revocations::revoke_all(&tx, user, except, reason).await?;
        self.record_revoked(&tx, user, &revoked, reason).await?;
        tx.commit().await?;
        self.publish_revoked(revoked).await;
        Ok(())
    }

    /// Appends the events of devices that `tx` revoked.
    pub(crate) async fn record_revoked(
        &self,
        tx: &db::Tx,
        user: UserId,
        devices: &[DeviceId],
        reason: &str,
    ) -> Result<()> {
        let mut events = Events::new(&self.ids, self.clock.now(), Some(user));
        events.devices_revoked(user, devices, reason)?;
        events.append(tx).await
    }

    /// Tells every node at once that devices are out. Only the fast path: nodes also pull
    /// `revoked_since`, so a fanout that is away delays by seconds and loses nothing.
    pub(crate) async fn publish_revoked(&self, devices: Vec<DeviceId>) {
        if devices.is_empty() {
            return;
        }
        let record = Record {
            body: Body::Control(Control::DevicesRevoked(devices)),
            community: None,
            channel: None,
            version: Version::None,
            epoch: 0,
            ephemeral: false,
        };
        if let Err(error) = self.fanout.publish(Topic::Revoked, Arc::new(record)).await {
            tracing::warn!(error = %error, "revocation not published; nodes will pull it");
        }
    }
}

/// `by` after `now`, saturating far in the future.
pub(crate) fn later(now: Timestamp, by: std::time::Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| now.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}
