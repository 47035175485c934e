//! Rows, the objects made from them, and the rules of requests. Pure.

use contracts::identity::User;
use db::FromRow;
use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{ApplicationId, Check, CommunityId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Error, Result};

/// Privileged gateway intents with the flag by which the dialect shows that one is granted.
///
/// The owner switches them on and off; nobody else has to agree, however many communities the
/// application is in: the instance's people install it or do not.
const PRIVILEGED: [(u64, u32); 3] = [
    (1 << 1, 1 << 15),  // members
    (1 << 8, 1 << 13),  // presences
    (1 << 15, 1 << 19), // message content
];
/// Flags that stand for the same when a client sends them: those of verified applications.
const VERIFIED_FLAGS: [(u64, u32); 3] = [(1 << 1, 1 << 14), (1 << 8, 1 << 12), (1 << 15, 1 << 18)];
/// What a new application is granted: members and message content. Presences are costly.
pub(crate) const DEFAULT_INTENTS: u64 = (1 << 1) | (1 << 15);

/// All privileged intents.
const ALL_PRIVILEGED: u64 = (1 << 1) | (1 << 8) | (1 << 15);

/// The dialect's flags for granted intents.
pub(crate) fn flags_of(intents: u64) -> u32 {
    PRIVILEGED
        .iter()
        .filter(|(intent, _)| intents & intent != 0)
        .fold(0, |flags, (_, flag)| flags | flag)
}

/// The intents a client asks for with flags.
fn intents_of(flags: u32) -> u64 {
    PRIVILEGED
        .iter()
        .chain(&VERIFIED_FLAGS)
        .filter(|(_, flag)| flags & flag != 0)
        .fold(0, |intents, (intent, _)| intents | intent)
}

/// An application.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct ApplicationRow {
    pub(crate) id: ApplicationId,
    pub(crate) owner_id: UserId,
    pub(crate) name: String,
    pub(crate) icon: Option<String>,
    pub(crate) description: String,
    pub(crate) bot_public: bool,
    pub(crate) require_code_grant: bool,
    pub(crate) intents: i64,
    pub(crate) verify_key: Vec<u8>,
    pub(crate) communities: i64,
}

impl ApplicationRow {
    /// Its bot user bears its id.
    pub(crate) fn bot(&self) -> UserId {
        self.id.cast()
    }

    /// The privileged intents it was granted.
    pub(crate) fn granted(&self) -> u64 {
        u64::try_from(self.intents).unwrap_or(0) & ALL_PRIVILEGED
    }

    /// In the dialect's form.
    pub(crate) fn object(&self, owner: User, bot: User) -> Application {
        Application {
            id: self.id,
            name: self.name.clone(),
            icon: self.icon.clone(),
            description: self.description.clone(),
            bot_public: self.bot_public,
            bot_require_code_grant: self.require_code_grant,
            verify_key: hex(&self.verify_key),
            flags: flags_of(self.granted()),
            intents: self.granted(),
            owner,
            team: None,
            bot,
            approximate_guild_count: self.communities,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An application in the dialect's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = applications::Application)]
pub struct Application {
    /// The application; also its bot's id.
    pub id: ApplicationId,
    /// Name.
    pub name: String,
    /// Icon hash; none yet.
    pub icon: Option<String>,
    /// Description.
    pub description: String,
    /// Whether others than its owner may install it.
    pub bot_public: bool,
    /// Whether installing asks for a code grant.
    pub bot_require_code_grant: bool,
    /// Ed25519 public key in hexadecimal, for interactions sent to an address.
    pub verify_key: String,
    /// Dialect's flags: which privileged intents are granted.
    pub flags: u32,
    /// The same as gateway bits.
    pub intents: u64,
    /// Who made it.
    pub owner: User,
    /// Always null: no teams yet.
    #[schema(value_type = Option<Object>)]
    pub team: Option<()>,
    /// Its bot.
    pub bot: User,
    /// In how many communities it is installed.
    pub approximate_guild_count: i64,
}

/// A new application, with its token, which is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = applications::Created)]
pub struct NewlyMade {
    /// The application.
    #[serde(flatten)]
    pub application: Application,
    /// The bot's token.
    pub token: String,
}

/// A new token, shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = applications::Token)]
pub struct NewToken {
    /// The bot's token.
    pub token: String,
}

/// An application in a community.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct InstallRow {
    pub(crate) application_id: ApplicationId,
    pub(crate) community_id: CommunityId,
    pub(crate) permissions: i64,
    pub(crate) installer_id: UserId,
    pub(crate) installed_at: Timestamp,
}

impl InstallRow {
    pub(crate) fn object(&self) -> Install {
        Install {
            application_id: self.application_id,
            guild_id: self.community_id,
            permissions: Chat::from_stored(self.permissions),
            installer_id: self.installer_id,
            installed_at: self.installed_at,
        }
    }
}

/// An application in a community.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = applications::Install)]
pub struct Install {
    /// The application.
    pub application_id: ApplicationId,
    /// The community.
    pub guild_id: CommunityId,
    /// Rights asked for its role.
    pub permissions: Chat,
    /// Who installed it.
    pub installer_id: UserId,
    /// When.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub installed_at: Timestamp,
}

/// A new application.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = applications::CreateApplication)]
pub struct CreateApplication {
    /// Name, 1 to 32 characters.
    #[schema(format = "line", min_length = 1, max_length = 32)]
    pub name: String,
    /// Description, at most 400 characters.
    #[serde(default)]
    #[schema(format = "lines", max_length = 400)]
    pub description: Option<String>,
}

/// Changes of an application; absent fields stay.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = applications::UpdateApplication)]
pub struct UpdateApplication {
    /// Name, 1 to 32 characters.
    #[schema(format = "line", min_length = 1, max_length = 32)]
    pub name: Option<String>,
    /// Description, at most 400 characters.
    #[schema(format = "lines", max_length = 400)]
    pub description: Option<String>,
    /// Whether others than its owner may install it.
    pub bot_public: Option<bool>,
    /// Whether installing asks for a code grant.
    pub bot_require_code_grant: Option<bool>,
    /// Dialect's flags; those of privileged intents switch them, others are ignored.
    pub flags: Option<u32>,
    /// Privileged intents as gateway bits; others are ignored. Wins over `flags`.
    pub intents: Option<u64>,
}

/// What an application shall be allowed in a community.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = applications::PutInstall)]
pub struct PutInstall {
    /// Rights of its role.
    pub permissions: Chat,
}

impl CreateApplication {
    pub(crate) fn checked(self) -> Result<(String, String)> {
        let mut check = Check::default();
        let name = check.name("/name", &self.name, 1, 32);
        let description = self.description.unwrap_or_default();
        let description = check.text("/description", &description, 0, 400);
        check
            .done()
            .map_err(Error::Invalid)
            .map(|()| (name, description))
    }
}

impl UpdateApplication {
    /// The row after the change.
    pub(crate) fn apply(self, mut row: ApplicationRow) -> Result<ApplicationRow> {
        let mut check = Check::default();
        if let Some(name) = &self.name {
            row.name = check.name("/name", name, 1, 32);
        }
        if let Some(description) = &self.description {
            row.description = check.text("/description", description, 0, 400);
        }
        row.bot_public = self.bot_public.unwrap_or(row.bot_public);
        row.require_code_grant = self
            .bot_require_code_grant
            .unwrap_or(row.require_code_grant);
        if let Some(intents) = self.intents.or(self.flags.map(intents_of)) {
            row.intents = i64::try_from(intents & ALL_PRIVILEGED).unwrap_or(0);
        }
        check.done().map_err(Error::Invalid).map(|()| row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intents_and_flags_stand_for_each_other() {
        for intents in [0, 1 << 1, 1 << 8, 1 << 15, ALL_PRIVILEGED, DEFAULT_INTENTS] {
            assert_eq!(intents_of(flags_of(intents)), intents);
        }
        assert_eq!(flags_of(DEFAULT_INTENTS), (1 << 15) | (1 << 19));
        assert_eq!(
            intents_of(1 << 14),
            1 << 1,
            "flags of verified applications count"
        );
        assert_eq!(intents_of(1), 0);
    }

    #[test]
    fn names_and_descriptions_are_bounded_at_both_ends() {
        for (name, length, good) in [
            ("a".to_owned(), 400, true),
            ("ş".repeat(32), 0, true),
            ("ş".repeat(33), 0, false),
            (" ".to_owned(), 0, false),
            ("\u{3164}".to_owned(), 0, false),
            ("a\u{2067}b".to_owned(), 0, false),
            ("a".to_owned(), 401, false),
        ] {
            let description = Some("d".repeat(length));
            let new = CreateApplication { name, description };
            assert_eq!(new.checked().is_ok(), good, "{length}");
        }
    }
}
