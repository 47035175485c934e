//! Accounts in a map.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use contracts::Identity;
use contracts::identity::{AccountKind, ContactProofs, User};
use kernel::failure::{INVALID_REQUEST, UNAVAILABLE};
use kernel::{Failure, FieldError, UserId};

/// As many as the real one takes.
const MAX_USERS: usize = 500;

/// [`Identity`] over a map. Knows only those who were added.
#[derive(Debug, Default)]
pub struct FakeIdentity {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    proofs: std::collections::HashMap<UserId, ContactProofs>,
    users: BTreeMap<UserId, User>,
    retired: Vec<UserId>,
    bots: i64,
    away: bool,
}

/// The first bot made gets this id; far from ids tests write by hand.
const FIRST_BOT: i64 = 9_000_000_000_000_000;

impl FakeIdentity {
    /// Knows nobody.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Knows these people, by id and username.
    #[must_use]
    pub fn with(people: &[(i64, &str)]) -> Arc<Self> {
        let fake = Self::new();
        for (id, name) in people {
            fake.add(UserId::new(*id), name);
        }
        fake
    }

    /// Adds a person whose display name is the username.
    pub fn add(&self, id: UserId, username: &str) -> User {
        self.put(User::new(
            id,
            username.to_owned(),
            username.to_owned(),
            AccountKind::Person,
        ))
    }

    /// Adds or replaces an account.
    pub fn put(&self, user: User) -> User {
        self.lock().users.insert(user.id, user.clone());
        user
    }

    /// Says what an account proved about how it is reached; nothing at first.
    pub fn prove(&self, id: UserId, proofs: ContactProofs) {
        self.lock().proofs.insert(id, proofs);
    }

    /// Forgets an account, as if it were erased.
    pub fn remove(&self, id: UserId) {
        self.lock().users.remove(&id);
    }

    /// From now on every call fails as if identity were away.
    pub fn leave(&self) {
        self.lock().away = true;
    }

    /// Calls work again.
    pub fn come_back(&self) {
        self.lock().away = false;
    }

    /// How many bots were ever made.
    pub fn bots_made(&self) -> usize {
        usize::try_from(self.lock().bots).unwrap_or(usize::MAX)
    }

    /// The bots that were retired, in order.
    pub fn retired(&self) -> Vec<UserId> {
        self.lock().retired.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn present(&self) -> Result<std::sync::MutexGuard<'_, State>, Failure> {
        let state = self.lock();
        if state.away {
            Err(UNAVAILABLE.fail())
        } else {
            Ok(state)
        }
    }
}

#[async_trait]
impl Identity for FakeIdentity {
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, Failure> {
        let state = self.present()?;
        if ids.len() > MAX_USERS {
            let error = FieldError::new("/ids", "TOO_MANY", format!("at most {MAX_USERS}"));
            return Err(INVALID_REQUEST.fail().field(error));
        }
        Ok(ids
            .iter()
            .filter_map(|id| state.users.get(id).cloned())
            .collect())
    }

    async fn contact_proofs(&self, user: UserId) -> Result<ContactProofs, Failure> {
        let state = self.present()?;
        Ok(state.proofs.get(&user).copied().unwrap_or_default())
    }

    async fn create_bot(&self, _owner: UserId, name: &str) -> Result<User, Failure> {
        let mut state = self.present()?;
        let id = UserId::new(FIRST_BOT + state.bots);
        state.bots += 1;
        let username = format!("bot_{}", state.bots);
        let user = User::new(id, username, name.to_owned(), AccountKind::Bot);
        state.users.insert(id, user.clone());
        Ok(user)
    }

    async fn retire_bot(&self, bot: UserId) -> Result<(), Failure> {
        self.present()?.retired.push(bot);
        Ok(())
    }
}
