//! What the operator of the machine does from the command line: look at administrators, grant and
//! take roles, sign people out, begin a reset of a password, read a token, replace the signing key.

use jiff::Timestamp;
use kernel::{DeviceId, PlatformRole, UserId};
use secrecy::SecretString;

use crate::Identity;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::keys::Rotation;
use crate::links::Link;
use crate::model::{Device, State};
use crate::rules::Identifier;
use crate::setup::AdminOutcome;
use crate::sql;
use crate::tokens::{AccessClaims, Expiry, RefreshClaims};

/// Most accounts in one list.
const MAX_HOLDERS: i64 = 1_000;
/// Most devices of a user in one list.
const MAX_DEVICES: i64 = 1_000;

/// An account with platform roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleHolder {
    /// The user.
    pub id: UserId,
    /// Unique name.
    pub username: String,
    /// E-mail address.
    pub email: Option<String>,
    /// `active`, `disabled` or `deleting`.
    pub state: String,
    /// Platform roles.
    pub roles: Vec<String>,
    /// How many logins are live.
    pub devices: i64,
    /// When one of them was last used.
    pub last_seen_at: Option<Timestamp>,
}

/// What a token turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// `access` or `refresh`.
    pub kind: &'static str,
    /// The user.
    pub user: UserId,
    /// The login.
    pub device: DeviceId,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether it is past its end.
    pub expired: bool,
    /// Whether its login is still good.
    pub device_is_live: bool,
    /// The member of staff who acts as the user.
    pub act: Option<UserId>,
}

impl Identity {
    /// Accounts with a platform role.
    pub async fn role_holders(&self) -> Result<Vec<RoleHolder>> {
        let rows = sql::operator::holders(&self.db, MAX_HOLDERS).await?;
        let holder = |row: sql::operator::Holder| RoleHolder {
            id: row.id,
            username: row.username,
            email: row.email,
            state: row.state,
            roles: row.roles,
            devices: row.devices,
            last_seen_at: row.last_seen_at,
        };
        Ok(rows.into_iter().map(holder).collect())
    }

    /// The person that an id, an e-mail address, a number or a username means.
    pub async fn person_named(&self, name: &str) -> Result<UserId> {
        let id = name.parse().ok();
        let name = Identifier::parse(name);
        let found = sql::operator::find(&self.db, id, name.text()).await?;
        found.ok_or(Error::UnknownUser)
    }

    /// The live logins of a user, the newest first.
    pub async fn devices_of(&self, user: UserId) -> Result<Vec<Device>> {
        let rows = sql::devices::list_before(&self.db, user, i64::MAX, MAX_DEVICES).await?;
        Ok(rows.into_iter().map(|row| row.shown(None)).collect())
    }

    /// Signs a user out everywhere.
    pub async fn sign_out_user(&self, user: UserId) -> Result<()> {
        self.sign_out_all(user, None, "operator").await
    }

    /// Where the link of a reset would be sent: the address, where letters leave.
    pub async fn reset_address(&self, user: UserId) -> Result<Option<String>> {
        let state = sql::staff::state(&self.db, user).await?;
        if state.ok_or(Error::UnknownUser)? == State::Disabled.word() {
            return Err(Error::AccountDisabled);
        }
        if self.senders.mail.is_none() {
            return Ok(None);
        }
        Ok(self.mailbox(Some(user)).await?.map(|to| to.email))
    }

    /// Sends a link to choose a new password, which the operator never learns; the address.
    pub async fn send_reset(&self, user: UserId) -> Result<String> {
        let tx = self.db.begin().await?;
        let to = sql::mailboxes::find(&tx, user).await?;
        let to = to.ok_or(Error::NotFound)?;
        let token = self.begin_reset(&tx, user, None).await?;
        tx.commit().await?;
        self.hand_over(self.letter_with(Link::Reset, &to, &token))
            .await?;
        Ok(to.email)
    }

    /// Makes such a link where no letter can carry it: what stands behind its `#`.
    pub async fn issue_reset(&self, user: UserId) -> Result<SecretString> {
        let tx = self.db.begin().await?;
        let token = self.begin_reset(&tx, user, None).await?;
        tx.commit().await?;
        Ok(token)
    }

    /// Gives a user a platform role.
    pub async fn grant(&self, user: UserId, role: PlatformRole) -> Result<AdminOutcome> {
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        sql::people::lock_admins(&tx).await?;
        let changed = if role == PlatformRole::Superadmin {
            self.make_admin(&tx, user).await?
        } else {
            let changed = sql::people::grant_role(&tx, user, role.word(), now).await?;
            if changed {
                self.note_roles(&tx, user).await?;
            }
            changed
        };
        tx.commit().await?;
        self.forget_card(user);
        Ok(if changed {
            AdminOutcome::Promoted(user)
        } else {
            AdminOutcome::Unchanged(user)
        })
    }

    /// Takes a platform role back. The last administrator keeps theirs.
    pub async fn withdraw(&self, user: UserId, role: PlatformRole) -> Result<AdminOutcome> {
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        sql::people::lock_admins(&tx).await?;
        let had = sql::people::list_roles(&tx, user).await?;
        if !had.iter().any(|word| word == role.word()) {
            return Ok(AdminOutcome::Unchanged(user));
        }
        let changed = sql::operator::revoke_role(&tx, user, role.word(), now).await?;
        if !changed {
            return Err(Error::LastAdmin);
        }
        self.note_roles(&tx, user).await?;
        tx.commit().await?;
        self.forget_card(user);
        Ok(AdminOutcome::Demoted(user))
    }

    pub(crate) async fn note_roles(&self, tx: &db::Tx, user: UserId) -> Result<()> {
        let roles = sql::people::list_roles(tx, user).await?;
        let mut events = Events::new(&self.ids, self.clock.now(), None);
        events.roles_changed(user, &roles)?;
        events.append(tx).await
    }

    /// Reads a token of ours, also an expired one; none when we did not sign it.
    pub async fn inspect_token(&self, token: &str) -> Result<Option<Inspection>> {
        let now = self.clock.now();
        let keys = &self.keys;
        let ignored = Expiry::Ignored;
        let access: Option<AccessClaims> = self.tokens.read(keys, token, now, ignored).await?;
        if let Some(claims) = access {
            let (times, act) = ((claims.iat, claims.exp), claims.act.map(|actor| actor.sub));
            let about = ("access", claims.sub, claims.sid);
            return self.inspected(about, times, act, now).await.map(Some);
        }
        let refresh: Option<RefreshClaims> = self.tokens.read(keys, token, now, ignored).await?;
        match refresh {
            Some(claims) => {
                let about = ("refresh", claims.sub, claims.sid);
                let time = |seconds| Timestamp::from_second(seconds);
                let times = (time(claims.iat)?, time(claims.exp)?);
                self.inspected(about, times, None, now).await.map(Some)
            }
            None => Ok(None),
        }
    }

    async fn inspected(
        &self,
        (kind, user, device): (&'static str, UserId, DeviceId),
        (issued_at, expires_at): (Timestamp, Timestamp),
        act: Option<UserId>,
        now: Timestamp,
    ) -> Result<Inspection> {
        let live = sql::devices::find_live(&self.db, device).await?;
        Ok(Inspection {
            kind,
            user,
            device,
            issued_at,
            expires_at,
            expired: expires_at <= now,
            device_is_live: live.is_some_and(|live| live.user_id == user),
            act,
        })
    }

    /// Replaces the key that signs tokens; the new key's name and when it begins to sign.
    pub async fn replace_signing_key(&self, how: Rotation) -> Result<(String, Timestamp)> {
        self.keys.replace(how).await
    }
}
