//! Who is asking.

use std::time::Duration;

use jiff::Timestamp;

use crate::id::{DeviceId, UserId};

/// How long after proving who one is one may change what protects the account.
pub const STEP_UP_WINDOW: Duration = Duration::from_secs(5 * 60);

/// What kind of credential was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallerKind {
    /// A person with an access token.
    User,
    /// A bot with its token.
    Bot,
    /// A program of a person, with a key that has only the rights it was made for.
    ApiKey,
}

/// Who is asking, as the credential proved it. Rights are looked up, never carried in here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Person, bot or program.
    pub kind: CallerKind,
    /// The account; of a key, that of its owner.
    pub user: UserId,
    /// The login the token belongs to; bots and keys have none.
    pub device: Option<DeviceId>,
    /// How the login was proved (`pwd`, `otp`, …).
    pub amr: Vec<String>,
    /// When it was proved; absent for bots and keys.
    pub auth_time: Option<Timestamp>,
    /// What a key may be used for; empty for people and bots, whom it does not limit.
    pub scopes: Vec<String>,
    /// The member of staff who acts as this user (RFC 8693 §4.1).
    pub act: Option<UserId>,
}

impl Caller {
    /// A bot.
    pub fn bot(user: UserId) -> Self {
        Caller {
            kind: CallerKind::Bot,
            user,
            device: None,
            amr: Vec::new(),
            auth_time: None,
            scopes: Vec::new(),
            act: None,
        }
    }

    /// A program of `owner`, by its key.
    pub fn api_key(owner: UserId, scopes: Vec<String>) -> Self {
        Caller {
            kind: CallerKind::ApiKey,
            scopes,
            ..Caller::bot(owner)
        }
    }

    /// A person on a device.
    pub fn user(user: UserId, device: DeviceId, amr: Vec<String>, auth_time: Timestamp) -> Self {
        Caller {
            kind: CallerKind::User,
            user,
            device: Some(device),
            amr,
            auth_time: Some(auth_time),
            scopes: Vec::new(),
            act: None,
        }
    }

    /// Whether a person proved who they are within [`STEP_UP_WINDOW`] before `now`, in whole
    /// seconds, as tokens count.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let age = |proved: Timestamp| now.as_second().saturating_sub(proved.as_second());
        let window = STEP_UP_WINDOW.as_secs();
        self.auth_time
            .is_some_and(|proved| u64::try_from(age(proved)).unwrap_or_default() <= window)
    }

    /// Whether a bot is asking.
    pub fn is_bot(&self) -> bool {
        self.kind == CallerKind::Bot
    }
}

/// The right to have an effect once: an idempotency key and what it was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The caller's key, 1 to 64 visible ASCII characters.
    pub key: String,
    /// SHA-256 of method, path and body.
    pub request_hash: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_fresh_for_five_minutes() {
        let proved: Timestamp = "2026-11-20T07:00:00Z".parse().unwrap();
        let person = Caller::user(UserId::new(1), DeviceId::new(1), Vec::new(), proved);
        for (seconds, fresh) in [(-30, true), (0, true), (300, true), (301, false)] {
            let now = proved + jiff::SignedDuration::from_secs(seconds);
            assert_eq!(person.is_fresh(now), fresh, "{seconds}");
        }
        assert!(!Caller::bot(UserId::new(1)).is_fresh(proved));
    }
}
