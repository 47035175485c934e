//! What somebody may do on the platform as a whole.

use std::fmt;

/// A platform role. It is looked up for each act and never part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PlatformRole {
    /// May do everything, and alone grants roles.
    Superadmin,
    /// Helps people: finds accounts, starts resets, acts as a user for a while.
    Support,
    /// Judges what people post.
    Moderator,
    /// Sees money.
    Finance,
}

impl PlatformRole {
    /// Every role.
    pub const ALL: [PlatformRole; 4] = [
        PlatformRole::Superadmin,
        PlatformRole::Support,
        PlatformRole::Moderator,
        PlatformRole::Finance,
    ];

    /// The word it is stored and shown as.
    pub fn word(self) -> &'static str {
        match self {
            PlatformRole::Superadmin => "superadmin",
            PlatformRole::Support => "support",
            PlatformRole::Moderator => "moderator",
            PlatformRole::Finance => "finance",
        }
    }

    /// The role of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        PlatformRole::ALL
            .into_iter()
            .find(|role| role.word() == word)
    }
}

impl fmt::Display for PlatformRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_roles_are_one_to_one() {
        for role in PlatformRole::ALL {
            assert_eq!(PlatformRole::from_word(role.word()), Some(role));
            assert_eq!(role.to_string(), role.word());
        }
        assert_eq!(PlatformRole::from_word("root"), None);
        assert_eq!(PlatformRole::from_word("Support"), None);
    }
}
