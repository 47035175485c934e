//! Types and their rules. Pure.

use contracts::identity::AccountKind;
use jiff::Timestamp;
use kernel::{DeviceId, UserId};
use serde::{Deserialize, Serialize};

/// Whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A person.
    User,
    /// A bot.
    Bot,
    /// The program itself.
    System,
}

/// What an account may do at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything its rights allow.
    Active,
    /// Nothing; an administrator can undo it.
    Disabled,
    /// Waiting for its erasure.
    Deleting,
    /// Erased; only the id is left.
    Erased,
}

impl State {
    /// The stored word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Disabled => "disabled",
            State::Deleting => "deleting",
            State::Erased => "erased",
        }
    }
}

/// A stored word that this build does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown word {0:?}")]
pub struct UnknownWord(String);

impl TryFrom<String> for Kind {
    type Error = UnknownWord;
    fn try_from(word: String) -> Result<Self, UnknownWord> {
        match word.as_str() {
            "user" => Ok(Kind::User),
            "bot" => Ok(Kind::Bot),
            "system" => Ok(Kind::System),
            _ => Err(UnknownWord(word)),
        }
    }
}

impl TryFrom<String> for State {
    type Error = UnknownWord;
    fn try_from(word: String) -> Result<Self, UnknownWord> {
        match word.as_str() {
            "active" => Ok(State::Active),
            "disabled" => Ok(State::Disabled),
            "deleting" => Ok(State::Deleting),
            "erased" => Ok(State::Erased),
            _ => Err(UnknownWord(word)),
        }
    }
}

impl From<Kind> for AccountKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::User => AccountKind::Person,
            Kind::Bot | Kind::System => AccountKind::Bot,
        }
    }
}

/// An account as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, db::FromRow)]
pub struct Account {
    /// The user.
    pub id: UserId,
    /// Whose it is.
    #[row(via = "String")]
    pub kind: Kind,
    /// E.164.
    pub phone_number: Option<String>,
    /// As it was typed.
    pub email: Option<String>,
    /// Unique name.
    pub username: String,
    /// The name people read.
    pub display_name: String,
    /// A picture.
    pub profile_picture_url: Option<String>,
    /// Its hash, for addresses that clients put together.
    pub avatar: Option<String>,
    /// What the user says about themselves.
    pub about: Option<String>,
    /// Language tag.
    pub locale: String,
    /// What it may do at all.
    #[row(via = "String")]
    pub state: State,
    /// Raised by every change.
    pub version: i32,
    /// When the number was proved.
    pub phone_verified_at: Option<Timestamp>,
    /// When the address was proved.
    pub email_verified_at: Option<Timestamp>,
}

/// An account as every other user may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Card {
    /// The user.
    pub id: UserId,
    /// Unique name.
    pub username: String,
    /// The name people read.
    pub display_name: String,
    /// What the user says about themselves.
    pub about: Option<String>,
    /// A picture.
    pub profile_picture_url: Option<String>,
    /// E.164; only to whom its owner shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// The last sign of life, to the minute; only to whom its owner shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
}

// As strangers see it.
impl From<Account> for Card {
    fn from(account: Account) -> Self {
        Card {
            id: account.id,
            username: account.username,
            display_name: account.display_name,
            about: account.about,
            profile_picture_url: account.profile_picture_url,
            phone_number: None,
            last_seen_at: None,
        }
    }
}

/// What can prove a login of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema, db::FromRow)]
pub struct Factors {
    /// Whether it has a password.
    pub password: bool,
    /// Whether it has an authenticator app.
    pub totp: bool,
    /// How many passkeys.
    pub passkeys: i64,
    /// How many unused recovery codes.
    pub recovery_codes_left: i64,
    /// Whether a PIN guards the number.
    pub registration_lock: bool,
}

impl Factors {
    /// Whether a password alone does not log the user in.
    pub(crate) fn has_second(&self) -> bool {
        self.totp || self.passkeys > 0
    }
}

/// An account as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Me {
    /// The user.
    pub id: UserId,
    /// Unique name.
    pub username: String,
    /// The name people read.
    pub display_name: String,
    /// What the user says about themselves.
    pub about: Option<String>,
    /// A picture.
    pub profile_picture_url: Option<String>,
    /// E.164.
    pub phone_number: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Whether the number was proved.
    pub phone_verified: bool,
    /// Whether the address was proved.
    pub email_verified: bool,
    /// Language tag.
    pub locale: String,
    /// Platform roles.
    pub roles: Vec<String>,
    /// What can prove a login.
    pub factors: Factors,
    /// The member of staff who acts as this user just now; a page shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impersonated_by: Option<UserId>,
    /// When the account will be erased, where its owner wished for that and did not think again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erase_at: Option<Timestamp>,
    /// Raised by every change; the `ETag`.
    pub version: i32,
}

impl Me {
    /// Puts the parts together.
    pub(crate) fn new(account: Account, roles: Vec<String>, factors: Factors) -> Self {
        Me {
            id: account.id,
            username: account.username,
            display_name: account.display_name,
            about: account.about,
            profile_picture_url: account.profile_picture_url,
            phone_number: account.phone_number,
            phone_verified: account.phone_verified_at.is_some(),
            email_verified: account.email_verified_at.is_some(),
            email: account.email,
            locale: account.locale,
            roles,
            factors,
            impersonated_by: None,
            erase_at: None,
            version: account.version,
        }
    }
}

/// What a client says about the device it runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceInfo {
    /// A name for the list of devices.
    #[schema(format = "line", min_length = 1, max_length = 100)]
    pub device_name: Option<String>,
    /// What kind of device it is.
    pub device_type: Option<DeviceType>,
    /// Where to push to.
    #[schema(format = "line", min_length = 1, max_length = 4096)]
    pub push_notification_token: Option<String>,
}

/// Kinds of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum DeviceType {
    Web,
    Ios,
    Android,
    Desktop,
    Cli,
}

impl DeviceType {
    /// Reads a word; none for kinds nobody knows.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        let all = [
            DeviceType::Web,
            DeviceType::Ios,
            DeviceType::Android,
            DeviceType::Desktop,
            DeviceType::Cli,
        ];
        all.into_iter().find(|kind| kind.word() == word)
    }

    /// The stored word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            DeviceType::Web => "web",
            DeviceType::Ios => "ios",
            DeviceType::Android => "android",
            DeviceType::Desktop => "desktop",
            DeviceType::Cli => "cli",
        }
    }
}

/// One login of a user, as they see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Device {
    /// The device.
    pub id: DeviceId,
    /// Whether it is the one that asks.
    pub current: bool,
    /// `token`, `browser` or `support`.
    pub kind: String,
    /// Its name.
    pub device_name: Option<String>,
    /// What kind of device it is.
    pub device_type: Option<String>,
    /// The address of its last login.
    pub ip: Option<String>,
    /// The program of its last login.
    pub user_agent: Option<String>,
    /// How the login was proved.
    pub amr: Vec<String>,
    /// When it last refreshed or logged in.
    pub last_seen_at: Timestamp,
    /// When it first logged in.
    pub created_at: Timestamp,
}
