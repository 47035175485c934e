//! Who may see what of whom, and who may write to whom.
//!
//! A switch says *everyone*, *contacts* (people in one's address book, and friends) or *nobody*. A
//! block hides everything, both ways. Whoever hides when they were here last, or what they read,
//! from somebody does not see it of them either.

use contracts::relations::{Consent, Visible};
use kernel::{Caller, UserId};
use serde::{Deserialize, Serialize};

use crate::Identity;
use crate::error::Result;
use crate::model::{Account, Card};
use crate::relations::person;
use crate::sql;
use crate::sql::relations::{Sight, SwitchChange, Switches};

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Whom {
    /// Everybody who is not blocked.
    Everyone,
    /// People in one's address book, and friends.
    Contacts,
    /// Nobody; of writing: friends only.
    Nobody,
}

impl Whom {
    fn word(self) -> &'static str {
        match self {
            Whom::Everyone => "everyone",
            Whom::Contacts => "contacts",
            Whom::Nobody => "nobody",
        }
    }

    /// A stored word; an unknown one of a newer build allows nothing.
    fn of(word: &str) -> Self {
        match word {
            "everyone" => Whom::Everyone,
            "contacts" => Whom::Contacts,
            _ => Whom::Nobody,
        }
    }

    /// Of a switch that may never have been set.
    fn or(word: Option<&str>, default: Whom) -> Self {
        word.map_or(default, Whom::of)
    }

    fn allows(self, from: Distance) -> bool {
        match self {
            Whom::Everyone => true,
            Whom::Contacts => from == Distance::Near,
            Whom::Nobody => false,
        }
    }
}

/// How somebody stands to the owner of a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Distance {
    /// In the address book, or a friend.
    Near,
    Far,
}

impl Distance {
    fn to_viewer(sight: &Sight) -> Self {
        if sight.knows {
            Distance::Near
        } else {
            Distance::Far
        }
    }

    fn from_viewer(sight: &Sight) -> Self {
        if sight.known {
            Distance::Near
        } else {
            Distance::Far
        }
    }
}

/// The switches of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Privacy {
    /// Who may begin to write; friends always may.
    pub who_may_write: Whom,
    /// Who finds the account by its telephone number.
    pub find_by_phone: Whom,
    /// Who sees when the user was here last.
    pub last_seen: Whom,
    /// Who sees what the user has read.
    pub receipts: Whom,
    /// Who sees whether the user is here.
    pub presence: Whom,
    /// Who sees the telephone number.
    pub phone: Whom,
}

impl Default for Privacy {
    // The same as the defaults of the table's columns.
    fn default() -> Self {
        Privacy {
            who_may_write: Whom::Everyone,
            find_by_phone: Whom::Contacts,
            last_seen: Whom::Contacts,
            receipts: Whom::Everyone,
            presence: Whom::Everyone,
            phone: Whom::Contacts,
        }
    }
}

impl From<Switches> for Privacy {
    fn from(row: Switches) -> Self {
        Privacy {
            who_may_write: Whom::of(&row.who_may_write),
            find_by_phone: Whom::of(&row.find_by_phone),
            last_seen: Whom::of(&row.last_seen),
            receipts: Whom::of(&row.receipts),
            presence: Whom::of(&row.presence),
            phone: Whom::of(&row.phone),
        }
    }
}

/// Switches to be changed; what is absent stays.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PrivacyChange {
    /// Who may begin to write.
    pub who_may_write: Option<Whom>,
    /// Who finds the account by its telephone number.
    pub find_by_phone: Option<Whom>,
    /// Who sees when the user was here last.
    pub last_seen: Option<Whom>,
    /// Who sees what the user has read.
    pub receipts: Option<Whom>,
    /// Who sees whether the user is here.
    pub presence: Option<Whom>,
    /// Who sees the telephone number.
    pub phone: Option<Whom>,
}

/// What a viewer may see of somebody: the rules, whole.
fn judge(viewer: UserId, sight: &Sight) -> Visible {
    let default = Privacy::default();
    let allows = |word: &Option<String>, default: Whom, from: Distance| {
        let switch = Whom::or(word.as_deref(), default);
        viewer == sight.id || (!sight.is_severed && switch.allows(from))
    };
    let (knows, known) = (Distance::to_viewer(sight), Distance::from_viewer(sight));
    Visible {
        user: sight.id,
        phone: allows(&sight.phone, default.phone, knows),
        presence: allows(&sight.presence, default.presence, knows)
            && allows(&sight.own_presence, default.presence, known),
        last_seen: allows(&sight.last_seen, default.last_seen, knows)
            && allows(&sight.own_last_seen, default.last_seen, known),
        receipts: allows(&sight.receipts, default.receipts, knows)
            && allows(&sight.own_receipts, default.receipts, known),
    }
}

/// Whether the viewer may write to somebody.
fn consent(sight: &Sight) -> Consent {
    let switch = Whom::or(
        sight.who_may_write.as_deref(),
        Privacy::default().who_may_write,
    );
    match switch {
        _ if sight.is_severed => Consent::Refused,
        _ if sight.is_friend => Consent::Known,
        Whom::Everyone | Whom::Contacts if sight.knows => Consent::Known,
        Whom::Everyone => Consent::Stranger,
        Whom::Contacts | Whom::Nobody => Consent::Refused,
    }
}

impl Identity {
    /// The caller's switches.
    pub async fn privacy(&self, caller: &Caller) -> Result<Privacy> {
        person(caller)?;
        let found = sql::relations::find_privacy(&self.db, caller.user).await?;
        Ok(found.map(Privacy::from).unwrap_or_default())
    }

    /// Changes switches of the caller; each acts from the next look on.
    pub async fn change_privacy(&self, caller: &Caller, change: PrivacyChange) -> Result<Privacy> {
        person(caller)?;
        let word = |whom: Option<Whom>| whom.map(Whom::word);
        let row = SwitchChange {
            who_may_write: word(change.who_may_write),
            find_by_phone: word(change.find_by_phone),
            last_seen: word(change.last_seen),
            receipts: word(change.receipts),
            presence: word(change.presence),
            phone: word(change.phone),
        };
        let tx = self.db.begin().await?;
        let now = self.clock.now();
        let switches = sql::relations::put_privacy(&tx, caller.user, &row, now).await?;
        tx.commit().await?;
        if change.presence.is_some() {
            self.tell_sight_changed(caller.user).await;
        }
        Ok(switches.into())
    }

    /// What a viewer may see of users; unknown ones are left out.
    pub(crate) async fn visible_to(
        &self,
        viewer: UserId,
        users: &[UserId],
    ) -> Result<Vec<Visible>> {
        let sights = sql::relations::sights(&self.db, viewer, users).await?;
        Ok(sights.iter().map(|sight| judge(viewer, sight)).collect())
    }

    /// Whether `from` may write to `to`.
    pub(crate) async fn consent_of(&self, from: UserId, to: UserId) -> Result<Consent> {
        let sights = sql::relations::sights(&self.db, from, &[to]).await?;
        // Whoever was erased takes no messages.
        Ok(sights.first().map_or(Consent::Refused, consent))
    }

    /// The card of a user as `viewer` may see it.
    pub async fn card(&self, viewer: UserId, user: UserId) -> Result<Option<Card>> {
        Ok(self.cards(viewer, &[user]).await?.pop())
    }

    /// The cards of users as `viewer` may see them, in the order asked for; unknown ones are left
    /// out.
    pub async fn cards(&self, viewer: UserId, users: &[UserId]) -> Result<Vec<Card>> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = sql::users::list(&self.db, users).await?;
        found.sort_by_key(|account| users.iter().position(|id| *id == account.id));
        let visible = self.visible_to(viewer, users).await?;
        let open: Vec<UserId> = visible
            .iter()
            .filter(|seen| seen.last_seen)
            .map(|seen| seen.user)
            .collect();
        let seen = if open.is_empty() {
            Vec::new()
        } else {
            sql::relations::last_seen(&self.db, &open).await?
        };
        let shown = |account: Account| {
            let may = visible.iter().find(|may| may.user == account.id);
            let last = seen.iter().find(|row| row.user_id == account.id);
            let phone = account.phone_number.clone();
            Card {
                phone_number: phone.filter(|_| may.is_some_and(|may| may.phone)),
                last_seen_at: last.map(|row| row.at),
                ..Card::from(account)
            }
        };
        Ok(found.into_iter().map(shown).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(id: i64) -> Sight {
        Sight {
            id: UserId::new(id),
            who_may_write: None,
            last_seen: None,
            receipts: None,
            presence: None,
            phone: None,
            knows: false,
            is_friend: false,
            is_severed: false,
            own_last_seen: None,
            own_presence: None,
            own_receipts: None,
            known: false,
        }
    }

    fn flags(sight: &Sight) -> [bool; 4] {
        let seen = judge(UserId::new(1), sight);
        [seen.phone, seen.last_seen, seen.presence, seen.receipts]
    }

    #[test]
    fn strangers_see_less_than_contacts_and_the_severed_nothing() {
        let stranger = sight(2);
        assert_eq!(flags(&stranger), [false, false, true, true]);
        let knows = Sight {
            knows: true,
            known: true,
            ..sight(2)
        };
        assert_eq!(flags(&knows), [true; 4]);
        let severed = Sight {
            is_severed: true,
            ..knows
        };
        assert_eq!(flags(&severed), [false; 4]);
        assert_eq!(flags(&sight(1)), [true; 4], "of oneself one sees all");
    }

    #[test]
    fn who_hides_theirs_does_not_see_others() {
        let word = |text: &str| Some(text.to_owned());
        let open = Sight {
            last_seen: word("everyone"),
            own_last_seen: word("everyone"),
            ..sight(2)
        };
        assert_eq!(flags(&open), [false, true, true, true]);
        let hiding = Sight {
            own_last_seen: word("nobody"),
            own_presence: word("nobody"),
            own_receipts: word("nobody"),
            ..open
        };
        assert_eq!(flags(&hiding), [false; 4]);
        let odd = Sight {
            presence: word("a word of tomorrow"),
            ..sight(2)
        };
        assert!(!flags(&odd)[2], "an unknown word hides");
    }

    #[test]
    fn who_may_write() {
        for (switch, knows, is_friend, is_severed, expected) in [
            (None, false, false, false, Consent::Stranger),
            (Some("everyone"), true, false, false, Consent::Known),
            (Some("contacts"), false, false, false, Consent::Refused),
            (Some("contacts"), true, false, false, Consent::Known),
            (Some("nobody"), true, false, false, Consent::Refused),
            (Some("nobody"), true, true, false, Consent::Known),
            (Some("everyone"), true, false, true, Consent::Refused),
        ] {
            let sight = Sight {
                who_may_write: switch.map(str::to_owned),
                knows,
                is_friend,
                is_severed,
                ..sight(2)
            };
            assert_eq!(consent(&sight), expected, "{sight:?}");
        }
    }
}
