//! Who knows whom, in two sets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use contracts::Relations;
use contracts::identity::User;
use contracts::relations::{Bond, Circle, Consent, Relation, Relationship, Visible};
use jiff::Timestamp;
use kernel::failure::UNAVAILABLE;
use kernel::{Failure, UserId};

/// [`Relations`] over a map: everybody is a stranger who may be written to, until a test says more.
#[derive(Debug, Default)]
pub struct FakeRelations {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bonds: BTreeMap<(UserId, UserId), Bond>,
    closed: BTreeSet<UserId>,
    discreet: BTreeSet<UserId>,
    shy: BTreeSet<UserId>,
    away: bool,
}

impl FakeRelations {
    /// Knows nobody.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Makes two people friends.
    pub fn befriend(&self, one: UserId, other: UserId) {
        let mut state = self.lock();
        state.bonds.insert((one, other), Bond::Friend);
        state.bonds.insert((other, one), Bond::Friend);
    }

    /// `user` blocks `other`; whatever else they had is over.
    pub fn block(&self, user: UserId, other: UserId) {
        let mut state = self.lock();
        state.bonds.remove(&(other, user));
        state.bonds.insert((user, other), Bond::Block);
    }

    /// Takes back what `user` has with `other`.
    pub fn part(&self, user: UserId, other: UserId) {
        self.lock().bonds.remove(&(user, other));
    }

    /// From now on only friends may write to `user`.
    pub fn close(&self, user: UserId) {
        self.lock().closed.insert(user);
    }

    /// From now on nobody sees what `user` has read, and `user` sees it of nobody.
    pub fn hide_receipts(&self, user: UserId) {
        self.lock().discreet.insert(user);
    }

    /// From now on nobody sees whether `user` is here or was, and `user` sees it of nobody.
    pub fn hide_presence(&self, user: UserId) {
        self.lock().shy.insert(user);
    }

    /// From now on every call fails as if identity were away.
    pub fn leave(&self) {
        self.lock().away = true;
    }

    /// Calls work again.
    pub fn come_back(&self) {
        self.lock().away = false;
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

impl State {
    fn relation(&self, user: UserId, other: UserId) -> Relation {
        Relation {
            other,
            bond: self.bonds.get(&(user, other)).copied(),
            is_contact: false,
            is_blocked_by: self.bonds.get(&(other, user)) == Some(&Bond::Block),
        }
    }

    fn is_severed(&self, user: UserId, other: UserId) -> bool {
        let relation = self.relation(user, other);
        relation.is_blocked_by || relation.bond == Some(Bond::Block)
    }
}

#[async_trait]
impl Relations for FakeRelations {
    async fn between(&self, user: UserId, ids: &[UserId]) -> Result<Vec<Relation>, Failure> {
        let state = self.present()?;
        Ok(ids
            .iter()
            .map(|id| state.relation(user, *id))
            .filter(|relation| relation.bond.is_some() || relation.is_blocked_by)
            .collect())
    }

    async fn circle(&self, user: UserId) -> Result<Circle, Failure> {
        let state = self.present()?;
        let mut circle = Circle {
            is_open: !state.shy.contains(&user),
            ..Circle::default()
        };
        for ((one, other), bond) in &state.bonds {
            match bond {
                Bond::Friend if *one == user => circle.friends.push(*other),
                Bond::Block if *one == user => circle.severed.push(*other),
                Bond::Block if *other == user => circle.severed.push(*one),
                Bond::Friend | Bond::Block | Bond::PendingIn | Bond::PendingOut => {}
            }
        }
        circle.severed.sort_unstable();
        circle.severed.dedup();
        Ok(circle)
    }

    async fn relationships(&self, user: UserId) -> Result<Vec<Relationship>, Failure> {
        let state = self.present()?;
        let own = state.bonds.iter().filter(|((one, _), _)| *one == user);
        Ok(own
            .map(|((_, other), bond)| Relationship {
                id: *other,
                kind: match bond {
                    Bond::Friend => 1,
                    Bond::Block => 2,
                    Bond::PendingIn => 3,
                    Bond::PendingOut => 4,
                },
                nickname: None,
                user: User::unknown(*other),
                since: Timestamp::UNIX_EPOCH,
            })
            .collect())
    }

    async fn may_write(&self, from: UserId, to: UserId) -> Result<Consent, Failure> {
        let state = self.present()?;
        let relation = state.relation(from, to);
        Ok(if state.is_severed(from, to) {
            Consent::Refused
        } else if relation.bond == Some(Bond::Friend) {
            Consent::Known
        } else if state.closed.contains(&to) {
            Consent::Refused
        } else {
            Consent::Stranger
        })
    }

    async fn visible(&self, viewer: UserId, ids: &[UserId]) -> Result<Vec<Visible>, Failure> {
        let state = self.present()?;
        Ok(ids
            .iter()
            .map(|id| {
                let seen = !state.is_severed(viewer, *id);
                let discreet = viewer != *id
                    && (state.discreet.contains(&viewer) || state.discreet.contains(id));
                let shy = viewer != *id && (state.shy.contains(&viewer) || state.shy.contains(id));
                Visible {
                    user: *id,
                    phone: seen && state.relation(viewer, *id).bond == Some(Bond::Friend),
                    last_seen: seen && !shy,
                    presence: seen && !shy,
                    receipts: seen && !discreet,
                }
            })
            .collect())
    }
}
