//! What others ask of identity.

use async_trait::async_trait;
use jiff::Timestamp;
use kernel::{DeviceId, Failure, UserId};
use serde::{Deserialize, Serialize};

/// Whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    /// A person.
    Person,
    /// A bot of an application.
    Bot,
}

/// A user as every other user may see them; the chat dialect's user object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct User {
    /// The account.
    pub id: UserId,
    /// Unique name, `[a-z0-9_.]{2,32}`.
    pub username: String,
    /// Always "0": names are unique without a number.
    pub discriminator: String,
    /// The name people read.
    pub global_name: Option<String>,
    /// Picture hash; none yet.
    pub avatar: Option<String>,
    /// Whether it is a bot.
    #[serde(default)]
    pub bot: bool,
    /// Dialect's public flags; none are set.
    #[serde(default)]
    pub public_flags: u32,
}

impl User {
    /// The user object of an account.
    pub fn new(id: UserId, username: String, display_name: String, kind: AccountKind) -> Self {
        User {
            id,
            username,
            discriminator: "0".to_owned(),
            global_name: Some(display_name),
            avatar: None,
            bot: kind == AccountKind::Bot,
            public_flags: 0,
        }
    }

    /// Stands in for an account that was erased or never existed.
    pub fn unknown(id: UserId) -> Self {
        User::new(
            id,
            "unknown".to_owned(),
            "Unknown user".to_owned(),
            AccountKind::Person,
        )
    }
}

/// Accounts, as other contexts need them.
#[async_trait]
pub trait Identity: Send + Sync + 'static {
    /// The public cards of `ids`; unknown ones are left out, order is not kept. At most 500.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, Failure>;

    /// Makes the account of a bot. `owner` is recorded as its maker.
    async fn create_bot(&self, owner: UserId, name: &str) -> Result<User, Failure>;

    /// Disables a bot's account for good.
    async fn retire_bot(&self, bot: UserId) -> Result<(), Failure>;
}

/// One public key that signs access tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// The `kid` of the token header.
    pub kid: String,
    /// Raw Ed25519 public key.
    pub public: [u8; 32],
}

/// A device that was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// The device.
    pub device: DeviceId,
    /// When.
    pub at: Timestamp,
}

/// What verifiers on every node need to judge tokens by themselves.
#[async_trait]
pub trait Credentials: Send + Sync + 'static {
    /// Every key a token may be signed with now: published, active and lately retired ones.
    async fn keys(&self) -> Result<Vec<SigningKey>, Failure>;

    /// Devices revoked since `since`. The caller overlaps its windows; an answer may repeat.
    async fn revoked_since(&self, since: Timestamp) -> Result<Vec<Revocation>, Failure>;

    /// Whether the device may still act: it exists, is not revoked and has not expired, and its
    /// user is active.
    async fn device_is_live(&self, device: DeviceId) -> Result<bool, Failure>;
}
