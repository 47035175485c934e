//! The Ed25519 keys that sign tokens: made at first start, rotated before they age, published.
//!
//! A key is published from its making, signs from `active_from` until the next one does, and is
//! dropped when no token signed with it can live any more. The private part is stored encrypted
//! under `kek`; in memory it exists only inside a [`Key`].

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use contracts::identity::SigningKey;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{DecodingKey, EncodingKey};
use kernel::{SharedClock, SharedRng};
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::{Error, Result};
use crate::secrets::{KEK_ID, RootKeys, SecretError};
use crate::sql;

/// How long before its use a key is published.
const PUBLISHED_AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// How long a key signs.
const ACTIVE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long a key is kept after it retired: refresh tokens outlive it by seven days.
const KEPT_RETIRED: SignedDuration = SignedDuration::from_hours(8 * 24);
/// How old the set in memory may be. It also bounds how long a key that was given up as stolen is
/// still believed.
const MAX_AGE: Duration = Duration::from_secs(30);

/// How a signing key is replaced before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The next key is published now and signs after this time, when every verifier has it.
    After(Duration),
    /// The old keys are given up at once: every token dies, everybody logs in again.
    Compromised,
}

/// What signs tokens. Exactly one algorithm is allowed in a process.
#[derive(Clone, Default)]
pub enum Signing {
    /// Ed25519 keys of the table, published and rotated.
    #[default]
    EdDsa,
    /// One secret for signing and checking, of at least 32 bytes: for a single node whose older
    /// services check tokens by `JWT_SECRET`.
    Hs256(SecretString),
}

impl std::fmt::Debug for Signing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Signing::EdDsa => "EdDSA",
            Signing::Hs256(_) => "HS256",
        })
    }
}

/// One signing key, opened.
pub(crate) struct Key {
    pub(crate) kid: String,
    /// What is published; a shared secret has nothing to publish.
    pub(crate) public: Option<[u8; 32]>,
    pub(crate) signs: EncodingKey,
    pub(crate) checks: DecodingKey,
    active_from: Timestamp,
    retires_at: Timestamp,
}

/// All keys that a token may be signed with, newest first.
pub(crate) struct KeySet {
    keys: Vec<Key>,
    loaded_at: Timestamp,
}

impl KeySet {
    /// The key to sign with now: the one that became active last.
    pub(crate) fn active(&self, now: Timestamp) -> Option<&Key> {
        self.keys.iter().find(|key| key.active_from <= now)
    }

    /// A key by its name.
    pub(crate) fn find(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    /// What is published: every key but a shared secret.
    pub(crate) fn published(&self) -> Vec<SigningKey> {
        let shown = |key: &Key| {
            Some(SigningKey {
                kid: key.kid.clone(),
                public: key.public?,
            })
        };
        self.keys.iter().filter_map(shown).collect()
    }

    fn is_older_than(&self, age: Duration, now: Timestamp) -> bool {
        now.duration_since(self.loaded_at).unsigned_abs() > age
    }
}

/// Keeps the key set of this process fresh.
pub(crate) struct Keys {
    db: db::Db,
    clock: SharedClock,
    rng: SharedRng,
    root: RootKeys,
    /// The only key there is when tokens are signed with a shared secret.
    shared: Option<Arc<KeySet>>,
    set: RwLock<Option<Arc<KeySet>>>,
}

impl Keys {
    pub(crate) fn new(
        db: db::Db,
        clock: SharedClock,
        rng: SharedRng,
        root: RootKeys,
        signing: &Signing,
    ) -> Self {
        let shared = match signing {
            Signing::EdDsa => None,
            Signing::Hs256(secret) => Some(Arc::new(shared_set(secret))),
        };
        Keys {
            shared,
            db,
            clock,
            rng,
            root,
            set: RwLock::new(None),
        }
    }

    /// The key set, loaded again when it is old, made when there is none.
    pub(crate) async fn set(&self) -> Result<Arc<KeySet>> {
        if let Some(shared) = &self.shared {
            return Ok(Arc::clone(shared));
        }
        let now = self.clock.now();
        match self.held() {
            Some(set) if !set.is_older_than(MAX_AGE, now) && set.active(now).is_some() => Ok(set),
            _ => self.rotate().await,
        }
    }

    /// The key set for a token that names `kid`, looked at anew when it is not in it: another node
    /// may have made it since. Anybody can send a token that names anything; it costs one small
    /// statement, no more than a token of ours.
    pub(crate) async fn set_knowing(&self, kid: &str) -> Result<Arc<KeySet>> {
        let set = self.set().await?;
        if set.find(kid).is_some() {
            return Ok(set);
        }
        self.latest().await
    }

    /// The key set as it is stored now.
    pub(crate) async fn latest(&self) -> Result<Arc<KeySet>> {
        match &self.shared {
            Some(shared) => Ok(Arc::clone(shared)),
            None => self.load().await,
        }
    }

    /// Makes the keys that ought to exist and forgets those that ought not; then loads.
    ///
    /// Idempotent; nodes that do it at once wait for each other.
    pub(crate) async fn rotate(&self) -> Result<Arc<KeySet>> {
        if let Some(shared) = &self.shared {
            return Ok(Arc::clone(shared));
        }
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        sql::keys::lock(&tx).await?;
        sql::keys::delete_dropped(&tx, now).await?;
        match sql::keys::last_retirement(&tx).await? {
            None => drop(self.make(&tx, now).await?),
            // The server was off for so long that nothing signs any more.
            Some(retires_at) if retires_at <= now => drop(self.make(&tx, now).await?),
            Some(retires_at) if retires_at.duration_since(now) <= PUBLISHED_AHEAD => {
                drop(self.make(&tx, retires_at).await?);
            }
            Some(_) => {}
        }
        tx.commit().await?;
        self.load().await
    }

    /// Replaces the signing key before its time.
    pub(crate) async fn replace(&self, how: Rotation) -> Result<(String, Timestamp)> {
        if self.shared.is_some() {
            return Err(Error::Broken(
                "the shared secret is replaced in the settings",
            ));
        }
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        sql::keys::lock(&tx).await?;
        let active_from = match how {
            Rotation::After(pause) => now + pause,
            Rotation::Compromised => {
                sql::keys::delete_all(&tx).await?;
                now
            }
        };
        let kid = self.make(&tx, active_from).await?;
        tx.commit().await?;
        self.load().await?;
        Ok((kid, active_from))
    }

    async fn make(&self, tx: &db::Tx, active_from: Timestamp) -> Result<String> {
        let seed = kernel::rng::bytes::<32>(&*self.rng);
        let pair = pair(&seed)?;
        let kid = kernel::rng::token::<12>(&*self.rng);
        let row = sql::keys::KeyRow {
            private_enc: self.root.seal(&*self.rng, &kid, &seed)?,
            kid,
            public_key: pair.public_key().as_ref().to_vec(),
            key_id: KEK_ID.to_owned(),
            active_from,
            retires_at: active_from + ACTIVE,
        };
        tracing::info!(key.kid = row.kid, "made a signing key");
        sql::keys::insert(tx, &row, row.retires_at + KEPT_RETIRED).await?;
        Ok(row.kid)
    }

    async fn load(&self) -> Result<Arc<KeySet>> {
        let loaded_at = self.clock.now();
        let rows = sql::keys::list(&self.db).await?;
        let keys = rows
            .into_iter()
            .map(|row| self.open(row))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let set = Arc::new(KeySet { keys, loaded_at });
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&set));
        Ok(set)
    }

    fn open(&self, row: sql::keys::KeyRow) -> std::result::Result<Key, SecretError> {
        let seed = self.root.open(&row.key_id, &row.kid, &row.private_enc)?;
        let pair = pair(&seed)?;
        let public: [u8; 32] = pair
            .public_key()
            .as_ref()
            .try_into()
            .or(Err(SecretError::SigningKey))?;
        if row.public_key != public {
            return Err(SecretError::SigningKey);
        }
        let document = pair.to_pkcs8().or(Err(SecretError::SigningKey))?;
        Ok(Key {
            kid: row.kid,
            public: Some(public),
            signs: EncodingKey::from_ed_der(document.as_ref()),
            checks: DecodingKey::from_ed_der(&public),
            active_from: row.active_from,
            retires_at: row.retires_at,
        })
    }

    fn held(&self) -> Option<Arc<KeySet>> {
        self.set
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What the job tells people: how many keys there are and when the last one retires.
    pub(crate) fn status(set: &KeySet) -> String {
        let last = set.keys.iter().map(|key| key.retires_at).max();
        let last = last.map_or_else(String::new, |at| format!(", the last retires {at}"));
        format!("{} keys{last}", set.keys.len())
    }
}

/// The set of one shared secret, which never ages.
fn shared_set(secret: &SecretString) -> KeySet {
    let secret = secret.expose_secret().as_bytes();
    let key = Key {
        kid: web_kit::HS256_KID.to_owned(),
        public: None,
        signs: EncodingKey::from_secret(secret),
        checks: DecodingKey::from_secret(secret),
        active_from: Timestamp::MIN,
        retires_at: Timestamp::MAX,
    };
    KeySet {
        keys: vec![key],
        loaded_at: Timestamp::MIN,
    }
}

fn pair(seed: &[u8]) -> std::result::Result<Ed25519KeyPair, SecretError> {
    if seed.len() != 32 {
        return Err(SecretError::SigningKey);
    }
    Ed25519KeyPair::from_seed_unchecked(seed).or(Err(SecretError::SigningKey))
}

impl KeySet {
    /// [`KeySet::active`], as an error when there is none, which `Keys::set` rules out.
    pub(crate) fn signer(&self, now: Timestamp) -> Result<&Key> {
        self.active(now)
            .ok_or(Error::Broken("no signing key is active"))
    }
}
