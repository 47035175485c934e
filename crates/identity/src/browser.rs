//! Logins of browser panels: a cookie that no script can read instead of tokens, and tickets for
//! their sockets. The browser never sees a JWT.
//!
//! A cookie is the secret of a `user_devices` row of kind `browser`, so the list of devices and
//! revocation are the same as for apps. Each node turns it into an access token that never leaves
//! the server.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contracts::identity::From as Asker;
use infra::fanout::{Body, Control, Record, Topic, Version};
use kernel::{Caller, DeviceId, UserId};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::Identity;
use crate::devices::{Account, Browser, LoggedIn, Login, Origin, later};
use crate::error::{Error, Result};
use crate::secrets::{hex, sha256};
use crate::sql;
use crate::tokens::seconds;

/// How long a ticket may wait for its socket.
pub(crate) const TICKET_TTL: Duration = Duration::from_secs(30);
/// What tickets begin with, so that they are told from tokens.
const TICKET_PREFIX: &str = "myd_wt_";

/// What a ticket stands for; kept in the cache under its hash.
#[derive(Serialize, Deserialize)]
struct Ticket {
    user: UserId,
    device: DeviceId,
}

impl Identity {
    /// The end of a login that asked for a cookie.
    pub(crate) async fn issue_cookie(
        &self,
        tx: &db::Tx,
        login: &Login<'_>,
        account: Account,
        origin: &Origin,
    ) -> Result<LoggedIn> {
        let now = login.auth_time;
        let staff = !sql::people::list_roles(tx, login.user).await?.is_empty();
        let browser = &self.settings.browser;
        let times = if staff {
            browser.staff
        } else {
            browser.everybody
        };
        let absolute_expires_at = later(now, times.absolute);
        let cookie = SecretString::from(kernel::rng::token::<32>(&*self.rng));
        let secret = sql::devices::Secret {
            kind: "browser",
            hash: sha256(cookie.expose_secret().as_bytes()),
            current: None,
            expires_at: later(now, times.idle).min(absolute_expires_at),
            absolute_expires_at,
        };
        self.insert_device(tx, login, &secret, origin).await?;
        Ok(LoggedIn::Browser(Browser {
            csrf_token: self.settings.keys.csrf_token(cookie.expose_secret()),
            cookie,
            max_age: seconds(times.absolute),
            user_id: login.user,
            device_id: login.device,
            is_new_user: account == Account::New,
        }))
    }

    /// A new cookie for a session whose rights changed, in a transaction that ends here; the old one
    /// is void.
    pub(crate) async fn renew_cookie(
        &self,
        tx: db::Tx,
        user: UserId,
        device: DeviceId,
    ) -> Result<Browser> {
        let cookie = SecretString::from(kernel::rng::token::<32>(&*self.rng));
        let hash = sha256(cookie.expose_secret().as_bytes());
        let old = sql::devices::replace_cookie(&tx, device, &hash).await?;
        let old = old.ok_or(Error::Unauthenticated)?;
        tx.commit().await?;
        self.publish_replaced(&old.hash).await;
        Ok(Browser {
            csrf_token: self.settings.keys.csrf_token(cookie.expose_secret()),
            cookie,
            max_age: old.seconds_left,
            user_id: user,
            device_id: device,
            is_new_user: false,
        })
    }

    /// Tells every node to forget what it remembers of a cookie. Only the fast path: a node that
    /// misses it forgets by itself within a minute.
    async fn publish_replaced(&self, hash: &[u8]) {
        let Ok(sha256) = hash.try_into() else {
            return;
        };
        let record = Record {
            body: Body::Control(Control::CookieReplaced(sha256)),
            community: None,
            channel: None,
            version: Version::None,
            epoch: 0,
            ephemeral: false,
        };
        if let Err(error) = self.fanout.publish(Topic::Revoked, Arc::new(record)).await {
            tracing::warn!(error = %error, "a void cookie not published; nodes will forget it soon");
        }
    }

    /// An access token for the session behind a cookie, and prolongs the session.
    pub(crate) async fn access_behind(
        &self,
        hash: [u8; 32],
        from: &Asker,
    ) -> Result<Option<String>> {
        let browser = &self.settings.browser;
        let ip = from.ip.to_canonical().to_string();
        let used = sql::devices::use_cookie(
            &self.db,
            &hash,
            browser.staff.idle.as_secs_f64(),
            browser.everybody.idle.as_secs_f64(),
            &ip,
            from.user_agent.as_deref(),
        );
        let Some(used) = used.await? else {
            return Ok(None);
        };
        let amr: Vec<&str> = used.amr.iter().map(String::as_str).collect();
        let login = Login {
            user: used.user_id,
            device: used.id,
            amr: &amr,
            auth_time: used.auth_time,
            act: None,
        };
        let keys = self.keys.set().await?;
        self.access_token(&keys, &login).map(Some)
    }

    /// A ticket that stands for the caller's login in one IDENTIFY, so that no token has to be in
    /// the hands of a script.
    pub async fn issue_ticket(&self, caller: &Caller) -> Result<SecretString> {
        // A socket would hand the user's direct messages to whoever acts as them.
        let device = caller.device.filter(|_| caller.act.is_none());
        let device = device.ok_or(Error::Forbidden)?;
        let ticket = format!("{TICKET_PREFIX}{}", kernel::rng::token::<32>(&*self.rng));
        let value = serde_json::to_vec(&Ticket {
            user: caller.user,
            device,
        })
        .or(Err(Error::Broken("a ticket that cannot be written")))?;
        let key = ticket_key(&sha256(ticket.as_bytes()));
        self.cache.put(&key, Bytes::from(value), TICKET_TTL).await?;
        Ok(SecretString::from(ticket))
    }

    /// Uses a ticket up: the access token of the login it stands for, if that is still live.
    pub(crate) async fn redeem_ticket(&self, hash: [u8; 32]) -> Result<Option<String>> {
        let Some(value) = self.cache.take(&ticket_key(&hash)).await? else {
            return Ok(None);
        };
        let ticket: Ticket = serde_json::from_slice(&value)
            .or(Err(Error::Broken("a ticket that cannot be read")))?;
        let Some(device) = sql::devices::find_live(&self.db, ticket.device).await? else {
            return Ok(None);
        };
        let amr: Vec<&str> = device.amr.iter().map(String::as_str).collect();
        let login = Login {
            user: ticket.user,
            device: ticket.device,
            amr: &amr,
            auth_time: device.auth_time,
            act: device.act_user_id,
        };
        let keys = self.keys.set().await?;
        self.access_token(&keys, &login).map(Some)
    }
}

fn ticket_key(hash: &[u8]) -> String {
    format!("identity:ticket:{}", hex(hash))
}
