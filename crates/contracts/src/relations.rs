//! What others ask about who knows whom.

use async_trait::async_trait;
use jiff::Timestamp;
use kernel::{Failure, UserId};
use serde::{Deserialize, Serialize};

use crate::identity::User;

/// What one user has with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bond {
    /// Both agreed.
    Friend,
    /// The other one asked.
    PendingIn,
    /// The user asked.
    PendingOut,
    /// The user wants nothing from the other one.
    Block,
}

/// How two users stand to each other, seen from one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relation {
    /// The other one.
    pub other: UserId,
    /// What the user has with the other one, beside the address book.
    pub bond: Option<Bond>,
    /// Whether the other one is in the user's address book.
    pub is_contact: bool,
    /// Whether the other one blocked the user. Never shown to the user.
    pub is_blocked_by: bool,
}

/// A friend, a request or a block in the dialect's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Relationship {
    /// The other one.
    pub id: UserId,
    /// 1 = friend, 2 = blocked, 3 = asks, 4 = was asked.
    #[serde(rename = "type")]
    pub kind: u8,
    /// Always null.
    pub nickname: Option<String>,
    /// The other one.
    pub user: User,
    /// Since when.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

/// The people around a user, each list in the order of ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Circle {
    /// In the user's address book, blocked ones left out.
    pub contacts: Vec<UserId>,
    /// Friends.
    pub friends: Vec<UserId>,
    /// Blocked by the user, or the other way round: neither sees the other.
    pub severed: Vec<UserId>,
    /// Whether everybody may see that the user is here; else those around, or nobody.
    pub is_open: bool,
}

/// Whether somebody may write to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// They know each other: yes, without asking further.
    Known,
    /// They do not, but strangers are welcome: the asker's own rule decides (a shared community).
    Stranger,
    /// No: a block, or a recipient who takes no messages from such people.
    Refused,
}

/// What of a user another one may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visible {
    /// Whose it is.
    pub user: UserId,
    /// The telephone number.
    pub phone: bool,
    /// When the user was here last.
    pub last_seen: bool,
    /// Whether the user is here now.
    pub presence: bool,
    /// Whether the user read a message.
    pub receipts: bool,
}

/// Who knows whom, as other contexts need it. Answers are never cached: a block acts at once.
#[async_trait]
pub trait Relations: Send + Sync + 'static {
    /// How `user` stands to each of `ids`; those with whom there is nothing are left out. At most
    /// 500.
    async fn between(&self, user: UserId, ids: &[UserId]) -> Result<Vec<Relation>, Failure>;

    /// The people around a user.
    async fn circle(&self, user: UserId) -> Result<Circle, Failure>;

    /// Friends, requests and blocks of a user, in the order of ids.
    async fn relationships(&self, user: UserId) -> Result<Vec<Relationship>, Failure>;

    /// Whether `from` may write to `to`.
    async fn may_write(&self, from: UserId, to: UserId) -> Result<Consent, Failure>;

    /// What `viewer` may see of each of `ids`; unknown users are left out. At most 500.
    async fn visible(&self, viewer: UserId, ids: &[UserId]) -> Result<Vec<Visible>, Failure>;
}
