//! Cards of users, kept for a short while. Nobody else's data is copied into tables.

use std::collections::HashMap;

use contracts::identity::User;
use kernel::UserId;

use crate::Messaging;
use crate::error::Error;

/// The most ids identity takes at once.
const AT_ONCE: usize = 500;

/// Cards by id.
#[derive(Debug, Default)]
pub(crate) struct Cards(HashMap<UserId, User>);

impl Cards {
    /// The card, or one that stands in for an erased account.
    pub(crate) fn get(&self, user: UserId) -> User {
        self.0
            .get(&user)
            .cloned()
            .unwrap_or_else(|| User::unknown(user))
    }

    /// The card of an account that exists.
    pub(crate) fn known(&self, user: UserId) -> Option<&User> {
        self.0.get(&user)
    }
}

impl Messaging {
    /// Fetches the cards of `ids`; unknown ones are left out.
    pub(crate) async fn cards(&self, ids: &[UserId]) -> Result<Cards, Error> {
        let mut cards = HashMap::with_capacity(ids.len());
        let mut missing = Vec::new();
        for id in ids {
            match self.users.get(id) {
                Some(user) => {
                    cards.insert(*id, user);
                }
                None => missing.push(*id),
            }
        }
        missing.sort_unstable();
        missing.dedup();
        for part in missing.chunks(AT_ONCE) {
            for user in self.identity.users(part).await? {
                self.users.insert(user.id, user.clone());
                cards.insert(user.id, user);
            }
        }
        Ok(Cards(cards))
    }
}
