//! Whether people are here, and how that is told.
//!
//! A socket says what it wants shown ([`Wish`]). [`book`] makes one state per user of those of all
//! sockets and says when it is to be told anew; [`announce`] publishes it to whoever may see it;
//! [`outlet`] lets workers send it on no faster than they may, behind everything else.

pub(crate) mod announce;
pub(crate) mod book;
mod deliver;
pub(crate) mod lease;
pub(crate) mod outlet;
pub(crate) mod wish;

use kernel::{CommunityId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use wish::{Budget, Status, Wish};

/// A user as others are shown them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) status: Status,
    /// Kind of client (`desktop`, `mobile`, `web`) and its best status, in this order.
    pub(crate) clients: Vec<(String, Status)>,
    /// As JSON, so that states compare and copy cheaply; empty stands for none.
    pub(crate) activities: String,
}

impl Shown {
    /// Whether others see the user at all.
    pub(crate) fn is_here(&self) -> bool {
        self.status != Status::Offline
    }

    /// The `d` of PRESENCE_UPDATE, and an element of `presences`.
    pub(crate) fn payload(&self, user: UserId, community: Option<CommunityId>) -> Value {
        let activities: Value =
            serde_json::from_str(&self.activities).unwrap_or_else(|_| json!([]));
        let clients: serde_json::Map<String, Value> = self
            .clients
            .iter()
            .map(|(kind, status)| (kind.clone(), json!(status)))
            .collect();
        let mut d = json!({
            "user": {"id": user},
            "status": self.status,
            "activities": activities,
            "client_status": clients,
        });
        if let (Some(community), Some(d)) = (community, d.as_object_mut()) {
            d.insert("guild_id".to_owned(), json!(community));
        }
        d
    }
}

/// Whom a user's own rule lets see them, before anybody is asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Everybody,
    Some,
}

/// Who may see a user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Sight {
    /// Whether everybody may who has the same rule, but for `severed`.
    pub(crate) is_open: bool,
    /// Blocked ones and those who blocked, in order.
    pub(crate) severed: Vec<UserId>,
    /// Friends, contacts and who has a direct channel with them, as far as they may; in order.
    pub(crate) known: Vec<UserId>,
}

impl Sight {
    /// The same for the user as a viewer of others.
    pub(crate) fn reach(&self) -> Reach {
        if self.is_open {
            Reach::Everybody
        } else {
            Reach::Some
        }
    }

    /// Whether `viewer`, whose own rule has this reach, may see the user.
    pub(crate) fn admits(&self, viewer: UserId, viewers: Reach) -> bool {
        self.known.binary_search(&viewer).is_ok() || self.admits_strangers(viewer, viewers)
    }

    /// The same for what is shown in a community.
    pub(crate) fn admits_strangers(&self, viewer: UserId, viewers: Reach) -> bool {
        self.is_open && viewers == Reach::Everybody && self.severed.binary_search(&viewer).is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_is_the_dialects() {
        let shown = Shown {
            status: Status::Idle,
            clients: vec![("desktop".to_owned(), Status::Idle)],
            activities: r#"[{"name":"x","type":0}]"#.to_owned(),
        };
        assert_eq!(
            shown.payload(UserId::new(7), Some(CommunityId::new(5))),
            json!({"user": {"id": "7"}, "guild_id": "5", "status": "idle",
                "activities": [{"name": "x", "type": 0}], "client_status": {"desktop": "idle"}})
        );
        let gone = Shown::default().payload(UserId::new(7), None);
        assert_eq!(
            gone,
            json!({"user": {"id": "7"}, "status": "offline", "activities": [], "client_status": {}})
        );
    }

    #[test]
    fn sight_is_mutual_and_blocks_win() {
        let (friend, blocked, stranger) = (UserId::new(1), UserId::new(2), UserId::new(3));
        let mut sight = Sight {
            is_open: true,
            severed: vec![blocked],
            known: vec![friend],
        };
        assert!(sight.admits(friend, Reach::Some) && sight.admits(stranger, Reach::Everybody));
        assert!(
            !sight.admits(stranger, Reach::Some),
            "who hides does not see"
        );
        assert!(!sight.admits(blocked, Reach::Everybody));
        sight.is_open = false;
        assert!(
            sight.admits(friend, Reach::Everybody) && !sight.admits(stranger, Reach::Everybody)
        );
    }
}
