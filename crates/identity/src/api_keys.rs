//! API keys: for programs of a person, with the rights they were made for and no others.
//!
//! `kernel::api_key` has their form; what is stored is the SHA-256 of the whole text. A key opens
//! nothing but operations that name one of its scopes; none of those touches keys, factors or
//! devices.

use std::sync::Arc;

use infra::fanout::{Body, Control, Record, Topic, Version};
use jiff::{SignedDuration, Timestamp};
use kernel::{AnyId, Caller, CallerKind, FieldError, UserId};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::Identity;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::rules::Fields;
use crate::secrets::sha256;
use crate::sql;
use crate::sql::api_keys::{ListedKey, NewRow};

/// What a key may be used for, and what each word opens.
pub const SCOPES: &[(&str, &str)] = &[
    ("profile:read", "read the owner's own profile"),
    ("profile:write", "change the owner's own profile"),
    ("users:read", "read the cards of other people"),
];
/// Most live keys of one owner.
pub(crate) const MAX_KEYS: i64 = 20;
/// Longest name of a key.
const MAX_NAME_CHARS: usize = 64;
/// Longest life of a key.
pub(crate) const MAX_DAYS: u16 = 365;

/// A wish for a key.
#[derive(Debug)]
pub struct NewApiKey {
    /// Tells it from the owner's other keys.
    pub name: String,
    /// Words of [`SCOPES`].
    pub scopes: Vec<String>,
    /// 1 to 365.
    pub expires_in_days: u16,
}

impl NewApiKey {
    /// Checks the wish; the scopes in one order, each once.
    fn check(&self) -> Result<Vec<&'static str>> {
        let mut fields = Fields::default();
        fields.line("/name", &self.name, MAX_NAME_CHARS);
        if !(1..=MAX_DAYS).contains(&self.expires_in_days) {
            let detail = format!("1 to {MAX_DAYS}");
            fields.add(FieldError::new("/expires_in_days", "OUT_OF_RANGE", detail));
        }
        if self.scopes.is_empty() {
            fields.add(FieldError::new("/scopes", "EMPTY", "at least one"));
        }
        fields.done()?;
        let known = |word: &String| SCOPES.iter().any(|(scope, _)| scope == word);
        if !self.scopes.iter().all(known) {
            return Err(Error::ScopeUnknown);
        }
        let wanted = SCOPES.iter().map(|(scope, _)| *scope);
        Ok(wanted
            .filter(|scope| self.scopes.iter().any(|word| word == scope))
            .collect())
    }
}

/// A key that was just made: the only time its text is told.
#[derive(Serialize, utoipa::ToSchema)]
pub struct NewKey {
    /// Names the key.
    pub id: AnyId,
    /// The beginning of the key, by which it is known in lists and in leaks.
    pub prefix: String,
    /// The key; it is not shown again.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    pub key: SecretString,
    /// When it ends.
    pub expires_at: Timestamp,
}

fn exposed<S: serde::Serializer>(
    key: &SecretString,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(key.expose_secret())
}

/// A live key in the list of its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ApiKey {
    /// Names the key.
    pub id: AnyId,
    /// What its owner calls it.
    pub name: String,
    /// The beginning of the key.
    pub prefix: String,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl From<ListedKey> for ApiKey {
    fn from(row: ListedKey) -> Self {
        ApiKey {
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            scopes: row.scopes,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            created_at: row.created_at,
        }
    }
}

impl Identity {
    /// Makes a key for the caller.
    pub async fn create_api_key(&self, caller: &Caller, wish: NewApiKey) -> Result<NewKey> {
        let owner = owner(caller)?;
        let scopes = wish.check()?;
        let now = self.clock.now();
        let key = kernel::api_key::make(&*self.rng);
        let prefix = kernel::api_key::prefix(&key)
            .ok_or(Error::Broken("a key that is not sound"))?
            .to_owned();
        let life = SignedDuration::from_hours(24 * i64::from(wish.expires_in_days));
        let row = NewRow {
            id: self.ids.next()?,
            owner,
            name: &wish.name,
            prefix: &prefix,
            hash: &sha256(key.as_bytes()),
            scopes: &scopes,
            expires_at: now + life,
            at: now,
        };
        let tx = self.db.begin().await?;
        if !sql::api_keys::lock_owner(&tx, owner).await? {
            return Err(Error::Forbidden);
        }
        if !sql::api_keys::insert(&tx, &row, MAX_KEYS).await? {
            return Err(Error::TooManyKeys);
        }
        let mut events = Events::new(&self.ids, now, Some(owner));
        events.api_key_created(owner, row.id, &scopes)?;
        events.append(&tx).await?;
        tx.commit().await?;
        Ok(NewKey {
            id: row.id,
            expires_at: row.expires_at,
            prefix,
            key: SecretString::from(key),
        })
    }

    /// The live keys of the caller, the newest first; at most 20.
    pub async fn list_api_keys(&self, caller: &Caller) -> Result<Vec<ApiKey>> {
        let now = self.clock.now();
        let rows = sql::api_keys::list(&self.db, owner(caller)?, now).await?;
        Ok(rows.into_iter().map(ApiKey::from).collect())
    }

    /// Takes one of the caller's keys back, at once.
    pub async fn revoke_api_key(&self, caller: &Caller, key: AnyId) -> Result<()> {
        let owner = owner(caller)?;
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        if !sql::api_keys::revoke(&tx, owner, key, now).await? {
            return Err(Error::NotFound);
        }
        let mut events = Events::new(&self.ids, now, Some(owner));
        events.api_key_revoked(owner, key)?;
        events.append(&tx).await?;
        tx.commit().await?;
        self.publish_keys_revoked(owner).await;
        Ok(())
    }

    /// Whose program shows the key with this SHA-256.
    pub(crate) async fn resolve_key(&self, hash: [u8; 32]) -> Result<Option<Caller>> {
        let now = self.clock.now();
        let live = sql::api_keys::use_key(&self.db, &hash, now).await?;
        Ok(live.map(|live| Caller::api_key(live.owner_id, live.scopes)))
    }

    /// Tells every node to forget what it remembers of an owner's keys. Only the fast path: a node
    /// that misses it forgets by itself within half a minute.
    pub(crate) async fn publish_keys_revoked(&self, owner: UserId) {
        let record = Record {
            body: Body::Control(Control::ApiKeyRevoked(owner)),
            community: None,
            channel: None,
            version: Version::None,
            epoch: 0,
            ephemeral: false,
        };
        if let Err(error) = self.fanout.publish(Topic::Revoked, Arc::new(record)).await {
            tracing::warn!(error = %error, "revoked keys not published; nodes will forget them soon");
        }
    }
}

/// Keys belong to people who logged in: a key cannot make another, nor can staff in their name.
fn owner(caller: &Caller) -> Result<UserId> {
    let themselves = caller.kind == CallerKind::User && caller.act.is_none();
    if themselves {
        Ok(caller.user)
    } else {
        Err(Error::Forbidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(scopes: &[&str], days: u16) -> NewApiKey {
        NewApiKey {
            name: "nightly".to_owned(),
            scopes: scopes.iter().map(|word| (*word).to_owned()).collect(),
            expires_in_days: days,
        }
    }

    #[test]
    fn scopes_are_known_and_stand_in_one_order() {
        let both = wish(&["users:read", "profile:read", "users:read"], 1);
        assert_eq!(both.check().unwrap(), ["profile:read", "users:read"]);
        let unknown = wish(&["users:read", "admin"], 1).check();
        assert!(matches!(unknown, Err(Error::ScopeUnknown)));
        for (words, days) in [(&[][..], 1), (&["users:read"], 0), (&["users:read"], 366)] {
            let refused = wish(words, days).check();
            assert!(
                matches!(refused, Err(Error::Invalid(_))),
                "{words:?} {days}"
            );
        }
        assert!(wish(&["users:read"], 365).check().is_ok());
    }
}
