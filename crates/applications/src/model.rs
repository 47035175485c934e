//! Types of applications and their rules.

use contracts::identity::User;
use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{ApplicationId, CommunityId, FieldError, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Error;

/// Gateway bits of the intents that must be granted: members, presences, message content.
pub(crate) const PRIVILEGED: i64 = (1 << 1) | (1 << 8) | (1 << 15);
/// What a new application is granted.
pub(crate) const GRANTED_AT_FIRST: i64 = (1 << 1) | (1 << 15);
/// The dialect's application flags of the same three, in their form for bots of few communities.
const FLAGS: [(i64, u32); 3] = [(1 << 8, 1 << 13), (1 << 1, 1 << 15), (1 << 15, 1 << 19)];
/// Longest name and description, in characters.
const MAX_NAME: usize = 32;
const MAX_DESCRIPTION: usize = 400;

/// An application as it is stored.
#[derive(Debug, Clone, db::FromRow)]
pub(crate) struct ApplicationRow {
    pub(crate) id: ApplicationId,
    pub(crate) owner_id: UserId,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) icon: Option<String>,
    pub(crate) public_key: Vec<u8>,
    pub(crate) granted_intents: i64,
}

impl ApplicationRow {
    pub(crate) fn bot(&self) -> UserId {
        self.id.cast()
    }

    /// The dialect's flags that follow from granted intents.
    pub(crate) fn flags(&self) -> u32 {
        flags_of(self.granted_intents)
    }
}

pub(crate) fn flags_of(granted: i64) -> u32 {
    FLAGS
        .iter()
        .filter(|(intent, _)| granted & intent != 0)
        .fold(0, |flags, (_, flag)| flags | flag)
}

/// The intents a set of flags grants; none when a flag cannot be set by an owner.
pub(crate) fn intents_of(flags: u32) -> Option<i64> {
    let known = FLAGS.iter().fold(0, |known, (_, flag)| known | flag);
    if flags & !known != 0 {
        return None;
    }
    let granted = FLAGS.iter().filter(|(_, flag)| flags & flag != 0);
    Some(granted.fold(0, |intents, (intent, _)| intents | intent))
}

/// A request for a new application.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = applications::NewApplication)]
pub struct NewApplication {
    /// 1 to 32 characters; also the bot's name.
    pub name: String,
    /// Up to 400 characters.
    #[serde(default)]
    pub description: Option<String>,
}

/// A change of an application; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[schema(as = applications::EditApplication)]
pub struct Edit {
    /// 1 to 32 characters.
    #[serde(default)]
    pub name: Option<String>,
    /// Up to 400 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// Which privileged intents are on: 8192 presences, 32768 members, 524288 message content.
    #[serde(default)]
    pub flags: Option<u32>,
}

impl NewApplication {
    pub(crate) fn check(self) -> Result<(String, String), Error> {
        let description = self.description.unwrap_or_default();
        let edit = Edit {
            name: Some(self.name),
            description: Some(description),
            flags: None,
        };
        let edit = edit.check()?;
        Ok((
            edit.name.unwrap_or_default(),
            edit.description.unwrap_or_default(),
        ))
    }
}

impl Edit {
    pub(crate) fn check(self) -> Result<Edit, Error> {
        let mut errors = Vec::new();
        let name = self.name.map(|name| name.trim().to_owned());
        if name
            .as_ref()
            .is_some_and(|name| name.is_empty() || name.chars().count() > MAX_NAME)
        {
            let detail = format!("a name has 1 to {MAX_NAME} characters");
            errors.push(FieldError::new("/name", "BASE_TYPE_BAD_LENGTH", detail));
        }
        if self
            .description
            .as_ref()
            .is_some_and(|text| text.chars().count() > MAX_DESCRIPTION)
        {
            let detail = format!("a description has up to {MAX_DESCRIPTION} characters");
            errors.push(FieldError::new(
                "/description",
                "BASE_TYPE_MAX_LENGTH",
                detail,
            ));
        }
        if self.flags.is_some_and(|flags| intents_of(flags).is_none()) {
            let detail = "only the flags of privileged intents can be set";
            errors.push(FieldError::new("/flags", "BASE_TYPE_CHOICES", detail));
        }
        if errors.is_empty() {
            Ok(Edit { name, ..self })
        } else {
            Err(Error::Invalid(errors))
        }
    }
}

/// The bot of an application, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = applications::Bot)]
pub struct BotObject {
    /// The bot user; the same number as the application.
    pub id: UserId,
    /// Its unique name.
    pub username: String,
}

/// An application in the dialect's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = applications::Application)]
pub struct ApplicationObject {
    /// The application.
    pub id: ApplicationId,
    /// Its name.
    pub name: String,
    /// Icon hash; none yet.
    pub icon: Option<String>,
    /// What it does.
    pub description: String,
    /// Whether others may install it; always.
    pub bot_public: bool,
    /// Always false: installing needs no code grant.
    pub bot_require_code_grant: bool,
    /// Ed25519 public key in hex, for interactions over HTTP.
    pub verify_key: String,
    /// The dialect's flags; they tell which privileged intents are granted.
    pub flags: u32,
    /// Who owns it.
    pub owner: User,
    /// Teams do not exist here.
    pub team: Option<serde_json::Value>,
    /// Its bot.
    pub bot: BotObject,
    /// The bot's token; only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A new token.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = applications::Token)]
pub(crate) struct TokenObject {
    /// Shown this once.
    pub(crate) token: String,
}

/// A request to install an application.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = applications::InstallRequest)]
pub(crate) struct InstallRequest {
    /// Rights of the bot's role.
    #[serde(default)]
    pub(crate) permissions: Chat,
}

/// Where an application is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = applications::Install)]
pub struct Install {
    /// The application.
    pub application_id: ApplicationId,
    /// The community.
    pub guild_id: CommunityId,
    /// Rights of the bot's role, as they were asked for last.
    pub permissions: Chat,
    /// When it was installed, or its rights changed.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub installed_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_intents_are_one_thing() {
        for bits in 0..8_i64 {
            let intents = FLAGS
                .iter()
                .enumerate()
                .filter(|(place, _)| bits >> place & 1 == 1)
                .fold(0, |all, (_, (intent, _))| all | intent);
            assert_eq!(intents_of(flags_of(intents)), Some(intents));
        }
        assert_eq!(intents_of(1), None);
        assert_eq!(GRANTED_AT_FIRST & !PRIVILEGED, 0);
    }

    #[test]
    fn edges_of_the_rules() {
        let check = |name: String, description: String| {
            NewApplication {
                name,
                description: Some(description),
            }
            .check()
        };
        assert!(check("x".into(), String::new()).is_ok());
        assert!(check("ğ".repeat(MAX_NAME), "d".repeat(MAX_DESCRIPTION)).is_ok());
        assert!(check(" ".into(), String::new()).is_err());
        assert!(check("x".repeat(MAX_NAME + 1), String::new()).is_err());
        assert!(check("x".into(), "d".repeat(MAX_DESCRIPTION + 1)).is_err());
    }
}
