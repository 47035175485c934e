//! Friends and blocks: what two users have with each other, and how it changes.
//!
//! Both rows of a pair are read and written under a lock on both accounts ([`sql::relations::lock`]),
//! so that two who ask each other at once become friends, and nobody has more friends than the
//! bound. The rules themselves are [`decide`], a pure function.

mod told;

use contracts::relations::{Bond, Circle, Relation, Relationship};
use jiff::Timestamp;
use kernel::{Caller, CallerKind, Cursor, UserId};

use crate::Identity;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::limits;
use crate::model::{Card, Kind};
use crate::sql;
use crate::visibility::{Privacy, Whom};

use told::dialect_type;

/// Most friends of one user.
pub const MAX_FRIENDS: i64 = 1_000;
/// Most requests of one user that wait for an answer.
pub const MAX_PENDING_OUT: i64 = 100;
/// Most requests that wait for one user's answer; further ones are refused.
pub const MAX_PENDING_IN: i64 = 1_000;
/// Most blocks of one user.
pub const MAX_BLOCKS: i64 = 1_000;

/// What somebody wants with somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To be friends: asks, or accepts what was asked.
    Befriend,
    /// Only to accept what was asked.
    Accept,
    /// To be friends no more, or to decline or take back a request.
    Unfriend,
    /// To have nothing to do with the other.
    Block,
    /// To end a block.
    Unblock,
    /// To end whatever there is; the chat dialect knows only this.
    Drop,
}

/// What becomes of the two sides of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is so already.
    Stays,
    /// Mine and theirs from now on.
    Becomes(Option<Bond>, Option<Bond>),
    /// One of the two does not want it.
    Refused,
    /// There is nothing to accept.
    Missing,
}

/// Decides on a wish by what the two have now: the rules of friends and blocks, whole.
fn decide(wish: Wish, mine: Option<Bond>, theirs: Option<Bond>) -> Outcome {
    use Outcome::{Becomes, Missing, Refused, Stays};
    // A block of the other side is theirs alone: nothing of mine changes it.
    let rest = theirs.filter(|bond| *bond == Bond::Block);
    match (wish, mine) {
        (Wish::Befriend | Wish::Accept, Some(Bond::Friend))
        | (Wish::Befriend, Some(Bond::PendingOut))
        | (Wish::Unfriend, None | Some(Bond::Block))
        | (Wish::Unblock, None | Some(Bond::Friend | Bond::PendingIn | Bond::PendingOut))
        | (Wish::Drop, None)
        | (Wish::Block, Some(Bond::Block)) => Stays,
        (Wish::Befriend | Wish::Accept, Some(Bond::PendingIn)) => {
            Becomes(Some(Bond::Friend), Some(Bond::Friend))
        }
        (Wish::Befriend, Some(Bond::Block)) => Refused,
        (Wish::Befriend, None) if rest.is_some() => Refused,
        (Wish::Befriend, None) => Becomes(Some(Bond::PendingOut), Some(Bond::PendingIn)),
        (Wish::Accept, None | Some(Bond::PendingOut | Bond::Block)) => Missing,
        (Wish::Block, None | Some(Bond::Friend | Bond::PendingIn | Bond::PendingOut)) => {
            Becomes(Some(Bond::Block), rest)
        }
        (Wish::Unfriend, Some(Bond::Friend | Bond::PendingIn | Bond::PendingOut))
        | (Wish::Unblock, Some(Bond::Block))
        | (Wish::Drop, Some(_)) => Becomes(None, rest),
    }
}

/// The stored word of a bond.
pub(crate) fn word(bond: Bond) -> &'static str {
    match bond {
        Bond::Friend => "friend",
        Bond::PendingIn => "pending_in",
        Bond::PendingOut => "pending_out",
        Bond::Block => "block",
    }
}

/// The bond of a stored word; an entry of the address book is none.
pub(crate) fn bond_of(word: &str) -> Option<Bond> {
    match word {
        "friend" => Some(Bond::Friend),
        "pending_in" => Some(Bond::PendingIn),
        "pending_out" => Some(Bond::PendingOut),
        "block" => Some(Bond::Block),
        _ => None,
    }
}

/// One side of a relation that changed.
struct Changed {
    user: UserId,
    other: UserId,
    before: Option<Bond>,
    after: Option<Bond>,
}

/// A friend, a request or a block in a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Tie {
    /// The other one.
    pub user: Card,
    /// `friend`, `pending_in`, `pending_out` or `block`.
    pub kind: &'static str,
    /// Since when.
    pub since: Timestamp,
}

impl Identity {
    /// Carries out a wish of the caller with somebody.
    ///
    /// Bots and programs have no friends. What is wished again stays as it is.
    pub async fn relate(&self, caller: &Caller, other: UserId, wish: Wish) -> Result<()> {
        person(caller)?;
        let user = caller.user;
        if user == other {
            return Err(Error::Yourself);
        }
        if wish == Wish::Befriend {
            limits::friend_request_of(&*self.limiter, &self.settings.limits, user).await?;
        }
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        let changed = self.settle(&tx, user, other, wish, now).await?;
        let mut events = Events::new(&self.ids, now, Some(user));
        for side in &changed {
            let kind = side.after.map_or("none", word);
            events.relationship_changed(side.user, side.other, kind)?;
        }
        events.append(&tx).await?;
        tx.commit().await?;
        self.show_changes(&changed, now).await
    }

    /// The change of both rows that a wish brings; nothing when all stays as it is.
    async fn settle(
        &self,
        tx: &db::Tx,
        user: UserId,
        other: UserId,
        wish: Wish,
        now: Timestamp,
    ) -> Result<Vec<Changed>> {
        let parties = sql::relations::lock(tx, &[user, other]).await?;
        let peer = parties.iter().find(|party| party.id == other);
        let peer = peer.ok_or(Error::UnknownUser)?;
        let sides = sql::relations::find_pair(tx, user, other).await?;
        let bond = |of: UserId| {
            let side = sides.iter().find(|side| side.user_id == of);
            side.and_then(|side| bond_of(&side.kind))
        };
        let (mine, theirs) = (bond(user), bond(other));
        let (my_next, their_next) = match decide(wish, mine, theirs) {
            Outcome::Stays => return Ok(Vec::new()),
            Outcome::Refused => return Err(Error::FriendRequestRefused),
            Outcome::Missing => return Err(Error::UnknownUser),
            Outcome::Becomes(mine, theirs) => (mine, theirs),
        };
        self.check_bounds(tx, user, peer, my_next).await?;
        let sides = [
            (user, other, mine, my_next),
            (other, user, theirs, their_next),
        ];
        let mut changed = Vec::new();
        for (user, other, before, after) in sides {
            if before == after {
                continue;
            }
            match after {
                Some(bond) => sql::relations::put(tx, user, other, word(bond), now).await?,
                None => sql::relations::clear(tx, user, other).await?,
            }
            changed.push(Changed {
                user,
                other,
                before,
                after,
            });
        }
        Ok(changed)
    }

    /// Whether one more bond fits, and the other side is one to have it with.
    async fn check_bounds(
        &self,
        tx: &db::Tx,
        user: UserId,
        peer: &sql::relations::Party,
        next: Option<Bond>,
    ) -> Result<()> {
        let bounds: &[(UserId, Bond, i64)] = match next {
            None | Some(Bond::PendingIn) => &[],
            Some(Bond::Block) => &[(user, Bond::Block, MAX_BLOCKS)],
            Some(Bond::PendingOut) => {
                if peer.state != "active" || peer.kind == Kind::System {
                    return Err(Error::UnknownUser);
                }
                if peer.kind == Kind::Bot {
                    return Err(Error::FriendsPeopleOnly);
                }
                if !sql::relations::accepts_strangers(tx, peer.id).await? {
                    return Err(Error::FriendRequestRefused);
                }
                &[
                    (user, Bond::PendingOut, MAX_PENDING_OUT),
                    (peer.id, Bond::PendingIn, MAX_PENDING_IN),
                ]
            }
            Some(Bond::Friend) => &[
                (user, Bond::Friend, MAX_FRIENDS),
                (peer.id, Bond::Friend, MAX_FRIENDS),
            ],
        };
        for (of, bond, most) in bounds {
            if sql::relations::count(tx, *of, word(*bond)).await? >= *most {
                return Err(Error::RelationsMax);
            }
        }
        Ok(())
    }

    /// Carries out a wish with whoever goes by a username.
    pub async fn relate_to_name(&self, caller: &Caller, name: &str, wish: Wish) -> Result<UserId> {
        person(caller)?;
        let name = crate::rules::key(name.trim());
        let other = if crate::rules::is_username(&name) {
            sql::address_book::find_username(&self.db, &name).await?
        } else {
            None
        };
        let other = other.ok_or(Error::UnknownUser)?;
        self.relate(caller, other, wish).await?;
        Ok(other)
    }

    /// All friends, requests and blocks of the caller, in the order of ids.
    pub(crate) async fn relationships_of(&self, caller: &Caller) -> Result<Vec<Relationship>> {
        person(caller)?;
        self.bonds(caller.user).await
    }

    /// The same of any user.
    pub(crate) async fn bonds(&self, user: UserId) -> Result<Vec<Relationship>> {
        let kinds = ["friend", "pending_in", "pending_out", "block"];
        let rows = sql::relations::list(&self.db, user, &kinds).await?;
        let ids: Vec<UserId> = rows.iter().map(|row| row.other_id).collect();
        let users = self.chat_users(&ids).await?;
        let shown = rows.into_iter().filter_map(|row| {
            let user = users.iter().find(|user| user.id == row.other_id)?;
            Some(Relationship {
                id: row.other_id,
                kind: dialect_type(bond_of(&row.kind)?),
                nickname: None,
                user: user.clone(),
                since: row.since,
            })
        });
        Ok(shown.collect())
    }

    /// A page of the caller's relations of the given kinds.
    pub(crate) async fn ties(
        &self,
        caller: &Caller,
        kinds: &[&str],
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<(Vec<Tie>, Option<Cursor>)> {
        person(caller)?;
        let after = after.map_or(0, |cursor| cursor.after);
        let most = i64::from(limit.clamp(1, kernel::page::MAX_PAGE));
        // One more than asked for tells whether there is another page.
        let mut rows =
            sql::relations::list_after(&self.db, caller.user, kinds, after, most + 1).await?;
        let next = cut(&mut rows, limit).map(|last| Cursor {
            after: last.other_id.get(),
        });
        let ids: Vec<UserId> = rows.iter().map(|row| row.other_id).collect();
        let cards = self.cards(caller.user, &ids).await?;
        let tie = |row: sql::relations::Listed| {
            let user = cards.iter().find(|card| card.id == row.other_id)?.clone();
            let kind = word(bond_of(&row.kind)?);
            let since = row.since;
            Some(Tie { user, kind, since })
        };
        Ok((rows.into_iter().filter_map(tie).collect(), next))
    }

    /// How a user stands to others.
    pub(crate) async fn between_users(
        &self,
        user: UserId,
        others: &[UserId],
    ) -> Result<Vec<Relation>> {
        let rows = sql::relations::between(&self.db, user, others).await?;
        Ok(rows
            .into_iter()
            .map(|row| Relation {
                other: row.other_id,
                bond: row.kind.as_deref().and_then(bond_of),
                is_contact: row.is_contact,
                is_blocked_by: row.is_blocked_by,
            })
            .collect())
    }

    /// The people around a user.
    pub(crate) async fn circle_of(&self, user: UserId) -> Result<Circle> {
        let switches = sql::relations::find_privacy(&self.db, user).await?;
        let switches = switches.map(Privacy::from).unwrap_or_default();
        let mut circle = Circle {
            is_open: switches.presence == Whom::Everyone,
            ..Circle::default()
        };
        for near in sql::relations::circle(&self.db, user).await? {
            if near.is_severed {
                circle.severed.push(near.id);
                continue;
            }
            if near.is_friend {
                circle.friends.push(near.id);
            }
            if near.is_contact {
                circle.contacts.push(near.id);
            }
        }
        Ok(circle)
    }
}

/// Cuts a list that was read with one row too many; the last row kept, if there are more.
pub(crate) fn cut<T>(rows: &mut Vec<T>, limit: u16) -> Option<&T> {
    let more = rows.len() > usize::from(limit);
    rows.truncate(usize::from(limit));
    rows.last().filter(|_| more)
}

/// Only people have friends, address books and switches.
pub(crate) fn person(caller: &Caller) -> Result<()> {
    match caller.kind {
        CallerKind::User => Ok(()),
        CallerKind::Bot | CallerKind::ApiKey => Err(Error::Forbidden),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BONDS: [Option<Bond>; 5] = [
        None,
        Some(Bond::Friend),
        Some(Bond::PendingIn),
        Some(Bond::PendingOut),
        Some(Bond::Block),
    ];
    const WISHES: [Wish; 6] = [
        Wish::Befriend,
        Wish::Accept,
        Wish::Unfriend,
        Wish::Block,
        Wish::Unblock,
        Wish::Drop,
    ];

    /// What the other side has when one side has this and nobody blocked anybody.
    fn mirror(bond: Option<Bond>) -> Option<Bond> {
        match bond {
            Some(Bond::PendingIn) => Some(Bond::PendingOut),
            Some(Bond::PendingOut) => Some(Bond::PendingIn),
            Some(Bond::Friend) => Some(Bond::Friend),
            Some(Bond::Block) | None => None,
        }
    }

    fn fits(mine: Option<Bond>, theirs: Option<Bond>) -> bool {
        let blocked = [mine, theirs].contains(&Some(Bond::Block));
        let open = |bond: Option<Bond>| bond.is_none() || bond == Some(Bond::Block);
        if blocked {
            open(mine) && open(theirs)
        } else {
            mirror(mine) == theirs
        }
    }

    #[test]
    fn whatever_is_wished_the_two_sides_fit_and_a_wish_repeated_changes_nothing() {
        for mine in BONDS {
            for theirs in BONDS.into_iter().filter(|theirs| fits(mine, *theirs)) {
                for wish in WISHES {
                    let Outcome::Becomes(after, their_after) = decide(wish, mine, theirs) else {
                        continue;
                    };
                    assert!(fits(after, their_after), "{wish:?} {mine:?} {theirs:?}");
                    assert!(
                        theirs != Some(Bond::Block) || their_after == theirs,
                        "a block is lifted by whoever made it: {wish:?} {mine:?}"
                    );
                    let again = decide(wish, after, their_after);
                    assert_eq!(again, Outcome::Stays, "{wish:?} {mine:?} {theirs:?}");
                }
            }
        }
    }

    #[test]
    fn friends_are_made_by_two() {
        let asked = decide(Wish::Befriend, None, None);
        assert_eq!(
            asked,
            Outcome::Becomes(Some(Bond::PendingOut), Some(Bond::PendingIn))
        );
        let accepted = Outcome::Becomes(Some(Bond::Friend), Some(Bond::Friend));
        let (mine, theirs) = (Some(Bond::PendingIn), Some(Bond::PendingOut));
        assert_eq!(decide(Wish::Accept, mine, theirs), accepted);
        assert_eq!(decide(Wish::Befriend, mine, theirs), accepted);
        assert_eq!(decide(Wish::Accept, theirs, mine), Outcome::Missing);
        assert_eq!(decide(Wish::Accept, None, None), Outcome::Missing);
    }

    #[test]
    fn a_block_ends_what_was_and_refuses_what_comes() {
        for mine in [Some(Bond::Friend), Some(Bond::PendingIn), None] {
            let blocked = decide(Wish::Block, mine, mirror(mine));
            assert_eq!(blocked, Outcome::Becomes(Some(Bond::Block), None));
        }
        let block = Some(Bond::Block);
        assert_eq!(decide(Wish::Befriend, None, block), Outcome::Refused);
        assert_eq!(decide(Wish::Befriend, block, None), Outcome::Refused);
        assert_eq!(decide(Wish::Unfriend, block, None), Outcome::Stays);
        assert_eq!(
            decide(Wish::Unblock, block, block),
            Outcome::Becomes(None, block)
        );
        assert_eq!(
            decide(Wish::Drop, block, None),
            Outcome::Becomes(None, None)
        );
    }
}
