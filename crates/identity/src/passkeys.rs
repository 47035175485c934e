//! Passkeys: making them, logging in with one, removing them.
//!
//! The user verified themself to the authenticator, so a passkey alone is two factors. A challenge
//! waits in the cache for five minutes and is taken once, whatever becomes of its answer.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use kernel::{AnyId, Caller, FieldError, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Identity;
use crate::devices::{Account, LoggedIn, Origin};
use crate::error::{Error, Result};
use crate::events::Events;
use crate::limits;
use crate::proof::{Fact, Second};
use crate::relying_party::{Ceremony, RelyingParty};
use crate::rules::Fields;
use crate::second_factor::{First, Proven, amr};
use crate::secrets::{hex, sha256};
use crate::sql;
use crate::sql::passkeys::{ListedPasskey, Used};

/// How long a challenge waits for its answer.
pub(crate) const CHALLENGE_TTL: Duration = Duration::from_secs(5 * 60);
/// Passkeys of one user.
pub const MAX_PASSKEYS: usize = 20;
/// Longest name of a passkey.
const MAX_NAME_CHARS: usize = 64;

/// What a browser is asked to do with a passkey.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Challenge {
    /// Comes back with the answer.
    pub challenge_id: String,
    /// Options for `navigator.credentials`, in the JSON form of WebAuthn Level 3.
    #[schema(value_type = Object)]
    pub public_key: Value,
}

/// A browser's answer to a challenge.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Which challenge it answers.
    pub challenge_id: String,
    /// What `navigator.credentials` gave, in the JSON form of WebAuthn Level 3.
    pub credential: Value,
}

/// A passkey, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PasskeyInfo {
    /// The passkey.
    pub id: AnyId,
    /// Its name in the list.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

impl From<ListedPasskey> for PasskeyInfo {
    fn from(row: ListedPasskey) -> Self {
        PasskeyInfo {
            id: row.id,
            name: row.name,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// What waits in the cache under the hash of the challenge's id.
#[derive(Serialize, Deserialize)]
struct Waiting {
    /// Who makes a passkey; nobody is named where one is used.
    user: Option<UserId>,
    ceremony: Ceremony,
}

impl Identity {
    /// Whether passkeys can be used with this server at all.
    fn relying_party(&self) -> Result<&RelyingParty> {
        self.relying_party.as_ref().ok_or(Error::PasskeysOff)
    }

    /// Begins to make a passkey for the caller.
    pub async fn begin_passkey(&self, caller: &Caller) -> Result<Challenge> {
        let site = self.relying_party()?;
        self.may_change_factors(caller).await?;
        let user = caller.user;
        let account = self.account(user).await?;
        let known = sql::passkeys::list(&self.db, user).await?;
        has_room(&known)?;
        let known = known.into_iter().map(|passkey| passkey.cred_id).collect();
        let names = (account.username.as_str(), account.display_name.as_str());
        let begun = site.begin_registration(user.get(), names, known)?;
        self.challenge(Some(user), begun).await
    }

    /// Stores the passkey that the caller's authenticator made.
    pub async fn add_passkey(
        &self,
        caller: &Caller,
        answer: Answer,
        name: &str,
    ) -> Result<PasskeyInfo> {
        let mut fields = Fields::default();
        fields.line("/name", name, MAX_NAME_CHARS);
        fields.done()?;
        let site = self.relying_party()?;
        let device = self.may_change_factors(caller).await?;
        let waiting = self.take_challenge(&answer.challenge_id).await?;
        let (Ceremony::Register(state), Some(user)) = (waiting.ceremony, waiting.user) else {
            return Err(Error::PasskeyInvalid);
        };
        if user != caller.user {
            return Err(Error::PasskeyInvalid);
        }
        let made = site.finish_registration(&state, answer.credential);
        let made = made.ok_or(Error::PasskeyInvalid)?;
        let (id, now) = (self.ids.next()?, self.clock.now());
        let row = sql::passkeys::NewPasskey {
            id,
            user,
            cred_id: &made.cred_id,
            public_key: &made.stored,
            sign_count: made.first.sign_count,
            transports: &made.transports,
            aaguid: made.aaguid.as_deref(),
            backup_eligible: made.first.backup_eligible,
            backup_state: made.first.backup_state,
            name,
            at: now,
        };
        let tx = self.begin_factor_change(user).await?;
        has_room(&sql::passkeys::list(&tx, user).await?)?;
        if !sql::passkeys::insert(&tx, &row).await? {
            return Err(Error::PasskeyInvalid);
        }
        sql::devices::prove(&tx, user, device, now, &[amr::PASSKEY]).await?;
        self.end_factor_change(&tx, user, "passkey").await?;
        tx.commit().await?;
        Ok(PasskeyInfo {
            id,
            name: name.to_owned(),
            created_at: now,
            last_used_at: None,
        })
    }

    /// The caller's passkeys, the oldest first.
    pub async fn list_passkeys(&self, caller: &Caller) -> Result<Vec<PasskeyInfo>> {
        let rows = sql::passkeys::list(&self.db, caller.user).await?;
        Ok(rows.into_iter().map(PasskeyInfo::from).collect())
    }

    /// Gives one of the caller's passkeys another name.
    pub async fn rename_passkey(
        &self,
        caller: &Caller,
        passkey: AnyId,
        name: &str,
    ) -> Result<PasskeyInfo> {
        let mut fields = Fields::default();
        fields.line("/name", name, MAX_NAME_CHARS);
        fields.done()?;
        let renamed = sql::passkeys::rename(&self.db, caller.user, passkey, name).await?;
        renamed.map(PasskeyInfo::from).ok_or(Error::NotFound)
    }

    /// Removes one of the caller's passkeys, unless it is the last way in.
    pub async fn remove_passkey(&self, caller: &Caller, passkey: AnyId) -> Result<()> {
        self.may_change_factors(caller).await?;
        let user = caller.user;
        let tx = self.begin_factor_change(user).await?;
        if !sql::passkeys::delete(&tx, user, passkey).await? {
            return Err(Error::NotFound);
        }
        self.keep_a_way_in(&tx, user).await?;
        self.end_factor_change(&tx, user, "passkey").await?;
        tx.commit().await?;
        Ok(())
    }

    /// Begins to use a passkey, for a login, a second factor or a step-up. The answer is the same
    /// for everybody: which passkeys there are, the authenticator knows.
    pub async fn begin_passkey_use(&self, ip: std::net::IpAddr) -> Result<Challenge> {
        let site = self.relying_party()?;
        limits::login_from(&*self.limiter, &self.settings.limits, ip).await?;
        self.challenge(None, site.begin_authentication()?).await
    }

    /// Logs in with a passkey alone.
    pub async fn log_in_with_passkey(&self, answer: Answer, origin: &Origin) -> Result<LoggedIn> {
        let mut fields = Fields::default();
        fields.device("/device", &origin.device);
        fields.done()?;
        limits::login_from(&*self.limiter, &self.settings.limits, origin.ip).await?;
        let (user, fact) = self
            .judge_passkey(answer)
            .await?
            .ok_or(Error::PasskeyInvalid)?;
        let keys = self.keys.set().await?;
        let tx = self.db.begin().await?;
        let proven = Proven {
            user,
            account: Account::Known,
            first: First::Passkey,
        };
        if !sql::factors::may_log_in(&tx, user).await? {
            return Err(Error::PasskeyInvalid);
        }
        let spent = self.spend_second(&tx, Second::new(user, fact)).await;
        spent.map_err(|error| match error {
            Error::SecondFactorInvalid => Error::PasskeyInvalid,
            other => other,
        })?;
        let admitted = self.admit(&tx, &keys, proven, origin).await?;
        tx.commit().await?;
        admitted.finish()
    }

    /// Judges the answer of an authenticator: whose passkey it is. The challenge is used up.
    pub(crate) async fn judge_passkey(&self, answer: Answer) -> Result<Option<(UserId, Fact)>> {
        let site = self.relying_party()?;
        let waiting = match self.take_challenge(&answer.challenge_id).await {
            Ok(waiting) => waiting,
            Err(Error::PasskeyInvalid) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Ceremony::Authenticate(state) = waiting.ceremony else {
            return Ok(None);
        };
        let Some(shown) = site.identify(answer.credential) else {
            return Ok(None);
        };
        let Some(stored) = sql::passkeys::find(&self.db, &shown.cred_id).await? else {
            return Ok(None);
        };
        let user = stored.user_id;
        let used = site.finish_authentication(*state, &shown, user.get(), &stored.public_key);
        let id = stored.id;
        Ok(used.map(|used| (user, Fact::Passkey { id, used })))
    }

    /// Notes the use of a passkey; false when it was removed. A count that falls may mean a copy:
    /// it is audited and not refused, because many authenticators do not count at all.
    pub(crate) async fn spend_passkey(
        &self,
        tx: &db::Tx,
        user: UserId,
        passkey: AnyId,
        used: &Used,
    ) -> Result<bool> {
        let now = self.clock.now();
        let Some(before) = sql::passkeys::note_use(tx, user, passkey, used, now).await? else {
            return Ok(false);
        };
        let counts = before > 0 || used.sign_count > 0;
        if counts && used.sign_count <= before {
            tracing::warn!(user.id = %user, "the count of a passkey fell; it may have been copied");
            let mut events = Events::new(&self.ids, now, Some(user));
            events.passkey_count_fell(user, passkey)?;
            events.append(tx).await?;
        }
        Ok(true)
    }

    /// Puts a ceremony into the cache.
    async fn challenge(
        &self,
        user: Option<UserId>,
        (public_key, ceremony): (Value, Ceremony),
    ) -> Result<Challenge> {
        let challenge_id = kernel::rng::token::<32>(&*self.rng);
        let value = serde_json::to_vec(&Waiting { user, ceremony }).or(Err(Error::Broken(
            "a passkey challenge that cannot be written",
        )))?;
        let key = challenge_key(&challenge_id);
        self.cache
            .put(&key, Bytes::from(value), CHALLENGE_TTL)
            .await?;
        Ok(Challenge {
            challenge_id,
            public_key,
        })
    }

    /// Takes a ceremony out of the cache; nobody can answer it again.
    async fn take_challenge(&self, challenge_id: &str) -> Result<Waiting> {
        let value = self.cache.take(&challenge_key(challenge_id)).await?;
        let value = value.ok_or(Error::PasskeyInvalid)?;
        serde_json::from_slice(&value).or(Err(Error::Broken(
            "a passkey challenge that cannot be read",
        )))
    }
}

fn has_room(known: &[ListedPasskey]) -> Result<()> {
    if known.len() < MAX_PASSKEYS {
        return Ok(());
    }
    let detail = format!("at most {MAX_PASSKEYS} passkeys");
    let error = FieldError::new("", "TOO_MANY", detail);
    Err(Error::Invalid(vec![error]))
}

fn challenge_key(challenge_id: &str) -> String {
    let hash = sha256(challenge_id.as_bytes());
    format!("identity:passkey:{}", hex(&hash))
}
